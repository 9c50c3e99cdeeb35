"""Infers the layout of a delimited table from its first lines: dialect, titles, header rows, column names.

Every combination of delimiter and quoting style is tried and scored by what the cells then look like: rows of
one width, columns of one kind, well-formed quotes. How often a character occurs says little: prose is full of
commas.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice
from typing import Any

from reviewbox.documents.formats.csv.dialect import DOUBLED, ESCAPED, NONE, TEXT, Dialect
from reviewbox.documents.formats.csv.header import (
    could_be_names,
    find_header,
    footer_line,
    is_review_header,
)
from reviewbox.documents.formats.csv.records import Record, read_records
from reviewbox.documents.lines import Line
from reviewbox.documents.value_kinds import kind_of
from reviewbox.errors import ErrorCode, SourceError

_HIVE = "\x01"  # no text contains it
_DELIMITERS = (",", ";", "\t", "|", "~", "^", _HIVE)

# The first line in which Excel declares the delimiter, in any country.
_SEP_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_MAX_TITLES = 20  # lines that programs write above a table

# --- scores of dialects ----------------------------------------------------------------------------------

_MAX_RECORDS = 200  # records that are scored
_MAX_CELLS = 50_000  # cells that are scored: fewer records of a wide table are enough
# As many as an Excel sheet can have. Each cell of a line takes time.
_MAX_COLUMNS = 16_384
_MAX_CELL_LENGTH = 500  # characters that are looked at
# A dialect fits if more than this share of the records has the most common number of fields.
_MIN_REGULAR_SHARE = 0.5
# How likely it is that a column of texts is one, compared with a column of numbers, dates or ids.
_TEXT_COLUMN = 0.6
# Text after a delimiter and a space is more likely the rest of a sentence.
_TORN_TEXT_COLUMN = 0.1
_EMPTY_COLUMN = 0.5
_REVIEW_NAME_BONUS = 0.3
# The score of the assumption that there is one column of prose, in which spaces follow commas.
_ONE_COLUMN = 0.3
_UNSPACED = re.compile(r"[^\s\d][,;|\t]\S|\d[,;|\t][^\s\d]")
# A file without a telling name is a table only if it scores at least this much.
_PLAIN_TABLE = 0.55
_PLAIN_TABLE_RECORDS = 2
_LINE_BREAK = re.compile(r"[\r\n]")
_PLAIN_DELIMITER = re.compile(rf'[\t|;,{_HIVE}]|" "')
# Prose has no tabs. This many lines with the same number of tabs, and with prose in a column, are a table.
_TABBED_RECORDS = 4
_WORDS_OF_PROSE = 3
_HEAD_LENGTH = 10_000  # characters

# Escapes that occur in the text format of PostgreSQL and MySQL.
_TEXT_ESCAPE = re.compile(r"(?:^|\t)\\N(?:\t|$)|\\[bfnrtv\\]", re.MULTILINE)
# A backslash that MySQL writes before a tab or line break, or the last character of a cell.
_LAST_BACKSLASH = re.compile(r"\\[\t\n]")
_ESCAPED_BREAK = re.compile(r'(?:^|[,;|\t])"(?:[^"\\]++|\\[^\r\n])*+\\\r?\n', re.MULTILINE)
_QUOTED_LINE = re.compile(r'^"', re.MULTILINE)
_WRAPPED_LINE = re.compile(r'^"[^"\r\n]++"\r?$', re.MULTILINE)
_LEADING_QUOTE = re.compile(r'(?:^|\t)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a delimited table."""

    dialect: Dialect  # how fields are separated
    header: str | None  # the text of the header row; None without one
    header_line: int  # the number of its first line; 0 without a header row
    names: list[str]  # the names of the columns; their numbers, from 1, without a header row
    preamble: list[str]  # the lines before the header row: Excel's own line, or titles
    line_end: str  # the end of lines that are written
    more_headers: list[str]  # the texts of the header rows after the first one
    footer_line: int = 0  # the number of the first line of the notes below a table; 0 without any

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Layout":
        """Return the layout for the data that `asdict` returned."""
        return cls(**{**data, "dialect": Dialect(**data["dialect"])})


@dataclass(frozen=True, slots=True)
class InferredLayout:
    """A layout, and what else is needed to infer the rest of the schema."""

    layout: Layout
    titles: list[str]  # what each column is called, for the choice of the review field


