"""CSV and TSV. Each record is a row, and one of its fields is the review. Dialect and header are inferred.

A record is written back with the characters it was read with. The new fields are added at its end.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import dropwhile
from sys import maxsize
from typing import Any

from reviewbox.documents.document import Cells, ReadOptions, Row, Table, Value
from reviewbox.documents.format import Format
from reviewbox.documents.formats.columns import TOTALS, column_keys, is_summary
from reviewbox.documents.formats.csv.columns import Columns
from reviewbox.documents.formats.csv.dialect import TEXT, Dialect
from reviewbox.documents.formats.csv.layout import Layout, infer_layout, plain_delimiter
from reviewbox.documents.formats.csv.records import Record, read_records
from reviewbox.documents.line_tables import LineFormat, read_table
from reviewbox.documents.lines import Line, Lines, at_line, refuse_unreadable_lines
from reviewbox.documents.pacing import paced
from reviewbox.documents.review_field import TITLE_NOTE
from reviewbox.documents.value_kinds import MISSING
from reviewbox.errors import ErrorCode, Problem, SourceError

# The extension and content type of the written table, by the delimiter of the format.
_WRITTEN_AS = {",": ("csv", "text/csv"), "\t": ("tsv", "text/tab-separated-values")}
_DELIMITER_NAMES = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "bar",
    "~": "tilde",
    "^": "caret",
    "\x01": "control-a",
    " ": "space",
}


@dataclass(frozen=True, slots=True)
class DelimitedSchema:
    """The schema of a delimited table. Blank lines are not rows."""

    layout: Layout  # how records are separated, and what precedes and follows them
    text_columns: list[int]  # the indexes of the columns that hold the review
    title_column: int | None  # the index of the column that holds its title; None without one
    bom: str  # the byte-order mark of the written table, or ""
    extension: str  # the extension of the written table
    content_type: str  # the content type of the written table
    inferred: Mapping[str, Value]  # what was inferred, for the receipt
    _counts: Counter[str] = field(default_factory=Counter, init=False, compare=False, repr=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "DelimitedSchema":
        """Return the schema for the data that `to_dict` returned."""
        return cls(**{**data, "layout": Layout.from_dict(data["layout"])})

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as JSON data."""
        data = asdict(self)
        del data["_counts"]
        return data

    @property
    def notes(self) -> Mapping[str, Value]:
        """What was inferred, and the number of special rows among those that were read last."""
        return {**self.inferred, **self._counts}

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
            has_notes=self.title_column is not None,
        )

    def rows(self, lines: Iterable[Line]) -> Iterator[Row]:
        """Yield the rows of a whole table, or of lines of it that start with a row.

        Raises:
            SourceError: there is no row.
        """
        self._counts.clear()
        # The usual row has a text that needs no further checks.
        is_simple = len(self.text_columns) == 1 and self.layout.dialect.quotes != TEXT
        is_simple = is_simple and not self.layout.more_headers
        column, footer_line = self.text_columns[0], self.layout.footer_line or maxsize
        unusual = {*MISSING, *TOTALS, self.layout.names[column]}
        record = None
        for record in _records(lines, self.layout):
            text = record.cells[column]
            is_usual = is_simple and text not in unusual and not text.isspace() and text
            if is_usual and record.problem is None and record.line < footer_line:
                yield Row(record.line, text, raw=record.raw)
            elif kind := self._special_kind(record):
                self._counts[kind] += 1
                yield Row(record.line, raw=record.raw, is_passthrough=True)
            elif record.problem:
                yield Row(record.line, "", record.problem, record.raw, record.open_at_end)
            else:
                yield self._row(record)
        if record is None:
            raise _header_only()

    def _special_kind(self, record: Record) -> str:
        kind = _special_kind(record, self.layout)
        is_total = not kind and not record.problem and is_summary(record.cells, self.text_columns)
        return "footer_lines" if is_total else kind

    def _row(self, record: Record) -> Row:
        cells = [self.layout.dialect.unescape(record.cells[column]) for column in self.text_columns]
        texts = [cell for cell in cells if cell.strip() and cell not in MISSING]
        note = ""
        if not texts and self.title_column is not None:
            title = self.layout.dialect.unescape(record.cells[self.title_column])
            if title.strip() and title not in MISSING:
                texts, note = [title], TITLE_NOTE
                self._counts["titles_classified"] += 1
        missing = next((cell for cell in cells if cell in MISSING), None)
        if not texts and missing:
            problem = Problem(ErrorCode.MISSING_FIELD, f"the review field holds {missing}, not a review")
            return Row(record.line, problem=at_line(record.line, problem), raw=record.raw)
        return Row(record.line, "\n\n".join(texts) or cells[0], raw=record.raw, note=note)


