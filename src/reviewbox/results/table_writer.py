"""Renders classified rows as they are written back, and counts them. Pure."""

from collections import Counter
from collections.abc import Iterator

from reviewbox.documents import Row, Table
from reviewbox.errors import Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.results.receipt import Counts, problem_fields, verdict_fields

_ADDED_FIELDS = ("sentiment", "score", "needs_review", "error_code", "error_message")


class TableWriter:
    """Renders the rows of a table together with their results, and counts the results."""

    def __init__(self, table: Table, needs_review_below: float) -> None:
        self._table = table
        self._needs_review_below = needs_review_below
        self._names = dict(_unused_names(table.field_names))
        self._labels: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._needs_review = 0

    @property
    def header(self) -> str:
        """The text before the first row; may be empty."""
        return self._table.render_header(list(self._names.values()))

    def render(self, row: Row, outcome: Verdict | Problem) -> str:
        """Return one row with its result, as it is written back."""
        if isinstance(outcome, Problem):
            self._errors[outcome.code] += 1
            values = problem_fields(outcome)
        else:
            values = verdict_fields(outcome, self._needs_review_below)
            self._labels[outcome.label] += 1
            self._needs_review += values["needs_review"]
        return self._table.render_row(row, {unused: values.get(name) for name, unused in self._names.items()})

    @property
    def counts(self) -> Counts:
        """The counts of the rows rendered so far."""
        return Counts(dict(self._labels), self._needs_review, dict(self._errors))


def _unused_names(used: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield each added field with the name that it gets beside the user's own fields."""
    for name in _ADDED_FIELDS:
        unused = name
        while unused in used:
            unused = f"reviewbox_{unused}"
        yield name, unused
