"""JSON. An object is one review. An array, or several objects in a row, is a table of reviews.

An object that holds one array of objects, as web services return it, is that table.

Values are parsed one at a time, so that a table needs little more memory than its text.
"""

import json
import re
from collections.abc import Iterator, Mapping

from reviewbox.documents.document import Document, ReadOptions, Row, Value
from reviewbox.documents.encoding import decode, decode_start
from reviewbox.documents.format import Format
from reviewbox.documents.formats import jsonl
from reviewbox.documents.formats.json_objects import JsonSchema, parse_object, review_in
from reviewbox.documents.formats.text import encoding_notes
from reviewbox.documents.line_tables import LineFormat, limited, read_table
from reviewbox.documents.lines import Line, Lines, at_line
from reviewbox.documents.review_field import ColumnSample, is_usual
from reviewbox.errors import ErrorCode, Problem, SourceError

_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_BREAK = re.compile(r"[\r\n]\s*")  # a leading \s* would take quadratic time
# The start of an array of objects, or of an object of several lines.
_MULTILINE = re.compile(r"\s*(?:\[\s*\{|\{[ \t]*\r?\n)")
_MULTILINE_CHECK_BYTES = 4096
# The likely start of the next row after a broken one.
_NEXT_OBJECT = re.compile(r"[,}]\s*(?=\{)")
_DECODER = json.JSONDecoder(parse_int=float)  # Python limits the digits of an int
_LINES_TO_CHECK = 100
# Python's parser counts all lines before an error. To keep that fast, text that was parsed is dropped.
_DROP_LENGTH = 250_000  # characters


def read(data: bytes, options: ReadOptions) -> Document:
    """Read an object as one review, and an array or several objects as a table.

    Raises:
        SourceError: the file is not JSON, there is no row, or no field can be the review.
    """
    decoded = decode(data, options.fallback_encoding)
    text, notes = decoded.text.strip(), encoding_notes(decoded)
    if not text:
        raise SourceError(ErrorCode.EMPTY_TABLE, "the file has only white space")
    if not text.startswith("["):
        end = _value_end(text, 0)
        if end != len(text) and _is_json_lines(text):
            return read_table(jsonl.LINE_FORMAT, data, options)
        if end in (None, len(text)):
            return _read_object(decoded.text, notes, options)
    return _read_values(_values(decoded.text, options.max_line_length), notes, options)


def _read_json_lines(data: bytes, options: ReadOptions) -> Document:
    """Read JSON Lines. A file of that name may hold an array or objects of several lines, too."""
    is_multiline = _MULTILINE.match(decode_start(data, _MULTILINE_CHECK_BYTES))
    return read(data, options) if is_multiline else read_table(jsonl.LINE_FORMAT, data, options)


def _read_values(values: Iterator[Line], notes: Mapping[str, Value], options: ReadOptions) -> Document:
    lines = Lines(values)
    schema = JsonSchema.infer(lines, options)
    rows = limited(schema.rows(lines), options.max_rows)
    return Document(rows, lambda: {**notes, **schema.notes}, schema.table)


def _line_format(head: str) -> LineFormat | None:
    """Return the line format of a file called JSON if it starts like JSON Lines."""
    text = head.strip()
    is_lines = not text.startswith("[") and _value_end(text, 0) != len(text) and _is_json_lines(text)
    return jsonl.LINE_FORMAT if is_lines else None


def _is_json_lines(text: str) -> bool:
    """Return whether a text is JSON Lines, which many programs store as JSON."""
    if _MULTILINE.match(text) and text.endswith("\n}"):
        return False
    lines = text.split("\n", _LINES_TO_CHECK)[:_LINES_TO_CHECK]
    return any(line.startswith("{") and _value_end(line, 0) == len(line.rstrip()) for line in lines)


