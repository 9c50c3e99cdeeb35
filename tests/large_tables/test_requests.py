"""How many requests and messages a large table takes, first and again: linear in its segments.

`pytest -s tests/large_tables/test_requests.py` prints the numbers. The formulas are those of ADR 14.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3
from tests.faults.stack import inline_pools
from tests.large_tables.work import QUEUE, keys, storage_of

from reviewbox.events import parse
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings

TABLE = ObjectRef(BUCKET, "incoming/export.jsonl")
PARTS = f"results/{TABLE.key}.classified/"
SEGMENT_BYTES = 100
ROW = json.dumps({"text": "good film . " * 9}).encode() + b"\n"  # longer than that, so a segment of its own
SEGMENTS = (14, 28, 57, 200)


def most_requests(segments: int, works: int = 1) -> int:
    """Return the bound of ADR 14 on requests to S3, for fewer than 1,000 segments."""
    return works * (15 * segments + 20)


def most_requests_at_first(segments: int) -> int:
    """Return the bound of ADR 14 if nothing interferes and no result exists."""
    return 11 * segments + 20


@dataclass(slots=True)
class Service:
    """A function and its queue. Counts requests to S3, and messages."""

    pipeline: Pipeline
    requests: Counter[str] = field(default_factory=Counter)
    messages: int = 0

    def upload(self) -> None:
        """Process an event for the table."""
        self.pipeline.process(TABLE, lambda: 900.0)

    def deliver(self, most: int = 10**6) -> None:
        """Process at most this many segments, and leave the others in the queue."""
        assert self.pipeline.queue
        while most > 0 and (received := self.pipeline.queue.receive(hidden_seconds=60)):
            now, later = received[:most], received[most:]
            self.pipeline.queue.delete(now)
            self.pipeline.queue.release(later)
            for message in now:
                self.messages += 1
                most -= 1
                (segment,) = parse(json.loads(message.body))[0].segments
                self.pipeline.process(segment, lambda: 900.0)

    def taken(self, what: str, segments: int) -> "Taken":
        """Return what was counted since the last call, and print it."""
        taken = Taken(self.requests.total(), self.messages)
        line = f"{what:40} {segments:4} segments {taken.requests:6} requests {taken.messages:5} messages"
        print(line)  # noqa: T201 - with -s, this is a report
        self.requests.clear()
        self.messages = 0
        return taken


@dataclass(frozen=True, slots=True)
class Taken:
    """Requests to S3, and messages that were received."""

    requests: int
    messages: int


@pytest.fixture
def service(store: S3, sqs: Any, classifier: Classifier) -> Iterator[Service]:
    requests: Counter[str] = Counter()

    def count(operation: str, _params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        requests[operation] += 1
        store.clock.now += 0.01
        return perform()

    settings = Settings(segment_bytes=SEGMENT_BYTES)
    pipeline = Pipeline(storage_of(store, count), classifier, settings, Queue(QUEUE, sqs))
    with inline_pools():
        yield Service(pipeline, requests)


def put_table(s3: Client, segments: int) -> None:
    s3.put_object(Bucket=BUCKET, Key=TABLE.key, Body=ROW * segments)


def assert_complete(s3: Client, segments: int) -> None:
    receipt = json.loads(s3.get_object(Bucket=BUCKET, Key=f"results/{TABLE.key}.json")["Body"].read())
    assert receipt["counts"]["total"] == segments
    assert [part["key"] for part in receipt["parts"]] == keys(s3, PARTS)
    assert len(receipt["parts"]) == segments


@pytest.mark.parametrize("segments", SEGMENTS)
def test_requests_and_messages_are_linear_first_and_again(
    service: Service, s3: Client, segments: int
) -> None:
    """Again: all parts are deleted while all segments are recorded as done, and an event follows."""
    put_table(s3, segments)
    service.upload()
    service.deliver()
    first = service.taken("first", segments)
    assert_complete(s3, segments)

    for key in keys(s3, PARTS):
        s3.delete_object(Bucket=BUCKET, Key=key)
    service.upload()
    service.deliver()
    again = service.taken("again, all parts were deleted", segments)

    assert_complete(s3, segments)
    assert first.messages == again.messages == segments
    assert first.requests <= most_requests_at_first(segments)
    assert again.requests <= most_requests(segments)


@pytest.mark.parametrize("segments", [14])
def test_a_rollback_in_the_middle_takes_no_more_than_three_tables(
    service: Service, s3: Client, segments: int
) -> None:
    """Each deployment makes the messages of the other stale, and stale messages must not multiply."""
    newer = replace(service.pipeline, settings=replace(service.pipeline.settings, needs_review_below=1.0))
    put_table(s3, segments)
    service.upload()
    service.deliver(segments // 2)
    rolled_back, service.pipeline = service.pipeline, newer
    service.deliver(segments)
    service.pipeline = rolled_back
    service.deliver()
    taken = service.taken("a deployment and its rollback", segments)

    assert_complete(s3, segments)
    assert taken.messages <= 3 * segments
    assert taken.requests <= most_requests(segments, works=3)


@pytest.mark.parametrize("segments", [14])
def test_a_new_model_and_its_rollback_after_the_table_is_done(
    service: Service, s3: Client, segments: int
) -> None:
    newer = replace(service.pipeline, settings=replace(service.pipeline.settings, needs_review_below=1.0))
    put_table(s3, segments)
    older = service.pipeline
    for pipeline in (older, newer, older):
        service.pipeline = pipeline
        service.upload()
        service.deliver()
    taken = service.taken("a new model, and the old one again", segments)

    assert_complete(s3, segments)
    assert taken.messages == 3 * segments
    assert taken.requests <= most_requests(segments, works=3)


@pytest.mark.parametrize("segments", [14])
def test_parts_that_are_lost_during_the_work_are_sent_once(
    service: Service, s3: Client, segments: int
) -> None:
    """No event follows. The worker that finds them sends them, and the others do not."""
    put_table(s3, segments)
    service.upload()
    service.deliver(segments - 1)
    lost = keys(s3, PARTS)[: segments // 2]
    for key in lost:
        s3.delete_object(Bucket=BUCKET, Key=key)
    service.deliver()
    taken = service.taken("half of the parts were deleted meanwhile", segments)

    assert_complete(s3, segments)
    assert taken.messages == segments + len(lost)
    assert taken.requests <= most_requests(segments, works=2)
