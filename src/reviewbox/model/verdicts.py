"""Logits -> label, calibrated score, evidence. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reviewbox.model.inference import WindowLogits
from reviewbox.model.plain_text import PlainText
from reviewbox.model.windows import Window

_EVIDENCE_SENTENCES = 3

# A sentence ends with its punctuation, closing quotes and the space behind them, or with its line.
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]{0,3}\s+|\n")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence and what it adds to the verdict.

    Attributes:
        start: its first character in the original text.
        end: the character after its last.
        contribution: its share of the margin, in the units of a calibrated logit. Positive
            speaks for the verdict's label, negative against. Those of all sentences add up to
            the margin: the label's logit minus the mean of the others'.
    """

    start: int
    end: int
    contribution: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says of one text.

    Attributes:
        label: the most probable label.
        score: that label's probability, calibrated if the model is.
        scores: the probability of each label.
        tokens: how many tokens the text has; all of them count.
        windows: how many windows they fill.
        evidence: the sentences that weigh most, the weightiest first; empty if the model gives
            no token logits.
    """

    label: str
    score: float
    scores: dict[str, float]
    tokens: int
    windows: int
    evidence: tuple[Evidence, ...]


def judge(
    text: PlainText,
    windows: Sequence[Window],
    outputs: Sequence[WindowLogits],
    labels: Sequence[str],
    temperature: float,
) -> Verdict:
    """Return the verdict on a text from the logits of its windows (at least one).

    Windows pool by their token counts. Where a window's logits are the mean of its tokens', that
    is the mean over the whole text, exactly; for other models it is an approximation.
    """
    tokens = np.array([window.tokens for window in windows])
    logits = np.average([output.logits for output in outputs], axis=0, weights=tokens) / temperature
    probabilities = _softmax(logits)
    winner = int(probabilities.argmax())
    return Verdict(
        label=labels[winner],
        score=float(probabilities[winner]),
        scores={label: float(p) for label, p in zip(labels, probabilities, strict=True)},
        tokens=int(tokens.sum()),
        windows=len(windows),
        evidence=_strongest(contributions(text, windows, outputs, winner, temperature)),
    )


def contributions(
    text: PlainText,
    windows: Sequence[Window],
    outputs: Sequence[WindowLogits],
    label: int,
    temperature: float,
) -> list[Evidence]:
    """Return what each sentence of a text adds to the margin of `label`, in the text's order."""
    token_logits = [output.token_logits for output in outputs if output.token_logits is not None]
    if not token_logits:
        return []
    starts = np.concatenate([window.starts[window.content] for window in windows])
    logits = np.concatenate(
        [logits[window.content] for window, logits in zip(windows, token_logits, strict=True)]
    )
    others = np.delete(logits, label, axis=1).mean(axis=1)
    margins = (logits[:, label] - others) / (temperature * len(logits))

    spans = list(sentences(text.text))
    # Some tokenizers let a token begin with the space before its word: it belongs to the word's sentence.
    sentence = np.searchsorted([end for _, end in spans], starts, side="right").clip(max=len(spans) - 1)
    sums = np.bincount(sentence, weights=margins, minlength=len(spans))
    counts = np.bincount(sentence, minlength=len(spans))
    return [
        Evidence(*text.original_span(start, end), float(total))
        for (start, end), total, count in zip(spans, sums, counts, strict=True)
        if count
    ]


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


def _strongest(evidence: list[Evidence]) -> tuple[Evidence, ...]:
    ranked = sorted(evidence, key=lambda sentence: -abs(sentence.contribution))
    return tuple(ranked[:_EVIDENCE_SENTENCES])


def _softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(exponentials / exponentials.sum())
