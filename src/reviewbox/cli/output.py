"""Rows as JSON, JSON Lines or CSV: on the standard output, or in a file that appears once it is complete.

Help imports this module, so it imports what prints to terminals when it is needed.
"""

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from reviewbox.errors import ReviewboxError

if TYPE_CHECKING:
    from rich.console import Console as Terminal

Row = Mapping[str, Any]
F = TypeVar("F", bound=StrEnum)

INTERRUPTED = 130  # the exit status that shells use for Ctrl-C


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class ExportFormat(StrEnum):
    """How `reviewbox results` prints or writes rows."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def format_of(path: Path, formats: type[F]) -> F:
    """Return the format that a file's name asks for.

    Raises:
        ReviewboxError: the name ends in none of them.
    """
    names = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
    known = {suffix: formats(name) for suffix, name in names.items() if name in list(formats)}
    if path.suffix.lower() not in known:
        raise ReviewboxError(f"{path}: add --format, or a name that ends in {', '.join(known)}")
    return known[path.suffix.lower()]


def check_output(output: Path | None, read: Path) -> None:
    """Raise ReviewboxError if an output would replace a file that is read."""
    if output and output.exists() and read.exists() and output.samefile(read):
        raise ReviewboxError(f"{output} would replace the file that is read; choose another --output")


def write_rows(rows: Iterable[Row], file: TextIO, format_: Format, columns: Sequence[str] = ()) -> None:
    """Write rows as they come; the arguments are those of `open_rows`."""
    with open_rows(file, format_, columns) as write:
        for row in rows:
            write(row)


@contextmanager
def open_rows(file: TextIO, format_: Format, columns: Sequence[str] = ()) -> Iterator[Callable[[Row], None]]:
    """Yield a function that writes a row immediately; its values are JSON data.

    `format_` is any format except a table. `columns` are the columns of CSV; by default those of the first
    row, which all rows must then have.
    """
    from reviewbox.cli.render import json_text

    match format_:
        case Format.JSONL:
            yield lambda row: _write_now(f"{json_text(row)}\n", file)
        case Format.JSON:
            separators = chain("[", repeat(","))
            yield lambda row: _write_now(f"{next(separators)}\n{json_text(row)}", file)
            file.write("[]\n" if next(separators) == "[" else "\n]\n")
        case Format.CSV:
            with _open_csv(file, columns) as write:
                yield write
        case _:
            raise ValueError(f"rows cannot be written as {format_}")


def print_report(report: Row, rows: Iterable[Row], format_: Format, *, indent: int | None = None) -> None:
    """Print a report as one JSON object, or the rows that represent it as JSON Lines or CSV."""
    from reviewbox.cli.render import print_json

    if format_ is Format.JSON:
        print_json(report, indent)
    else:
        write_rows(rows, sys.stdout, format_)


def print_summary(report: Row, format_: Format) -> None:
    """Print a report that is one row, unless the format is a table: then its command has said it in words."""
    if format_ is not Format.TABLE:
        print_report(report, [flat(report)], format_, indent=2)


def terminal_beside(format_: Format) -> "Terminal":
    """Return where a command says what it does: the standard error if the standard output gets data."""
    from reviewbox.cli.render import new_terminal

    return new_terminal(to_stderr=format_ is not Format.TABLE)


def flat(report: Row, prefix: str = "") -> dict[str, Any]:
    """Return the values of a report as one row: without lists, and with dotted names for nested values."""
    row: dict[str, Any] = {}
    for name, value in report.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list | tuple):
            row[prefix + name] = value
    return row


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces `path` at the end.

    After an error or Ctrl-C, `path` is unchanged.

    Raises:
        ReviewboxError: the folder does not exist or cannot be written to.
    """
    # Hidden, so that nobody mistakes it for the result; in the same folder, so that renaming it is atomic.
    temporary = path.with_name(f".reviewbox-{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename is None or Path(error.filename) != temporary:
            raise
        raise ReviewboxError(f"{path}: {error.strerror}") from None
    finally:
        with suppress(OSError):  # on a read-only file system, the error above says more
            temporary.unlink()


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Yield the standard output or, for a path, a new file that replaces it at the end."""
    if path is None:
        yield sys.stdout
        return
    with (
        complete_file(path) as new,
        new.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file


def _write_now(text: str, file: TextIO) -> None:
    file.write(text)
    file.flush()


@contextmanager
def _open_csv(file: TextIO, columns: Sequence[str]) -> Iterator[Callable[[Row], None]]:
    from reviewbox.cli.render import printable

    writer: csv.DictWriter[str] | None = None
    clean = printable if file.isatty() else str  # a file keeps the data as they are

    def write(row: Row) -> None:
        nonlocal writer
        if writer is None:
            writer = csv.DictWriter(file, columns or list(row), extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: clean(_cell(value)) for name, value in row.items()})
        file.flush()

    yield write
    if writer is None and columns:
        csv.writer(file, lineterminator="\n").writerow(columns)


def _cell(value: Any) -> str:
    from reviewbox.cli.render import json_text

    if isinstance(value, bool | Mapping | list | tuple):
        return json_text(value)
    return "" if value is None else str(value)
