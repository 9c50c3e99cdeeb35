"""Tables whose rows are lines, read whole or in segments.

All lines are looked at once, to learn what must be known to read any of the rows. After that each row
can be read without the others, and so can a segment: some rows that stand one after the other.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import dropwhile
from typing import Any, BinaryIO

from reviewbox.documents.document import (
    Document,
    LineReader,
    Lines,
    LineTable,
    ReadOptions,
    Row,
    refuse_too_many,
)
from reviewbox.documents.encodings import marked_encoding
from reviewbox.documents.lines import decoded_lines, read_lines
from reviewbox.errors import ErrorCode, Problem, SourceError


def read_table(reader: LineReader, data: bytes, options: ReadOptions) -> Document:
    """Read a whole table.

    Raises:
        SourceError: there is not one row, or too many, or no field could be the review.
    """
    numbers: list[int] = []
    lines = Lines(read_lines(data, options), marked_encoding(data))
    table = reader.learn(lines, options, lambda number, _: numbers.append(number))
    refuse_too_many(len(numbers))
    return Document(_Rows(data, options, table, numbers[0]), table.notes, table.table)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table from some line on, parsed anew at each iteration."""

    data: bytes
    options: ReadOptions
    table: LineTable
    first: int

    def __iter__(self) -> Iterator[Row]:
        lines = read_lines(self.data, self.options)
        return self.table.rows(dropwhile(lambda line: line.number < self.first, lines))


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of a table that stand one after the other.

    Attributes:
        start: where they begin, in bytes of the table, decompressed.
        end: where they end.
        line: the number of their first line.
    """

    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class SegmentedTable:
    """A table cut into segments.

    Attributes:
        reader: the name of its reader.
        table: what the reader has learnt.
        segments: in order, without gaps.
        doubtful_after: the first line with a quote that does not close; None if there is none.
    """

    reader: str
    table: LineTable
    segments: tuple[Segment, ...]
    doubtful_after: int | None = None

    def rows(self, index: int, data: bytes, options: ReadOptions) -> Iterator[Row]:
        """Yield the rows of a segment, whose bytes are `data`."""
        return self.table.rows(decoded_lines(BytesIO(data), options, self.segments[index].line))

    def fields(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "reader": self.reader,
            "table": self.table.fields(),
            "segments": [[segment.start, segment.end, segment.line] for segment in self.segments],
            "doubtful_after": self.doubtful_after,
        }


def cut(
    stream: BinaryIO,
    reader: LineReader,
    options: ReadOptions,
    segment_bytes: int,
    keep: Callable[[int, bytes], None] | None = None,
) -> SegmentedTable:
    """Look at all lines of a table in UTF-8, and cut it where a row has `segment_bytes` before it.

    Args:
        stream: the table's bytes.
        reader: of its format.
        options: what they do not say.
        segment_bytes: of a segment, at least, but for the last one.
        keep: called with each segment's number, from 0, and its bytes, where they are wanted.

    Raises:
        SourceError: it is no table that can be read, or a line has more than `options.max_bytes`.
    """
    tape = _Tape(stream, options.max_bytes, keep)
    segments: list[Segment] = []
    begun: tuple[int, int] | None = None  # the segment that is not yet full: start, line
    doubtful_after: int | None = None

    def at_row(line: int, problem: Problem | None) -> None:
        nonlocal begun, doubtful_after
        offset = tape.offset_of(line)
        if doubtful_after is None and problem and problem.code is ErrorCode.UNCLOSED_QUOTE:
            doubtful_after = line
        if begun is None:
            tape.drop(offset)
            begun = offset, line
        elif offset - begun[0] >= segment_bytes:
            segments.append(Segment(begun[0], offset, begun[1]))
            tape.cut(offset)
            begun = offset, line

    lines = Lines(decoded_lines(tape, options), marked_encoding(tape.first))
    table = reader.learn(lines, options, at_row)
    if begun:  # there are rows, or the reader would have raised
        segments.append(Segment(begun[0], tape.end, begun[1]))
        tape.cut(tape.end)
    return SegmentedTable(reader.name, table, tuple(segments), doubtful_after)


class _Tape:
    """The lines of a stream, and where those began that were read last.

    Attributes:
        first: the first line.
        end: how many bytes were read.
    """

    def __init__(self, stream: BinaryIO, longest: int, keep: Callable[[int, bytes], None] | None) -> None:
        self._stream = stream
        self._longest = longest
        self._keep = keep
        self._begun: deque[tuple[int, int]] = deque()
        self._kept = bytearray()
        self._kept_from = self._cuts = self.end = 0
        self.first = self._read(1)

    def __iter__(self) -> Iterator[bytes]:
        line, number = self.first, 1
        while line:
            self._begun.append((number, self.end))
            self.end += len(line)
            if self._keep:
                self._kept += line
            yield line
            number += 1
            line = self._read(number)

    def offset_of(self, number: int) -> int:
        """Return where a line begins that is no earlier than the one asked for before."""
        while self._begun[0][0] < number:
            self._begun.popleft()
        return self._begun[0][1]

    def drop(self, offset: int) -> None:
        """Forget what was read before `offset`."""
        del self._kept[: offset - self._kept_from]
        self._kept_from = offset

    def cut(self, offset: int) -> None:
        """Give away what was read before `offset` since the last cut, or what was dropped."""
        if self._keep:
            self._keep(self._cuts, bytes(self._kept[: offset - self._kept_from]))
        self._cuts += 1
        self.drop(offset)

    def _read(self, number: int) -> bytes:
        line = self._stream.readline(self._longest + 1)
        if len(line) > self._longest:
            raise SourceError(
                ErrorCode.LINE_TOO_LONG,
                f"line {number} has more than the {self._longest:,} bytes that the setting MAX_OBJECT_BYTES "
                "allows: has it lost its line ends?",
            )
        return line
