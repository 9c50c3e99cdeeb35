"""Infers the layout of a delimited table from its first lines: dialect, titles, header, column names.

Every combination of delimiter and quoting style is tried and scored by the records that it produces.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reviewbox.documents.document import ReadOptions
from reviewbox.documents.formats.csv.dialect import DOUBLED, ESCAPED, NONE, TEXT, Dialect
from reviewbox.documents.formats.csv.records import Record, read_records
from reviewbox.documents.lines import Line
from reviewbox.documents.review_field import MISSING, is_usual
from reviewbox.errors import ErrorCode, SourceError

_DELIMITERS = (",", ";", "\t", "|")

# The first line in which Excel declares the delimiter, in any country.
_SEP_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_MAX_TITLES = 10  # lines that programs write above a table
# A dialect fits if more than this share of the records has the most common number of fields.
_MIN_REGULAR_SHARE = 0.5

# Values that are not column names, and values that occur below column names rather than below other values.
_NUMBER_OR_DATE = re.compile(r"[-+.,:/$€£%\d\sTZ]*\d[-+.,:/$€£%\d\sTZ]*")
_DATA = re.compile(r"[-+$€£]?\d|[^\s@]{1,64}@[^\s@]{1,255}\.\w|https?:")
_SENTENCE = re.compile(r"(?:\S+\s+){3,}\S+[.!]")
_MAX_NAME_LENGTH = 64  # characters
_MIN_SENTENCE_WORDS = 4
_MIN_LENGTH_RATIO = 3  # of a cell to the name of its column

# Escapes that occur in the text format of PostgreSQL and MySQL.
_TEXT_FORMAT = re.compile(r"(?:^|\t)\\N(?:\t|$)|\\[bfnrtv\\\t\n]", re.MULTILINE)
_LEADING_QUOTE = re.compile(r'(?:^|\t)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a delimited table.

    Attributes:
        dialect: how fields are separated.
        header: the text of the header row; None without one.
        header_line: the number of its first line; 0 without a header row.
        names: the names of the columns; their numbers, from 1, without a header row.
        preamble: the lines before the header row: Excel's own line, or titles.
        line_end: the end of lines that are written.
    """

    dialect: Dialect
    header: str | None
    header_line: int
    names: list[str]
    preamble: list[str]
    line_end: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Layout":
        """Return the layout for the data that `asdict` returned."""
        return cls(**{**data, "dialect": Dialect(**data["dialect"])})


def infer_layout(lines: list[Line], options: ReadOptions, preferred_delimiter: str) -> Layout:
    """Infer the layout from the first lines.

    Raises:
        SourceError: there is no record, or the first one is broken.
    """
    declared = _SEP_LINE.fullmatch(lines[0].text) if lines else None
    title_count = 1 if declared else _count_titles(lines, options)
    preamble, body = lines[:title_count], lines[title_count:]
    delimiters = [declared[1]] if declared else sorted(_DELIMITERS, key=lambda d: d != preferred_delimiter)
    candidates = [
        _Candidate.of(Dialect(delimiter, quotes), body, options)
        for delimiter in delimiters
        for quotes in _possible_quotes(body, delimiter)
    ]
    best = max(candidates, key=lambda candidate: candidate.score)
    if not best.score.is_table:
        # There is one column. It needs a dialect with quotes, as without them each line would be a record.
        quoted = [
            candidate
            for candidate in candidates
            if candidate.dialect.delimiter == delimiters[0] and candidate.dialect.quotes != NONE
        ]
        best = max(quoted, key=lambda candidate: candidate.score).as_one_column()
    if not best.records:
        raise SourceError(ErrorCode.EMPTY_TABLE, "the table has no rows: all lines are blank")
    first, *below = best.records
    if first.problem:
        raise SourceError(first.problem.code, first.problem.message)
    preamble += body[: best.title_count]
    has_header = _is_header(first.cells, below, options)
    names = first.cells if has_header else [str(number + 1) for number in range(best.width)]
    if has_header and best.dialect.delimiter == "\t" and 1 < len(names) == best.width - 1:
        names = ["", *names]  # R omits the name of the column of row names
    return Layout(
        dialect=best.dialect,
        header=first.raw if has_header else None,
        header_line=first.line if has_header else 0,
        names=names,
        preamble=[line.text for line in preamble],
        line_end="\r\n" if lines[0].text.endswith("\r\n") else "\n",
    )


def _count_titles(lines: Sequence[Line], options: ReadOptions) -> int:
    """Return the number of lines with one cell above a line that names a review column."""
    for number, line in enumerate(lines[:_MAX_TITLES]):
        for delimiter in _DELIMITERS:
            cells = [cell.strip('" ') for cell in line.text.strip().split(delimiter)]
            if len(cells) > 1 and _names_a_review(cells, options):
                titles = [title.text.strip(f'{delimiter}" \r\n') for title in lines[:number]]
                return 0 if any(delimiter in title for title in titles) else number
    return 0


