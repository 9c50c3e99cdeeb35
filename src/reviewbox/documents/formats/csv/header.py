"""Decides which of the first records of a delimited table are titles, header rows and rows.

A header row differs in kind from the rows below it: it has a word above numbers, or a question above answers.
The words themselves matter less.
"""

import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

from reviewbox.documents.field_names import name_score, name_words, word_weight
from reviewbox.documents.formats.csv.records import Record
from reviewbox.documents.value_kinds import MISSING, UNSPACED, kind_of
from reviewbox.documents.vocabulary import OPINION_WORDS, plain_word

_MAX_TITLES = 20  # lines that programs write above a table
_MAX_ROWS = 100  # rows compared with a possible header row
_MAX_CELLS = 50_000  # cells compared with it: fewer rows of a wide table are enough
_MAX_CELL_LENGTH = 500  # characters that are looked at

# A column is of a kind if this share of its cells is.
_MIN_KIND_SHARE = 0.7
# A column is prose if its cells have this many words on average.
_MIN_PROSE_WORDS = 4
# A column holds categories if it has at least this many cells, and every value occurs more than once.
_MIN_CATEGORIZED = 10
_MIN_CONSTANT = 4  # cells, if all are the same
# One word above at least this many texts is a name if at most this share of the texts is a single word.
_MIN_TEXTS_BELOW_WORD = 20
_MAX_SHARE_OF_WORDS = 0.035
_MIN_SENTENCES = 5
_MIN_INDEXED = 3  # rows
_MIN_COUNTED = 3  # names
_MAX_NAME_WORDS = 4
_REVIEW_NAME_SCORE = 1.5
_QUESTION_WORD_SCORE = 1.0  # for a word from an open question, such as "improve"

# How much a cell above a column suggests that it is a name; the scores of all columns are added up.
_UNLIKE_COLUMN = 1.5  # words above numbers, dates, links or ids
_WORD_ABOVE_FLAGS = 0.75  # flags are also words
_WORD_ABOVE_CATEGORIES = 1.0  # a word above a few repeated words, and different from them
_NOTHING_ABOVE_ROW_NUMBERS = 1.5  # data frames number their rows
_PROGRAM_NAMES = 1.0  # all names are lower case, as programs write them, and few cells below are
_SAME_START = 1.5  # all names start with the same word, such as the name of the program
_LIKE_COLUMN = -1.5  # a cell of the same kind as the cells below
_KNOWN_NAME = 0.75
_NUMBER_ABOVE_TEXT = 0.75  # data frames number their columns
_QUESTION_ABOVE_ANSWERS = 1.0
_WORD_ABOVE_PROSE = 0.5
_PROSE_ABOVE_PROSE = -1.0
_COLON = 1.0  # a name ends with a colon, and no value does

