"""All rows of many results as one table."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from reviewbox.documents.document import Cells
from reviewbox.errors import ReviewboxError
from reviewbox.results.keys import is_table, source_of_table
from reviewbox.results.receipt import Receipt
from reviewbox.results.rows import (
    OWN_FIELDS,
    ClassifiedRow,
    Lines,
    classified_rows,
    read_table,
    table_options,
)
from reviewbox.settings import Settings
from reviewbox.stack.listing import is_receipt
from reviewbox.stack.stored_results import Place, StoredResults

# The first columns of every row. The user's own columns follow.
COLUMNS = (
    *("source_key", "source_line", "sentiment", "score", "needs_review", "other_language"),
    *("error_code", "error_message"),
)
# What a user's column gets in front of a name that is one of ours.
_ORIGINAL = "original_"
_OURS = frozenset((*COLUMNS, *OWN_FIELDS))


@dataclass(slots=True)
class ResultRows:
    """Iterates over the rows of all results in a place, as JSON data by column.

    A row has the key of its source and the number of its line there: in a table of lines, of the first line
    (blank lines are not counted); in a workbook, of the row in the sheet; in Parquet and JSON arrays, of the
    record. A file that failed as a whole, or a table that is missing, is a row with an error and no line.

    Attributes:
        place: where the results are.
        settings: how tables are read.
        receipts: the number of receipts and other JSON files; known when the first row is read.
        done: how many of them are done.
        skipped: how many of them are not receipts of this version.
    """

    place: Place
    settings: Settings = field(default_factory=Settings)
    receipts: int = 0
    done: float = 0.0
    skipped: int = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, in the order of the results' keys.

        Raises:
            ReviewboxError: there are no results.
        """
        everything = list(self.place.list_keys())
        keys = [key for key in everything if is_receipt(key)]
        self.receipts = self.skipped = len(keys)
        for key, receipt in self._stored.receipts(iter(keys)):
            self.skipped -= 1
            done = self.done
            yield from self._of_receipt(key, receipt)
            self.done = done + 1
        if self.skipped < len(keys):
            return
        # Without receipts, a single table may have been named.
        tables = [key for key in everything if is_table(key)]
        if not tables:
            raise ReviewboxError(
                "no results here: neither receipts of this version nor classified tables; `reviewbox watch "
                "FOLDER` makes them from files of reviews, and `reviewbox backfill` updates those of a bucket"
            )
        has_results, reason = False, ""
        for key in tables:
            for row in self._of_part(key, source_of_table(key), Lines()):
                if row["source_line"] is None:
                    reason = reason or f"{key}: {row['error_message']}"
                else:
                    has_results = True
                yield row
        if reason and not has_results:
            raise ReviewboxError(reason)

    @property
    def _stored(self) -> StoredResults:
        return StoredResults(self.place, self.settings)

    def _of_receipt(self, key: str, receipt: Receipt) -> Iterator[dict[str, Any]]:
        content = receipt.content
        source = str(content["source"]["key"])
        if "counts" not in content:
            error = content.get("error", {})
            own = {**content, "error_code": error.get("code"), "error_message": error.get("message")}
            yield {"source_key": source, "source_line": None if error else 1} | {
                name: own.get(name) for name in COLUMNS[2:]
            }
            return
        share = 1 / max(1, content["counts"]["total"])
        lines = Lines.of(receipt)
        for part in receipt.parts:
            part_key = self.place.part_key(key, receipt, part)
            for row in self._of_part(part_key, source, lines, part.key):
                yield row
                self.done += share

    def _of_part(
        self, key: str | None, source: str, lines: Lines, name: str = ""
    ) -> Iterator[dict[str, Any]]:
        def read(table: Iterator[Cells]) -> Iterator[dict[str, Any]]:
            return (_row(row, source) for row in classified_rows(table, lines))

        stored, options = self.place.open(key) if key else None, table_options(self.settings)
        yield from read_table(stored, name or key or "", options, read, partial(_failed, source))
        lines.end_part()


def _row(row: ClassifiedRow, source: str) -> dict[str, Any]:
    others = {f"{_ORIGINAL}{name}" if name in _OURS else name: value for name, value in row.cells.items()}
    return {
        "source_key": source,
        "source_line": row.line,
        **row.outcome,
        **({"note": row.own["note"] or None} if "note" in row.own else {}),
        **others,
    }


def _failed(source: str, code: str, message: str) -> dict[str, Any]:
    row = dict.fromkeys(COLUMNS)
    return {**row, "source_key": source, "error_code": code, "error_message": message}
