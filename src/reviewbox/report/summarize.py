"""Results -> summary, in one pass and in bounded memory."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Generic, TypeVar

from reviewbox.documents.review_field import MISSING
from reviewbox.errors import ReviewboxError
from reviewbox.model.verdicts import MIXED, NEGATIVE, NEUTRAL, POSITIVE
from reviewbox.report import phrases
from reviewbox.report.columns import (
    MAX_VALUE_LENGTH,
    ColumnTally,
    Scale,
    Tally,
    category,
    count,
    has_date_name,
    has_rating_name,
    is_high,
    is_low,
)
from reviewbox.report.remedies import REMEDIES
from reviewbox.report.results import Failure, Result, Sentence
from reviewbox.report.summary import (
    EMPTY,
    OTHER,
    Dimension,
    Failures,
    Kind,
    Mention,
    Review,
    SampledRow,
    Segment,
    Summary,
)
from reviewbox.report.values import parse_rating

_LABEL_ORDER = (NEGATIVE, MIXED, NEUTRAL, POSITIVE)
_MAX_GROUPS = 10_000  # files and folders that are counted one by one
_MAX_COLUMNS = 60
_MAX_DIMENSIONS = 8  # that are found without being asked for
_MAX_LISTED_FAILURES = 100  # of each code
_MAX_PER_VIEW = 40  # reviews of each kind to read first
_MAX_RATING_VALUES = 120
_MAX_PER_RATING = 10  # reviews of each label and rating value that are kept
_MAX_TEXT = 4000  # characters of a review on the page
_MIN_REDACTED_MENTIONS = 5  # a phrase of fewer reviews may be somebody's words
_SEED = 0  # the same results give the same page

UNCERTAIN, STRONGEST_BLAME, STRONGEST_PRAISE, DISAGREES = "uncertain", "blame", "praise", "disagrees"
_VIEW_OF = {POSITIVE: STRONGEST_PRAISE, NEGATIVE: STRONGEST_BLAME, MIXED: MIXED}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What to report.

    Attributes:
        title: the heading of the page.
        by: columns to compare by, beside those that are found.
        rating: the column with the rating; "" to find it.
        date: the column with the date; "" to find it.
        is_redacted: whether to leave out the texts of reviews.
        sampled_rows: how many reviews, without their texts, counts under a filter are made from.
        sampled_texts: how many reviews, with their texts, are chosen at random.
        scored_sentences: how many sentences are classified one by one, at most.
    """

    title: str = "Reviews"
    by: Sequence[str] = ()
    rating: str = ""
    date: str = ""
    is_redacted: bool = False
    sampled_rows: int = 100_000
    sampled_texts: int = 1000
    scored_sentences: int = 5000


@dataclass(frozen=True, slots=True)
class Readers:
    """What a report needs from outside.

    Attributes:
        read_texts: returns the text of each result whose `text` is None; "" if nobody has it.
        score_sentences: returns the sentences of each text with what they say by themselves.
        sentences_by: returns what classifies the sentences, in words; "" if nothing does.
    """

    read_texts: Callable[[Sequence[Result]], Iterable[str]] = lambda results: [""] * len(results)
    score_sentences: Callable[[Sequence[str]], Iterable[Sequence[Sentence]]] = lambda texts: [()] * len(texts)
    sentences_by: Callable[[], str] = str


def report(
    results: Iterable[Result], options: ReportOptions = ReportOptions(), readers: Readers = Readers()
) -> Summary:
    """Return the summary of any number of results.

    Memory is bounded by the options and by the number of columns and files, not by the number of results.

    Raises:
        ReviewboxError: the options name a column that no result has.
    """
    tallies = _Tallies(options)
    for result in results:
        tallies.add(result)
    tallies.check_chosen_columns()
    return _Summarizer(tallies, options, readers).summary()


class _Reservoir(Generic[T]):
    """A uniform random sample of items that are offered one by one (Vitter 1985, algorithm R)."""

    def __init__(self, size: int) -> None:
        self.items: list[T] = []
        self.offered = 0
        self._size = size
        self._random = random.Random(_SEED)  # noqa: S311 - a sample, not a secret

    def offer(self, make: Callable[[], T]) -> None:
        """Take an item into the sample, or not; `make` is called only if it is taken."""
        self.offered += 1
        if len(self.items) < self._size:
            self.items.append(make())
        elif (place := self._random.randrange(self.offered)) < self._size:
            self.items[place] = make()


