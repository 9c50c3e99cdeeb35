"""Rows as JSON, JSON Lines or CSV: on the standard output, or in a file that appears once it is complete.

Help imports this module, so it imports what prints to terminals when it is needed.
"""

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO, TypeVar

from reviewbox.errors import ReviewboxError

Row = Mapping[str, Any]
F = TypeVar("F")

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


_FORMATS = {".json": Format.JSON, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".csv": Format.CSV}
_EXPORT_FORMATS = {
    **{suffix: ExportFormat(format_) for suffix, format_ in _FORMATS.items()},
    ".parquet": ExportFormat.PARQUET,
}


def format_of(path: Path) -> Format:
    """Return the format that a file's name asks for.

    Raises:
        ReviewboxError: the name ends in none of them.
    """
    return _by_suffix(path, _FORMATS)


def export_format_of(path: Path) -> ExportFormat:
    """Return the format of an export that a file's name asks for.

    Raises:
        ReviewboxError: the name ends in none of them.
    """
    return _by_suffix(path, _EXPORT_FORMATS)


def _by_suffix(path: Path, formats: Mapping[str, F]) -> F:
    if path.suffix.lower() not in formats:
        raise ReviewboxError(f"{path}: add --format, or a name that ends in {', '.join(formats)}")
    return formats[path.suffix.lower()]


def check_output(output: Path | None, read: str) -> None:
    """Raise an error if an output would replace a file that is read.

    Raises:
        ReviewboxError: it would.
    """
    if output and output.exists() and Path(read).exists() and output.samefile(read):
        raise ReviewboxError(f"{output} would replace the file that is read; choose another --output")


def write_rows(rows: Iterable[Row], file: TextIO, format_: Format, columns: Sequence[str] = ()) -> None:
    """Write rows as they come.

    Args:
        rows: the rows; their values are JSON data.
        file: where to write them.
        format_: any format but a table.
        columns: the columns of CSV; by default those of the first row, which all rows must then have.
    """
    from reviewbox.cli.render import json_text

    match format_:
        case Format.JSONL:
            for row in rows:
                file.write(f"{json_text(row)}\n")
                file.flush()
        case Format.JSON:
            separator = "["
            for row in rows:
                file.write(f"{separator}\n{json_text(row)}")
                separator = ","
            file.write("[]\n" if separator == "[" else "\n]\n")
        case Format.CSV:
            _write_csv(rows, file, columns)
        case _:
            raise ValueError(f"rows cannot be written as {format_}")


def print_report(report: Row, rows: Iterable[Row], format_: Format, *, indent: int | None = None) -> None:
    """Print a report as one JSON object, or the rows that stand for it as JSON Lines or CSV."""
    from reviewbox.cli.render import print_json

    if format_ is Format.JSON:
        print_json(report, indent)
    else:
        write_rows(rows, sys.stdout, format_)


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

    After an error or Ctrl-C, `path` is as it was before.

    Raises:
        ReviewboxError: the folder does not exist or cannot be written to.
    """
    # Hidden, so that nobody takes it for the result; in the same folder, so that renaming it is atomic.
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


def _write_csv(rows: Iterable[Row], file: TextIO, columns: Sequence[str]) -> None:
    from reviewbox.cli.render import printable

    writer = None
    clean = printable if file.isatty() else str  # a file keeps the data as they are
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, columns or list(row), extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: clean(_cell(value)) for name, value in row.items()})
        file.flush()
    if writer is None and columns:
        csv.writer(file, lineterminator="\n").writerow(columns)


def _cell(value: Any) -> str:
    from reviewbox.cli.render import json_text

    if isinstance(value, bool | Mapping | list | tuple):
        return json_text(value)
    return "" if value is None else str(value)
