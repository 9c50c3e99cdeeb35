import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from tests.tiny import WORDS, tokenizer, write_model
from tokenizers.pre_tokenizers import Metaspace

from reviewbox.errors import ErrorCode, ModelError, Problem, ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.model.self_check import processor
from reviewbox.model.verdicts import Verdict

TOLERANCE = 1e-6


def classify(classifier: Classifier, text: str) -> Verdict:
    (verdict,) = classifier.classify([text])
    return verdict


def recorded(texts: Iterator[str], consumed: list[str]) -> Iterator[str]:
    """Yield the texts and record in `consumed` which have been consumed."""
    for text in texts:
        consumed.append(text)
        yield text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A good film.", "positive"),
        ("not good, the film: AWFUL", "negative"),
        ("bad bad bad<br /><br />GREAT great great great", "positive"),
    ],
)
def test_a_text_gets_its_label(text: str, label: str, classifier: Classifier) -> None:
    verdict = classify(classifier, text)

    assert verdict.label == label
    assert 0.5 < verdict.score == max(verdict.scores.values()) < 1


def test_verdicts_have_the_order_of_the_texts(classifier: Classifier) -> None:
    verdicts = classifier.classify(["good", "awful " * 40, "great film", "bad"])

    assert [verdict.label for verdict in verdicts] == ["positive", "negative", "positive", "negative"]
    assert [verdict.tokens for verdict in verdicts] == [1, 40, 2, 1]
    assert [verdict.windows for verdict in verdicts] == [1, 3, 1, 1]


def test_without_texts_there_are_no_verdicts(classifier: Classifier) -> None:
    assert classifier.classify([]) == []


def test_the_end_of_a_long_text_has_the_same_weight_as_its_start(classifier: Classifier) -> None:
    start, end = classifier.classify(["awful " * 30 + "film " * 502, "film " * 502 + "awful " * 30])

    assert start.label == end.label == "negative"
    assert start.score == pytest.approx(end.score, abs=TOLERANCE)
    assert start.tokens == end.tokens == 532
    assert start.windows == end.windows == 38


def test_a_review_may_have_a_hundred_thousand_words(classifier: Classifier) -> None:
    verdict = classify(classifier, "good film " * 50_000)

    assert verdict.label == "positive"
    assert verdict.tokens == 100_000


def test_classify_raises_on_a_text_without_words(classifier: Classifier) -> None:
    with pytest.raises(ReviewboxError, match="text 1: the review has no words"):
        classifier.classify(["good", "", "bad"])


@pytest.mark.parametrize("empty", ["", " \n\t", "<br />", "&nbsp;", "\x00\x00", "\u200b", "\ud800"])
def test_a_text_without_words_does_not_stop_the_others(empty: str, classifier: Classifier) -> None:
    first, second, third = classifier.classify_each(["good", empty, "bad"])

    assert isinstance(first, Verdict)
    assert isinstance(second, Problem)
    assert isinstance(third, Verdict)
    assert (first.label, third.label) == ("positive", "negative")
    assert second.code is ErrorCode.EMPTY_REVIEW


@pytest.mark.parametrize("blank", [" ", "\n\t", "\u00a0", "<br />"])
def test_blank_text_has_no_words_even_if_white_space_is_a_token(blank: str, tmp_path: Path) -> None:
    """SentencePiece tokenizers have tokens for whitespace."""
    folder = write_model(tmp_path)
    spacious = tokenizer()
    spacious.pre_tokenizer = Metaspace()
    spacious.save(str(folder / "tokenizer.json"))

    outcomes = list(Classifier.load(folder).classify_each([blank, "good"]))

    assert [type(outcome) for outcome in outcomes] == [Problem, Verdict]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("😀 😍😍", 2),
        ("很好看的电影", 6),
        ("отличный фильм", 2),
        ("فيلم جيد", 2),
        ("x" * 10_000, 1),
    ],
)
def test_unknown_words_count_as_words(text: str, tokens: int, classifier: Classifier) -> None:
    verdict = classify(classifier, text)

    assert verdict.tokens == tokens
    assert verdict.score == pytest.approx(0.5)