def _possible_quotes(lines: Sequence[Line], delimiter: str) -> list[str]:
    """Return the quoting styles that the lines may use, the most likely first."""
    text = "".join(line.text for line in lines)
    if delimiter == "\t":
        unquoted = TEXT if _TEXT_FORMAT.search(text) else NONE
        if _LEADING_QUOTE.search(text):
            return [DOUBLED, ESCAPED, unquoted] if '\\"' in text else [DOUBLED, unquoted]
        return [unquoted if unquoted == TEXT else DOUBLED]
    return [DOUBLED, ESCAPED] if '\\"' in text else [DOUBLED]


@dataclass(frozen=True, slots=True, order=True)
class _Score:
    """How well a dialect fits. The attributes are compared in order.

    Attributes:
        names_review: whether the first record names a review column.
        is_regular: whether most records have the same number of fields, more than one.
        regular_share: the share of these records; 0 if they are not regular.
        tidy_share: the share of records that can be written back unchanged.
    """

    names_review: bool
    is_regular: bool
    regular_share: float
    tidy_share: float

    @property
    def is_table(self) -> bool:
        """Whether there are several columns."""
        return self.names_review or self.is_regular


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A dialect that may be the one of the table.

    Attributes:
        dialect: the dialect.
        records: the first records in this dialect, without titles.
        width: the most common number of cells.
        title_count: the number of lines before the first record.
        score: how well the dialect fits.
    """

    dialect: Dialect
    records: list[Record]
    width: int
    title_count: int
    score: _Score

    @classmethod
    def of(cls, dialect: Dialect, lines: Sequence[Line], options: ReadOptions) -> "_Candidate":
        records = list(read_records(lines, dialect))
        widths = Counter(len(record.cells) for record in records if not record.problem)
        ((width, regular),) = widths.most_common(1) or [(0, 0)]
        share = regular / max(1, len(records))
        names = records[0].cells if records else []
        names_review = len(names) > 1 and _names_a_review(names, options)
        is_regular = width > 1 and share > _MIN_REGULAR_SHARE
        title_count = 0
        if is_regular and len(names) == 1:
            # The first lines are titles if names follow. Else this is one column of prose with commas.
            header = next((n for n, r in enumerate(records[: _MAX_TITLES + 1]) if len(r.cells) > 1), 0)
            is_regular = (
                header > 0
                and not _names_a_review(names, options)
                and _is_header(records[header].cells, records[header + 1 :], options)
            )
            if is_regular:
                title_count, records = records[header].line - lines[0].number, records[header:]
        tidy_share = sum(record.is_tidy for record in records) / max(1, len(records))
        score = _Score(names_review, is_regular, share if is_regular else 0.0, tidy_share)
        return cls(dialect, records, width, title_count, score)

    def as_one_column(self) -> "_Candidate":
        """Return the candidate with each record as one cell."""
        return replace(self, width=1, records=[record.as_one_cell() for record in self.records])


def _names_a_review(cells: Iterable[str], options: ReadOptions) -> bool:
    # A number is a column name only if there is no header row.
    configured = "" if options.text_field.isdigit() else options.text_field
    return any(cell == configured or is_usual(cell) for cell in cells if cell)


def _is_header(cells: Sequence[str], below: Sequence[Record], options: ReadOptions) -> bool:
    """Return whether cells are names: one names a review, or one looks unlike the cells below it."""
    if _names_a_review(cells, options):
        return True
    filled = [cell for cell in cells if cell.strip()]
    if len(cells) == 1 and " " in cells[0].strip():
        return False  # more likely the first review
    if len(set(filled)) < len(filled) or any(
        len(cell) > _MAX_NAME_LENGTH or _NUMBER_OR_DATE.fullmatch(cell) or _SENTENCE.fullmatch(cell)
        for cell in filled
    ):
        return False
    rows = [record.cells for record in below if len(record.cells) == len(cells) and not record.problem]
    if not rows:
        return True
    return any(_looks_unlike(cell, [row[column] for row in rows]) for column, cell in enumerate(cells))


def _looks_unlike(name: str, cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip() and cell not in MISSING]
    data = 0 if _DATA.match(name) else sum(1 for cell in filled if _DATA.match(cell))
    longer = sum(1 for cell in filled if len(cell) > _MIN_LENGTH_RATIO * len(name))
    # A single word above sentences is their name, even if the sentences are short.
    is_word = len(name.split()) == 1
    sentences = sum(1 for cell in filled if is_word and len(cell.split()) >= _MIN_SENTENCE_WORDS)
    return max(data, longer, sentences) > len(filled) / 2
