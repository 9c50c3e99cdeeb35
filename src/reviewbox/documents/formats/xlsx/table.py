"""Excel workbooks. Each row of one sheet is a record, and one of its columns is the review.

The result is the same workbook with cells added to that sheet (ADR 11). The library that reads cells is
imported when the first workbook is read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any

from reviewbox.documents.document import BinaryTable, Document, ReadOptions, Row, Step, Value
from reviewbox.documents.document import Cells as TableCells
from reviewbox.documents.format import Format
from reviewbox.documents.formats.columns import (
    MAX_SAMPLE_ROWS,
    call_library,
    column_keys,
    is_summary,
    read_row,
)
from reviewbox.documents.formats.xlsx.archive import Archive
from reviewbox.documents.formats.xlsx.header import Cells, Header, find_end, find_header, is_blank
from reviewbox.documents.formats.xlsx.sheet_xml import MAX_COLUMNS, add_cells, measure, sheet_members
from reviewbox.documents.line_tables import limited
from reviewbox.documents.pacing import Pace
from reviewbox.documents.review_field import FieldSample, ReviewField, select_review_field
from reviewbox.documents.unsupported import is_excel_workbook
from reviewbox.errors import ErrorCode, SourceError

_DESCRIPTION = "the workbook"
# Cells between the first and the last one take memory even if they are empty. A cell with a value takes at
# least 20 bytes of XML.
_BYTES_PER_CELL = 4
_MAX_LISTED = 10
_MAX_COVER_SHARE = 0.1  # a cover sheet has at most this share of the rows of its table
_WORK_PER_CELL = 100  # characters that take as long to read
_CONTENT_TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A sheet that contains records."""

    name: str
    member: str  # the name of the archive's member that contains it
    rows: Sequence[Cells]  # the cells of all its rows, starting at A1, all with the same number of cells
    header: Header | None  # the header row; None without one
    end: int  # the index after the last row of the table
    columns: int  # the number of the last column with a value or a formula, in the table or beside it

    @property
    def names(self) -> Sequence[str]:
        """The names of the columns; "" for a column without a name."""
        return self.header.names if self.header else [""] * len(self.rows[0])

    @property
    def titles(self) -> Sequence[str]:
        """What each column is called for the choice of the review."""
        return self.header.titles if self.header else self.names

    @property
    def records(self) -> Iterator[tuple[int, Cells]]:
        """Each row of the table, with its number in the sheet.

        Empty rows, and header rows that are repeated, are not rows of the table.
        """
        header = self.rows[self.header.index] if self.header else None
        for index in range(self.header.first if self.header else 0, self.end):
            cells = self.rows[index]
            if not is_blank(cells) and cells != header:
                yield index + 1, cells


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a sheet."""

    # Identifies it in the workbook: its key among the columns of its sheet, preceded by the name of the sheet
    # if several sheets contain records.
    path: str
    sheet: _Sheet
    index: int
    name: str  # its name; "" if it has none
    title: str  # what it is called for the choice of the review


@dataclass(frozen=True, slots=True)
class _Choice:
    """The sheet and the columns that contain the reviews."""

    sheet: _Sheet
    field: ReviewField  # the columns, and why they were chosen
    columns: Mapping[str, int]  # the index of each column by its path


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a workbook as a table.

    Raises:
        SourceError: the workbook is damaged or too large, it has no row, or no column can be the review.
    """
    if not is_excel_workbook(data):
        raise SourceError(
            ErrorCode.CORRUPT_FILE, "the file is not an Excel workbook; save it as .xlsx, or export it as CSV"
        )
    archive = Archive(data, options)
    if "xl/workbook.xml" not in archive.members:
        raise SourceError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "the file is not an .xlsx workbook; if it is a binary workbook (.xlsb), save it as .xlsx",
        )
    choice = _choose(_read_sheets(archive, options), options)
    extension = "xlsm" if "xl/vbaProject.bin" in archive.members else "xlsx"
    sheet = choice.sheet
    table = BinaryTable(
        extension,
        _CONTENT_TYPES[extension],
        frozenset(sheet.names),
        partial(_Writer, archive, sheet, options),
        has_notes=bool(choice.field.title),
    )
    notes: dict[str, Value] = {"sheet": sheet.name, "header": sheet.header is not None, **choice.field.notes}
    return Document(limited(_rows(choice), options.max_rows), lambda: notes, table, len(sheet.rows))


