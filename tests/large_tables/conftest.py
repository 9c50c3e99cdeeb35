"""A pipeline on the fakes of S3 and SQS."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.faults.clients import Client
from tests.faults.s3 import S3
from tests.faults.sqs import MessageQueue, Sqs
from tests.faults.stack import inline_pools
from tests.large_tables.work import QUEUE, SEGMENT_BYTES, storage_of

from reviewbox.model.classifier import Classifier
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings


@pytest.fixture
def s3(store: S3) -> Client:
    return Client(store)


@pytest.fixture
def messages(store: S3) -> Sqs:
    """The state of SQS: an empty queue."""
    return Sqs(store.clock, queues={QUEUE: MessageQueue()})


@pytest.fixture
def sqs(messages: Sqs) -> Any:
    return Client(messages)


@pytest.fixture
def pipeline(store: S3, sqs: Any, classifier: Classifier) -> Iterator[Pipeline]:
    """A pipeline that does one thing after another. Threads would need a third of the time for themselves."""
    settings = Settings(segment_bytes=SEGMENT_BYTES)
    with inline_pools():
        yield Pipeline(storage_of(store), classifier, settings, Queue(QUEUE, sqs))
