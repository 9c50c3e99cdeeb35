"""The first lines of a delimited table -> how it is laid out: dialect, titles, names of columns."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reviewbox.documents.document import Line, ReadOptions
from reviewbox.documents.formats.csv.records import (
    DOUBLED,
    ESCAPED,
    NONE,
    TEXT,
    Dialect,
    Record,
    read_records,
    whole,
)
from reviewbox.documents.review_field import MISSING, is_usual
from reviewbox.errors import ErrorCode, SourceError

_DELIMITERS = (",", ";", "\t", "|")

# Excel reads its own first line of this kind, whatever the country.
_SEP_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_MOST_TITLES = 10  # lines that programs write before a table
# How many records must have the usual number of fields for a dialect to be the one.
_FITTING_SHARE = 0.5

# What is no name of a column, and what stands below names rather than below its like.
_NUMBER_OR_DATE = re.compile(r"[-+.,:/$€£%\d\sTZ]*\d[-+.,:/$€£%\d\sTZ]*")
_DATA = re.compile(r"[-+$€£]?\d|[^\s@]{1,64}@[^\s@]{1,255}\.\w|https?:")
_SENTENCE = re.compile(r"(?:\S+\s+){3,}\S+[.!]")
_LONGEST_NAME = 64  # characters
_WORDS_OF_A_SENTENCE = 4
_TIMES_LONGER = 3  # than its column's name is a cell that is no name

# What the text format looks like.
_TEXT_FORMAT = re.compile(r"(?:^|\t)\\N(?:\t|$)|\\[bfnrtv\\\t\n]", re.MULTILINE)
_LEADING_QUOTE = re.compile(r'(?:^|\t)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the first lines show.

    Attributes:
        dialect: how fields are told apart.
        header: the record of names as it stands there; None if there is none.
        names: of the columns; their numbers, from 1, if there is no header.
        preamble: the lines before the header: Excel's own, or titles.
        end: of lines that are added.
    """

    dialect: Dialect
    header: str | None
    names: list[str]
    preamble: list[str]
    end: str


def find_layout(lines: list[Line], options: ReadOptions, likely: str) -> Layout:
    """Find dialect and header from the first lines.

    Raises:
        SourceError: there is no record, or the first is damaged.
    """
    declared = _SEP_LINE.fullmatch(lines[0].text) if lines else None
    titles = 1 if declared else _titles(lines, options)
    preamble, body = lines[:titles], lines[titles:]
    delimiters = [declared[1]] if declared else sorted(_DELIMITERS, key=lambda d: d != likely)
    guesses = [
        _Guess.of(Dialect(delimiter, quotes), body, options)
        for delimiter in delimiters
        for quotes in _quotings(body, delimiter)
    ]
    best = max(guesses, key=lambda guess: guess.merit)
    if not best.is_table:
        # Without quotes every line would be a record, and look tidy.
        quoted = [g for g in guesses if g.dialect.delimiter == delimiters[0] and g.dialect.quotes != NONE]
        best = max(quoted, key=lambda guess: guess.merit).as_one_column()
    if not best.records:
        raise SourceError(ErrorCode.EMPTY_TABLE, "the table has no rows: every line is blank")
    first, *others = best.records
    if first.problem:
        raise SourceError(first.problem.code, first.problem.message)
    preamble += body[: best.titles]
    has_header = _is_header(first.cells, others, options)
    end = "\r\n" if lines[0].text.endswith("\r\n") else "\n"
    names = first.cells if has_header else [str(number + 1) for number in range(best.width)]
    if has_header and best.dialect.delimiter == "\t" and 1 < len(names) == best.width - 1:
        names = ["", *names]  # R leaves the name of its row names out
    header = first.raw if has_header else None
    return Layout(best.dialect, header, names, [line.text for line in preamble], end)


def _titles(lines: Sequence[Line], options: ReadOptions) -> int:
    """Return how many lines of one cell stand before names of which one is a review's."""
    for number, line in enumerate(lines[:_MOST_TITLES]):
        for delimiter in _DELIMITERS:
            cells = [cell.strip('" ') for cell in line.text.strip().split(delimiter)]
            if len(cells) > 1 and _names_a_review(cells, options):
                titles = [title.text.strip(f'{delimiter}" \r\n') for title in lines[:number]]
                return 0 if any(delimiter in title for title in titles) else number
    return 0


