"""What the functions share: the pipeline, and processing with logging."""

import gc
import logging
import os
import time
import traceback
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from reviewbox.errors import NotStartedError
from reviewbox.event_bus import EventBus
from reviewbox.events import Message
from reviewbox.metrics import metric_lines
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.redelivery import redeliveries
from reviewbox.results.receipt import Counts
from reviewbox.sending import MAX_BATCH
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage, describe

SHIPPED_MODEL = Path(__file__).parent.parent / "model"

# A request that tells SQS when to deliver messages again takes at most three seconds.
_MILLISECONDS_FOR_A_REQUEST = 5000


class LambdaContext(Protocol):
    """The part of Lambda's context object that the handlers use."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how many seconds the invocation may still run."""


@cache
def pipeline() -> Pipeline:
    """Return the pipeline of this process, composed on the first call."""
    logging.getLogger("reviewbox").setLevel(logging.INFO)
    # Each request creates thousands of objects, and hardly any are part of a reference cycle.
    gc.set_threshold(10_000)
    settings = Settings.from_environ(os.environ)
    model_dir = Path(settings.model_dir) if settings.model_dir else SHIPPED_MODEL
    classifier = Classifier.load(model_dir, threads=settings.threads, two_labels=settings.two_labels)
    queue = Queue(settings.queue_url) if settings.queue_url else None
    event_bus = EventBus(settings.event_bus) if settings.event_bus else None
    return Pipeline(S3Storage.connect(), classifier, settings, queue, event_bus, wait=time.sleep)


source_queue = cache(Queue.of_arn)  # one per queue and process


def delay_redelivery(
    failed: Sequence[Message], max_receives: int, context: LambdaContext, logger: logging.Logger
) -> None:
    """Make SQS deliver failed messages again after some minutes. Otherwise it waits for six timeouts.

    If that does not work, the messages are delivered later, and nothing is lost.
    """
    try:
        for start in range(0, len(failed), MAX_BATCH):
            if context.get_remaining_time_in_millis() < _MILLISECONDS_FOR_A_REQUEST:
                return
            delays = redeliveries(failed[start : start + MAX_BATCH], max_receives)
            for arn, seconds in delays.items():
                source_queue(arn).hide(seconds)
    except Exception as error:  # noqa: BLE001 - as above
        logger.warning("message.not_delayed", extra={"reason": describe(error)})


def process_all(  # noqa: PLR0913 - three are passed on, and one is for metrics
    refs: Iterable[ObjectRef | SegmentRef],
    worker: Pipeline,
    context: LambdaContext,
    logger: logging.Logger,
    *,
    exclusive: bool = False,
    redelivered: bool = False,
    last: Container[ObjectRef | SegmentRef] = (),
    sent_at: Mapping[ObjectRef | SegmentRef, int] = MappingProxyType({}),
) -> Iterator[tuple[ObjectRef | SegmentRef, Outcome | Exception]]:
    """Process objects within the invocation's time; log and yield the outcome of each.

    `sent_at` is when the message of an object was sent, in milliseconds since the epoch, if known.
    """
    counts: list[Counts] = []  # one for each written receipt; several threads append
    latencies: list[int] = []
    worker = replace(worker, on_write=lambda receipt: counts.append(receipt.counts))

    def remaining_seconds() -> float:
        return context.get_remaining_time_in_millis() / 1000

    outcomes = worker.process_all(
        refs, remaining_seconds, exclusive=exclusive, redelivered=redelivered, last=last
    )
    for ref, outcome in outcomes:
        if isinstance(outcome, NotStartedError):
            logger.info("object.deferred", extra={**_location(ref), "reason": str(outcome)})
        elif isinstance(outcome, Exception):
            log_failure("object.failed", ref, outcome, logger)
            # The traceback and the chained errors keep the object's content in memory.
            outcome.__traceback__ = outcome.__context__ = outcome.__cause__ = None
        else:
            logger.info("object.%s", outcome, extra=_location(ref))
            if outcome in (Outcome.CLASSIFIED, Outcome.REFUSED) and ref in sent_at:
                latencies.append(max(0, _now() - sent_at[ref]))  # the clocks may differ
        yield ref, outcome
    if namespace := worker.settings.metrics_namespace:
        for fields in metric_lines(namespace, _now(), sum(counts, Counts()), latencies):
            logger.info("invocation.measured", extra=fields)


def log_unknown(messages: Iterable[Message], logger: logging.Logger) -> None:
    """Log what could not be parsed in messages."""
    for message in messages:
        for error in message.errors:
            logger.error("message.unknown", extra={"message_id": message.message_id, "reason": str(error)})


def log_failure(event: str, ref: ObjectRef | SegmentRef, error: Exception, logger: logging.Logger) -> None:
    """Log an error's type and the lines of its traceback. Its message could quote a review."""
    frames = traceback.format_tb(error.__traceback__)
    logger.error(event, extra={**_location(ref), "reason": describe(error), "frames": frames})


def _now() -> int:
    return int(time.time() * 1000)


def _location(ref: ObjectRef | SegmentRef) -> dict[str, Any]:
    place = {"bucket": ref.source.bucket, "key": ref.source.key}
    return {**place, "segment": ref.index} if isinstance(ref, SegmentRef) else place
