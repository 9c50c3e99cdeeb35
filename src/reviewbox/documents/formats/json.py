"""JSON: an object is one review; an array, or objects one after the other, are a table of them.

An object around one array of objects, as web services answer, is that table.

Values are read one at a time, so that a table needs little more room than its text.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from reviewbox.documents.document import (
    LONGEST_LINE,
    Document,
    Format,
    Line,
    LineReader,
    ReadOptions,
    Row,
    Value,
    refuse_too_many,
)
from reviewbox.documents.encoding import beginning, decode
from reviewbox.documents.formats import jsonl
from reviewbox.documents.formats.json_objects import JsonTable, parse_object, review_in
from reviewbox.documents.lines import at_line
from reviewbox.documents.review_field import ColumnSample, is_usual
from reviewbox.documents.segments import read_table
from reviewbox.errors import ErrorCode, Problem, SourceError

_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")
_SPREAD = re.compile(r"\s*(?:\[\s*\{|\{[ \t]*\r?\n)")
_ENOUGH = 4096  # bytes
# Where the next row begins behind a broken one, as far as one can tell.
_NEXT_OBJECT = re.compile(r"[,}]\s*(?=\{)")
_DECODER = json.JSONDecoder(parse_int=float)  # an int has a longest length
_LINES_LOOKED_AT = 100
# An error of Python's parser counts all lines before it: what is read is cut off now and then.
_FAR = 250_000  # characters


def read(data: bytes, options: ReadOptions) -> Document:
    """Read an object as one review, and an array or several objects as a table.

    Raises:
        SourceError: it is no JSON, or there is not one row, or none has a field that could be the review.
    """
    decoded = decode(data, options.fallback_encoding)
    text, notes = decoded.text.strip(), dict[str, Value]({"encoding": decoded.encoding})
    if decoded.fallback:
        notes["fallback_encoding_used"] = True
    if not text:
        raise SourceError(ErrorCode.EMPTY_TABLE, "there is nothing but space in the file")
    if not text.startswith("["):
        end = _value_end(text, 0)
        if end != len(text) and _is_one_a_line(text):
            return read_table(jsonl.READER, data, options)
        if end in (None, len(text)):
            return _object(decoded.text, notes, options)
    return _table(partial(_values, decoded.text), notes, options)


def _read_lines(data: bytes, options: ReadOptions) -> Document:
    """Read JSON Lines, or what is only called so: an array, or objects of several lines each."""
    spread = _SPREAD.match(beginning(data, _ENOUGH))
    return read(data, options) if spread else read_table(jsonl.READER, data, options)


def _table(
    values: Callable[[], Iterator[Line]], notes: Mapping[str, Value], options: ReadOptions
) -> Document:
    """Return the table whose rows are `values`, which begin anew at each call."""
    numbers: list[int] = []
    table = JsonTable.learn(values(), options, lambda number, _: numbers.append(number))
    refuse_too_many(len(numbers))
    return Document(_Rows(values, table), {**notes, **table.notes}, table.table)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table, parsed anew at each iteration."""

    values: Callable[[], Iterator[Line]]
    table: JsonTable

    def __iter__(self) -> Iterator[Row]:
        return self.table.rows(self.values())


def _line_reader(text: str) -> LineReader | None:
    """Return the reader of what begins like this, if it is JSON Lines, which many programs call JSON."""
    start = text.strip()
    is_lines = not start.startswith("[") and _value_end(start, 0) != len(start) and _is_one_a_line(start)
    return jsonl.READER if is_lines else None


def _is_one_a_line(text: str) -> bool:
    """Whether it is JSON Lines, which many programs call JSON."""
    if _SPREAD.match(text) and text.endswith("\n}"):
        return False
    lines = text.split("\n", _LINES_LOOKED_AT)[:_LINES_LOOKED_AT]
    return any(line.startswith("{") and _value_end(line, 0) == len(line.rstrip()) for line in lines)


