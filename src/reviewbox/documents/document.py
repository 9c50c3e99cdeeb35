"""What every format gives: rows to classify, and for a table a way to write them back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reviewbox.errors import ErrorCode, Problem, SourceError

# What is added to a row of a table, or noted of a document.
Value = str | float | bool | None

# So many rows fit any function's memory with what is added to each.
MOST_ROWS = 1_000_000

# Four times the longest review that is classified, for the fields beside it.
LONGEST_LINE = 4_000_000  # bytes, or characters where a character takes several

# What decides how a table is laid out: its first lines, but no more than fit any memory.
_SAMPLE_LINES = 1000


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a document where its bytes do not say.

    Attributes:
        text_field: the field that holds the review; "" to find it.
        fallback_encoding: what bytes are read as that are not UTF-8; "" to refuse them.
        max_bytes: a document that decompresses to more is refused, unless it is read in segments.
        segment_bytes: how large a segment of a table is.
    """

    text_field: str = ""
    fallback_encoding: str = ""
    max_bytes: int = 16 * 1024 * 1024
    segment_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One review, or why there is none in its place.

    Attributes:
        line: where it starts in the source, from 1.
        text: the review; "" if there is a problem.
        problem: why there is no review.
        raw: a table's row as it was, so that it can be given back whole.
    """

    line: int
    text: str = ""
    problem: Problem | None = None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """How a document's rows are written back.

    Attributes:
        extension: of the written table, without a dot.
        content_type: of the written table.
        fields: the names that rows use already.
        render: a row and the named values to add to it -> a line of text, its end included.
        keep: text that is no row -> a `Row.raw` that gives it back.
        header: the names of what will be added -> what stands before all rows.
        compress: the written table -> as it is stored.
    """

    extension: str
    content_type: str
    fields: frozenset[str]
    render: Callable[[Row, Mapping[str, Value]], str]
    keep: Callable[[str], str]
    header: Callable[[Sequence[str]], str] = lambda _: ""
    compress: Callable[[bytes], bytes] = bytes


@dataclass(frozen=True, slots=True)
class Document:
    """A source, understood.

    Attributes:
        rows: in the source's order, each time they are iterated over; exactly one if it is a
            single review.
        notes: what was found out while reading, for the receipt.
        table: how rows go back; None if the source is a single review.
    """

    rows: Iterable[Row]
    notes: Mapping[str, Value] = field(default_factory=dict)
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Line:
    r"""A line, its end included.

    Attributes:
        number: from 1.
        text: as it was decoded; what cannot be is spelt out (`\x81`).
        fallback: whether only the fallback encoding could read it.
        problem: why it is no line of text.
    """

    number: int
    text: str
    fallback: bool = False
    problem: Problem | None = None


class Lines:
    """Lines, one after the other, and what was seen of their encodings so far.

    Attributes:
        marked: the encoding that a byte-order mark named; None if there was none.
    """

    def __init__(self, lines: Iterator[Line], marked: str | None) -> None:
        self.marked = marked
        self._lines = lines
        self._in_fallback = 0

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        line = next(self._lines)
        self._in_fallback += line.fallback
        return line

    def sample(self) -> list[Line]:
        """Return the first lines, which will not come again: what decides how a table is laid out."""
        sample: list[Line] = []
        size = 0
        while len(sample) < _SAMPLE_LINES and size < LONGEST_LINE and (line := next(self, None)):
            sample.append(line)
            size += len(line.text)
        return sample

    def notes(self, options: ReadOptions) -> dict[str, Value]:
        """Return what a receipt says of the encoding of the lines so far."""
        notes: dict[str, Value] = {"encoding": self.marked or "utf-8"}
        if self._in_fallback:
            notes |= {
                "fallback_encoding": options.fallback_encoding,
                "lines_in_fallback_encoding": self._in_fallback,
            }
        return notes


class LineTable(Protocol):
    """What must be known of a table of lines to read any of its rows, once all have been looked at."""

    @property
    def notes(self) -> Mapping[str, Value]:
        """What was found out, for the receipt."""

    @property
    def table(self) -> Table:
        """How rows are written back."""

    def rows(self, lines: Iterable[Line]) -> Iterator[Row]:
        """Yield the rows that lines hold, whose first begins a row."""

    def fields(self) -> dict[str, Any]:
        """Return it as JSON holds it, for `LineReader.restore`."""


# Told of each row, in order, when it is first looked at: its first line's number, and what is wrong.
AtRow = Callable[[int, Problem | None], None]


@dataclass(frozen=True, slots=True)
class LineReader:
    """How tables whose rows are lines are read, without holding all of one.

    Attributes:
        name: of what is restored.
        learn: all lines -> the table; raises SourceError.
        restore: what `LineTable.fields` returned -> the table.
    """

    name: str
    learn: Callable[[Lines, ReadOptions, AtRow], LineTable]
    restore: Callable[[Mapping[str, Any]], LineTable]


@dataclass(frozen=True, slots=True)
class Format:
    """A format, what it goes by, and its reader.

    Attributes:
        name: for people.
        extensions: of file names, in lower case, dot included.
        content_types: MIME types, in lower case, without parameters.
        read: bytes -> document; raises SourceError.
        looks_like: whether a text that begins like this is in this format, where neither its name
            nor its type says; a format that nobody can tell by looking is never taken for it.
        line_reader: how a text that begins like this is read line by line; None if it cannot be.
    """

    name: str
    extensions: frozenset[str]
    content_types: frozenset[str]
    read: Callable[[bytes, ReadOptions], Document]
    looks_like: Callable[[str], bool] = lambda _: False
    line_reader: Callable[[str], LineReader | None] = lambda _: None


def refuse_too_many(rows: int) -> None:
    """Raise SourceError if a table has more rows than are classified at once."""
    if rows > MOST_ROWS:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the file has {rows:,} rows, and {MOST_ROWS:,} are classified at once: split it",
        )
