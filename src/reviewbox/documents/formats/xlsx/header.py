"""Finds the header row of a sheet, as the header row of a delimited table is found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reviewbox.documents.formats.csv import header as csv_header
from reviewbox.documents.formats.csv.records import Record

Cells = Sequence[Any]

_MAX_END_ROWS = 100  # rows that are searched for the end of the table


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header row of a sheet is."""

    index: int
    first: int  # the index of the first row below it, and below the other header rows of survey tools
    names: list[str]  # the names of the columns; "" where a column has none
    titles: list[str]  # what each column is called for the choice of the review


def find_header(rows: Sequence[Cells]) -> Header | None:
    """Return where the header row among the first rows of a sheet is; None if there is none.

    All rows have the same number of cells.
    """
    records = _records(rows, 1)
    found = csv_header.find_header(records, len(rows[0])) if records else None
    if found is None:
        return None
    last = records[found.index + found.count - 1]
    return Header(records[found.index].line - 1, last.line, found.names, found.titles)


def find_end(rows: Sequence[Cells], header: Header | None) -> int:
    """Return the index after the last row above the notes that a report writes below a table."""
    first = max(header.first if header else 0, len(rows) - _MAX_END_ROWS)
    line = csv_header.footer_line(_records(rows[first:], first + 1), len(rows[0]))
    return line - 1 if line else len(rows)


def is_blank(cells: Cells) -> bool:
    """Return whether all cells of a row are empty."""
    return not any(cell is not None and cell != "" for cell in cells)


def _records(rows: Sequence[Cells], first: int) -> list[Record]:
    return [
        Record(number, "", [_text(cell) for cell in cells])
        for number, cells in enumerate(rows, first)
        if not is_blank(cells)
    ]


def _text(cell: Any) -> str:
    """Return a cell as a program would export it to CSV."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell.isoformat()) if hasattr(cell, "isoformat") else "" if cell is None else str(cell)
