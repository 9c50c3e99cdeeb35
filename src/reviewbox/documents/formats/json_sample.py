"""Collects the text fields of JSON values, to select the records and the field that contain the reviews."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from reviewbox.documents.field_names import (
    TELLING_NAME_SCORE,
    TEXT_NAME_SCORE,
    is_language,
    is_reply,
    name_score,
)
from reviewbox.documents.formats.json_paths import Each, Path, format_path, list_of
from reviewbox.documents.pacing import Pace
from reviewbox.documents.record_kinds import is_log_record
from reviewbox.documents.review_field import FieldSample
from reviewbox.documents.value_kinds import is_link

# The parts of a document that are sampled: nested levels, elements of an array, names of a kind of record.
_MAX_PATH = 24
_MAX_ELEMENTS = 1000
_MAX_NAMES = 10_000
_MAX_NAME_LENGTH = 1000

# Keys of objects that wrap a record, and of lists, that say nothing about the content.
_WRAPPERS = frozenset(
    "data node attributes _source source fields properties payload item Item record doc document "
    "object".split()
)
_LISTS = _WRAPPERS | frozenset(
    "result results Results response Response edges items Items Records records value values entry entries "
    "children hits documents objects d feed list rows".split()
)
# Keys of objects that only wrap one value: DynamoDB types, feeds, translations and so on.
_HOLDERS = frozenset(
    "S N M L SS $t #text _text __text __cdata @value value label rendered text raw plain original "
    "stringValue".split()
)
# Locales wrap a value, too: an object may have one text per locale.
_LOCALE = re.compile(r"[a-z]{2}[-_][A-Z]{2}")
_TYPES = frozenset("M L".split())
# Values under such keys describe a failure.
_FAILURE = re.compile(r"(?:.*[_.-])?(?:errors?|exceptions?|faults?|warnings?)", re.IGNORECASE)
# In records with all of these keys, the texts are not all reviews: the answer beside a question may be the
# company's, a name beside a value may be any field, a chat has two sides, and chatbots learn from any text.
_MIXED_RECORDS = tuple(
    frozenset(names.split())
    for names in (
        "question answer",
        "text intent entities",
        "name value",
        "key value",
        "field value",
        "attribute value",
        "property value",
        "label value",
        "question value",
    )
)
# The values of "role" in a chat with a language model. Customers have other roles, such as "CTO".
_ROLES = frozenset("user assistant system developer tool function model".split())
# This is how BigQuery writes the cells of a row.
_CELL = ("f", Each.ELEMENT, "v")
_CLEAR_NAME_SCORE = 3.0  # the least score of a name that clearly is that of reviews
_RESPONSES = re.compile(r"responses?(?![a-z])", re.IGNORECASE)
# The name given to a field whose values are not reviews, whatever they look like.
_EXCLUDING_NAME = "reply"

# What scrapers find where a page shortens a text.
ELLIPSES = frozenset(("...", "…"))
# A key that is an id rather than a name.
_ID = re.compile(r"[\w.:|-]++")
_MIN_RECORD_SHARE = 0.5
_MIN_MAP_SIZE = 2
_MIN_NAMED_MAP_SIZE = 3
_MIN_SHARED_NAMES = 2
_MAX_ID_SCORE = 0.5  # the name of a user, for example, scores no more
_MAX_NAME_WORDS = 4  # words in the name of a column
_MANY_LISTS = 10  # so many lists of the same kind may have any names, such as the titles of articles


@dataclass(slots=True)
class Records:
    """The records at one path."""

    names: set[str] = field(default_factory=set)  # the names of their fields
    # The names of the elements if the records are arrays; None otherwise.
    columns: tuple[str, ...] | None = None


class JsonSample:
    """The text fields of the first values of a file.

    Attributes:
        listed: the fields of records in lists.
        own: the fields of a single object that are in no list.
        records: what is known of the records, by their path.
        paths: the paths of all fields, by their text.
        names: what the fields are called, by the text of their path.
    """

    def __init__(self, *, is_table: bool, check_time: Callable[[], None] = lambda: None) -> None:
        """Start a sample.

        `is_table` says that each value that is added is itself a record. `check_time` is called
        repeatedly; if it raises, the sample is not taken.
        """
        self._pace = Pace(check_time)
        self.listed, self.own = FieldSample(), FieldSample()
        self.records: dict[Path, Records] = {}
        self.paths: dict[str, Path] = {}
        self._is_table = is_table
        self.names: dict[str, str] = {}
        self._joined: set[Path] = set()
        self._plain: set[Path] = set()
        self._fields: dict[Path, str] = {}

    def add(self, value: Any, path: Path = (), *, is_excluded: bool = False) -> None:
        """Add the value at `path`, and all that it contains."""
        self._pace.step()
        if len(path) > _MAX_PATH:
            return
        if isinstance(value, dict):
            self._add_object(value, path, is_excluded=is_excluded)
        elif isinstance(value, list):
            self._add_array(value, path, is_excluded=is_excluded)
        else:
            self._add_scalar(value, path, is_excluded=is_excluded)

    def has_paragraphs(self, path: Path) -> bool:
        """Return whether the texts at a path are arrays of paragraphs."""
        return path in self._joined and path not in self._plain

    def candidates(self) -> FieldSample:
        """Return the fields of records, without arrays in fields that also contain texts."""
        return self.listed.subset(
            {
                text
                for text, path in self.paths.items()
                if not (path and path[-1] is Each.ELEMENT and format_path(path[:-1]) in self.paths)
            }
        )

    def _add_object(self, value: dict[str, Any], path: Path, *, is_excluded: bool) -> None:
        is_nested = bool(path) and (self._is_table or any(isinstance(step, Each) for step in path))
        # Beside a product with several reviews by id, another one may have a single review.
        if is_map(value, 1 if is_nested else _MIN_MAP_SIZE):
            for child in islice(value.values(), _MAX_ELEMENTS):
                self.add(child, (*path, Each.VALUE), is_excluded=is_excluded)
            return
        if not path or isinstance(path[-1], Each):
            names = self.records.setdefault(path, Records()).names
            if len(names) < _MAX_NAMES:
                names.update(name[:_MAX_NAME_LENGTH] for name in value)
            is_excluded = is_excluded or is_log_record(value)
        lower = {key.lower() for key in value if len(key) < _MAX_NAME_LENGTH}
        mixed = {name for names in _MIXED_RECORDS if names <= lower for name in names}
        if isinstance(role := value.get("role"), str) and role in _ROLES:
            mixed.add("content")
        columns = _columns_beside(value)
        lengths = Counter(len(child) for child in value.values() if isinstance(child, list))
        for key, child in islice(value.items(), _MAX_NAMES):
            if columns is not None and is_rows(child, len(columns)):
                self._add_rows(child, (*path, key), columns)
                continue
            is_no_review = is_excluded or key.lower() in mixed or bool(_FAILURE.fullmatch(key))
            # Several arrays of the same length are columns.
            is_array = isinstance(child, list) and lengths[len(child)] == 1 and self._is_listed(path)
            text = joined_paragraphs(key, child) if is_array else child
            if isinstance(text, str):
                (self._plain if text is child else self._joined).add((*path, key))
            self.add(text, (*path, key), is_excluded=is_no_review)

    def _add_array(self, value: list[Any], path: Path, *, is_excluded: bool) -> None:
        if is_rows(value):
            columns = header_of(value)
            self._add_rows(value[bool(columns) :], path, columns or None)
            return
        for child in islice(value, _MAX_ELEMENTS):
            self.add(child, (*path, Each.ELEMENT), is_excluded=is_excluded)

    def _add_rows(self, rows: list[list[Any]], path: Path, columns: tuple[str, ...] | None) -> None:
        """Add records that are arrays, whose elements are called 1, 2, 3 if they have no names."""
        path = (*path, Each.ELEMENT)
        for row in islice(rows, _MAX_ELEMENTS):
            records = self.records.setdefault(path, Records())
            names = columns or numbered(len(row))
            records.columns = columns or ()
            records.names.update(names)
            for name, child in zip(names, row, strict=False):
                self.add(child, (*path, name))

    def _add_scalar(self, value: Any, path: Path, *, is_excluded: bool) -> None:
        known = self._fields.get(path)
        if known is None:
            known = self._fields[path] = format_path(path)
            self.paths[known] = path
            self.names[known] = scoring_name(path, is_table=self._is_table)
        name = _EXCLUDING_NAME if is_excluded else self.names[known]
        (self.listed if self._is_listed(path) else self.own).add(known, value, name)

    def _is_listed(self, path: Path) -> bool:
        return self._is_table or any(isinstance(step, Each) for step in path)


def is_wrapper(key: str) -> bool:
    """Return whether the key of a record or of a list says nothing about what it contains."""
    return key in _LISTS


def joined_paragraphs(key: str, value: Any) -> Any:
    """Return the paragraphs of a text as one; any other value itself.

    An array of texts is one text if its key names one text, such as "content", and not "reviews".
    """
    is_array = isinstance(value, list) and bool(value) and all(isinstance(part, str) for part in value)
    is_text = is_array and TEXT_NAME_SCORE <= name_score(key) < TELLING_NAME_SCORE and not key.endswith("s")
    return "\n\n".join(part for part in value if part.strip() and part not in ELLIPSES) if is_text else value


def numbered(count: int) -> tuple[str, ...]:
    """Return the names of fields that have none."""
    return tuple(str(number) for number in range(1, count + 1))


def is_rows(value: Any, width: int | None = None) -> bool:
    """Return whether a value is an array of arrays of the same length, whose elements are not containers."""
    if not isinstance(value, list) or not value or not isinstance(value[0], list) or not value[0]:
        return False
    width = len(value[0]) if width is None else width
    return all(
        isinstance(row, list) and len(row) == width and not any(isinstance(cell, dict | list) for cell in row)
        for row in value
    )


def is_map(value: Mapping[str, Any], min_size: int = _MIN_MAP_SIZE) -> bool:
    """Return whether an object maps ids to records of the same kind, to lists of them or to maps of them."""
    children = [child for child in value.values() if child not in ([], {}, None)]
    if len(children) >= min_size and all(map(_is_list_of_texts, children)):
        # Lists of the same length are the columns of a table.
        is_by_id = all(map(_is_id, value)) and len(set(map(len, children))) > 1
        return is_by_id or all(map(is_link, value))
    firsts = map(_first_record, children)
    records = [first for first in firsts if isinstance(first, dict) and first]
    if len(records) < max(min_size, _MIN_RECORD_SHARE * len(children)):
        return False
    counts = Counter(name for record in records for name in record)
    shared = sum(count > len(records) / 2 for count in counts.values())
    if sum(map(_is_id, value)) > len(value) / 2:
        return shared > 0
    # An object has several parts, but rarely several lists of the same kind.
    are_lists = all(isinstance(child, list) for child in children)
    return (
        len(records) >= (_MIN_MAP_SIZE if are_lists else _MIN_NAMED_MAP_SIZE)
        and shared >= max(min(_MIN_SHARED_NAMES, len(counts)), len(counts) / 2)
        and (
            (are_lists and len(records) >= _MANY_LISTS)
            or all(abs(name_score(key)) <= _MAX_ID_SCORE for key in value)
        )
        and (are_lists or not all(map(is_language, value)))  # which hold the same texts
    )


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(element, str) for element in value)


def _first_record(value: Any) -> Any:
    """Return the first record of a list or of an object that maps ids to records; any other value itself."""
    if isinstance(value, list):
        return value[0]
    is_map_of_records = isinstance(value, dict) and all(
        _is_id(key) and isinstance(child, dict) for key, child in value.items()
    )
    return next(iter(value.values()), None) if is_map_of_records else value


def is_columns(value: Any) -> bool:
    """Return whether an object maps the names of columns to objects that map the ids of rows to cells."""
    if not isinstance(value, dict) or not value or is_map(value):
        return False
    columns = list(value.values())
    if not all(isinstance(column, dict) and column for column in columns):
        return False
    ids = list(columns[0])
    return all(map(_is_id, ids)) and all(
        list(column) == ids and not any(isinstance(cell, dict | list) for cell in column.values())
        for column in columns
    )


def _is_id(key: str) -> bool:
    return bool(_ID.fullmatch(key)) and (key.startswith("-") or any(map(str.isdigit, key)))


def scoring_name(path: Path, *, is_table: bool) -> str:
    """Return the parts of a path that say what a field contains, as a path."""
    length = len(list_of(path))
    outer = [step for step in path[:length] if isinstance(step, str)]
    inner = [step for step in path[length:] if isinstance(step, str)]
    inner = [key for key in inner[:-1] if key not in _WRAPPERS and key not in _TYPES] + inner[-1:]
    while len(inner) > 1 and (inner[-1] in _HOLDERS or _LOCALE.fullmatch(inner[-1])):
        inner.pop()
    if inner and " " in inner[-1]:
        return inner[-1]
    # Responses are answers to a questionnaire or, in a list within records, answers to reviews.
    first_list = (
        0 if is_table else next(i for i, step in enumerate((*path, Each.VALUE)) if isinstance(step, Each))
    )
    nested = [step for step in path[first_list:length] if isinstance(step, str)]
    is_answer = any(map(is_reply, outer)) or any(map(_RESPONSES.search, nested))
    replies = [_EXCLUDING_NAME] if is_answer or path[-len(_CELL) :] == _CELL else []
    described = [key for key in outer if key not in _LISTS and not _RESPONSES.search(key)][-1:]
    name = ".".join(inner)
    if described and name_score(name) >= _CLEAR_NAME_SCORE and name_score(described[0]) < 0:
        described = []  # the review of a product is a review
    return ".".join([*replies, *described, *inner])


def header_of(rows: list[list[Any]]) -> tuple[str, ...]:
    """Return the names of columns in the first row, as in a spreadsheet; () if there are none.

    One of the names is that of reviews, a question, or a word above values that are not texts.
    """
    names, *below = islice(rows, _MAX_ELEMENTS)
    if not below or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        return ()
    columns = dict(zip(names, zip(*below, strict=True), strict=True))
    is_header = len(names) > 1 and any(_is_name_above(name, cells) for name, cells in columns.items())
    return tuple(names) if is_header and not any(name in cells for name, cells in columns.items()) else ()


def _is_name_above(name: str, cells: tuple[Any, ...]) -> bool:
    texts = [cell for cell in cells if isinstance(cell, str)]
    is_question = name.endswith("?") and not any(text.endswith("?") for text in texts)
    is_short = len(name.split()) <= _MAX_NAME_WORDS
    return not texts or is_question or (is_short and name_score(name) >= TEXT_NAME_SCORE)


def _columns_beside(value: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of columns that an object contains along with rows, as in a data frame."""
    for child in value.values():
        if isinstance(child, list) and child:
            names = [_column_name(element) for element in islice(child, _MAX_ELEMENTS)]
            if all(names) and len(set(names)) == len(names) and _has_rows(value, len(names)):
                return tuple(name for name in names if name)
    return None


def _has_rows(value: Mapping[str, Any], width: int) -> bool:
    return any(is_rows(child, width) for child in value.values())


def _column_name(element: Any) -> str | None:
    if isinstance(element, dict):
        element = element.get("name")
    return element if isinstance(element, str) else None
