"""JSON. An object is one review or contains a list of reviews. An array, or several objects, is a table.

Values of an array are parsed one at a time, so that a table needs little more memory than its text.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from reviewbox.documents.document import Document, ReadOptions, Row, Value
from reviewbox.documents.encoding import decode, decode_start
from reviewbox.documents.format import Format
from reviewbox.documents.formats import jsonl
from reviewbox.documents.formats.json_objects import Parsed, not_an_object, parse, with_field
from reviewbox.documents.formats.json_paths import escape_key
from reviewbox.documents.formats.json_records import (
    POINTER_FIELD,
    JsonSchema,
    RecordReader,
    configured_fields,
    object_of_cells,
    records_of_columns,
    select_fields,
    with_title,
)
from reviewbox.documents.formats.json_sample import JsonSample, header_of, is_columns, is_rows
from reviewbox.documents.formats.json_single import refuse_rival, select_own_field
from reviewbox.documents.formats.json_syntax import BOM, Repaired, RepairError, repair, skip_gap
from reviewbox.documents.formats.text import encoding_notes
from reviewbox.documents.line_tables import LineFormat, limited, read_table
from reviewbox.documents.lines import Line, Lines, at_line
from reviewbox.documents.pacing import Pace, paced
from reviewbox.documents.review_field import ReviewField, eligible_candidates
from reviewbox.errors import ErrorCode, Problem, SourceError

_MAX_ROWS_BELOW_NAMES = 100  # rows compared with possible names

# The start of an array of objects, or of an object of several lines.
_MULTILINE = re.compile(r"\s*+(?:\[\s*+\{|\{[ \t]*+\r?\n)")
_MULTILINE_CHECK_BYTES = 4096
# The likely start of the next row after a broken one.
_NEXT_OBJECT = re.compile(r"[,}]\s*+(?=\{)")
_DECODER = json.JSONDecoder(parse_int=float)  # Python limits the digits of an int
_LINES_TO_CHECK = 100


def read(data: bytes, options: ReadOptions) -> Document:
    """Read an object as one review or as a list of reviews, and an array or several objects as a table.

    Raises:
        SourceError: the file is not JSON, there is no row, or no field can be the review.
    """
    try:
        decoded = decode(data, options.fallback_encoding)
    except SourceError:
        # JSON Lines are decoded line by line, so that one in a different encoding affects no others.
        if _line_format(decode_start(data, len(data))):
            return read_table(jsonl.LINE_FORMAT, data, options)
        raise
    text, notes = decoded.text, encoding_notes(decoded)
    start = skip_gap(text, 0).end
    if start == len(text):
        raise SourceError(ErrorCode.EMPTY_TABLE, "the file has only whitespace")
    if text[start] != "[":
        first = _value_at(text, start, options)
        is_single = first is not None and skip_gap(text, first.end).end == len(text)
        if not is_single and _is_json_lines(text.strip()):
            return read_table(jsonl.LINE_FORMAT, data, options)
        if is_single or first is None:
            return _read_object(text, start, notes, options)
    return _read_values(text, start, notes, options)


def _read_json_lines(data: bytes, options: ReadOptions) -> Document:
    """Read JSON Lines. The file may also contain an array, or objects that span several lines."""
    is_multiline = _MULTILINE.match(decode_start(data, _MULTILINE_CHECK_BYTES))
    return read(data, options) if is_multiline else read_table(jsonl.LINE_FORMAT, data, options)


def _read_values(text: str, start: int, notes: Mapping[str, Value], options: ReadOptions) -> Document:
    tolerated = set[str]()
    lines: Iterator[Line] = _values(text, start, options, tolerated)
    is_array = text[start] == "["
    if is_array and _contains_cells(text, start, options):
        first = list(islice(lines, _MAX_ROWS_BELOW_NAMES))
        names = _names_of_cells(first)
        rows = chain(first[bool(names) :], lines)
        lines, is_array = (_with_fields(line, names) for line in rows), False
    buffered = Lines(lines)
    schema = JsonSchema.infer(buffered, options, is_array=is_array)
    return _table(schema, schema.rows(buffered), notes, options, tolerated)


def _read_object(text: str, start: int, notes: dict[str, Value], options: ReadOptions) -> Document:
    line = Line(1 + text.count("\n", 0, start), text[start:])
    parsed = parse(line, options.check_time)
    if not isinstance(parsed.value, dict):
        problem = not_an_object(line.number, parsed.value)
        raise SourceError(problem.code, problem.message)
    if is_columns(parsed.value):
        return _read_columns(parsed, notes, options)
    sample = JsonSample(is_table=False, check_time=options.check_time)
    sample.add(parsed.value)
    selected = _select(sample, parsed.value, options)
    schema = JsonSchema.of(sample, selected, [parsed.value])
    if schema.records_path:
        rows = schema.rows([Line(line.number, parsed.text)])
        return _table(schema, rows, notes, options, set(parsed.tolerated))
    row = RecordReader(schema).review_in(1, parsed.value, "")
    if row.problem:
        raise SourceError(row.problem.code, row.problem.message)
    return Document(iter([row]), lambda: {**notes, **selected.notes, **_tolerance_note(parsed.tolerated)})


def _read_columns(parsed: Parsed, notes: Mapping[str, Value], options: ReadOptions) -> Document:
    """Read an object that maps the names of columns to cells, as pandas writes a data frame."""
    ids, lines = [], []
    for key, line in paced(records_of_columns(parsed.text), options.check_time):
        ids.append(key)
        lines.append(line)
    buffered = Lines(lines)
    schema = JsonSchema.infer(buffered, options)
    schema = replace(schema, names=schema.names | {POINTER_FIELD})
    column = escape_key(str(schema.paths[0][0]))

    def with_pointers() -> Iterator[Row]:
        for key, row in zip(ids, schema.rows(buffered), strict=True):
            yield replace(row, raw=with_field(row.raw, POINTER_FIELD, f"/{column}/{escape_key(key)}"))

    return _table(schema, with_pointers(), notes, options, set(parsed.tolerated))


def _select(sample: JsonSample, value: Mapping[str, Any], options: ReadOptions) -> ReviewField:
    """Return the field of a single object that contains the reviews, in a list or not."""
    if options.text_field:
        return with_title(
            ReviewField(configured_fields(sample, options.text_field, [value]), "setting"), sample
        )
    listed = eligible_candidates(sample.candidates())
    if not listed:
        return with_title(select_own_field(sample, value), sample)
    refuse_rival(sample, listed[0])
    return select_fields(sample, options, [value])


def _table(
    schema: JsonSchema,
    rows: Iterator[Row],
    notes: Mapping[str, Value],
    options: ReadOptions,
    tolerated: set[str],
) -> Document:
    def all_notes() -> dict[str, Value]:
        return {**notes, **schema.notes, **_tolerance_note(tolerated | schema.tolerated)}

    return Document(limited(rows, options.max_rows), all_notes, schema.table)


def _tolerance_note(tolerated: Collection[str]) -> dict[str, Value]:
    return {"tolerated": ", ".join(sorted(tolerated))} if tolerated else {}


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


def _values(text: str, start: int, options: ReadOptions, tolerated: set[str]) -> Iterator[Line]:
    """Yield the text of each value of an array, or of consecutive values, from the offset `start`.

    Missing and surplus commas between values are tolerated. `tolerated` gets what JSON does not allow. Each
    character is scanned a limited number of times: after an error, reading continues where the error is.
    """
    in_array = text.startswith("[", start)
    position = skip_gap(text, start + in_array).end
    line = 1 + text.count("\n", 0, position)
    is_strict = True  # the fast parser is used until it fails, because the cost of its errors is not linear
    pace = Pace(options.check_time)
    while position < len(text):
        if in_array and text[position] == "]":
            rest = skip_gap(text, position + 1).end
            if rest < len(text):
                yield _trailing_text(line + text.count("\n", position, rest), text[rest:].rstrip())
            return
        begin, end = position, _value_end(text, position) if is_strict else None
        if end is not None:
            pace.step(end - begin)
            yield _value(line, text[begin:end], options.max_line_length)
        else:
            is_strict = False
            try:
                repaired = repair(text, begin, options.check_time)
            except RepairError as error:
                match = _NEXT_OBJECT.search(text, max(error.position - 1, begin))
                position = match.end() if match else len(text)
                yield _broken_value(line, text[begin:position].rstrip(f" \t\r\n,{BOM}"), options)
                in_array = in_array and match is not None
                line += text.count("\n", begin, position)
                continue
            tolerated |= repaired.tolerated
            end = repaired.end
            yield _value(line, repaired.text, options.max_line_length)
        gap = skip_gap(text, end, allowed_commas=in_array)
        tolerated |= gap.tolerated
        position = gap.end
        line += text.count("\n", begin, position)
    if in_array:
        problem = Problem(
            ErrorCode.BROKEN_JSON, "the array is not closed; check whether the file is complete"
        )
        yield Line(line, "", problem=at_line(line, problem))


def _value_at(text: str, position: int, options: ReadOptions) -> Repaired | None:
    """Return the value at `position`; None if it is broken."""
    end = _value_end(text, position)
    if end is not None:
        return Repaired(text[position:end], end, frozenset())
    try:
        return repair(text, position, options.check_time)
    except RepairError:
        return None


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
        text = f'{{"text": {text}}}'  # an element of an array of texts
    return Line(line, text)


def _broken_value(line: int, text: str, options: ReadOptions) -> Line:
    problem = at_line(line, Problem(ErrorCode.BROKEN_JSON, "not valid JSON"))
    try:
        parse(Line(line, text), options.check_time)
    except SourceError as error:
        problem = error.problem
    return Line(line, text, problem=problem)


def _trailing_text(line: int, text: str) -> Line:
    message = f"{len(text):,} characters follow the end of the array; check whether the file is complete"
    return Line(line, text, problem=at_line(line, Problem(ErrorCode.TRAILING_GARBAGE, message)))


def _contains_cells(text: str, start: int, options: ReadOptions) -> bool:
    """Return whether an array contains arrays of cells, as pandas writes the values of a data frame."""
    first = _value_at(text, skip_gap(text, start + 1).end, options)
    if first is None or not first.text.startswith("["):
        return False
    return is_rows([json.loads(first.text, parse_int=float)])


def _names_of_cells(lines: list[Line]) -> tuple[str, ...]:
    """Return the names of columns that the first of some arrays of cells contains; () if it has none."""
    try:
        rows = [json.loads(line.text) for line in lines]
    except (ValueError, RecursionError):
        return ()
    return header_of(rows) if is_rows(rows) else ()


def _with_fields(line: Line, names: tuple[str, ...]) -> Line:
    is_array = line.text.startswith("[") and line.problem is None
    return replace(line, text=object_of_cells(line.text, names)) if is_array else line


JSON = Format(
    "JSON",
    frozenset({".json"}),
    frozenset({"application/json"}),
    read,
    lambda head: bool(re.match(r'\s*+(?:\{\s*+["}]|\[\s*+\{)', head)),
    _line_format,
)
JSON_LINES = Format(
    "JSON Lines",
    frozenset({".jsonl", ".ndjson", ".jsonlines"}),
    frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"}),
    _read_json_lines,
    line_format=lambda head: None if _MULTILINE.match(head) else jsonl.LINE_FORMAT,
)
