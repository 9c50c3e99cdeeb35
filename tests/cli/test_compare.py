import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.tiny import WORDS, write_model
from typer.testing import CliRunner

from reviewbox.cli import app

# What the other model makes of words.
OTHER_WORDS = WORDS | {"good": 1.0, "not": 2.0, "the": -1.0}

# One that no model judges, three on which these two agree, and three that flip.
REVIEWS = ["the the", "great film", "not good bad", "", "not", "awful film", "film not"]
ROWS_OF_FLIPS = [5, 7, 3]  # the surest first


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return write_model(folder / "a"), write_model(folder / "b", words=OTHER_WORDS)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    return write_json_lines(tmp_path / "reviews.jsonl", [{"text": text} for text in REVIEWS])


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments), "--threads", "1"])
    assert result.exit_code == 0, result.output
    return result.stdout


def compared(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return found


def refusal(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    return result.stderr


def test_a_model_agrees_with_itself(models: tuple[Path, Path], reviews: Path) -> None:
    found = compared(models[0], models[0], reviews)

    assert (found["agreement"], found["mean_difference"], found["largest_difference"]) == (1.0, 0.0, 0.0)
    assert found["flips"] == []
    assert [direction["reviews"] for direction in found["directions"]] == [0, 0]


def test_flips_are_counted_in_each_direction(models: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [{"text": text} for text in ("not", "not", "good the the", "great", "bad")]

    found = compared(*models, write_json_lines(tmp_path / "a.jsonl", rows))

    assert found["agreement"] == pytest.approx(2 / 5)
    assert {(d["a"], d["b"]): d["reviews"] for d in found["directions"]} == {
        ("negative", "positive"): 2,
        ("positive", "negative"): 1,
    }


def test_the_difference_is_that_of_the_positive_probability(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    """A word's weight w is the logit of "positive" and -w that of "negative": P = 1 / (1 + exp(-2w))."""
    rows = [{"text": "good"}, {"text": "not"}, {"text": "bad"}]

    found = compared(*models, write_json_lines(tmp_path / "a.jsonl", rows))

    good, not_ = 0.98201379 - 0.88079708, 0.98201379 - 0.11920292
    assert found["mean_difference"] == pytest.approx((good + not_) / 3, abs=1e-6)
    assert found["largest_difference"] == pytest.approx(not_, abs=1e-6)


def test_flips_are_listed_by_place_the_surest_first(models: tuple[Path, Path], tmp_path: Path) -> None:
    first = write_json_lines(tmp_path / "a.jsonl", [{"text": "great"}, {"text": "film not"}])
    (tmp_path / "b.csv").write_text('text\n"good\ngreat"\nnot\n', encoding="utf-8")

    found = compared(*models, first, tmp_path / "b.csv")

    assert [(Path(flip["file"]).name, flip["row"]) for flip in found["flips"]] == [
        ("b.csv", 2),
        ("a.jsonl", 2),
    ]
    surest = found["flips"][0]
    assert (surest["a"]["label"], surest["b"]["label"]) == ("negative", "positive")
    assert surest["a"]["score"] == pytest.approx(0.88079708)
    assert surest["b"]["score"] == pytest.approx(0.98201379)


def test_as_many_flips_are_listed_as_asked_for(models: tuple[Path, Path], tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "not"}] * 25)

    assert len(compared(*models, path)["flips"]) == 20
    assert len(compared(*models, path, "--flips", "25")["flips"]) == 25
    none = compared(*models, path, "--flips", "0")
    assert none["flips"] == []
    assert none["directions"][0]["reviews"] == 25
    assert "25 flips, 20 listed" in run(*models, path)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_texts_are_shown_only_if_asked_for(
    models: tuple[Path, Path], tmp_path: Path, options: list[str]
) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "not the [sequel] \ud800 film"}])

    assert "sequel" not in run(*models, path, *options)
    assert "not the [sequel] ? film" in run(*models, path, "--show-text", *options)


def test_reviews_without_a_verdict_are_counted(models: tuple[Path, Path], reviews: Path) -> None:
    found = compared(*models, reviews)

    assert (found["reviews"], found["compared"]) == (7, 6)
    assert (found["a"]["without_verdict"], found["b"]["without_verdict"]) == (1, 1)
    assert "7 reviews, 6 with a verdict from both" in run(*models, reviews)


