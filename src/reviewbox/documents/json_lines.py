"""JSON Lines: one JSON object a line, one of its fields the review.

A row goes back as the very characters it came as, with the new fields added before its closing
brace: numbers keep their digits, and fields their order.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO, StringIO
from typing import Any, NoReturn

from reviewbox.documents.document import Document, ReadOptions, Row, Table, Value
from reviewbox.documents.encodings import decode_unmarked, marked_encoding
from reviewbox.errors import ErrorCode, Problem, SourceError

# Where people keep reviews, the likeliest first; case, "_", "-" and " " do not matter.
USUAL_TEXT_FIELDS = (
    "review", "reviewtext", "reviewbody", "reviewcontent", "text", "content", "body", "comment",
    "comments", "feedback", "message",
)  # fmt: skip

# How many rows decide which field holds the review.
_SAMPLE_ROWS = 1000

# So many fit any function's memory with what is added to each.
_MOST_ROWS = 1_000_000

# Under this name comes back what is no JSON object.
_RAW_FIELD = "reviewbox_raw"


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a table of reviews. Blank lines are no rows.

    Raises:
        SourceError: there is not one row, or too many, or no row has a field that could be the review.
    """
    sampled: Counter[str] = Counter()
    names: set[str] = set()
    rows = fallbacks = 0
    for line in _lines(data, options):
        rows += 1
        fallbacks += line.fallback
        fields = _parse(line)
        if isinstance(fields, Problem):
            continue
        names.update(fields)
        if rows <= _SAMPLE_ROWS:
            sampled.update(name for name, value in fields.items() if isinstance(value, str))
    if not rows:
        raise SourceError(ErrorCode.EMPTY_FILE, "the file has no rows: every line is blank")
    if rows > _MOST_ROWS:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the file has {rows:,} rows, and {_MOST_ROWS:,} are classified at once: split it",
        )
    text_field = _text_field(names, sampled, options)
    notes: dict[str, Value] = {"text_field": text_field, "encoding": marked_encoding(data) or "utf-8"}
    if fallbacks:
        notes |= {"fallback_encoding": options.fallback_encoding, "lines_in_fallback_encoding": fallbacks}
    return Document(
        rows=_Rows(data, options, text_field),
        notes=notes,
        table=Table("jsonl", "application/x-ndjson", frozenset(names), _render),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a file, parsed anew at each iteration: a million of them need no room."""

    data: bytes
    options: ReadOptions
    text_field: str

    def __iter__(self) -> Iterator[Row]:
        for line in _lines(self.data, self.options):
            fields = _parse(line)
            if isinstance(fields, Problem):
                raw = json.dumps({_RAW_FIELD: line.text}, ensure_ascii=False)
                yield Row(line.number, problem=fields, raw=raw)
            else:
                yield _review(line, fields, self.text_field)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not blank: its text without the space around it, and how that was decoded."""

    number: int
    text: str
    fallback: bool = False
    problem: Problem | None = None


def _lines(data: bytes, options: ReadOptions) -> Iterator[_Line]:
    marked = marked_encoding(data)
    wide = marked if marked != "utf-8" else None
    lines = _wide_lines(data, wide) if wide else _utf8_lines(data, options)
    return (line for line in lines if line.text)


def _utf8_lines(data: bytes, options: ReadOptions) -> Iterator[_Line]:
    # Each line by itself: one in another encoding does not spoil the others.
    for number, encoded in enumerate(BytesIO(data), 1):
        try:
            decoded = decode_unmarked(encoded, options.fallback_encoding)
        except SourceError as error:
            text = encoded.decode("utf-8", "backslashreplace").strip()
            yield _Line(number, text, problem=_at(number, error.problem))
        else:
            yield _Line(number, decoded.text.strip(), decoded.fallback)


def _wide_lines(data: bytes, encoding: str) -> Iterator[_Line]:
    # The first character is the mark. What cannot be decoded is marked in its place.
    text = data.decode(encoding, "backslashreplace")[1:]
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        damaged = data[: error.start].decode(encoding).count("\n") + 1
    else:
        damaged = 0
    problem = Problem(ErrorCode.NOT_TEXT, f"its bytes are no {encoding}")
    for number, line in enumerate(StringIO(text, newline="\n"), 1):
        yield _Line(number, line.strip(), problem=_at(number, problem) if number == damaged else None)


def _at(number: int, problem: Problem) -> Problem:
    return replace(problem, message=f"line {number}: {problem.message}")


def _parse(line: _Line) -> dict[str, Any] | Problem:
    if line.problem:
        return line.problem
    try:
        # A number's value is not needed, and it may have more digits than `int` takes.
        fields = json.loads(line.text, parse_int=float, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"not JSON ({error.msg.removesuffix(' at')}, column {error.colno})"
        return _at(line.number, Problem(ErrorCode.BROKEN_JSON, message))
    except ValueError as error:
        return _at(line.number, Problem(ErrorCode.BROKEN_JSON, f"not JSON ({error})"))
    except RecursionError:
        return _at(line.number, Problem(ErrorCode.BROKEN_JSON, "nested too deep to be read"))
    if not isinstance(fields, dict):
        message = f"a JSON {_json_type(fields)}, not an object"
        return _at(line.number, Problem(ErrorCode.NOT_AN_OBJECT, message))
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _review(line: _Line, fields: Mapping[str, Any], text_field: str) -> Row:
    value = fields.get(text_field)
    if isinstance(value, str):
        return Row(line.number, text=value, raw=line.text)
    found = f"the field is a JSON {_json_type(value)}" if text_field in fields else "there is no such field"
    problem = Problem(ErrorCode.MISSING_FIELD, f"expected a review in {text_field!r}, but {found}")
    return Row(line.number, problem=_at(line.number, problem), raw=line.text)


def _text_field(names: set[str], sampled: Counter[str], options: ReadOptions) -> str:
    """Return the field that holds the review.

    That is the one that is set; or the one with a usual name that holds text in most rows of the
    sample, the likelier name if several do.
    """
    if options.text_field:
        if names and options.text_field not in names:
            raise SourceError(
                ErrorCode.NO_TEXT_FIELD,
                f"no row has the field {options.text_field!r} that TEXT_FIELD names; {_seen(names)}",
            )
        return options.text_field
    candidates = [name for name in sampled if _normalised(name) in USUAL_TEXT_FIELDS]
    if names and not candidates:
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"no field with a usual name holds text; name yours by the setting TEXT_FIELD; {_seen(names)}",
        )
    return min(
        candidates,
        key=lambda name: (-sampled[name], USUAL_TEXT_FIELDS.index(_normalised(name))),
        default=USUAL_TEXT_FIELDS[0],
    )


def _normalised(name: str) -> str:
    return name.lower().translate({ord(character): None for character in "_- "})


def _seen(names: Iterable[str]) -> str:
    # Cut short: a name may be anything, and a message should not be.
    return "the fields are " + ", ".join(repr(name[:40]) for name in sorted(names)[:20])


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", float: "number", bool: "boolean"}
    return names.get(type(value), "null")


def _render(row: Row, added: Mapping[str, Value]) -> str:
    opened = row.raw.removesuffix("}").rstrip()
    separator = "" if opened == "{" else ","
    return opened + separator + json.dumps(dict(added), ensure_ascii=False, separators=(",", ":"))[1:] + "\n"
