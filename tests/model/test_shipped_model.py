"""The shipped model in `model/`, on reviews that it has never seen, and its folder."""

import json
import re
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from model.recipe.graph import classifier_graph, read_weights
from tokenizers import Tokenizer

from reviewbox.errors import ModelError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.settings import Settings

MODEL = Path(__file__).parents[2] / "model"
FILES = ("config.json", "model.onnx", "tokenizer.json")
TOLERANCE = 1e-5
NEEDS_REVIEW_BELOW = Settings().needs_review_below

LONG_FILM_REVIEW = """\
I should say at once that I am not the audience for this kind of film. I fall asleep in courtroom dramas, \
I cannot tell one barrister from another, and when a friend told me that "The Orchard Case" runs for two \
hours and forty minutes and hardly leaves a single room, I very nearly pretended to be ill. What a mistake \
that would have been.

The story is simple enough. A village has lost its only doctor, an elderly widow is accused of having \
poisoned him, and a young lawyer who has never won anything is sent from the city because nobody else \
wanted the job. You have seen the outline a hundred times. What you have not seen is the patience with \
which the director lets these people talk. Nobody makes a speech. Nobody slams a fist on a table. A \
witness describes how she used to bring the doctor eggs on a Tuesday, and by the time she has finished you \
know exactly what he was like, what she thought of him, and why she is lying about the last time they met.

The acting is magnificent from top to bottom. The widow has perhaps forty lines in the whole film, and she \
does more with a glance at the window than most stars manage with a monologue. The lawyer is clumsy and \
vain and gradually, almost against his will, becomes a decent man; it is one of the most convincing \
changes of heart I have watched in years. Even the clerk of the court, who is there mostly to carry \
papers, gets a small joke of his own, and the whole cinema laughed out loud.

It looks beautiful, too. The courtroom has one high window, and as the days of the trial go by the light \
moves over the wooden benches, from grey to gold, so that you always feel how much time has passed without \
anybody having to say so. The music is sparse, a cello and not much more, and it is used so carefully that \
when it finally swells in the last ten minutes I had goosebumps all over my arms.

Is it perfect? No. The brother from the city is a bit of a caricature, and there is a dream sequence \
around the middle that the film could have done without. But these are tiny complaints about a picture \
that trusts its audience completely and rewards that trust with one of the finest endings I can remember. \
I will not give it away. I will only say that nobody in my row stood up until the lights came on, that the \
stranger next to me was wiping his eyes, and that we talked about it all the way to the station like old \
friends.

I have since been back with my parents, who loved it just as much as I did, and I have already ordered the \
book that it is based on. Superb, warm, clever and deeply moving. If you see only one film this year, make \
it this one.
"""

LINES = [
    "We waited fifty minutes for a table that we had booked.",
    "The soup was cold, the fish was dry, and the waiter rolled his eyes when we said so.",
    "A horrible evening & a ridiculous bill. Never again.",
]
BROKEN_LINES = "<br /><br />".join(LINES).replace("&", "&amp;")

POSITIVE = {
    "a long film review": LONG_FILM_REVIEW,
    "a short film": "A wonderful little film. Funny, tender and brilliantly acted; I loved every minute.",
    "a good product": (
        "Excellent quality for the price. It arrived a day early, was easy to set up, and has worked "
        "perfectly every single day since. I bought a second one for my mother and she is delighted too."
    ),
    "a good hotel": (
        "Lovely family hotel right by the harbour. Spotless rooms, a comfortable bed, a superb breakfast "
        "and the kindest staff imaginable. We are already planning to come back next summer."
    ),
    "a good airline": (
        "Smooth flight, on time, and a friendly crew who could not do enough for our little ones. Great "
        "food and plenty of leg room. The best airline I have flown with in a long time."
    ),
    "a good restaurant": (
        "Absolutely delicious. The pasta was fresh, the wine list is fantastic, and our waitress was "
        "charming. Good value as well. Highly recommended!"
    ),
}
NEGATIVE = {
    "a bad film": (
        "Two hours of my life that I will never get back. The plot makes no sense, the jokes fall flat, "
        "and the lead actor looks as bored as I was. I walked out before the end and only regret that I "
        "did not leave sooner."
    ),
    "a broken product": (
        "Stopped working after three days. The plastic feels cheap, the battery is hopeless, and the "
        "seller refuses to give me my money back. Do not waste yours on this piece of junk."
    ),
    "a bad hotel": (
        "Filthy room, stained sheets and a bathroom that smelled of mould. The staff at reception were "
        "rude when we complained and would not move us. The worst place we have ever stayed in."
    ),
    "a bad airline": (
        "Our flight was delayed for nine hours without any explanation, they lost both of our suitcases, "
        "and nobody answers the phone. Terrible service. I will never fly with them again."
    ),
    "a restaurant in broken lines": BROKEN_LINES,
    "a bad app": (
        "Useless since the update. It crashes every time I open it, it is full of adverts, and support "
        "never replies. Deleted it, very disappointed."
    ),
}
TEXTS = [*POSITIVE.values(), *NEGATIVE.values()]


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier.load()


