"""A field that was inferred is doubted if its texts turn out to have no opinions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import BUCKET
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.faults.sqs import MessageQueue, Sqs
from tests.large_tables.work import QUEUE, TABLE, deliver, plenty, put, receipt_of, storage_of
from tests.report.pages import data_of
from tests.tiny import write_model
from typer.testing import CliRunner

from reviewbox.cli import app
from reviewbox.cli.render import receipt_line
from reviewbox.cli.watch import watch_folder
from reviewbox.model.classifier import Classifier
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.settings import Settings

# To the tiny model, a text without a good word is neutral.
LABELS = ("neutral", "negative", "mixed", "positive")
DOUBT = (
    "Only {} of {} texts in `review` praise or blame anything. If they are not the reviews, set TextField to "
    "the field that contains them. The next best is `memo`."
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"), labels=LABELS, languages=("en",))


def table(texts: Sequence[str]) -> str:
    return "review,memo\n" + "".join(f"{text},memo number {number}\n" for number, text in enumerate(texts))


def classify(folder: Path, body: str, model: Path, settings: Settings | None = None) -> Path:
    """Classify a table as `reviewbox watch` does; return the folder of results."""
    inbox = folder / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text(body, encoding="utf-8")
    watcher = watch_folder(inbox, None, Classifier.load(model), settings or Settings(), lambda *_: None)
    watcher.scan()
    watcher.scan()
    return watcher.results


def notes(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "a.csv.json").read_text(encoding="utf-8"))["notes"])


@pytest.mark.parametrize("judging", [0, 2])
def test_texts_that_judge_nothing_are_doubted(judging: int, tmp_path: Path, model: Path) -> None:
    body = table(["good film"] * judging + ["the film"] * (12 - judging))

    assert notes(classify(tmp_path, body, model))["doubt"] == DOUBT.format(judging, 12)


@pytest.mark.parametrize(
    "texts",
    [
        ["good film"] * 3 + ["the film"] * 12,
        ["the film"] * 9,
        ["the film"] * 9 + ["der Streifen lief"] * 30,
    ],
    ids=["reviews", "few rows", "other language"],
)
def test_reviews_and_few_rows_and_other_languages_are_not_doubted(
    texts: Sequence[str], tmp_path: Path, model: Path
) -> None:
    assert "doubt" not in notes(classify(tmp_path, table(texts), model))


def test_a_field_that_the_settings_name_is_not_doubted(tmp_path: Path, model: Path) -> None:
    results = classify(tmp_path, table(["the film"] * 12), model, Settings(text_field="review"))

    assert "doubt" not in notes(results)


def test_a_model_with_other_labels_does_not_doubt(tmp_path: Path) -> None:
    """Nobody knows what is neutral to it."""
    model = write_model(tmp_path / "model", labels=("neutral", "negative", "positive"))

    assert "doubt" not in notes(classify(tmp_path, table(["the film"] * 12), model))


def test_commands_show_the_doubt(tmp_path: Path, model: Path) -> None:
    results = classify(tmp_path, table(["the film"] * 12), model)
    page = tmp_path / "report.html"

    classified = CliRunner().invoke(app, ["classify", str(tmp_path / "inbox"), "--model", str(model)])
    listed = CliRunner().invoke(app, ["results", str(results)])
    reported = CliRunner().invoke(app, ["report", str(results), "--output", str(page), "--sentences", "0"])

    assert DOUBT.format(0, 12).replace("TextField", "--text-field") in classified.stderr
    assert f"a.csv: {DOUBT.format(0, 12)}" in listed.stderr
    assert reported.exit_code == 0, reported.output
    assert f"a.csv: {DOUBT.format(0, 12)}" in data_of(page.read_text(encoding="utf-8"))["notes"]
    receipt = json.loads((results / "a.csv.json").read_text(encoding="utf-8"))
    assert "Only 0 of 12 texts in `review`" in receipt_line(receipt).plain


def test_the_receipt_of_a_table_in_parts_has_the_doubt(model: Path) -> None:
    """Its counts are enough: no row is read again."""
    store = S3(Clock(), buckets={BUCKET: Bucket()})
    client: Any = Client(store)
    sqs: Any = Client(Sqs(store.clock, queues={QUEUE: MessageQueue()}))
    settings = Settings(segment_bytes=300)
    pipeline = Pipeline(storage_of(store), Classifier.load(model), settings, Queue(QUEUE, sqs))
    put(client, table(["the film"] * 60).encode())

    assert pipeline.process(TABLE, plenty) is Outcome.SEGMENTED
    deliver(pipeline)

    receipt = receipt_of(client, TABLE)
    assert len(receipt["parts"]) > 1
    assert receipt["notes"]["doubt"] == DOUBT.format(0, 60)
