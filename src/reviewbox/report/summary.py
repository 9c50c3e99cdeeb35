"""What a report says: counts of everything, and a sample of rows and reviews."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reviewbox.report.results import Failure

EMPTY, OTHER = "(empty)", "(other)"  # values of a dimension
LANGUAGE = "known language"  # the name of a dimension


class Kind(StrEnum):
    """What the values of a dimension are."""

    FILE = "file"
    LANGUAGE = "language"  # whether the model knows it
    COLUMN = "column"
    RATING = "rating"  # numbers, in order
    DATE = "date"  # days, months or years, in order


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something that reviews differ in: their file, or a column of their table."""

    name: str  # what it is called
    kind: Kind  # what its values are
    values: Sequence[str]  # its values, the most frequent first; ratings and dates in their order
    counts: Sequence[Sequence[int]]  # the number of reviews with each value, by label
    note: str = ""  # how its values were read, or what was left out; "" if there is nothing to say


@dataclass(frozen=True, slots=True)
class SampledRow:
    """A review without its text, for counts under any filter."""

    label: int  # the index of the label
    score: float  # the score of the verdict
    needs_review: bool  # whether someone should look at it
    codes: Sequence[int]  # the index of its value in each dimension; -1 if the dimension does not apply


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a review's text."""

    text: str  # the part. The parts of a review together are its text.
    label: str = ""  # the label of the sentence by itself; "" between sentences, or if it is not known
    score: float = 0.0  # the probability of the label; 0 if it is not known
    is_evidence: bool = False  # whether the result names the sentence as evidence


@dataclass(frozen=True, slots=True)
class Review:
    """A review on the page."""

    source: str  # its file
    line: int  # its line in the file, from 1; 0 if it is the whole file
    facts: SampledRow  # the row without its text
    other_language: bool  # whether it is in a language that the model does not know
    segments: Sequence[Segment]  # its text; empty if it is left out or not available
    is_cut: bool  # whether the end of the text is missing
    is_sampled: bool  # whether it is part of the random sample
    is_scored: bool  # whether its sentences were classified one by one
    views: Sequence[str]  # the lists of reviews to read first that it belongs to


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a phrase occurs: the index of a review, and the index of one of its segments."""

    review: int
    segment: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """A word or phrase that is frequent in sentences of one label."""

    text: str  # the phrase
    label: str  # what the sentences say: positive or negative
    mentions: Sequence[Mention]  # one for each review


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures with one error code."""

    code: str  # the error code
    count: int  # how many there are
    remedy: str  # what to do about them
    listed: Sequence[Failure]  # the first of them


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that the page shows.

    Attributes:
        title: what was reported on.
        labels: the labels, from negative to positive, then any others.
        counts: the number of reviews with each label.
        needs_review: the number of reviews that someone should look at.
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
