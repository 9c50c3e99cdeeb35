"""The cost and duration of a workload on AWS: pure arithmetic."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import stem
from reviewbox.stack import prices

if TYPE_CHECKING:
    from reviewbox.stack.discovery import Stack
    from reviewbox.stack.listing import ListedObject

# Defaults of template.yaml: objects in a batch of uploads, and how many of them are processed at once.
OBJECTS_PER_BATCH = 200
OBJECTS_AT_ONCE = 100
# The template's timeout, less the seconds that the function reserves to finish.
MAX_SPLIT_SECONDS = 900.0 - 15.0
# Objects in these storage classes are refused until they are restored. A listing shows neither which of them
# have been restored nor what Intelligent-Tiering has archived.
ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")

_MAX_COMPRESSION_RATIO = 10  # reviews compress to a third or a quarter
_TABLES = (
    *(".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".jsonlines"),
    *(".xlsx", ".xlsm", ".parquet", ".pq"),
)
_SINGLE_REVIEWS = (".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml")

# Requests to S3 for one of each in a workload, at S3's two prices: GET and HEAD are reads, PUT and LIST are
# writes. These are upper bounds; tests/stack/test_cost.py compares them with the requests that are made. A
# segment lists the finished segments, 1,000 keys per request: six requests for the largest possible table.
_READS = {"objects": 4, "tables": 1, "large": 7, "segments": 7}
_WRITES = {"objects": 1, "tables": 1, "large": 4, "segments": 2 + 6, "stored_segments": 1}
_SPLIT_REQUESTS_PER_SEGMENT = 2 / 10  # one for the state of ten segments, one for ten messages
_SQS_REQUESTS_PER_MESSAGE = 3  # send, receive, delete


@dataclass(slots=True)
class Workload:
    """Objects to classify. Sizes are in bytes. Text that needs evidence counts as more `work`."""

    objects: int = 0
    size: int = 0  # as stored
    tables: int = 0
    compressed: int = 0
    too_large: int = 0  # objects that will be refused
    archived: int = 0
    work: int = 0  # text to classify, at most
    largest: int = 0  # most work in an object or a segment
    large: int = 0  # tables that are classified in segments
    segments: int = 0
    segmented_work: int = 0
    stored_segments: int = 0  # segments of compressed tables, which are stored decompressed
    split_bytes: int = 0  # decompressed size of all large tables
    largest_split: int = 0  # decompressed size of the largest table

    def add_listed(self, listed: "ListedObject", options: ReadOptions) -> bool:
        """Count an object in a listing, without its work; return whether it is small enough to be read."""
        is_table = may_be_table(listed, options)
        is_too_large = listed.size > options.max_bytes and not is_table
        self.objects += 1
        self.size += listed.size
        self.tables += is_table
        self.compressed += stem(listed.key) != listed.key
        self.too_large += is_too_large
        self.archived += listed.storage_class in ARCHIVE_CLASSES
        return not is_too_large

    def add_listed_work(self, listed: "ListedObject", options: ReadOptions) -> None:
        """Add the work on an object in a listing, at most, judged by its name and size."""
        is_compressed = stem(listed.key) != listed.key
        size = listed.size * (_MAX_COMPRESSION_RATIO if is_compressed else 1)
        if may_be_table(listed, options):
            self.add_work(size, size, options, is_compressed=is_compressed)
        else:
            self.add_work(min(size, options.max_bytes) * prices.EVIDENCE_FACTOR, 0, options)

    def add_work(
        self, work: int, line_bytes: int, options: ReadOptions, *, is_compressed: bool = False
    ) -> None:
        """Add the work on an object. `line_bytes` is its decompressed size if it can be split, else 0."""
        self.work += work
        if line_bytes <= options.segment_bytes:
            self.largest = max(self.largest, work)
            return
        segments = math.ceil(line_bytes / options.segment_bytes)
        self.largest = max(self.largest, round(work * options.segment_bytes / line_bytes))
        self.large += 1
        self.segments += segments
        self.segmented_work += work
        self.stored_segments += segments if is_compressed else 0
        self.split_bytes += line_bytes
        self.largest_split = max(self.largest_split, line_bytes)


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


def count_listed(listed: Iterable["ListedObject"], options: ReadOptions) -> Workload:
    """Return the workload of listed objects, judged by their names and sizes."""
    workload = Workload()
    for item in listed:
        if workload.add_listed(item, options):
            workload.add_listed_work(item, options)
    return workload


def may_be_table(listed: "ListedObject", options: ReadOptions) -> bool:
    """Return whether an object is a table by its name, or because it is too large to be anything else."""
    name = stem(listed.key.lower())
    is_large = listed.size > options.max_bytes and not name.endswith(_SINGLE_REVIEWS)
    return is_large or name.endswith(_TABLES)


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
    function: "Function | Stack",
    *,
    as_job: bool,
    cpu_seconds_per_kilobyte: float = prices.CPU_SECONDS_PER_KILOBYTE,
) -> Estimate:
    """Estimate the cost and duration of a workload, as an S3 Batch Operations job or through the queue."""
    objects, segments = workload.objects, workload.segments
    vcpus = function.memory_megabytes / prices.MEGABYTES_PER_VCPU
    # A vCPU without a thread is paid for, but does not make inference faster. One thread splits tables.
    seconds_per_byte = cpu_seconds_per_kilobyte / 1000 / min(function.threads, vcpus)
    wait = prices.WAIT_SECONDS_PER_REQUEST
    invocations = objects if as_job else math.ceil(objects / OBJECTS_PER_BATCH)

    # The first object of an invocation waits by itself; the others wait together.
    waits = invocations + (objects - invocations) / OBJECTS_AT_ONCE
    whole = (workload.work - workload.segmented_work) * seconds_per_byte
    whole += waits * prices.WAIT_SECONDS_PER_OBJECT
    requests = segments * _SPLIT_REQUESTS_PER_SEGMENT + workload.stored_segments
    requests += workload.large * (_READS["large"] + _WRITES["large"])
    splitting = workload.split_bytes / (prices.SPLIT_BYTES_PER_CPU_SECOND * min(1, vcpus)) + requests * wait
    in_segments = workload.segmented_work * seconds_per_byte
    in_segments += segments * (_READS["segments"] + _WRITES["segments"]) * wait
    seconds = whole + splitting + in_segments

    # One invocation splits a table before its segments are classified. Nothing is divided further.
    longest_split = splitting * workload.largest_split / max(workload.split_bytes, 1)
    longest_rest = workload.largest * seconds_per_byte + prices.WAIT_SECONDS_PER_OBJECT

    gb_seconds = seconds * function.memory_megabytes / 1024
    messages = segments if as_job else segments + objects
    items = [
        Item("Lambda, computing", f"{gb_seconds:,.0f} GB-s", gb_seconds * prices.LAMBDA_GB_SECOND),
        _item("Lambda, requests", invocations + segments, prices.LAMBDA_REQUEST),
        _item("S3, writing results", _requests(workload, _WRITES), prices.S3_WRITE),
        _item("S3, reading", _requests(workload, _READS), prices.S3_READ),
    ]
    if as_job:
        job = prices.BATCH_OPERATIONS_JOB + objects * prices.BATCH_OPERATIONS_OBJECT
        items.append(Item("S3 Batch Operations", f"1 job, {objects:,} objects", job))
        # S3 lists the whole bucket for the job; only the objects under the prefix have been counted.
        listing = objects * prices.BATCH_OPERATIONS_LISTED
        items.append(Item("S3 Batch Operations, listing", f"{objects:,} or more", listing))
    if messages:
        items.append(_item("SQS, requests", messages * _SQS_REQUESTS_PER_MESSAGE, prices.SQS_REQUEST))
    return Estimate(
        tuple(items),
        longest_split + max((seconds - longest_split) / function.max_concurrency, longest_rest),
        longest_split,
        in_segments / function.max_concurrency,
    )


def _requests(workload: Workload, per_unit: Mapping[str, int]) -> int:
    return sum(number * getattr(workload, unit) for unit, number in per_unit.items())


def _item(name: str, count: int, price: float) -> Item:
    return Item(name, f"{count:,}", count * price)
