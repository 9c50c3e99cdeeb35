"""Tables whose rows are JSON objects: the lines of JSON Lines, or the values of an array.

A row is written back with the characters it was read with. The new fields are added before its closing brace.
So numbers keep their digits, and fields keep their order.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isinf
from typing import Any, NoReturn

from reviewbox.documents.document import ReadOptions, Row, Table, Value
from reviewbox.documents.lines import Line, Lines, at_line
from reviewbox.documents.review_field import ColumnSample
from reviewbox.errors import ErrorCode, Problem, SourceError

# The field that holds the source text of a row that is not a JSON object.
_RAW_FIELD = "reviewbox_raw"

# A table with more field names than this uses names as data. Names are cut to this length in characters.
_MAX_NAMES = 10_000
_MAX_NAME_LENGTH = 1000

# Python's parser fails at a depth that differs between versions.
_MAX_DEPTH = 500
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_BRACKET = re.compile(r"[\[{]|[\]}]")
# A letter or underscore that is written as an escape, as a field name may have it.
_ESCAPED_LETTER = re.compile(r"\\u00[5-7]")


class _NumberError(ValueError):
    """A number that JSON or a double cannot represent."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The schema of a table whose rows are JSON objects.

    Attributes:
        text_field: the field that holds the review.
        names: the names of the fields that the first rows have.
        notes: what was inferred, for the receipt.
    """

    text_field: str
    names: frozenset[str]
    notes: Mapping[str, Value]

    @classmethod
    def infer(cls, values: Lines, options: ReadOptions) -> "JsonSchema":
        """Infer the schema from the first values; each is the text of one JSON value, or blank.

        Raises:
            SourceError: there is no row, or no field that can be the review.
        """
        sample, columns, names = values.sample(), ColumnSample(), set[str]()
        rows = [parse_object(value) for value in _stripped(sample.lines)]
        if sample.is_all and not rows:
            raise _no_rows()
        for fields in rows:
            if isinstance(fields, dict):
                if len(names) < _MAX_NAMES:
                    names.update(name[:_MAX_NAME_LENGTH] for name in fields)
                columns.add(fields.items())
        field = columns.select(names, options)
        return cls(field.name, frozenset(names), field.notes)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "JsonSchema":
        """Return the schema for the data that `to_dict` returned."""
        return cls(data["text_field"], frozenset(data["names"]), data["notes"])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"text_field": self.text_field, "names": sorted(self.names), "notes": dict(self.notes)}

    @property
    def table(self) -> Table:
        """How rows are written back."""
        return Table("jsonl", "application/x-ndjson", self.names, _render_row, _render_raw)

    def rows(self, values: Iterable[Line]) -> Iterator[Row]:
        """Yield the row for each value that is not blank.

        Raises:
            SourceError: there is no row.
        """
        value = None
        for value in _stripped(values):
            fields = parse_object(value)
            if isinstance(fields, Problem):
                yield Row(value.number, problem=fields, raw=_render_raw(value.text))
                continue
            review = review_in(fields, self.text_field)
            if isinstance(review, Problem):
                yield Row(value.number, problem=at_line(value.number, review), raw=value.text)
            else:
                yield Row(value.number, review, raw=value.text)
        if value is None:
            raise _no_rows()


def parse_object(value: Line) -> dict[str, Any] | Problem:
    """Return the fields of a JSON object, or the problem if the text is not one."""
    if value.problem:
        return value.problem
    number, problem = value.number, _depth_problem(value.text)
    if problem is None:
        try:
            fields = json.loads(
                value.text, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
            )
        except json.JSONDecodeError as error:
            message = f"not valid JSON ({error.msg.removesuffix(' at')}, column {error.colno})"
            number, problem = number + error.lineno - 1, Problem(ErrorCode.BROKEN_JSON, message)
        except _NumberError as error:
            problem = Problem(ErrorCode.INVALID_NUMBER, str(error))
        else:
            if isinstance(fields, dict):
                return fields
            message = f"a JSON {_json_type(fields)}, but a row must be an object"
            problem = Problem(ErrorCode.NOT_AN_OBJECT, message)
    return at_line(number, problem)


def review_in(fields: Mapping[str, Any], text_field: str) -> str | Problem:
    """Return the review in an object, or the problem if there is none."""
    review = fields.get(text_field)
    if isinstance(review, str):
        return review
    actual = f"the field is a JSON {_json_type(review)}" if text_field in fields else "the field is missing"
    return Problem(ErrorCode.MISSING_FIELD, f"expected a text in the field {text_field!r}, but {actual}")


def _stripped(values: Iterable[Line]) -> Iterator[Line]:
    for value in values:
        text = value.text.strip()
        if text or value.problem:
            yield replace(value, text=text)


def _no_rows() -> SourceError:
    return SourceError(ErrorCode.EMPTY_TABLE, "the table has no rows")


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
    # The value is not used. `int` refuses numbers of many digits, so a double has to do.
    number = float(digits)
    if isinf(number):
        raise _NumberError(
            f"a number of {len(digits)} characters is too large for a double; write it as a string"
        )
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise _NumberError(f"{name} is not valid in JSON; write null")


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", float: "number", bool: "boolean"}
    return names.get(type(value), "null")


def _render_row(row: Row, added: Mapping[str, Value]) -> str:
    start = row.raw.removesuffix("}").rstrip()
    separator = "" if start == "{" else ","
    added = _with_free_names(row.raw, added)
    return start + separator + json.dumps(added, ensure_ascii=False, separators=(",", ":"))[1:] + "\n"


def _with_free_names(raw: str, added: Mapping[str, Value]) -> dict[str, Value]:
    """Return the added fields, renamed if this row has a field of the same name that the first rows lack."""
    if not (any(f'"{name}"' in raw for name in added) or _ESCAPED_LETTER.search(raw)):
        return dict(added)  # the usual case, decided without parsing
    names = json.loads(raw, parse_int=float)
    free = {}
    for name, value in added.items():
        free_name = name
        while free_name in names:
            free_name = f"reviewbox_{free_name}"
        free[free_name] = value
    return free


def _render_raw(text: str) -> str:
    return json.dumps({_RAW_FIELD: text}, ensure_ascii=False)