def infer_layout(
    lines: list[Line], preferred_delimiter: str, text_field: str = "", *, is_all: bool
) -> InferredLayout:
    """Infer the layout from the first lines.

    `preferred_delimiter` is used if several fit, `text_field` has the names of columns in the settings, and
    `is_all` says that there are no more lines.

    Raises:
        SourceError: there is no record, or the first one is broken.
    """
    declared = _SEP_LINE.fullmatch(lines[0].text) if lines else None
    body = lines[1:] if declared else lines
    delimiters = [declared[1]] if declared else sorted(_DELIMITERS, key=lambda d: d != preferred_delimiter)
    named = {name.strip() for name in (text_field, *text_field.split(","))}
    known_names = {name for name in named if name and not name.isdigit()}
    dialect, width = _infer_dialect(body, delimiters, known_names)
    records = list(read_records(body, dialect))
    if not records:
        raise SourceError(ErrorCode.EMPTY_TABLE, "the table has no rows: all lines are blank")
    if width == 1:
        records = [record.as_one_cell() for record in records]
    records = [record.without_empty_surplus(width) for record in records]
    header = find_header(records, width, known_names)
    first = records[header.index if header else 0]
    if first.problem:
        raise SourceError(first.problem.code, first.problem.message)
    preamble = lines[:1] if declared else []
    if header and header.index:
        preamble = preamble + body[: first.line - body[0].number]
    names = header.names if header else [str(number + 1) for number in range(width)]
    start, end = (header.index, header.index + header.count) if header else (0, 0)
    layout = Layout(
        dialect=dialect,
        header=first.raw if header else None,
        header_line=first.line if header else 0,
        names=names,
        preamble=[line.text for line in preamble],
        line_end="\r\n" if lines[0].text.endswith("\r\n") else "\n",
        more_headers=[record.raw for record in records[start + 1 : end]],
        footer_line=footer_line(records[end:], width) if is_all else 0,
    )
    return InferredLayout(layout, header.titles if header else names)


def plain_delimiter(head: str) -> str | None:
    """Return the delimiter of a text that is plainly a table, although its name does not say so; else None.

    If the start of the text is long, its last line may be incomplete.
    """
    if not (_LINE_BREAK.search(head.strip()) and _PLAIN_DELIMITER.search(head)):
        return None  # most reviews in text files have one line
    texts = list(islice(StringIO(head, newline=""), _MAX_RECORDS))
    if len(texts) > 1 and len(head) >= _HEAD_LENGTH and not texts[-1].endswith(("\n", "\r")):
        texts.pop()
    candidates = _candidates([Line(number, text) for number, text in enumerate(texts, 1)], _DELIMITERS)
    best = max(candidates, key=lambda candidate: candidate.score)
    is_sure = best.score >= _PLAIN_TABLE or best.dialect.delimiter == _HIVE
    is_plain = best.width > 1 and is_sure and len(best.records) >= _PLAIN_TABLE_RECORDS
    if is_plain and best.regular_share == 1:
        return best.dialect.delimiter
    return "\t" if any(map(_is_plainly_tabbed, candidates)) else None


def _is_plainly_tabbed(candidate: "_Candidate") -> bool:
    rows = [record.cells for record in candidate.records]
    return (
        candidate.dialect.delimiter == "\t"
        and candidate.regular_share == 1
        and len(rows) >= _TABBED_RECORDS
        and len(set(map(len, rows))) == 1  # lines above a header count as regular
        and all(cell.strip() for cells in rows for cell in cells)
        and any(
            sum(len(cell.split()) for cell in column) >= _WORDS_OF_PROSE * len(rows)
            for column in zip(*rows, strict=True)
        )
    )


def _infer_dialect(
    lines: Sequence[Line], delimiters: Sequence[str], known_names: AbstractSet[str]
) -> tuple[Dialect, int]:
    candidates = _candidates(lines, delimiters)
    # The settings may name a column, and a dialect in which it exists is right.
    candidates = [c for c in candidates if c.width > 1 and c.has_name(known_names)] or candidates
    best = max(candidates, key=lambda candidate: candidate.score)
    if best.width > 1 and best.score >= _one_column_score(best.records):
        return best.dialect, best.width
    if any(candidate.is_too_wide for candidate in candidates):
        raise SourceError(
            ErrorCode.TOO_LARGE, f"the table has more than {_MAX_COLUMNS:,} columns; remove some of them"
        )
    # There is one column. It needs a dialect with quotes, as without them each line would be a record.
    quoted = [
        candidate
        for candidate in candidates
        if candidate.dialect == Dialect(delimiters[0], candidate.dialect.quotes)
        and candidate.dialect.quotes != NONE
    ]
    return max(quoted, key=lambda candidate: candidate.tidy_share).dialect, 1


