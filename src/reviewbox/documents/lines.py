"""Bytes -> numbered lines of text, each decoded by itself.

One line in another encoding, or none at all, does not spoil the others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO, StringIO

from reviewbox.documents.document import ReadOptions, Value
from reviewbox.documents.encodings import decode_unmarked, marked_encoding
from reviewbox.errors import ErrorCode, Problem, SourceError

# Four times the longest review that is classified, for the fields beside it.
LONGEST_LINE = 4_000_000  # bytes, or characters where a character takes several
_ENOUGH_TO_LOOK_AT = 64 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Line:
    r"""A line, its end included.

    Attributes:
        number: from 1.
        text: as it was decoded; what cannot be is spelt out (`\x81`).
        fallback: whether only the fallback encoding could read it.
        problem: why it is no line of text.
    """

    number: int
    text: str
    fallback: bool = False
    problem: Problem | None = None


def read_lines(data: bytes, options: ReadOptions) -> Iterator[Line]:
    """Yield every line of `data`; a byte-order mark belongs to none."""
    marked = marked_encoding(data)
    return _utf8_lines(data, options) if marked in (None, "utf-8") else _wide_lines(data, marked)


def refuse_binary_lines(data: bytes, options: ReadOptions) -> None:
    """Raise SourceError if most of `data` is binary, so that lines mean nothing."""
    size = binary = 0
    problem: Problem | None = None
    for line in read_lines(data[:_ENOUGH_TO_LOOK_AT], options):
        size += len(line.text)
        if line.problem and line.problem.code is ErrorCode.BINARY_FILE:
            binary += len(line.text)
            problem = line.problem
    if problem and binary > size / 2:
        raise SourceError(problem.code, problem.message)


def encoding_notes(data: bytes, lines: Iterable[Line], options: ReadOptions) -> dict[str, Value]:
    """Return what a receipt says of the encoding of `data`, whose lines are `lines`."""
    notes: dict[str, Value] = {"encoding": marked_encoding(data) or "utf-8"}
    try:
        data.decode()
    except UnicodeDecodeError:
        fallbacks = sum(line.fallback for line in lines)
    else:
        fallbacks = 0  # and no line has to be read to know it
    if fallbacks:
        notes |= {"fallback_encoding": options.fallback_encoding, "lines_in_fallback_encoding": fallbacks}
    return notes


def at_line(number: int, problem: Problem) -> Problem:
    """Return the problem with its place before its message."""
    return replace(problem, message=f"line {number}: {problem.message}")


def _utf8_lines(data: bytes, options: ReadOptions) -> Iterator[Line]:
    # Old Macintoshes ended lines by a carriage return alone.
    lines = iter(BytesIO(data)) if b"\n" in data else iter(data.splitlines(keepends=True))
    for number, encoded in enumerate(lines, 1):
        problem = _too_long(number, len(encoded))
        try:
            decoded = decode_unmarked(encoded, options.fallback_encoding)
        except SourceError as error:
            text = encoded.decode("utf-8", "backslashreplace")
            yield Line(number, text, problem=problem or at_line(number, error.problem))
        else:
            yield Line(number, decoded.text, decoded.fallback, problem)


def _wide_lines(data: bytes, encoding: str) -> Iterator[Line]:
    # The first character is the mark. What cannot be decoded is spelt out in its place.
    try:
        text, damaged = data.decode(encoding, "surrogatepass")[1:], 0
    except UnicodeDecodeError as error:
        text = data.decode(encoding, "backslashreplace")[1:]
        damaged = data[: error.start].decode(encoding, "surrogatepass").count("\n") + 1
    problem = Problem(ErrorCode.NOT_TEXT, f"its bytes are no {encoding}")
    for number, line in enumerate(StringIO(text, newline="\n"), 1):
        found = at_line(number, problem) if number == damaged else _too_long(number, len(line))
        yield Line(number, line, problem=found)


def _too_long(number: int, length: int) -> Problem | None:
    if length <= LONGEST_LINE:
        return None
    message = f"the line is {length:,} long, and {LONGEST_LINE:,} is the most: has it lost its line ends?"
    return at_line(number, Problem(ErrorCode.LINE_TOO_LONG, message))