@pytest.mark.parametrize(
    "text", ["good\x00 film", "\x00good film\x00\x00", "good \ud800 film", "good film\udfff"]
)
def test_invalid_characters_are_ignored(text: str, classifier: Classifier) -> None:
    verdict = classify(classifier, text)

    assert verdict.tokens == 2
    assert verdict.scores == classify(classifier, "good film").scores


@given(text=st.text(st.characters()))
def test_any_text_gets_a_verdict_or_a_reason(text: str, classifier: Classifier) -> None:
    (outcome,) = classifier.classify_each([text])

    if isinstance(outcome, Verdict):
        assert sum(outcome.scores.values()) == pytest.approx(1)
        assert all(0 <= sentence.start < sentence.end <= len(text) for sentence in outcome.evidence)
    else:
        assert outcome.code is ErrorCode.EMPTY_REVIEW


@given(texts=st.lists(st.lists(st.sampled_from([*WORDS]), max_size=40).map(" ".join), max_size=8))
def test_a_verdict_depends_only_on_its_text(texts: list[str], classifier: Classifier) -> None:
    together = list(classifier.classify_each(texts))

    one_by_one = [outcome for text in texts for outcome in classifier.classify_each([text])]
    for outcome, expected in zip(together, one_by_one, strict=True):
        if isinstance(outcome, Verdict) and isinstance(expected, Verdict):
            assert outcome.scores == pytest.approx(expected.scores, abs=TOLERANCE)
            assert [(s.start, s.end) for s in outcome.evidence] == [
                (s.start, s.end) for s in expected.evidence
            ]
        else:
            assert outcome == expected


def test_texts_are_consumed_in_chunks_as_needed(classifier: Classifier) -> None:
    consumed: list[str] = []

    outcomes = classifier.classify_each(recorded(repeat("a good film " * 8), consumed))

    assert consumed == []
    next(outcomes)
    chunk = len(consumed)
    assert sum(map(len, consumed)) < 100_000
    assert len(list(islice(outcomes, chunk - 1))) == chunk - 1
    assert len(consumed) == chunk
    next(outcomes)
    assert len(consumed) == 2 * chunk


def test_a_chunk_of_empty_texts_is_bounded(classifier: Classifier) -> None:
    consumed: list[str] = []

    next(classifier.classify_each(recorded(repeat(""), consumed)))

    assert len(consumed) < 100_000


def test_texts_in_several_chunks_are_classified_in_order(classifier: Classifier) -> None:
    lengths = [1 + index * 7 % 40 for index in range(1500)]

    verdicts = classifier.classify(["great " * length for length in lengths])

    assert [verdict.tokens for verdict in verdicts] == lengths


def test_an_export_without_bundle_json_is_not_calibrated(tmp_path: Path, classifier: Classifier) -> None:
    """Hugging Face Optimum writes neither `bundle.json` nor the output `token_logits`."""
    plain = Classifier.load(write_model(tmp_path, token_logits=False))

    verdict = classify(plain, "A good film. " * 10)

    assert not plain.bundle.calibrated
    assert verdict.evidence
    assert verdict.scores == pytest.approx(classify(classifier, "A good film. " * 10).scores)
    assert (verdict.tokens, verdict.windows) == (40, 3)


def test_a_model_may_have_three_labels(tmp_path: Path) -> None:
    three = Classifier.load(write_model(tmp_path, labels=("bad", "so-so", "good")))

    verdicts = three.classify(["awful", "film", "great film"])

    assert [list(verdict.scores) for verdict in verdicts] == [["bad", "so-so", "good"]] * 3
    assert (verdicts[0].label, verdicts[2].label) == ("bad", "good")
    assert verdicts[1].scores == pytest.approx(dict.fromkeys(["bad", "so-so", "good"], 1 / 3))
    assert verdicts[2].scores["good"] > verdicts[2].scores["so-so"] > verdicts[2].scores["bad"]
    assert verdicts[2].evidence[0].support == pytest.approx(1.5 - (-1.5 + 0) / 2)


