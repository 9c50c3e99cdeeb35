"""The rows of classified tables: which columns are ours, which hold the review, and where a row was. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BufferedReader
from itertools import chain, islice
from math import isfinite
from typing import Any, Self, TypeVar

from reviewbox.documents import ReadOptions
from reviewbox.documents.cells import read_cells
from reviewbox.documents.document import Cells
from reviewbox.documents.formats.json_paths import list_of, parse_path, split_names
from reviewbox.documents.review_field import FieldSample, select_review_field
from reviewbox.documents.value_kinds import MISSING
from reviewbox.errors import AbsenceCode, ErrorCode, SourceError
from reviewbox.results.added_fields import OWN_FIELDS, PREFIX
from reviewbox.results.receipt import Receipt
from reviewbox.settings import Settings

T = TypeVar("T")

_ROWS_TO_SAMPLE = 1000  # rows to choose the column of the review from, if no receipt names it
_RESULT_GROWTH = 4  # how many times larger a result may be than its source


def table_options(settings: Settings) -> ReadOptions:
    """Return how classified tables are read: a result is larger than its source."""
    options = settings.read_options
    return replace(options, max_bytes=_RESULT_GROWTH * options.max_bytes)


def read_table(
    stored: BufferedReader | None,
    name: str,
    options: ReadOptions,
    read: Callable[[Iterator[Cells]], Iterator[T]],
    failed: Callable[[str, str], T],
) -> Iterator[T]:
    """Yield what `read` yields for the rows of a classified table, or of one part of it, and close it.

    If the table is missing or cannot be read, the last item is what `failed` returns for the error.

    `stored` is None if the table is missing. `name` is what messages call the table, with its extension.
    `read` may raise SourceError, and `failed` gets the code and the message of the error.
    """
    if stored is None:
        yield failed(AbsenceCode.MISSING_TABLE, f"the table {name} is missing; classify the file again")
        return
    with closing(stored):
        try:
            yield from read(read_cells(name, stored, options, OWN_FIELDS[:3]))
        except SourceError as error:
            yield failed(error.problem.code, error.problem.message)


@dataclass(slots=True)
class Lines:
    """The numbers of lines in the source. Each part of the table has some of them, below a header."""

    added: int = 0  # how many lines of the header the source does not have
    before: int | None = None  # the number of lines in the source before the part
    header: int | None = None  # the number of lines of the part's header; None before its first row
    end: int = 0  # the number of the last line, in the part

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Return the numbers of lines for the first part of a table."""
        notes = receipt.content.get("notes")
        # Reviewbox adds a header row to a table that has none.
        is_without_header = isinstance(notes, Mapping) and notes.get("header") is False
        return cls(added=1 if is_without_header else 0)

    def number(self, cells: Cells) -> int:
        """Return the number of a row's first line in the source."""
        if self.header is None:
            self.header = cells.line - 1
        self.end = cells.line + cells.lines - 1
        if self.before is None:
            return cells.line - self.added
        return self.before + cells.line - self.header

    def end_part(self) -> None:
        """Continue with the next part."""
        if self.header is not None:
            is_first = self.before is None
            self.before = self.end - self.added if is_first else (self.before or 0) + self.end - self.header
        self.header, self.end = None, 0


@dataclass(frozen=True, slots=True)
class ClassifiedRow:
    """A review in a classified table, with its verdict or error."""

    line: int  # its first line in the source
    own: Mapping[str, str]  # what Reviewbox added, by the names in `OWN_FIELDS`; "" for no value
    cells: Mapping[str, str]  # the other cells, by column
    review: str = ""  # the text of the review, whose cells are not among `cells`; "" if it was not looked for

    @property
    def outcome(self) -> dict[str, Any]:
        """The verdict or the error, as JSON data; None for what is empty."""
        own = self.own
        return {
            "sentiment": own.get("sentiment") or None,
            "score": _parse_score(own["score"]) if own.get("score") else None,
            "needs_review": _parse_flag(own.get("needs_review")),
            "other_language": _parse_flag(own.get("other_language")),
            "error_code": own.get("error_code") or None,
            "error_message": own.get("error_message") or None,
        }


