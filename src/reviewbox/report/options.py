"""What a report should show, and what it needs from outside."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reviewbox.report.results import Result, Sentence


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What to report.

    Attributes:
        title: the heading of the page.
        by: columns to compare by, besides those that are found.
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
        read_texts: returns the text of each result whose `text` is None; "" if it is not available.
        score_sentences: returns the sentences of each text with what they say by themselves.
        sentences_by: returns what classifies the sentences, in words; "" if nothing does.
        doubts: returns the doubts about the fields of the reviews, once the results are read.
    """

    read_texts: Callable[[Sequence[Result]], Iterable[str]] = lambda results: [""] * len(results)
    score_sentences: Callable[[Sequence[str]], Iterable[Sequence[Sentence]]] = lambda texts: [()] * len(texts)
    sentences_by: Callable[[], str] = str
    doubts: Callable[[], Sequence[str]] = list
