import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.tiny import WORDS, write_model
from typer.testing import CliRunner

from reviewbox.cli import app

# The weights of model B.
OTHER_WORDS = WORDS | {"good": 1.0, "not": 2.0, "the": -1.0}

# An empty review, three on which the models agree, and three that flip.
REVIEWS = ["the the", "great film", "not good bad", "", "not", "awful film", "film not"]
ROWS_OF_FLIPS = [5, 7, 3]  # in descending order of the scores


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


def compare(*arguments: object) -> dict[str, Any]:
    comparison: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return comparison


def error_message(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    return result.stderr


def test_a_model_agrees_with_itself(models: tuple[Path, Path], reviews: Path) -> None:
    comparison = compare(models[0], models[0], reviews)

    assert (comparison["agreement"], comparison["mean_difference"], comparison["largest_difference"]) == (
        1.0,
        0.0,
        0.0,
    )
    assert comparison["flips"] == []
    assert [direction["reviews"] for direction in comparison["directions"]] == [0, 0]


def test_without_flips_there_is_no_table_of_zeros(models: tuple[Path, Path], reviews: Path) -> None:
    output = run(models[0], models[0], reviews)

    assert "No verdict changes." in output
    assert "A says" not in output


def test_flips_are_counted_in_each_direction(models: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [{"text": text} for text in ("not", "not", "good the the", "great", "bad")]

    comparison = compare(*models, write_json_lines(tmp_path / "a.jsonl", rows))

    assert comparison["agreement"] == pytest.approx(2 / 5)
    assert {(d["a"], d["b"]): d["reviews"] for d in comparison["directions"]} == {
        ("negative", "positive"): 2,
        ("positive", "negative"): 1,
    }


def test_the_difference_is_between_positive_probabilities(models: tuple[Path, Path], tmp_path: Path) -> None:
    """A word of weight w has the logits w for "positive" and -w for "negative": P = 1 / (1 + exp(-2w))."""
    rows = [{"text": "good"}, {"text": "not"}, {"text": "bad"}]

    comparison = compare(*models, write_json_lines(tmp_path / "a.jsonl", rows))

    good, not_ = 0.98201379 - 0.88079708, 0.98201379 - 0.11920292
    assert comparison["mean_difference"] == pytest.approx((good + not_) / 3, abs=1e-6)
    assert comparison["largest_difference"] == pytest.approx(not_, abs=1e-6)


def test_flips_are_listed_by_file_and_row_with_the_highest_scores_first(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    first = write_json_lines(tmp_path / "a.jsonl", [{"text": "great"}, {"text": "film not"}])
    (tmp_path / "b.csv").write_text('text\n"good\ngreat"\nnot\n', encoding="utf-8")

    comparison = compare(*models, first, tmp_path / "b.csv")

    assert [(Path(flip["file"]).name, flip["row"]) for flip in comparison["flips"]] == [
        ("b.csv", 2),
        ("a.jsonl", 2),
    ]
    first_flip = comparison["flips"][0]
    assert (first_flip["a"]["label"], first_flip["b"]["label"]) == ("negative", "positive")
    assert first_flip["a"]["score"] == pytest.approx(0.88079708)
    assert first_flip["b"]["score"] == pytest.approx(0.98201379)


def test_the_flips_option_limits_the_list(models: tuple[Path, Path], tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "not"}] * 25)

    assert len(compare(*models, path)["flips"]) == 20
    assert len(compare(*models, path, "--flips", "25")["flips"]) == 25
    none = compare(*models, path, "--flips", "0")
    assert none["flips"] == []
    assert none["directions"][0]["reviews"] == 25
    assert "25 flips, 20 listed" in run(*models, path)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_texts_are_shown_only_on_request(
    models: tuple[Path, Path], tmp_path: Path, options: list[str]
) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "not the [sequel] \ud800 film"}])

    assert "sequel" not in run(*models, path, *options)
    assert "not the [sequel] ? film" in run(*models, path, "--show-text", *options)


def test_reviews_without_a_verdict_are_counted(models: tuple[Path, Path], reviews: Path) -> None:
    comparison = compare(*models, reviews)

    assert (comparison["reviews"], comparison["compared"]) == (7, 6)
    assert (comparison["a"]["without_verdict"], comparison["b"]["without_verdict"]) == (1, 1)
    assert "7 reviews, 6 with a verdict from both" in run(*models, reviews)


def test_reviews_without_any_verdict_are_refused(models: tuple[Path, Path], tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": ""}, {"text": " "}])

    assert "none of the 2 reviews has a verdict from both models" in error_message(*models, path)


def test_accuracy_is_shown_if_every_review_has_a_label(models: tuple[Path, Path], tmp_path: Path) -> None:
    """A review without a verdict counts as wrong, as in `evaluate`."""
    rows = [{"text": text, "label": label} for text, label in (("not", "pos"), ("bad", 0), ("", 1))]
    labeled = write_json_lines(tmp_path / "a.jsonl", rows)
    # Parquet without the column, and CSV with an empty cell
    pq.write_table(pa.table({"text": ["great"]}), tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_text("text,label\ngreat,\n", encoding="utf-8")

    comparison = compare(*models, labeled)

    assert comparison["a"]["accuracy"] == pytest.approx(1 / 3)
    assert comparison["b"]["accuracy"] == pytest.approx(2 / 3)
    assert "accuracy  " in run(*models, labeled)
    for unlabeled in ("b.parquet", "c.csv"):
        files = labeled, tmp_path / unlabeled
        assert compare(*models, *files)["a"]["accuracy"] is None
        assert "accuracy  " not in run(*models, *files)


def test_an_unknown_label_is_reported_with_its_file_and_row(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "good"}, {"text": "bad", "label": "maybe"}])

    assert "a.jsonl, row 2: `label` is 'maybe'" in error_message(*models, path)