def _read_object(text: str, notes: dict[str, Value], options: ReadOptions) -> Document:
    fields = parse_object(Line(1, text.strip()))
    if isinstance(fields, Problem):
        raise SourceError(fields.code, fields.message)
    columns = ColumnSample()
    columns.add(fields.items())
    arrays = [name for name, value in fields.items() if isinstance(value, list) and dict in map(type, value)]
    texts = [name for name, value in fields.items() if isinstance(value, str)]
    is_review = columns.has_prose or any(is_usual(name) or name == options.text_field for name in texts)
    if len(arrays) == 1 and not is_review:
        start, end = _member_span(text, arrays[0])
        values = _values(text[:end], options.max_line_length, start)
        return _read_values(values, notes | {"array": arrays[0]}, options)
    field = columns.select(fields, options)
    review = review_in(fields, field.name)
    if isinstance(review, Problem):
        raise SourceError(review.code, review.message)
    return Document(iter([Row(1, review)]), lambda: notes | field.notes)


def _member_span(text: str, name: str) -> tuple[int, int]:
    """Return where the value of the field `name` starts and ends in the text of an object."""
    position = _skip_space(text, 0) + 1
    while True:
        member, position = _DECODER.raw_decode(text, _skip_space(text, position))
        start = _skip_space(text, _skip_space(text, position) + 1)
        end = _DECODER.raw_decode(text, start)[1]
        if member == name:
            return start, end
        position = _skip_space(text, end) + 1


def _values(text: str, max_length: int, start: int = 0) -> Iterator[Line]:
    """Yield the text of each value of an array, or of consecutive values, from the offset `start` on.

    Missing and surplus commas between values are tolerated.
    """
    position = _skip_space(text, start)
    in_array = text.startswith("[", position)
    position = _skip_space(text, position + in_array)
    line = 1 + text.count("\n", 0, position)
    while position < len(text):
        if in_array and text[position] == "]":
            rest = _skip_space(text, position + 1)
            if rest < len(text):
                yield _trailing_text(line + text.count("\n", position, rest), text[rest:].rstrip())
            return
        start, end = position, _value_end(text, position)
        if end is not None:
            yield _value(line, text[start:end], max_length)
            position = _skip_space(text, end)
            if in_array and text.startswith(",", position):
                position = _skip_space(text, position + 1)
        else:
            match = _NEXT_OBJECT.search(text, position)
            position = match.end() if match else len(text)
            yield _broken_value(line, text[start:position].rstrip(" \t\r\n,"))
            in_array = in_array and match is not None
        line += text.count("\n", start, position)
        if position > _DROP_LENGTH:
            text, position = text[position:], 0
    if in_array:
        problem = Problem(
            ErrorCode.BROKEN_JSON, "the array is not closed; check whether the file is complete"
        )
        yield Line(line, "", problem=at_line(line, problem))


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _value_end(text: str, position: int) -> int | None:
    """Return the end of the JSON value at `position`; None if the value is broken or nested too deep."""
    try:
        return _DECODER.raw_decode(text, position)[1]
    except (ValueError, RecursionError):
        return None


def _value(line: int, text: str, max_length: int) -> Line:
    if len(text) > max_length:
        message = f"the value has {len(text):,} characters, the maximum is {max_length:,}; shorten it"
        return Line(line, text, problem=at_line(line, Problem(ErrorCode.LINE_TOO_LONG, message)))
    if text.startswith('"'):
        text = f'{{"text": {text}}}'  # in an array of texts
    # In valid JSON, line breaks occur only between tokens, where a space means the same.
    return Line(line, _LINE_BREAK.sub(" ", text))


def _broken_value(line: int, text: str) -> Line:
    parsed = parse_object(Line(line, text))
    problem = parsed if isinstance(parsed, Problem) else Problem(ErrorCode.BROKEN_JSON, "not valid JSON")
    return Line(line, text, problem=problem)


def _trailing_text(line: int, text: str) -> Line:
    message = f"{len(text):,} characters follow the end of the array; check whether the file is complete"
    return Line(line, text, problem=at_line(line, Problem(ErrorCode.TRAILING_GARBAGE, message)))


def _looks_like(head: str) -> bool:
    return bool(re.match(r'\s*(?:\{\s*["}]|\[\s*\{)', head))


JSON = Format("JSON", frozenset({".json"}), frozenset({"application/json"}), read, _looks_like, _line_format)
JSON_LINES = Format(
    "JSON Lines",
    frozenset({".jsonl", ".ndjson", ".jsonlines"}),
    frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"}),
    _read_json_lines,
    line_format=lambda head: None if _MULTILINE.match(head) else jsonl.LINE_FORMAT,
)