def test_a_text_in_another_language_has_flat_scores(tmp_path: Path) -> None:
    model = Classifier.load(write_model(tmp_path, languages=("en",)))

    known, unknown = model.classify(["great film", "great formidable merveilleux"])

    assert model.bundle.languages == ("en",)
    assert known.known_language == pytest.approx(1 / (1 + math.exp(-4)), abs=TOLERANCE)
    assert known.is_other_language is False
    assert unknown.known_language == pytest.approx(1 / (1 + math.exp(4 / 3)), abs=TOLERANCE)
    assert unknown.is_other_language is True
    assert unknown.known_language is not None
    # The logits are 1 and -1, times the probability that the language is known.
    assert unknown.scores["positive"] == pytest.approx(1 / (1 + math.exp(-2 * unknown.known_language)))


def test_a_model_may_be_asked_for_two_labels_only(tmp_path: Path) -> None:
    folder = write_model(tmp_path, labels=("negative", "neutral", "positive"))

    (two,) = Classifier.load(folder, two_labels=True).classify(["film"])
    (three,) = Classifier.load(folder).classify(["film"])

    assert two.scores == pytest.approx({"negative": 1 / 2, "positive": 1 / 2})
    assert list(three.scores) == ["negative", "neutral", "positive"]


def test_evidence_has_the_span_in_the_original_and_the_margin_of_each_sentence(
    classifier: Classifier,
) -> None:
    original = "<p>The film is <b>good</b>.</p>Bad &amp; awful!<br />\u200b<br />  The\u00a0film"

    verdict = classify(classifier, original)

    supports = {original[s.start : s.end]: s.support for s in verdict.evidence}
    assert verdict.label == "negative"
    assert supports == pytest.approx(
        {"The film is <b>good</b>.": -2 * 2 / 5, "Bad &amp; awful!": 2 * 5 / 4, "The\u00a0film": 0}
    )


def test_evidence_is_optional(classifier: Classifier) -> None:
    (explained,) = classifier.classify_each(["Good film. Bad film. Good."])
    (bare,) = classifier.classify_each(["Good film. Bad film. Good."], explain=False)

    assert isinstance(explained, Verdict)
    assert isinstance(bare, Verdict)
    assert len(explained.evidence) == 3
    assert bare == replace(explained, evidence=())


def test_temperature_and_window_size_come_from_bundle_json(
    tiny_model: Path, tmp_path: Path, classifier: Classifier
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "bundle.json").write_text(json.dumps({"temperature": 2, "window_tokens": 6}), encoding="utf-8")

    verdict = classify(Classifier.load(folder), "good film bad great film bad film great")

    plain = classify(classifier, "good film bad great film bad film great")
    ratio, plain_ratio = (v.scores["positive"] / v.scores["negative"] for v in (verdict, plain))
    assert ratio == pytest.approx(plain_ratio**0.5)
    assert (verdict.windows, plain.windows) == (2, 1)


def test_the_model_folder_may_be_a_string(tiny_model: Path) -> None:
    assert classify(Classifier.load(str(tiny_model), threads=2), "good").label == "positive"


def test_a_folder_without_a_model_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx is missing"):
        Classifier.load(tmp_path)


