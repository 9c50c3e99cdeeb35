"""A table whose rows are JSON objects, whichever way they are strung together.

A row goes back as the very characters it came as, with the new fields added before its closing
brace: numbers keep their digits, and fields their order.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isinf
from typing import Any, NoReturn

from reviewbox.documents.document import AtRow, Line, ReadOptions, Row, Table, Value
from reviewbox.documents.lines import at_line
from reviewbox.documents.review_field import SAMPLE_ROWS, ColumnSample
from reviewbox.errors import ErrorCode, Problem, SourceError

# Under this name comes back what is no JSON object.
_RAW_FIELD = "reviewbox_raw"

# Of fields: as many as the rows of no table have, unless names are data.
_MOST_NAMES = 10_000
_LONGEST_NAME = 1000  # characters

# Python's parser gives up at some depth, each version at another.
_DEEPEST = 500
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_BRACKET = re.compile(r"[\[{]|[\]}]")


class _NumberError(ValueError):
    """A number that JSON, or a double, cannot hold."""


@dataclass(frozen=True, slots=True)
class JsonTable:
    """A table whose rows are JSON objects.

    Attributes:
        text_field: the field that holds the review.
        names: of fields that rows have.
        notes: what was found out, for the receipt.
    """

    text_field: str
    names: frozenset[str]
    notes: Mapping[str, Value]

    @classmethod
    def learn(
        cls, values: Iterable[Line], options: ReadOptions, at_row: AtRow = lambda *_: None
    ) -> "JsonTable":
        """Look at all rows: the text of one JSON value each. Where there is but space, there is no row.

        Raises:
            SourceError: there is not one row, or no row has a field that could be the review.
        """
        sample, names, rows = ColumnSample(), set[str](), 0
        for value in _stripped(values):
            rows += 1
            fields = parse_object(value)
            at_row(value.number, fields if isinstance(fields, Problem) else None)
            if isinstance(fields, dict):
                if len(names) < _MOST_NAMES:
                    names.update(name[:_LONGEST_NAME] for name in fields)
                if rows <= SAMPLE_ROWS:
                    sample.add(fields.items())
        if not rows:
            raise SourceError(ErrorCode.EMPTY_TABLE, "the table has no rows")
        text_field, found = sample.text_field(names, options)
        return cls(text_field, frozenset(names), found)

    @classmethod
    def restore(cls, fields: Mapping[str, Any]) -> "JsonTable":
        """Make it of its `fields`."""
        return cls(fields["text_field"], frozenset(fields["names"]), fields["notes"])

    def fields(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"text_field": self.text_field, "names": sorted(self.names), "notes": dict(self.notes)}

    @property
    def table(self) -> Table:
        """How rows are written back."""
        return Table("jsonl", "application/x-ndjson", self.names, _render, _keep)

    def rows(self, values: Iterable[Line]) -> Iterator[Row]:
        """Yield the row that each value is."""
        for value in _stripped(values):
            fields = parse_object(value)
            if isinstance(fields, Problem):
                yield Row(value.number, problem=fields, raw=_keep(value.text))
                continue
            review = review_in(fields, self.text_field)
            if isinstance(review, Problem):
                yield Row(value.number, problem=at_line(value.number, review), raw=value.text)
            else:
                yield Row(value.number, review, raw=value.text)


def _stripped(values: Iterable[Line]) -> Iterator[Line]:
    for value in values:
        text = value.text.strip()
        if text or value.problem:
            yield replace(value, text=text)


def parse_object(value: Line) -> dict[str, Any] | Problem:
    """Return the fields of the JSON object that a text is, or why it is none."""
    if value.problem:
        return value.problem
    number, problem = value.number, _depth_problem(value.text)
    if problem is None:
        try:
            fields = json.loads(
                value.text, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
            )
        except json.JSONDecodeError as error:
            message = f"not JSON ({error.msg.removesuffix(' at')}, column {error.colno})"
            number, problem = number + error.lineno - 1, Problem(ErrorCode.BROKEN_JSON, message)
        except _NumberError as error:
            problem = Problem(ErrorCode.INVALID_NUMBER, str(error))
        else:
            if isinstance(fields, dict):
                return fields
            problem = Problem(
                ErrorCode.NOT_AN_OBJECT, f"a JSON {_json_type(fields)}, not an object with a text"
            )
    return at_line(number, problem)


def review_in(fields: Mapping[str, Any], text_field: str) -> str | Problem:
    """Return the review that an object holds, or why it holds none."""
    review = fields.get(text_field)
    if isinstance(review, str):
        return review
    found = f"the field is a JSON {_json_type(review)}" if text_field in fields else "there is no such field"
    return Problem(ErrorCode.MISSING_FIELD, f"expected a review in {text_field!r}, but {found}")


def _depth_problem(text: str) -> Problem | None:
    if text.count("[") + text.count("{") <= _DEEPEST:
        return None
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _DEEPEST:
            return Problem(ErrorCode.NESTED_TOO_DEEP, f"nested deeper than {_DEEPEST} levels")
    return None


def _number(digits: str) -> float:
    # The value is not needed, and it may have more digits than `int` takes; but a double must hold it.
    number = float(digits)
    if isinf(number):
        raise _NumberError(f"a number of {len(digits)} characters is larger than numbers can be")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise _NumberError(f"{name} is no number in JSON: write null")


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", float: "number", bool: "boolean"}
    return names.get(type(value), "null")


def _render(row: Row, added: Mapping[str, Value]) -> str:
    opened = row.raw.removesuffix("}").rstrip()
    separator = "" if opened == "{" else ","
    return opened + separator + json.dumps(dict(added), ensure_ascii=False, separators=(",", ":"))[1:] + "\n"


def _keep(text: str) -> str:
    return json.dumps({_RAW_FIELD: text}, ensure_ascii=False)
