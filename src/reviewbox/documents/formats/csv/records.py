"""Lines -> records of delimited cells, each with the very characters it came in."""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO

from reviewbox.documents.document import LONGEST_LINE, Line
from reviewbox.documents.lines import at_line
from reviewbox.documents.review_field import MISSING
from reviewbox.errors import ErrorCode, Problem

# How quotes are meant: doubled inside quotes, as RFC 4180 has it; behind a backslash, as Spark
# writes them; as any other character; or the same in the text of PostgreSQL and MySQL, which
# escapes tabs and line breaks.
DOUBLED, ESCAPED, NONE, TEXT = "doubled", "backslash", "none", "text"

_TEXT_CELL = re.compile(r"(?:\A|\t)((?:[^\t\\]++|\\.|\\\Z)*+)", re.DOTALL)
_TEXT_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TEXT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart."""

    delimiter: str
    quotes: str = DOUBLED

    def reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        """Return Python's own reader of this dialect."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            doublequote=self.quotes == DOUBLED,
            escapechar="\\" if self.quotes == ESCAPED else None,
            strict=strict,
        )

    def join(self, cells: Sequence[str]) -> str:
        """Return cells as a record of this dialect, without its end."""
        if self.quotes in (NONE, TEXT):
            return self.delimiter.join(re.sub(r"\\?\t", r"\\t", cell) for cell in cells)
        text = StringIO()
        csv.writer(
            text,
            delimiter=self.delimiter,
            doublequote=self.quotes == DOUBLED,
            escapechar="\\" if self.quotes == ESCAPED else None,
        ).writerow(cells)
        return text.getvalue().removesuffix("\r\n")

    def escape(self, value: str) -> str:
        """Return a new value as `join` takes it."""
        if self.quotes != TEXT:
            return value
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")

    def unescape(self, cell: str) -> str:
        """Return what a cell means."""
        if self.quotes != TEXT or "\\" not in cell or cell in MISSING:
            return cell
        return _TEXT_ESCAPE.sub(lambda match: _TEXT_ESCAPES.get(match[1], match[1]), cell)


@dataclass(frozen=True, slots=True)
class Record:
    """One or more lines: their cells, or why they have none.

    Attributes:
        line: the first one's number.
        raw: the lines, without the last one's end.
        cells: as far as they could be told apart.
        problem: what is wrong.
        tidy: whether `raw` can stand beside other records as it is.
    """

    line: int
    raw: str
    cells: list[str]
    problem: Problem | None = None
    tidy: bool = True


def read_records(lines: Iterator[Line], dialect: Dialect) -> Iterator[Record]:
    """Yield each record; where a quote does not close, one line is one, and the next begins behind it."""
    waiting: deque[Line] = deque()
    while True:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        if not line.text.strip("\r\n "):
            continue
        if line.problem:
            yield _plain_record(line, dialect, line.problem)
        elif dialect.quotes == TEXT:
            yield _text_record(line, lines)
        elif dialect.quotes == NONE or not ('"' in line.text or "\\" in line.text):
            yield _plain_record(line, dialect)
        else:
            yield _quoted_record(line, lines, waiting, dialect)


def _plain_record(line: Line, dialect: Dialect, problem: Problem | None = None) -> Record:
    raw = line.text.rstrip("\r\n")
    # Many programs take a carriage return for the end of a line, if there are no quotes around it.
    tidy = problem is None and "\r" not in raw
    return Record(line.number, raw, raw.split(dialect.delimiter), problem, tidy)


def _text_record(first: Line, lines: Iterator[Line]) -> Record:
    """Read on where a backslash escapes the end of a line, as MySQL writes a line break."""
    taken, size = [first], len(first.text)
    while _is_escaped(taken[-1].text) and size <= LONGEST_LINE and (line := next(lines, None)):
        taken.append(line)
        size += len(line.text)
    problem = next((line.problem for line in taken if line.problem), None)
    if _is_escaped(taken[-1].text):
        message = "a backslash escapes the end of the last line"
        problem = problem or at_line(first.number, Problem(ErrorCode.UNCLOSED_QUOTE, message))
    raw = "".join(line.text for line in taken).rstrip("\r\n")
    return Record(first.number, raw, _TEXT_CELL.findall(raw), problem, tidy=problem is None)


def _is_escaped(line: str) -> bool:
    content = line.rstrip("\r\n")
    return content != line and (len(content) - len(content.rstrip("\\"))) % 2 == 1


def _quoted_record(first: Line, lines: Iterator[Line], waiting: deque[Line], dialect: Dialect) -> Record:
    taken = [first]
    ended = False

    def feed() -> Iterator[str]:
        nonlocal ended
        yield first.text
        size = len(first.text)
        while size <= LONGEST_LINE and (line := waiting.popleft() if waiting else next(lines, None)):
            taken.append(line)
            size += len(line.text)
            yield line.text
        ended = True

    try:
        cells = next(dialect.reader(feed(), strict=True))
    except csv.Error:
        if len(taken) == 1 and not ended:
            # A quote inside a quoted field, not doubled: it has to be written again.
            text = first.text.rstrip("\r\n")
            cells = next(dialect.reader([text.replace("\r", " ")], strict=False))
            return Record(first.number, text, cells, tidy=False)
        waiting.extendleft(reversed(taken[1:]))
        problem = Problem(ErrorCode.UNCLOSED_QUOTE, "a quote opens in this line and does not close")
        return _plain_record(first, dialect, at_line(first.number, problem))
    problem_inside = next((line.problem for line in taken if line.problem), None)
    raw = "".join(line.text for line in taken).rstrip("\r\n")
    return Record(first.number, raw, cells, problem_inside, tidy=problem_inside is None)


def whole(record: Record) -> Record:
    """Return a record of one cell, whatever delimiters stand in it."""
    return replace(record, cells=[record.raw]) if len(record.cells) > 1 else record