def test_labels_that_do_not_match_the_graph_are_rejected(tmp_path: Path) -> None:
    write_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = {"0": "negative", "1": "neutral", "2": "positive"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")

    with pytest.raises(
        ModelError, match=r"model\.onnx returns 2 logits, but `id2label` in config\.json names 3 labels"
    ):
        Classifier.load(tmp_path)


def with_golden(folder: Path, *reviews: dict[str, object]) -> Path:
    (folder / "bundle.json").write_text(json.dumps({"golden": reviews}), encoding="utf-8")
    return folder


def test_golden_reviews_within_the_tolerance_are_accepted(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (verdict,) = Classifier.load(folder).classify(["a good film"])

    with_golden(folder, {"text": "a good film", "label": verdict.label, "score": verdict.score + 5e-4})

    assert Classifier.load(folder).bundle.golden[0].text == "a good film"


@pytest.mark.parametrize(
    "expected", [{"label": "negative", "score": 0.9}, {"label": "positive", "score": 0.9}]
)
def test_the_error_for_a_golden_review_names_model_and_processor(
    expected: dict[str, object], tmp_path: Path
) -> None:
    folder = with_golden(
        write_model(tmp_path),
        {"text": "film", "label": "negative", "score": 0.5},
        {"text": "good", **expected},
    )

    with pytest.raises(ModelError) as caught:
        Classifier.load(folder)

    message = str(caught.value)
    assert str(folder / "model.onnx") in message
    assert processor() in message
    assert "golden review 1" in message
    assert f"expected {expected['label']} 0.9000" in message


def test_a_golden_review_without_words_is_rejected(tmp_path: Path) -> None:
    folder = with_golden(write_model(tmp_path), {"text": " ", "label": "positive", "score": 0.9})

    with pytest.raises(ModelError, match="golden review 0"):
        Classifier.load(folder)


def with_inputs(folder: Path, batch: int | None, tokens: int | None, kind: int = TensorProto.INT64) -> Path:
    """Fix dimensions of the inputs of a model, and set their type."""
    graph = onnx.load(folder / "model.onnx")
    for value in graph.graph.input:
        value.type.tensor_type.elem_type = kind
        for dimension, size in zip(value.type.tensor_type.shape.dim, (batch, tokens), strict=True):
            if size:
                dimension.dim_value = size
    onnx.save(graph, folder / "model.onnx")
    return folder


@pytest.mark.parametrize(
    ("batch", "tokens", "kind"),
    [
        (1, None, TensorProto.INT64),
        (None, 16, TensorProto.INT64),
        (1, 8, TensorProto.INT32),
        (4, 12, TensorProto.INT32),
    ],
)
def test_a_model_with_fixed_inputs_gives_the_same_verdicts(
    tmp_path: Path, batch: int | None, tokens: int | None, kind: int
) -> None:
    """A long text is split into windows of the length that the graph takes."""
    texts = ["good film", "the film was not bad. awful!", "great " * 6, "bad " * 5 + "good " * 30]
    flexible = write_model(tmp_path / "flexible")
    (flexible / "bundle.json").write_text(json.dumps({"window_tokens": tokens or 16}), encoding="utf-8")
    expected = Classifier.load(flexible).classify(texts)

    fixed = Classifier.load(with_inputs(write_model(tmp_path / "fixed"), batch, tokens, kind))

    for verdict, other in zip(fixed.classify(texts), expected, strict=True):
        assert verdict.score == pytest.approx(other.score, abs=TOLERANCE)
        assert (verdict.label, verdict.tokens, verdict.windows) == (other.label, other.tokens, other.windows)


def test_a_model_whose_windows_have_no_room_for_text_is_rejected(tmp_path: Path) -> None:
    folder = with_inputs(write_model(tmp_path), None, 2)

    with pytest.raises(ModelError, match=r"model\.onnx takes windows of 2 tokens"):
        Classifier.load(folder)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf])
def test_a_model_that_does_not_return_numbers_is_rejected(tmp_path: Path, weight: float) -> None:
    folder = write_model(tmp_path, words=WORDS | {"good": weight})

    with pytest.raises(ModelError, match=r"model\.onnx returns NaN or infinity"):
        Classifier.load(folder)


def test_golden_reviews_find_a_model_that_does_not_return_numbers(tmp_path: Path) -> None:
    golden = {"text": "good", "label": "negative", "score": 0.9}
    folder = with_golden(write_model(tmp_path, words=WORDS | {"good": math.nan}), golden)

    with pytest.raises(ModelError, match="returns a wrong result"):
        Classifier.load(folder)


def test_a_model_of_another_task_is_rejected(tmp_path: Path) -> None:
    """It returns logits for each token, and does not say how many."""
    graph = onnx.load(write_model(tmp_path) / "model.onnx")
    del graph.graph.output[:]
    graph.graph.output.append(onnx.helper.make_tensor_value_info("logits", TensorProto.FLOAT, None))
    for node in graph.graph.node:
        names = {"logits": "mean", "token_logits": "logits"}
        node.output[:] = [names.get(name, name) for name in node.output]
        node.input[:] = [names.get(name, name) for name in node.input]
    onnx.save(graph, tmp_path / "model.onnx")

    with pytest.raises(ModelError, match="logits of shape"):
        Classifier.load(tmp_path)


def test_a_tokenizer_of_another_model_is_rejected(tmp_path: Path) -> None:
    """Its tokens do not exist in the graph."""
    write_model(tmp_path)
    other = tokenizer()
    other.add_tokens(["film was", "music"])
    other.save(str(tmp_path / "tokenizer.json"))

    with pytest.raises(ModelError, match="export both from the same model"):
        Classifier.load(tmp_path)
