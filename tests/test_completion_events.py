"""The events that announce results: which are sent, and what happens if that fails or a worker dies."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.yaml_helper import yaml_parse
from tests.conftest import BUCKET
from tests.faults.clients import Client, Clock
from tests.faults.events import Events
from tests.faults.s3 import S3

from reviewbox.errors import EventBusError
from reviewbox.event_bus import EventBus
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

REVIEW = ObjectRef(BUCKET, "incoming/a.txt")
TABLE = ObjectRef(BUCKET, "incoming/b.jsonl")
ROWS = b'{"text": "good"}\n{"text": "zanzibar"}\n{"text": ""}\n'


def plenty() -> float:
    return 900.0


class Subscriber:
    """Whoever gets Reviewbox's events."""

    def __init__(self) -> None:
        self._events = Events(Clock())
        self.client: Any = Client(self._events)

    def details(self) -> list[dict[str, Any]]:
        """Return the details of the events since the last call, ordered by the key of the source."""
        details, self._events.details = self._events.details, []
        return sorted(details, key=lambda detail: detail["source"]["key"])


class FailingOnce:
    """An EventBridge client whose first request fails: with an error, or with one of its events rejected."""

    def __init__(self, client: Any, error: Exception | None = None) -> None:
        self._client = client
        self._error = error
        self.requests: list[int] = []

    def put_events(self, **request: Any) -> Any:
        entries = request["Entries"]
        self.requests.append(len(entries))
        if len(self.requests) > 1 and self._error:
            return self._client.put_events(**request)
        if self._error:
            raise self._error
        # Always rejects the event of one object.
        rejected = [entry for entry in entries if REVIEW.key in entry["Detail"]]
        accepted = [entry for entry in entries if entry not in rejected]
        if accepted:
            self._client.put_events(Entries=accepted)
        return {
            "Entries": [
                {"ErrorCode": "InternalFailure"} if entry in rejected else {"EventId": "1"}
                for entry in entries
            ]
        }


@pytest.fixture
def s3(store: S3) -> Client:
    return Client(store)


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@pytest.fixture(params=["alone", "in a batch with the fast path"])
def pipeline(
    request: pytest.FixtureRequest, storage: S3Storage, classifier: Classifier, subscriber: Subscriber
) -> Pipeline:
    queue = None if request.param == "alone" else Queue("https://queue.example")
    return Pipeline(storage, classifier, Settings(), queue, EventBus("default", subscriber.client))


def process(pipeline: Pipeline, *refs: ObjectRef) -> dict[Any, Any]:
    return dict(pipeline.process_all([*refs, ObjectRef(BUCKET, "elsewhere/ignored")], plenty))


def test_a_review_and_a_table_are_announced_with_source_receipt_counts_and_model(
    pipeline: Pipeline, subscriber: Subscriber, s3: Client
) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"great film")["ETag"]
    s3.put_object(Bucket=BUCKET, Key=TABLE.key, Body=ROWS)

    process(pipeline, REVIEW, TABLE)

    review, table = subscriber.details()
    assert review["outcome"] == table["outcome"] == "classified"
    assert review["source"]["etag"] == etag
    assert review["receipt"] == {"bucket": BUCKET, "key": f"results/{REVIEW.key}.json"}
    assert (review["counts"]["total"], review["counts"]["labels"]) == (1, {"positive": 1})
    receipt = json.loads(s3.get_object(Bucket=BUCKET, Key=table["receipt"]["key"])["Body"].read())
    assert table["counts"] == receipt["counts"]
    assert table["model"] == receipt["model"]
    assert table["source"] == receipt["source"]
    assert "zanzibar" not in json.dumps(table)


def test_a_refused_file_is_announced_with_its_error_code(
    pipeline: Pipeline, subscriber: Subscriber, s3: Client
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"")

    process(pipeline, REVIEW)

    (detail,) = subscriber.details()
    assert (detail["outcome"], detail["error"]) == ("refused", {"code": "empty_file"})
    assert detail["counts"]["total"] == 0


def test_an_error_that_another_attempt_may_fix_is_not_announced(
    pipeline: Pipeline, subscriber: Subscriber, s3: Client
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"great film", StorageClass="GLACIER")

    outcomes = process(pipeline, REVIEW)
    pipeline.record_failure(TABLE, TimeoutError())

    assert outcomes[REVIEW] is Outcome.REFUSED
    assert subscriber.details() == []


def test_a_worker_that_dies_before_the_event_is_made_up_for_by_the_next_delivery(
    pipeline: Pipeline, subscriber: Subscriber, s3: Client
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"great film")
    process(replace(pipeline, event_bus=None), REVIEW)  # writes the receipt, and sends nothing
    assert subscriber.details() == []

    outcomes = process(pipeline, REVIEW)

    assert outcomes[REVIEW] is Outcome.CURRENT
    assert [detail["source"]["key"] for detail in subscriber.details()] == [REVIEW.key]


def test_a_result_is_announced_even_if_its_worker_dies_and_its_source_is_deleted(
    pipeline: Pipeline, subscriber: Subscriber, s3: Client
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"great film")
    process(replace(pipeline, event_bus=None), REVIEW)
    s3.delete_object(Bucket=BUCKET, Key=REVIEW.key)

    outcomes = process(pipeline, REVIEW, TABLE)  # the table was never there

    assert outcomes[REVIEW] is outcomes[TABLE] is Outcome.GONE
    assert [detail["source"]["key"] for detail in subscriber.details()] == [REVIEW.key]


