"""Helpers that read a file and show its reviews, its problems and how it is written back."""

from collections.abc import Mapping
from dataclasses import dataclass

from reviewbox.documents import BinaryTable, Document, ReadOptions, Row, Table, Value, read_document
from reviewbox.errors import ErrorCode, Problem, SourceError
from reviewbox.model.verdicts import Verdict
from reviewbox.results.added_fields import AddedFields

OPTIONS = ReadOptions(fallback_encoding="windows-1252")
VERDICT = Verdict("positive", 0.87654, {"negative": 0.12346, "positive": 0.87654}, 7, 1, 0.98)
# The values that `VERDICT` adds to a row of a table.
ADDED = ["positive", "0.8765", "false", "false", "", ""]
NAMES = ["sentiment", "score", "needs_review", "other_language", "error_code", "error_message"]


@dataclass(frozen=True)
class ReadDocument:
    """A document whose rows have all been read.

    Attributes:
        rows: the rows.
        notes: the notes for the receipt.
        table: how rows are written back; None for a single review.
    """

    rows: list[Row]
    notes: Mapping[str, Value]
    table: Table | None


def read_all(document: Document) -> ReadDocument:
    """Read all rows of a document that is not a binary table."""
    assert not isinstance(document.table, BinaryTable)
    rows = list(document.rows)
    return ReadDocument(rows, document.notes(), document.table)


def document(
    name: str, data: bytes | str, options: ReadOptions = OPTIONS, content_type: str = ""
) -> ReadDocument:
    """Read a file with this name and content."""
    encoded = data.encode() if isinstance(data, str) else data
    return read_all(read_document(name, content_type, encoded, options))


def texts(read: ReadDocument) -> list[str]:
    """Return the reviews; "" for a row with a problem."""
    return [row.text for row in read.rows if not row.is_passthrough]


def problems(read: ReadDocument) -> list[tuple[int, ErrorCode]]:
    """Return line and code of each problem; each message starts with the line and repeats no review."""
    found = [(row.line, row.problem) for row in read.rows if row.problem]
    assert all(problem.message.startswith("line ") for _, problem in found)
    assert not any("secret" in problem.message for _, problem in found)
    return [(line, problem.code) for line, problem in found]


def written_rows(read: ReadDocument, outcome: Verdict | Problem = VERDICT) -> list[str]:
    """Return the rows as they are written back, each with its own problem or else `outcome`."""
    assert read.table is not None
    added = AddedFields(read.table, 0.8)
    outcomes = [None if row.is_passthrough else row.problem or outcome for row in read.rows]
    return [
        read.table.render_row(row, added.values(row, given))
        for row, given in zip(read.rows, outcomes, strict=True)
    ]


def written(read: ReadDocument) -> str:
    """Return the table as it is written back, each row with its own problem or else `VERDICT`."""
    assert read.table is not None
    header = read.table.render_header(AddedFields(read.table, 0.8).names)
    return header + "".join(written_rows(read))


def refusal(name: str, data: bytes | str, options: ReadOptions = OPTIONS, content_type: str = "") -> Problem:
    """Return the problem for which a whole file is refused."""
    outcome = attempt(name, data, options, content_type)
    assert isinstance(outcome, Problem)
    return outcome


def attempt(
    name: str, data: bytes | str, options: ReadOptions = OPTIONS, content_type: str = ""
) -> ReadDocument | Problem:
    """Read a file, or return the problem for which it is refused."""
    try:
        return document(name, data, options, content_type)
    except SourceError as error:
        return error.problem