def _one_column_score(records: Sequence[Record]) -> float:
    spaced = [record for record in records if record.raw.startswith('"') or not _UNSPACED.search(record.raw)]
    return _ONE_COLUMN * len(spaced) / max(1, len(records))


def _candidates(lines: Sequence[Line], delimiters: Sequence[str]) -> "list[_Candidate]":
    text = "".join(line.text for line in lines)
    candidates = [_Candidate.of(dialect, lines) for dialect in _possible_dialects(text, delimiters)]
    if _TEXT_ESCAPE.search(text):
        return candidates
    # Only the number of cells shows whether quotes and backslashes are ordinary characters.
    quoted_fit = max((c.fit for c in candidates if c.dialect == Dialect("\t")), default=0.0)
    return [c for c in candidates if c.dialect.quotes not in (NONE, TEXT) or c.fit > quoted_fit]


def _possible_dialects(text: str, delimiters: Sequence[str]) -> list[Dialect]:
    """Return the dialects that a text may use, the most likely first."""
    dialects = []
    # The first delimiter serves if none occurs.
    for delimiter in [delimiters[0], *(other for other in delimiters[1:] if other in text)]:
        dialects += [Dialect(delimiter, quotes) for quotes in _possible_quotes(text, delimiter)]
        if f'{delimiter} "' in text:
            dialects.append(Dialect(delimiter, skips_space=True))
        if ('""' in text and _QUOTED_LINE.search(text)) or _WRAPPED_LINE.search(text):
            dialects.append(Dialect(delimiter, is_wrapped=True))
    if text.lstrip("\r\n").startswith('"') and '" "' in text.partition("\n")[0]:
        # R separates fields with spaces.
        dialects += [Dialect(" ", quotes) for quotes in _possible_quotes(text, " ")]
    return dialects


