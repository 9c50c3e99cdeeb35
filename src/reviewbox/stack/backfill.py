"""A backfill: messages for objects that were in the bucket before the stack was deployed."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import stem
from reviewbox.documents.detection import FORMATS, is_called_text
from reviewbox.errors import ReviewboxError
from reviewbox.events import upload_message
from reviewbox.objects import Listed, ObjectRef
from reviewbox.queue import Queue
from reviewbox.sending import MAX_BATCH
from reviewbox.stack import prices
from reviewbox.stack.cost import Workload, estimate, split_work
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

_MAX_COMPRESSION_RATIO = 10  # reviews compress to a third or a quarter
_EXTENSIONS = tuple(extension for form in FORMATS for extension in form.extensions)
# Objects in these storage classes are refused until they are restored. A listing shows neither which of them
# have been restored nor what Intelligent-Tiering has archived.
_ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")


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


def judge(listed: Listed, options: ReadOptions) -> Workload:
    """Return the workload of a listed object, at most, judged by its name and size."""
    name, is_large = stem(listed.key).lower(), listed.size > options.max_bytes
    is_compressed = name != listed.key.lower()
    size = listed.size * (_MAX_COMPRESSION_RATIO if is_compressed else 1)
    # Only a table may be large, so a large object is one unless its name says otherwise.
    if (is_large or name.endswith(_EXTENSIONS)) and not is_called_text(name):
        work = replace(split_work(size, options), tables=1, work=size)
    elif is_large:
        work = Workload(too_large=1)
    else:
        work = Workload(work=min(size, options.max_bytes) * prices.EVIDENCE_FACTOR)
    archived = int(listed.storage_class in _ARCHIVE_CLASSES)
    return replace(work, objects=1, size=listed.size, compressed=int(is_compressed), archived=archived)


def segment_seconds(stack: Stack, counted: Workload) -> float:
    """Return how long the queue holds the segments of large tables, if it holds nothing else."""
    segments = Workload(segments=counted.segments, work=counted.split_bytes)
    return estimate(segments, stack, as_job=False).seconds


def needs_job(stack: Stack, counted: Workload, *, in_aws: bool) -> bool:
    """Return whether a backfill is too large for the queue and can be an S3 Batch Operations job instead."""
    queued = estimate(counted, stack, as_job=False)
    seconds = queued.seconds - segment_seconds(stack, counted)  # segments are queued in any case
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