def _quotings(lines: Sequence[Line], delimiter: str) -> list[str]:
    """Return the ways in which quotes may be meant, the likeliest first."""
    text = "".join(line.text for line in lines)
    if delimiter == "\t":
        unquoted = TEXT if _TEXT_FORMAT.search(text) else NONE
        if _LEADING_QUOTE.search(text):
            return [DOUBLED, ESCAPED, unquoted] if '\\"' in text else [DOUBLED, unquoted]
        return [unquoted if unquoted == TEXT else DOUBLED]
    return [DOUBLED, ESCAPED] if '\\"' in text else [DOUBLED]


@dataclass(frozen=True, slots=True)
class _Guess:
    """How well a dialect fits the first lines: the greater `merit`, the better.

    Attributes:
        dialect: the one.
        records: as it reads them.
        width: the number of cells in most records.
        titles: how many lines stand before the first record.
        merit: whether the first names a review, whether most records are alike, what share, and what
            share have their quotes in order.
    """

    dialect: Dialect
    records: list[Record]
    width: int
    titles: int
    merit: tuple[bool, bool, float, float]

    @classmethod
    def of(cls, dialect: Dialect, lines: Sequence[Line], options: ReadOptions) -> "_Guess":
        records = list(read_records(iter(lines), dialect))
        widths = Counter(len(record.cells) for record in records if not record.problem)
        ((width, alike),) = widths.most_common(1) or [(0, 0)]
        share = alike / max(1, len(records))
        names = records[0].cells if records else []
        named = len(names) > 1 and _names_a_review(names, options)
        fits = width > 1 and share > _FITTING_SHARE
        titles = 0
        if fits and len(names) == 1:
            # Titles stand before names; else it is one column of prose, its commas unquoted.
            above = next((n for n, r in enumerate(records[: _MOST_TITLES + 1]) if len(r.cells) > 1), 0)
            fits = (
                above > 0
                and not _names_a_review(names, options)
                and _is_header(records[above].cells, records[above + 1 :], options)
            )
            if fits:
                titles, records = records[above].line - lines[0].number, records[above:]
        tidy = sum(record.tidy for record in records) / max(1, len(records))
        return cls(dialect, records, width, titles, (named, fits, share if fits else 0.0, tidy))

    @property
    def is_table(self) -> bool:
        """Whether there are columns to tell apart."""
        named, fits, *_ = self.merit
        return named or fits

    def as_one_column(self) -> "_Guess":
        """Take whole records for the cells of one column, whatever stands in them."""
        return replace(self, width=1, records=[whole(record) for record in self.records])


def _names_a_review(cells: Iterable[str], options: ReadOptions) -> bool:
    # A number names a column only where there is no header.
    set_name = "" if options.text_field.isdigit() else options.text_field
    return any(cell == set_name or is_usual(cell) for cell in cells if cell)


def _is_header(cells: Sequence[str], others: Sequence[Record], options: ReadOptions) -> bool:
    """Whether cells are names: one names a review, or they look unlike what stands below them."""
    if _names_a_review(cells, options):
        return True
    named = [cell for cell in cells if cell.strip()]
    if len(cells) == 1 and " " in cells[0].strip():
        return False  # more likely the first of the reviews
    if len(set(named)) < len(named) or any(
        len(cell) > _LONGEST_NAME or _NUMBER_OR_DATE.fullmatch(cell) or _SENTENCE.fullmatch(cell)
        for cell in named
    ):
        return False
    rows = [record.cells for record in others if len(record.cells) == len(cells) and not record.problem]
    if not rows:
        return True
    return any(_looks_unlike(cell, [row[column] for row in rows]) for column, cell in enumerate(cells))


def _looks_unlike(name: str, cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip() and cell not in MISSING]
    data = 0 if _DATA.match(name) else sum(1 for cell in filled if _DATA.match(cell))
    longer = sum(1 for cell in filled if len(cell) > _TIMES_LONGER * len(name))
    # A word above sentences names them, however short they are.
    is_word = len(name.split()) == 1
    sentences = sum(1 for cell in filled if is_word and len(cell.split()) >= _WORDS_OF_A_SENTENCE)
    return max(data, longer, sentences) > len(filled) / 2
