"""Logits -> label, calibrated score and evidence. Pure functions."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reviewbox.model.windows import Window

# A sentence ends after its punctuation, closing quotes and the following space, or at the end of a line.
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]{0,3}\s+|\n")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a text and the result of classifying that sentence alone.

    Attributes:
        start: the offset of its first character in the original text.
        end: the offset after its last character.
        support: the calibrated margin of the verdict's label for this sentence: the label's logit minus
            the mean of the other labels' logits. A positive margin supports the label, a negative one
            contradicts it.
    """

    start: int
    end: int
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
        evidence: the two sentences with the most support for the label, then the one with the least. Empty
            if evidence was not requested.
    """

    label: str
    score: float
    scores: dict[str, float]
    tokens: int
    windows: int
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class PooledLogits:
    """The logits of a whole text.

    Attributes:
        logits: one per label, calibrated, shape (L,).
        tokens: the number of tokens in the text.
        windows: the number of windows that hold the tokens.
    """

    logits: npt.NDArray[np.float64]
    tokens: int
    windows: int

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
    windows: Sequence[Window], logits: Sequence[npt.NDArray[np.float32]], temperature: float
) -> PooledLogits:
    """Return the mean logits of a text's windows (at least one), weighted by token count and calibrated.

    If a model's logits are the mean over the tokens of a window, this is exactly the mean over the whole
    text. For other models it is an approximation.
    """
    tokens = [window.tokens for window in windows]
    values = np.asarray(logits, dtype=np.float64)
    # Most sentences fit into one window, and `np.average` is slow.
    mean = values[0] if len(values) == 1 else np.average(values, axis=0, weights=tokens)
    return PooledLogits(mean / temperature, sum(tokens), len(windows))


def build_verdict(pooled: PooledLogits, labels: Sequence[str], evidence: Iterable[Evidence] = ()) -> Verdict:
    """Return the verdict on a text. Of `evidence`, it keeps the best two sentences and the worst."""
    exponentials = np.exp(pooled.logits - pooled.logits.max())
    probabilities = exponentials / exponentials.sum()
    top_label = pooled.top_label
    ranked = sorted(evidence, key=lambda sentence: -sentence.support)
    return Verdict(
        label=labels[top_label],
        score=float(probabilities[top_label]),
        scores={label: float(p) for label, p in zip(labels, probabilities, strict=True)},
        tokens=pooled.tokens,
        windows=pooled.windows,
        evidence=(*ranked[:2], *ranked[2:][-1:]),
    )


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span `(start, end)` of each sentence of a text, without surrounding white space.

    Together the spans contain every character that is not white space.
    """
    previous_end = 0
    for end in (*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)):
        sentence = text[previous_end:end]
        if stripped := sentence.strip():
            start = previous_end + sentence.index(stripped)
            yield start, start + len(stripped)
        previous_end = end
