"""What every format returns: rows to classify and, for a table, how to write them back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Protocol

from reviewbox.errors import Problem

# A value that is added to a row of a table, or a note about a document.
Value = str | float | bool | None

# The longest line that is read, in bytes, or in characters for UTF-16 and UTF-32. It is four times the
# length of the longest review that is classified, to leave room for the other fields.
MAX_LINE_LENGTH = 4_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """The progress of a step of the work on a source, during which no row is classified."""

    name: str  # the name of the step, with the unit of the numbers
    done: float  # how much is done
    total: float | None  # how much there is to do; None if unknown


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a document."""

    text_field: str = ""  # the field that holds the review; "" to infer it
    fallback_encoding: str = ""  # the encoding of bytes that are not valid UTF-8; "" to refuse them
    max_bytes: int = 16 * 1024 * 1024  # the largest document that is read as a whole, decompressed
    segment_bytes: int = 1024 * 1024  # the size at which a segment of a table is full
    max_rows: int = 1_000_000  # the most rows of a table that is read as a whole, so that they fit in memory
    # The longest line of a table, or value of a JSON array, that is classified.
    max_line_length: int = MAX_LINE_LENGTH
    # Called repeatedly while a document is read; if it raises, reading stops.
    check_time: Callable[[], None] = field(default=lambda: None, compare=False)
    # Called repeatedly while a table is parsed before its first row, or written after its last.
    on_step: Callable[[Step], object] = field(default=lambda _: None, compare=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One review, or the reason why there is none."""

    line: int  # the number of its first line in the source, or of its row in a binary table, from 1
    text: str = ""  # the review; "" if there is a problem
    problem: Problem | None = None  # why there is no review
    raw: str = ""  # the source text of a table's row, from which the row is written back
    # Whether a quote opens in the row and does not close before the end of the source.
    open_at_end: bool = False
    note: str = ""  # what is unusual about the review, such as that it is the title; "" if nothing is
    # Whether the row is not a review but a part of the table that is written back as it is, such as a second
    # header row. It is neither classified nor counted.
    is_passthrough: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of a document are written back."""

    extension: str  # the extension of the written table, without a leading dot
    content_type: str  # the content type of the written table
    field_names: frozenset[str]  # the names of the fields that the first rows have
    # Returns the line for a row and the named values to add to it, line end included.
    render_row: Callable[[Row, Mapping[str, Value]], str]
    render_raw: Callable[[str], str]  # returns the `Row.raw` that stands for text that is not a row
    # Returns the text before all rows, given the names of the added fields.
    render_header: Callable[[Sequence[str]], str] = lambda _: ""
    # Returns the bytes to store for the bytes of the written table.
    compress: Callable[[bytes], bytes] = bytes
    has_notes: bool = False  # whether rows may have a note, so that a field for it is added

    def open_writer(self, added: Sequence[str]) -> "RowWriter":
        """Return a writer for all rows in order, given the names of the added fields."""
        return _LineWriter(self, added)


class _LineWriter:
    """Writes a table of lines back."""

    def __init__(self, table: Table, added: Sequence[str]) -> None:
        self._table = table
        self._content = BytesIO()
        self._append(table.render_header(added))

    def write(self, row: Row, added: Mapping[str, Value]) -> None:
        self._append(self._table.render_row(row, added))

    def finish(self) -> bytes:
        return self._content.getvalue()

    def _append(self, text: str) -> None:
        # Lone surrogates cannot be encoded as UTF-8. They stay legible.
        self._content.write(text.encode("utf-8", "backslashreplace"))


@dataclass(frozen=True, slots=True)
class Cells:
    """A row of a table as it is stored."""

    line: int  # the number of its first line, or of its row in a binary table, from 1
    lines: int  # how many lines it has
    values: Mapping[str, Any]  # its cells by column


class RowWriter(Protocol):
    """Writes a table back."""

    def write(self, row: Row, added: Mapping[str, Value]) -> None:
        """Take the next row and the named values to add to it."""

    def finish(self) -> bytes:
        """Return the bytes of the written table."""


@dataclass(frozen=True, slots=True)
class BinaryTable:
    """How the rows of a document are written back if they are not lines of text."""

    extension: str  # the extension of the written table, without a leading dot
    content_type: str  # the content type of the written table
    field_names: frozenset[str]  # the names of the user's fields
    # Returns a writer for all rows in order, given the names of the added fields. It may raise SourceError.
    open_writer: Callable[[Sequence[str]], RowWriter]
    # Returns the bytes to store for the bytes of the written table.
    compress: Callable[[bytes], bytes] = bytes
    has_notes: bool = False  # whether rows may have a note, so that a field for it is added


@dataclass(frozen=True, slots=True)
class Document:
    """A source that has been parsed.

    Attributes:
        rows: the rows in the order of the source; they can be read once, and reading them may raise
            SourceError. A single review has exactly one row.
        notes: returns what was inferred about the source, for the receipt; complete once all rows are read.
        table: how rows are written back; None for a single review.
        size: about how large the rows of a table are together: the UTF-8 bytes of what `Row.raw` holds, or
            the number of rows of a binary table; 0 if unknown before they are read.
        share: returns the share of the source that has been read, from 0 to 1; None if `size` gives it.
    """

    rows: Iterator[Row]
    notes: Callable[[], Mapping[str, Value]] = dict
    table: Table | BinaryTable | None = None
    size: int = 0
    share: Callable[[], float] | None = None

    def rows_with_shares(self) -> Iterator[tuple[Row, float]]:
        """Yield each row with the share of the document up to its end, from 0 to 1; 0 if it is not known."""
        is_binary, done = isinstance(self.table, BinaryTable), 0
        for row in self.rows:
            if self.table is None:
                yield row, 1.0
            elif self.size:
                done += 1 if is_binary else len(row.raw.encode("utf-8", "replace"))
                yield row, min(done / self.size, 1.0)
            else:
                yield row, self.share() if self.share else 0.0
