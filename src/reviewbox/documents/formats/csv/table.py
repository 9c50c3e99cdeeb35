"""CSV and TSV. Each record is a row, and one of its fields is the review. Dialect and header are inferred.

A record is written back with the characters it was read with. The new fields are added at its end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import dropwhile
from typing import Any

from reviewbox.documents.document import ReadOptions, Row, Table, Value
from reviewbox.documents.format import Format
from reviewbox.documents.formats.csv.dialect import TEXT, Dialect
from reviewbox.documents.formats.csv.layout import Layout, infer_layout
from reviewbox.documents.formats.csv.records import Record, read_records
from reviewbox.documents.line_tables import LineFormat, read_table
from reviewbox.documents.lines import Line, Lines, at_line, refuse_binary_lines
from reviewbox.documents.review_field import MISSING, ColumnSample, is_usual
from reviewbox.errors import ErrorCode, Problem, SourceError

# The extension and content type of the written table, by the delimiter of the format.
_WRITTEN_AS = {",": ("csv", "text/csv"), "\t": ("tsv", "text/tab-separated-values")}
_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True)
class DelimitedSchema:
    """The schema of a delimited table. Blank lines are not rows.

    Attributes:
        layout: how records are separated, and what precedes them.
        text_column: the index of the column that holds the review.
        bom: the byte-order mark of the written table, or "".
        extension: the extension of the written table.
        content_type: the content type of the written table.
        notes: what was inferred, for the receipt.
    """

    layout: Layout
    text_column: int
    bom: str
    extension: str
    content_type: str
    notes: Mapping[str, Value]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "DelimitedSchema":
        """Return the schema for the data that `to_dict` returned."""
        return cls(**{**data, "layout": Layout.from_dict(data["layout"])})

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)

    @property
    def table(self) -> Table:
        """How rows are written back."""
        return Table(
            self.extension,
            self.content_type,
            frozenset(self.layout.names),
            partial(_render_row, self.layout),
            partial(_render_raw, self.layout),
            partial(_render_header, self.layout, self.bom),
        )

    def rows(self, lines: Iterable[Line]) -> Iterator[Row]:
        """Yield the rows of a whole table, or of lines of it that start with a row.

        Raises:
            SourceError: there is no row.
        """
        record = None
        for record in _records(lines, self.layout):
            if record.problem:
                yield Row(record.line, "", record.problem, record.raw, record.open_at_end)
                continue
            text = self.layout.dialect.unescape(record.cells[self.text_column])
            if text in MISSING:
                problem = Problem(ErrorCode.MISSING_FIELD, f"the review field holds {text}, not a review")
                yield Row(record.line, problem=at_line(record.line, problem), raw=record.raw)
            else:
                yield Row(record.line, text, raw=record.raw)
        if record is None:
            raise _header_only()


def infer(lines: Lines, options: ReadOptions, *, preferred_delimiter: str) -> DelimitedSchema:
    """Infer the schema of a table from its first lines.

    Args:
        lines: the lines of the table.
        options: how to read them.
        preferred_delimiter: the delimiter to use if several fit.

    Raises:
        SourceError: there is no row, or no field that can be the review.
    """
    sample = lines.sample()
    refuse_binary_lines(sample.lines)
    layout = infer_layout(sample.lines, options, preferred_delimiter)
    records = list(_records(sample.lines, layout))
    if sample.is_all and not records:
        raise _header_only()
    columns = ColumnSample()
    if not records:  # the rows are below many blank lines; the names alone decide
        columns.add((name, "") for name in layout.names)
    for record in records:
        if not record.problem:
            columns.add(zip(layout.names, map(layout.dialect.unescape, record.cells), strict=True))
    field = columns.select(layout.names, options)
    namesakes = layout.names.count(field.name)
    if namesakes > 1:
        raise SourceError(
            ErrorCode.DUPLICATE_FIELD,
            f"{namesakes} columns are called {field.name!r}; rename all but the one that holds the reviews",
        )
    notes: dict[str, Value] = {
        "delimiter": _DELIMITER_NAMES.get(layout.dialect.delimiter, layout.dialect.delimiter),
        "quotes": layout.dialect.quotes,
        "header": layout.header is not None,
        **field.notes,
    }
    # Without a byte-order mark, Excel does not recognize UTF-8. A table that was UTF-8 without one stays so.
    needs_bom = lines.bom is not None or any(line.in_fallback for line in sample.lines)
    return DelimitedSchema(
        layout,
        layout.names.index(field.name),
        "\N{ZERO WIDTH NO-BREAK SPACE}" if needs_bom else "",
        *_WRITTEN_AS[preferred_delimiter],
        notes,
    )


def _records(lines: Iterable[Line], layout: Layout) -> Iterator[Record]:
    """Yield the records after the header row, each with one cell per column."""
    body = dropwhile(lambda line: line.number <= len(layout.preamble), lines)
    for record in read_records(body, layout.dialect):
        if record.line != layout.header_line:
            yield _fit(record, layout)


def _header_only() -> SourceError:
    return SourceError(ErrorCode.HEADER_ONLY, "the table has a header and no rows")


def _fit(record: Record, layout: Layout) -> Record:
    """Return a record with one cell per column.

    A record with more or fewer cells has a problem, but it can be written back so that the table loads:
    missing cells are empty, and surplus cells are joined in the last column.
    """
    dialect, width = layout.dialect, len(layout.names)
    cells, problem = record.cells, record.problem
    if not problem and len(cells) > width:
        if width == 1:
            cells = record.as_one_cell().cells
        elif not any(cells[width:]):
            cells = cells[:width]
    if not problem and len(cells) != width:
        expected = "most rows have" if layout.header is None else "the header has"
        message = f"{len(cells)} fields, but {expected} {width}; check for a missing delimiter or quote"
        problem = at_line(record.line, Problem(ErrorCode.RAGGED_ROW, message))
    if cells is record.cells and not problem and record.is_tidy:
        return record
    surplus = [dialect.delimiter.join(cells[width - 1 :])] if len(cells) > width else cells[width - 1 :]
    cells = [*cells[: width - 1], *surplus]
    cells += [""] * (width - len(cells))
    return Record(record.line, dialect.join(cells), cells, problem, open_at_end=record.open_at_end)


def _render_row(layout: Layout, row: Row, added: Mapping[str, Value]) -> str:
    dialect = layout.dialect
    cells = dialect.join([_render_value(dialect, value) for value in added.values()])
    return row.raw + dialect.delimiter + cells + layout.line_end


def _render_value(dialect: Dialect, value: Value) -> str:
    if value is None:
        return "\\N" if dialect.quotes == TEXT else ""
    if isinstance(value, bool):
        return str(value).lower()
    return dialect.escape(str(value))


def _render_raw(layout: Layout, text: str) -> str:
    return layout.dialect.join([layout.dialect.escape(text)] + [""] * (len(layout.names) - 1))


def _render_header(layout: Layout, bom: str, names: Sequence[str]) -> str:
    preamble = bom + "".join(layout.preamble)
    if layout.header is None:
        return preamble
    return preamble + layout.dialect.delimiter.join([layout.header, *names]) + layout.line_end


def _looks_like(delimiter: str, head: str) -> bool:
    header, _, rest = head.partition("\n")
    names = header.strip().split(delimiter)
    return len(names) > 1 and bool(rest.strip()) and any(is_usual(name.strip('"')) for name in names)


CSV_LINES = LineFormat("CSV", partial(infer, preferred_delimiter=","), DelimitedSchema.from_dict)
TSV_LINES = LineFormat("TSV", partial(infer, preferred_delimiter="\t"), DelimitedSchema.from_dict)
CSV = Format(
    "CSV",
    frozenset({".csv"}),
    frozenset({"text/csv", "application/csv"}),
    partial(read_table, CSV_LINES),
    lambda head: any(_looks_like(delimiter, head) for delimiter in ",;|"),
    lambda _: CSV_LINES,
)
TSV = Format(
    "TSV",
    frozenset({".tsv", ".tab"}),
    frozenset({"text/tab-separated-values"}),
    partial(read_table, TSV_LINES),
    partial(_looks_like, "\t"),
    lambda _: TSV_LINES,
)
