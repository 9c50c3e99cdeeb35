"""CSV and TSV: a record a row, one of its fields the review; dialect and header are found.

A record goes back as the very characters it came as, with the new fields added behind its last one.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from reviewbox.documents.columns import MISSING, SAMPLE_ROWS, ColumnSample, is_usual
from reviewbox.documents.document import Document, Format, ReadOptions, Row, Table, Value, refuse_too_many
from reviewbox.documents.encodings import marked_encoding
from reviewbox.documents.layout import SAMPLE_LINES, Layout, find_layout
from reviewbox.documents.lines import (
    LONGEST_LINE,
    at_line,
    encoding_notes,
    read_lines,
    refuse_binary_lines,
)
from reviewbox.documents.records import TEXT, Dialect, Record, read_records, whole
from reviewbox.errors import ErrorCode, Problem, SourceError

_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read(data: bytes, options: ReadOptions, *, likely: str, extension: str, content_type: str) -> Document:
    """Read a table of reviews. Blank lines are no rows.

    Args:
        data: its bytes.
        options: what they do not say.
        likely: the delimiter, where several would do.
        extension: of the table that goes back.
        content_type: of the table that goes back.

    Raises:
        SourceError: there is not one row, or too many, or no column that could be the review.
    """
    refuse_binary_lines(data, options)
    csv.field_size_limit(LONGEST_LINE)
    layout = find_layout(list(islice(read_lines(data, options), SAMPLE_LINES)), options, likely)
    records = partial(_body, data, options, layout)

    sample, rows = ColumnSample(), 0
    for record in records():
        rows += 1
        if rows <= SAMPLE_ROWS and not record.problem:
            sample.add(zip(layout.names, map(layout.dialect.unescape, record.cells), strict=True))
    if not rows:
        raise SourceError(ErrorCode.HEADER_ONLY, "the table has a header and no rows")
    refuse_too_many(rows)
    text_field, found = sample.text_field(layout.names, options)
    namesakes = layout.names.count(text_field)
    if namesakes > 1:
        message = f"{namesakes} columns are called {text_field!r}: rename all but the one of the reviews"
        raise SourceError(ErrorCode.DUPLICATE_FIELD, message)

    encoding = encoding_notes(data, read_lines(data, options), options)
    # Excel takes text for UTF-8 only behind a mark; what was UTF-8 without one needs none.
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}" if "fallback_encoding" in encoding or marked_encoding(data) else ""
    return Document(
        rows=_Rows(records, layout.dialect, layout.names.index(text_field)),
        notes={
            **encoding,
            "delimiter": _NAMES.get(layout.dialect.delimiter, layout.dialect.delimiter),
            "quotes": layout.dialect.quotes,
            "header": layout.header is not None,
            **found,
        },
        table=Table(
            extension,
            content_type,
            frozenset(layout.names),
            partial(_render, layout),
            partial(_keep, layout),
            partial(_header, layout, mark),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table, parsed anew at each iteration."""

    records: Callable[[], Iterator[Record]]
    dialect: Dialect
    text_column: int

    def __iter__(self) -> Iterator[Row]:
        for record in self.records():
            if record.problem:
                yield Row(record.line, problem=record.problem, raw=record.raw)
                continue
            text = self.dialect.unescape(record.cells[self.text_column])
            if text in MISSING:
                problem = Problem(ErrorCode.MISSING_FIELD, f"there is {text} in place of a review")
                yield Row(record.line, problem=at_line(record.line, problem), raw=record.raw)
            else:
                yield Row(record.line, text, raw=record.raw)


def _body(data: bytes, options: ReadOptions, layout: Layout) -> Iterator[Record]:
    """Yield the records behind the header, each with as many cells as there are columns."""
    lines = islice(read_lines(data, options), len(layout.preamble), None)
    records = islice(read_records(lines, layout.dialect), layout.header is not None, None)
    return (_fitted(record, layout) for record in records)


def _fitted(record: Record, layout: Layout) -> Record:
    """Give a record as many cells as there are columns.

    One that has more, or fewer, keeps them all, in their places and the surplus in the last column,
    so that the table can be loaded.
    """
    dialect, width = layout.dialect, len(layout.names)
    cells, problem = record.cells, record.problem
    if not problem and len(cells) > width:
        if width == 1:
            cells = whole(record).cells
        elif not any(cells[width:]):
            cells = cells[:width]
    if not problem and len(cells) != width:
        message = f"{len(cells)} fields, and the header has {width}: is a delimiter or a quote missing?"
        if layout.header is None:
            message = f"{len(cells)} fields, and the first row has {width}"
        problem = at_line(record.line, Problem(ErrorCode.RAGGED_ROW, message))
    if cells is record.cells and not problem and record.tidy:
        return record
    surplus = [dialect.delimiter.join(cells[width - 1 :])] if len(cells) > width else cells[width - 1 :]
    cells = [*cells[: width - 1], *surplus]
    cells += [""] * (width - len(cells))
    return Record(record.line, dialect.join(cells), cells, problem)


def _render(layout: Layout, row: Row, added: Mapping[str, Value]) -> str:
    dialect = layout.dialect
    return (
        dialect.delimiter.join([row.raw, dialect.join([_cell(dialect, v) for v in added.values()])])
        + layout.end
    )


def _cell(dialect: Dialect, value: Value) -> str:
    if value is None:
        return "\\N" if dialect.quotes == TEXT else ""
    if isinstance(value, bool):
        return str(value).lower()
    return dialect.escape(str(value))


def _keep(layout: Layout, text: str) -> str:
    width = len(layout.names)
    return layout.dialect.join([layout.dialect.escape(text)] + [""] * (width - 1))


def _header(layout: Layout, mark: str, names: Sequence[str]) -> str:
    preamble = mark + "".join(line.text for line in layout.preamble)
    if layout.header is None:
        return preamble
    return preamble + layout.dialect.delimiter.join([layout.header.raw, *names]) + layout.end


def _looks_like(delimiter: str, text: str) -> bool:
    header, _, rest = text.partition("\n")
    names = header.strip().split(delimiter)
    return len(names) > 1 and bool(rest.strip()) and any(is_usual(name.strip('"')) for name in names)


CSV = Format(
    "CSV",
    frozenset({".csv"}),
    frozenset({"text/csv", "application/csv"}),
    partial(read, likely=",", extension="csv", content_type="text/csv"),
    lambda text: any(_looks_like(delimiter, text) for delimiter in ",;|"),
)
TSV = Format(
    "TSV",
    frozenset({".tsv", ".tab"}),
    frozenset({"text/tab-separated-values"}),
    partial(read, likely="\t", extension="tsv", content_type="text/tab-separated-values"),
    partial(_looks_like, "\t"),
)
