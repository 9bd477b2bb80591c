"""The files under version control (and those about to be), for the checks beside it."""
import subprocess


def tracked(*suffixes):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], check=True,
                            capture_output=True, text=True).stdout.splitlines()
    names = []
    for name in sorted(set(listed)):
        try:
            open(name, "rb").close()
        except OSError:
            continue  # deleted, not yet committed
        if not suffixes or name.endswith(suffixes):
            names.append(name)
    return names


def lines(name):
    with open(name, encoding="utf-8") as file:
        return file.read().split("\n")


def report(problems):
    for problem in problems:
        print(problem)
    raise SystemExit(1 if problems else 0)
