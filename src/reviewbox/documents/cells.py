"""Reads any table as rows of named cells, for readers of classified tables."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import BufferedReader
from typing import Any

from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.document import Cells, ReadOptions
from reviewbox.documents.formats import jsonl
from reviewbox.documents.formats.csv import table as csv_table
from reviewbox.documents.formats.parquet import table as parquet
from reviewbox.documents.formats.xlsx import table as xlsx
from reviewbox.documents.line_tables import Content, ContentLines
from reviewbox.documents.lines import Line, stream_lines
from reviewbox.documents.unsupported import is_excel_workbook, is_parquet
from reviewbox.errors import ErrorCode, SourceError

_MAX_DEPTH = 8  # how deeply objects may be nested in which members are cells


def read_cells(
    name: str, stored: BufferedReader, options: ReadOptions, known_names: tuple[str, ...]
) -> Iterator[Cells]:
    """Yield the rows of a table. Missing values are "".

    Tables of lines are streamed, compressed or not. A member of an object in JSON Lines or Parquet is a cell
    of its own, called `outer.inner`.

    `name` is the file name or key of the table, `stored` has a buffer of at least `SNIFF_BYTES`, and
    `known_names` are names of columns that the table has.

    Raises:
        SourceError: the table is damaged or has no rows, or it is not a table.
    """
    head = stored.peek(SNIFF_BYTES)
    records: Iterable[Cells]
    if is_parquet(head):
        records = parquet.read_cells(stored.read(), options)
    elif is_excel_workbook(head):
        records = xlsx.read_cells(stored.read(), options, known_names[0])
    else:
        detected = line_format(name, "", head)
        if detected is None:
            raise SourceError(ErrorCode.UNSUPPORTED_FORMAT, "the file is not a table in UTF-8")
        lines = stream_lines(ContentLines(Content(stored, options), options), options)
        if detected.name == jsonl.LINE_FORMAT.name:
            records = _json_records(lines)
        else:
            delimiter = "\t" if detected.name == csv_table.TSV_LINES.name else ","
            yield from csv_table.read_cells(lines, delimiter, ",".join(known_names))
            return
    for record in records:
        yield replace(record, values=dict(_flat(record.values)))


def _json_records(lines: Iterable[Line]) -> Iterator[Cells]:
    for line in lines:
        if line.text.strip():
            try:
                value = json.loads(line.text)
            except (ValueError, RecursionError):
                message = f"line {line.number}: not valid JSON"
                raise SourceError(ErrorCode.BROKEN_JSON, message) from None
            yield Cells(line.number, 1, value if isinstance(value, dict) else {"1": value})


def _flat(record: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        elif not isinstance(value, list):
            yield prefix + name, _text(value)


def _text(value: Any) -> str:
    """Return a value as a program would export it to CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