_SENTENCE_END = re.compile(r"[.!…。！]\s*")
_ENDED = re.compile(r"[.!?…。！？؟]\W*$")
_NOT_A_NAME = re.compile(r"[.!…。！]\s|[{}\[\]<>\"]|[.!…。！]$")
# A question, or a request for an answer.
_QUESTION = re.compile(
    r"[?？]$|^(?:please |kindly )?(?:tell us|describe|explain|let us know|leave (?:a|your|any)"
    r"|share (?:your|any)|enter|write|provide|give us)\b|^(?:bitte|veuillez|por favor|si prega|prosimy)\b",
    re.IGNORECASE,
)
_COLONS = (":", "：")
_IMPORT_ID = re.compile(r'\s*\{\s*"ImportId"')
# What SurveyMonkey writes below a question whose answers are chosen, in the languages of its interface.
_CHOSEN_ANSWER = frozenset("response antwort réponse respuesta resposta risposta antwoord".split())
# What it writes below an open question.
_ANSWER_LABELS = _CHOSEN_ANSWER | frozenset(
    (
        "open-ended response|offene antwort|beantwortung mit offenem ende|réponse ouverte|respuesta abierta|"
        "resposta aberta|risposta aperta|open antwoord"
    ).split("|")
)
_NAME_OF_CHOICES = "category"  # is not the name of a review
# A word that programs write and people do not, such as "review_2".
_PROGRAM_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MAX_LIKE_NAMES = 0.1  # a share of the cells of a column
_PROGRAM_WORD = re.compile(r"\w*(?:\d|_|[a-z][A-Z])\w*")
# What else a column of texts is called, apart from the names that suggest reviews.
_NAMES_OF_TEXTS = frozenset(
    "sentence sentences phrase phrases utterance utterances quote quotes note notes document documents "
    "transcript transcripts string data said says pros cons pluses minuses advantages disadvantages vorteile "
    "nachteile avantages inconvénients ventajas desventajas vantaggi svantaggi kelebihan kekurangan "
    "достоинства недостатки плюсы минусы".split()
)
_MAX_NOTE_CELLS = 2


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header row is."""

    index: int  # the index of its record; 0 without a header row
    count: int  # the number of header rows: more than one in the exports of some survey tools, 0 without one
    names: list[str]  # the names of the columns; "" where a column has none
    # What each column is called for the choice of the review field, such as the question that the second
    # header row repeats.
    titles: list[str]


def find_header(
    records: Sequence[Record], width: int, known_names: AbstractSet[str] = frozenset()
) -> Header | None:
    """Return where the header of a table with `width` columns is; None if it has no header.

    A record that contains one of the known names is the header row.
    """
    named = [
        index
        for index, record in enumerate(records[: _MAX_TITLES + 1])
        if len(record.cells) in (width, width - 1)
        and any(cell.strip() in known_names for cell in record.cells)
    ]
    candidates = [*named[:1], *_after_gaps(records, width), *_first_full(records, width)]
    for index in dict.fromkeys(candidates):
        count = 1 + _extra_rows(records[index + 1 :])
        rows = _rows_below(records[index + count :], records[index], width)
        names = _padded(records[index].cells, width)
        if count == 1 and rows and _is_second_header(rows[0], rows[1:]):
            count, rows = 2, rows[1:]
        if index not in named[:1] and not _is_header(names, rows):
            continue
        return Header(index, count, names, _titles(records[index : index + count], width))
    return None


def is_review_name(cell: str) -> bool:
    """Return whether a cell is a short name that suggests a review column."""
    return (
        0 < len(cell.split()) <= _MAX_NAME_WORDS
        and not _NOT_A_NAME.search(cell)
        and name_score(cell) >= _REVIEW_NAME_SCORE
    )


def is_review_header(cells: Sequence[str]) -> bool:
    """Return whether cells are names of columns, and one of them suggests reviews."""
    return (
        len(cells) > 1
        and any(map(is_review_name, cells))
        and not any(cell.startswith(" ") and cell.strip()[:1].islower() for cell in cells)
        and not any(
            kind_of(cell[:_MAX_CELL_LENGTH].strip()) in ("number", "date", "link") for cell in cells if cell
        )
    )


def footer_line(records: Sequence[Record], width: int) -> int:
    """Return the number of the first line of a report's notes below a table; 0 if there are none."""
    notes: list[Record] = []
    rows = list(records)
    while rows and width > _MAX_NOTE_CELLS and _is_note(rows[-1]):
        notes.append(rows.pop())
    first = next((note for note in reversed(notes) if len(note.cells[0].split()) > 1), None)
    if first is None or not rows:
        return 0
    # Without a blank line above it, a lone text could be the start of a row, if rows start with a text.
    is_apart = first.line > _last_line(rows[-1]) + 1 or first is not notes[-1]
    starts = _Column.of([record.cells[0][:_MAX_CELL_LENGTH].strip() for record in rows[-_MAX_ROWS:]])
    return first.line if is_apart or starts.kind not in ("text", "mixed", "") else 0


def _is_note(record: Record) -> bool:
    """Return whether a record has nothing but a text in its first cell, or nothing at all."""
    return not record.problem and not any(cell.strip() for cell in record.cells[1:])


def _first_full(records: Sequence[Record], width: int) -> list[int]:
    """Return the index of the first record that is not a title, and that of the first record."""
    used = len(
        {
            column
            for record in records[:_MAX_ROWS]
            for column, cell in enumerate(record.cells[:width])
            if cell.strip()
        }
    )
    for index, record in enumerate(records[: _MAX_TITLES + 1]):
        filled = sum(1 for cell in record.cells if cell.strip())
        is_sparse = used > 2 and filled <= 2 and 2 * filled <= used  # noqa: PLR2004 - a name and a value
        if (len(record.cells) == width or _has_row_names(records, index, width)) and not is_sparse:
            return [index, 0] if len(records[0].cells) == width else [index]
    return []