class _Top(Generic[T]):
    """The items with the highest keys."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[_Ranked[T]] = []
        self._offered = 0

    def offer(self, key: float, item: T) -> None:
        self._offered += 1
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, _Ranked(key, -self._offered, item))
        elif key > self._heap[0].key:
            heapq.heapreplace(self._heap, _Ranked(key, -self._offered, item))

    def ranked(self) -> "list[_Ranked[T]]":
        """Return the items with their keys, the highest first."""
        return sorted(self._heap, reverse=True)


@dataclass(frozen=True, slots=True, order=True)
class _Ranked(Generic[T]):
    key: float
    order: int  # of two items with the same key, the first one offered wins
    item: T = field(compare=False)


class _Tallies:
    """What is counted and kept while the results pass by."""

    def __init__(self, options: ReportOptions) -> None:
        self.labels: Counter[str] = Counter()
        self.needs_review = self.other_language = self.without_text = self.sources = 0
        self._last_source: str | None = None
        self.groups: Tally = {}
        self.columns: dict[str, ColumnTally] = {}
        self.failures: dict[str, list[Failure]] = {}
        self.failure_counts: Counter[str] = Counter()
        self.rows: _Reservoir[Result] = _Reservoir(options.sampled_rows)
        self.texts: _Reservoir[Result] = _Reservoir(options.sampled_texts)
        self.views: dict[str, _Top[Result]] = {}
        self.by_rating: dict[str, dict[str, _Top[Result]]] = {}  # by column, then by label and value
        self._chosen = {*options.by, options.rating, options.date} - {""}
        self._rating, self._date = options.rating, options.date

    def add(self, result: Result) -> None:
        """Count one result."""
        if result.source != self._last_source:  # the results of a file follow each other
            self._last_source = result.source
            self.sources += 1
        if result.failure:
            self._add_failure(result.failure)
            return
        self.labels[result.label] += 1
        self.needs_review += result.needs_review
        self.other_language += result.other_language
        self.without_text += result.text == ""
        group = result.group if result.group in self.groups or len(self.groups) < _MAX_GROUPS else OTHER
        count(self.groups, group, result.label)
        for name, value in result.cells.items():
            if value and value not in MISSING:
                self._add_cell(name, value, result.label)
        if len(result.text or "") > _MAX_TEXT:
            result = replace(result, text=_cut(result.text))
        self.rows.offer(lambda: self._without_text(result))
        self.texts.offer(lambda: result)
        self._offer_views(result)

    def check_chosen_columns(self) -> None:
        """Raise ReviewboxError if a column that somebody asked for does not exist, or does not hold that."""
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
        if result.needs_review:
            self._view(UNCERTAIN).offer(-result.score, result)
        if view := _VIEW_OF.get(result.label):
            self._view(view).offer(result.score, result)
        if result.label in (POSITIVE, NEGATIVE):
            for name, value in result.cells.items():
                if value and (name == self._rating or has_rating_name(name)):
                    kept = self.by_rating.setdefault(name, {})
                    key = f"{result.label} {value[:MAX_VALUE_LENGTH]}"
                    if key in kept or len(kept) < _MAX_RATING_VALUES:
                        kept.setdefault(key, _Top(_MAX_PER_RATING)).offer(result.score, result)

    def _view(self, name: str) -> _Top[Result]:
        return self.views.setdefault(name, _Top(_MAX_PER_VIEW))


class _Summarizer:
    """Makes the summary after all results have passed by."""

    def __init__(self, tallies: _Tallies, options: ReportOptions, readers: Readers) -> None:
        self._tallies = tallies
        self._options = options
        self._readers = readers
        known = [label for label in _LABEL_ORDER if label in tallies.labels]
        self._labels = known + sorted(tallies.labels.keys() - set(known))
        self._scales = self._choose_scales()
        self._codes = [{value: index for index, value in enumerate(scale.tally)} for scale in self._scales]

    def summary(self) -> Summary:
        """Return the summary."""
        tallies = self._tallies
        reviews = self._reviews()
        mentions = phrases.frequent_phrases(_telling_sentences(reviews, self._labels))
        if self._options.is_redacted:
            reviews = [replace(review, segments=()) for review in reviews]
            mentions = [phrase for phrase in mentions if len(phrase.mentions) >= _MIN_REDACTED_MENTIONS]
        used = {scale.name for scale in self._scales}
        return Summary(
            title=self._options.title,
            labels=self._labels,
            counts=[tallies.labels[label] for label in self._labels],
            needs_review=tallies.needs_review,
            other_language=tallies.other_language,
            sources=tallies.sources,
            dimensions=[self._dimension(scale) for scale in self._scales],
            left_out=[name for name in tallies.columns if name not in used],
            rows=[self._facts(result) for result in tallies.rows.items],
            reviews=reviews,
            phrases=mentions,
            scored=sum(review.is_sampled and review.is_scored for review in reviews),
            sentences_by=self._readers.sentences_by(),
            failures=[
                Failures(code, count, REMEDIES.get(code, ""), tallies.failures[code])
                for code, count in tallies.failure_counts.most_common()
            ],
            is_redacted=self._options.is_redacted,
            notes=self._notes(),
        )

    def _notes(self) -> list[str]:
        tallies, total = self._tallies, self._tallies.labels.total()
        notes = []
        if len(tallies.rows.items) < total:
            notes.append(
                f"Unfiltered counts are of all {total:,} reviews. Counts under filters are estimated from "
                f"{len(tallies.rows.items):,} reviews chosen at random."
            )
        if tallies.without_text == total and total:
            notes.append("The results do not contain the texts of the reviews.")
        return notes

    def _choose_scales(self) -> list[Scale]:
        tallies, options = self._tallies, self._options
        columns = tallies.columns.values()
        name = "file" if "file" not in tallies.columns else "source file"
        groups = [category(name, Kind.FILE, tallies.groups)] if len(tallies.groups) > 1 else []
        ratings = [
            c for c in columns if c.name == options.rating or (not options.rating and has_rating_name(c.name))
        ]
        rating = next((scale for c in ratings if (scale := c.as_ratings())), None)
        dated = [c for c in columns if c.name == options.date or not options.date]
        dated.sort(key=lambda c: (not has_date_name(c.name), -c.filled))
        date = next((scale for c in dated if (scale := c.as_dates())), None)
        used = {scale.name for scale in (rating, date) if scale}
        rest = [c for c in columns if c.name not in used]
        rest.sort(key=lambda c: (not c.is_chosen, -c.strength()))
        found = [scale for c in rest if (scale := c.as_category(tallies.labels))]
        chosen = sum(c.is_chosen for c in rest)
        return [
            *groups,
            *found[: max(_MAX_DIMENSIONS, chosen)],
            *(scale for scale in (rating, date) if scale),
        ]

    def _dimension(self, scale: Scale) -> Dimension:
        counts = [[tally[label] for label in self._labels] for tally in scale.tally.values()]
        return Dimension(scale.name, scale.kind, list(scale.tally), counts, scale.note)

    def _facts(self, result: Result) -> SampledRow:
        codes = []
        for scale, codes_of in zip(self._scales, self._codes, strict=True):
            cell = result.group if scale.kind is Kind.FILE else result.cells.get(scale.name, "")
            has_value = cell and cell not in MISSING
            codes.append(codes_of.get(scale.value_of(cell) if has_value else EMPTY, -1))
        return SampledRow(self._labels.index(result.label), result.score, result.needs_review, codes)

    def _reviews(self) -> list[Review]:
        """Return the reviews to read first and the random sample, with their texts."""
        views = self._views()
        first = [result for listed in views.values() for result in listed]
        sampled = {id(result) for result in self._tallies.texts.items}
        # In turn, so that the sentences of both are classified if there are too many sentences.
        in_turn = chain.from_iterable(zip_longest(first, self._tallies.texts.items))
        kept = {id(result): result for result in in_turn if result}
        results = self._with_texts(list(kept.values()))
        sentences = self._sentences(results)
        return [
            Review(
                source=result.source,
                line=result.line,
                facts=self._facts(result),
                other_language=result.other_language,
                segments=_segments(result, sentences.get(index, ())),
                is_cut=len(result.text or "") > _MAX_TEXT,
                is_sampled=identity in sampled,
                is_scored=index in sentences,
                views=[view for view, listed in views.items() if any(id(r) == identity for r in listed)],
            )
            for index, (identity, result) in enumerate(zip(kept, results, strict=True))
        ]

    def _views(self) -> dict[str, list[Result]]:
        views = {
            name: [ranked.item for ranked in top.ranked()]
            for name in (UNCERTAIN, MIXED, STRONGEST_BLAME, STRONGEST_PRAISE)
            if (top := self._tallies.views.get(name))
        }
        if disagreeing := self._disagreeing():
            views[DISAGREES] = disagreeing
        return views

    def _disagreeing(self) -> list[Result]:
        """Return the reviews that praise with a bad rating or blame with a good one, the surest first."""
        scale = next((scale for scale in self._scales if scale.kind is Kind.RATING), None)
        if scale is None:
            return []
        highest = max(map(float, scale.tally))
        top: _Top[Result] = _Top(_MAX_PER_VIEW)
        for key, kept in self._tallies.by_rating.get(scale.name, {}).items():
            label, _, value = key.partition(" ")
            rating = parse_rating(value)
            opposite = is_low if label == POSITIVE else is_high
            if rating is not None and opposite(rating, highest):
                for ranked in kept.ranked():
                    top.offer(ranked.key, ranked.item)
        return [ranked.item for ranked in top.ranked()]

    def _with_texts(self, results: Sequence[Result]) -> list[Result]:
        unread = [result for result in results if result.text is None]
        texts = iter(self._readers.read_texts(unread)) if unread else iter(())
        return [
            replace(result, text=_cut(next(texts))) if result.text is None else result for result in results
        ]

    def _sentences(self, results: Sequence[Result]) -> Mapping[int, Sequence[Sentence]]:
        """Return the sentences of as many reviews as the options allow, by the index of the review."""
        with_text = [index for index, result in enumerate(results) if result.text]
        texts = [(results[index].text or "")[:_MAX_TEXT] for index in with_text]
        found: dict[int, Sequence[Sentence]] = {}
        left = self._options.scored_sentences
        if not left:
            return {}
        for index, sentences in zip(with_text, self._readers.score_sentences(texts), strict=False):
            found[index] = sentences
            left -= len(sentences)
            if left <= 0:
                break
        return found


def _cut(text: str | None) -> str | None:
    # One character more than the page shows says that something is missing.
    return text[: _MAX_TEXT + 1] if text else text


def _segments(result: Result, sentences: Sequence[Sentence]) -> list[Segment]:
    """Return the text of a review in parts: its sentences, and what stands between them."""
    text = (result.text or "")[:_MAX_TEXT]
    if not sentences:
        sentences = [
            Sentence(e.start, e.end, e.label, is_evidence=True)
            for e in sorted(result.evidence, key=lambda e: e.start)
            if e.support > 0 and e.end <= len(text)
        ]
    named = {(e.start, e.end) for e in result.evidence if e.support > 0}
    segments, position = [], 0
    for sentence in sentences:
        if sentence.start < position:
            continue  # a mixed verdict may name the same sentence for both sides
        if sentence.start > position:
            segments.append(Segment(text[position : sentence.start]))
        is_evidence = sentence.is_evidence or (sentence.start, sentence.end) in named
        segments.append(
            Segment(text[sentence.start : sentence.end], sentence.label, sentence.score, is_evidence)
        )
        position = sentence.end
    if position < len(text):
        segments.append(Segment(text[position:]))
    return segments


def _telling_sentences(reviews: Sequence[Review], labels: Sequence[str]) -> Iterator[phrases.Sentence]:
    """Yield the sentences of the random sample that are evidence for praise or blame.

    A sentence that contradicts the verdict is not evidence: alone, "dry after a night of rain" may be blame.
    """
    for index, review in enumerate(reviews):
        if review.is_sampled:
            verdict = labels[review.facts.label]
            sides = (POSITIVE, NEGATIVE) if verdict == MIXED else (verdict,)
            for number, segment in enumerate(review.segments):
                if segment.label in sides and segment.label in (POSITIVE, NEGATIVE):
                    yield phrases.Sentence(Mention(index, number), segment.label, segment.text)
