"""CSV and TSV: a record a row, one of its fields the review; dialect and header are found.

A record goes back as the very characters it came as, with the new fields added behind its last one.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

from reviewbox.documents.document import (
    LONGEST_LINE,
    AtRow,
    Format,
    Line,
    LineReader,
    Lines,
    ReadOptions,
    Row,
    Table,
    Value,
)
from reviewbox.documents.formats.csv.layout import Layout, find_layout
from reviewbox.documents.formats.csv.records import TEXT, Dialect, Record, read_records, whole
from reviewbox.documents.lines import at_line, refuse_binary_lines
from reviewbox.documents.review_field import MISSING, SAMPLE_ROWS, ColumnSample, is_usual
from reviewbox.documents.segments import read_table
from reviewbox.errors import ErrorCode, Problem, SourceError

# The extension and content type of the table that goes back.
_WRITTEN = {",": ("csv", "text/csv"), "\t": ("tsv", "text/tab-separated-values")}
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True)
class DelimitedTable:
    """A table of which each record is a row. Blank lines are none.

    Attributes:
        layout: how records are told apart, and what stands before them.
        text_column: the one that holds the review, from 0.
        mark: what the written table begins with: a byte-order mark, or nothing.
        extension: of the written table.
        content_type: of the written table.
        notes: what was found out, for the receipt.
    """

    layout: Layout
    text_column: int
    mark: str
    extension: str
    content_type: str
    notes: Mapping[str, Value]

    @classmethod
    def restore(cls, fields: Mapping[str, Any]) -> "DelimitedTable":
        """Make it of its `fields`."""
        layout = fields["layout"]
        return cls(**{**fields, "layout": Layout(**{**layout, "dialect": Dialect(**layout["dialect"])})})

    def fields(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @property
    def table(self) -> Table:
        """How rows are written back."""
        return Table(
            self.extension,
            self.content_type,
            frozenset(self.layout.names),
            partial(_render, self.layout),
            partial(_keep, self.layout),
            partial(_header, self.layout, self.mark),
        )

    def rows(self, lines: Iterable[Line]) -> Iterator[Row]:
        """Yield the rows that lines hold."""
        csv.field_size_limit(LONGEST_LINE)
        dialect = self.layout.dialect
        for record in _fitted_records(iter(lines), self.layout):
            if record.problem:
                yield Row(record.line, problem=record.problem, raw=record.raw)
                continue
            text = dialect.unescape(record.cells[self.text_column])
            if text in MISSING:
                problem = Problem(ErrorCode.MISSING_FIELD, f"there is {text} in place of a review")
                yield Row(record.line, problem=at_line(record.line, problem), raw=record.raw)
            else:
                yield Row(record.line, text, raw=record.raw)


def learn(lines: Lines, options: ReadOptions, at_row: AtRow, *, likely: str) -> DelimitedTable:
    """Look at all lines of a table.

    Args:
        lines: all of them.
        options: what they do not say.
        at_row: told of each row.
        likely: the delimiter, where several would do.

    Raises:
        SourceError: there is not one row, or no column that could be the review.
    """
    csv.field_size_limit(LONGEST_LINE)
    first_lines = lines.sample()
    refuse_binary_lines(first_lines)
    layout = find_layout(first_lines, options, likely)
    body = chain(first_lines[len(layout.preamble) :], lines)

    sample, rows = ColumnSample(), 0
    for record in islice(_fitted_records(body, layout), layout.header is not None, None):
        rows += 1
        at_row(record.line, record.problem)
        if rows <= SAMPLE_ROWS and not record.problem:
            sample.add(zip(layout.names, map(layout.dialect.unescape, record.cells), strict=True))
    if not rows:
        raise SourceError(ErrorCode.HEADER_ONLY, "the table has a header and no rows")
    text_field, found = sample.text_field(layout.names, options)
    namesakes = layout.names.count(text_field)
    if namesakes > 1:
        message = f"{namesakes} columns are called {text_field!r}: rename all but the one of the reviews"
        raise SourceError(ErrorCode.DUPLICATE_FIELD, message)
    notes: dict[str, Value] = {
        **lines.notes(options),
        "delimiter": _NAMES.get(layout.dialect.delimiter, layout.dialect.delimiter),
        "quotes": layout.dialect.quotes,
        "header": layout.header is not None,
        **found,
    }
    # Excel takes text for UTF-8 only behind a mark; what was UTF-8 without one needs none.
    is_marked = "fallback_encoding" in notes or lines.marked
    return DelimitedTable(
        layout,
        layout.names.index(text_field),
        "\N{ZERO WIDTH NO-BREAK SPACE}" if is_marked else "",
        *_WRITTEN[likely],
        notes,
    )


def _fitted_records(lines: Iterator[Line], layout: Layout) -> Iterator[Record]:
    return (_fitted(record, layout) for record in read_records(lines, layout.dialect))


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
    preamble = mark + "".join(layout.preamble)
    if layout.header is None:
        return preamble
    return preamble + layout.dialect.delimiter.join([layout.header, *names]) + layout.end


def _looks_like(delimiter: str, text: str) -> bool:
    header, _, rest = text.partition("\n")
    names = header.strip().split(delimiter)
    return len(names) > 1 and bool(rest.strip()) and any(is_usual(name.strip('"')) for name in names)


CSV_READER = LineReader("CSV", partial(learn, likely=","), DelimitedTable.restore)
TSV_READER = LineReader("TSV", partial(learn, likely="\t"), DelimitedTable.restore)
CSV = Format(
    "CSV",
    frozenset({".csv"}),
    frozenset({"text/csv", "application/csv"}),
    partial(read_table, CSV_READER),
    lambda text: any(_looks_like(delimiter, text) for delimiter in ",;|"),
    lambda _: CSV_READER,
)
TSV = Format(
    "TSV",
    frozenset({".tsv", ".tab"}),
    frozenset({"text/tab-separated-values"}),
    partial(read_table, TSV_READER),
    partial(_looks_like, "\t"),
    lambda _: TSV_READER,
)