def _possible_quotes(text: str, delimiter: str) -> list[str]:
    """Return the quoting styles that a text may use, the most likely first."""
    # MySQL also writes a backslash before a line break in quotes.
    is_mysql = bool(_ESCAPED_BREAK.search(text))
    escaped = [ESCAPED] if is_mysql or '\\"' in text else []
    if delimiter != "\t":
        return [*escaped, DOUBLED] if is_mysql else [DOUBLED, *escaped]
    has_quotes = bool(_LEADING_QUOTE.search(text))
    if _TEXT_ESCAPE.search(text):
        return [DOUBLED, *escaped, TEXT] if has_quotes else [TEXT, DOUBLED]
    text_format = [TEXT] if _LAST_BACKSLASH.search(text) else []
    return [DOUBLED, *escaped, NONE, *text_format] if has_quotes else [DOUBLED, *text_format]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A candidate for the dialect of the table."""

    dialect: Dialect
    records: list[Record]  # the first records in this dialect
    width: int  # the number of cells of a row
    regular_share: float  # the share of records, after titles, that have this number of cells
    tidy_share: float  # the share of records that can be written back unchanged
    score: float  # how well the dialect fits
    is_too_wide: bool = False  # whether every record has more cells than any table should have

    @property
    def fit(self) -> float:
        """How much of the table is regular and well-formed, from 0 to 1."""
        return self.regular_share * self.tidy_share

    def has_name(self, names: AbstractSet[str]) -> bool:
        """Return whether one of the first records has one of the names as a cell."""
        return any(
            cell.strip() in names for record in self.records[: _MAX_TITLES + 1] for cell in record.cells
        )

    @classmethod
    def of(cls, dialect: Dialect, lines: Sequence[Line]) -> "_Candidate":
        records = _first_records(lines, dialect)
        tidy_share = sum(1 for record in records if record.is_tidy) / max(1, len(records))
        candidate = cls(dialect, records, 1, 0.0, tidy_share, 0.0)
        if not records:
            return replace(candidate, is_too_wide=any(line.text.strip("\r\n ") for line in lines))
        width = _table_width(records)
        if width == 1:
            return candidate
        records = [record.without_empty_surplus(width) for record in records]
        start = next((n for n, record in enumerate(records) if len(record.cells) == width), 0)
        regular = [record for record in records[start:] if len(record.cells) == width and not record.problem]
        share = len(regular) / len(records[start:])
        names_review = is_review_header(regular[0].cells) if regular else False
        names_review = names_review or (start == 1 and is_review_header(records[0].cells))
        is_last = start > 0 and len(regular) == 1
        if start > _MAX_TITLES or is_last or not (share > _MIN_REGULAR_SHARE or names_review):
            return candidate
        evidence = _evidence(dialect, regular, width)
        is_spaced = all(cell.startswith(" ") for record in regular for cell in record.cells[1:])
        if dialect.is_wrapped and (is_spaced or max(evidence) <= _TEXT_COLUMN) and not names_review:
            return candidate  # one column of quoted prose
        candidate = replace(candidate, width=width, regular_share=share)
        score = candidate.fit * sum(evidence) / (width + 1) + _REVIEW_NAME_BONUS * names_review
        return replace(candidate, score=score)


def _first_records(lines: Sequence[Line], dialect: Dialect) -> list[Record]:
    """Return the first records that may be rows of a table."""
    records: list[Record] = []
    cells = 0
    for record in read_records(lines, dialect):
        if len(record.cells) <= _MAX_COLUMNS:
            records.append(record)
            cells += len(record.cells)
        if len(records) == _MAX_RECORDS or cells > _MAX_CELLS:
            break
    return records


def _table_width(records: Sequence[Record]) -> int:
    """Return the number of cells of a row: the one with the most cells in all, so that notes count little."""
    widths = Counter(len(record.cells) for record in records if not record.problem)
    repeated = {width: count for width, count in widths.items() if count > 1} or widths
    width = max(repeated, key=lambda width: (width * repeated[width], width), default=1)
    lasts = (record.cells[-1] for record in records if len(record.cells) == width)
    # Some programs end each row with a delimiter, but not the header row.
    if width > 1 and not any(lasts) and width - 1 in widths:
        return width - 1
    # Rows with unquoted delimiters may outnumber the others. The header row decides.
    start = next(
        (n for n, record in enumerate(records[:_MAX_TITLES]) if is_review_header(record.cells)), None
    )
    if start is None or _is_header_below(records[start + 1 :], width):
        return width
    names = len(records[start].cells)
    below = {len(record.cells) for record in records[start + 1 :]}
    return names + (below == {names + 1})  # R omits the name of the column of row names


def _is_header_below(records: Sequence[Record], width: int) -> bool:
    """Return whether the first record of this width could be a header row, below notes."""
    cells = next((record.cells for record in records if len(record.cells) == width), [])
    return could_be_names([cell.strip() for cell in cells]) and not any(
        cell.startswith(" ") for cell in cells
    )


def _evidence(dialect: Dialect, records: Sequence[Record], width: int) -> list[float]:
    rows = records[1:] or records  # the first one may be a header
    return [_column_evidence(dialect, [record.cells[column] for record in rows]) for column in range(width)]


def _column_evidence(dialect: Dialect, cells: Sequence[str]) -> float:
    """Return how likely it is that cells are a column, from 0 to 1."""
    kinds = Counter(_kind_of_cell(cell[:_MAX_CELL_LENGTH], dialect) for cell in cells if cell.strip())
    if not kinds:
        return _EMPTY_COLUMN
    data = max(
        (count for kind, count in kinds.items() if kind not in ("text", "torn", "unparsed")), default=0
    )
    texts = _TEXT_COLUMN * kinds["text"] + _TORN_TEXT_COLUMN * kinds["torn"]
    return max(data, texts) / kinds.total()


def _kind_of_cell(cell: str, dialect: Dialect) -> str:
    """Return the kind of a cell; "torn" if it is more likely a part of a cell, or several cells."""
    if dialect.quotes in (NONE, TEXT) and len(cell) > 1 and cell[0] == cell[-1] == '"':
        return "unparsed"
    kind = kind_of(cell.strip())
    if kind == "text":
        return "torn" if cell.startswith(" ") else kind
    return "torn" if any(other in cell for other in ";\t|" if other != dialect.delimiter) else kind
