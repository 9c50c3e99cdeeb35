"""Splits lines into records of cells. Each record keeps the characters it was read from."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reviewbox.documents.document import MAX_LINE_LENGTH
from reviewbox.documents.formats.csv.dialect import NONE, TEXT, Dialect
from reviewbox.documents.lines import Line, at_line
from reviewbox.errors import ErrorCode, Problem


@dataclass(frozen=True, slots=True)
class Record:
    """One or more lines that form a record.

    Attributes:
        line: the number of the first line.
        raw: the text of the lines, without the last line end.
        cells: the cells; if there is a problem, as far as they could be separated.
        problem: why the record cannot be used.
        is_tidy: whether `raw` can be written back unchanged.
        open_at_end: whether a quote opens in the record and no closing quote follows up to the last line.
    """

    line: int
    raw: str
    cells: list[str]
    problem: Problem | None = None
    is_tidy: bool = True
    open_at_end: bool = False

    def as_one_cell(self) -> "Record":
        """Return the record with its whole text as the only cell, whatever delimiters it contains."""
        return replace(self, cells=[self.raw]) if len(self.cells) > 1 else self


def read_records(lines: Iterable[Line], dialect: Dialect) -> Iterator[Record]:
    """Yield each record. If a quote does not close, its line is a record by itself."""
    csv.field_size_limit(MAX_LINE_LENGTH)
    unread = iter(lines)
    pushed_back: deque[Line] = deque()
    while True:
        line = pushed_back.popleft() if pushed_back else next(unread, None)
        if line is None:
            return
        if not line.text.strip("\r\n "):
            continue
        if line.problem:
            yield _unquoted_record(line, dialect, line.problem)
        elif dialect.quotes == TEXT:
            yield _text_record(line, unread, dialect)
        elif dialect.quotes == NONE or not ('"' in line.text or "\\" in line.text):
            yield _unquoted_record(line, dialect)
        else:
            yield _quoted_record(line, unread, pushed_back, dialect)


def _unquoted_record(line: Line, dialect: Dialect, problem: Problem | None = None) -> Record:
    raw = line.text.rstrip("\r\n")
    # Many programs treat an unquoted carriage return as a line end.
    is_tidy = problem is None and "\r" not in raw
    return Record(line.number, raw, raw.split(dialect.delimiter), problem, is_tidy)


def _text_record(first: Line, unread: Iterator[Line], dialect: Dialect) -> Record:
    """Read more lines while a backslash escapes the line end, as MySQL writes line breaks."""
    lines, size = [first], len(first.text)
    while _has_escaped_end(lines[-1].text) and size <= MAX_LINE_LENGTH and (line := next(unread, None)):
        lines.append(line)
        size += len(line.text)
    problem = next((line.problem for line in lines if line.problem), None)
    if _has_escaped_end(lines[-1].text):
        message = "a backslash escapes the end of the last line; remove it"
        problem = problem or at_line(first.number, Problem(ErrorCode.UNCLOSED_QUOTE, message))
    raw = "".join(line.text for line in lines).rstrip("\r\n")
    return Record(first.number, raw, dialect.split_text(raw), problem, is_tidy=problem is None)


def _has_escaped_end(line: str) -> bool:
    content = line.rstrip("\r\n")
    return content != line and (len(content) - len(content.rstrip("\\"))) % 2 == 1


def _quoted_record(first: Line, unread: Iterator[Line], pushed_back: deque[Line], dialect: Dialect) -> Record:
    lines = [first]
    is_limit_reached = is_end_reached = False

    def feed() -> Iterator[str]:
        nonlocal is_limit_reached, is_end_reached
        yield first.text
        size = len(first.text)
        while size <= MAX_LINE_LENGTH:
            line = pushed_back.popleft() if pushed_back else next(unread, None)
            if line is None:
                is_end_reached = True
                return
            lines.append(line)
            size += len(line.text)
            yield line.text
        is_limit_reached = True

    try:
        cells = next(dialect.reader(feed(), strict=True))
    except csv.Error:
        if len(lines) == 1 and not (is_limit_reached or is_end_reached):
            # A quote inside a quoted field is not doubled. The record has to be written anew.
            text = first.text.rstrip("\r\n")
            cells = next(dialect.reader([text.replace("\r", " ")], strict=False))
            return Record(first.number, text, cells, is_tidy=False)
        pushed_back.extendleft(reversed(lines[1:]))
        problem = Problem(
            ErrorCode.UNCLOSED_QUOTE,
            "a quote opens in this line and does not close; double the quotes inside quoted fields",
        )
        record = _unquoted_record(first, dialect, at_line(first.number, problem))
        return replace(record, open_at_end=is_end_reached)
    problem_inside = next((line.problem for line in lines if line.problem), None)
    raw = "".join(line.text for line in lines).rstrip("\r\n")
    return Record(first.number, raw, cells, problem_inside, is_tidy=problem_inside is None)
