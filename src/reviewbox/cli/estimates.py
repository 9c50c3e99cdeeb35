"""What classifying what lies under a prefix takes: pure arithmetic over a listing."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from reviewbox.cli import prices
from reviewbox.cli.aws import Listed, Stack
from reviewbox.documents.compression import stem

# Storage classes whose objects have to be restored before they can be read. What Intelligent-Tiering
# has put into an archive, a listing does not tell.
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
# Reviews compress to a third or a quarter, tables of them to a little less.
_MOST_EXPANSION = 10
# What comes back as a table, and so takes one write more.
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".jsonlines")


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
        largest: the same of one object.
    """

    objects: int = 0
    size: int = 0
    tables: int = 0
    compressed: int = 0
    too_large: int = 0
    archived: int = 0
    work: int = 0
    largest: int = 0

    def add(self, listed: Listed, max_object_bytes: int) -> None:
        """Count one more object."""
        name = listed.key.lower()
        compressed = stem(name) != name
        self.objects += 1
        self.size += listed.size
        self.compressed += compressed
        # They count as work: a listing does not tell those that have been restored.
        self.archived += listed.storage_class in _ARCHIVES
        self.tables += is_table(name)
        if listed.size > max_object_bytes:
            self.too_large += 1
            return
        inside = min(listed.size * _MOST_EXPANSION, max_object_bytes) if compressed else listed.size
        work = inside if is_table(name) else inside * prices.TIMES_WITH_EVIDENCE
        self.work += work
        self.largest = max(self.largest, work)


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
    """What it takes at most, if no result is current.

    Attributes:
        items: what it costs.
        seconds: how long it lasts, once all are queued.
    """

    items: tuple[Item, ...] = field(default_factory=tuple)
    seconds: float = 0.0

    @property
    def dollars(self) -> float:
        """The sum."""
        return sum(item.dollars for item in self.items)


def count(listed: Iterable[Listed], max_object_bytes: int) -> Counted:
    """Count what a listing yields."""
    counted = Counted()
    for item in listed:
        counted.add(item, max_object_bytes)
    return counted


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
    seconds = counted.work * seconds_per_byte + counted.objects * waiting
    longest = counted.largest * seconds_per_byte + waiting

    gb_seconds = seconds * function.memory_megabytes / 1024
    writes = counted.objects + counted.tables
    # The receipt, the state of the table it records, the source's state, the source: as for a table
    # whose result is there and out of date.
    reads = 4 * counted.objects
    items = [
        Item("Lambda, computing", f"{gb_seconds:,.0f} GB-s", gb_seconds * prices.LAMBDA_GB_SECOND),
        Item("Lambda, requests", f"{counted.objects:,}", counted.objects * prices.LAMBDA_REQUEST),
        Item("S3, writing results", f"{writes:,}", writes * prices.S3_WRITE),
        Item("S3, reading", f"{reads:,}", reads * prices.S3_READ),
    ]
    if as_job:
        job = prices.BATCH_OPERATIONS_JOB + counted.objects * prices.BATCH_OPERATIONS_OBJECT
        items.append(Item("S3 Batch Operations", f"1 job, {counted.objects:,} objects", job))
        # S3 goes through the bucket for it, of which no more than the prefix has been counted.
        listing = counted.objects * prices.BATCH_OPERATIONS_LISTED
        items.append(Item("S3 Batch Operations, listing", f"{counted.objects:,} or more", listing))
    else:
        requests = 3 * counted.objects  # sent, received, deleted
        items.append(Item("SQS, requests", f"{requests:,}", requests * prices.SQS_REQUEST))
    return Estimate(tuple(items), max(seconds / function.max_concurrency, longest))


def number_of(count: int, what: str) -> str:
    """Return a count of something, whose plural takes an s."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def rounded_dollars(dollars: float) -> str:
    """Return an amount as people read it: to the cent, and never as nothing if it is something."""
    return "< $0.01" if 0 < dollars < 0.01 else f"${dollars:,.2f}"  # noqa: PLR2004 - a cent


def rounded_bytes(size: int) -> str:
    """Return a size as people read it."""
    if size < 1000:  # noqa: PLR2004 - a kilobyte
        return f"{size} bytes"
    power = min(int(math.log10(size)) // 3, 4)
    return f"{size / 1000**power:,.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def rounded_seconds(seconds: float) -> str:
    """Return a duration as people read it."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}s"
    return f"{max(seconds, 1):.0f} second{'s' if seconds >= 1.5 else ''}"  # noqa: PLR2004 - what rounds to 2
