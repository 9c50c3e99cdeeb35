"""Finds the parts of a workbook, and adds cells to the XML of a sheet.

The XML is changed only where cells are added, so that everything else in the workbook stays as it was. The
elements are defined in ECMA-376, part 1, chapter 18.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from posixpath import join, normpath
from xml.parsers.expat import ExpatError, ParserCreate

from reviewbox.documents.document import Value
from reviewbox.errors import ErrorCode, SourceError

MAX_COLUMNS = 16_384

_PARSED_BYTES = 64 * 1024  # how many are parsed between two calls of `on_bytes`

_TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*+>""")
_SPANS = re.compile(rb"""\sspans=(?:"[^"]*"|'[^']*')""")
_CELL_REFERENCE = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")
_ROW_NUMBER = re.compile("[0-9]{1,7}")
_INVALID_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Extent:
    """The part of a sheet that contains values or formulas."""

    rows: int  # the number of its last row; 0 if the sheet is empty
    columns: int  # the number of its last column; 0 if the sheet is empty


def sheet_members(members: Mapping[str, bytes]) -> dict[str, str]:
    """Return the name of the archive's member with each sheet, by the name of the sheet.

    Raises:
        SourceError: the workbook is damaged.
    """
    sheets: dict[str, str] = {}
    targets: dict[str, str] = {}

    def add_sheet(tag: str, attributes: Mapping[str, str]) -> None:
        if _local(tag) == "sheet":
            relation = next((value for name, value in attributes.items() if _local(name) == "id"), "")
            sheets[attributes.get("name", "")] = relation

    def add_target(tag: str, attributes: Mapping[str, str]) -> None:
        if _local(tag) == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _parse(members.get("xl/workbook.xml", b""), add_sheet)
    _parse(members.get("xl/_rels/workbook.xml.rels", b""), add_target)
    found = {name: _member(targets.get(relation, "")) for name, relation in sheets.items()}
    return {name: member for name, member in found.items() if member in members}


def measure(xml: bytes, on_bytes: Callable[[int], object] = lambda _: None) -> Extent:
    """Return the extent of a sheet. Cells that have only a format do not count.

    `on_bytes` is called repeatedly with the number of bytes that have been parsed.

    Raises:
        SourceError: the XML is damaged.
    """
    position = _Position()
    rows = columns = 0

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal rows, columns
        if position.enter(_local(tag), attributes):
            rows, columns = max(rows, position.row), max(columns, position.column)

    _parse(xml, start, on_bytes=on_bytes)
    return Extent(rows, columns)


def add_cells(
    xml: bytes,
    column: int,
    rows: Mapping[int, Sequence[Value]],
    header_row: int,
    on_bytes: Callable[[int], object] = lambda _: None,
) -> bytes:
    """Return the XML of a sheet with more cells.

    `column` is the number of the first column to fill, after all columns with values, and `rows` has the
    values by row number; None adds no cell. The new cells of `header_row` (0 for none) get the format of the
    cell before them. `on_bytes` is called repeatedly with the number of bytes that have been parsed.
    """
    return _Editor(xml, column, rows, header_row).edited(on_bytes)


