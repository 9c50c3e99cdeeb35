"""Both functions in a process of their own, which records what leaves it.

python -m tests.canary.function FOLDER

Each line of the standard input is a call: `{"handler": "on_upload", "event": ..., "milliseconds": ...}`. Each
line of the standard output is what Lambda would get: `{"answer": ...}` or `{"raised": ...}`.

FOLDER gets `log.jsonl`, with all records of all loggers as JSON and as text, and `outside.jsonl`, with every
attempt to reach a host, to start a program or to write a file.
"""

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tests import faulty_codec

_AUDITED = (
    "socket.connect",
    "socket.sendto",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
)


@dataclass(frozen=True, slots=True)
class Context:
    """An invocation whose time stands still."""

    milliseconds: int

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left."""
        return self.milliseconds


class WholeRecord(logging.Formatter):
    """Formats everything in a record, including what Lambda's formats leave out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line of JSON; `text` is the record as text, with the exception."""
        return json.dumps({**vars(record), "text": super().format(record)}, default=repr)


def record_logs(folder: Path) -> None:
    """Write the records of all loggers and levels to a file."""
    handler = logging.FileHandler(folder / "log.jsonl")
    handler.setFormatter(WholeRecord())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.NOTSET)


def record_outside(target: TextIO) -> None:
    """Write a line for each attempt to reach what is outside of the process."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        # A pipe has no name, but a number.
        is_file = event == "open" and not isinstance(arguments[0], int)
        is_written = is_file and isinstance(arguments[1], str) and arguments[1].strip("rbt")
        if event in _AUDITED or is_written:
            print(json.dumps([event, *map(repr, arguments)]), file=target, flush=True)

    sys.addaudithook(audit)


def invoke(call: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke a function, and return its answer or the error with everything that led to it."""
    from handlers import on_batch_operation, on_upload

    functions = {"on_upload": on_upload.handler, "on_batch_operation": on_batch_operation.handler}
    try:
        return {"answer": functions[call["handler"]](call["event"], Context(call["milliseconds"]))}
    except Exception as error:  # noqa: BLE001 - the runtime reports it in the same way
        return {"raised": "".join(traceback.format_exception(error))}


def main() -> None:
    """Answer calls until the standard input ends."""
    folder = Path(sys.argv[1])
    record_logs(folder)
    faulty_codec.register()
    with (folder / "outside.jsonl").open("w") as outside:
        record_outside(outside)
        for line in sys.stdin:
            print(json.dumps(invoke(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
