"""Turns logits into a label, a calibrated score and evidence. Pure functions."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from reviewbox.model.windows import Window

# Labels whose meaning matters here; a model may have others.
NEGATIVE, NEUTRAL, MIXED, POSITIVE = "negative", "neutral", "mixed", "positive"

# A window's weight is the number of its tokens to this power. The last window is usually shorter than the
# others, and holds how the review ends, which says more than its length (ADR 4 has the measurement).
_WEIGHT_EXPONENT = 0.25

# A sentence ends after its punctuation, closing quotes and the following space, or at the end of a line.
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]{0,3}\s+|\n")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a text and the result of classifying that sentence alone.

    Attributes:
        start: the offset of its first character in the original text.
        end: the offset after its last character.
        label: what it is evidence of: the verdict's label, or one side of a mixed verdict.
        support: the calibrated margin of that label for this sentence: the label's logit minus the mean of
            the other labels' logits. A positive margin supports the label, a negative one contradicts it.
    """

    start: int
    end: int
    label: str
    support: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of classifying one text.

    Attributes:
        label: the most probable label.
        score: the probability of that label, calibrated if the model is.
        scores: the probability of each label.
        tokens: the number of tokens in the text. All of them were classified.
        windows: the number of windows that hold the tokens.
        known_language: the probability that the text is in a language that the model knows; None if the
            model cannot tell. The lower it is, the closer the scores are to each other.
        evidence: the two sentences with the most support for the label, then the one with the least; for a
            mixed verdict, the best sentence of each side. Empty if evidence was not requested.
    """

    label: str
    score: float
    scores: dict[str, float]
    tokens: int
    windows: int
    known_language: float | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def is_other_language(self) -> bool | None:
        """Whether the text is in a language that the model does not know; None if it cannot tell."""
        return None if self.known_language is None else self.known_language < 0.5  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Answers:
    """What the logits of a model mean."""

    labels: tuple[str, ...]  # the labels that a verdict chooses from
    columns: tuple[int, ...]  # the column of each label in the logits
    temperature: float = 1.0  # the divisor of the labels' logits before the softmax (Guo et al. 2017)
    # The column of the logit of "the text is in a language that the model knows"; None if the model cannot
    # tell.
    language_column: int | None = None

    def two_sided(self) -> Self:
        """Return the answers without the labels that are neither positive nor negative, if there are both."""
        kept = [
            (label, column)
            for label, column in zip(self.labels, self.columns, strict=True)
            if label in (NEGATIVE, POSITIVE)
        ]
        if len(kept) < 2:  # noqa: PLR2004 - both sides
            return self
        labels, columns = zip(*kept, strict=True)
        return replace(self, labels=labels, columns=columns)


@dataclass(frozen=True, slots=True)
class PooledLogits:
    """The logits of a whole text."""

    logits: npt.NDArray[np.float64]  # one per label, calibrated, shape (L,)
    tokens: int  # the number of tokens in the text
    windows: int  # the number of windows that hold the tokens
    # The probability that the text is in a language that the model knows; None if the model cannot tell.
    known_language: float | None = None

    @property
    def top_label(self) -> int:
        """The column of the most probable label."""
        return int(self.logits.argmax())

    def margin(self, label: int) -> float:
        """Return the logit of the label in column `label` minus the mean of the other logits."""
        others: list[float] = self.logits.tolist()
        own = others.pop(label)
        return own - sum(others) / len(others)


def pool_logits(
    windows: Sequence[Window], logits: Sequence[npt.NDArray[np.float32]], answers: Answers
) -> PooledLogits:
    """Return the weighted mean of the logits of a text's windows (at least one), calibrated.

    The labels' logits are multiplied by the probability that the language is known: what a model says about
    a text that it cannot read is a guess.
    """
    tokens = [window.tokens for window in windows]
    values = np.asarray(logits, dtype=np.float64)
    # Most sentences fit into one window, and `np.average` is slow.
    mean = (
        values[0]
        if len(values) == 1
        else np.average(values, axis=0, weights=np.power(tokens, _WEIGHT_EXPONENT))
    )
    labels = mean[list(answers.columns)] / answers.temperature
    if answers.language_column is None:
        return PooledLogits(labels, sum(tokens), len(windows))
    known_language = float(1 / (1 + np.exp(-mean[answers.language_column])))
    return PooledLogits(labels * known_language, sum(tokens), len(windows), known_language)


def build_verdict(pooled: PooledLogits, labels: Sequence[str], evidence: Sequence[Evidence] = ()) -> Verdict:
    """Return the verdict on a text."""
    exponentials = np.exp(pooled.logits - pooled.logits.max())
    probabilities = exponentials / exponentials.sum()
    top_label = pooled.top_label
    return Verdict(
        label=labels[top_label],
        score=float(probabilities[top_label]),
        scores={label: float(p) for label, p in zip(labels, probabilities, strict=True)},
        tokens=pooled.tokens,
        windows=pooled.windows,
        known_language=pooled.known_language,
        evidence=tuple(evidence),
    )


def choose_evidence(
    sentences: Sequence[tuple[tuple[int, int], PooledLogits]], labels: Sequence[str], label: str
) -> list[Evidence]:
    """Return the sentences that explain a verdict with this label.

    `sentences` are the span and the logits of each sentence, and `labels` the label of each column of the
    logits.
    """
    if label == MIXED and {NEGATIVE, POSITIVE} <= set(labels):
        best: list[Evidence] = []
        for side in (POSITIVE, NEGATIVE):
            # The same sentence explains both sides only if there is no other.
            used = {(sentence.start, sentence.end) for sentence in best}
            candidates = [sentence for sentence in sentences if sentence[0] not in used] or sentences
            best += _rank(candidates, labels, side)[:1]
        return best
    ranked = _rank(sentences, labels, label)
    return [*ranked[:2], *ranked[2:][-1:]]


def _rank(
    sentences: Sequence[tuple[tuple[int, int], PooledLogits]], labels: Sequence[str], label: str
) -> list[Evidence]:
    column = labels.index(label)
    evidence = [Evidence(*span, label, pooled.margin(column)) for span, pooled in sentences]
    return sorted(evidence, key=lambda sentence: -sentence.support)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span `(start, end)` of each sentence of a text, without surrounding whitespace.

    Together the spans contain every character that is not whitespace.
    """
    previous_end = 0
    for end in (*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)):
        sentence = text[previous_end:end]
        if stripped := sentence.strip():
            start = previous_end + sentence.index(stripped)
            yield start, start + len(stripped)
        previous_end = end
