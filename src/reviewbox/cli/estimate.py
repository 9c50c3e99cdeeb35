"""`reviewbox estimate`: what it would cost, before anything is deployed or uploaded."""

import json
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reviewbox.classified import read_source
from reviewbox.cli import aws, prices
from reviewbox.cli.aws import Listed
from reviewbox.cli.classify import files_below
from reviewbox.cli.estimates import (
    Counted,
    Estimate,
    Function,
    comprehend_dollars,
    comprehend_units,
    estimate,
    is_table,
    number_of,
    rounded_bytes,
    rounded_dollars,
    rounded_seconds,
)
from reviewbox.cli.folder import read_file
from reviewbox.cli.status import Reason, print_reasons
from reviewbox.cli.tables import console, printable, progress_bar
from reviewbox.documents.compression import stem
from reviewbox.errors import ErrorCode, ReviewboxError, SourceError
from reviewbox.objects import ObjectRef, Source
from reviewbox.settings import Settings
from reviewbox.storage import Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Of each kind of object that is listed, so many are read.
_MOST_SAMPLED = 5
_AT_ONCE = 1000  # beside the default, what an account may run if nobody has raised or lowered it


@dataclass(slots=True)
class Content:
    """What is in sources that were read; in the end, and rounded, what is in all.

    Attributes:
        reviews: that have text.
        failed_reviews: that will get an error in their place.
        characters: of the reviews.
        units: what Amazon Comprehend charges for them.
        work: characters, counted as in `Counted.work`.
    """

    reviews: float = 0
    failed_reviews: float = 0
    characters: float = 0
    units: float = 0
    work: float = 0

    def add(self, other: "Content", times: float = 1, times_each: float = 1) -> None:
        """Add what is in another so many times: its text, and what there is one of for each review."""
        self.reviews += other.reviews * times_each
        self.failed_reviews += other.failed_reviews * times_each
        self.units += other.units * times_each
        self.characters += other.characters * times
        self.work += other.work * times


@dataclass(slots=True)
class _Kind:
    """Objects of one kind, and those of them that will be read: an arbitrary but constant choice."""

    objects: int = 0
    size: int = 0
    largest: int = 0
    chosen: list[tuple[bytes, str, int]] = field(default_factory=list)  # digest, key, size

    def add(self, item: Listed) -> None:
        self.objects += 1
        self.size += item.size
        self.largest = max(self.largest, item.size)
        insort(self.chosen, (sha256(item.key.encode()).digest(), item.key, item.size))
        del self.chosen[_MOST_SAMPLED:]


@dataclass(slots=True)
class Found:
    """What there is to classify.

    Attributes:
        counted: objects and bytes.
        content: what is in them.
        sampled: how many objects in S3 were read to tell what is in the others.
        listed: how many objects in S3 there are.
        unreadable: what could not be read, as the service will not be able to either.
    """

    counted: Counted = field(default_factory=Counted)
    content: Content = field(default_factory=Content)
    sampled: int = 0
    listed: int = 0
    unreadable: list[Reason] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rate:
    """How much processor time the model takes, and how that is known."""

    cpu_ms_per_1000_characters: float
    source: str


def show_estimate(paths: Sequence[str], settings: Settings, rate: float | None, *, as_json: bool) -> None:
    """Print what classifying files and objects would cost.

    Args:
        paths: files, folders or `s3://` URIs of prefixes.
        settings: the service's, of which those matter that decide how files are read.
        rate: milliseconds of processor time for 1,000 characters; None for what was measured.
        as_json: whether to print one JSON object.

    Raises:
        ReviewboxError: a path leads nowhere, or there is nothing to classify.
    """
    terminal = Console(stderr=True) if as_json else console()
    with progress_bar(terminal, "Reading") as update:
        found = look(paths, settings, lambda: update(advance=1))
    if not found.counted.objects and not found.unreadable:
        raise ReviewboxError(f"{', '.join(paths)}: nothing to classify")
    measured = Rate(1000 * prices.CPU_SECONDS_PER_KILOBYTE, f"measured by {prices.MEASURED}")
    told = _told(paths, found, measured if rate is None else Rate(rate, "as --rate says"))
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _print(told, terminal)
        if found.unreadable:
            print_reasons("could not be read", found.unreadable, terminal)


