"""JSON objects that are rows of a table: how they are parsed and written back.

A row is written back with the characters it was read with. The new fields are added before its closing brace.
So numbers keep their digits, and fields keep their order.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import isinf
from typing import Any

from reviewbox.documents.document import Row, Value
from reviewbox.documents.formats.json_syntax import NOT_FINITE, Repaired, RepairError, repair, skip_gap
from reviewbox.documents.lines import Line, at_line
from reviewbox.errors import ErrorCode, Problem, SourceError

# The field that holds the source text of a row that is not a JSON object.
_RAW_FIELD = "reviewbox_raw"

# Python's parser fails at a depth that differs between versions.
_MAX_DEPTH = 500
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_BRACKET = re.compile(r"[\[{]|[\]}]")
# A letter or underscore that is written as an escape, as a field name may have it.
_ESCAPED_LETTER = re.compile(r"\\u00[5-7]")
_LINE_BREAK = re.compile(r"[\r\n]\s*+")  # a leading \s* would take quadratic time


class _NumberError(ValueError):
    """A number that a double cannot represent."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value."""

    value: Any  # the value; numbers are floats
    text: str  # its text; it differs from the source if that is not valid JSON
    tolerated: frozenset[str] = frozenset()  # what the source contains that JSON does not allow


def parse(line: Line, check_time: Callable[[], None] = lambda: None) -> Parsed:
    """Parse a text that contains one JSON value, or what `json_syntax` tolerates.

    `check_time` is called repeatedly while a text that is not valid JSON is read.

    Raises:
        SourceError: the text is not one value. The message starts with the line number.
    """
    if line.problem:
        raise _error(line.problem)
    if problem := _depth_problem(line.text):
        raise _error(at_line(line.number, problem))
    try:
        try:
            return _parsed(line.text)
        except json.JSONDecodeError:
            repaired = _repaired(line.text, check_time)
            if repaired is None:
                raise
            parsed = _parsed(repaired.text)
            return replace(parsed, tolerated=parsed.tolerated | repaired.tolerated)
    except json.JSONDecodeError as error:
        message = f"not valid JSON ({error.msg.removesuffix(' at')}, column {error.colno})"
        problem = Problem(ErrorCode.BROKEN_JSON, message)
        raise _error(at_line(line.number + error.lineno - 1, problem)) from None
    except _NumberError as error:
        raise _error(at_line(line.number, Problem(ErrorCode.INVALID_NUMBER, str(error)))) from None


def not_an_object(line: int, value: Any) -> Problem:
    """Return the problem with a row that is a value of another type."""
    message = f"a JSON {json_type(value)}, but a row must be an object"
    return at_line(line, Problem(ErrorCode.NOT_AN_OBJECT, message))


def json_type(value: Any) -> str:
    """Return what JSON calls the type of a parsed value."""
    names = {dict: "object", list: "array", str: "string", float: "number", bool: "boolean"}
    return names.get(type(value), "null")


def on_one_line(text: str) -> str:
    """Return JSON without line breaks. They occur only between tokens, where a space means the same."""
    return _LINE_BREAK.sub(" ", text) if "\n" in text or "\r" in text else text


def unused_name(name: str, used: Collection[str]) -> str:
    """Return a name for an added field that no other field has."""
    while name in used:
        name = f"reviewbox_{name}"
    return name


def with_field(text: str, name: str, value: Value) -> str:
    """Return the text of an object with one more field, under a name that the object does not have."""
    return _joined(text, {name: value})


def render_row(row: Row, added: Mapping[str, Value]) -> str:
    """Return the line for a row with added fields, for `Table.render_row`."""
    return _joined(row.raw, _with_free_names(row.raw, added)) + "\n"


def render_raw(text: str) -> str:
    """Return the object for text that is not an object, for `Table.render_raw`."""
    return json.dumps({_RAW_FIELD: text}, ensure_ascii=False)


def _repaired(text: str, check_time: Callable[[], None]) -> Repaired | None:
    """Return the only value of a text, with or without commas around it; None if it cannot be read."""
    before = skip_gap(text, 0)
    try:
        repaired = repair(text, before.end, check_time)
    except RepairError:
        return None
    after = skip_gap(text, repaired.end)
    if after.end < len(text):
        return None
    return replace(repaired, tolerated=before.tolerated | repaired.tolerated | after.tolerated)


def _parsed(text: str) -> Parsed:
    value = _DECODER.decode(text)
    is_finite = not any(name in text and name in _STRING.sub("", text) for name in ("NaN", "Infinity"))
    return Parsed(value, text, frozenset() if is_finite else frozenset({NOT_FINITE}))


def _depth_problem(text: str) -> Problem | None:
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return None
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _MAX_DEPTH:
            return Problem(
                ErrorCode.NESTED_TOO_DEEP, f"nested deeper than {_MAX_DEPTH} levels; flatten the object"
            )
    return None


def _number(digits: str) -> float:
    # The value is not used. `int` rejects numbers with many digits, so a double has to do.
    number = float(digits)
    if isinf(number):
        raise _NumberError(
            f"a number of {len(digits)} characters is too large for a double; write it as a string"
        )
    return number


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_number)


def _joined(text: str, added: Mapping[str, Value]) -> str:
    start = text.removesuffix("}").rstrip()
    separator = "" if start == "{" else ","
    return start + separator + json.dumps(added, ensure_ascii=False, separators=(",", ":"))[1:]


def _with_free_names(raw: str, added: Mapping[str, Value]) -> dict[str, Value]:
    """Return the added fields, renamed if this row has a field with that name that the first rows lack."""
    if not (any(f'"{name}"' in raw for name in added) or _ESCAPED_LETTER.search(raw)):
        return dict(added)  # the usual case, decided without parsing
    names = json.loads(raw, parse_int=float)
    return {unused_name(name, names): value for name, value in added.items()}


def _error(problem: Problem) -> SourceError:
    return SourceError(problem.code, problem.message)
