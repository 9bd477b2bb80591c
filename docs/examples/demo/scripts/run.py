# Runs the script that is its standard input. It has started, and compiled this, before it is frozen; an error of the script
# is a part of what it prints.
import sys
import traceback

script = sys.stdin.read()
try:
    exec(compile(script, "script", "exec"), {"__name__": "__main__"})
except Exception:
    kind, error, trace = sys.exc_info()
    traceback.print_exception(kind, error, trace.tb_next, file=sys.stdout)
