"""`python -m reviewbox`: the command line, even if its scripts are not on the path."""

from reviewbox.cli import app

if __name__ == "__main__":
    app(prog_name="reviewbox")