def test_each_model_has_its_processor_time(models: tuple[Path, Path], reviews: Path) -> None:
    """Per review and per token, with the ratios of B to A."""
    comparison = compare(*models, reviews)

    a, b = comparison["a"], comparison["b"]
    assert a["cpu_ms_per_review"] > 0
    assert a["cpu_ms_per_1000_tokens"] == pytest.approx(a["cpu_ms_per_review"] * 7 / 12 * 1000)
    for figure in ("per_review", "per_1000_tokens"):
        ratio = b[f"cpu_ms_{figure}"] / a[f"cpu_ms_{figure}"]
        assert comparison[f"cpu_ratio_{figure}"] == pytest.approx(ratio)


def test_reviews_keep_their_order_over_many_turns(models: tuple[Path, Path], tmp_path: Path) -> None:
    """There are more reviews than a model classifies in one turn, and only the last one flips."""
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "great"}] * 99 + [{"text": "not"}])

    (flip,) = compare(*models, path)["flips"]

    assert flip["row"] == 100


@pytest.mark.parametrize(
    "labels", [("NEG", "POS"), ("LABEL_0", "LABEL_1")], ids=["other names", "default names"]
)
def test_labels_with_the_same_meaning_match(
    models: tuple[Path, Path], tmp_path: Path, reviews: Path, labels: tuple[str, str]
) -> None:
    comparison = compare(models[0], write_model(tmp_path / "b", labels=labels), reviews)

    assert (comparison["agreement"], comparison["largest_difference"]) == (1.0, 0.0)


def test_labels_are_matched_by_name_and_not_by_position(
    models: tuple[Path, Path], tmp_path: Path, reviews: Path
) -> None:
    """A model with swapped labels gives the opposite label to each review."""
    opposite = write_model(tmp_path / "b", labels=("positive", "negative"))
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "great"}, {"text": "awful"}])

    comparison = compare(models[0], opposite, path)

    assert comparison["agreement"] == 0.0
    assert [direction["reviews"] for direction in comparison["directions"]] == [1, 1]


def test_models_can_have_three_labels(tmp_path: Path, reviews: Path) -> None:
    labels = ("Negative", "Neutral", "Positive")
    a = write_model(tmp_path / "a", labels=labels)
    b = write_model(tmp_path / "b", labels=labels, words=OTHER_WORDS)

    comparison = compare(a, b, reviews)

    assert len(comparison["directions"]) == 6
    assert comparison["flips"][0]["b"]["label"] == "positive"


def test_the_error_for_different_labels_names_the_labels_of_both_models(
    models: tuple[Path, Path], tmp_path: Path, reviews: Path
) -> None:
    three = write_model(tmp_path / "b", labels=("1 star", "2 stars", "3 stars"))

    message = error_message(models[0], three, reviews)

    assert f"{models[0]} has negative, positive," in message
    assert f"{three} has 1 star, 2 stars, 3 stars" in message


def test_a_model_with_more_labels_is_compared_on_both_sides(
    models: tuple[Path, Path], tmp_path: Path, reviews: Path
) -> None:
    three = write_model(tmp_path / "b", labels=("negative", "neutral", "positive"))

    comparison = compare(models[0], three, reviews)

    assert comparison["agreement"] == 1
    assert {direction["b"] for direction in comparison["directions"]} == {"negative", "positive"}


def test_models_without_a_positive_label_are_refused(tmp_path: Path, reviews: Path) -> None:
    stars = write_model(tmp_path / "stars", labels=("1 star", "2 stars", "3 stars"))

    assert "none of the models' labels 1 star, 2 stars, 3 stars is positive" in error_message(
        stars, stars, reviews
    )


def test_the_default_output_is_tables(models: tuple[Path, Path], reviews: Path) -> None:
    output = run(*models, reviews)

    rows = [line.split() for line in output.splitlines()]
    assert ["A", str(models[0])] in rows
    assert ["agreement", "50.00%"] in rows
    assert ["negative", "positive", "3"] in rows
    listed = [row for row in rows if row and row[0] == str(reviews)]
    assert [int(row[1]) for row in listed] == ROWS_OF_FLIPS
    assert listed[0][2:] == ["negative", "0.8808", "positive", "0.9820"]


def test_files_as_tools_export_them_are_compared(models: tuple[Path, Path], tmp_path: Path) -> None:
    """Neither their encoding nor the name of their column has to be changed first."""
    rows = ["Great film, bad sequel.", "Not the good film that I wanted.", "Awful, awful, awful."]
    export = "Package Name,Review Text,Star Rating\n" + "".join(f'com.example,"{row}",3\n' for row in rows)
    (tmp_path / "months").mkdir()
    (tmp_path / "months" / "202501.csv").write_text(export, encoding="utf-16")
    (tmp_path / "months" / "202502.json").write_text(
        json.dumps({"data": [{"id": 1, "review": row} for row in rows]}), encoding="utf-8"
    )

    comparison = compare(*models, tmp_path / "months")

    assert (comparison["reviews"], comparison["a"]["accuracy"]) == (6, None)


def test_a_file_without_reviews_is_refused_by_its_name(models: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,price\n1,2.50\n2,3.50\n", encoding="utf-8")

    assert f"{tmp_path / 'a.csv'}: " in error_message(*models, tmp_path / "a.csv")


def test_the_settings_name_the_field_of_such_a_file(
    models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("pros;cons\na good film;none\ngood;too long\n", encoding="utf-8")
    monkeypatch.setenv("REVIEWBOX_TEXT_FIELD", "pros,cons")

    assert compare(*models, tmp_path / "a.csv")["reviews"] == 2
