"""What tables with columns share: delimited tables, Excel workbooks and Parquet files."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from reviewbox.documents.document import Row
from reviewbox.documents.lines import at_row
from reviewbox.documents.review_field import TITLE_NOTE, ReviewField
from reviewbox.documents.value_kinds import MISSING, kind_of
from reviewbox.errors import ErrorCode, Problem, SourceError, contain

# The number of rows from which the column of the review is chosen.
MAX_SAMPLE_ROWS = 1000

_T = TypeVar("_T")

# What a report calls a row that summarizes the rows above it, in the languages that people export in. In
# these patterns, a dot matches any character. No review is only one of the totals, but one may be only
# "Average".
_TOTALS = (
    "grand.total total totals sub.total sub.totals subtotal subtotals sum gesamt gesamtergebnis gesamtsumme "
    "summe totale totaal итого toplam 合計 总计 合计 總計 합계"
).split()
_STATISTICS = (
    "average averages avg mean median count min minimum max maximum std stdev standard.deviation "
    "durchschnitt mittelwert schnitt moyenne médiane mediane somme promedio média media suma soma somma "
    "gemiddelde średnia razem всего среднее ortalama jumlah rata-rata 平均 평균"
).split()
_SUMMARY = re.compile(rf"(?:{'|'.join(_TOTALS + _STATISTICS)})(?!\w)", re.IGNORECASE)
TOTALS = frozenset(
    cased + colon
    for word in (total.replace(".", " ") for total in _TOTALS)
    for cased in (word, word.capitalize(), word.title(), word.upper())
    for colon in ("", ":")
)
_VALUES_OF_SUMMARIES = frozenset({"number", "date", "flag"})


def column_keys(names: Sequence[str]) -> list[str]:
    """Return what identifies each column: its name if no other column has it, else its number, from 1.

    A number that is the name of another column gets "#" in front, as often as it takes.
    """
    unique = {name for name, count in Counter(names).items() if name and count == 1}
    keys = []
    for number, name in enumerate(names, 1):
        key = name if name in unique else str(number)
        while key in unique and key != name:
            key = f"#{key}"
        keys.append(key)
    return keys


def read_row(number: int, field: ReviewField, value_of: Callable[[str], Any]) -> Row:
    """Return a row with its review, or why there is none.

    Rows are numbered from 1. The texts of several columns are joined as paragraphs.
    """
    values = [value_of(path) for path in field.paths]
    texts = [value for value in values if _is_present(value)]
    if texts:
        return Row(number, "\n\n".join(texts))
    if field.title and _is_present(title := value_of(field.title)):
        return Row(number, title, note=TITLE_NOTE)
    if any(isinstance(value, str) and not value.strip() for value in values):
        return Row(number)
    value = values[0]
    found = "no value" if value is None else value if isinstance(value, str) else type(value).__name__
    problem = Problem(ErrorCode.MISSING_FIELD, f"the review field holds {found}, not a review")
    return Row(number, problem=at_row(number, problem))


def is_summary(cells: Sequence[Any], text_columns: Sequence[int]) -> bool:
    """Return whether a row summarizes the rows above it: a word such as "Total", followed only by numbers.

    `text_columns` are the indexes of the columns that hold the review.
    """
    filled = [cell for cell in cells if not _is_blank(cell)]
    if not (filled and isinstance(filled[0], str) and _SUMMARY.match(label := filled[0].strip())):
        return False
    if any(
        isinstance(cell, str) and kind_of(cell.strip()) not in _VALUES_OF_SUMMARIES for cell in filled[1:]
    ):
        return False
    return label in TOTALS or all(_is_blank(cells[column]) for column in text_columns)


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def call_library(description: str, function: Callable[..., _T], *arguments: Any) -> _T:
    """Call a function of a compiled library.

    Raises:
        SourceError: the function failed: the file is damaged or uses a feature that the library lacks.
    """
    try:
        return function(*arguments)
    except (SourceError, MemoryError):
        raise
    except BaseException as error:
        contain(error)
        raise unreadable(description) from error


def unreadable(description: str) -> SourceError:
    """Return the error for a file that a compiled library cannot read; `description` names the file."""
    message = f"{description} is damaged or uses an unsupported feature; save it again, or export it as CSV"
    return SourceError(ErrorCode.CORRUPT_FILE, message)


def _is_present(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value not in MISSING