def classified_rows(table: Iterable[Cells], lines: Lines) -> Iterator[ClassifiedRow]:
    """Yield the reviews of a classified table. A footer, for example, is not one.

    Raises:
        SourceError: the table was not classified.
    """
    for position, cells in enumerate(table):
        values, names = cells.values, own_names(tuple(cells.values))
        if not position and not {"sentiment", "score"} <= names.keys():
            message = (
                "the table has no column `sentiment`, so it is not a result of Reviewbox; classify it first"
            )
            raise SourceError(ErrorCode.UNSUPPORTED_FORMAT, message)
        line = lines.number(cells)
        own = {name: "" if values[column] in MISSING else values[column] for name, column in names.items()}
        if own.get("sentiment") or own.get("error_code"):
            added = set(names.values())
            others = {name: value for name, value in values.items() if name not in added}
            yield ClassifiedRow(line, own, others)


def rows_with_reviews(table: Iterator[Cells], text_field: str, lines: Lines) -> Iterator[ClassifiedRow]:
    """Yield the reviews of a classified table with their texts.

    `text_field` is the column of the text, as the receipt names it; "" to infer it. Raises the errors of
    `classified_rows`.
    """
    sample = list(islice(table, _ROWS_TO_SAMPLE))
    texts = _text_columns([cells.values for cells in sample], text_field)
    for row in classified_rows(chain(sample, table), lines):
        found = [text for name in texts if (text := row.cells.get(name, "")).strip() and text not in MISSING]
        cells = {name: value for name, value in row.cells.items() if name not in texts}
        yield replace(row, cells=cells, review="\n\n".join(found))


@lru_cache(maxsize=1000)
def own_names(columns: tuple[str, ...]) -> Mapping[str, str]:
    """Return the column of each field that Reviewbox added. It has a prefix if the table had that name."""
    names = {}
    for name in OWN_FIELDS:
        prefixed = name
        while PREFIX + prefixed in columns:
            prefixed = PREFIX + prefixed
        if prefixed in columns:
            names[name] = prefixed
    # Most tables get no column for notes. If one of the user's has that name, it comes before ours.
    positions = [columns.index(names[name]) for name in ("sentiment", "note") if name in names]
    if positions != sorted(positions):
        del names["note"]
    return names


def _text_columns(sample: Sequence[Mapping[str, str]], text_field: str) -> list[str]:
    """Return the columns that hold the review; none if they cannot be determined."""
    columns = {name: None for cells in sample for name in cells}
    if text_field:
        # The cells of a record are named relative to the record, and without the sheet.
        paths = [(parse_path(name), name) for name in split_names(text_field)]
        for names in (
            [text_field],
            [name for _, name in paths],
            [".".join(map(str, path[len(list_of(path)) :])) for path, _ in paths],
            [name.rpartition("!")[2] for _, name in paths],
        ):
            if all(name in columns for name in names):
                return names
    own = set(own_names(tuple(columns)).values())
    fields = FieldSample()
    for cells in sample:
        for name, value in cells.items():
            if name not in own:
                fields.add(name, value)
    try:
        return list(select_review_field(fields, ReadOptions()).paths)
    except SourceError:
        return []


def _parse_score(text: str) -> float:
    """Return the score in a cell, from 0 to 1; 0 if someone has put something else there."""
    try:
        score = float(text.replace(",", "."))  # a spreadsheet may use a comma
    except ValueError:
        return 0.0
    return min(1.0, max(0.0, score)) if isfinite(score) else 0.0


def _parse_flag(text: str | None) -> bool | None:
    """Return the boolean in a cell; None if the cell is empty."""
    return text.casefold() == "true" if text else None
