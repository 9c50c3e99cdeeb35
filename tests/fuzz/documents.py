"""Every reader reads the same rows from a file, the right ones, or refuses it with the same code."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from io import BufferedReader, BytesIO
from itertools import pairwise
from typing import Any
from zipfile import ZipFile

import openpyxl

from reviewbox.documents import BinaryTable, Document, ReadOptions, Row, Table, Value, read_document
from reviewbox.documents.compression import COMPRESSIONS, detect_compression
from reviewbox.documents.detection import SNIFF_BYTES, line_format, read_stream
from reviewbox.documents.encoding import is_encoding
from reviewbox.documents.formats.parquet.segments import SegmentedParquet, split_parquet
from reviewbox.documents.segments import Content, SegmentedTable, split
from reviewbox.errors import Problem, SourceError
from reviewbox.model.verdicts import Verdict
from reviewbox.results.added_fields import AddedFields

# Small limits, so that a fuzzer's small files reach them.
LIMITS = ReadOptions(
    fallback_encoding="windows-1252",
    max_bytes=300_000,
    segment_bytes=40,
    max_rows=2_000,
    max_line_length=5_000,
)
_VERDICT = Verdict("positive", 0.87654, {"negative": 0.12346, "positive": 0.87654}, 7, 1, 0.98)


@dataclass(frozen=True, slots=True)
class DroppedFile:
    """A file as someone may drop it."""

    name: str
    data: bytes
    options: ReadOptions

    @classmethod
    def decode(cls, case: bytes) -> "DroppedFile":
        """Return the file of a case: its name and options in the first line, its content below.

        The options are `field=`, `encoding=` and `segment=`. The content is compressed if the name says so.
        `cut=` is how many bytes are then missing at the end. The content of a workbook may be the XML of its
        sheet, and that of a Parquet file its footer.
        """
        head, _, content = case.partition(b"\n")
        name, *settings = head.decode("utf-8", "replace").split(" ")
        values = dict(setting.partition("=")[::2] for setting in settings)
        options = replace(LIMITS, text_field=values.get("field", ""))
        if (encoding := values.get("encoding", LIMITS.fallback_encoding)) == "" or is_encoding(encoding):
            options = replace(options, fallback_encoding=encoding)
        options = replace(options, segment_bytes=_number(values.get("segment", "")) or LIMITS.segment_bytes)
        if ".xlsx" in name and not content.startswith(b"PK"):
            content = _workbook(content)
        elif ".parquet" in name and not content.startswith(b"PAR1"):
            content = b"PAR1" + content + len(content).to_bytes(4, "little") + b"PAR1"
        for compression in COMPRESSIONS:
            if name.endswith(compression.extensions) and not detect_compression(content):
                content = compression.compress(content)
        return cls(name, content[: len(content) - _number(values.get("cut", ""))], options)


@dataclass(frozen=True, slots=True)
class Reading:
    """All rows of a file, and how a table of lines starts."""

    rows: list[Row]
    notes: dict[str, Value]
    header: str = ""

    @property
    def contents(self) -> list[tuple[int, str, str, Problem | None, str, bool]]:
        """What every reader must agree on."""
        return [(row.line, row.raw, row.text, row.problem, row.note, row.is_passthrough) for row in self.rows]


def check_document(case: bytes) -> None:
    """Read a file as a whole, as a stream and in segments; write its table back and read that again."""
    file = DroppedFile.decode(case)
    whole = _outcome(lambda: _read_whole(file))
    others = {
        "stream": _outcome(lambda: _read_stream(file)),
        "segments": _outcome(lambda: _read_segments(file)),
    }
    if isinstance(whole, Reading):
        _check_rows(whole)
    for reader, other in others.items():
        if other is not None:
            _check_agreement(whole, other, reader)


def read_or_refuse(file: DroppedFile) -> None:
    """Read a file as a whole and write its table back, or refuse it."""
    _outcome(lambda: _read_whole(file))


def _read_whole(file: DroppedFile) -> Reading:
    document = read_document(file.name, "", file.data, file.options)
    if isinstance(document.table, BinaryTable):
        return _write_back(document, document.table)
    rows = list(document.rows)
    if document.table is None:
        assert len(rows) == 1
        return Reading(rows, dict(document.notes()))
    added = AddedFields(document.table, 0.8)
    writer = document.table.open_writer(added.names)
    for row in rows:
        writer.write(row, added.values(row, _outcome_of(row)))
    document.table.compress(writer.finish())
    assert added.counts.to_dict()["total"] == sum(not row.is_passthrough for row in rows)
    return Reading(rows, dict(document.notes()), _header(document.table))


def _header(table: Table) -> str:
    return table.render_header(AddedFields(table, 0.8).names)


def _write_back(document: Document, table: BinaryTable) -> Reading:
    """Read a binary table, write it, and read what was written: the reviews are the same."""
    added = AddedFields(table, 0.8)
    writer = table.open_writer(added.names)
    rows = []
    for row in document.rows:
        rows.append(row)
        writer.write(row, added.values(row, _outcome_of(row)))
    body = writer.finish()
    notes = dict(document.notes())
    field = notes.get("text_field")
    again = read_document(
        f"again.{table.extension}", "", body, replace(LIMITS, max_bytes=10**8, text_field=str(field))
    )
    texts = [row.text for row in again.rows if not row.is_passthrough]
    assert texts == [row.text for row in rows if not row.is_passthrough]
    return Reading(rows, notes)


def _read_stream(file: DroppedFile) -> Reading | None:
    document = read_stream(file.name, "", _stored(file), file.options)
    if document is None:
        return None
    rows = list(document.rows)
    assert document.table is not None
    if isinstance(document.table, BinaryTable):
        return Reading(rows, dict(document.notes()))
    return Reading(rows, dict(document.notes()), _header(document.table))


def _read_segments(file: DroppedFile) -> Reading | None:
    if file.data.startswith(b"PAR1"):
        return _read_parquet_segments(file)
    stored = _stored(file)
    found = line_format(file.name, "", stored.peek(SNIFF_BYTES))
    if found is None:
        return None
    content = Content(stored, file.options)
    segments: dict[int, bytes] = {}
    table = SegmentedTable.from_dict(
        json.loads(json.dumps(split(content, found, file.options, segments.__setitem__).to_dict()))
    )
    rows = [row for index in segments for row in table.rows(index, segments[index], file.options)]
    notes = dict(table.notes)
    if content.compression:
        notes = {"compression": content.compression.name, **notes}
    return Reading(rows, notes, _header(table.schema.table))


def _read_parquet_segments(file: DroppedFile) -> Reading:
    segments: dict[int, bytes] = {}
    split_file = split_parquet(BytesIO(file.data), file.options, segments.__setitem__)
    table = SegmentedParquet.from_dict(json.loads(json.dumps(split_file.to_dict())))
    rows = [row for index, data in segments.items() for row in table.document(index, data, file.options).rows]
    return Reading(rows, dict(table.notes))


def _check_rows(reading: Reading) -> None:
    assert all(one.line <= other.line for one, other in pairwise(reading.rows))
    for row in reading.rows:
        assert not (row.problem and row.text)
        assert "\0" not in row.text
        row.text.encode()  # there is no half of a character


def _check_agreement(whole: Reading | Problem | None, other: Reading | Problem, reader: str) -> None:
    if isinstance(whole, Problem) and whole.code in ("too_large", "truncated_file", "trailing_garbage"):
        return  # a stream has no limit; and a damaged end is found only there
    if isinstance(whole, Problem) and isinstance(other, Problem):
        assert whole.code == other.code, f"whole: {whole}, {reader}: {other}"
        return
    assert not isinstance(whole, Problem), f"{whole}, but {reader} reads {other}"
    assert not isinstance(other, Problem), f"{reader} refuses with {other}, but the whole is {whole}"
    assert whole is not None
    assert whole.contents == other.contents, reader
    assert whole.notes == other.notes, reader
    assert whole.header == other.header, reader


def _outcome(read: Callable[[], Any]) -> Any:
    """Return what a reader returns, or the problem for which it refuses the file. Nothing else is raised."""
    try:
        return read()
    except SourceError as error:
        return error.problem


def _outcome_of(row: Row) -> Verdict | Problem | None:
    return None if row.is_passthrough else row.problem or _VERDICT


def _stored(file: DroppedFile) -> BufferedReader:
    content: Any = BytesIO(file.data)
    return BufferedReader(content, SNIFF_BYTES)


def _workbook(sheet: bytes) -> bytes:
    """Return a workbook whose only sheet is this XML."""
    content = BytesIO()
    with ZipFile(BytesIO(_empty_workbook())) as empty, ZipFile(content, "w") as workbook:
        for member in empty.infolist():
            is_sheet = member.filename == "xl/worksheets/sheet1.xml"
            workbook.writestr(member.filename, sheet if is_sheet else empty.read(member))
    return content.getvalue()


@cache
def _empty_workbook() -> bytes:
    content = BytesIO()
    openpyxl.Workbook().save(content)
    return content.getvalue()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 0
