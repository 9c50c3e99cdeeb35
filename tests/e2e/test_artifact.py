"""The built artifact in the Runtime Interface Emulator, with the local cloud as S3."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError
from emulator import Function
from processes import LOGS, ROOT
from pyarrow.parquet import write_table
from samples import EVENTS, OBJECTS, batch_operation, content, created, load, objects_in
from stored_results import keys, read, read_json, receipt_of

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import deliver

PANICKING_PARQUET = ROOT / "tests/fuzz/corpus/documents/page_that_panics.parquet"

Invoke = Callable[[Any], Any]

ON_BATCH_OPERATION = "handlers.on_batch_operation.handler"
# The handlers of the other functions, besides the one for uploads, by the prefix of their samples' names.
HANDLERS = {"batch_operation_": ON_BATCH_OPERATION}


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_every_sample_event_is_processed(
    path: Path, function: Callable[[str], Function], cloud: Cloud, s3: Any
) -> None:
    """An event of an unknown kind is not processed, and the response reports a failure."""
    event = load(path.stem)
    handler = next((HANDLERS[name] for name in HANDLERS if path.stem.startswith(name)), cloud.handler)
    sources = [source for source in objects_in(event) if source[1].startswith("incoming/")]
    for bucket, key in sources:
        put(s3, bucket, key)

    response = function(handler).invoke(event)

    assert succeeded(response) == ("unknown" not in path.stem), response
    for bucket, key in sources:
        receipt = read_json(s3, bucket, receipt_of(key))
        assert (receipt["source"]["bucket"], receipt["source"]["key"]) == (bucket, key)
        assert "error" not in receipt


def test_a_review_gets_its_verdict(invoke: Invoke, s3: Any) -> None:
    invoke(load("s3_put"))

    assert keys(s3, BUCKET) == ["results/incoming/hotels/seaview.txt.json"]
    receipt = read_json(s3, BUCKET, "results/incoming/hotels/seaview.txt.json")
    assert receipt["sentiment"] == "positive"
    assert receipt["score"] > 0.8


def test_each_object_of_a_batch_gets_its_result(invoke: Invoke, s3: Any) -> None:
    """Keys are decoded once, so a plus sign, a space and an accent are preserved."""
    invoke(load("sqs_s3"))

    review, table = "results/incoming/2026/my review+é.txt.json", "results/incoming/shop/earphones.jsonl"
    (part,) = read_json(s3, BUCKET, f"{table}.json")["parts"]
    assert keys(s3, BUCKET) == [review, part["key"], f"{table}.json"]
    assert read_json(s3, BUCKET, review)["sentiment"] == "negative"
    assert read_json(s3, BUCKET, f"{table}.json")["counts"]["labels"] == {"negative": 1, "positive": 2}
    rows = [json.loads(row) for row in read(s3, BUCKET, part["key"]).splitlines()]
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert [row["sentiment"] for row in rows] == ["positive", "negative", None, "positive"]
    assert rows[2]["error_code"] == "empty_review"


def test_parquet_is_decoded_and_a_page_that_ends_the_decoder_is_refused(
    function: Callable[[str], Function], cloud: Cloud, s3: Any
) -> None:
    whole, damaged = "incoming/rooms.parquet", "incoming/damaged.parquet"
    table = BytesIO()
    write_table(pa.table({"review": ["A lovely quiet room.", "The room was dirty and loud."]}), table)
    s3.put_object(Bucket=BUCKET, Key=whole, Body=table.getvalue())
    s3.put_object(Bucket=BUCKET, Key=damaged, Body=PANICKING_PARQUET.read_bytes().partition(b"\n")[2])

    for key in (damaged, whole, damaged):
        assert function(cloud.handler).invoke(created(BUCKET, key)) is not None

    assert read_json(s3, BUCKET, receipt_of(damaged))["error"]["code"] == "corrupt_file"
    assert read_json(s3, BUCKET, receipt_of(whole))["counts"]["labels"] == {"negative": 1, "positive": 1}


def test_a_key_from_eventbridge_is_not_decoded(invoke: Invoke, s3: Any) -> None:
    invoke(load("sqs_eventbridge"))

    assert keys(s3, BUCKET) == ["results/incoming/2026/my review+é.txt.json"]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_tasks_of_a_batch_operation_get_their_results(
    version: str, function: Callable[[str], Function], s3: Any
) -> None:
    request = batch_operation(version, BUCKET, *OBJECTS)

    response = function(ON_BATCH_OPERATION).invoke(request)

    assert response["invocationId"] == request["invocationId"]
    tasks = [(task["taskId"], task["resultCode"]) for task in response["results"]]
    assert tasks == [(task["taskId"], "Succeeded") for task in request["tasks"]]
    assert {receipt_of(key) for key in OBJECTS} <= set(keys(s3, BUCKET))


def test_an_event_delivered_twice_changes_nothing(invoke: Invoke, s3: Any) -> None:
    invoke(load("sqs_s3"))
    before = versions(s3)

    invoke(load("sqs_s3"))

    assert len(before) == 3
    assert versions(s3) == before


def test_uploads_reach_the_function_through_the_queue(invoke: Invoke, cloud: Cloud, s3: Any) -> None:
    for key in OBJECTS:
        put(s3, BUCKET, key)

    while deliver(cloud, lambda event, _: invoke(event)):
        pass

    assert {receipt_of(key) for key in OBJECTS} <= set(keys(s3, BUCKET))
    assert not cloud.remaining()


@pytest.mark.usefixtures("s3")
def test_only_the_invalid_message_of_a_batch_is_returned(invoke: Invoke) -> None:
    event = load("sqs_s3")
    event["Records"][0]["body"] = "{}"

    response = invoke(event)

    assert response == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}


@pytest.mark.usefixtures("s3")
def test_the_log_holds_metrics_where_cloudwatch_looks_for_them(invoke: Invoke, cloud: Cloud) -> None:
    """The runtime writes them at the top level of a JSON line."""
    invoke(load("sqs_s3"))

    log = (LOGS / f"{cloud.handler}.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{") and '"_aws"' in line]
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == cloud.environment["REVIEWBOX_METRICS_NAMESPACE"]
        assert {metric["Name"] for metric in directive["Metrics"]} <= set(line)
    assert sum(line.get("Reviews", 0) for line in lines) > 0


def test_the_log_holds_no_review_text(invoke: Invoke, cloud: Cloud) -> None:
    for event in ("s3_put", "sqs_s3", "sqs_eventbridge"):
        invoke(load(event))

    log = (LOGS / f"{cloud.handler}.log").read_text(encoding="utf-8")
    assert "hotels/seaview.txt" in log
    assert not [text for text in ("spotless", "money back", "Superb sound") if text in log]


def succeeded(response: Any) -> bool:
    """Return whether the response of any handler reports no failure."""
    match response:
        case {"batchItemFailures": failures}:
            return not failures
        case {"results": tasks}:
            return all(task["resultCode"] == "Succeeded" for task in tasks)
    return False


def put(s3: Any, bucket: str, key: str) -> None:
    """Upload an object of the samples, and create its bucket if needed."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=content(key))


def versions(s3: Any) -> dict[str, Any]:
    """Return the time and ETag of each result."""
    heads = {key: s3.head_object(Bucket=BUCKET, Key=key) for key in keys(s3, BUCKET)}
    return {key: (head["LastModified"], head["ETag"]) for key, head in heads.items()}