def look(paths: Sequence[str], settings: Settings, tell: Callable[[], None]) -> Found:
    """Count what is in files and objects, and call `tell` for each.

    Raises:
        ReviewboxError: a path leads nowhere.
    """
    found = Found()
    for path in paths:
        if aws.is_uri(path):
            _look_at_objects(aws.connect("s3"), path, settings, found, tell)
        elif Path(path).exists():
            _look_at_files(Path(path), settings, found, tell)
        else:
            raise ReviewboxError(f"{printable(path)}: no such file or folder")
    return found


def read_content(source: Source, settings: Settings) -> tuple[Content, bool]:
    """Return what is in a source, read as the service reads it, and whether it is a table.

    Raises:
        SourceError: it cannot be read.
    """
    document = read_source(source, settings)
    content = Content()
    times = 1 if document.table else prices.TIMES_WITH_EVIDENCE
    for row in document.rows:
        if row.problem or not row.text.strip():
            content.failed_reviews += 1
            continue
        characters = len(row.text)
        content.reviews += 1
        content.characters += characters
        content.units += comprehend_units(characters)
        content.work += characters * times
    return content, document.table is not None


def _look_at_files(path: Path, settings: Settings, found: Found, tell: Callable[[], None]) -> None:
    def unreadable(place: Path, error: OSError) -> None:
        found.unreadable.append(Reason(printable(str(place)), "", error.strerror or type(error).__name__))

    counted = found.counted
    for file in files_below(path, unreadable) if path.is_dir() else [path]:
        tell()
        name = printable(str(file))
        try:
            source = read_file(file, ObjectRef("", str(file)), settings.max_object_bytes)
        except OSError as error:
            unreadable(file, error)
            continue
        counted.objects += 1
        counted.size += source.size
        try:
            content, table = read_content(source, settings)
        except SourceError as error:
            _refuse(found, name, error)
            continue
        found.content.add(content)
        counted.tables += table
        counted.work += round(content.work)
        counted.largest = max(counted.largest, round(content.work))


def _look_at_objects(
    s3: "S3Client", uri: str, settings: Settings, found: Found, tell: Callable[[], None]
) -> None:
    """List a prefix, and read a few objects of each kind: tables and others, compressed or not."""
    prefix = aws.parse_uri(uri)
    kinds: dict[tuple[bool, bool], _Kind] = {}
    listing = Counted()
    with aws.errors_at(uri):
        for item in aws.list_objects(s3, prefix):
            tell()
            refused = listing.too_large + listing.archived
            listing.add(item, settings.max_object_bytes)
            if listing.too_large + listing.archived == refused:
                name = (is_table(item.key), stem(item.key) != item.key)
                kinds.setdefault(name, _Kind()).add(item)
    if not listing.objects:
        raise ReviewboxError(f"{uri}: nothing lies under it")
    work = 0.0
    for (tables, _), kind in kinds.items():
        sample = _read_sample(Storage(s3), prefix.bucket, kind, settings, found)
        size = sum(size for _, _, size in kind.chosen)
        by_size = kind.size / size if size else 0
        # Of tables there are as many reviews as bytes allow, of others one in each.
        found.content.add(sample, by_size, by_size if tables else kind.objects / len(kind.chosen))
        work += sample.work * by_size
        largest = sample.work / size * kind.largest if size else 0
        found.counted.largest = max(found.counted.largest, round(largest))
    found.listed += listing.objects
    for amount in ("objects", "size", "tables", "too_large", "archived"):
        setattr(found.counted, amount, getattr(found.counted, amount) + getattr(listing, amount))
    found.counted.work += round(work)


def _read_sample(storage: Storage, bucket: str, kind: _Kind, settings: Settings, found: Found) -> Content:
    sample = Content()
    for _, key, _ in kind.chosen:
        ref = ObjectRef(bucket, key)
        found.sampled += 1
        try:
            with aws.errors_at(str(ref)):
                source = storage.read(ref, settings.max_object_bytes)
            if source is not None:
                sample.add(read_content(source, settings)[0])
        except SourceError as error:
            _refuse(found, str(ref), error)
        except ReviewboxError as error:  # which names the object first
            found.unreadable.append(Reason(str(ref), "", str(error).removeprefix(f"{ref}: ")))
    return sample


