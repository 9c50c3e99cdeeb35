"""Splits bytes into numbered lines of text and decodes each line on its own.

A line in a different encoding, or one that is not text, does not affect the other lines.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO, StringIO
from itertools import chain

from reviewbox.documents.document import MAX_LINE_LENGTH, ReadOptions, Value
from reviewbox.documents.encoding import bom_encoding, decode_without_bom, is_misread, misread
from reviewbox.documents.pacing import paced
from reviewbox.errors import ErrorCode, Problem, SourceError

# The size of the start of a table that decides whether the table is binary, in characters.
_BINARY_CHECK_LENGTH = 64 * 1024
# The layout of a table is inferred from its first lines. There are few enough to hold in memory.
_MAX_SAMPLE_LINES = 1000
# Cells with several lines also have stray line feeds in such files.
_RETURNS_PER_FEED = 5


@dataclass(frozen=True, slots=True)
class Line:
    r"""A line of text, or a value of a JSON array."""

    number: int  # its number in the source, from 1
    text: str  # the decoded line, with its line end; bytes that cannot be decoded are escaped (`\x81`)
    in_fallback: bool = False  # whether it was decoded with the fallback encoding
    problem: Problem | None = None  # why the line cannot be used


@dataclass(frozen=True, slots=True)
class Sample:
    """The first lines of a table."""

    lines: list[Line]  # at most 1,000 lines
    is_all: bool  # whether the table has no more lines


class Lines:
    """An iterator over lines that are read once. A sample of the first lines can be taken first."""

    def __init__(self, lines: Iterable[Line], bom: str | None = None) -> None:
        self.bom = bom  # the encoding that a byte-order mark names; None if there is no byte-order mark
        self._lines = iter(lines)
        self._buffer: deque[Line] = deque()
        self._lines_in_fallback = 0

    def __iter__(self) -> Iterator[Line]:
        while self._buffer:
            yield self._count(self._buffer.popleft())
        for line in self._lines:
            yield self._count(line)

    def sample(self) -> Sample:
        """Return the first lines without consuming them. Call it before the iteration starts."""
        size = sum(len(line.text) for line in self._buffer)
        while len(self._buffer) < _MAX_SAMPLE_LINES and size < MAX_LINE_LENGTH:
            line = next(self._lines, None)
            if line is None:
                return Sample(list(self._buffer), is_all=True)
            self._buffer.append(line)
            size += len(line.text)
        return Sample(list(self._buffer), is_all=False)

    def notes(self, options: ReadOptions) -> dict[str, Value]:
        """Return the receipt's notes on the encoding of the lines that were read so far."""
        notes: dict[str, Value] = {"encoding": self.bom or "utf-8"}
        if self._lines_in_fallback:
            notes |= {
                "fallback_encoding": options.fallback_encoding,
                "lines_in_fallback_encoding": self._lines_in_fallback,
            }
        return notes

    def _count(self, line: Line) -> Line:
        self._lines_in_fallback += line.in_fallback
        return line


def read_lines(data: bytes, options: ReadOptions) -> Lines:
    """Return the lines of a whole file."""
    bom = bom_encoding(data)
    if bom not in (None, "utf-8"):
        wide = _wide_lines(data, bom, options.max_line_length)
        return Lines(paced(wide, options.check_time, lambda line: len(line.text)), bom)
    # Old Macintosh programs ended lines with a single carriage return.
    returns, feeds = data.count(b"\r") - data.count(b"\r\n"), data.count(b"\n")
    encoded = data.splitlines(keepends=True) if returns > _RETURNS_PER_FEED * feeds else BytesIO(data)
    return Lines(decode_lines(encoded, options), bom)


def stream_lines(encoded: Iterable[bytes], options: ReadOptions) -> Lines:
    """Return lines of UTF-8 or the fallback encoding, decoded as they are read."""
    lines = iter(encoded)
    first = next(lines, None)
    if first is None:
        return Lines([])
    return Lines(decode_lines(chain([first], lines), options), bom_encoding(first))


def decode_lines(encoded: Iterable[bytes], options: ReadOptions, first: int = 1) -> Iterator[Line]:
    """Yield lines of UTF-8 or the fallback encoding, numbered from `first`."""
    for number, data in enumerate(paced(encoded, options.check_time, len), first):
        problem = _length_problem(number, len(data), options.max_line_length)
        try:
            decoded = decode_without_bom(data, options.fallback_encoding)
        except SourceError as error:
            text = data.decode("utf-8", "backslashreplace")
            yield Line(number, text, problem=problem or at_line(number, error.problem))
        else:
            yield Line(number, decoded.text, decoded.in_fallback, problem)


def refuse_unreadable_lines(lines: Iterable[Line], options: ReadOptions) -> None:
    """Raise SourceError if most of the first lines is binary data or in a different encoding."""
    codes = {ErrorCode.BINARY_FILE, *([ErrorCode.NOT_TEXT] if options.fallback_encoding else [])}
    size = unreadable_size = 0
    problem: Problem | None = None
    in_fallback = []
    for line in lines:
        size += len(line.text)
        if line.problem and line.problem.code in codes:
            unreadable_size += len(line.text)
            problem = line.problem
        if line.in_fallback:
            in_fallback.append(line.text)
        if size >= _BINARY_CHECK_LENGTH:
            break
    if problem and unreadable_size > size / 2:
        raise SourceError(problem.code, problem.message)
    if is_misread("".join(in_fallback)):
        raise misread(options.fallback_encoding)


def at_line(number: int, problem: Problem) -> Problem:
    """Return a problem whose message starts with the line number."""
    return replace(problem, message=f"line {number}: {problem.message}")


def at_row(number: int, problem: Problem) -> Problem:
    """Return a problem whose message starts with the number of a row of a binary table."""
    return replace(problem, message=f"row {number}: {problem.message}")


def _wide_lines(data: bytes, encoding: str, max_length: int) -> Iterator[Line]:
    # The first character is the byte-order mark. Programs that add one may add a second.
    try:
        text, undecodable = data.decode(encoding, "surrogatepass").lstrip("\ufeff"), 0
    except UnicodeDecodeError as error:
        text = data.decode(encoding, "backslashreplace").lstrip("\ufeff")
        undecodable = data[: error.start].decode(encoding, "surrogatepass").count("\n") + 1
    message = f"not valid {encoding}; save the file as UTF-8"
    for number, line in enumerate(StringIO(text, newline="\n"), 1):
        problem = _length_problem(number, len(line), max_length)
        if number == undecodable:
            problem = at_line(number, Problem(ErrorCode.NOT_TEXT, message))
        yield Line(number, line, problem=problem)


def _length_problem(number: int, length: int, max_length: int) -> Problem | None:
    if length <= max_length:
        return None
    message = (
        f"the line has a length of {length:,}, the maximum is {max_length:,}; check for missing line ends"
    )
    return at_line(number, Problem(ErrorCode.LINE_TOO_LONG, message))
