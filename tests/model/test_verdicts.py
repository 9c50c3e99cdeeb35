import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import WORDS, tokenizer

from reviewbox.model.inference import WindowLogits
from reviewbox.model.plain_text import PlainText, plain_text
from reviewbox.model.verdicts import Verdict, contributions, judge, sentences
from reviewbox.model.windows import Window, Windows

LABELS = ("negative", "neutral", "positive")

LONG = "Good film. The film! " * 9 + "Awful\nbad film? Great"


@dataclass(frozen=True, slots=True)
class Case:
    """A text and what some model says of it."""

    text: PlainText
    windows: list[Window]
    outputs: list[WindowLogits]

    def judge(self, labels: Sequence[str] = LABELS, temperature: float = 1.0) -> Verdict:
        return judge(self.text, self.windows, self.outputs, labels, temperature)

    def token_logits(self) -> npt.NDArray[np.float64]:
        """Those of the text's own tokens, shape (tokens, labels)."""
        return np.concatenate(
            [
                output.token_logits[window.content]
                for window, output in zip(self.windows, self.outputs, strict=True)
                if output.token_logits is not None
            ]
        ).astype(np.float64)


def case(original: str, labels: int = len(LABELS), seed: int = 0) -> Case:
    """A case in which a window's logits are the mean of its tokens', which are random.

    Special tokens have logits too, which must not count.
    """
    text = plain_text(original)
    (windows,) = Windows(tokenizer(), 16).cut([text.text])
    numbers = np.random.default_rng(seed)
    outputs = []
    for window in windows:
        token_logits = numbers.normal(0, 5, (len(window.input_ids), labels)).astype(np.float32)
        outputs.append(WindowLogits(token_logits[window.content].mean(axis=0), token_logits))
    return Case(text, windows, outputs)


def texts() -> st.SearchStrategy[str]:
    """Texts of a few sentences, in which there is at least one token."""
    pieces = [*WORDS, "\n", "! ", "? ", ".) ", ' "', " ", "<br />", "<b>", "&amp;", "\u00a0", "\u200b"]
    return st.lists(st.sampled_from(pieces), max_size=60).map(lambda parts: " ".join(["the", *parts]))


def softmax(logits: npt.NDArray[np.float64]) -> list[float]:
    exponentials = [math.exp(logit) for logit in logits]
    return [exponential / sum(exponentials) for exponential in exponentials]


def test_a_window_counts_by_its_tokens() -> None:
    of_text = case("good " * 14 + "bad bad", labels=2)
    logits = [WindowLogits(np.array(row, dtype=np.float32), None) for row in ([0, 4], [8, 0])]

    verdict = judge(of_text.text, of_text.windows, logits, ("no", "yes"), 1.0)

    assert verdict.scores["yes"] == pytest.approx(1 / (1 + math.exp(8 * 2 / 16 - 4 * 14 / 16)))
    assert (verdict.tokens, verdict.windows) == (16, 2)