def _refuse(found: Found, name: str, error: SourceError) -> None:
    found.counted.too_large += error.problem.code is ErrorCode.TOO_LARGE
    found.unreadable.append(Reason(name, error.problem.code, error.problem.message))


def _told(paths: Sequence[str], found: Found, rate: Rate) -> dict[str, Any]:
    """Return all that is to be told, as JSON has it."""
    counted, content = found.counted, found.content

    def take(at_once: int, *, as_job: bool) -> Estimate:
        function = Function(max_concurrency=at_once)
        per_kilobyte = rate.cpu_ms_per_1000_characters / 1000
        return estimate(counted, function, as_job=as_job, cpu_seconds_per_kilobyte=per_kilobyte)

    default = Function().max_concurrency
    units = round(content.units)
    return {
        "paths": [printable(path) for path in paths],
        "objects": counted.objects,
        "bytes": counted.size,
        "tables": counted.tables,
        "reviews": round(content.reviews),
        "failed_reviews": round(content.failed_reviews),
        "characters": round(content.characters),
        "listed": found.listed,
        "sampled": found.sampled,
        "too_large": counted.too_large,
        "archived": counted.archived,
        "unreadable": [asdict(reason) for reason in found.unreadable],
        "region": prices.REGION,
        "date": prices.DATE,
        "rate": asdict(rate),
        "queue": _priced(take(default, as_job=False)),
        "job": _priced(take(default, as_job=True)),
        "comprehend": {"dollars": comprehend_dollars(units), "units": units},
        "seconds": {str(at_once): take(at_once, as_job=False).seconds for at_once in (default, _AT_ONCE)},
    }


def _priced(estimated: Estimate) -> dict[str, Any]:
    return {"dollars": estimated.dollars, "items": [asdict(item) for item in estimated.items]}


def _print(told: Mapping[str, Any], terminal: Console) -> None:
    def tell(line: str, style: str = "") -> None:
        terminal.print(Text(line, style), soft_wrap=True)

    objects, reviews = number_of(told["objects"], "object"), number_of(told["reviews"], "review")
    tell(
        f"{', '.join(told['paths'])}: {objects}, {rounded_bytes(told['bytes'])}, {reviews}, "
        f"{told['characters']:,} characters"
    )
    if told["sampled"]:
        tell(
            f"  of {told['listed']:,} in S3 a sample of {told['sampled']:,} was read; reviews and characters "
            "are estimated from it"
        )
    if told["failed_reviews"]:
        tell(f"  {told['failed_reviews']:,} more without a text that can be read: an error each", "yellow")
    if told["too_large"]:
        tell(f"  {told['too_large']:,} larger than MaxObjectBytes: an error each", "yellow")
    if told["archived"]:
        tell(f"  {told['archived']:,} archived: an error each until restored", "yellow")
    if told["unreadable"]:
        tell(f"  {len(told['unreadable']):,} could not be read, and are listed below", "yellow")
    terminal.print(_bill(told))
    durations = (f"{rounded_seconds(time)} with {int(number):,}" for number, time in told["seconds"].items())
    function = Function()
    tell(
        f"About {' or '.join(durations)} functions of {function.memory_megabytes:,} MB at once, at "
        f"{told['rate']['cpu_ms_per_1000_characters']:.1f} ms of processor time for 1,000 characters "
        f"({told['rate']['source']}). Prices of {told['region']}, {told['date']}."
    )


def _bill(told: Mapping[str, Any]) -> Table:
    """Return a table of what each way costs, and Comprehend for the same text."""
    ways = ("queue", "job", "comprehend")
    totals = [rounded_dollars(told[way]["dollars"]) for way in ways]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("", "together")
    table.add_column("", justify="right")
    for name, total in zip(("dropped", "as a job", "Amazon Comprehend"), totals, strict=True):
        table.add_column(name, total, justify="right")
    bills = [{item["name"]: item for item in told[way]["items"]} for way in ways[:2]]
    for name, item in (bills[0] | bills[1]).items():
        cells = [rounded_dollars(bill[name]["dollars"]) if name in bill else "" for bill in bills]
        table.add_row(name, item["quantity"], *cells, "")
    table.add_row("units of text", f"{told['comprehend']['units']:,}", "", "", totals[-1])
    return table
