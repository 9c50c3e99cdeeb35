"""What is counted and kept while results are read, in bounded memory."""

from collections import Counter
from dataclasses import replace

from reviewbox.documents.value_kinds import MISSING
from reviewbox.errors import ReviewboxError
from reviewbox.model.verdicts import MIXED, NEGATIVE, POSITIVE
from reviewbox.report.columns import MAX_VALUE_LENGTH, ColumnTally, Tally, count, has_rating_name
from reviewbox.report.options import ReportOptions
from reviewbox.report.results import Failure, Result
from reviewbox.report.sampling import Reservoir, Top
from reviewbox.report.summary import OTHER

MAX_PER_VIEW = 40  # reviews of each kind to read first
MAX_TEXT = 4000  # characters of a review on the page
_MAX_GROUPS = 10_000  # files and folders counted one by one
_MAX_COLUMNS = 60
_MAX_LISTED_FAILURES = 100  # per code
_MAX_RATING_VALUES = 120
_MAX_PER_RATING = 10  # reviews kept of each label and rating value

KNOWN, UNKNOWN = "yes", "no"  # values of the dimension `LANGUAGE`
UNCERTAIN, STRONGEST_BLAME, STRONGEST_PRAISE = "uncertain", "blame", "praise"
_VIEW_OF = {POSITIVE: STRONGEST_PRAISE, NEGATIVE: STRONGEST_BLAME, MIXED: MIXED}


class Tallies:
    """What is counted and kept while the results are read."""

    def __init__(self, options: ReportOptions) -> None:
        self.labels: Counter[str] = Counter()
        self.needs_review = self.other_language = self.without_text = self.sources = 0
        self._last_source: str | None = None
        self._rows_of_source = 0
        self.groups: Tally = {}
        self.languages: Tally = {}  # whether the model knows the language: `KNOWN` or `UNKNOWN`
        self.columns: dict[str, ColumnTally] = {}
        self.failures: dict[str, list[Failure]] = {}
        self.failure_counts: Counter[str] = Counter()
        self.rows: Reservoir[Result] = Reservoir(options.sampled_rows)
        self.texts: Reservoir[Result] = Reservoir(options.sampled_texts)
        self.views: dict[str, Top[Result]] = {}
        self.by_rating: dict[str, dict[str, Top[Result]]] = {}  # by column, then by label and value
        self._chosen = {*options.by, options.rating, options.date} - {""}
        self._rating, self._date = options.rating, options.date

    def add(self, result: Result) -> None:
        """Count one result."""
        if result.source != self._last_source:  # the results of a file follow each other
            self._end_source()
            self._last_source = result.source
            self.sources += 1
        if result.failure:
            self._add_failure(result.failure)
            return
        self._rows_of_source += 1
        self.labels[result.label] += 1
        count(self.languages, language_of(result), result.label)
        self.needs_review += result.needs_review
        self.other_language += result.other_language
        self.without_text += result.text == ""
        group = result.group if result.group in self.groups or len(self.groups) < _MAX_GROUPS else OTHER
        count(self.groups, group, result.label)
        for name, value in result.cells.items():
            if value and value not in MISSING:
                self._add_cell(name, value, result.label)
        if len(result.text or "") > MAX_TEXT:
            result = replace(result, text=cut_text(result.text))
        self.rows.offer(lambda: self._without_text(result))
        self.texts.offer(lambda: result)
        self._offer_views(result)

    def finish(self) -> None:
        """Record that there are no more results.

        Raises:
            ReviewboxError: a chosen column does not exist, or its values are not ratings or dates.
        """
        self._end_source()
        self._check_chosen_columns()

    def _end_source(self) -> None:
        for tally in self.columns.values():
            tally.end_source(self._rows_of_source)
        self._rows_of_source = 0

    def _check_chosen_columns(self) -> None:
        """Raise ReviewboxError if a chosen column does not exist, or its values are not ratings or dates."""
        if missing := sorted(self._chosen - self.columns.keys()):
            known = ", ".join(map(repr, self.columns)) or "none"
            raise ReviewboxError(f"no result has the column {missing[0]!r}; the columns are {known}")
        rating, date = (self.columns.get(name) for name in (self._rating, self._date))
        if rating and not rating.has_ratings():
            raise ReviewboxError(f"the values of {rating.name!r} are not ratings, such as 4 or 4/5")
        if date and not date.has_dates():
            raise ReviewboxError(f"the values of {date.name!r} are not dates, such as 2025-01-31")

    def _add_failure(self, failure: Failure) -> None:
        self.failure_counts[failure.code] += 1
        listed = self.failures.setdefault(failure.code, [])
        if len(listed) < _MAX_LISTED_FAILURES:
            listed.append(failure)

    def _add_cell(self, name: str, value: str, label: str) -> None:
        tally = self.columns.get(name)
        if tally is None:
            if len(self.columns) >= _MAX_COLUMNS and name not in self._chosen:
                return
            tally = self.columns[name] = ColumnTally(name, name in self._chosen)
        if tally.is_alive:
            tally.add(value, label)

    def _without_text(self, result: Result) -> Result:
        """Return a result with only what a count under a filter needs."""
        cells = {
            name: value[:MAX_VALUE_LENGTH]
            for name, value in result.cells.items()
            if name in self.columns and self.columns[name].is_alive
        }
        return replace(result, text="", cells=cells, evidence=())

    def _offer_views(self, result: Result) -> None:
        text = result.text or ""  # nobody needs to read a text twice
        if result.needs_review:
            self._view(UNCERTAIN).offer(-result.score, result, text)
        if view := _VIEW_OF.get(result.label):
            self._view(view).offer(result.score, result, text)
        if result.label in (POSITIVE, NEGATIVE):
            for name, value in result.cells.items():
                if value and (name == self._rating or has_rating_name(name)):
                    kept = self.by_rating.setdefault(name, {})
                    key = f"{result.label} {value[:MAX_VALUE_LENGTH]}"
                    if key in kept or len(kept) < _MAX_RATING_VALUES:
                        kept.setdefault(key, Top(_MAX_PER_RATING)).offer(result.score, result, text)

    def _view(self, name: str) -> Top[Result]:
        return self.views.setdefault(name, Top(MAX_PER_VIEW))


def language_of(result: Result) -> str:
    """Return whether the model knows the language of a review."""
    return UNKNOWN if result.other_language else KNOWN


def cut_text(text: str | None) -> str | None:
    """Return about as much of a text as the page shows. One more character says that something is missing."""
    return text[: MAX_TEXT + 1] if text else text
