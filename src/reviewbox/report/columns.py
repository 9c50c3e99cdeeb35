"""Counts the verdicts by the values of a column, and finds out what kind of column it is."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite
from typing import TypeVar

from reviewbox.documents.field_names import name_words
from reviewbox.report.statistics import association
from reviewbox.report.summary import EMPTY, OTHER, Kind
from reviewbox.report.values import Day, parse_day, parse_rating

_Key = TypeVar("_Key", Day, str)
Tally = dict[str, Counter[str]]  # the number of reviews with each label, by value

MAX_VALUE_LENGTH = 80  # characters kept of a value
_MAX_VALUES = 200  # a column with more is not a category
_MAX_CHOSEN_VALUES = 5000  # values counted if a user asked for the column
_MAX_SHOWN = 40  # values of a dimension; the others are counted together
_MIN_ROWS_PER_VALUE = 3
_MIN_FILLED_SHARE = 0.5  # a share of the rows in the files that have the column
_MIN_SHARE = 0.1  # a share of all reviews

_MAX_DAYS = 3700  # days counted one by one
_MIN_DATE_SHARE = 0.9  # a share of the values of a date column
_PATIENCE = 20  # values to see before a column without dates is ruled out
_MAX_DAYS_SHOWN, _MAX_MONTHS_SHOWN = 62, 72
_MAX_DAYS_BETWEEN = 10  # the average
_MIN_REVIEWS_PER_DAY = 3  # the average, unless all days are in one month
_DATE_WORDS = frozenset(
    "date datum fecha data day created submitted posted published reviewed time timestamp at when month "
    "monat mois mes".split()
)
_RATING_WORDS = frozenset(
    "rating ratings stars star score scores grade overall bewertung sterne note notes punkte puntuacion "
    "valutazione voto nota estrellas etoiles".split()
)
_STAR = re.compile("[★☆⭐🌟]")
_ID_WORDS = frozenset("id ids uuid guid key hash url link index nr number row sku asin email phone".split())
_RATING_SCALES = (5.0, 10.0, 100.0)
_MAX_RATINGS = 101
_MIN_RATING_SHARE = 0.9  # a share of the values of a rating column
_MAX_STARS = 10  # values that a scale shows even if nobody chose them
# Shares of the scale up to which a rating is bad, and from which it is good: 2 and 4 of 5 stars.
_LOW_RATING, _HIGH_RATING = 0.4, 0.8


@dataclass(frozen=True, slots=True)
class Scale:
    """A column as a dimension."""

    name: str  # the column
    kind: Kind  # what its values are
    tally: Tally  # the number of reviews with each label, by value and in the order of the dimension
    value_of: Callable[[str], str]  # returns the value that a cell with content has in the dimension
    note: str = ""  # how the cells were read; "" if there is nothing to say


@dataclass(slots=True)
class _Dates:
    """The verdicts by day, for one order of day and month."""

    days: dict[Day, Counter[str]] = field(default_factory=dict)
    misses: int = 0
    is_by_month: bool = False

    def add(self, day: Day, label: str) -> None:
        if self.is_by_month:
            day = Day(day.year, day.month)
        count(self.days, day, label)
        if len(self.days) > _MAX_DAYS and not self.is_by_month:
            self.is_by_month = True
            self.days = _merged(self.days, lambda day: Day(day.year, day.month))

    def _are_sparse(self) -> bool:
        """Return whether most days of the period are missing, such as if all are the first of a month."""
        first, last = min(self.days), max(self.days)
        months = 12 * (last.year - first.year) + last.month - first.month
        days = 31 * months + last.day - first.day  # an upper bound
        return days > _MAX_DAYS_BETWEEN * (len(self.days) - 1)

    def unit(self) -> Callable[[Day], str]:
        """Return how to label days: by day, month or year, to get few points with enough reviews each."""
        months = {(day.year, day.month) for day in self.days}
        reviews = sum(counts.total() for counts in self.days.values())
        are_full = reviews >= _MIN_REVIEWS_PER_DAY * len(self.days) or len(months) == 1
        are_dense = len(months) == 1 or not self._are_sparse()
        has_days = not self.is_by_month and all(day.day for day in self.days)
        if has_days and are_full and are_dense and len(self.days) <= _MAX_DAYS_SHOWN:
            return lambda day: f"{day.year:04}-{day.month:02}-{day.day:02}"
        if len(months) <= _MAX_MONTHS_SHOWN:
            return lambda day: f"{day.year:04}-{day.month:02}"
        return lambda day: f"{day.year:04}"


@dataclass(slots=True)
class ColumnTally:
    """The verdicts by the values of one column, in bounded memory.

    Attributes:
        name: the column.
        is_chosen: whether the user asked for it, so that it is shown whatever its values are.
        filled: the number of rows with a value.
        rows: the number of rows of the files that have a value in the column.
        values: the verdicts by value; None once there are too many values.
        dates: the verdicts by day: if the day stands before the month (True), and if not.
    """

    name: str
    is_chosen: bool = False
    filled: int = 0
    rows: int = 0
    values: Tally | None = field(default_factory=dict)
    dates: dict[bool, _Dates] = field(default_factory=lambda: {False: _Dates(), True: _Dates()})
    _filled_before: int = 0  # rows in earlier files

    @property
    def is_alive(self) -> bool:
        """Whether it may still become a dimension."""
        return self.values is not None or bool(self.dates)

    def add(self, value: str, label: str) -> None:
        """Count a value that is not empty."""
        self.filled += 1
        value = value[:MAX_VALUE_LENGTH]
        if self.values is not None:
            self._add_value(value, label)
        # Ten digits may be a Unix time or an order number: only the name can tell.
        if self.dates and (has_date_name(self.name) or not value.isdecimal()):
            self._add_date(value, label)

    def end_source(self, rows: int) -> None:
        """Record the end of a file, which had this number of rows."""
        if self.filled > self._filled_before:
            self.rows += rows
            self._filled_before = self.filled

    def _add_value(self, value: str, label: str) -> None:
        values = self.values or {}
        if value not in values and len(values) >= (_MAX_CHOSEN_VALUES if self.is_chosen else _MAX_VALUES):
            if not self.is_chosen:
                self.values = None
                return
            value = OTHER
        count(values, value, label)
        self.values = values

    def _add_date(self, value: str, label: str) -> None:
        for day_first, dates in list(self.dates.items()):
            if day := parse_day(value, day_first=day_first):
                dates.add(day, label)
            else:
                dates.misses += 1
                if dates.misses > max(_PATIENCE, self.filled * (1 - _MIN_DATE_SHARE)):
                    del self.dates[day_first]

    def as_dates(self) -> Scale | None:
        """Return the column as a time series; None if it does not hold dates."""
        # If both orders fit, the month comes first: those who write the day first use dots or ISO 8601.
        day_first = min(self.dates, key=lambda order: (self.dates[order].misses, order), default=None)
        if day_first is None:
            return None
        dates = self.dates[day_first]
        if not self._has_dates(dates):
            return None
        name_of = dates.unit()
        periods = _merged(dates.days, name_of)
        if len(periods) < 2:  # noqa: PLR2004 - no time series
            return None
        other = self.dates.get(not day_first)
        is_ambiguous = other and other.misses == dates.misses and other.days.keys() != dates.days.keys()
        note = "Read as month/day; no date shows whether that is right." if is_ambiguous else ""

        def value_of(cell: str) -> str:
            day = parse_day(cell[:MAX_VALUE_LENGTH], day_first=day_first)
            return name_of(day) if day else EMPTY

        return Scale(self.name, Kind.DATE, {key: periods[key] for key in sorted(periods)}, value_of, note)

    def has_dates(self) -> bool:
        """Return whether nearly all of its values can be dates."""
        return any(map(self._has_dates, self.dates.values()))

    def _has_dates(self, dates: _Dates) -> bool:
        dated = sum(counts.total() for counts in dates.days.values())
        return dated >= self.filled * _MIN_DATE_SHARE

    def has_ratings(self) -> bool:
        """Return whether nearly all of its values can be ratings."""
        values = (self.values or {}).items()
        rated = sum(counts.total() for value, counts in values if parse_rating(value) is not None)
        return rated >= self.filled * _MIN_RATING_SHARE

    def as_ratings(self) -> Scale | None:
        """Return the column as a rating; None if it does not hold ratings."""
        ratings: dict[float, Counter[str]] = {}
        for value, counts in (self.values or {}).items():
            rating = parse_rating(value)
            if rating is not None:
                ratings.setdefault(rating, Counter()).update(counts)
        if not 1 < len(ratings) <= _MAX_RATINGS or max(ratings) > max(_RATING_SCALES):
            return None
        if not self.has_ratings():
            return None

        def value_of(cell: str) -> str:
            rating = parse_rating(cell[:MAX_VALUE_LENGTH])
            return EMPTY if rating is None else f"{rating:g}"

        if max(ratings) <= _MAX_STARS and all(rating.is_integer() for rating in ratings):
            for stars in range(int(min(ratings)), int(max(ratings)) + 1):
                ratings.setdefault(stars, Counter())  # nobody gave these, which is worth seeing
        tally = {f"{rating:g}": ratings[rating] for rating in sorted(ratings)}
        return Scale(self.name, Kind.RATING, tally, value_of)

    def as_category(self, totals: Counter[str]) -> Scale | None:
        """Return the column as a category; None if it is not one.

        Args:
            totals: the number of all reviews with each label.
        """
        if self.values is None or not (self.is_chosen or self._is_useful(totals.total())):
            return None
        empty = totals - sum(self.values.values(), Counter())
        return category(self.name, Kind.COLUMN, {**self.values, **({EMPTY: empty} if empty else {})})

    def strength(self) -> float:
        """Return how much the verdicts depend on the column, from 0 to 1."""
        values = (self.values or {}).values()
        labels = {label for counts in values for label in counts}
        return association([[counts[label] for label in labels] for counts in values])

    def _is_useful(self, total: int) -> bool:
        is_filled = self.filled >= max(self.rows * _MIN_FILLED_SHARE, total * _MIN_SHARE)
        is_id = not _ID_WORDS.isdisjoint(name_words(self.name.rpartition(".")[2])[-1:])
        count = len(self.values or ())
        return is_filled and not is_id and 1 < count <= max(2, self.filled / _MIN_ROWS_PER_VALUE)


def count(tally: dict[_Key, Counter[str]], key: _Key, label: str) -> None:
    """Add one review with a label to a tally."""
    counts = tally.get(key)
    if counts is None:  # much faster than `setdefault` with a new counter each time
        counts = tally[key] = Counter()
    counts[label] += 1


def category(name: str, kind: Kind, values: Tally) -> Scale:
    """Return a dimension of the most frequent values; the others are counted together."""
    ordered = sorted(values, key=lambda value: (value == OTHER, -values[value].total(), value))
    shown = {value: values[value] for value in ordered[:_MAX_SHOWN]}
    others = sum((values[value] for value in ordered[_MAX_SHOWN:]), Counter[str]())
    note = ""
    if others:
        note = f"The {len(shown)} most frequent values are shown; {OTHER} stands for the rest."
        shown[OTHER] = others + shown.get(OTHER, Counter())
    if numbers := _numbers(shown):  # such as 0 to 10, which nobody looks for in the order of their frequency
        shown = {value: shown[value] for value in sorted(shown, key=lambda value: numbers.get(value, inf))}

    def value_of(cell: str) -> str:
        return cell[:MAX_VALUE_LENGTH] if cell[:MAX_VALUE_LENGTH] in shown else OTHER

    return Scale(name, kind, shown, value_of, note)


@lru_cache(maxsize=1000)
def has_rating_name(name: str) -> bool:
    """Return whether a column is called like a rating."""
    return bool(_STAR.search(name) or _RATING_WORDS.intersection(name_words(name.rpartition(".")[2])))


@lru_cache(maxsize=1000)
def has_date_name(name: str) -> bool:
    """Return whether a column is called like a date."""
    return bool(_DATE_WORDS.intersection(name_words(name.rpartition(".")[2])))


def is_low(rating: float, highest: float) -> bool:
    """Return whether a rating is bad, given the highest one in its column."""
    return rating <= _LOW_RATING * _scale_of(highest)


def is_high(rating: float, highest: float) -> bool:
    """Return whether a rating is good, given the highest one in its column."""
    return rating >= _HIGH_RATING * _scale_of(highest)


def _scale_of(highest: float) -> float:
    return next(scale for scale in _RATING_SCALES if highest <= scale)


def _numbers(values: Iterable[str]) -> dict[str, float]:
    """Return the numbers that values are, besides our own; nothing if one of them is something else."""
    try:
        numbers = {value: float(value.replace(",", ".")) for value in values if value not in (EMPTY, OTHER)}
    except ValueError:
        return {}
    return numbers if all(map(isfinite, numbers.values())) else {}  # `nan` and `inf` have no place in order


def _merged(tally: Mapping[Day, Counter[str]], key_of: Callable[[Day], _Key]) -> dict[_Key, Counter[str]]:
    merged: dict[_Key, Counter[str]] = {}
    for day, counts in tally.items():
        merged.setdefault(key_of(day), Counter()).update(counts)
    return merged
