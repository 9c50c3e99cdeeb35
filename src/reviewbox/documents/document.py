"""What every format gives: rows to classify, and for a table a way to write them back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reviewbox.errors import Problem

# What is added to a row of a table, or noted of a document.
Value = str | float | bool | None


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a document where its bytes do not say.

    Attributes:
        text_field: the field that holds the review; "" to go by the usual names.
        fallback_encoding: what bytes are read as that are not UTF-8; "" to refuse them.
    """

    text_field: str = ""
    fallback_encoding: str = ""


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
    """

    extension: str
    content_type: str
    fields: frozenset[str]
    render: Callable[[Row, Mapping[str, Value]], str]


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