def test_objects_whose_events_cannot_be_sent_fail_and_the_next_delivery_sends_them(
    pipeline: Pipeline, subscriber: Subscriber, s3: Client
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"great film")
    client: Any = FailingOnce(subscriber.client, ConnectionError("unreachable"))
    pipeline = replace(pipeline, event_bus=EventBus("default", client))

    first = process(pipeline, REVIEW)
    assert isinstance(first[REVIEW], ConnectionError)
    # The last attempt would not replace the result by an error.
    pipeline.record_failure(REVIEW, first[REVIEW])
    second = process(pipeline, REVIEW)

    assert second[REVIEW] is Outcome.CURRENT
    assert len(subscriber.details()) == 1


def test_a_rejected_event_fails_its_object_only(
    pipeline: Pipeline, subscriber: Subscriber, s3: Client
) -> None:
    for ref in (REVIEW, TABLE):
        s3.put_object(Bucket=BUCKET, Key=ref.key, Body=ROWS)
    client: Any = FailingOnce(subscriber.client)
    bus = EventBus("default", client, sleep=lambda _: None)

    outcomes = process(replace(pipeline, event_bus=bus), REVIEW, TABLE)

    assert isinstance(outcomes[REVIEW], EventBusError)
    assert outcomes[TABLE] is Outcome.CLASSIFIED
    assert [detail["source"]["key"] for detail in subscriber.details()] == [TABLE.key]


def test_events_are_sent_ten_at_a_time(pipeline: Pipeline, subscriber: Subscriber, s3: Client) -> None:
    refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(23)]
    for ref in refs:
        s3.put_object(Bucket=BUCKET, Key=ref.key, Body=b"great film")
    client: Any = FailingOnce(subscriber.client, ConnectionError())
    client.requests.append(0)  # does not fail

    outcomes = process(replace(pipeline, event_bus=EventBus("default", client)), *refs)

    assert {outcomes[ref] for ref in refs} == {Outcome.CLASSIFIED}
    assert len(client.requests) == 4
    assert max(client.requests) <= 10
    assert sum(client.requests) == 23
    assert len(subscriber.details()) == 23


def test_a_large_table_is_announced_once_by_its_last_segment(
    storage: S3Storage, classifier: Classifier, subscriber: Subscriber, s3: Client
) -> None:
    settings = Settings(segment_bytes=40)
    pipeline = Pipeline(storage, classifier, settings, None, EventBus("default", subscriber.client))
    s3.put_object(Bucket=BUCKET, Key=TABLE.key, Body=ROWS * 3)

    process(pipeline, TABLE)

    (detail,) = subscriber.details()
    assert detail["counts"]["total"] == 9


def test_the_rule_in_the_guide_writes_a_mail_about_a_refused_file_only(
    pipeline: Pipeline, s3: Client, aws: None
) -> None:
    """The rule is taken from the guide. A queue stands for the topic, which passes the text on."""
    guide = (Path(__file__).parent.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    rule = yaml_parse(block)["RefusedFiles"]["Properties"]
    sqs, events = boto3.client("sqs"), boto3.client("events")
    url = sqs.create_queue(QueueName="mail")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="refused", EventPattern=json.dumps(rule["EventPattern"]))
    targets: Any = [{**target, "Arn": arn} for target in rule["Targets"]]
    events.put_targets(Rule="refused", Targets=targets)
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"")
    s3.put_object(Bucket=BUCKET, Key=TABLE.key, Body=ROWS)

    process(replace(pipeline, event_bus=EventBus("default")), REVIEW, TABLE)

    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"]) == f"{REVIEW.key} could not be classified: empty_file"


def edited(content: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield copies of a receipt in which the value at `path` is missing or different."""
    values: list[Any] = [None, "x", [], {}, -0.5, ...]
    for value in values:
        copy = json.loads(json.dumps(content))
        parent = copy
        for name in path[:-1]:
            parent = parent[name]
        parent[path[-1]] = value
        if value is ...:
            del parent[path[-1]]
        yield copy


@pytest.mark.parametrize(
    ("ref", "body", "path"),
    [
        (REVIEW, b"good", ("sentiment",)),
        (REVIEW, b"good", ("needs_review",)),
        (REVIEW, b"good", ("other_language",)),
        (TABLE, ROWS, ("counts", "other_language")),
        (TABLE, ROWS, ("counts", "labels", "positive")),
        (TABLE, ROWS, ("counts", "errors", "empty_review")),
        (TABLE, b'{"id": 1}\n', ("error", "final")),
    ],
)
def test_a_receipt_that_somebody_has_edited_can_be_announced_or_is_made_anew(
    s3: Client,
    storage: S3Storage,
    classifier: Classifier,
    subscriber: Subscriber,
    ref: ObjectRef,
    body: bytes,
    path: tuple[str, ...],
) -> None:
    """Its revision, model and settings are still right, so it would count as current."""
    key = f"results/{ref.key}.json"
    s3.put_object(Bucket=BUCKET, Key=ref.key, Body=body)
    pipeline = Pipeline(storage, classifier, Settings(), event_bus=EventBus("default", subscriber.client))
    list(pipeline.process_all([ref], plenty))
    (first,) = subscriber.details()
    receipt = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    for forged in edited(receipt, path):
        s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(forged).encode())
        ((_, outcome),) = pipeline.process_all([ref], plenty)
        again = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

        assert not isinstance(outcome, Exception), forged
        made_anew = {**receipt, **{name: again[name] for name in ("parts", "replaces") if name in again}}
        assert again == (forged if outcome is Outcome.CURRENT else made_anew)
        assert [detail["source"] for detail in subscriber.details()] == [first["source"]]
