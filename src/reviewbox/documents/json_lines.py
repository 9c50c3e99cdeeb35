"""JSON Lines: one JSON object a line, one of its fields the review.

A row goes back as the very characters it came as, with the new fields added before its closing
brace: numbers keep their digits, and fields their order.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NoReturn

from reviewbox.documents.document import Document, ReadOptions, Row, Table, Value
from reviewbox.documents.encodings import decode, decode_unmarked, marked_encoding
from reviewbox.errors import ErrorCode, Problem, SourceError

# Where people keep reviews, the likeliest first; case, "_", "-" and " " do not matter.
USUAL_TEXT_FIELDS = (
    "review", "reviewtext", "reviewbody", "reviewcontent", "text", "content", "body", "comment",
    "comments", "feedback", "message",
)  # fmt: skip

# How many rows decide which field holds the review.
_SAMPLE_ROWS = 1000

# Under this name comes back what is no JSON object.
_RAW_FIELD = "reviewbox_raw"


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a table of reviews. Blank lines are no rows.

    Raises:
        SourceError: there is not one row, or no row has a field that could be the review.
    """
    decoded = list(_lines(data, options))
    lines = [row for row, _ in decoded]
    if not lines:
        raise SourceError(ErrorCode.EMPTY_FILE, "the file has no rows: every line is blank")
    text_field = options.text_field or _find_text_field(row.raw for row in lines if not row.problem)

    names: set[str] = set()
    rows = []
    for row in lines:
        if row.problem:
            rows.append(row)
            continue
        fields = _parse(row.raw, row.line)
        if isinstance(fields, Problem):
            rows.append(_unparsed(row.line, row.raw, fields))
            continue
        names.update(fields)
        rows.append(_review(row, fields, text_field))
    if options.text_field and names and options.text_field not in names:
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"no row has the field {options.text_field!r} that the setting TEXT_FIELD names; {_seen(names)}",
        )
    return Document(
        rows=rows,
        notes={
            "text_field": text_field,
            "encoding": marked_encoding(data) or "utf-8",
            "lines_in_fallback_encoding": sum(fallback for _, fallback in decoded),
        },
        table=Table("jsonl", "application/x-ndjson", frozenset(names), _render),
    )


def _lines(data: bytes, options: ReadOptions) -> Iterator[tuple[Row, bool]]:
    """Yield each line that is not blank, decoded, and whether that took the fallback encoding."""
    if marked_encoding(data) not in (None, "utf-8"):
        text = decode(data, options.fallback_encoding).text
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield Row(number, raw=line.strip()), False
        return
    # Each line by itself: one in another encoding does not spoil the others.
    for number, encoded in enumerate(data.split(b"\n"), 1):
        try:
            decoded = decode_unmarked(encoded, options.fallback_encoding)
        except SourceError as error:
            problem = Problem(error.problem.code, f"line {number}: {error.problem.message}")
            yield _unparsed(number, encoded.decode("utf-8", "backslashreplace"), problem), False
            continue
        if decoded.text.strip():
            yield Row(number, raw=decoded.text.strip()), decoded.fallback


def _parse(raw: str, line: int) -> dict[str, Any] | Problem:
    try:
        # A number's value is not needed, and it may have more digits than `int` takes.
        fields = json.loads(raw, parse_int=float, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"line {line}: not JSON ({error.msg.removesuffix(' at')}, column {error.colno})"
        return Problem(ErrorCode.BROKEN_JSON, message)
    except ValueError as error:
        return Problem(ErrorCode.BROKEN_JSON, f"line {line}: not JSON ({error})")
    except RecursionError:
        return Problem(ErrorCode.BROKEN_JSON, f"line {line}: nested too deep to be read")
    if not isinstance(fields, dict):
        return Problem(ErrorCode.NOT_AN_OBJECT, f"line {line}: a JSON {_json_type(fields)}, not an object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _unparsed(line: int, raw: str, problem: Problem) -> Row:
    return Row(line, problem=problem, raw=json.dumps({_RAW_FIELD: raw}, ensure_ascii=False))


def _review(row: Row, fields: Mapping[str, Any], text_field: str) -> Row:
    value = fields.get(text_field)
    if not isinstance(value, str):
        what = (
            f"the field is a JSON {_json_type(value)}" if text_field in fields else "there is no such field"
        )
        problem = Problem(
            ErrorCode.MISSING_FIELD, f"line {row.line}: expected a review in {text_field!r}, but {what}"
        )
        return Row(row.line, problem=problem, raw=row.raw)
    return Row(row.line, text=value, raw=row.raw)


def _find_text_field(raws: Iterable[str]) -> str:
    """Return the field with a usual name that most rows of a sample have; the likelier name wins a tie."""
    names: Counter[str] = Counter()
    for raw in islice(raws, _SAMPLE_ROWS):
        fields = _parse(raw, 0)
        if isinstance(fields, dict):
            names.update(fields.keys())  # a mapping itself would be taken for counts
    candidates = [name for name in names if _normalised(name) in USUAL_TEXT_FIELDS]
    if names and not candidates:
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"no field has a usual name for reviews; name yours by the setting TEXT_FIELD; {_seen(names)}",
        )
    return min(
        candidates,
        key=lambda name: (-names[name], USUAL_TEXT_FIELDS.index(_normalised(name))),
        default=USUAL_TEXT_FIELDS[0],
    )


def _normalised(name: str) -> str:
    return name.lower().translate({ord(character): None for character in "_- "})


def _seen(names: Iterable[str]) -> str:
    return "the fields are " + ", ".join(repr(name) for name in sorted(names)[:20])


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", float: "number", bool: "boolean"}
    return names.get(type(value), "null")


def _render(row: Row, added: Mapping[str, Value]) -> str:
    opened = row.raw.removesuffix("}").rstrip()
    separator = "" if opened == "{" else ","
    return opened + separator + json.dumps(dict(added), ensure_ascii=False, separators=(",", ":"))[1:] + "\n"
