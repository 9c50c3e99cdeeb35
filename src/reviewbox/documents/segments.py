"""Splits tables whose rows are lines into segments that can be read on their own.

`split` reads the table once. It infers the schema from the first lines and records where segments start.
With the schema, each segment can be read without the others.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, Self

from reviewbox.documents.checks import check_rows, is_truncated
from reviewbox.documents.detection import LINE_FORMATS
from reviewbox.documents.document import ReadOptions, Row, Value
from reviewbox.documents.line_tables import Content, ContentLines, LineFormat, Schema, infer_schema, is_blank
from reviewbox.documents.lines import decode_lines, stream_lines
from reviewbox.documents.pacing import paced
from reviewbox.errors import ErrorCode, Problem

__all__ = ["Content", "LineFormat", "Schema", "Segment", "SegmentedTable", "split"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rows of a table."""

    start: int  # the offset of the first byte in the decompressed table
    end: int  # the offset after the last byte
    line: int  # the number of the first line


@dataclass(frozen=True, slots=True)
class SegmentedTable:
    """A table that is split into segments."""

    format_name: str  # the name of its `LineFormat`
    schema: Schema  # the schema that was inferred from the first lines
    segments: tuple[Segment, ...]  # the segments, in order and without gaps
    notes: Mapping[str, Value]  # what was inferred about the whole table, for the receipt
    line_count: int  # the number of lines that have a line end
    # The row for what is missing or left over at the end; None if the table is intact.
    end_row: Row | None = None
    # The line of the first quote that does not close before the end of the table, if any.
    open_quote_line: int | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the table for the data that `to_dict` returned."""
        return cls(
            data["format"],
            LINE_FORMATS[data["format"]].from_dict(data["schema"]),
            tuple(Segment(*segment) for segment in data["segments"]),
            data["notes"],
            data["line_count"],
            _row_from_dict(data["end_row"]) if data["end_row"] else None,
            data["open_quote_line"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the file as JSON data."""
        return {
            "format": self.format_name,
            "schema": self.schema.to_dict(),
            "segments": [[segment.start, segment.end, segment.line] for segment in self.segments],
            "notes": dict(self.notes),
            "line_count": self.line_count,
            "end_row": asdict(self.end_row) if self.end_row else None,
            "open_quote_line": self.open_quote_line,
        }

    def __len__(self) -> int:
        return len(self.segments)

    def rows(self, index: int, data: bytes, options: ReadOptions) -> Iterator[Row]:
        """Yield the checked rows of the segment with this index, whose bytes are `data`."""
        lines = decode_lines(BytesIO(data), options, self.segments[index].line)
        end_row = self.end_row if index == len(self.segments) - 1 else None
        is_table_truncated = self.end_row is not None and is_truncated(self.end_row.problem)
        doubtful_after = self.open_quote_line if is_table_truncated else None
        rows = self.schema.rows(lines)
        return check_rows(rows, lambda: end_row, doubtful_after, check_time=options.check_time)


def split(
    content: Content,
    line_format: LineFormat,
    options: ReadOptions,
    on_segment: Callable[[int, bytes], None] | None = None,
) -> SegmentedTable:
    """Split a table in UTF-8. A segment ends where the next row starts, once it is full.

    The last segment may be smaller. `on_segment` is called with the index of each segment, from 0, and its
    bytes.

    Raises:
        SourceError: the table has no row or no review field, or a line is longer than `options.max_bytes`.
    """
    encoded = ContentLines(content, options)
    buffer = LineBuffer(encoded)
    lines = stream_lines(buffer, options)
    schema = infer_schema(lines, line_format, content, options)
    open_quote_line: int | None = None

    def rows() -> Iterator[Row]:
        nonlocal open_quote_line
        for row in paced(schema.rows(lines), options.check_time, lambda row: len(row.raw)):
            if row.open_at_end and open_quote_line is None:
                open_quote_line = row.line
            yield row

    segments: list[Segment] = []
    for segment in _segments(rows(), buffer, options.segment_bytes):
        data = buffer.take(segment.end)
        if on_segment:
            on_segment(len(segments), data)
        segments.append(segment)
    return SegmentedTable(
        line_format.name,
        schema,
        tuple(segments),
        {**line_format.notes, **lines.notes(options), **schema.notes},
        encoded.count,
        encoded.end_row(schema.table),
        open_quote_line,
    )


def _segments(rows: Iterable[Row], buffer: "LineBuffer", size: int) -> Iterator[Segment]:
    """Yield each segment once it has `size` bytes and the next row starts, and the last one at the end."""
    start = line = 0  # of the segment that is not full yet
    for row in rows:
        offset = buffer.offset_of(row.line)
        is_first = line == 0
        if is_first:
            buffer.take(offset)  # the header
        elif offset - start >= size:
            yield Segment(start, offset, line)
        else:
            continue
        start, line = offset, row.line
    yield Segment(start, buffer.end, line)


class LineBuffer:
    """Passes lines on and holds their bytes, about as many as a segment has, until they are taken."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.end = 0  # the number of bytes read so far
        self._lines = lines
        self._held = bytearray()
        self._held_from = 0  # the offset of the first held byte
        self._starts: deque[tuple[int, int]] = deque()  # number and offset of lines that may start a row

    def __iter__(self) -> Iterator[bytes]:
        for number, line in enumerate(self._lines, 1):
            if not is_blank(line):
                self._starts.append((number, self.end))
            self.end += len(line)
            self._held += line
            yield line

    def offset_of(self, number: int) -> int:
        """Return the offset of a line. It must not be earlier than the line of the last call."""
        while self._starts[0][0] < number:
            self._starts.popleft()
        return self._starts[0][1]

    def take(self, end: int) -> bytes:
        """Return the bytes before the offset `end` that were not taken yet, and release them."""
        size = end - self._held_from
        taken = bytes(self._held[:size])
        del self._held[:size]
        self._held_from = end
        return taken


def _row_from_dict(data: Mapping[str, Any]) -> Row:
    problem = data["problem"]
    return Row(**{**data, "problem": Problem(ErrorCode(problem["code"]), problem["message"])})
