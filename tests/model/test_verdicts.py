import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny import WORDS

from reviewbox.model.verdicts import (
    Answers,
    PooledLogits,
    build_verdict,
    choose_evidence,
    pool_logits,
    sentences,
)
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


@pytest.mark.parametrize("count", [1, 2, 5])
def test_windows_of_one_length_count_equally(count: int) -> None:
    logits = [np.array([number, -number]) for number in range(count)]

    whole = pool_logits([window(126)] * count, logits, Answers(("no", "yes"), (0, 1)))

    assert whole.logits == pytest.approx(np.mean(logits, axis=0))
    assert whole.tokens == 126 * count
    assert whole.windows == count


@pytest.mark.parametrize("tokens", [1, 20, 100])
def test_a_short_last_window_counts_more_than_its_tokens_and_less_than_a_full_one(tokens: int) -> None:
    """Reviews often end with their verdict."""
    whole = pool_logits(
        [window(126), window(tokens)], [np.array([0, 0]), np.array([0, 1])], Answers(("no", "yes"), (0, 1))
    )

    assert tokens / (126 + tokens) < whole.logits[1] < 1 / 2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_the_temperature_divides_the_logits(temperature: float) -> None:
    answers = Answers(("no", "yes"), (0, 1), temperature)

    whole = pool_logits([window(3)], [np.array([1, -2], dtype=np.float32)], answers)

    assert whole.logits == pytest.approx([1 / temperature, -2 / temperature])
    assert whole.known_language is None


def test_two_sided_answers_keep_the_logits_of_positive_and_negative() -> None:
    answers = Answers(("negative", "neutral", "mixed", "positive"), (0, 1, 2, 3)).two_sided()

    whole = pool_logits([window(3)], [np.array([1, 2, 3, 4], dtype=np.float32)], answers)

    assert answers.labels == ("negative", "positive")
    assert whole.logits == pytest.approx([1, 4])


@pytest.mark.parametrize(
    "labels", [("negative", "positive"), ("1 star", "2 stars", "3 stars"), ("positive", "x")]
)
def test_answers_without_two_sides_stay_as_they_are(labels: tuple[str, ...]) -> None:
    answers = Answers(labels, tuple(range(len(labels))))

    assert answers.two_sided() == answers


@pytest.mark.parametrize(("logit", "known"), [(0.0, 0.5), (20.0, 1.0), (-20.0, 0.0)])
def test_an_unknown_language_flattens_the_scores(logit: float, known: float) -> None:
    answers = Answers(("negative", "positive"), (0, 1), language_column=2)
    windows, logits = [window(3), window(3)], [np.array([0, 6, logit]), np.array([0, 8, logit])]

    whole = pool_logits(windows, logits, answers)

    assert whole.known_language == pytest.approx(known, abs=1e-6)
    assert whole.logits == pytest.approx([0, 7 * known], abs=1e-4)


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
    logits = [((index, index + 1), pooled(0, support)) for index, support in enumerate(supports)]

    evidence = choose_evidence(logits, ("no", "yes"), "yes")

    assert [sentence.support for sentence in evidence] == kept
    assert {sentence.label for sentence in evidence} <= {"yes"}


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        # negative, mixed, positive
        ([(0, 0, 3), (4, 0, 0), (0, 0, 1)], [("positive", 0), ("negative", 1)]),
        ([(0, 0, 3), (1, 0, 2)], [("positive", 0), ("negative", 1)]),
        ([(2, 5, 2)], [("positive", 0), ("negative", 0)]),
        ([], []),
    ],
)
def test_the_evidence_of_a_mixed_verdict_is_the_best_sentence_of_each_side(
    logits: list[tuple[float, float, float]], expected: list[tuple[str, int]]
) -> None:
    by_sentence = [((index, index + 1), pooled(*values)) for index, values in enumerate(logits)]

    evidence = choose_evidence(by_sentence, ("negative", "mixed", "positive"), "mixed")

    assert [(sentence.label, sentence.start) for sentence in evidence] == expected


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
def test_sentences_contain_every_character_that_is_not_white_space(text: str) -> None:
    spans = list(sentences(text))

    extracted = [text[start:end] for start, end in spans]
    assert "".join("".join(extracted).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in extracted)
    assert spans == sorted(spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
