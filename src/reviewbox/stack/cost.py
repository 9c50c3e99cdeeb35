"""The cost and duration of a workload on AWS, from flat numbers of requests per object and per segment."""

import math
from dataclasses import dataclass, fields, replace
from operator import mul

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

# The price of a request, and the maximum number of requests: for an object, in addition for a table, and for
# each of its segments. S3 reads are GET and HEAD, and writes are PUT and LIST. tests/stack/test_cost.py
# counts the real ones.
_REQUESTS = {
    "Lambda, requests": (prices.LAMBDA_REQUEST, 1 / OBJECTS_PER_BATCH, 0, 1),
    "S3, writing results": (prices.S3_WRITE, 1, 1, 9),
    "S3, reading": (prices.S3_READ, 4, 1, 9),
    "SQS, requests": (prices.SQS_REQUEST, 3, 0, 3),
}
# An S3 Batch Operations job invokes the function once per object, without a message.
_REQUESTS_OF_JOB = _REQUESTS | {
    "Lambda, requests": (prices.LAMBDA_REQUEST, 1, 0, 1),
    "SQS, requests": (prices.SQS_REQUEST, 0, 0, 3),
}
_MAX_COMPRESSION_RATIO = 10  # reviews compress to a third or a quarter
_EXTENSIONS = tuple(extension for form in FORMATS for extension in form.extensions)
# Objects in these storage classes are refused until they are restored. A listing shows neither which of them
# have been restored nor what Intelligent-Tiering has archived.
_ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")


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
    listed: int = 0  # objects of which only a sample was read
    sampled: int = 0  # the objects in these samples
    beginnings: int = 0  # tables of which only the first rows were read

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
    """Upper bounds for objects without a current result. A replaced file takes one more write.

    The bill leaves out the time that splitting a table takes: half a percent if all of the table is text of
    reviews, more if most of it is in other columns.
    """

    items: tuple[Item, ...]
    seconds: float  # from the moment when all objects are queued
    longest_split: float  # seconds to split the largest table, which happens in one invocation
    segment_seconds: float  # how long the queue holds segments, if it holds nothing else


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
    return sum(max(units - start, 0) * change for start, change in prices.COMPREHEND_PRICE_CHANGES)


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
    longest_split = workload.largest_split / prices.SPLIT_BYTES_PER_SECOND / min(1, vcpus)
    segment_waits = segments * prices.WAIT_SECONDS_PER_SEGMENT
    object_waits = objects * prices.WAIT_SECONDS_PER_OBJECT / (1 if as_job else OBJECTS_AT_ONCE)
    seconds = workload.work * seconds_per_byte + object_waits + segment_waits
    gb_seconds = seconds * function.memory_megabytes / 1024
    items = [Item("Lambda, computing", f"{gb_seconds:,.0f} GB-s", gb_seconds * prices.LAMBDA_GB_SECOND)]
    for name, (price, *numbers) in (_REQUESTS_OF_JOB if as_job else _REQUESTS).items():
        count = math.ceil(sum(map(mul, numbers, (objects, workload.tables, segments))))
        items += [Item(name, f"{count:,}", count * price)] if count else []
    if as_job:
        job = prices.BATCH_OPERATIONS_JOB + objects * prices.BATCH_OPERATIONS_OBJECT
        # S3 lists the whole bucket for the job; only the objects under the prefix have been counted.
        listing = objects * prices.BATCH_OPERATIONS_LISTED
        items.append(Item("S3 Batch Operations", f"1 job, {number_of(objects, 'object')}", job))
        items.append(Item("S3 Batch Operations, listing", f"{objects:,} or more", listing))
    return Estimate(
        tuple(items),
        longest_split + seconds / min(function.max_concurrency, max(objects, segments, 1)),
        longest_split,
        (workload.split_bytes * seconds_per_byte + segment_waits) / function.max_concurrency,
    )
