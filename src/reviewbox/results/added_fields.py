"""The fields that are added to the rows of a table, and the counts of the results. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from reviewbox.documents import BinaryTable, Row, Table, Value
from reviewbox.errors import Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.results.receipt import Counts, outcome_fields

# Not all tables get the last one.
OWN_FIELDS = ("sentiment", "score", "needs_review", "other_language", "error_code", "error_message", "note")
PREFIX = "reviewbox_"  # for an added field whose name the table already has


class Tally:
    """Counts results."""

    def __init__(self) -> None:
        self._labels: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._needs_review = self._other_language = 0

    def add(self, fields: Mapping[str, Value]) -> None:
        """Count a result: what `outcome_fields` returns."""
        if "error_code" in fields:
            self._errors[str(fields["error_code"])] += 1
        else:
            self._labels[str(fields["sentiment"])] += 1
        self._needs_review += bool(fields.get("needs_review"))
        self._other_language += bool(fields.get("other_language"))

    @property
    def counts(self) -> Counts:
        """The counts of the results so far."""
        return Counts(dict(self._labels), self._needs_review, dict(self._errors), self._other_language)


class AddedFields:
    """Returns the fields to add to the rows of a table, and counts the results."""

    def __init__(self, table: Table | BinaryTable, needs_review_below: float) -> None:
        self._needs_review_below = needs_review_below
        fields = OWN_FIELDS if table.has_notes else OWN_FIELDS[:-1]
        self._names = dict(_unused_names(fields, table.field_names))
        self._tally = Tally()

    @property
    def names(self) -> list[str]:
        """The names of the added fields, in order."""
        return list(self._names.values())

    def values(self, row: Row, outcome: Verdict | Problem | None) -> dict[str, Value]:
        """Return the values to add to a row, by name and in the order of the names.

        A row without an outcome is not a review: its added fields are empty, and it is not counted.
        """
        values: Mapping[str, Value]
        values = outcome_fields(outcome, self._needs_review_below) if outcome else {}
        if values:
            self._tally.add(values)
        values = {**values, "note": row.note or None}
        return {unused: values.get(name) for name, unused in self._names.items()}

    @property
    def counts(self) -> Counts:
        """The counts of the results so far."""
        return self._tally.counts


def _unused_names(fields: Iterable[str], used: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield each added field with the name that it gets beside the user's own fields."""
    for name in fields:
        unused = name
        while unused in used:
            unused = PREFIX + unused
        yield name, unused
