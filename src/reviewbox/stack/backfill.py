"""A backfill: messages for objects that were in the bucket before the stack was deployed."""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from reviewbox.errors import ReviewboxError
from reviewbox.events import upload_message
from reviewbox.objects import Listed, ObjectRef
from reviewbox.queue import Queue
from reviewbox.sending import MAX_BATCH
from reviewbox.stack.cost import Workload, estimate
from reviewbox.stack.discovery import Stack
from reviewbox.stack.listing import parse_uri

# Above this number, S3 Batch Operations is better: it costs a fee for each job, but it lists and retries.
MAX_QUEUED_OBJECTS = 100_000
# The template's queues delete a message after this time, and do not move it to the dead-letter queue. Half of
# it is a reserve for retries and for estimates that are too low.
RETENTION_SECONDS = 4 * 86_400
MAX_QUEUED_SECONDS = RETENTION_SECONDS / 2

# SQS counts are approximate: queues are only considered empty after this number of counts of zero in a row.
_EMPTY_COUNTS = 3


def backfill_prefix(stack: Stack, uri: str) -> ObjectRef:
    """Return the bucket and prefix of an S3 URI.

    Raises:
        ReviewboxError: the stack does not classify the objects under this prefix.
    """
    prefix = parse_uri(uri)
    if prefix.bucket != stack.bucket or not prefix.key.startswith(stack.source_prefix):
        raise ReviewboxError(
            f"{uri}: the stack {stack.name!r} classifies only objects under "
            f"s3://{stack.bucket}/{stack.source_prefix}"
        )
    return prefix


def needs_job(stack: Stack, counted: Workload, *, in_aws: bool) -> bool:
    """Return whether a backfill is too large for the queue and can be an S3 Batch Operations job instead."""
    queued = estimate(counted, stack, as_job=False)
    seconds = queued.seconds - queued.segment_seconds  # segments of large tables are queued in any case
    is_too_large = counted.objects > MAX_QUEUED_OBJECTS or seconds > MAX_QUEUED_SECONDS
    return is_too_large and in_aws and stack.batch_operations is not None


def send_uploads(queue: Queue, bucket: str, objects: Iterable[Listed]) -> Iterator[int]:
    """Send a message for each object; yield the number of messages sent so far after each batch.

    A message could name many objects, but a message is the unit of retrying: ten objects in one message
    would share its five attempts, all would be redelivered if one failed, and together they could exceed
    the timeout of an invocation. One message for each object costs $1.20 for a million objects.
    """
    sent = 0
    bodies = (upload_message(ObjectRef(bucket, item.key)) for item in objects)
    while batch := list(islice(bodies, MAX_BATCH)):
        queue.send(batch)
        sent += len(batch)
        yield sent


def watch_queues(queues: Sequence[Queue], poll_seconds: float = 1.0) -> Iterator[int]:
    """Yield the number of messages left in some queues every `poll_seconds`, until the queues are empty."""
    empty_counts = 0
    while True:
        remaining = sum(queue.count().total for queue in queues)
        yield remaining
        empty_counts = 0 if remaining else empty_counts + 1
        if empty_counts == _EMPTY_COUNTS:
            return
        time.sleep(poll_seconds)
