"""CSV and TSV: a record a row, one of its fields the review; dialect and header are found.

A record goes back as the very characters it came as, with the new fields added behind its last one.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from itertools import islice

from reviewbox.documents.columns import MISSING, SAMPLE_ROWS, ColumnSample, is_usual
from reviewbox.documents.document import MOST_ROWS, Document, Format, ReadOptions, Row, Table, Value
from reviewbox.documents.encodings import marked_encoding
from reviewbox.documents.lines import (
    LONGEST_LINE,
    Line,
    at_line,
    encoding_notes,
    read_lines,
    refuse_binary_lines,
)
from reviewbox.errors import ErrorCode, Problem, SourceError

_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# How quotes are meant: doubled inside quotes, as RFC 4180 has it; behind a backslash, as Spark
# writes them; as any other character; or the same in the text of PostgreSQL and MySQL, which
# escapes tabs and line breaks.
_DOUBLED, _ESCAPED, _NONE, _TEXT = "doubled", "backslash", "none", "text"

# Excel reads its own first line of this kind, whatever the country.
_SEP_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_SAMPLE_LINES = 1000
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

# What the text format looks like, its cells and what is escaped in them.
_TEXT_FORMAT = re.compile(r"(?:^|\t)\\N(?:\t|$)|\\[bfnrtv\\\t\n]", re.MULTILINE)
_TEXT_CELL = re.compile(r"(?:\A|\t)((?:[^\t\\]++|\\.|\\\Z)*+)", re.DOTALL)
_TEXT_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TEXT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LEADING_QUOTE = re.compile(r'(?:^|\t)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How fields are told apart."""

    delimiter: str
    quotes: str = _DOUBLED

    def reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            doublequote=self.quotes == _DOUBLED,
            escapechar="\\" if self.quotes == _ESCAPED else None,
            strict=strict,
        )

    def join(self, cells: Sequence[str]) -> str:
        """Return cells as a record of this dialect, without its end."""
        if self.quotes in (_NONE, _TEXT):
            return self.delimiter.join(re.sub(r"\\?\t", r"\\t", cell) for cell in cells)
        text = StringIO()
        csv.writer(
            text,
            delimiter=self.delimiter,
            doublequote=self.quotes == _DOUBLED,
            escapechar="\\" if self.quotes == _ESCAPED else None,
        ).writerow(cells)
        return text.getvalue().removesuffix("\r\n")

    def escape(self, value: str) -> str:
        """Return a new value as `join` takes it."""
        if self.quotes != _TEXT:
            return value
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")

    def unescape(self, cell: str) -> str:
        """Return what a cell means."""
        if self.quotes != _TEXT or "\\" not in cell or cell in MISSING:
            return cell
        return _TEXT_ESCAPE.sub(lambda match: _TEXT_ESCAPES.get(match[1], match[1]), cell)


@dataclass(frozen=True, slots=True)
class _Record:
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


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the first lines show.

    Attributes:
        dialect: how fields are told apart.
        header: the record of names; None if there is none.
        names: of the columns; their numbers, from 1, if there is no header.
        preamble: the lines before the header: Excel's own, or titles.
        end: of lines that are added.
    """

    dialect: _Dialect
    header: _Record | None
    names: list[str]
    preamble: list[Line]
    end: str


def read(data: bytes, options: ReadOptions, *, likely: str, extension: str, content_type: str) -> Document:
    """Read a table of reviews. Blank lines are no rows.

    Args:
        data: its bytes.
        options: what they do not say.
        likely: the delimiter, where several would do.
        extension: of the table that goes back.
        content_type: of the table that goes back.

    Raises:
        SourceError: there is not one row, or too many, or no column that could be the review.
    """
    refuse_binary_lines(data, options)
    csv.field_size_limit(LONGEST_LINE)
    layout = _find_layout(list(islice(read_lines(data, options), _SAMPLE_LINES)), options, likely)
    records = partial(_body, data, options, layout)

    sample, rows = ColumnSample(), 0
    for record in records():
        rows += 1
        if rows <= SAMPLE_ROWS and not record.problem:
            sample.add(zip(layout.names, map(layout.dialect.unescape, record.cells), strict=True))
    if not rows:
        raise SourceError(ErrorCode.HEADER_ONLY, "the table has a header and no rows")
    if rows > MOST_ROWS:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the file has {rows:,} rows, and {MOST_ROWS:,} are classified at once: split it",
        )
    text_field, found = sample.text_field(layout.names, options)
    namesakes = layout.names.count(text_field)
    if namesakes > 1:
        message = f"{namesakes} columns are called {text_field!r}: rename all but the one of the reviews"
        raise SourceError(ErrorCode.DUPLICATE_FIELD, message)

    fallbacks = sum(line.fallback for line in read_lines(data, options))
    # Excel takes text for UTF-8 only behind a mark; what was UTF-8 without one needs none.
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}" if fallbacks or marked_encoding(data) else ""
    return Document(
        rows=_Rows(records, layout.dialect, layout.names.index(text_field)),
        notes={
            **encoding_notes(data, fallbacks, options),
            "delimiter": _NAMES.get(layout.dialect.delimiter, layout.dialect.delimiter),
            "quotes": layout.dialect.quotes,
            "header": layout.header is not None,
            **found,
        },
        table=Table(
            extension,
            content_type,
            frozenset(layout.names),
            partial(_render, layout),
            partial(_keep, layout),
            partial(_header, layout, mark),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table, parsed anew at each iteration."""

    records: Callable[[], Iterator[_Record]]
    dialect: _Dialect
    text_column: int

    def __iter__(self) -> Iterator[Row]:
        for record in self.records():
            if record.problem:
                yield Row(record.line, problem=record.problem, raw=record.raw)
                continue
            text = self.dialect.unescape(record.cells[self.text_column])
            if text in MISSING:
                problem = Problem(ErrorCode.MISSING_FIELD, f"there is {text} in place of a review")
                yield Row(record.line, problem=at_line(record.line, problem), raw=record.raw)
            else:
                yield Row(record.line, text, raw=record.raw)


