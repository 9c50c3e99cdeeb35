"""Helpers that read a binary table and write it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.documents.reading import OPTIONS, VERDICT

from reviewbox.documents import BinaryTable, ReadOptions, Row, Value, read_document
from reviewbox.errors import Problem, SourceError
from reviewbox.results.added_fields import AddedFields
from reviewbox.results.receipt import Counts


@dataclass(frozen=True)
class WrittenTable:
    """A binary table that was read and written back, each row with its own problem or else `VERDICT`.

    Attributes:
        rows: the rows that were read.
        notes: the notes for the receipt.
        extension: the extension of the written table.
        body: the bytes of the written table.
        counts: the counts of its rows.
    """

    rows: list[Row]
    notes: Mapping[str, Value]
    extension: str
    body: bytes
    counts: Counts

    @property
    def texts(self) -> list[str]:
        """The reviews; "" for a row with a problem."""
        return [row.text for row in self.rows]


def write_back(name: str, data: bytes, options: ReadOptions = OPTIONS) -> WrittenTable:
    """Read a file and write it back."""
    document = read_document(name, "", data, options)
    table = document.table
    assert isinstance(table, BinaryTable)
    added = AddedFields(table, 0.8)
    writer = table.open_writer(added.names)
    rows = []
    for row in document.rows:
        rows.append(row)
        writer.write(row, added.values(row, None if row.is_passthrough else row.problem or VERDICT))
    body = table.compress(writer.finish())
    return WrittenTable(rows, document.notes(), table.extension, body, added.counts)


def refusal(name: str, data: bytes, options: ReadOptions = OPTIONS) -> Problem:
    """Return the problem for which a whole file is refused."""
    try:
        list(read_document(name, "", data, options).rows)
    except SourceError as error:
        return error.problem
    raise AssertionError("the file is not refused")


def panicking_parquet() -> bytes:
    """Return a Parquet file with a damaged page that ends the process of the library that decodes it."""
    case = Path(__file__).parents[2] / "fuzz" / "corpus" / "documents" / "page_that_panics.parquet"
    return case.read_bytes().partition(b"\n")[2]
