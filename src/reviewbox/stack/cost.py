"""The cost and duration of a workload on AWS: pure arithmetic, with flat numbers of requests."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace

from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import stem
from reviewbox.documents.detection import FORMATS, is_called_text
from reviewbox.objects import Listed
from reviewbox.stack import prices
from reviewbox.stack.discovery import Stack
from reviewbox.wording import number_of

# Defaults of template.yaml: objects in a batch of uploads, and how many of them are processed at once.
OBJECTS_PER_BATCH = 200
OBJECTS_AT_ONCE = 100
# The template's timeout, less the seconds that the function reserves to finish.
MAX_SPLIT_SECONDS = 900.0 - 15.0

_MAX_COMPRESSION_RATIO = 10  # reviews compress to a third or a quarter
_EXTENSIONS = tuple(extension for form in FORMATS for extension in form.extensions)
# Objects in these storage classes are refused until they are restored. A listing shows neither which of them
# have been restored nor what Intelligent-Tiering has archived.
_ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")

# Requests to S3, at most: GET and HEAD are reads, PUT and LIST are writes. A table takes one more of each.
# tests/stack/test_cost.py compares the sums with the requests that are made.
_READS_PER_OBJECT, _WRITES_PER_OBJECT = 4, 1
_REQUESTS_PER_SEGMENT = 9  # reads, and as many writes
_SQS_REQUESTS_PER_MESSAGE = 3  # send, receive, delete


@dataclass(frozen=True, slots=True)
class Workload:
    """Objects to classify and, once they have been read, the reviews in them. Sizes are in bytes."""

    objects: int = 0
    size: int = 0  # as stored
    tables: int = 0
    compressed: int = 0
    too_large: int = 0  # objects that will be refused
    archived: int = 0
    work: int = 0  # text to classify, at most; text that needs evidence counts more
    large: int = 0  # tables that are classified in segments
    segments: int = 0
    split_bytes: int = 0  # decompressed size of all large tables
    largest_split: int = 0  # decompressed size of the largest of them
    reviews: int = 0
    failed_reviews: int = 0  # rows that will get an error
    characters: int = 0
    units: int = 0  # of Amazon Comprehend

    def __add__(self, other: "Workload") -> "Workload":
        sums = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return Workload(**sums | {"largest_split": max(self.largest_split, other.largest_split)})

    def scaled(self, factor: float) -> "Workload":
        """Return this many times the workload; the largest table stays the largest."""
        products = {each.name: round(getattr(self, each.name) * factor) for each in fields(self)}
        return Workload(**products | {"largest_split": self.largest_split})


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
    longest_split: float  # seconds to split the largest table, which happens in one invocation
    segment_seconds: float  # how long the queue holds segments, if it holds nothing else

    @property
    def dollars(self) -> float:
        """The total of the bill."""
        return sum(item.dollars for item in self.items)


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


def count_listed(listed: Iterable[Listed], options: ReadOptions) -> Workload:
    """Return the workload of listed objects, judged by their names and sizes."""
    return sum((judge(item, options) for item in listed), Workload())


def split_work(size: int, options: ReadOptions) -> Workload:
    """Return the work of splitting a table of this decompressed size, if it is larger than a segment."""
    if size <= options.segment_bytes:
        return Workload()
    segments = math.ceil(size / options.segment_bytes)
    return Workload(large=1, segments=segments, split_bytes=size, largest_split=size)


def comprehend_units(characters: int) -> int:
    """Return how many units Amazon Comprehend charges for a review."""
    return max(math.ceil(characters / prices.COMPREHEND_CHARACTERS), prices.COMPREHEND_MIN_UNITS)


def comprehend_dollars(units: float) -> float:
    """Return what Amazon Comprehend charges for this many units in a month."""
    dollars = 0.0
    for tier, price in prices.COMPREHEND_TIERS:
        dollars += min(units, tier) * price
        units = max(units - tier, 0)
    return dollars


def estimate(
    workload: Workload,
    function: Function | Stack,
    *,
    as_job: bool,
    cpu_seconds_per_kilobyte: float = prices.CPU_SECONDS_PER_KILOBYTE,
) -> Estimate:
    """Estimate the cost and duration of a workload, as an S3 Batch Operations job or through the queue."""
    objects, segments = workload.objects, workload.segments
    vcpus = function.memory_megabytes / prices.MEGABYTES_PER_VCPU
    # A vCPU without a thread is paid for, but does not make inference faster. One thread splits tables.
    seconds_per_byte = cpu_seconds_per_kilobyte / 1000 / min(function.threads, vcpus)
    invocations = objects if as_job else math.ceil(objects / OBJECTS_PER_BATCH)
    # The first object of an invocation waits alone; the others wait together.
    waits = invocations + (objects - invocations) / OBJECTS_AT_ONCE
    split_bytes_per_second = prices.SPLIT_BYTES_PER_SECOND * min(1, vcpus)
    segment_waits = segments * 2 * _REQUESTS_PER_SEGMENT * prices.WAIT_SECONDS_PER_REQUEST
    seconds = workload.work * seconds_per_byte + waits * prices.WAIT_SECONDS_PER_OBJECT
    seconds += workload.split_bytes / split_bytes_per_second + segment_waits
    # One invocation splits a table before its segments are classified. Nothing is divided further.
    longest_split = workload.largest_split / split_bytes_per_second
    at_once = min(function.max_concurrency, max(objects, segments, 1))
    return Estimate(
        tuple(_bill(workload, seconds * function.memory_megabytes / 1024, invocations, as_job=as_job)),
        seconds=longest_split + (seconds - longest_split) / at_once,
        longest_split=longest_split,
        segment_seconds=(workload.split_bytes * seconds_per_byte + segment_waits) / function.max_concurrency,
    )


def _bill(workload: Workload, gb_seconds: float, invocations: int, *, as_job: bool) -> Iterator[Item]:
    objects, segments = workload.objects, workload.segments
    more = workload.tables + segments * _REQUESTS_PER_SEGMENT
    messages = segments if as_job else segments + objects
    yield Item("Lambda, computing", f"{gb_seconds:,.0f} GB-s", gb_seconds * prices.LAMBDA_GB_SECOND)
    yield _item("Lambda, requests", invocations + segments, prices.LAMBDA_REQUEST)
    yield _item("S3, writing results", objects * _WRITES_PER_OBJECT + more, prices.S3_WRITE)
    yield _item("S3, reading", objects * _READS_PER_OBJECT + more, prices.S3_READ)
    if as_job:
        job = prices.BATCH_OPERATIONS_JOB + objects * prices.BATCH_OPERATIONS_OBJECT
        yield Item("S3 Batch Operations", f"1 job, {number_of(objects, 'object')}", job)
        # S3 lists the whole bucket for the job; only the objects under the prefix have been counted.
        listing = objects * prices.BATCH_OPERATIONS_LISTED
        yield Item("S3 Batch Operations, listing", f"{objects:,} or more", listing)
    if messages:
        yield _item("SQS, requests", messages * _SQS_REQUESTS_PER_MESSAGE, prices.SQS_REQUEST)


def _item(name: str, count: int, price: float) -> Item:
    return Item(name, f"{count:,}", count * price)
