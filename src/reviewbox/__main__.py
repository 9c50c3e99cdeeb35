"""The command line: `reviewbox`, or `python -m reviewbox` if scripts are not on the path."""

import signal
import sys


def main() -> None:
    """Run a command. Ctrl-C ends it without a traceback, even while its code is being loaded."""
    try:
        from reviewbox.cli import app

        app(prog_name="reviewbox")
    except KeyboardInterrupt:
        sys.stderr.write("reviewbox: interrupted\n")
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