def _object(text: str, notes: dict[str, Value], options: ReadOptions) -> Document:
    fields = parse_object(Line(1, text.strip()))
    if isinstance(fields, Problem):
        raise SourceError(fields.code, fields.message)
    sample = ColumnSample()
    sample.add(fields.items())
    arrays = [name for name, value in fields.items() if isinstance(value, list) and dict in map(type, value)]
    texts = [name for name, value in fields.items() if isinstance(value, str)]
    is_review = sample.holds_prose or any(is_usual(name) or name == options.text_field for name in texts)
    if len(arrays) == 1 and not is_review:
        start, end = _member(text, arrays[0])
        return _table(partial(_values, text[:end], start), notes | {"array": arrays[0]}, options)
    text_field, found = sample.text_field(fields, options)
    review = review_in(fields, text_field)
    if isinstance(review, Problem):
        raise SourceError(review.code, review.message)
    return Document([Row(1, review)], notes | found)


def _member(text: str, name: str) -> tuple[int, int]:
    """Return where in the object that a text is the value called `name` stands."""
    position = _skip_space(text, 0) + 1
    while True:
        found, position = _DECODER.raw_decode(text, _skip_space(text, position))
        start = _skip_space(text, _skip_space(text, position) + 1)
        end = _DECODER.raw_decode(text, start)[1]
        if found == name:
            return start, end
        position = _skip_space(text, end) + 1


def _values(text: str, start: int = 0) -> Iterator[Line]:
    """Yield the text of each value of the array, or of the values one after the other, from `start` on.

    Commas are not insisted on: one too few or too many at the end changes nothing.
    """
    position = _skip_space(text, start)
    in_array = text.startswith("[", position)
    position = _skip_space(text, position + in_array)
    line = 1 + text.count("\n", 0, position)
    while position < len(text):
        if in_array and text[position] == "]":
            rest = _skip_space(text, position + 1)
            if rest < len(text):
                yield _garbage(line + text.count("\n", position, rest), text[rest:].rstrip())
            return
        start, end = position, _value_end(text, position)
        if end is not None:
            yield _value(line, text[start:end])
            position = _skip_space(text, end)
            if in_array and text.startswith(",", position):
                position = _skip_space(text, position + 1)
        else:
            found = _NEXT_OBJECT.search(text, position)
            position = found.end() if found else len(text)
            yield _broken(line, text[start:position].rstrip(" \t\r\n,"))
            in_array = in_array and found is not None
        line += text.count("\n", start, position)
        if position > _FAR:
            text, position = text[position:], 0
    if in_array:
        yield Line(line, "", problem=at_line(line, Problem(ErrorCode.BROKEN_JSON, "the array is not closed")))


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _value_end(text: str, position: int) -> int | None:
    """Return where the JSON value at `position` ends; None if it is broken, or too deep."""
    try:
        return _DECODER.raw_decode(text, position)[1]
    except (ValueError, RecursionError):
        return None


def _value(line: int, text: str) -> Line:
    if len(text) > LONGEST_LINE:
        message = f"the value has {len(text):,} characters, and {LONGEST_LINE:,} are the most"
        return Line(line, text, problem=at_line(line, Problem(ErrorCode.LINE_TOO_LONG, message)))
    if text.startswith('"'):
        text = f'{{"text": {text}}}'  # a list of reviews and nothing else
    # In JSON a line only breaks between values: on one line it is the same object.
    return Line(line, _LINE_BREAK.sub(" ", text))


def _broken(line: int, text: str) -> Line:
    found = parse_object(Line(line, text))
    problem = found if isinstance(found, Problem) else Problem(ErrorCode.BROKEN_JSON, "not JSON")
    return Line(line, text, problem=problem)


def _garbage(line: int, text: str) -> Line:
    message = f"{len(text):,} characters stand behind the end of the array"
    return Line(line, text, problem=at_line(line, Problem(ErrorCode.TRAILING_GARBAGE, message)))


def _looks_like(text: str) -> bool:
    return bool(re.match(r'\s*(?:\{\s*["}]|\[\s*\{)', text))


JSON = Format("JSON", frozenset({".json"}), frozenset({"application/json"}), read, _looks_like, _line_reader)
JSON_LINES = Format(
    "JSON Lines",
    frozenset({".jsonl", ".ndjson", ".jsonlines"}),
    frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"}),
    _read_lines,
    line_reader=lambda text: None if _SPREAD.match(text) else jsonl.READER,
)
