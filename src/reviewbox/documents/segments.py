"""Tables whose rows are lines, read whole or in segments.

All lines are looked at once, to learn what must be known to read any of the rows. After that each row
can be read without the others, and so can a segment: some rows that stand one after the other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import dropwhile
from typing import Any, BinaryIO, Self

from reviewbox.documents.checked import Checked
from reviewbox.documents.document import (
    Document,
    LineReader,
    Lines,
    LineTable,
    ReadOptions,
    Row,
    refuse_too_many,
)
from reviewbox.documents.encoding import marked_encoding
from reviewbox.documents.lines import at_line, decoded_lines, read_lines
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
        lines: how many there are that have an end.
        last: stands behind all rows for what is missing at the end, or is too much there.
        doubtful_after: the first line with a quote that does not close; None if there is none.
    """

    reader: str
    table: LineTable
    segments: tuple[Segment, ...]
    lines: int
    last: Row | None = None
    doubtful_after: int | None = None

    @classmethod
    def restore(cls, fields: Mapping[str, Any], readers: Mapping[str, LineReader]) -> Self:
        """Make it of its `fields`, by the reader that has the name they say."""
        last = fields["last"]
        return cls(
            fields["reader"],
            readers[fields["reader"]].restore(fields["table"]),
            tuple(Segment(*segment) for segment in fields["segments"]),
            fields["lines"],
            Row(**{**last, "problem": _problem(**last["problem"])}) if last else None,
            fields["doubtful_after"],
        )

    def fields(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "reader": self.reader,
            "table": self.table.fields(),
            "segments": [[segment.start, segment.end, segment.line] for segment in self.segments],
            "lines": self.lines,
            "last": asdict(self.last) if self.last else None,
            "doubtful_after": self.doubtful_after,
        }

    def rows(self, index: int, data: bytes, options: ReadOptions) -> Iterable[Row]:
        """Return the rows of a segment, whose bytes are `data`, checked."""
        rows = _SegmentRows(self.table, data, options, self.segments[index].line)
        is_last = index == len(self.segments) - 1
        is_truncated = self.last is not None and _is_truncated(self.last.problem)
        return Checked(rows, self.last if is_last else None, self.doubtful_after if is_truncated else None)


@dataclass(frozen=True, slots=True)
class _SegmentRows:
    """The rows of a segment, parsed anew at each iteration."""

    table: LineTable
    data: bytes
    options: ReadOptions
    first: int

    def __iter__(self) -> Iterator[Row]:
        return self.table.rows(decoded_lines(BytesIO(self.data), self.options, self.first))


def cut(
    stream: BinaryIO,
    reader: LineReader,
    options: ReadOptions,
    at_cut: Callable[[int, bytes], None] = lambda *_: None,
    problem_at_end: Callable[[], Problem | None] = lambda: None,
) -> SegmentedTable:
    """Look at all lines of a table in UTF-8, and cut it where a row has a full segment before it.

    Args:
        stream: the table's bytes.
        reader: of its format.
        options: what they do not say, and how large a segment is to be: the last one may be smaller.
        at_cut: called with each segment's number, from 0, and its bytes.
        problem_at_end: asked when all is read: why that is not all, or not all there was. If it is
            truncated, a last line without an end is no row.

    Raises:
        SourceError: it is no table that can be read, or a line has more than `options.max_bytes`.
    """
    tape = _Tape(stream, options.max_bytes, lambda: _is_truncated(problem_at_end()))
    segments: list[Segment] = []
    begun: tuple[int, int] | None = None  # the segment that is not yet full: start, line
    doubtful_after: int | None = None

    def at_row(line: int, problem: Problem | None) -> None:
        nonlocal begun, doubtful_after
        offset = tape.offset_of(line)
        if doubtful_after is None and problem and problem.code is ErrorCode.UNCLOSED_QUOTE:
            doubtful_after = line
        if begun is None:
            tape.take(offset)
            begun = offset, line
        elif offset - begun[0] >= options.segment_bytes:
            end_segment(begun, offset)
            begun = offset, line

    def end_segment(start: tuple[int, int], end: int) -> None:
        at_cut(len(segments), tape.take(end))
        segments.append(Segment(start[0], end, start[1]))

    lines = Lines(decoded_lines(tape, options), marked_encoding(tape.first))
    table = reader.learn(lines, options, at_row)
    if begun:  # there are rows, or the reader would have raised
        end_segment(begun, tape.end)
    lines_ended = tape.lines - (not tape.is_last_ended)
    last = None
    if problem := problem_at_end():
        left = table.table.keep(tape.left.decode("utf-8", "backslashreplace"))
        last = Row(lines_ended + 1, problem=at_line(lines_ended + 1, problem), raw=left)
    return SegmentedTable(reader.name, table, tuple(segments), lines_ended, last, doubtful_after)


def _is_truncated(problem: Problem | None) -> bool:
    return problem is not None and problem.code is ErrorCode.TRUNCATED_FILE


def _problem(code: str, message: str) -> Problem:
    return Problem(ErrorCode(code), message)


class _Tape:
    """The lines of a stream, and where those began that were read last.

    What was read is held until it is taken: about a segment.

    Attributes:
        first: the first line.
        end: how many bytes were read.
        lines: how many lines were read.
        is_last_ended: whether the last of them has an end.
        left: the line in which a truncated stream ends.
    """

    def __init__(self, stream: BinaryIO, longest: int, is_truncated: Callable[[], bool]) -> None:
        self._stream = stream
        self._is_truncated = is_truncated
        self._longest = longest
        self._begun: deque[tuple[int, int]] = deque()
        self._held = bytearray()
        self._held_from = self._blank = self.end = self.lines = 0
        self.left = b""
        self.is_last_ended = True
        self.first = self._read()

    def __iter__(self) -> Iterator[bytes]:
        line = self.first
        while line:
            self.lines += 1
            if line.strip(b"\r\n "):  # what is less is no row to any reader
                self._begun.append((self.lines, self.end))
                self._blank = 0
            else:
                self._blank += len(line)
            self.end += len(line)
            self._held += line
            self.is_last_ended = line.endswith(b"\n")
            yield line
            line = self._read()

    def offset_of(self, number: int) -> int:
        """Return where a line begins that is no earlier than the one asked for before."""
        while self._begun[0][0] < number:
            self._begun.popleft()
        return self._begun[0][1]

    def take(self, end: int) -> bytes:
        """Return what was read before `end` and not taken yet."""
        size = end - self._held_from
        taken = bytes(self._held[:size])
        del self._held[:size]
        self._held_from = end
        return taken

    def _read(self) -> bytes:
        line = self._stream.readline(self._longest + 1)
        what = "has" if len(line) > self._longest else "and the blank ones before it have"
        if len(line) + self._blank > self._longest:
            raise SourceError(
                ErrorCode.LINE_TOO_LONG,
                f"line {self.lines + 1} {what} more than the {self._longest:,} bytes that the setting "
                "MAX_OBJECT_BYTES allows: has it lost its line ends?",
            )
        if line and not line.endswith(b"\n") and self._is_truncated():
            self.left = line
            return b""
        return line
