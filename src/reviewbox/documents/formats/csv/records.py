"""Splits lines into records of cells. Each record keeps the characters it was read from."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reviewbox.documents.document import MAX_LINE_LENGTH
from reviewbox.documents.formats.csv.dialect import ESCAPED, NONE, TEXT, Dialect
from reviewbox.documents.lines import Line, at_line
from reviewbox.errors import ErrorCode, Problem

_UNCLOSED = Problem(
    ErrorCode.UNCLOSED_QUOTE,
    "a quote opens in this line and does not close; double the quotes inside quoted fields",
)


@dataclass(frozen=True, slots=True)
class Record:
    """One or more lines that form a record."""

    line: int  # the number of the first line
    raw: str  # the text of the lines, without the last line end
    cells: list[str]  # the cells; if there is a problem, as far as they could be separated
    problem: Problem | None = None  # why the record cannot be used
    is_tidy: bool = True  # whether `raw` can be written back unchanged
    # Whether a quote opens in the record and no closing quote follows up to the last line.
    open_at_end: bool = False
    is_joined: bool = False  # whether a backslash at the end of a line joins it with the next one

    def as_one_cell(self) -> "Record":
        """Return the record with its whole text as the only cell, whatever delimiters it contains."""
        return replace(self, cells=[self.raw]) if len(self.cells) > 1 else self

    def without_empty_surplus(self, width: int) -> "Record":
        """Return the record without the empty cells after the last column.

        Joined lines keep theirs. If the backslash between them is the end of a text, these are the cells of
        a second row, which must not disappear.
        """
        if len(self.cells) <= width or self.is_joined or any(self.cells[width:]):
            return self
        return replace(self, cells=self.cells[:width])


def read_records(lines: Iterable[Line], dialect: Dialect) -> Iterator[Record]:
    """Yield each record. If a quote does not close, its line is a record by itself.

    Each line is passed to the parser a constant number of times, whatever the quotes are.
    """
    csv.field_size_limit(MAX_LINE_LENGTH)
    unread = _Unread(lines)
    while (line := unread.next()) is not None:
        if not line.text.strip("\r\n "):
            continue
        if line.problem:
            yield _unquoted_record(line, dialect, line.problem)
        elif dialect.quotes == TEXT:
            yield _text_record(line, unread, dialect)
        elif dialect.quotes == NONE or not ('"' in line.text or "\\" in line.text):
            yield _unquoted_record(line, dialect)
        else:
            yield _quoted_record(line, unread, dialect)


class _Unread:
    """The lines that are not part of a record yet.

    If a search for a closing quote failed, one that starts between its first and its last line would fail at
    the same place: at the start of each line, both are inside a quoted field. So it is not repeated.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        # The number of the last line in which a failed search looked for a closing quote.
        self.failed_through = 0
        self.is_end_reached = False  # whether that search failed because there were no more lines
        self._lines = iter(lines)
        self._pushed_back: deque[Line] = deque()

    def next(self) -> Line | None:
        return self._pushed_back.popleft() if self._pushed_back else next(self._lines, None)

    def push_back(self, lines: list[Line]) -> None:
        self._pushed_back.extendleft(reversed(lines))

    def next_is_hopeless(self) -> bool:
        """Return whether a search that continues in the next line fails."""
        return bool(self._pushed_back) and self._pushed_back[0].number <= self.failed_through


def _unquoted_record(line: Line, dialect: Dialect, problem: Problem | None = None) -> Record:
    raw = line.text.rstrip("\r\n")
    # Many programs treat an unquoted carriage return as a line end.
    is_tidy = problem is None and "\r" not in raw
    return Record(line.number, raw, dialect.split(raw), problem, is_tidy)


def _text_record(first: Line, unread: _Unread, dialect: Dialect) -> Record:
    """Read more lines while a backslash escapes the line end, as MySQL writes line breaks."""
    lines, size = [first], len(first.text)
    while _has_escaped_end(lines[-1].text) and size <= MAX_LINE_LENGTH and (line := unread.next()):
        lines.append(line)
        size += len(line.text)
    problem = next((line.problem for line in lines if line.problem), None)
    if _has_escaped_end(lines[-1].text):
        message = "a backslash escapes the end of the last line; remove it"
        problem = problem or at_line(first.number, Problem(ErrorCode.UNCLOSED_QUOTE, message))
    raw = "".join(line.text for line in lines).rstrip("\r\n")
    cells, is_joined = dialect.split_text(raw), len(lines) > 1
    return Record(first.number, raw, cells, problem, is_tidy=problem is None, is_joined=is_joined)


def _parsed_text(line: Line) -> str:
    """Return a line without the backslash that MySQL writes before a line break. Only quotes join lines."""
    if not _has_escaped_end(line.text):
        return line.text
    content = line.text.rstrip("\r\n")
    return content[:-1] + line.text[len(content) :]


def _has_escaped_end(line: str) -> bool:
    content = line.rstrip("\r\n")
    return content != line and (len(content) - len(content.rstrip("\\"))) % 2 == 1


def _quoted_record(first: Line, unread: _Unread, dialect: Dialect) -> Record:
    lines = [first]
    is_hopeless = is_end_reached = is_limit_reached = False

    def feed() -> Iterator[str]:
        nonlocal is_hopeless, is_end_reached, is_limit_reached
        yield _parsed_text(first) if dialect.quotes == ESCAPED else first.text
        size = len(first.text)
        while size <= MAX_LINE_LENGTH:
            if is_hopeless := unread.next_is_hopeless():
                return
            line = unread.next()
            if line is None:
                is_end_reached = True
                return
            lines.append(line)
            size += len(line.text)
            yield _parsed_text(line) if dialect.quotes == ESCAPED else line.text
        is_limit_reached = True

    try:
        cells = next(dialect.reader(feed(), strict=True))
    except csv.Error:
        if len(lines) == 1 and not (is_hopeless or is_end_reached or is_limit_reached):
            # A quote inside a quoted field is not doubled. The record has to be rewritten.
            text = first.text.rstrip("\r\n")
            cells = next(dialect.reader([text.replace("\r", " ")], strict=False))
            return Record(first.number, text, cells, is_tidy=False)
        if not is_hopeless:
            unread.push_back(lines[1:])
            unread.failed_through = lines[-1].number
            unread.is_end_reached = is_end_reached
        record = _unquoted_record(first, dialect, at_line(first.number, _UNCLOSED))
        return replace(record, open_at_end=unread.is_end_reached)
    problem_inside = next((line.problem for line in lines if line.problem), None)
    raw = "".join(line.text for line in lines).rstrip("\r\n")
    if dialect.is_wrapped and len(cells) == 1:
        cells = dialect.unwrap(cells[0])
    is_tidy = problem_inside is None and dialect.closes_quotes_at_cell_ends(raw)
    return Record(first.number, raw, cells, problem_inside, is_tidy=is_tidy)
