"""What the Python client programs share: the expected figures, and one line of output for each check."""
import json
import os
import sys

guarded = os.environ.get("GUARDED", "yes") == "yes"
with open(os.environ["TRUTH"], encoding="utf-8") as file:
    truth = json.load(file)
program = os.path.splitext(os.path.basename(sys.argv[0]))[0]


def permitted(purpose, table):
    """How many rows the purpose may see; everything while the database is not guarded."""
    return truth[purpose if guarded else "all"][table]


def report(good, name, detail=""):
    print(f"{'ok' if good else 'not ok'} - {program}: {name}{detail}", flush=True)


def equal(name, actual, expected):
    report(actual == expected, name, "" if actual == expected else f": {actual!r}, not {expected!r}")


def refused(name, sqlstate_of, action):
    """The action ends in an ordinary database error, insufficient_privilege."""
    if not guarded:
        return
    try:
        result = action()
    except Exception as error:  # every driver has its own class
        state = sqlstate_of(error)
        report(state == "42501", name, "" if state == "42501" else f": {state} {error}")
    else:
        report(False, name, f": not refused, gave {result!r}")
