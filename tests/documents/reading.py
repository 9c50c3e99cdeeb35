"""Read a table, and see what it says and how it goes back."""

import pytest

from reviewbox.documents import Document, ReadOptions, read_document
from reviewbox.errors import ErrorCode, Problem, SourceError
from reviewbox.model.verdicts import Verdict
from reviewbox.results.table_writer import TableWriter

OPTIONS = ReadOptions(fallback_encoding="windows-1252")
VERDICT = Verdict("positive", 0.87654, {"negative": 0.12346, "positive": 0.87654}, 7, 1, ())
# What `VERDICT` adds to a row of a table.
ADDED = ["positive", "0.8765", "false", "", ""]
NAMES = ["sentiment", "score", "needs_review", "error_code", "error_message"]


def document(name: str, data: bytes | str, options: ReadOptions = OPTIONS) -> Document:
    """Read as a file of that name."""
    return read_document(name, "", data.encode() if isinstance(data, str) else data, options)


def texts(read: Document) -> list[str]:
    """The reviews, "" where there is a problem."""
    return [row.text for row in read.rows]


def problems(read: Document) -> list[tuple[int, ErrorCode]]:
    """The rows' problems, by line; each message begins with a line, and repeats no review."""
    found = [(row.line, row.problem) for row in read.rows if row.problem]
    assert all(problem.message.startswith("line ") for _, problem in found)
    assert not any("secret" in problem.message for _, problem in found)
    return [(line, problem.code) for line, problem in found]


def written(read: Document) -> str:
    """The table as it goes back, each row with its own problem or else `VERDICT`."""
    assert read.table is not None
    writer = TableWriter(read.table, 0.8)
    return writer.header + "".join(writer.render(row, row.problem or VERDICT) for row in read.rows)


def refusal(name: str, data: bytes | str, options: ReadOptions = OPTIONS) -> Problem:
    """Why a file is refused."""
    with pytest.raises(SourceError) as raised:
        document(name, data, options)
    return raised.value.problem
