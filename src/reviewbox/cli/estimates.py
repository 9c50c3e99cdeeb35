"""What classifying what lies under a prefix takes: pure arithmetic over a listing."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from reviewbox.cli import prices
from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import stem
from reviewbox.stack.discovery import Stack
from reviewbox.stack.listing import ListedObject as Listed

# Storage classes whose objects have to be restored before they can be read. What Intelligent-Tiering
# has put into an archive, a listing does not tell.
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
# Reviews compress to a third or a quarter, tables of them to a little less.
_MOST_EXPANSION = 10
# What comes back as a table, and so takes one write more.
_TABLES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".jsonlines")
# What is a single review, whatever is in it.
_SINGLE = (".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml")

# What a large table takes of S3 beyond what any object does, as tests count it.
_READS = 8  # its beginning, all of it, the plan, `sent`; at the end receipt, state, and older tables twice
_READS_OF_A_SEGMENT = 6 + 1  # the plan, part, what was done, segment, the source twice; what was done again
_WRITES = 5  # the plan, that all is sent; the parts are listed twice, and what is done
_WRITES_OF_A_SEGMENT = 3  # the part, that it is done; and what is done is listed
_LISTED = 1000  # keys, that S3 names at once
_AT_ONCE = 10  # done segments that are asked for, and messages that are sent
# Those that a segment waits for: of what was done, ten are asked for at once.
_REQUESTS_OF_A_SEGMENT = _READS_OF_A_SEGMENT - 1 + _WRITES_OF_A_SEGMENT + 1 / _AT_ONCE

# The template's: a batch of uploads, and how many of its objects are worked on at once.
OBJECTS_IN_A_BATCH = 200
OBJECTS_AT_ONCE = 100

# What an invocation has for it: the template's timeout, less what the function leaves alone.
MOST_SECONDS_TO_CUT = 900.0 - 15.0


@dataclass(slots=True)
class Counted:
    """What was listed.

    Attributes:
        objects: how many.
        size: of all, in bytes.
        tables: those that may come back as a table.
        compressed: those of whose size inside nothing is known.
        too_large: those that will be refused.
        archived: those that can be read only when they have been restored.
        work: bytes to classify, at most; those for which evidence is looked for count as often as that
            takes the time.
        largest: the same of one object, or of one segment.
        large: tables that are classified in segments.
        in_segments: the work on them.
        segments: of all of them.
        written: segments that are written down first, as their tables are compressed.
        cut: bytes that are read to cut tables, decompressed.
        largest_cut: the same of one table.
        pages: of S3's lists, beyond the first, in which finished segments look who else is done.
        sends: requests that bring the messages for segments to the queue.
    """

    objects: int = 0
    size: int = 0
    tables: int = 0
    compressed: int = 0
    too_large: int = 0
    archived: int = 0
    work: int = 0
    largest: int = 0
    large: int = 0
    in_segments: int = 0
    segments: int = 0
    written: int = 0
    cut: int = 0
    largest_cut: int = 0
    pages: int = 0
    sends: int = 0

    def add(self, listed: Listed, options: ReadOptions) -> None:
        """Count one more object, by its name and size."""
        name = listed.key.lower()
        compressed = stem(name) != name
        self.objects += 1
        self.size += listed.size
        self.compressed += compressed
        # They count as work: a listing does not tell those that have been restored.
        self.archived += listed.storage_class in _ARCHIVES
        if is_too_large(listed, options):
            self.too_large += 1
            return
        inside = listed.size * (_MOST_EXPANSION if compressed else 1)
        if may_be_table(listed, options):
            self.tables += 1
            self.add_source(inside, inside, options, compressed=compressed)
        else:
            self.add_whole(min(inside, options.max_bytes) * prices.TIMES_WITH_EVIDENCE)

    def add_whole(self, work: int) -> None:
        """Count what is classified in one go."""
        self.work += work
        self.largest = max(self.largest, work)

    def add_source(self, work: int, size: int, options: ReadOptions, *, compressed: bool) -> None:
        """Count an object: in segments, if it is a table of lines whose `size`, decompressed, asks for it."""
        if size <= options.segment_bytes:
            self.add_whole(work)
            return
        segments = math.ceil(size / options.segment_bytes)
        self.work += work
        self.largest = max(self.largest, round(work * options.segment_bytes / size))
        self.large += 1
        self.in_segments += work
        self.segments += segments
        self.written += segments if compressed else 0
        self.cut += size
        self.largest_cut = max(self.largest_cut, size)
        self.sends += math.ceil(segments / _AT_ONCE)
        pages, rest = divmod(segments, _LISTED)
        # The first thousand to be done find one page, the next two; and the parts are listed at the end.
        self.pages += _LISTED * pages * (pages - 1) // 2 + (rest + 1) * pages


@dataclass(frozen=True, slots=True)
class Function:
    """What estimates depend on of a function. The defaults are those of template.yaml.

    Attributes:
        memory_megabytes: which decide how much of a processor it gets, and its price.
        threads: of its inference.
        max_concurrency: how many copies of it work at once.
    """

    memory_megabytes: int = 1769
    threads: int = 1
    max_concurrency: int = 10


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill: what it is, how much of it, and its price in dollars."""

    name: str
    quantity: str
    dollars: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it takes at most, if no result is current; files that are overwritten take one write more.

    Attributes:
        items: what it costs.
        seconds: how long it lasts, once all are queued.
        longest_cut: how much of that it takes to cut the largest table, in one invocation.
        in_segments: how long the queue holds segments, if there is nothing else in it.
    """

    items: tuple[Item, ...] = field(default_factory=tuple)
    seconds: float = 0.0
    longest_cut: float = 0.0
    in_segments: float = 0.0

    @property
    def dollars(self) -> float:
        """The sum."""
        return sum(item.dollars for item in self.items)


def count(listed: Iterable[Listed], options: ReadOptions) -> Counted:
    """Count what a listing yields."""
    counted = Counted()
    for item in listed:
        counted.add(item, options)
    return counted


def may_be_table(listed: Listed, options: ReadOptions) -> bool:
    """Return whether an object may come back as a table; of too large ones, nothing else does."""
    return is_table(listed.key) or (listed.size > options.max_bytes and not is_too_large(listed, options))


def is_too_large(listed: Listed, options: ReadOptions) -> bool:
    """Return whether an object will be refused: a table of lines may have any size."""
    return listed.size > options.max_bytes and stem(listed.key.lower()).endswith(_SINGLE)


def is_table(key: str) -> bool:
    """Return whether a key or file name is one of those that may come back as a table."""
    return stem(key.lower()).endswith(_TABLES)


def comprehend_units(characters: int) -> int:
    """Return how many units Amazon Comprehend charges for a review."""
    return max(math.ceil(characters / prices.COMPREHEND_CHARACTERS), prices.COMPREHEND_LEAST_UNITS)


def comprehend_dollars(units: float) -> float:
    """Return what Amazon Comprehend charges for so many units in a month."""
    dollars = 0.0
    for number, price in prices.COMPREHEND_UNITS:
        dollars += min(units, number) * price
        units = max(units - number, 0)
    return dollars


def estimate(
    counted: Counted,
    function: Function | Stack,
    *,
    as_job: bool,
    cpu_seconds_per_kilobyte: float = prices.CPU_SECONDS_PER_KILOBYTE,
) -> Estimate:
    """Estimate what the objects take, by an S3 Batch Operations job or through the queue."""
    # A vCPU that no thread uses is paid for all the same.
    vcpus = min(function.threads, function.memory_megabytes / prices.MEGABYTES_PER_VCPU)
    seconds_per_byte = cpu_seconds_per_kilobyte / 1000 / vcpus
    waiting = prices.SECONDS_OF_WAITING_PER_OBJECT
    waiting_segment = _REQUESTS_OF_A_SEGMENT * prices.SECONDS_OF_WAITING_PER_REQUEST
    cutting = seconds_to_cut(counted, function)
    classifying = counted.in_segments * seconds_per_byte + counted.segments * waiting_segment
    batches = counted.objects if as_job else math.ceil(counted.objects / OBJECTS_IN_A_BATCH)
    # Of a batch some objects wait while others are classified, but at its beginning and its end.
    waited = counted.objects * waiting
    computed = (counted.work - counted.in_segments) * seconds_per_byte
    alone = computed + waited if as_job else max(computed, waited / OBJECTS_AT_ONCE) + batches * waiting
    seconds = alone + cutting + classifying

    longest = counted.largest * seconds_per_byte + waiting
    longest_cut = 0.0
    if counted.large:  # of the largest, all is cut before the first segment is classified
        share = counted.largest_cut / counted.cut
        longest_cut = share * cutting
        segments = share * classifying / function.max_concurrency
        longest = longest_cut + max(longest + waiting_segment, segments)

    gb_seconds = seconds * function.memory_megabytes / 1024
    invocations = batches + counted.segments
    writes = counted.objects + counted.tables - counted.large
    writes += counted.large * _WRITES + counted.segments * _WRITES_OF_A_SEGMENT
    writes += counted.written + counted.pages
    # The receipt, the state of the table it records, the source's state, the source: as for a table
    # whose result is there and out of date. A batch's are read first, and again if they are tables; if
    # they are reviews that were overwritten, there is one write more.
    reads = 4 * counted.objects + (0 if as_job else counted.tables - counted.large)
    reads += counted.large * _READS + counted.segments * _READS_OF_A_SEGMENT
    items = [
        Item("Lambda, computing", f"{gb_seconds:,.0f} GB-s", gb_seconds * prices.LAMBDA_GB_SECOND),
        Item("Lambda, requests", f"{invocations:,}", invocations * prices.LAMBDA_REQUEST),
        Item("S3, writing results", f"{writes:,}", writes * prices.S3_WRITE),
        Item("S3, reading", f"{reads:,}", reads * prices.S3_READ),
    ]
    requests = counted.sends + 2 * counted.segments  # received, deleted
    if as_job:
        job = prices.BATCH_OPERATIONS_JOB + counted.objects * prices.BATCH_OPERATIONS_OBJECT
        items.append(Item("S3 Batch Operations", f"1 job, {counted.objects:,} objects", job))
        # S3 goes through the bucket for it, of which no more than the prefix has been counted.
        listing = counted.objects * prices.BATCH_OPERATIONS_LISTED
        items.append(Item("S3 Batch Operations, listing", f"{counted.objects:,} or more", listing))
    else:
        requests += 3 * counted.objects  # sent, received, deleted
    if requests:
        items.append(Item("SQS, requests", f"{requests:,}", requests * prices.SQS_REQUEST))
    at_once = function.max_concurrency
    return Estimate(tuple(items), max(seconds / at_once, longest), longest_cut, classifying / at_once)


def seconds_to_cut(counted: Counted, function: Function | Stack) -> float:
    """Return how long large tables are read and waited for until their segments are in the queue."""
    requests = counted.large * (_READS + _WRITES) + counted.written + counted.sends
    # Of done segments ten are asked for at once.
    in_turn = requests + counted.segments / _AT_ONCE
    # One thread reads.
    vcpus = min(1, function.memory_megabytes / prices.MEGABYTES_PER_VCPU)
    reading = counted.cut / prices.CUT_BYTES_PER_CPU_SECOND / vcpus
    return reading + in_turn * prices.SECONDS_OF_WAITING_PER_REQUEST