class _Position:
    """Follows the elements of a sheet. The numbers of rows and cells may be omitted in the XML."""

    def __init__(self) -> None:
        self.row = 0
        self.column = 0

    def enter(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Enter an element. Return whether it is the value or the formula of the current cell."""
        if tag == "row":
            match = _ROW_NUMBER.fullmatch(attributes.get("r", ""))
            self.row = int(match[0]) if match else self.row + 1
            self.column = 0
        elif tag == "c":
            match = _CELL_REFERENCE.fullmatch(attributes.get("r", ""))
            self.column = column_number(match[1]) if match else self.column + 1
        return tag in ("v", "f", "is")


class _Editor:
    """Adds cells to the XML of a sheet in one pass."""

    def __init__(self, xml: bytes, column: int, rows: Mapping[int, Sequence[Value]], header_row: int) -> None:
        self._xml = xml
        self._first = column
        self._after = column + max(map(len, rows.values()), default=0)
        self._rows = rows
        self._header_row = header_row
        self._position = _Position()
        self._pieces: list[bytes] = []
        self._copied = 0  # the offset up to which the XML was copied or replaced
        self._style = ""  # that of the last cell before the new ones
        # In the current row: whether cells are to be added, and the offset at which a cell to drop starts.
        self._adds = False
        self._drop_start: int | None = None

    def edited(self, on_bytes: Callable[[int], object]) -> bytes:
        _parse(self._xml, self._start, self._end, self._set_offset, on_bytes)
        self._pieces.append(self._xml[self._copied :])
        return b"".join(self._pieces)

    def _set_offset(self, offset: Callable[[], int]) -> None:
        self._offset = offset

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        tag = _local(name)
        self._position.enter(tag, attributes)
        if tag == "dimension" and attributes.get("ref"):
            start, end = self._tag_span()
            ref, slash = self._dimension(attributes["ref"]), "/" if self._is_empty_tag(end) else ""
            self._replace(start, end, f'<{name} ref="{ref}"{slash}>'.encode())
        elif tag == "row":
            self._start_row(name)
        elif tag == "c" and self._adds:
            self._start_cell(name, attributes)

    def _start_row(self, name: str) -> None:
        self._adds = self._position.row in self._rows
        self._style = ""
        if not self._adds:
            return
        start, end = self._tag_span()
        tag = _SPANS.sub(b"", self._xml[start:end])  # which would be wrong
        if tag.endswith(b"/>"):
            self._replace(start, end, tag[:-2] + b">" + self._cells(name) + f"</{name}>".encode())
            self._adds = False
        else:
            self._replace(start, end, tag)

    def _start_cell(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._position.column < self._first:
            self._style = attributes.get("s", "")
        elif self._position.column < self._after:
            # The cell has only a format.
            start, end = self._tag_span()
            self._drop_start = start
            if self._is_empty_tag(end):
                self._drop(end)
        else:
            self._insert(self._offset(), name)

    def _end(self, name: str) -> None:
        tag = _local(name)
        if tag == "row" and self._adds:
            self._insert(self._offset(), name)
        elif tag == "c" and self._drop_start is not None:
            self._drop(self._tag_span()[1])

    def _drop(self, end: int) -> None:
        if self._drop_start is not None:
            self._replace(self._drop_start, end, b"")
            self._drop_start = None

    def _insert(self, offset: int, name: str) -> None:
        """Add the new cells of the current row at an offset, which is the start of a tag with this name."""
        self._replace(offset, offset, self._cells(name))
        self._adds = False

    def _cells(self, name: str) -> bytes:
        prefix = name.rpartition(":")[0]
        prefix = f"{prefix}:" if prefix else ""
        row = self._position.row
        style = f' s="{escape(self._style)}"' if self._style and row == self._header_row else ""
        cells = (
            _cell(f"{column_letters(column)}{row}", value, prefix, style)
            for column, value in enumerate(self._rows[row], self._first)
            if value is not None
        )
        return "".join(cells).encode("ascii", "xmlcharrefreplace")

    def _dimension(self, ref: str) -> str:
        start, _, end = ref.partition(":")
        match = _CELL_REFERENCE.fullmatch(end or start)
        if match is None:
            return escape(ref)
        last = max(column_number(match[1]), self._after - 1)
        return f"{escape(start)}:{column_letters(last)}{match[2]}"

    def _tag_span(self) -> tuple[int, int]:
        start = self._offset()
        match = _TAG.match(self._xml, start)
        if match is None:
            raise _damaged()
        return start, match.end()

    def _is_empty_tag(self, end: int) -> bool:
        return self._xml[end - 2 : end] == b"/>"

    def _replace(self, start: int, end: int, data: bytes) -> None:
        self._pieces += [self._xml[self._copied : start], data]
        self._copied = end


def _cell(reference: str, value: Value, prefix: str, style: str) -> str:
    if isinstance(value, bool):
        return f'<{prefix}c r="{reference}"{style} t="b"><{prefix}v>{value:d}</{prefix}v></{prefix}c>'
    if isinstance(value, float | int):
        return f'<{prefix}c r="{reference}"{style}><{prefix}v>{value}</{prefix}v></{prefix}c>'
    text = escape(_INVALID_IN_XML.sub("?", str(value)), quote=False)
    return (
        f'<{prefix}c r="{reference}"{style} t="inlineStr"><{prefix}is><{prefix}t>{text}</{prefix}t>'
        f"</{prefix}is></{prefix}c>"
    )


def column_letters(number: int) -> str:
    """Return the letters of a column: A for 1, AA for 27."""
    letters = ""
    while number:
        number, index = divmod(number - 1, 26)
        letters = chr(ord("A") + index) + letters
    return letters


def column_number(letters: str) -> int:
    """Return the number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _parse(
    xml: bytes,
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None] | None = None,
    set_offset: Callable[[Callable[[], int]], None] | None = None,
    on_bytes: Callable[[int], object] = lambda _: None,
) -> None:
    def refuse(*_: object) -> None:
        raise _damaged()

    parser = ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse  # so that no entity can be defined
    if set_offset:
        set_offset(lambda: parser.CurrentByteIndex)
    try:
        for position in range(0, len(xml), _PARSED_BYTES):
            on_bytes(position)
            parser.Parse(xml[position : position + _PARSED_BYTES], False)  # noqa: FBT003 - this is not all
        parser.Parse(b"", True)  # noqa: FBT003 - this is all
    except ExpatError as error:
        raise _damaged() from error


def _damaged() -> SourceError:
    return SourceError(ErrorCode.CORRUPT_FILE, "the XML in the workbook is damaged; save the workbook again")


def _member(target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))


def _local(name: str) -> str:
    return name.rpartition(":")[2]
