"""Logits -> label, calibrated score, evidence. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reviewbox.model.windows import Window

# A sentence ends with its punctuation, closing quotes and the space behind them, or with its line.
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]{0,3}\s+|\n")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence and how it reads by itself.

    Attributes:
        start: its first character in the original text.
        end: the character after its last.
        support: the calibrated margin that it gives the verdict's label when it is all there is:
            the label's logit minus the mean of the others'. Positive speaks for the label,
            negative against it.
    """

    start: int
    end: int
    support: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says of one text.

    Attributes:
        label: the most probable label.
        score: that label's probability, calibrated if the model is.
        scores: the probability of each label.
        tokens: how many tokens the text has; all of them count.
        windows: how many windows they fill.
        evidence: the two sentences that speak most for the label, and the one that speaks most
            against it, or least for it; empty if none was asked for.
    """

    label: str
    score: float
    scores: dict[str, float]
    tokens: int
    windows: int
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Pooled:
    """The logits of a whole text.

    Attributes:
        logits: one for each label, calibrated, shape (L,).
        tokens: how many tokens the text has.
        windows: how many windows they fill.
    """

    logits: npt.NDArray[np.float64]
    tokens: int
    windows: int

    @property
    def winner(self) -> int:
        """The column of the most probable label."""
        return int(self.logits.argmax())

    def margin(self, label: int) -> float:
        """Return a label's logit minus the mean of the others'."""
        others: list[float] = self.logits.tolist()
        own = others.pop(label)
        return own - sum(others) / len(others)


def pool(windows: Sequence[Window], logits: Sequence[npt.NDArray[np.float32]], temperature: float) -> Pooled:
    """Pool the logits of a text's windows (at least one) by their token counts.

    Where a window's logits are the mean of its tokens', that is the mean over the whole text,
    exactly; for other models it is an approximation.
    """
    tokens = [window.tokens for window in windows]
    (mean, *others) = np.asarray(logits, dtype=np.float64)
    if others:  # sentences have none, and there are many
        mean = np.average([mean, *others], axis=0, weights=tokens)
    return Pooled(mean / temperature, sum(tokens), len(windows))


def judge(pooled: Pooled, labels: Sequence[str], evidence: Iterable[Evidence] = ()) -> Verdict:
    """Return the verdict on a text, with the most telling of the evidence."""
    exponentials = np.exp(pooled.logits - pooled.logits.max())
    probabilities = exponentials / exponentials.sum()
    winner = pooled.winner
    ranked = sorted(evidence, key=lambda sentence: -sentence.support)
    return Verdict(
        label=labels[winner],
        score=float(probabilities[winner]),
        scores={label: float(p) for label, p in zip(labels, probabilities, strict=True)},
        tokens=pooled.tokens,
        windows=pooled.windows,
        evidence=(*ranked[:2], *ranked[2:][-1:]),
    )


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of a text's sentences, without the space around them.

    Together they hold every character that is not space.
    """
    begin = 0
    for end in (*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)):
        sentence = text[begin:end]
        if stripped := sentence.strip():
            start = begin + sentence.index(stripped)
            yield start, start + len(stripped)
        begin = end