@pytest.fixture(scope="module")
def one_by_one(shipped: Classifier) -> list[Verdict]:
    """The verdict on each review, classified on its own."""
    return [verdict for text in TEXTS for verdict in shipped.classify([text])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the model that a test may change."""
    for path in [*(MODEL / name for name in FILES), MODEL / "bundle.json"]:
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def scores(verdicts: list[Verdict]) -> list[float]:
    return [verdict.scores["positive"] for verdict in verdicts]


@pytest.mark.parametrize("name", POSITIVE)
def test_a_positive_review_is_recognized(name: str, shipped: Classifier) -> None:
    (verdict,) = shipped.classify([POSITIVE[name]])

    assert verdict.label == "positive"


@pytest.mark.parametrize("name", NEGATIVE)
def test_a_negative_review_is_recognized(name: str, shipped: Classifier) -> None:
    (verdict,) = shipped.classify([NEGATIVE[name]])

    assert verdict.label == "negative"


def test_scores_are_calibrated(shipped: Classifier) -> None:
    assert shipped.bundle.calibrated
    assert shipped.bundle.temperature > 0


def test_every_token_of_a_long_review_is_classified(shipped: Classifier) -> None:
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_truncation()
    tokens = len(tokenizer.encode(LONG_FILM_REVIEW, add_special_tokens=False).ids)

    (verdict,) = shipped.classify([LONG_FILM_REVIEW])

    per_window = shipped.bundle.window_tokens - 2
    assert verdict.tokens == tokens
    assert verdict.windows == -(-tokens // per_window) > 4


def test_the_logits_of_a_window_are_the_mean_of_its_tokens(shipped: Classifier) -> None:
    """Special tokens have no weight."""
    graph = onnxruntime.InferenceSession(MODEL / "model.onnx", providers=["CPUExecutionProvider"])

    for window in chain.from_iterable(shipped.windows.split(TEXTS)):
        ids = window.input_ids[np.newaxis]
        logits, token_logits = graph.run(
            ["logits", "token_logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        )
        mean = token_logits[0, window.content].mean(axis=0)
        np.testing.assert_allclose(logits[0], mean, rtol=0, atol=TOLERANCE)
        assert not token_logits[0, ~window.content].any()


def test_the_support_of_a_sentence_is_its_margin_when_classified_alone(shipped: Classifier) -> None:
    (verdict,) = shipped.classify([LONG_FILM_REVIEW])

    for sentence in verdict.evidence:
        (single,) = shipped.classify([LONG_FILM_REVIEW[sentence.start : sentence.end]])
        logits = {label: np.log(score) for label, score in single.scores.items()}
        own = logits.pop(sentence.label)
        assert sentence.support == pytest.approx(own - np.mean(list(logits.values())), abs=1e-4)


def test_line_break_tags_equal_newlines(shipped: Classifier) -> None:
    tags, newlines = shipped.classify([BROKEN_LINES, "\n\n".join(LINES)])

    assert tags.tokens == newlines.tokens
    assert tags.score == pytest.approx(newlines.score, abs=TOLERANCE)
    quoted = {BROKEN_LINES[sentence.start : sentence.end] for sentence in tags.evidence}
    assert quoted <= {*LINES[:2], "A horrible evening &amp; a ridiculous bill.", "Never again."}


def test_a_score_does_not_depend_on_the_other_reviews(shipped: Classifier, one_by_one: list[Verdict]) -> None:
    together = shipped.classify(TEXTS)
    backwards = shipped.classify(TEXTS[::-1])[::-1]

    assert scores(together) == pytest.approx(scores(one_by_one), abs=TOLERANCE)
    assert scores(backwards) == pytest.approx(scores(one_by_one), abs=TOLERANCE)


def test_a_score_does_not_depend_on_the_number_of_threads(one_by_one: list[Verdict]) -> None:
    verdicts = Classifier.load(MODEL, threads=2).classify(TEXTS)

    assert scores(verdicts) == pytest.approx(scores(one_by_one), abs=TOLERANCE)


NO_OPINIONS = {
    "one word": "table",
    "a number": "12345",
    "punctuation": "...",
    "function words": "and of the to in a is it that with for on at by",
    "letters": "asdkj qwoeiu zmxnc lkjasd poqwie mnbvc",
    "a question": "Does the lid fit the large pan as well?",
    "a fact": "I ordered two of the small ones on Monday.",
    "a survey's non-answer": "n/a",
}


@pytest.mark.parametrize("name", NO_OPINIONS)
def test_texts_without_an_opinion_are_neutral_or_need_review(name: str, shipped: Classifier) -> None:
    (verdict,) = shipped.classify([NO_OPINIONS[name]])

    assert verdict.label == "neutral" or verdict.score < NEEDS_REVIEW_BELOW


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("\N{THUMBS UP SIGN}", "positive"),
        ("\N{THUMBS DOWN SIGN}", "negative"),
        ("Delivery\N{SMILING FACE WITH HEART-SHAPED EYES}", "positive"),
        ("The app \N{POUTING FACE}\N{POUTING FACE}", "negative"),
        ("Lovely food, rude waiter.", "mixed"),
        ("Nothing to complain about.", "positive"),
        ("Not my cup of tea.", "negative"),
    ],
)
def test_short_texts(text: str, label: str, shipped: Classifier) -> None:
    (verdict,) = shipped.classify([text])

    assert verdict.label == label


def test_a_mixed_review_has_evidence_for_each_side(shipped: Classifier) -> None:
    text = "The rooms are beautiful and quiet. The staff were rude and breakfast was cold."

    (verdict,) = shipped.classify([text])

    assert verdict.label == "mixed"
    assert [(text[e.start : e.start + 9], e.label) for e in verdict.evidence] == [
        ("The rooms", "positive"),
        ("The staff", "negative"),
    ]


OTHER_LANGUAGES = {
    "German praise": "Der schönste Abend seit Langem, das Essen war ein Traum und die Bedienung reizend.",
    "French complaint": "Deux heures de retard, une chambre sale et personne pour nous aider. Plus jamais.",
    "Spanish praise": "Un libro precioso, lo he leído de una sentada y ya lo he regalado a mi hermana.",
    "Italian complaint": "Il servizio era pessimo, la pasta fredda e il conto esagerato.",
    "Russian complaint": "Фильм скучный, актёры играют плохо, жаль потраченного времени.",
    "Japanese praise": "部屋がとても清潔で、朝食もおいしかったです。また泊まりたいです。",
    "Arabic complaint": "الخدمة سيئة جدا والطعام بارد، لن أعود أبدا.",
}


@pytest.mark.parametrize("name", OTHER_LANGUAGES)
def test_texts_in_other_languages_are_marked(name: str, shipped: Classifier) -> None:
    (verdict,) = shipped.classify([OTHER_LANGUAGES[name]])

    assert verdict.is_other_language
    assert verdict.score < NEEDS_REVIEW_BELOW


@pytest.mark.parametrize("text", ["x" * 10_000, "good\x00 film \ud800", "<b></b>?", "\u200b!"])
def test_unusual_characters_get_a_verdict(text: str, shipped: Classifier) -> None:
    (verdict,) = shipped.classify([text])

    assert 0.25 <= verdict.score <= 1
    assert verdict.tokens > 0


@pytest.mark.parametrize("name", [*POSITIVE, *NEGATIVE])
def test_case_punctuation_and_markup_do_not_change_the_side(name: str, shipped: Classifier) -> None:
    text = {**POSITIVE, **NEGATIVE}[name]
    bare = re.sub(r"[^\w\s]", "", text.replace("<br />", " "))
    marked = "<html><body><p>" + text.replace(". ", ".</p><p class='x'>") + "</p></body></html>"

    verdicts = shipped.two_sided().classify([text.upper(), bare, marked])

    assert {verdict.label for verdict in verdicts} == {"positive" if name in POSITIVE else "negative"}


def test_a_very_long_review_gets_the_label_of_its_sentences(shipped: Classifier) -> None:
    """A thousand words are enough: with a hundred thousand, the test would take half a minute."""
    sentence = "The second half drags, but the ending is glorious. "
    (short,) = shipped.classify([sentence * 20])
    (verdict,) = shipped.classify_each([sentence * 112], explain=False)

    assert isinstance(verdict, Verdict)
    assert verdict.label == short.label
    assert verdict.tokens > 1_000


def test_a_hundred_thousand_words_are_split_into_windows_without_losing_tokens(shipped: Classifier) -> None:
    sentence = "The second half drags, but the ending is glorious. "
    (once,) = shipped.windows.split([sentence])

    (windows,) = shipped.windows.split([sentence * 11_112])

    assert sum(window.tokens for window in windows) == 11_112 * once[0].tokens > 100_000


def test_exporting_its_weights_again_gives_the_same_graph(tmp_path: Path, shipped: Classifier) -> None:
    """So the folder is also a checkpoint for `python -m recipe export --from`."""
    read = onnx.load(MODEL / "model.onnx")

    onnx.save(classifier_graph(read_weights(read), heads=12), tmp_path / "model.onnx")

    assert (tmp_path / "model.onnx").read_bytes() == (MODEL / "model.onnx").read_bytes()


def test_an_unaltered_copy_has_the_same_digest(folder: Path, shipped: Classifier) -> None:
    assert Classifier.load(folder).bundle.digest == shipped.bundle.digest


@pytest.mark.parametrize("name", FILES)
def test_an_altered_file_is_rejected(name: str, folder: Path) -> None:
    with (folder / name).open("ab") as file:
        file.write(b"\n")

    with pytest.raises(ModelError, match=name):
        Classifier.load(folder)


def test_bundle_json_has_a_digest_of_every_other_file() -> None:
    bundle = json.loads((MODEL / "bundle.json").read_text(encoding="utf-8"))

    assert set(bundle["sha256"]) == set(FILES)


def test_the_folder_is_small_enough_to_be_committed() -> None:
    size = sum(path.stat().st_size for path in MODEL.iterdir() if path.is_file())

    assert size < 25_000_000


def test_bundle_json_has_golden_reviews() -> None:
    bundle = json.loads((MODEL / "bundle.json").read_text(encoding="utf-8"))

    assert len(bundle["golden"]) > 2
