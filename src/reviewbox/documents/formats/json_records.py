"""Tables whose records are JSON objects: lines, values of an array, or elements of a list within them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reviewbox.documents.document import ReadOptions, Row, Table, Value
from reviewbox.documents.formats.json_objects import (
    Parsed,
    json_type,
    not_an_object,
    on_one_line,
    parse,
    render_raw,
    render_row,
    unused_name,
    with_field,
)
from reviewbox.documents.formats.json_paths import (
    Each,
    Path,
    elements,
    find_spans,
    format_path,
    list_of,
    members,
    parse_path,
    split_names,
    value_at,
)
from reviewbox.documents.formats.json_sample import ELLIPSES, JsonSample, joined_paragraphs, numbered
from reviewbox.documents.lines import Line, Lines, at_line
from reviewbox.documents.review_field import TITLE_NOTE, ReviewField, select_review_field, suggestion
from reviewbox.errors import ErrorCode, Problem, SourceError

# The field that says where a record was in the source.
POINTER_FIELD = "reviewbox_pointer"

_DEFAULT_FIELD = "text"  # the field of a table whose first rows are all broken
_ELLIPSES = frozenset(f'"{mark}"' for mark in (*ELLIPSES, "\\u2026"))  # as they are written in a file
_STEPS = (Each.ELEMENT, Each.VALUE)


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Where the reviews are in a table."""

    paths: tuple[Path, ...]  # the fields that hold the review, as paths from the top of the file
    title: Path  # the field that is classified where the review is empty; () if there is none
    names: frozenset[str]  # the names of the fields that the first records have
    inferred: Mapping[str, Value]  # what was inferred, for the receipt
    is_array: bool = False  # whether the values are the elements of one array
    # The names of the elements if the records are arrays, () if these are numbered; None if the records are
    # objects.
    columns: tuple[str, ...] | None = None
    has_paragraphs: bool = False  # whether the texts of the first records are arrays of paragraphs
    # The names of the fields of the records that have the review field. An element of a nested list that has
    # none of them is not a record. Empty if every element is a record.
    kin: frozenset[str] = frozenset()
    # What was read although JSON does not allow it.
    tolerated: set[str] = field(default_factory=set, compare=False)

    @classmethod
    def infer(cls, lines: Lines, options: ReadOptions, *, is_array: bool = False) -> "JsonSchema":
        """Infer the schema from the first lines; each is the text of one JSON value, or blank.

        Raises:
            SourceError: there is no row, or no field that can be the review.
        """
        first, values, tolerated = lines.sample(), [], set[str]()
        prefix: Path = (Each.ELEMENT,) if is_array else ()
        sample = JsonSample(is_table=True, check_time=options.check_time)
        stripped = list(_stripped(first.lines))
        for line in stripped:
            try:
                parsed = parse(line, options.check_time)
            except SourceError:
                continue
            tolerated |= parsed.tolerated
            if isinstance(parsed.value, dict):
                sample.add(parsed.value, prefix)
                values.append(parsed.value)
        if first.is_all and not stripped:
            raise _no_rows()
        schema = cls.of(sample, select_fields(sample, options, values, prefix), values, is_array=is_array)
        schema.tolerated.update(tolerated)
        return schema

    @classmethod
    def of(
        cls, sample: JsonSample, review_field: ReviewField, values: list[Any], *, is_array: bool = False
    ) -> "JsonSchema":
        """Return the schema for a field that was selected from the sample of some values."""
        paths = tuple(sample.paths[text] for text in review_field.paths)
        records_path = list_of(paths[0])
        records = sample.records.get(records_path)
        schema = cls(
            paths,
            sample.paths[review_field.title] if review_field.title else (),
            frozenset(records.names if records else (_DEFAULT_FIELD,)),
            review_field.notes,
            is_array,
            records.columns if records else None,
            any(map(sample.has_paragraphs, paths)),
        )
        if not schema.records_path:
            return schema
        kin = set[str]()
        for value in values:
            for record in _values_at(value, schema.records_path):
                if isinstance(record, dict) and any(path[0] in record for path in schema.fields):
                    kin.update(record)
        return replace(schema, kin=frozenset(kin), names=schema.names | {POINTER_FIELD})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "JsonSchema":
        """Return the schema for the data that `to_dict` returned."""
        return cls(
            tuple(_path_from_data(path) for path in data["paths"]),
            _path_from_data(data["title"]),
            frozenset(data["names"]),
            data["notes"],
            columns=None if data["columns"] is None else tuple(data["columns"]),
            has_paragraphs=data["has_paragraphs"],
            kin=frozenset(data["kin"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as JSON data."""
        return {
            "paths": [_path_to_data(path) for path in self.paths],
            "title": _path_to_data(self.title),
            "names": sorted(self.names),
            "notes": dict(self.inferred),
            "columns": self.columns,
            "has_paragraphs": self.has_paragraphs,
            "kin": sorted(self.kin),
        }

    @property
    def notes(self) -> dict[str, Value]:
        """What was inferred, and what was tolerated so far, for the receipt."""
        notes = dict(self.inferred)
        if self.tolerated:
            notes["tolerated"] = ", ".join(sorted(self.tolerated))
        return notes

    @property
    def table(self) -> Table:
        """How rows are written back."""
        return Table(
            "jsonl", "application/x-ndjson", self.names, render_row, render_raw, has_notes=bool(self.title)
        )

    def rows(self, lines: Iterable[Line]) -> Iterator[Row]:
        """Yield the row for each value that is not blank, or for each record in it.

        Raises:
            SourceError: there is no row.
        """
        index, reader = -1, RecordReader(self)
        for index, line in enumerate(_stripped(lines)):
            try:
                parsed = parse(line)
            except SourceError as error:
                yield Row(line.number, problem=error.problem, raw=render_raw(line.text))
                continue
            self.tolerated.update(parsed.tolerated)
            if reader.is_nested:
                yield from reader.nested_rows(line.number, parsed.text, f"/{index}" if self.is_array else "")
            else:
                yield reader.row(line.number, parsed)
        if index < 0:
            raise _no_rows()

    @property
    def records_path(self) -> Path:
        """The path of the records, relative to a value of the table."""
        return list_of(self.paths[0])[self.is_array :]

    @property
    def fields(self) -> list[Path]:
        """The fields that hold the review, relative to a record."""
        length = len(list_of(self.paths[0]))
        return [path[length:] or (_DEFAULT_FIELD,) for path in self.paths]


class RecordReader:
    """Reads the rows of a schema. It holds what is the same for all rows."""

    def __init__(self, schema: JsonSchema) -> None:
        self._schema = schema
        self._list = schema.records_path
        self._fields = schema.fields
        self._title = schema.title[len(list_of(schema.title)) :]

    @property
    def is_nested(self) -> bool:
        """Whether the records are in lists within the values."""
        return bool(self._list)

    def nested_rows(self, number: int, text: str, pointer: str) -> Iterator[Row]:
        """Yield the rows of a value that starts in line `number` and has this JSON pointer."""
        position = 0
        for span in find_spans(text, self._list, pointer):
            number += text.count("\n", position, span.start)
            position = span.start
            if row := self._nested_row(number, text[span.start : span.end], span.pointer):
                yield row

    def _nested_row(self, number: int, text: str, pointer: str) -> Row | None:
        """Return the row for an element of a list; None if the element is not a record."""
        if text.startswith("[") and self._schema.columns is not None:
            if self._schema.columns and json.loads(text) == [*self._schema.columns]:
                return None  # the names themselves
            text = object_of_cells(text, self._schema.columns)
        elif text in _ELLIPSES:
            return None
        elif not text.startswith("{"):
            text = f'{{"{_DEFAULT_FIELD}": {text}}}'
        try:
            parsed = parse(Line(number, text))
        except SourceError as error:
            raw = with_field(render_raw(text), POINTER_FIELD, pointer)
            return Row(number, problem=error.problem, raw=raw)
        self._schema.tolerated.update(parsed.tolerated)
        if self._schema.kin and not self._schema.kin & parsed.value.keys():
            return None
        raw = with_field(on_one_line(text), unused_name(POINTER_FIELD, parsed.value), pointer)
        return self.review_in(number, parsed.value, raw)

    def row(self, number: int, parsed: Parsed) -> Row:
        """Return the row for a value that is a record itself."""
        if not isinstance(parsed.value, dict):
            return Row(number, problem=not_an_object(number, parsed.value), raw=render_raw(parsed.text))
        return self.review_in(number, parsed.value, on_one_line(parsed.text))

    def review_in(self, number: int, record: Mapping[str, Any], raw: str) -> Row:
        """Return the row for the review in a record, or for the problem if there is none.

        `number` is the line of the record, and `raw` its text.
        """
        fields = self._fields
        values = [value_at(record, path) for path in fields]
        if self._schema.has_paragraphs:
            pairs = zip(fields, values, strict=True)
            values = [joined_paragraphs(str(path[-1]), value) for path, value in pairs]
        texts = [value for value in values if isinstance(value, str)]
        review = "\n\n".join(filter(str.strip, texts)) if len(fields) > 1 else "".join(texts)
        if self._title and not review.strip():
            replacement = value_at(record, self._title)
            if isinstance(replacement, str) and replacement.strip():
                return Row(number, replacement, raw=raw, note=TITLE_NOTE)
        if texts:
            return Row(number, review, raw=raw)
        is_missing = not _has_at(record, fields[0])
        actual = "the field is missing" if is_missing else f"the field is a JSON {json_type(values[0])}"
        message = f"expected a text in the field {format_path(fields[0])[:100]!r}, but {actual}"
        return Row(number, problem=at_line(number, Problem(ErrorCode.MISSING_FIELD, message)), raw=raw)


def select_fields(
    sample: JsonSample, options: ReadOptions, values: list[Any], prefix: Path = ()
) -> ReviewField:
    """Return the field of the sample's listed records that contains the review, and the field of its title.

    Raises:
        SourceError: no field qualifies, or several do.
    """
    if not values or (options.text_field and not sample.paths):
        # No row could be parsed, or all are empty. Each row has its own problem, whatever the field.
        path = (*prefix, options.text_field or _DEFAULT_FIELD)
        sample.paths[format_path(path)] = path
        return ReviewField((format_path(path),), "setting" if options.text_field else "score")
    if options.text_field:
        names = configured_fields(sample, options.text_field, values, prefix)
        selected = ReviewField(names, "setting")
    else:
        selected = select_review_field(sample.candidates(), options)
    return with_title(selected, sample)


def with_title(selected: ReviewField, sample: JsonSample) -> ReviewField:
    """Return the selected field with the title of the same record."""
    if len(selected.paths) > 1:
        return selected
    path, parent = sample.paths[selected.name], _parent(sample.names.get(selected.name, ""))
    beside = {
        text
        for text, name in sample.names.items()
        if list_of(sample.paths[text]) == list_of(path) and _parent(name) == parent
    }
    fields = sample.listed if selected.name in sample.listed.paths else sample.own
    return replace(selected, title=fields.subset(beside).title_of([selected.name]))


def configured_fields(
    sample: JsonSample, text_field: str, values: list[Any], prefix: Path = ()
) -> tuple[str, ...]:
    """Return the fields that the setting `TextField` names.

    Raises:
        SourceError: a name is unknown or means several fields, or the fields belong to different records.
    """
    whole = _configured_field(sample, text_field, values, prefix)
    names = [text_field] if whole else split_names(text_field)
    fields = [_configured_field(sample, name, values, prefix) for name in names]
    missing = [name for name, field in zip(names, fields, strict=True) if field is None]
    if missing:
        candidates = [*sample.listed.candidates(), *sample.own.candidates()]
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"TextField names {', '.join(repr(name[:100]) for name in missing)}, which is not the path of "
            f"one field; {suggestion(candidates, list(sample.paths))}",
        )
    paths = tuple(field for field in fields if field is not None)
    if len({list_of(sample.paths[path]) for path in paths}) > 1:
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"the fields of TextField, {text_field[:200]!r}, belong to different lists; "
            "name fields of one list",
        )
    return paths


def _configured_field(sample: JsonSample, name: str, values: list[Any], prefix: Path) -> str | None:
    """Return the path of the only field that a name means; None if there is none, or several."""
    if name in sample.paths:
        return name
    path = parse_path(name)
    relative = path[len(prefix) :] if path[: len(prefix)] == prefix else path
    for candidate in (relative, (name,)):
        if any(_has_at(value, candidate) for value in values):
            text = format_path((*prefix, *candidate))
            sample.paths[text] = (*prefix, *candidate)
            return text
    fields = [text for text, other in sample.paths.items() if other and other[-1] == name]
    of_records = [text for text in fields if len(sample.paths[text]) == len(list_of(sample.paths[text])) + 1]
    return next((found[0] for found in (of_records, fields) if len(found) == 1), None)


def object_of_cells(text: str, columns: tuple[str, ...] = ()) -> str:
    """Return the object for an array in JSON, whose elements get the names of the columns, or numbers."""
    cells = elements(text)
    names = columns if len(columns) == len(cells) else numbered(len(cells))
    return _object(zip(names, cells, strict=True))


def records_of_columns(text: str) -> Iterator[tuple[str, Line]]:
    """Yield the id and the object of each row of a table that is stored column by column."""
    columns = [(column.pointer, members(text, column.start)) for column in members(text)]
    number, position = 1, 0
    for index, cell in enumerate(columns[0][1]):
        number += text.count("\n", position, cell.start)
        position = cell.start
        cells = ((name, text[cells[index].start : cells[index].end]) for name, cells in columns)
        yield cell.pointer, Line(number, _object(cells))


def _object(cells: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {cell}" for name, cell in cells) + "}"


def _values_at(value: Any, path: Path) -> Iterator[Any]:
    if not path:
        yield value
    elif path[0] is Each.ELEMENT:
        for child in value if isinstance(value, list) else ():
            yield from _values_at(child, path[1:])
    elif isinstance(value, dict):
        children = value.values() if path[0] is Each.VALUE else [value[path[0]]] if path[0] in value else []
        for child in children:
            yield from _values_at(child, path[1:])


def _has_at(value: Any, path: Path) -> bool:
    return any(True for _ in _values_at(value, path))


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _stripped(lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        text = line.text.strip()
        if text or line.problem:
            yield Line(line.number, text, line.in_fallback, line.problem)


def _no_rows() -> SourceError:
    return SourceError(ErrorCode.EMPTY_TABLE, "the table has no rows")


def _path_to_data(path: Path) -> list[str | int]:
    return [_STEPS.index(step) if isinstance(step, Each) else step for step in path]


def _path_from_data(data: list[str | int]) -> Path:
    return tuple(_STEPS[step] if isinstance(step, int) else step for step in data)
