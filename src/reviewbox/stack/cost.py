"""The cost and duration of a workload on AWS, from flat numbers of requests per object and per segment."""

import math
from dataclasses import dataclass

from reviewbox.documents import ReadOptions
from reviewbox.stack import prices
from reviewbox.stack.discovery import Stack
from reviewbox.stack.prices import CPU_SECONDS_PER_KILOBYTE
from reviewbox.wording import number_of

OBJECTS_PER_BATCH = 200  # of uploads, by default


@dataclass(frozen=True, slots=True)
class Workload:
    """Objects to classify and, once they have been read, the reviews in them. Sizes are in bytes."""

    objects: int = 0
    size: int = 0  # as stored
    unread: int = 0  # how much of it was not read, so that its reviews are extrapolated
    tables: int = 0
    compressed: int = 0
    too_large: int = 0  # objects that will be refused
    archived: int = 0
    work: int = 0  # text to classify, at most; text that needs evidence counts more
    large: int = 0  # tables that are classified in segments
    segments: int = 0
    split_bytes: int = 0  # decompressed size of all large tables
    too_long: int = 0  # tables that one invocation may not split in time
    reviews: int = 0
    failed_reviews: int = 0  # rows that will get an error
    characters: int = 0
    units: int = 0  # of Amazon Comprehend

    def __add__(self, other: "Workload") -> "Workload":
        return Workload(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def scaled(self, factor: float) -> "Workload":
        """Return this many times the workload."""
        return Workload(*(round(getattr(self, name) * factor) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Function:
    """The properties of a Lambda function that an estimate depends on; the defaults are the template's."""

    memory_megabytes: int = 1769  # also sets its share of a processor and its price
    threads: int = 1
    max_concurrency: int = 10


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a bill."""

    name: str
    quantity: str
    dollars: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Upper bounds for objects without a current result. A replaced file takes one more write."""

    items: tuple[Item, ...]
    seconds: float  # from the moment when all objects are queued


def split_work(size: int, options: ReadOptions) -> Workload:
    """Return the work of splitting a table of this decompressed size, if it is larger than a segment."""
    if size <= options.segment_bytes:
        return Workload()
    segments, too_long = math.ceil(size / options.segment_bytes), int(size > prices.MAX_TABLE_BYTES)
    return Workload(large=1, segments=segments, split_bytes=size, too_long=too_long)


def comprehend_units(characters: int) -> int:
    """Return how many units Amazon Comprehend charges for a review."""
    return max(math.ceil(characters / prices.COMPREHEND_CHARACTERS), prices.COMPREHEND_MIN_UNITS)


def comprehend_dollars(units: float) -> float:
    """Return what Amazon Comprehend charges for this many units in a month."""
    return sum(max(units - start, 0) * change for start, change in prices.COMPREHEND_PRICE_CHANGES)


def estimate(
    workload: Workload, function: Function | Stack, *, as_job: bool, rate: float = CPU_SECONDS_PER_KILOBYTE
) -> Estimate:
    """Estimate the cost and duration of a workload, as an S3 Batch Operations job or through the queue.

    `rate` is the processor time for a kilobyte of text, in seconds.
    """
    objects, tables, segments = workload.objects, workload.tables, workload.segments
    vcpus = function.memory_megabytes / prices.MEGABYTES_PER_VCPU
    # A vCPU without a thread is paid for, but does not make inference faster. One thread splits tables.
    splitting = workload.split_bytes / prices.SPLIT_BYTES_PER_SECOND / min(1, vcpus)
    classifying = workload.work * rate / 1000 / min(function.threads, vcpus)
    # A job invokes the function for each object, without a message, so objects do not wait for S3 together.
    classifying += objects * prices.WAIT_SECONDS_PER_OBJECT_OF_JOB if as_job else 0
    messages, invocations = (0, objects) if as_job else (objects, objects / OBJECTS_PER_BATCH)
    # At most; S3 reads are GET and HEAD, and writes are PUT and LIST. tests/stack/test_cost.py counts them.
    requests = {
        "Lambda, requests": (invocations + segments, prices.LAMBDA_REQUEST),
        "S3, writing results": (objects + tables + 9 * segments, prices.S3_WRITE),
        "S3, reading": (4 * objects + tables + 9 * segments, prices.S3_READ),
        "SQS, requests": (3 * (messages + segments), prices.SQS_REQUEST),
    }
    gb_seconds = (splitting + classifying) * function.memory_megabytes / 1024
    items = [Item("Lambda, computing", f"{gb_seconds:,.0f} GB-s", gb_seconds * prices.LAMBDA_GB_SECOND)]
    for name, (number, price) in requests.items():
        if count := math.ceil(number):
            items.append(Item(name, f"{count:,}", count * price))
    if as_job:
        job = prices.BATCH_OPERATIONS_JOB + objects * prices.BATCH_OPERATIONS_OBJECT
        items.append(Item("S3 Batch Operations", f"1 job, {number_of(objects, 'object')}", job))
        # S3 lists the whole bucket for the job; only the objects under the prefix have been counted.
        listing = objects * prices.BATCH_OPERATIONS_LISTED
        items.append(Item("S3 Batch Operations, listing", f"{objects:,} or more", listing))
    seconds = splitting / min(function.max_concurrency, max(workload.large, 1))
    seconds += classifying / min(function.max_concurrency, max(objects, segments, 1))
    return Estimate(tuple(items), seconds)
