"""Asking a program in Varnish, for the tests beside this file: its argument is what the header X-Arg says."""
import collections
import http.client
import json
import sys

Answer = collections.namedtuple("Answer", "status headers body")


class Program:
    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=120)
        self.failures = 0

    def ask(self, body, options=None, headers=None):
        self.connection.request("POST", "/", body, {"X-Arg": json.dumps(options or {})} | (headers or {}))
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def expect(self, is_so, *what):
        if not is_so:
            print("FAILED:", *(repr(one)[:300] for one in what))
            self.failures += 1

    def refused(self, answer, status, line, *what):
        """That it ended with this status, a line of text, and that line in X-ErrorLine."""
        self.expect(answer.status == status and answer.headers["X-ErrorLine"] == (str(line) if line else None) and
                    answer.headers["Content-Type"].startswith("text/plain") and answer.body.count(b"\n") == 1,
                    *what, answer.status, answer.headers["X-ErrorLine"], "expected:", status, line, answer.body)
        if line:
            self.expect(answer.body.startswith(b"Line %d: " % line), *what, answer.body)

    def finish(self):
        print(self.failures, "failures")
        sys.exit(self.failures != 0)
