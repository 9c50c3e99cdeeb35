"""Runs commands that Ctrl-C interrupts, one after another in one process, which imports everything once.

python -m tests.cli.interrupted

Each line of the standard input is a call: `{"words": [...], "folder": ..., "seconds": ...}`. The command runs
in the folder, and is interrupted after the seconds; 0 means never. Each line of the standard output is the
exit status, and how many seconds it took.
"""

import json
import os
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from reviewbox.cli import app
from reviewbox.cli.output import INTERRUPTED


def run(call: dict[str, Any]) -> int:
    """Run a command, and return its exit status."""
    os.chdir(call["folder"])
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            signal.setitimer(signal.ITIMER_REAL, call["seconds"])
            app(call["words"])
        except SystemExit as end:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return int(end.code or 0)
        except KeyboardInterrupt:  # before the command started, or after its end
            return INTERRUPTED
    return 0


def main() -> None:
    """Run commands until the standard input ends."""
    for line in sys.stdin:
        started = time.monotonic()
        status = run(json.loads(line))
        print(json.dumps([status, time.monotonic() - started]), flush=True)


if __name__ == "__main__":
    main()