def _body(data: bytes, options: ReadOptions, layout: _Layout) -> Iterator[_Record]:
    """Yield the records behind the header, each with as many cells as there are columns."""
    lines = islice(read_lines(data, options), len(layout.preamble), None)
    records = islice(_records(lines, layout.dialect), layout.header is not None, None)
    return (_fitted(record, layout) for record in records)


def _fitted(record: _Record, layout: _Layout) -> _Record:
    """Give a record as many cells as there are columns.

    One that has more, or fewer, keeps them all, in their places and the surplus in the last column,
    so that the table can be loaded.
    """
    dialect, width = layout.dialect, len(layout.names)
    cells, problem = record.cells, record.problem
    if not problem and len(cells) > width:
        if width == 1:
            cells = _whole(record).cells
        elif not any(cells[width:]):
            cells = cells[:width]
    if not problem and len(cells) != width:
        message = f"{len(cells)} fields, and the header has {width}: is a delimiter or a quote missing?"
        if layout.header is None:
            message = f"{len(cells)} fields, and the first row has {width}"
        problem = at_line(record.line, Problem(ErrorCode.RAGGED_ROW, message))
    if cells is record.cells and not problem and record.tidy:
        return record
    surplus = [dialect.delimiter.join(cells[width - 1 :])] if len(cells) > width else cells[width - 1 :]
    cells = [*cells[: width - 1], *surplus]
    cells += [""] * (width - len(cells))
    return _Record(record.line, dialect.join(cells), cells, problem)


def _whole(record: _Record) -> _Record:
    return replace(record, cells=[record.raw]) if len(record.cells) > 1 else record


def _records(lines: Iterator[Line], dialect: _Dialect) -> Iterator[_Record]:
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
        elif dialect.quotes == _TEXT:
            yield _text_record(line, lines)
        elif dialect.quotes == _NONE or not ('"' in line.text or "\\" in line.text):
            yield _plain_record(line, dialect)
        else:
            yield _quoted_record(line, lines, waiting, dialect)


def _plain_record(line: Line, dialect: _Dialect, problem: Problem | None = None) -> _Record:
    raw = line.text.rstrip("\r\n")
    # Many programs take a carriage return for the end of a line, if there are no quotes around it.
    tidy = problem is None and "\r" not in raw
    return _Record(line.number, raw, raw.split(dialect.delimiter), problem, tidy)


def _text_record(first: Line, lines: Iterator[Line]) -> _Record:
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
    return _Record(first.number, raw, _TEXT_CELL.findall(raw), problem, tidy=problem is None)


def _is_escaped(line: str) -> bool:
    content = line.rstrip("\r\n")
    return content != line and (len(content) - len(content.rstrip("\\"))) % 2 == 1


def _quoted_record(first: Line, lines: Iterator[Line], waiting: deque[Line], dialect: _Dialect) -> _Record:
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
            return _Record(first.number, text, cells, tidy=False)
        waiting.extendleft(reversed(taken[1:]))
        problem = Problem(ErrorCode.UNCLOSED_QUOTE, "a quote opens in this line and does not close")
        return _plain_record(first, dialect, at_line(first.number, problem))
    problem_inside = next((line.problem for line in taken if line.problem), None)
    raw = "".join(line.text for line in taken).rstrip("\r\n")
    return _Record(first.number, raw, cells, problem_inside, tidy=problem_inside is None)


