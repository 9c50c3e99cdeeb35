"""What a report says: counts of everything, and a sample of rows and reviews."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reviewbox.report.results import Failure

EMPTY, OTHER = "(empty)", "(other)"  # values of a dimension


class Kind(StrEnum):
    """What the values of a dimension are."""

    FILE = "file"
    COLUMN = "column"
    RATING = "rating"  # numbers, in order
    DATE = "date"  # days, months or years, in order


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something that reviews differ in: their file, or a column of their table.

    Attributes:
        name: what it is called.
        kind: what its values are.
        values: its values, the most frequent first; ratings and dates in their order.
        counts: the number of reviews with each value, by label.
        note: how its values were read, or what was left out; "" if there is nothing to say.
    """

    name: str
    kind: Kind
    values: Sequence[str]
    counts: Sequence[Sequence[int]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class SampledRow:
    """A review without its text, for counts under any filter.

    Attributes:
        label: the index of the label.
        score: the score of the verdict.
        needs_review: whether a person should look at it.
        codes: the index of its value in each dimension; -1 if the dimension does not apply.
    """

    label: int
    score: float
    needs_review: bool
    codes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a review's text.

    Attributes:
        text: the part. The parts of a review together are its text.
        label: the label of the sentence by itself; "" between sentences, or if it is not known.
        score: the probability of the label; 0 if it is not known.
        is_evidence: whether the result names the sentence as evidence.
    """

    text: str
    label: str = ""
    score: float = 0.0
    is_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """A review on the page.

    Attributes:
        source: its file.
        line: its line in the file, from 1; 0 if it is the whole file.
        facts: the row without its text.
        other_language: whether it is in a language that the model does not know.
        segments: its text; empty if it is left out or not available.
        is_cut: whether the end of the text is missing.
        is_sampled: whether it is part of the random sample.
        is_scored: whether its sentences were classified one by one.
        views: the lists of reviews to read first that it belongs to.
    """

    source: str
    line: int
    facts: SampledRow
    other_language: bool
    segments: Sequence[Segment]
    is_cut: bool
    is_sampled: bool
    is_scored: bool
    views: Sequence[str]


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a phrase occurs: the index of a review, and the index of one of its segments."""

    review: int
    segment: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """A word or phrase that is frequent in sentences of one label.

    Attributes:
        text: the phrase.
        label: what the sentences say: positive or negative.
        mentions: one for each review.
    """

    text: str
    label: str
    mentions: Sequence[Mention]


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures with one error code.

    Attributes:
        code: the error code.
        count: how many there are.
        remedy: what to do about them.
        listed: the first of them.
    """

    code: str
    count: int
    remedy: str
    listed: Sequence[Failure]


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that the page shows.

    Attributes:
        title: what was reported on.
        labels: the labels, from negative to positive, then any others.
        counts: the number of reviews with each label.
        needs_review: the number of reviews that a person should look at.
        other_language: the number of reviews in a language that the model does not know.
        sources: the number of files.
        dimensions: the file, the rating, the date and the columns that say most about the verdicts.
        left_out: the columns that were not used, and why.
        rows: all reviews without their texts, or a random sample of them.
        reviews: a random sample of the reviews, and those to read first.
        phrases: what people praise and blame, the most frequent first.
        scored: the number of sampled reviews whose sentences the phrases come from.
        sentences_by: how the sentences were classified, in words.
        failures: what failed, by error code.
        is_redacted: whether texts are left out.
        notes: what else a reader should know.
    """

    title: str
    labels: Sequence[str]
    counts: Sequence[int]
    needs_review: int
    other_language: int
    sources: int
    dimensions: Sequence[Dimension]
    left_out: Sequence[str]
    rows: Sequence[SampledRow]
    reviews: Sequence[Review]
    phrases: Sequence[Phrase]
    scored: int
    sentences_by: str
    failures: Sequence[Failures]
    is_redacted: bool
    notes: Sequence[str]

    @property
    def total(self) -> int:
        """The number of reviews with a verdict."""
        return sum(self.counts)

    @property
    def failed(self) -> int:
        """The number of rows and files without a verdict."""
        return sum(group.count for group in self.failures)