def read_cells(data: bytes, options: ReadOptions, known_name: str) -> Iterator[TableCells]:
    """Yield the cells of each row by column, of the sheet that has a column of the given name.

    Raises:
        SourceError: the workbook is damaged or too large, or it has no rows.
    """
    for sheet in _read_sheets(Archive(data, options), options):
        keys = column_keys(sheet.names)
        if known_name in keys:
            for number, cells in sheet.records:
                yield TableCells(number, 1, dict(zip(keys, cells, strict=True)))
            return


def _read_sheets(archive: Archive, options: ReadOptions) -> list[_Sheet]:
    """Return the visible sheets that contain records."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum, load_workbook

    # The sizes in an archive may be wrong on purpose. What was read has the size that was checked.
    content = BytesIO(archive.write({}, is_compressed=False))
    workbook = call_library(_DESCRIPTION, load_workbook, content)
    members = sheet_members(archive.members)
    visible = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet
        and sheet.visible == SheetVisibleEnum.Visible
        and sheet.name in members
    ]
    sheets = []
    has_header = False
    size = 0
    for name in visible:
        xml = archive.members[members[name]]
        extent = measure(xml, partial(_on_bytes, options, "Parsing", len(xml)))
        size += extent.rows * extent.columns * _BYTES_PER_CELL
        if size > options.max_bytes:
            raise SourceError(
                ErrorCode.TOO_LARGE,
                f"the sheet {name!r} extends to row {extent.rows:,} and column {extent.columns:,}; delete "
                "stray cells, or split the workbook",
            )
        cells = call_library(_DESCRIPTION, workbook.get_sheet_by_name, name)
        rows = call_library(_DESCRIPTION, partial(cells.to_python, skip_empty_area=False))
        if not rows:
            continue
        header = find_header(rows[:MAX_SAMPLE_ROWS])
        sheet = _Sheet(name, members[name], rows, header, find_end(rows, header), extent.columns)
        has_header = has_header or header is not None
        if any(True for _ in sheet.records):
            sheets.append(sheet)
    if not sheets:
        if has_header:
            raise SourceError(ErrorCode.HEADER_ONLY, "the workbook has a header row and no rows below it")
        raise SourceError(ErrorCode.EMPTY_TABLE, "the workbook has no visible sheet with rows")
    return sheets


def _on_bytes(options: ReadOptions, step: str, total: int, done: int) -> None:
    """Check the time, and tell how many bytes of a sheet are done."""
    options.check_time()
    options.on_step(Step(f"{step} (kB)", done / 1000, total / 1000))


def _choose(sheets: Sequence[_Sheet], options: ReadOptions) -> _Choice:
    """Return the sheet and the column that contain the reviews: all columns of all sheets compete.

    Raises:
        SourceError: no column qualifies, or several do.
    """
    sample = FieldSample()
    columns: list[_Column] = []
    for sheet in sheets if options.text_field else _without_covers(sheets):
        sheet_columns = _columns(sheet, with_sheet=len(sheets) > 1)
        columns += sheet_columns
        for column in sheet_columns:
            sample.add(column.path, None, column.title)
        pace = Pace(options.check_time)
        for _, cells in islice(sheet.records, MAX_SAMPLE_ROWS):
            pace.step(len(cells) * _WORK_PER_CELL)
            for column, cell in zip(sheet_columns, cells, strict=True):
                sample.add(column.path, cell, column.title)
    if options.text_field:
        options = replace(options, text_field=_resolved(options.text_field, columns))
    field = select_review_field(sample, options)
    sheet = next((column.sheet for column in columns if column.path == field.name), sheets[0])
    indexes = {column.path: column.index for column in columns if column.sheet is sheet}
    if any(path not in indexes for path in field.paths):
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD, "TextField names columns of several sheets; name columns of one sheet"
        )
    return _Choice(sheet, replace(field, title=field.title if field.title in indexes else ""), indexes)


def _without_covers(sheets: Sequence[_Sheet]) -> list[_Sheet]:
    """Return the sheets, except those of a few lines and no header if another one has a table with a header.

    Such cover sheets say what the workbook is about. Their lines are sentences, but not reviews.
    """
    most = max((sheet.end - sheet.header.first for sheet in sheets if sheet.header), default=0)
    return [sheet for sheet in sheets if sheet.header or sheet.end > _MAX_COVER_SHARE * most]


def _columns(sheet: _Sheet, *, with_sheet: bool) -> list[_Column]:
    prefix = f"{sheet.name}!" if with_sheet else ""
    columns = zip(column_keys(sheet.names), sheet.names, sheet.titles, strict=True)
    return [
        _Column(prefix + key, sheet, index, name, title) for index, (key, name, title) in enumerate(columns)
    ]


def _resolved(text_field: str, columns: Sequence[_Column]) -> str:
    """Return the setting with the path of each column that it names.

    Raises:
        SourceError: it names several columns at once.
    """
    whole = _path_of(text_field, columns)
    if whole is not None:
        return whole
    names = [name.strip() for name in text_field.split(",")]
    return ",".join(_path_of(name, columns) or name for name in names)


def _path_of(name: str, columns: Sequence[_Column]) -> str | None:
    identifiers: tuple[Callable[[_Column], str], ...] = (
        lambda column: column.path,
        lambda column: column.name,
        lambda column: f"{column.sheet.name}!{column.name}",
        lambda column: str(column.index + 1),
        lambda column: f"{column.sheet.name}!{column.index + 1}",
    )
    for identifier in identifiers:
        paths = [column.path for column in columns if identifier(column) == name]
        if len(paths) > 1:
            listed = ", ".join(map(repr, paths[:_MAX_LISTED]))
            raise SourceError(
                ErrorCode.DUPLICATE_FIELD,
                f"TextField names {name!r}, but there are {len(paths)} such columns; name one of {listed}",
            )
        if paths:
            return paths[0]
    return None


def _rows(choice: _Choice) -> Iterator[Row]:
    text_columns = [choice.columns[path] for path in choice.field.paths]
    for number, cells in choice.sheet.records:
        if is_summary(cells, text_columns):
            continue

        def value_of(path: str, cells: Cells = cells) -> Any:
            return cells[choice.columns[path]]

        yield read_row(number, choice.field, value_of)


class _Writer:
    """Adds columns to a sheet of a workbook."""

    def __init__(self, archive: Archive, sheet: _Sheet, options: ReadOptions, names: Sequence[str]) -> None:
        """Start writing; raise SourceError if the sheet has no room for more columns."""
        self._archive = archive
        self._options = options
        self._member = sheet.member
        self._column = sheet.columns + 1
        self._header_row = sheet.header.index + 1 if sheet.header else 0
        self._rows: dict[int, Sequence[Value]] = {self._header_row: names} if self._header_row else {}
        if self._column + len(names) > MAX_COLUMNS + 1:
            message = f"the sheet {sheet.name!r} has no room for {len(names)} more columns; delete columns"
            raise SourceError(ErrorCode.TOO_LARGE, message)

    def write(self, row: Row, added: Mapping[str, Value]) -> None:
        """Take the values to add to the next row."""
        self._rows[row.line] = tuple(added.values())

    def finish(self) -> bytes:
        """Return the workbook with the added cells."""
        xml = self._archive.members[self._member]
        on_bytes = partial(_on_bytes, self._options, "Writing", len(xml))
        xml = add_cells(xml, self._column, self._rows, self._header_row, on_bytes)
        return self._archive.write({self._member: xml})


FORMAT = Format(
    "Excel",
    frozenset({".xlsx", ".xlsm"}),
    frozenset(_CONTENT_TYPES.values()),
    read,
    is_binary=is_excel_workbook,
)
