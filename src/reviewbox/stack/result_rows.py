"""All rows of many results as one table."""

from collections.abc import Iterator
from typing import Any

from reviewbox.catalog.rows import CatalogRow, row_of_receipt
from reviewbox.documents.document import Cells
from reviewbox.results.added_fields import OWN_FIELDS
from reviewbox.results.rows import ClassifiedRow, Lines, classified_rows
from reviewbox.stack.stored_results import Reader, StoredResults

# The first columns of every row. The user's own columns follow.
COLUMNS = (
    *("source_key", "source_line", "sentiment", "score", "needs_review", "other_language"),
    *("error_code", "error_message"),
)
# What a user's column gets in front of a name that is one of ours.
_ORIGINAL = "original_"
_OURS = frozenset((*COLUMNS, *OWN_FIELDS))


def result_rows(results: StoredResults) -> Iterator[dict[str, Any]]:
    """Yield the rows of all results as JSON data by column, in the order of the results' keys.

    A row has the key of its source and the number of its line there: in a table of lines, of the first line
    (blank lines are not counted); in a workbook, of the row in the sheet; in Parquet and JSON arrays, of the
    record. A file that failed as a whole, or a table that is missing, is a row with an error and no line.

    Raises:
        ReviewboxError: there are no results.
    """
    return results.read(Reader(lambda _, receipt: _shared(row_of_receipt(receipt)), _of_rows, _failed))


def _of_rows(table: Iterator[Cells], source: str, _text_field: str, lines: Lines) -> Iterator[dict[str, Any]]:
    return (_row(row, source) for row in classified_rows(table, lines))


def _row(row: ClassifiedRow, source: str) -> dict[str, Any]:
    others = {f"{_ORIGINAL}{name}" if name in _OURS else name: value for name, value in row.cells.items()}
    note = {"note": row.own["note"] or None} if "note" in row.own else {}
    return {"source_key": source, "source_line": row.line, **row.outcome, **note, **others}


def _failed(source: str, code: str, message: str) -> dict[str, Any]:
    return _shared(CatalogRow("", source).failed(code, message))


def _shared(row: CatalogRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COLUMNS}
