"""What every format gives: rows to classify, and for a table a way to write them back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reviewbox.errors import ErrorCode, Problem, SourceError

# What is added to a row of a table, or noted of a document.
Value = str | float | bool | None

# So many rows fit any function's memory with what is added to each.
MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a document where its bytes do not say.

    Attributes:
        text_field: the field that holds the review; "" to find it.
        fallback_encoding: what bytes are read as that are not UTF-8; "" to refuse them.
        max_bytes: a document that decompresses to more is refused.
    """

    text_field: str = ""
    fallback_encoding: str = ""
    max_bytes: int = 16 * 1024 * 1024


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
class Format:
    """A format, what it goes by, and its reader.

    Attributes:
        name: for people.
        extensions: of file names, in lower case, dot included.
        content_types: MIME types, in lower case, without parameters.
        read: bytes -> document; raises SourceError.
        looks_like: whether a text that begins like this is in this format, where neither its name
            nor its type says; a format that nobody can tell by looking is never taken for it.
    """

    name: str
    extensions: frozenset[str]
    content_types: frozenset[str]
    read: Callable[[bytes, ReadOptions], Document]
    looks_like: Callable[[str], bool] = lambda _: False


def refuse_too_many(rows: int) -> None:
    """Raise SourceError if a table has more rows than are classified at once."""
    if rows > MOST_ROWS:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the file has {rows:,} rows, and {MOST_ROWS:,} are classified at once: split it",
        )