def infer(lines: Lines, options: ReadOptions, *, preferred_delimiter: str) -> DelimitedSchema:
    """Infer the schema of a table from its first lines.

    `preferred_delimiter` is used if several fit.

    Raises:
        SourceError: there is no row, or no field that can be the review.
    """
    sample = lines.sample()
    refuse_unreadable_lines(sample.lines, options)
    options.check_time()
    inferred = infer_layout(sample.lines, preferred_delimiter, options.text_field, is_all=sample.is_all)
    layout = inferred.layout
    rows = [record for record in _records(sample.lines, layout) if not _special_kind(record, layout)]
    if not rows:
        raise _header_only()
    columns = Columns(layout.names, inferred.titles)
    for record in paced(rows, options.check_time, lambda record: len(record.raw)):
        if not record.problem:
            columns.add([layout.dialect.unescape(cell) for cell in record.cells])
    if not options.text_field and rows[0].problem and all(record.problem for record in rows):
        raise SourceError(rows[0].problem.code, f"no row can be read; {rows[0].problem.message}")
    choice = columns.select(options)
    # Without a byte-order mark, Excel does not recognize UTF-8. A table that was UTF-8 without one gets none.
    needs_bom = lines.bom is not None or any(line.in_fallback for line in sample.lines)
    return DelimitedSchema(
        layout,
        [columns.index(path) for path in choice.paths],
        columns.index(choice.title) if choice.title else None,
        "\N{ZERO WIDTH NO-BREAK SPACE}" if needs_bom else "",
        *_WRITTEN_AS[preferred_delimiter],
        {**_notes(layout), **choice.notes},
    )


def _notes(layout: Layout) -> dict[str, Value]:
    notes: dict[str, Value] = {
        "delimiter": _DELIMITER_NAMES.get(layout.dialect.delimiter, layout.dialect.delimiter),
        "quotes": layout.dialect.quotes,
        "header": layout.header is not None,
    }
    if layout.more_headers:
        notes["header_rows"] = 1 + len(layout.more_headers)
    if layout.dialect.is_wrapped:
        notes["quoted_lines"] = True
    return notes


def read_cells(lines: Lines, delimiter: str, known_names: str) -> Iterator[Cells]:
    """Yield the cells of each row by column, whatever they contain.

    `delimiter` is used if several fit. `known_names` are names of columns that the table has, separated by
    commas.

    Raises:
        SourceError: there is no row.
    """
    sample = lines.sample()
    layout = infer_layout(sample.lines, delimiter, known_names, is_all=sample.is_all).layout
    keys = column_keys(layout.names)
    for record in _records(lines, layout):
        if not _special_kind(record, layout):
            cells = map(layout.dialect.unescape, record.cells)
            line_count = 1 + record.raw.count("\n")
            yield Cells(record.line, line_count, dict(zip(keys, cells, strict=True)))


def _records(lines: Iterable[Line], layout: Layout) -> Iterator[Record]:
    """Yield the records after the first header row, each with one cell per column."""
    body = dropwhile(lambda line: line.number <= len(layout.preamble), lines)
    for record in read_records(body, layout.dialect):
        if record.line != layout.header_line:
            yield _fit(record, layout)


def _special_kind(record: Record, layout: Layout) -> str:
    """Return what a record is called in the notes if it is not a row with a review, else ""."""
    if layout.footer_line and record.line >= layout.footer_line:
        return "footer_lines"
    if record.raw == layout.header or (layout.header is not None and record.cells == layout.names):
        return "repeated_headers"
    if record.raw in layout.more_headers:
        return "more_headers"
    if len(record.cells) > 1 and not any(map(str.strip, record.cells)):
        return "empty_rows"
    return ""


def _header_only() -> SourceError:
    return SourceError(ErrorCode.HEADER_ONLY, "the table has a header and no rows")


def _fit(record: Record, layout: Layout) -> Record:
    """Return a record with one cell per column.

    A record with more or fewer cells has a problem, but it can be written back so that the table loads:
    missing cells are empty, and surplus cells are joined into the last column.
    """
    dialect, width = layout.dialect, len(layout.names)
    cells, problem = record.cells, record.problem
    if not problem and len(cells) > width:
        cells = (record.as_one_cell() if width == 1 else record.without_empty_surplus(width)).cells
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
    # A table without a header row gets one, so that the added fields have names.
    header = layout.dialect.join(layout.names) if layout.header is None else layout.header
    return "".join([bom, *layout.preamble, layout.dialect.delimiter.join([header, *names]), layout.line_end])


def _looks_like(delimiters: str, head: str) -> bool:
    delimiter = plain_delimiter(head)
    return delimiter is not None and delimiter in delimiters


CSV_LINES = LineFormat("CSV", partial(infer, preferred_delimiter=","), DelimitedSchema.from_dict)
TSV_LINES = LineFormat("TSV", partial(infer, preferred_delimiter="\t"), DelimitedSchema.from_dict)
CSV = Format(
    "CSV",
    frozenset({".csv"}),
    frozenset({"text/csv", "application/csv"}),
    partial(read_table, CSV_LINES),
    partial(_looks_like, ",;| \x01"),
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
