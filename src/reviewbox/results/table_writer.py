"""Renders classified rows as they are written back, and counts them. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from reviewbox.documents import Row, Table
from reviewbox.errors import Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.results.receipt import Counts, problem_fields, verdict_fields

_ADDED = ("sentiment", "score", "needs_review", "error_code", "error_message")


class TableWriter:
    """Renders a table's rows with their outcomes, and counts them."""

    def __init__(self, table: Table, needs_review_below: float) -> None:
        self._table = table
        self._needs_review_below = needs_review_below
        self._names = dict(_free_names(table.field_names))
        self._labels: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._needs_review = 0

    @property
    def header(self) -> str:
        """What stands before the rows."""
        return self._table.render_header(list(self._names.values()))

    def render(self, row: Row, outcome: Verdict | Problem) -> str:
        """Return a row as it is written back."""
        if isinstance(outcome, Problem):
            self._errors[outcome.code] += 1
            values = problem_fields(outcome)
        else:
            values = verdict_fields(outcome, self._needs_review_below)
            self._labels[outcome.label] += 1
            self._needs_review += values["needs_review"]
        return self._table.render_row(row, {free: values.get(name) for name, free in self._names.items()})

    @property
    def counts(self) -> Counts:
        """What was rendered so far; total = the labels + failed."""
        return {
            "total": self._labels.total() + self._errors.total(),
            "labels": dict(sorted(self._labels.items())),
            "needs_review": self._needs_review,
            "failed": self._errors.total(),
            "errors": dict(sorted(self._errors.items())),
        }


def sum_of(counts: Iterable[Counts]) -> Counts:
    """Return the counts of all parts of a table together."""
    total: dict[str, Any] = {}
    for part in counts:
        for name, value in part.items():
            if isinstance(value, dict):
                total[name] = Counter(total.get(name, {})) + Counter(value)
            else:
                total[name] = total.get(name, 0) + value
    return {
        name: dict(sorted(value.items())) if isinstance(value, Counter) else value
        for name, value in total.items()
    }


def _free_names(taken: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield each added field with the name it gets beside the user's own fields."""
    for name in _ADDED:
        free = name
        while free in taken:
            free = f"reviewbox_{free}"
        yield name, free
