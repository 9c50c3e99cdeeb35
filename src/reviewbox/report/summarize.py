"""Summarizes results in one pass and in bounded memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

from reviewbox.documents.value_kinds import MISSING
from reviewbox.model.verdicts import MIXED, NEGATIVE, NEUTRAL, POSITIVE
from reviewbox.report import phrases
from reviewbox.report.columns import Scale, category, has_date_name, has_rating_name, is_high, is_low
from reviewbox.report.options import Readers, ReportOptions
from reviewbox.report.remedies import REMEDIES
from reviewbox.report.results import Result, Sentence
from reviewbox.report.sampling import Top
from reviewbox.report.summary import (
    EMPTY,
    LANGUAGE,
    Dimension,
    Failures,
    Kind,
    Mention,
    Review,
    SampledRow,
    Segment,
    Summary,
)
from reviewbox.report.tallies import (
    MAX_PER_VIEW,
    MAX_TEXT,
    STRONGEST_BLAME,
    STRONGEST_PRAISE,
    UNCERTAIN,
    Tallies,
    cut_text,
    language_of,
)
from reviewbox.report.values import parse_rating

_LABEL_ORDER = (NEGATIVE, MIXED, NEUTRAL, POSITIVE)
_MAX_DIMENSIONS = 8  # besides those that the user asked for
_MIN_REDACTED_MENTIONS = 5  # a phrase from fewer reviews may be one person's words
_MAX_DOUBTS = 10
_DISAGREES = "disagrees"
_OPTIONS, _READERS = ReportOptions(), Readers()


def report(
    results: Iterable[Result], options: ReportOptions = _OPTIONS, readers: Readers = _READERS
) -> Summary:
    """Return the summary of any number of results.

    Memory is bounded by the options and by the number of columns and files, not by the number of results.

    Raises:
        ReviewboxError: the options name a column that no result has.
    """
    tallies = Tallies(options)
    for result in results:
        tallies.add(result)
    tallies.finish()
    return _Summarizer(tallies, options, readers).summary()


class _Summarizer:
    """Makes the summary after all results have been read."""

    def __init__(self, tallies: Tallies, options: ReportOptions, readers: Readers) -> None:
        self._tallies = tallies
        self._options = options
        self._readers = readers
        known = [label for label in _LABEL_ORDER if label in tallies.labels]
        self._labels = known + sorted(tallies.labels.keys() - set(known))
        self._scales = _choose_scales(tallies, options)
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
        doubts = self._readers.doubts()
        notes += doubts[:_MAX_DOUBTS]
        if len(doubts) > _MAX_DOUBTS:
            notes.append(f"{len(doubts) - _MAX_DOUBTS:,} more files may have the wrong field.")
        return notes

    def _dimension(self, scale: Scale) -> Dimension:
        counts = [[tally[label] for label in self._labels] for tally in scale.tally.values()]
        return Dimension(scale.name, scale.kind, list(scale.tally), counts, scale.note)

    def _facts(self, result: Result) -> SampledRow:
        codes = []
        for scale, codes_of in zip(self._scales, self._codes, strict=True):
            cell = _cell(result, scale)
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
                is_cut=len(result.text or "") > MAX_TEXT,
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
            views[_DISAGREES] = disagreeing
        return views

    def _disagreeing(self) -> list[Result]:
        """Return the reviews that praise with a bad rating or blame with a good one, the clearest first."""
        scale = next((scale for scale in self._scales if scale.kind is Kind.RATING), None)
        if scale is None:
            return []
        highest = max(map(float, scale.tally))
        top: Top[Result] = Top(MAX_PER_VIEW)
        for key, kept in self._tallies.by_rating.get(scale.name, {}).items():
            label, _, value = key.partition(" ")
            rating = parse_rating(value)
            opposite = is_low if label == POSITIVE else is_high
            if rating is not None and opposite(rating, highest):
                for ranked in kept.ranked():
                    top.offer(ranked.key, ranked.item, ranked.text)
        return [ranked.item for ranked in top.ranked()]

    def _with_texts(self, results: Sequence[Result]) -> list[Result]:
        unread = [result for result in results if result.text is None]
        texts = iter(self._readers.read_texts(unread)) if unread else iter(())
        return [
            replace(result, text=cut_text(next(texts))) if result.text is None else result
            for result in results
        ]

    def _sentences(self, results: Sequence[Result]) -> Mapping[int, Sequence[Sentence]]:
        """Return the sentences of as many reviews as the options allow, by the index of the review."""
        with_text = [index for index, result in enumerate(results) if result.text]
        texts = [(results[index].text or "")[:MAX_TEXT] for index in with_text]
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


def _choose_scales(tallies: Tallies, options: ReportOptions) -> list[Scale]:
    """Return the columns to compare by, those that say most first, then the rating and the date."""
    columns = tallies.columns.values()
    name = "file" if "file" not in tallies.columns else "source file"
    groups = [category(name, Kind.FILE, tallies.groups)] if len(tallies.groups) > 1 else []
    are_several = len(tallies.languages) > 1
    languages = [category(LANGUAGE, Kind.LANGUAGE, tallies.languages)] if are_several else []
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
        *languages,
        *(scale for scale in (rating, date) if scale),
    ]


def _cell(result: Result, scale: Scale) -> str:
    if scale.kind is Kind.FILE:
        return result.group
    return language_of(result) if scale.kind is Kind.LANGUAGE else result.cells.get(scale.name, "")


def _segments(result: Result, sentences: Sequence[Sentence]) -> list[Segment]:
    """Return the text of a review in parts: its sentences, and what is between them."""
    text = (result.text or "")[:MAX_TEXT]
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
    A sentence in a language that the model does not know is not evidence either.
    """
    for index, review in enumerate(reviews):
        if review.is_sampled and not review.other_language:
            verdict = labels[review.facts.label]
            sides = (POSITIVE, NEGATIVE) if verdict == MIXED else (verdict,)
            for number, segment in enumerate(review.segments):
                if segment.label in sides and segment.label in (POSITIVE, NEGATIVE):
                    yield phrases.Sentence(Mention(index, number), segment.label, segment.text)
