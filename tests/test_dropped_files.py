"""Classifies a folder of varied and broken files with the service and with `reviewbox classify`."""

import csv
import io
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import BUCKET
from tests.dropped_files import Dropped, write_files
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.large_tables.work import storage_of
from typer.testing import CliRunner

from handlers import on_upload
from reviewbox.cli import app
from reviewbox.documents.compression import decompress
from reviewbox.events import upload_message
from reviewbox.local.function import Context
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.sending import MAX_BATCH
from reviewbox.settings import Settings

SEED = 20240229

# The label, score and error code of a review in the results.
ReviewOutcome = tuple[str | None, float | None, str | None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dropped")


@pytest.fixture(scope="module")
def dropped(folder: Path) -> list[Dropped]:
    return write_files(folder, SEED)


@pytest.fixture(scope="module")
def receipts(dropped: list[Dropped], classifier: Classifier) -> dict[str, dict[str, Any]]:
    """Upload each file, invoke the handler, and return the file's receipt, with the `rows` of a table."""
    store = S3(Clock(), buckets={BUCKET: Bucket()})
    pipeline = Pipeline(storage_of(store), classifier, Settings())
    for file in dropped:
        Client(store).put_object(Bucket=BUCKET, Key=f"incoming/{file.name}", Body=file.data)
    for start in range(0, len(dropped), MAX_BATCH):
        response = on_upload.handler(
            delivery(dropped[start : start + MAX_BATCH]), Context(timeout_seconds=900), pipeline
        )
        assert response == {"batchItemFailures": []}
    return {file.name: receipt(file.name, store) for file in dropped}


def delivery(files: list[Dropped]) -> dict[str, Any]:
    """Return the event with which SQS delivers the messages about some files."""
    records = [
        {
            "eventSource": "aws:sqs",
            "messageId": file.name,
            "body": upload_message(ObjectRef(BUCKET, f"incoming/{file.name}")),
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for file in files
    ]
    return {"Records": records}


def receipt(name: str, store: S3) -> dict[str, Any]:
    objects = store.buckets[BUCKET].objects
    content: dict[str, Any] = json.loads(objects[f"results/incoming/{name}.json"].body)
    for part in content.get("parts", []):
        rows = outcomes_in_table(part["key"], objects[part["key"]].body, content["notes"])
        content["rows"] = content.get("rows", []) + rows
    return content


def outcomes_in_table(key: str, data: bytes, notes: dict[str, Any]) -> list[ReviewOutcome]:
    text = decompress(data, 10**9).data.decode("utf-8-sig")
    if ".jsonl" in key:
        rows = [json.loads(line) for line in text.splitlines()]
        # The added fields are the last six, even if they are renamed.
        return [outcome(*list(row.values())[-6:-1]) for row in rows]
    delimiter = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}[notes["delimiter"]]
    quoting = csv.QUOTE_NONE if notes["quotes"] == "none" else csv.QUOTE_MINIMAL
    escape = "\\" if notes["quotes"] == "backslash" else None
    lines = io.StringIO(text.removeprefix("sep=;\r\n"), newline="")
    records = list(csv.reader(lines, delimiter=delimiter, quoting=quoting, escapechar=escape))  # type: ignore[arg-type]
    # A table without a header row gets one.
    return [outcome(*record[-6:-1]) for record in records[1:]]


def outcome(
    sentiment: Any, score: Any, needs_review: Any, other_language: Any, error_code: Any
) -> ReviewOutcome:
    del needs_review, other_language
    absent = (None, "", "\\N")
    return (
        None if sentiment in absent else sentiment,
        None if score in absent else float(score),
        None if error_code in absent else error_code,
    )


def outcomes_in_receipt(content: dict[str, Any]) -> list[ReviewOutcome]:
    if "error" in content:
        return [(None, None, content["error"]["code"])]
    if "counts" in content:
        rows: list[ReviewOutcome] = content["rows"]
        return rows
    return [(content["sentiment"], content["score"], None)]


def test_every_file_has_a_receipt_that_accounts_for_every_row(
    dropped: list[Dropped], receipts: dict[str, dict[str, Any]]
) -> None:
    for file in dropped:
        rows = outcomes_in_receipt(receipts[file.name])
        errors = Counter(code for _, _, code in rows if code)
        assert (file.name, len(rows), errors) == (file.name, file.rows, file.errors)
        counts = receipts[file.name].get("counts")
        if counts:
            assert counts["total"] == file.rows == sum(counts["labels"].values()) + counts["failed"]
            assert (counts["failed"], counts["errors"]) == (errors.total(), errors)


def test_classify_prints_the_same_outcomes(
    folder: Path, dropped: list[Dropped], receipts: dict[str, dict[str, Any]], tiny_model: Path
) -> None:
    result = CliRunner().invoke(app, ["classify", str(folder), "--model", str(tiny_model)])

    assert result.exit_code == 1  # some have no verdict
    by_file = defaultdict(list)
    for line in result.stdout.splitlines():
        row = json.loads(line)
        by_file[str(Path(row["file"]).relative_to(folder))].append(
            (row.get("sentiment"), row.get("score"), row.get("error_code"))
        )
    assert by_file == {file.name: outcomes_in_receipt(receipts[file.name]) for file in dropped}
