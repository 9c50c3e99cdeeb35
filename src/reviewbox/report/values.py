"""Reads cells as dates and as ratings. Pure: the standard library's dates come with a clock."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_MONTHS = {
    name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2}))?(?:[T ].*)?")
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d\d)(?:[T ,].*)?")
_DAY_NAME = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+", re.IGNORECASE)
_NAMED_MONTH = re.compile(
    r"(?:(\d{1,2})(?:st|nd|rd|th)?[ -])?([a-z]{3})[a-z]*\.?[ -](?:(\d{1,2})(?:st|nd|rd|th)?,? )?"
    r"(\d{4})(?:[T ,].*)?",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"(\d{10})(?:\d{3})?(?:\.\d+)?")
_FIRST_EPOCH, _LAST_EPOCH = 946_684_800, 2_208_988_800  # the years 2000 to 2039
_SECONDS_PER_DAY = 86_400
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_CENTURY = 2000

_RATING = re.compile(
    r"([0-9]+(?:[.,][0-9]+)?)\s*+(?:(?:/|of|out of|von|sur|de)\s*[0-9]+)?\s*+(?:stars?|★|⭐)?", re.IGNORECASE
)
_SYMBOLS = re.compile(r"[★⭐](?:\ufe0f)?")
_MAX_SYMBOLS = re.compile(r"[★☆⭐\ufe0f\s]{1,20}")


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """A day of the calendar; `day` is 0 if only the month is known."""

    year: int
    month: int
    day: int = 0


@lru_cache(maxsize=50_000)
def parse_day(text: str, *, day_first: bool) -> Day | None:
    """Return the day of a date in any common notation, or of a Unix time; None if it is neither.

    Args:
        text: the cell, with a time or without.
        day_first: how to read 3/4/2025: as the third of April, or the fourth of March.
    """
    text = text.strip()
    if match := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text):
        return _day(match[1], match[2], match[3])
    if match := _YEAR_LAST.fullmatch(text):
        day, month = (match[1], match[2]) if day_first else (match[2], match[1])
        return _day(match[3], month, day)
    if (match := _EPOCH.fullmatch(text)) and _FIRST_EPOCH <= int(match[1]) <= _LAST_EPOCH:
        return _day_of_epoch(int(match[1]))
    if match := _NAMED_MONTH.fullmatch(_DAY_NAME.sub("", text, count=1)):
        month_number = _MONTHS.get(match[2].lower(), 0)
        return _day(match[4], str(month_number), match[1] or match[3])
    return None


def _day(year: str, month: str, day: str | None) -> Day | None:
    full_year = int(year) if len(year) == 4 else _CENTURY + int(year)  # noqa: PLR2004 - digits
    found = Day(full_year, int(month), int(day or 0))
    is_valid = _FIRST_YEAR <= found.year <= _LAST_YEAR and 1 <= found.month <= 12 and found.day <= 31  # noqa: PLR2004 - the calendar
    return found if is_valid else None


def _day_of_epoch(seconds: int) -> Day:
    """Return the day of a Unix time, in UTC."""
    return Day(*map(int, str(np.datetime64(seconds // _SECONDS_PER_DAY, "D")).split("-")))


@lru_cache(maxsize=10_000)
def parse_rating(text: str) -> float | None:
    """Return the number of a rating such as `4`, `4.0`, `4/5`, `4 stars` or `★★★★☆`; None for other texts."""
    text = text.strip()
    if text and _MAX_SYMBOLS.fullmatch(text):
        return float(len(_SYMBOLS.findall(text))) or None
    match = _RATING.fullmatch(text)
    return float(match[1].replace(",", ".")) if match else None
