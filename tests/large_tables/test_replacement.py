"""A large table replaces another one, and whatever happens meanwhile, readers find a complete result."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.conftest import BUCKET
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.faults.sqs import MessageQueue, Sqs
from tests.large_tables.test_large_tables import (
    SEGMENT_BYTES,
    TABLE,
    WorkerKilledError,
    keys,
    plenty,
    put,
    read,
    receipt_of,
    rows,
)
from tests.large_tables.test_recovery import assert_consistent, recorded, tables

from reviewbox.events import parse
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

QUEUE = "segments"


@dataclass(slots=True)
class Interference:
    """Something that happens just before a worker sends its nth request to S3."""

    number: int
    action: Callable[[], None]
    calls: int = 0

    def client(self, store: S3) -> Any:
        return Client(store, self._gate)

    @property
    def has_happened(self) -> bool:
        return self.calls >= self.number

    def _gate(self, _operation: str, _params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls == self.number:
            self.action()
        return perform()


@pytest.fixture
def store() -> S3:
    """A model of S3, which answers as moto does and takes a hundredth of the time."""
    return S3(Clock(), buckets={BUCKET: Bucket(is_versioned=True)})


@pytest.fixture
def s3(store: S3) -> Any:
    return Client(store)


@pytest.fixture
def pipeline(store: S3, s3: Any, classifier: Classifier) -> Pipeline:
    sqs: Any = Client(Sqs(store.clock, queues={QUEUE: MessageQueue()}))
    settings = Settings(segment_bytes=SEGMENT_BYTES)
    return Pipeline(S3Storage(s3), classifier, settings, Queue(QUEUE, sqs))


def segments_sent(pipeline: Pipeline) -> Iterator[SegmentRef]:
    """Yield the segments in the queue, and remove them from it."""
    assert pipeline.queue
    while messages := pipeline.queue.receive(hidden_seconds=60):
        pipeline.queue.delete(messages)
        for message in messages:
            yield from parse(json.loads(message.body))[0].segments


def assert_complete(s3: Any) -> None:
    """Assert that the receipt names no part that is missing, as a reader at this moment would find out."""
    if keys(s3, f"results/{TABLE.key}.json"):
        assert set(recorded(s3)) <= set(tables(s3))


def work_off(pipeline: Pipeline, s3: Any, *items: Any) -> None:
    """Process items and what they send, as a queue does: what a killed worker did not finish comes again."""
    waiting = [(item, False) for item in items]
    while waiting:
        item, redelivered = waiting.pop(0)
        try:
            pipeline.process(item, plenty, redelivered=redelivered)
        except WorkerKilledError:
            waiting.append((item, True))
        assert_complete(s3)
        waiting += [(segment, False) for segment in segments_sent(pipeline)]


@pytest.mark.parametrize("what", ["kill", "newer revision", "rollback"])
def test_an_old_result_is_replaced_whatever_happens_before_any_request(
    pipeline: Pipeline, store: S3, s3: Any, what: str
) -> None:
    """A large table replaces another one. Readers find a complete result at any time."""
    deployed = replace(pipeline, settings=replace(pipeline.settings, needs_review_below=1.0))

    def interfere() -> None:
        assert_complete(s3)
        if what == "kill":
            raise WorkerKilledError
        if what == "newer revision":
            put(s3, rows(20, "bad"))
        rival = deployed if what == "rollback" else pipeline
        work_off(rival, s3, TABLE)

    for number in itertools.count(1):
        put(s3, rows(25, "dire"))
        work_off(pipeline, s3, TABLE)
        assert_consistent(s3)
        put(s3, rows(25, "good"))
        interference = Interference(number, interfere)
        work_off(replace(pipeline, store=S3Storage(interference.client(store))), s3, TABLE)
        if what == "rollback":  # the last event decides whose result stays
            work_off(pipeline, s3, TABLE)
        assert_consistent(s3)
        if not interference.has_happened:
            break
        assert receipt_of(s3)["counts"]["total"] == (20 if what == "newer revision" else 25)
        assert b"dire" not in b"".join(read(s3, key) for key in recorded(s3))
    assert number > 35


def test_a_long_review_becomes_a_large_table_before_any_request(
    pipeline: Pipeline, store: S3, s3: Any
) -> None:
    """A table in one part and one in several have the same id, so one would overwrite the other."""
    ref = ObjectRef(BUCKET, "incoming/feedback")  # only its content says what it is
    table = b"id,review\n" + b"".join(b"%d,the good film\n" % number for number in range(60))
    for number in itertools.count(1):
        put(s3, b"the good film. " * 100, ref)
        interference = Interference(number, lambda: put(s3, table, ref))
        work_off(replace(pipeline, store=S3Storage(interference.client(store))), s3, ref)
        if not interference.has_happened:
            break
        work_off(pipeline, s3, ref)
        assert len(receipt_of(s3, ref)["parts"]) > 1
    assert number > 4
