"""Runs one of Python's own test modules and prints two lines for each test: when it begins, and how it ended.

python_tests.py MODULE [FILE]     FILE names tests that are left out, one a line
"""
import importlib
import os
import sys
import tempfile
import unittest

MARK = "@@"


def one_line(text):
    return " ".join(text.split())[-300:]


def suite_without(suite, left_out):
    tests = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            tests.addTest(suite_without(test, left_out))
        elif test.id() not in left_out:
            tests.addTest(test)
    return tests


class Printer(unittest.TestResult):
    """Prints to a descriptor of its own, because tests write to standard output, or close it."""

    def __init__(self):
        super().__init__()
        self.output = os.dup2(1, 250)
        self.outcome = None

    def say(self, *words):
        os.write(self.output, (" ".join((MARK, *words)) + "\n").encode(errors="backslashreplace"))

    def end(self, test, outcome, detail=""):
        # What goes wrong before the first test of a class has begun, or after the last, has an id with a blank.
        if " " in test.id():
            self.say("end", test.id().replace(" ", "_"), outcome, one_line(detail))
        elif self.outcome is None or self.outcome[0] in ("passed", "skipped"):
            self.outcome = (outcome, one_line(detail))

    def startTest(self, test):
        super().startTest(test)
        self.outcome = None
        self.say("begin", test.id())

    def stopTest(self, test):
        super().stopTest(test)
        self.say("end", test.id(), *(self.outcome or ("passed", "")))

    def last_words(self, error):
        kind, value, trace = error
        while trace and trace.tb_next:
            trace = trace.tb_next
        return f"{kind.__name__}: {value}"

    def addSuccess(self, test):
        self.end(test, "passed")

    def addExpectedFailure(self, test, err):
        self.end(test, "passed")

    def addSkip(self, test, reason):
        self.end(test, "skipped", reason)

    def addFailure(self, test, err):
        self.end(test, "failed", self.last_words(err))

    def addError(self, test, err):
        self.end(test, "failed", self.last_words(err))

    def addUnexpectedSuccess(self, test):
        self.end(test, "failed", "it was expected to fail")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.end(test, "failed", self.last_words(err))


def main():
    module = sys.argv[1]
    left_out = set()
    if len(sys.argv) > 2:
        with open(sys.argv[2]) as file:
            left_out = set(file.read().split())
    printer = Printer()
    os.chdir(tempfile.mkdtemp())
    from test import support

    support.use_resources = []
    support.verbose = 0
    sys.argv = sys.argv[:1]
    importlib.import_module(module)
    tests = unittest.defaultTestLoader.loadTestsFromName(module)
    suite_without(tests, left_out).run(printer)
    printer.say("done")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