def test_reviews_of_which_none_has_a_verdict_are_refused(models: tuple[Path, Path], tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": ""}, {"text": " "}])

    assert "of 2 reviews, not one has a verdict from both" in refusal(*models, path)


def test_accuracy_is_told_where_every_review_has_a_label(models: tuple[Path, Path], tmp_path: Path) -> None:
    """A review without a verdict counts as wrong, as it does in `evaluate`."""
    rows = [{"text": text, "label": label} for text, label in (("not", "pos"), ("bad", 0), ("", 1))]
    labelled = write_json_lines(tmp_path / "a.jsonl", rows)
    # Parquet without the column, and CSV that leaves it blank
    pq.write_table(pa.table({"text": ["great"]}), tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_text("text,label\ngreat,\n", encoding="utf-8")

    found = compared(*models, labelled)

    assert found["a"]["accuracy"] == pytest.approx(1 / 3)
    assert found["b"]["accuracy"] == pytest.approx(2 / 3)
    assert "accuracy  " in run(*models, labelled)
    for unlabelled in ("b.parquet", "c.csv"):
        files = labelled, tmp_path / unlabelled
        assert compared(*models, *files)["a"]["accuracy"] is None
        assert "accuracy  " not in run(*models, *files)


def test_an_unknown_label_is_named_by_its_place(models: tuple[Path, Path], tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "good"}, {"text": "bad", "label": "maybe"}])

    assert "a.jsonl, row 2: `label` is 'maybe'" in refusal(*models, path)


def test_each_model_has_its_speed(models: tuple[Path, Path], reviews: Path) -> None:
    """Both by the review and by the token, and the ratios are those of B to A."""
    found = compared(*models, reviews)

    a, b = found["a"], found["b"]
    assert a["cpu_ms_per_review"] > 0
    assert a["cpu_ms_per_1000_tokens"] == pytest.approx(a["cpu_ms_per_review"] * 7 / 12 * 1000)
    for figure in ("per_review", "per_1000_tokens"):
        ratio = b[f"cpu_ms_{figure}"] / a[f"cpu_ms_{figure}"]
        assert found[f"cpu_ratio_{figure}"] == pytest.approx(ratio)


def test_reviews_keep_their_order_over_many_turns(models: tuple[Path, Path], tmp_path: Path) -> None:
    """More reviews than a model judges in one turn, of which the last flips."""
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "great"}] * 99 + [{"text": "not"}])

    (flip,) = compared(*models, path)["flips"]

    assert flip["row"] == 100


@pytest.mark.parametrize(
    "labels", [("NEG", "POS"), ("LABEL_0", "LABEL_1")], ids=["other names", "names by default"]
)
def test_labels_of_one_meaning_are_one(
    models: tuple[Path, Path], tmp_path: Path, reviews: Path, labels: tuple[str, str]
) -> None:
    found = compared(models[0], write_model(tmp_path / "b", labels=labels), reviews)

    assert (found["agreement"], found["largest_difference"]) == (1.0, 0.0)


def test_labels_are_matched_by_name_not_by_column(
    models: tuple[Path, Path], tmp_path: Path, reviews: Path
) -> None:
    """With its labels swapped, a model says the opposite of everything."""
    opposite = write_model(tmp_path / "b", labels=("positive", "negative"))
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "great"}, {"text": "awful"}])

    found = compared(models[0], opposite, path)

    assert found["agreement"] == 0.0
    assert [direction["reviews"] for direction in found["directions"]] == [1, 1]


def test_models_may_have_more_labels(tmp_path: Path, reviews: Path) -> None:
    labels = ("Negative", "Neutral", "Positive")
    a = write_model(tmp_path / "a", labels=labels)
    b = write_model(tmp_path / "b", labels=labels, words=OTHER_WORDS)

    found = compared(a, b, reviews)

    assert len(found["directions"]) == 6
    assert found["flips"][0]["b"]["label"] == "positive"


def test_models_of_different_labels_are_refused_by_both_sets(
    models: tuple[Path, Path], tmp_path: Path, reviews: Path
) -> None:
    three = write_model(tmp_path / "b", labels=("negative", "neutral", "positive"))

    message = refusal(models[0], three, reviews)

    assert f"{models[0]} has negative, positive," in message
    assert f"{three} has negative, neutral, positive" in message


def test_models_without_a_positive_label_are_refused(tmp_path: Path, reviews: Path) -> None:
    stars = write_model(tmp_path / "stars", labels=("1 star", "2 stars", "3 stars"))

    assert "none of the models' labels 1 star, 2 stars, 3 stars is positive" in refusal(stars, stars, reviews)


def test_people_get_tables(models: tuple[Path, Path], reviews: Path) -> None:
    output = run(*models, reviews)

    rows = [line.split() for line in output.splitlines()]
    assert ["A", str(models[0])] in rows
    assert ["agreement", "50.00%"] in rows
    assert ["negative", "positive", "3"] in rows
    listed = [row for row in rows if row and row[0] == str(reviews)]
    assert [int(row[1]) for row in listed] == ROWS_OF_FLIPS
    assert listed[0][2:] == ["negative", "0.8808", "positive", "0.9820"]