def _after_gaps(records: Sequence[Record], width: int) -> list[int]:
    """Return the indexes of records after a blank line, above which a report writes names and values."""
    # In a table of two columns, the names and values could be rows of the table.
    could_be_rows = width == _MAX_NOTE_CELLS and any(
        kind_of(record.cells[0].strip()[:_MAX_CELL_LENGTH]) == "number" for record in records[:2]
    )
    return [
        index
        for index in range(1, min(len(records) - 1, _MAX_TITLES + 1))
        if records[index].line > _last_line(records[index - 1]) + 1
        and len(records[index].cells) == width
        and not could_be_rows
        and is_review_header(records[index].cells)
        and records[index].cells != records[0].cells
        and all(sum(1 for cell in above.cells if cell.strip()) <= 2 for above in records[:index])  # noqa: PLR2004
    ]


def _last_line(record: Record) -> int:
    return record.line + record.raw.count("\n")


def _has_row_names(records: Sequence[Record], index: int, width: int) -> bool:
    """Return whether a record lacks the name of the first column, as R writes a table with row names."""
    names = records[index].cells
    below = [
        record.cells for record in records[index + 1 : index + 1 + _MAX_ROWS] if len(record.cells) == width
    ]
    if len(names) != width - 1 or not all(cell.strip() for cell in names) or not below or len(names) < 2:  # noqa: PLR2004
        return False
    firsts = [cells[0] for cells in below]
    is_numbered = firsts == [str(number) for number in range(1, len(firsts) + 1)]
    is_all = sum(1 for record in records[index + 1 :][:_MAX_ROWS]) == len(below)
    return (
        any(cells[-1].strip() for cells in below)
        and is_all
        and not _is_header(below[0], below[1:])  # below a title
        and (is_numbered or len(set(firsts)) == len(firsts))
    )


def _padded(cells: Sequence[str], width: int) -> list[str]:
    """Return the names of all columns, including the first, which R omits."""
    names = [cell.strip() for cell in cells]
    return ["", *names] if len(names) == width - 1 else names


def _extra_rows(records: Sequence[Record]) -> int:
    """Return the number of further header rows that survey tools write, which have fixed texts."""
    for index, record in enumerate(records[:3]):
        filled = [cell for cell in record.cells if cell.strip()]
        if filled and sum(1 for cell in filled if _IMPORT_ID.match(cell)) * 2 > len(filled):
            return index + 1
    if records and any(cell.strip().casefold() in _ANSWER_LABELS for cell in records[0].cells):
        below = _rows_below(records[1:], records[0], len(records[0].cells))
        columns = range(len(records[0].cells))
        data = [c for c in columns if _Column.of([row[c] for row in below]).kind in ("number", "date")]
        # Response ids and dates have no answer.
        if data and sum(1 for c in data if records[0].cells[c].strip()) * 2 <= len(data):
            return 1
    return 0