@given(text=texts(), labels=st.integers(2, 4), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_pooled_windows_are_the_mean_over_all_tokens(text: str, labels: int, seed: int) -> None:
    of_text = case(text, labels, seed)

    verdict = of_text.judge("abcd"[:labels])

    assert list(verdict.scores.values()) == pytest.approx(
        softmax(of_text.token_logits().mean(axis=0)), abs=1e-6
    )
    assert verdict.tokens == len(of_text.token_logits())
    assert verdict.windows == len(of_text.windows)


@given(text=texts(), labels=st.integers(2, 4), seed=st.integers(0, 2**32), temperature=st.floats(0.5, 3))
@settings(deadline=None, max_examples=50)
def test_the_contributions_of_all_sentences_add_up_to_the_margin(
    text: str, labels: int, seed: int, temperature: float
) -> None:
    of_text = case(text, labels, seed)
    means = of_text.token_logits().mean(axis=0) / temperature

    for label in range(labels):
        evidence = contributions(of_text.text, of_text.windows, of_text.outputs, label, temperature)

        margin = means[label] - np.delete(means, label).mean()
        assert sum(sentence.contribution for sentence in evidence) == pytest.approx(margin, abs=1e-5)


@given(text=texts(), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_evidence_lies_in_the_original(text: str, seed: int) -> None:
    of_text = case(text, seed=seed)

    evidence = contributions(of_text.text, of_text.windows, of_text.outputs, 0, 1.0)

    assert evidence
    ends = [0, *(sentence.end for sentence in evidence)]
    for sentence, previous_end in zip(evidence, ends, strict=False):
        assert previous_end <= sentence.start < sentence.end <= len(text)
        assert plain_text(text[sentence.start : sentence.end]).text.strip()


def test_a_sentence_contributes_what_its_own_tokens_do() -> None:
    of_text = case("good film. bad")
    logits = np.array([[9, 0], [1, 5], [0, 0], [2, 1], [6, 2], [0, 9]], dtype=np.float32)
    outputs = [WindowLogits(logits[1:-1].mean(axis=0), logits)]

    evidence = contributions(of_text.text, of_text.windows, outputs, 1, temperature=2.0)

    assert [(sentence.start, sentence.end) for sentence in evidence] == [(0, 10), (11, 14)]
    assert [sentence.contribution for sentence in evidence] == pytest.approx([3 / 8, -4 / 8])


def test_a_token_may_begin_with_the_space_before_its_word() -> None:
    of_text = case(" good. bad")
    (window,) = of_text.windows
    early = replace(window, starts=np.maximum(window.starts - 1, 0))

    evidence = contributions(of_text.text, [early], of_text.outputs, 0, 1.0)

    assert [(sentence.start, sentence.end) for sentence in evidence] == [(1, 6), (7, 10)]


def test_a_token_of_the_space_behind_the_text_belongs_to_its_last_sentence() -> None:
    of_text = case("good. bad bad ")
    (window,) = of_text.windows
    starts = np.array([0, 0, 4, 6, 13, 0])

    evidence = contributions(of_text.text, [replace(window, starts=starts)], of_text.outputs, 0, 1.0)

    assert [(sentence.start, sentence.end) for sentence in evidence] == [(0, 5), (6, 13)]


def test_a_sentence_that_runs_over_two_windows_is_one() -> None:
    text = "good. " + "film " * 20 + "bad. great"

    of_text = case(text)

    assert len(of_text.windows) == 2
    evidence = contributions(of_text.text, of_text.windows, of_text.outputs, 0, 1.0)
    assert [text[sentence.start : sentence.end][-5:] for sentence in evidence] == ["good.", " bad.", "great"]


def test_a_sentence_without_tokens_is_no_evidence() -> None:
    of_text = case("good\n\u200b\nbad")

    evidence = contributions(of_text.text, of_text.windows, of_text.outputs, 0, 1.0)

    assert [(sentence.start, sentence.end) for sentence in evidence] == [(0, 4), (7, 10)]


def test_evidence_is_shown_where_the_original_has_it() -> None:
    original = "<p>The film is <b>good</b>.</p>Bad &amp; awful!<br /><br />  Great\u00a0film"

    of_text = case(original)

    evidence = contributions(of_text.text, of_text.windows, of_text.outputs, 0, 1.0)
    assert [original[sentence.start : sentence.end] for sentence in evidence] == [
        "The film is <b>good</b>.",
        "Bad &amp; awful!",
        "Great\u00a0film",
    ]


def test_a_verdict_shows_the_three_weightiest_sentences_the_weightiest_first() -> None:
    of_text = case(LONG, seed=3)

    verdict = of_text.judge()

    winner = LABELS.index(verdict.label)
    every = contributions(of_text.text, of_text.windows, of_text.outputs, winner, 1.0)
    assert len(every) == 21
    weights = sorted((abs(sentence.contribution) for sentence in every), reverse=True)
    assert [abs(sentence.contribution) for sentence in verdict.evidence] == weights[:3]
    assert set(verdict.evidence) < set(every)


def test_what_speaks_against_the_label_is_evidence_too() -> None:
    of_text = case("good good good. bad")
    logits = np.zeros((7, 2), dtype=np.float32)
    logits[1:-1, 1] = [4, 4, 4, 0, -6]

    verdict = judge(
        of_text.text, of_text.windows, [WindowLogits(logits[1:-1].mean(axis=0), logits)], ("no", "yes"), 1.0
    )

    assert verdict.label == "yes"
    assert [sentence.contribution for sentence in verdict.evidence] == pytest.approx([12 / 5, -6 / 5])


def test_without_token_logits_there_is_no_evidence() -> None:
    of_text = case(LONG)
    outputs = [WindowLogits(output.logits, None) for output in of_text.outputs]

    verdict = judge(of_text.text, of_text.windows, outputs, LABELS, 1.0)

    assert verdict.evidence == ()
    assert verdict.scores == of_text.judge().scores


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_temperature_divides_the_logits(temperature: float) -> None:
    of_text = case(LONG)
    logits = of_text.token_logits().mean(axis=0)

    verdict = of_text.judge(temperature=temperature)

    assert list(verdict.scores.values()) == pytest.approx(softmax(logits / temperature), abs=1e-6)


def test_temperature_does_not_change_the_label() -> None:
    of_text = case(LONG)

    cold, hot = of_text.judge(temperature=0.2), of_text.judge(temperature=5.0)

    assert cold.label == hot.label
    assert cold.score > hot.score > 1 / 3


@pytest.mark.parametrize(
    ("logits", "label"), [([3, 1, 2], "negative"), ([0, 1, 0.5], "neutral"), ([-3, -2, -1], "positive")]
)
def test_the_label_is_the_most_probable_of_three(logits: list[float], label: str) -> None:
    of_text = case("good")

    verdict = judge(
        of_text.text, of_text.windows, [WindowLogits(np.array(logits, dtype=np.float32), None)], LABELS, 1.0
    )

    assert verdict.label == label
    assert verdict.score == verdict.scores[label] == max(verdict.scores.values())
    assert list(verdict.scores) == list(LABELS)
    assert sum(verdict.scores.values()) == pytest.approx(1)


def test_large_logits_do_not_overflow() -> None:
    of_text = case("good")

    verdict = judge(
        of_text.text,
        of_text.windows,
        [WindowLogits(np.array([-1e4, 1e4], dtype=np.float32), None)],
        ("no", "yes"),
        0.01,
    )

    assert verdict.scores == {"no": 0.0, "yes": 1.0}


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
def test_a_sentence_ends_with_its_punctuation_or_its_line(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == expected


@given(st.text() | texts())
@settings(deadline=None)
def test_sentences_hold_every_character_that_is_not_space(text: str) -> None:
    spans = list(sentences(text))

    found = [text[start:end] for start, end in spans]
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in found)
    assert spans == sorted(spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
