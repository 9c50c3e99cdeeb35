"""What `make build` made, under the Runtime Interface Emulator; the local cloud is S3."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulator import Function
from processes import LOGS
from results import keys, read, read_json, receipt_of
from samples import EVENTS, OBJECTS, batch_operation, content, load, objects_in

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import deliver

Invoke = Callable[[Any], Any]

ON_BATCH_OPERATION = "handlers.on_batch_operation.handler"
# Functions other than the one that uploads invoke, by what their samples' names start with.
HANDLERS = {"batch_operation_": ON_BATCH_OPERATION}


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_every_sample_event_is_answered_and_done(
    path: Path, function: Callable[[str], Function], cloud: Cloud, s3: Any
) -> None:
    """What an event of no known kind asks for is not done, and the answer says so."""
    event = load(path.stem)
    handler = next((HANDLERS[name] for name in HANDLERS if path.stem.startswith(name)), cloud.handler)
    sources = [source for source in objects_in(event) if source[1].startswith("incoming/")]
    for bucket, key in sources:
        put(s3, bucket, key)

    reply = function(handler).invoke(event)

    assert succeeded(reply) == ("unknown" not in path.stem), reply
    for bucket, key in sources:
        receipt = read_json(s3, bucket, receipt_of(key))
        assert (receipt["source"]["bucket"], receipt["source"]["key"]) == (bucket, key)
        assert "error" not in receipt


def test_a_review_comes_back_as_its_verdict(invoke: Invoke, s3: Any) -> None:
    invoke(load("s3_put"))

    assert keys(s3, BUCKET) == ["results/incoming/hotels/seaview.txt.json"]
    receipt = read_json(s3, BUCKET, "results/incoming/hotels/seaview.txt.json")
    assert receipt["sentiment"] == "positive"
    assert receipt["score"] > 0.8


def test_a_batch_brings_each_object_its_result(invoke: Invoke, s3: Any) -> None:
    """Keys are decoded once: a plus sign, a space and an accent arrive as they were."""
    invoke(load("sqs_s3"))

    review, table = "results/incoming/2026/my review+é.txt.json", "results/incoming/shop/earphones.jsonl"
    assert keys(s3, BUCKET) == [review, f"{table}.classified.jsonl", f"{table}.json"]
    assert read_json(s3, BUCKET, review)["sentiment"] == "negative"
    assert read_json(s3, BUCKET, f"{table}.json")["counts"]["labels"] == {"negative": 1, "positive": 2}
    rows = [json.loads(row) for row in read(s3, BUCKET, f"{table}.classified.jsonl").splitlines()]
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert [row["sentiment"] for row in rows] == ["positive", "negative", None, "positive"]
    assert rows[2]["error_code"] == "empty_review"


def test_a_key_from_eventbridge_is_not_decoded(invoke: Invoke, s3: Any) -> None:
    invoke(load("sqs_eventbridge"))

    assert keys(s3, BUCKET) == ["results/incoming/2026/my review+é.txt.json"]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_tasks_of_a_batch_operation_bring_their_results(
    version: str, function: Callable[[str], Function], s3: Any
) -> None:
    request = batch_operation(version, BUCKET, *OBJECTS)

    reply = function(ON_BATCH_OPERATION).invoke(request)

    assert reply["invocationId"] == request["invocationId"]
    tasks = [(task["taskId"], task["resultCode"]) for task in reply["results"]]
    assert tasks == [(task["taskId"], "Succeeded") for task in request["tasks"]]
    assert {receipt_of(key) for key in OBJECTS} <= set(keys(s3, BUCKET))


def test_an_event_delivered_twice_changes_nothing(invoke: Invoke, s3: Any) -> None:
    invoke(load("sqs_s3"))
    before = versions(s3)

    invoke(load("sqs_s3"))

    assert len(before) == 3
    assert versions(s3) == before


def test_what_is_dropped_reaches_the_function_through_the_queue(
    invoke: Invoke, cloud: Cloud, s3: Any
) -> None:
    for key in OBJECTS:
        put(s3, BUCKET, key)

    while deliver(cloud, lambda event, _: invoke(event)):
        pass

    assert {receipt_of(key) for key in OBJECTS} <= set(keys(s3, BUCKET))
    assert cloud.is_idle()


@pytest.mark.usefixtures("s3")
def test_a_message_that_means_nothing_is_the_only_one_to_return(invoke: Invoke) -> None:
    event = load("sqs_s3")
    event["Records"][0]["body"] = "{}"

    reply = invoke(event)

    assert reply == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}


@pytest.mark.usefixtures("s3")
def test_the_log_holds_no_review_text(invoke: Invoke, cloud: Cloud) -> None:
    for event in ("s3_put", "sqs_s3", "sqs_eventbridge"):
        invoke(load(event))

    log = (LOGS / f"{cloud.handler}.log").read_text(encoding="utf-8")
    assert "hotels/seaview.txt" in log
    assert not [text for text in ("spotless", "money back", "Superb sound") if text in log]


def succeeded(reply: Any) -> bool:
    """Return whether a reply, of whichever handler, reports no failure."""
    match reply:
        case {"batchItemFailures": failures}:
            return not failures
        case {"results": tasks}:
            return all(task["resultCode"] == "Succeeded" for task in tasks)
    return False


def put(s3: Any, bucket: str, key: str) -> None:
    """Put what an event names where it says that it is."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=content(key))


def versions(s3: Any) -> dict[str, Any]:
    """Return when each result was written, and its ETag."""
    heads = {key: s3.head_object(Bucket=BUCKET, Key=key) for key in keys(s3, BUCKET)}
    return {key: (head["LastModified"], head["ETag"]) for key, head in heads.items()}