def _find_layout(lines: list[Line], options: ReadOptions, likely: str) -> _Layout:
    """Find dialect and header from the first lines.

    Raises:
        SourceError: there is no record, or the first is damaged.
    """
    declared = _SEP_LINE.fullmatch(lines[0].text) if lines else None
    titles = 1 if declared else _titles(lines, options)
    preamble, body = lines[:titles], lines[titles:]
    delimiters = [declared[1]] if declared else sorted(_DELIMITERS, key=lambda d: d != likely)
    guesses = [
        _Guess.of(_Dialect(delimiter, quotes), body, options)
        for delimiter in delimiters
        for quotes in _quotings(body, delimiter)
    ]
    best = max(guesses, key=lambda guess: guess.merit)
    if not best.is_table:
        # Without quotes every line would be a record, and look tidy.
        quoted = [g for g in guesses if g.dialect.delimiter == delimiters[0] and g.dialect.quotes != _NONE]
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
    return _Layout(best.dialect, first if has_header else None, names, preamble, end)


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
        unquoted = _TEXT if _TEXT_FORMAT.search(text) else _NONE
        if _LEADING_QUOTE.search(text):
            return [_DOUBLED, _ESCAPED, unquoted] if '\\"' in text else [_DOUBLED, unquoted]
        return [unquoted if unquoted == _TEXT else _DOUBLED]
    return [_DOUBLED, _ESCAPED] if '\\"' in text else [_DOUBLED]


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

    dialect: _Dialect
    records: list[_Record]
    width: int
    titles: int
    merit: tuple[bool, bool, float, float]

    @classmethod
    def of(cls, dialect: _Dialect, lines: Sequence[Line], options: ReadOptions) -> "_Guess":
        records = list(_records(iter(lines), dialect))
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
            fits = above > 0 and _is_header(records[above].cells, records[above + 1 :], options)
            if fits and not _names_a_review(names, options):
                titles, records = records[above].line - lines[0].number, records[above:]
            else:
                fits = False
        tidy = sum(record.tidy for record in records) / max(1, len(records))
        return cls(dialect, records, width, titles, (named, fits, share if fits else 0.0, tidy))

    @property
    def is_table(self) -> bool:
        """Whether there are columns to tell apart."""
        named, fits, *_ = self.merit
        return named or fits

    def as_one_column(self) -> "_Guess":
        """Take whole records for the cells of one column, whatever stands in them."""
        return replace(self, width=1, records=[_whole(record) for record in self.records])


def _names_a_review(cells: Iterable[str], options: ReadOptions) -> bool:
    # A number names a column only where there is no header.
    set_name = "" if options.text_field.isdigit() else options.text_field
    return any(cell == set_name or is_usual(cell) for cell in cells if cell)


def _is_header(cells: Sequence[str], others: Sequence[_Record], options: ReadOptions) -> bool:
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


def _render(layout: _Layout, row: Row, added: Mapping[str, Value]) -> str:
    dialect = layout.dialect
    return (
        dialect.delimiter.join([row.raw, dialect.join([_cell(dialect, v) for v in added.values()])])
        + layout.end
    )


def _cell(dialect: _Dialect, value: Value) -> str:
    if value is None:
        return "\\N" if dialect.quotes == _TEXT else ""
    if isinstance(value, bool):
        return str(value).lower()
    return dialect.escape(str(value))


def _keep(layout: _Layout, text: str) -> str:
    width = len(layout.names)
    return layout.dialect.join([layout.dialect.escape(text)] + [""] * (width - 1))


def _header(layout: _Layout, mark: str, names: Sequence[str]) -> str:
    preamble = mark + "".join(line.text for line in layout.preamble)
    if layout.header is None:
        return preamble
    return preamble + layout.dialect.delimiter.join([layout.header.raw, *names]) + layout.end


def _looks_like(delimiter: str, text: str) -> bool:
    header, _, rest = text.partition("\n")
    names = header.strip().split(delimiter)
    return len(names) > 1 and bool(rest.strip()) and any(is_usual(name.strip('"')) for name in names)


CSV = Format(
    "CSV",
    frozenset({".csv"}),
    frozenset({"text/csv", "application/csv"}),
    partial(read, likely=",", extension="csv", content_type="text/csv"),
    lambda text: any(_looks_like(delimiter, text) for delimiter in ",;|"),
)
TSV = Format(
    "TSV",
    frozenset({".tsv", ".tab"}),
    frozenset({"text/tab-separated-values"}),
    partial(read, likely="\t", extension="tsv", content_type="text/tab-separated-values"),
    partial(_looks_like, "\t"),
)
