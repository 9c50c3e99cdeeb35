import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import WORDS

from reviewbox.model.verdicts import Evidence, PooledLogits, build_verdict, pool_logits, sentences
from reviewbox.model.windows import Window

LABELS = ("negative", "neutral", "positive")


def window(tokens: int) -> Window:
    """Return a window of `tokens` tokens between two special tokens."""
    content = np.array([False, *[True] * tokens, False])
    zeros = np.zeros(tokens + 2, dtype=np.int64)
    return Window(zeros, zeros, content)


def pooled(*logits: float) -> PooledLogits:
    return PooledLogits(np.array(logits, dtype=np.float64), tokens=5, windows=1)


def texts() -> st.SearchStrategy[str]:
    """Generate texts of a few sentences."""
    pieces = [*WORDS, "\n", "! ", "? ", ".) ", ' "', " ", "\u00a0", "\u200b"]
    return st.lists(st.sampled_from(pieces), max_size=60).map(" ".join)


def softmax(logits: Sequence[float]) -> list[float]:
    exponentials = [math.exp(logit) for logit in logits]
    return [exponential / sum(exponentials) for exponential in exponentials]


@given(
    windows=st.lists(st.tuples(st.integers(1, 126), st.integers(0, 2**32)), min_size=1, max_size=6),
    labels=st.integers(2, 4),
)
@settings(deadline=None, max_examples=50)
def test_pooled_logits_are_the_mean_over_all_tokens(windows: list[tuple[int, int]], labels: int) -> None:
    tokens = [np.random.default_rng(seed).normal(0, 5, (count, labels)) for count, seed in windows]

    whole = pool_logits(
        [window(count) for count, _ in windows], [logits.mean(axis=0) for logits in tokens], 1.0
    )

    assert whole.logits == pytest.approx(np.concatenate(tokens).mean(axis=0), abs=1e-6)
    assert whole.tokens == sum(count for count, _ in windows)
    assert whole.windows == len(windows)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_the_temperature_divides_the_logits(temperature: float) -> None:
    whole = pool_logits([window(3)], [np.array([1, -2], dtype=np.float32)], temperature)

    assert whole.logits == pytest.approx([1 / temperature, -2 / temperature])


def test_a_margin_is_a_logit_minus_the_mean_of_the_others() -> None:
    assert pooled(1, 2, 6).margin(2) == pytest.approx(4.5)
    assert pooled(-1, 1).margin(0) == pytest.approx(-2)


@pytest.mark.parametrize(
    ("logits", "label"), [([3, 1, 2], "negative"), ([0, 1, 0.5], "neutral"), ([-3, -2, -1], "positive")]
)
def test_the_label_is_the_most_probable_one(logits: list[float], label: str) -> None:
    verdict = build_verdict(pooled(*logits), LABELS)

    assert verdict.label == label
    assert verdict.score == verdict.scores[label] == max(verdict.scores.values())
    assert list(verdict.scores) == list(LABELS)
    assert list(verdict.scores.values()) == pytest.approx(softmax(logits))
    assert (verdict.tokens, verdict.windows, verdict.evidence) == (5, 1, ())


def test_large_logits_do_not_overflow() -> None:
    verdict = build_verdict(pooled(-1e6, 1e6), ("no", "yes"))

    assert verdict.scores == {"no": 0.0, "yes": 1.0}


@pytest.mark.parametrize(
    ("supports", "kept"),
    [([1, -4, 0.5, 3, -2], [3, 1, -4]), ([2, 1, 4, 3], [4, 3, 1]), ([-1, 2], [2, -1]), ([5], [5]), ([], [])],
)
def test_evidence_is_the_two_sentences_with_the_most_support_and_the_one_with_the_least(
    supports: list[float], kept: list[float]
) -> None:
    evidence = [Evidence(index, index + 1, support) for index, support in enumerate(supports)]

    verdict = build_verdict(pooled(0, 1), ("no", "yes"), evidence)

    assert [sentence.support for sentence in verdict.evidence] == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good. Bad! Great? Awful", ["Good.", "Bad!", "Great?", "Awful"]),
        ("One line\nanother\n\n  a third ", ["One line", "another", "a third"]),
        ('"Never." He left. (Really!) Yes.', ['"Never."', "He left.", "(Really!)", "Yes."]),
        ("\u201cNever.\u201d He left.", ["\u201cNever.\u201d", "He left."]),
        ("Version 2.5 of example.com", ["Version 2.5 of example.com"]),
        ("Wait... what?! No", ["Wait...", "what?!", "No"]),
        ("", []),
        (" \n\t\u00a0 ", []),
    ],
)
def test_a_sentence_ends_after_its_punctuation_or_its_line(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == expected


@given(st.text() | texts())
@settings(deadline=None)
def test_sentences_contain_every_character_that_is_not_white_space(text: str) -> None:
    spans = list(sentences(text))

    extracted = [text[start:end] for start, end in spans]
    assert "".join("".join(extracted).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in extracted)
    assert spans == sorted(spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
