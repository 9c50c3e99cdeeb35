"""Bytes -> numbered lines of text, each decoded by itself.

One line in another encoding, or none at all, does not spoil the others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO, StringIO

from reviewbox.documents.document import LONGEST_LINE, Line, ReadOptions
from reviewbox.documents.encoding import decode_unmarked, marked_encoding
from reviewbox.errors import ErrorCode, Problem, SourceError

_ENOUGH_TO_LOOK_AT = 64 * 1024  # bytes


def read_lines(data: bytes, options: ReadOptions) -> Iterator[Line]:
    """Yield every line of `data`; a byte-order mark belongs to none."""
    marked = marked_encoding(data)
    if marked not in (None, "utf-8"):
        return _wide_lines(data, marked)
    # Old Macintoshes ended lines by a carriage return alone.
    return decoded_lines(BytesIO(data) if b"\n" in data else data.splitlines(keepends=True), options)


def decoded_lines(lines: Iterable[bytes], options: ReadOptions, first: int = 1) -> Iterator[Line]:
    """Yield lines of UTF-8, or of the fallback encoding, the first of which has the number `first`."""
    for number, encoded in enumerate(lines, first):
        problem = _too_long(number, len(encoded))
        try:
            decoded = decode_unmarked(encoded, options.fallback_encoding)
        except SourceError as error:
            text = encoded.decode("utf-8", "backslashreplace")
            yield Line(number, text, problem=problem or at_line(number, error.problem))
        else:
            yield Line(number, decoded.text, decoded.fallback, problem)


def refuse_binary_lines(lines: Iterable[Line]) -> None:
    """Raise SourceError if most of a table's first lines is binary, so that lines mean nothing."""
    size = binary = 0
    problem: Problem | None = None
    for line in lines:
        size += len(line.text)
        if line.problem and line.problem.code is ErrorCode.BINARY_FILE:
            binary += len(line.text)
            problem = line.problem
        if size >= _ENOUGH_TO_LOOK_AT:
            break
    if problem and binary > size / 2:
        raise SourceError(problem.code, problem.message)


def at_line(number: int, problem: Problem) -> Problem:
    """Return the problem with its place before its message."""
    return replace(problem, message=f"line {number}: {problem.message}")


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