def _rows_below(records: Sequence[Record], header: Record, width: int) -> list[list[str]]:
    count = min(_MAX_ROWS, 1 + _MAX_CELLS // width)
    return [
        [cell[:_MAX_CELL_LENGTH].strip() for cell in record.cells]
        for record in records[:count]
        if len(record.cells) == width and not record.problem and not _repeats(record, header)
    ]


def _repeats(record: Record, header: Record) -> bool:
    """Return whether a record repeats the header, or is that of a second table with many of its columns."""
    same = sum(bool(cell) and cell == name for cell, name in zip(record.cells, header.cells, strict=False))
    return 2 * same > len(header.cells)


def _titles(headers: Sequence[Record], width: int) -> list[str]:
    rows = [_padded(record.cells, width) for record in headers if len(record.cells) in (width, width - 1)]
    return [
        _title([row[column] for row in rows if not _IMPORT_ID.match(row[column])]) for column in range(width)
    ]


def _title(names: Sequence[str]) -> str:
    """Return what a column is called: the most telling of its names."""
    if any(name.casefold() in _CHOSEN_ANSWER for name in names[1:]):
        return _NAME_OF_CHOICES
    return max(names, key=name_score, default="")


@dataclass(frozen=True, slots=True)
class _Column:
    """What the cells of a column are."""

    cells: list[str]  # the cells that have a value
    kind: str  # the kind of most of them; "mixed" if they differ; "" if there are none
    is_prose: bool  # whether they are texts of several words

    @classmethod
    def of(cls, cells: Sequence[str]) -> "_Column":
        filled = [cell for cell in cells if cell and cell not in MISSING]
        if not filled:
            return cls([], "", is_prose=False)
        ((kind, count),) = Counter(map(kind_of, filled)).most_common(1)
        if count < _MIN_KIND_SHARE * len(filled):
            kind = "mixed"
        words = sum(len(cell.split()) + len(UNSPACED.findall(cell)) // 2 for cell in filled)
        return cls(filled, kind, is_prose=words >= _MIN_PROSE_WORDS * len(filled))

    @property
    def is_categories(self) -> bool:
        """Whether the cells are a few words, each of which is repeated."""
        counts = Counter(self.cells)
        least = _MIN_CONSTANT if len(counts) == 1 else _MIN_CATEGORIZED
        is_repeated = len(self.cells) >= least and min(counts.values()) > 1
        return is_repeated and self.kind == "text" and not self.is_prose


def _is_header(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    if len(names) == 1:
        return _is_header_of_one_column(names[0], [row[0] for row in rows])
    if not rows:
        return could_be_names(names)
    columns = [_Column.of([row[index] for row in rows]) for index in range(len(names))]
    evidence = _SAME_START if _have_same_start(names, rows) else 0.0
    evidence += _NOTHING_ABOVE_ROW_NUMBERS if _is_unnamed_index(names[0], [row[0] for row in rows]) else 0.0
    evidence += _PROGRAM_NAMES if _are_names_of_programs(names, columns) else 0.0
    count_up = _count_up(names)
    evidence += sum(_COLON * _is_label(name, column) for name, column in zip(names, columns, strict=True))
    evidence += sum(
        _name_evidence(name, column, count_up=count_up) for name, column in zip(names, columns, strict=True)
    )
    return evidence > 0


def _are_names_of_programs(names: Sequence[str], columns: Sequence[_Column]) -> bool:
    texts = [column.cells for column in columns if column.kind in ("text", "mixed")]
    return all(map(_PROGRAM_NAME.fullmatch, names)) and all(
        sum(1 for cell in cells if _PROGRAM_NAME.fullmatch(cell)) <= _MAX_LIKE_NAMES * len(cells)
        for cells in texts
    )


def _is_label(name: str, column: _Column) -> bool:
    return name.endswith(_COLONS) and not any(cell.endswith(_COLONS) for cell in column.cells)


def _is_unnamed_index(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column numbers the rows, and has no name."""
    is_index = all(cell.isdigit() for cell in cells) and len(set(cells)) == len(cells)
    return not name and is_index and len(cells) >= _MIN_INDEXED


def _have_same_start(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether all names start with the same word, which no cell below starts with."""
    starts = {name.split()[0] for name in names if name}
    is_prefix = len(starts) == 1 and all(len(name.split()) > 1 for name in names if name)
    return (
        is_prefix
        and len(names) > 1
        and not any(cell.split()[:1] == [*starts] for row in rows for cell in row)
    )


def _is_second_header(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a row is words above numbers and dates in every column that has them."""
    columns = [_Column.of([row[index] for row in rows]) for index in range(len(cells))]
    above = [cell for cell, column in zip(cells, columns, strict=True) if column.kind in ("number", "date")]
    return len(above) > 1 and len(rows) > 1 and all(_kind_of_name(cell) == "text" for cell in above)


def could_be_names(cells: Sequence[str]) -> bool:
    """Return whether cells may be names of columns, judged without the rows below."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and not any(
        _kind_of_name(cell) in ("number", "date", "link")
        or (_SENTENCE_END.search(cell) and len(cell.split()) >= _MIN_PROSE_WORDS)
        for cell in filled
    )


def _is_header_of_one_column(name: str, cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell and cell not in MISSING]
    words = len(name.split())
    labeled = sum(cell.startswith(f"{name}:") for cell in filled)
    if name and labeled >= _MIN_KIND_SHARE * len(filled) > 0:
        return True
    if name in filled or (_SENTENCE_END.search(name) and not _QUESTION.search(name)):
        return False
    if _QUESTION.search(name):
        return words > 1 and sum(1 for cell in filled if _QUESTION.search(cell)) < len(filled) / 2
    if words > 1:
        is_known = words <= _MAX_NAME_WORDS and name_score(name) >= _REVIEW_NAME_SCORE
        return is_known and sum(len(cell.split()) for cell in filled) >= 2 * words * len(filled) > 0
    longer = sum(1 for cell in filled if len(cell) > 3 * len(name) or len(cell.split()) >= _MIN_PROSE_WORDS)
    is_key = name.islower() and longer >= len(filled) / 2 and bool(word_weight(plain_word(name)))
    is_name = name_score(name) >= _REVIEW_NAME_SCORE or name.isdigit() or is_key
    return is_name or (longer >= len(filled) / 2 and _is_name_of_texts(name, filled))


def _is_name_of_texts(word: str, texts: Sequence[str]) -> bool:
    """Return whether a word above texts is more likely the name of a column than a review of one word.

    A lost review is worse than a header that is classified. So an unknown word is a review, unless there are
    many texts and hardly any of them is one word. A word of opinion is always one.
    """
    if _PROGRAM_WORD.fullmatch(word) or word.casefold() in _NAMES_OF_TEXTS:
        return True
    if plain_word(word) in OPINION_WORDS or not word.isalpha():
        return False
    words = sum(len(text.split()) == 1 for text in texts)
    is_alone = len(texts) >= _MIN_TEXTS_BELOW_WORD and words <= _MAX_SHARE_OF_WORDS * len(texts)
    return is_alone or name_score(word) >= _QUESTION_WORD_SCORE


def _name_evidence(name: str, column: _Column, *, count_up: bool) -> float:
    """Return how much a cell above a column suggests that it is the column's name.

    `count_up` is whether the numbers among all names count up.
    """
    if not name or name in MISSING:
        return 0.0
    kind = _kind_of_name(name)
    weights = [word_weight(word) for word in name_words(name)]
    is_known = len(name.split()) <= _MAX_NAME_WORDS and any(
        # Texts are not called "location", but that may be a review.
        weight >= _REVIEW_NAME_SCORE or (weight <= -_REVIEW_NAME_SCORE and not column.is_prose)
        for weight in weights
    )
    if not column.cells:
        return _LIKE_COLUMN if kind in ("date", "link") else _KNOWN_NAME if is_known else 0.0
    if kind == "number" and _is_numbered(name, column, count_up=count_up):
        is_year = count_up and _is_year_above_others(name, column)
        return _NUMBER_ABOVE_TEXT if is_year or column.kind == "text" else 0.0
    if name in column.cells or kind in ("date", "link"):
        return _LIKE_COLUMN
    if column.kind not in ("text", "mixed"):
        unlike = _WORD_ABOVE_FLAGS if column.kind == "flag" else _UNLIKE_COLUMN
        return unlike if kind == "text" else _LIKE_COLUMN if kind == column.kind else 0.0
    evidence = _KNOWN_NAME if is_known else 0.0
    if column.is_categories:
        evidence += _WORD_ABOVE_CATEGORIES
    if column.is_prose:
        evidence += _evidence_above_prose(name, column, is_known=is_known)
    elif _is_word_above_sentences(name, column.cells):
        evidence += _WORD_ABOVE_PROSE
    return evidence


def _evidence_above_prose(name: str, column: _Column, *, is_known: bool) -> float:
    if _QUESTION.search(name):
        questions = sum(1 for cell in column.cells if _QUESTION.search(cell))
        return _QUESTION_ABOVE_ANSWERS if questions < len(column.cells) / 2 else _PROSE_ABOVE_PROSE
    if len(name.split()) >= _MAX_NAME_WORDS or _SENTENCE_END.search(name):
        return _PROSE_ABOVE_PROSE
    is_name = (
        is_known or _is_name_of_texts(name, column.cells) or _is_word_above_sentences(name, column.cells)
    )
    return _WORD_ABOVE_PROSE if is_name else 0.0


def _is_word_above_sentences(word: str, texts: Sequence[str]) -> bool:
    """Return whether all texts end as sentences do, and the word above them does not."""
    is_word = word.isalpha() and plain_word(word) not in OPINION_WORDS
    return is_word and len(texts) >= _MIN_SENTENCES and all(map(_ENDED.search, texts))


def _is_numbered(name: str, column: _Column, *, count_up: bool) -> bool:
    """Return whether a number is a name: a year, or the number of a question or of a data frame's column."""
    if not name.isdigit():
        return False
    return column.kind == "text" or count_up or _is_year_above_others(name, column)


def _count_up(names: Sequence[str]) -> bool:
    """Return whether the numbers among names count up. A few numbers beside words may do so by chance."""
    numbers = [int(name[:6]) for name in names if name.isdecimal()]
    is_certain = len(numbers) >= _MIN_COUNTED or len(numbers) == len([*filter(None, names)])
    return is_certain and all(other - number == 1 for number, other in pairwise(numbers))


def _is_year_above_others(name: str, column: _Column) -> bool:
    is_year = len(name) == 4 and name[:2] in ("19", "20")  # noqa: PLR2004
    return is_year and not any(len(cell) == len(name) for cell in column.cells)


def _kind_of_name(name: str) -> str:
    """Return the kind of a cell that may be a name. Names such as `review_id` are not ids."""
    kind = kind_of(name[:_MAX_CELL_LENGTH])
    if kind in ("flag", "identifier", "structure"):
        return "identifier" if sum(map(str.isdigit, name)) > 2 else "text"  # noqa: PLR2004
    return kind
