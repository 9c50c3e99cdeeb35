"""`reviewbox estimate`: what it would cost, before anything is deployed or uploaded."""

import json
import os
from array import array
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from io import BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reviewbox.classification import read_source
from reviewbox.cli import prices
from reviewbox.cli.classify import files_below
from reviewbox.cli.estimates import (
    MOST_SECONDS_TO_CUT,
    Counted,
    Estimate,
    Function,
    comprehend_dollars,
    comprehend_units,
    estimate,
    may_be_table,
)
from reviewbox.cli.render import (
    console,
    number_of,
    printable,
    progress_bar,
    rounded_bytes,
    rounded_dollars,
    rounded_seconds,
)
from reviewbox.cli.status import print_reasons
from reviewbox.documents import ReadOptions, Row
from reviewbox.documents.compression import (
    DecompressedStream,
    decompress,
    detect_compression,
    exceeds,
    stem,
)
from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.segments import LineFormat, open_content, split
from reviewbox.errors import ErrorCode, ReviewboxError, SourceError
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.settings import Settings
from reviewbox.stack import aws
from reviewbox.stack.listing import ListedObject as Listed
from reviewbox.stack.listing import is_uri, list_objects, parse_uri
from reviewbox.stack.status import FailureReason as Reason
from reviewbox.storage import S3Storage

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


@dataclass(frozen=True, slots=True)
class Seen:
    """A source that was read, or the beginning of a large table.

    Attributes:
        content: what is in it, or in all of it if the rest is like its beginning.
        size: of a table of lines, decompressed, and estimated in the same way; 0 for what is none.
        is_table: whether it comes back as a table.
        is_whole: whether all of it was read.
    """

    content: Content
    size: float
    is_table: bool
    is_whole: bool = True


@dataclass(slots=True)
class _Kind:
    """Objects of one kind, and those of them that will be read: an arbitrary but constant choice."""

    objects: int = 0
    size: int = 0
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    chosen: list[tuple[bytes, str, int]] = field(default_factory=list)  # digest, key, size

    def add(self, item: Listed) -> None:
        self.objects += 1
        self.size += item.size
        self.sizes.append(item.size)
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
        beginnings: how many tables were read in part, to tell what is in the rest.
        unreadable: what could not be read, as the service will not be able to either.
    """

    counted: Counted = field(default_factory=Counted)
    content: Content = field(default_factory=Content)
    sampled: int = 0
    listed: int = 0
    beginnings: int = 0
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
        if is_uri(path):
            _look_at_objects(aws.connect("s3"), path, settings, found, tell)
        elif Path(path).exists():
            _look_at_files(Path(path), settings, found, tell)
        else:
            raise ReviewboxError(f"{printable(path)}: no such file or folder")
    return found


def read_content(source: Source, first: bytes, settings: Settings) -> Seen:
    """Return what is in a source, read as the service reads it.

    Args:
        source: without its body, if it is larger than `settings.max_object_bytes`.
        first: its body, or else its first `max_object_bytes`.
        settings: the service's.

    Raises:
        SourceError: it cannot be read.
    """
    options = settings.read_options
    reader = line_format(source.ref.key, source.content_type, first[:SNIFF_BYTES])
    if reader and (source.body is None or exceeds(source.body, options.segment_bytes)):
        return _read_large(source.size, first, reader, options)
    document = read_source(source, settings)
    content = _content(document.rows, 1 if document.table else prices.TIMES_WITH_EVIDENCE)
    size = len(decompress(first, options.max_bytes).data) if reader else 0
    return Seen(content, size, document.table is not None)


def _read_large(size: int, first: bytes, reader: LineFormat, options: ReadOptions) -> Seen:
    """Return what is in a table of lines of `size` bytes, as far as its first bytes tell."""
    stored = BytesIO(first)
    content, taken = first, len(first)
    compression = detect_compression(first)
    if compression:
        with BufferedReader(
            DecompressedStream(stored, compression, options.max_bytes, is_limit=False)
        ) as stream:
            content = stream.read(options.max_bytes + 1)
            taken = stored.tell()
    is_whole = taken == size and len(content) <= options.max_bytes
    inside = len(content) * size / taken
    if not is_whole:
        content = content[: content.rfind(b"\n") + 1]
    plain: BufferedReader = BufferedReader(BytesIO(content))
    table = split(open_content(plain, options), reader, options)
    end = len(content)
    # A quote that opens near the end may close behind it.
    if not is_whole and table.open_quote_line and table.open_quote_line > table.line_count / 2:
        end = sum(map(len, islice(BytesIO(content), table.open_quote_line - 1)))
    found = Content()
    for index, segment in enumerate(table.segments):
        rows = table.rows(index, content[segment.start : min(segment.end, end)], options)
        found.add(_content(rows, 1))
    scaled = Content()
    scaled.add(found, inside / end, inside / end)
    return Seen(scaled, inside, is_table=True, is_whole=is_whole)


def _content(rows: Iterable[Row], times: int) -> Content:
    content = Content()
    for row in rows:
        if row.problem or not row.text.strip():
            content.failed_reviews += 1
            continue
        characters = len(row.text)
        content.reviews += 1
        content.characters += characters
        content.units += comprehend_units(characters)
        content.work += characters * times
    return content


def _look_at_files(path: Path, settings: Settings, found: Found, tell: Callable[[], None]) -> None:
    def unreadable(place: Path, error: OSError) -> None:
        found.unreadable.append(Reason(printable(str(place)), "", error.strerror or type(error).__name__))

    counted = found.counted
    for file in files_below(path, unreadable) if path.is_dir() else [path]:
        tell()
        name = printable(str(file))
        try:
            with file.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                first = stream.read(settings.max_object_bytes)
        except OSError as error:
            unreadable(file, error)
            continue
        body = first if size <= settings.max_object_bytes else None
        source = Source(ObjectRef("", str(file)), Revision("", ""), size, "", body)
        counted.objects += 1
        counted.size += size
        try:
            seen = read_content(source, first, settings)
        except SourceError as error:
            _refuse(found, name, error)
            continue
        found.content.add(seen.content)
        found.beginnings += not seen.is_whole
        counted.tables += seen.is_table
        work = round(seen.content.work)
        compressed = detect_compression(first) is not None
        counted.add_source(work, round(seen.size), settings.read_options, compressed=compressed)


def _look_at_objects(
    s3: "S3Client", uri: str, settings: Settings, found: Found, tell: Callable[[], None]
) -> None:
    """List a prefix, and read a few objects of each kind: tables and others, compressed or not."""
    prefix = parse_uri(uri)
    kinds: dict[tuple[bool, bool, bool], _Kind] = {}
    listing = Counted()
    options = settings.read_options
    with aws.errors_at(uri):
        for item in list_objects(s3, prefix):
            tell()
            refused = listing.too_large + listing.archived
            listing.add(item, options)
            if listing.too_large + listing.archived == refused:
                tables = may_be_table(item, options)
                name = stem(item.key.lower())
                shape = (tables, name.endswith(".json"), name != item.key.lower())
                kinds.setdefault(shape, _Kind()).add(item)
    if not listing.objects:
        raise ReviewboxError(f"{uri}: nothing lies under it")
    for (tables, _, compressed), kind in kinds.items():
        sample, lines = _read_sample(S3Storage(s3), prefix.bucket, kind, settings, found)
        size = sum(size for _, _, size in kind.chosen)
        by_size = kind.size / size if size else 0
        # Of tables there are as many reviews as bytes allow, of others one in each.
        found.content.add(sample, by_size, by_size if tables else kind.objects / len(kind.chosen))
        for each in kind.sizes:
            work = round(sample.work / size * each) if size else 0
            inside = round(lines / size * each) if size else 0
            found.counted.add_source(work, inside if tables else 0, options, compressed=compressed)
    found.listed += listing.objects
    for amount in ("objects", "size", "tables", "too_large", "archived"):
        setattr(found.counted, amount, getattr(found.counted, amount) + getattr(listing, amount))


def _read_sample(
    storage: S3Storage, bucket: str, kind: _Kind, settings: Settings, found: Found
) -> tuple[Content, float]:
    """Return what is in the objects that were chosen, and how large they are as tables of lines."""
    sample, lines = Content(), 0.0
    for _, key, _ in kind.chosen:
        ref = ObjectRef(bucket, key)
        found.sampled += 1
        try:
            with aws.errors_at(str(ref)):
                seen = _read_object(storage, ref, settings)
            if seen is not None:
                sample.add(seen.content)
                lines += seen.size
                found.beginnings += not seen.is_whole
        except SourceError as error:
            _refuse(found, str(ref), error)
        except ReviewboxError as error:  # which names the object first
            found.unreadable.append(Reason(str(ref), "", str(error).removeprefix(f"{ref}: ")))
    return sample, lines


def _read_object(storage: S3Storage, ref: ObjectRef, settings: Settings) -> Seen | None:
    """Read an object, or the beginning of one that is too large for that; None if it is gone."""
    source = storage.read(ref, settings.max_object_bytes)
    if source is None:
        return None
    first = source.body
    if first is None:
        with storage.stream(ref, source.revision, 0, settings.max_object_bytes) as stream:
            first = stream.read()
    return read_content(source, first, settings)


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
        "large": counted.large,
        "segments": counted.segments,
        "beginnings": found.beginnings,
        "unreadable": [asdict(reason) for reason in found.unreadable],
        "region": prices.REGION,
        "date": prices.DATE,
        "rate": asdict(rate),
        "queue": _priced(take(default, as_job=False)),
        "job": _priced(take(default, as_job=True)),
        "longest_cut": take(default, as_job=False).longest_cut,
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
    if told["large"]:
        tell(
            f"  {number_of(told['large'], 'table')} larger than a segment, in "
            f"{number_of(told['segments'], 'segment')} together"
        )
    if told["beginnings"]:
        tell(
            f"  of {number_of(told['beginnings'], 'table')} no more than the beginning was read; the rest is "
            "taken to be like it"
        )
    if told["failed_reviews"]:
        tell(f"  {told['failed_reviews']:,} more without a text that can be read: an error each", "yellow")
    if told["too_large"]:
        tell(f"  {told['too_large']:,} larger than MaxObjectBytes: an error each", "yellow")
    if told["archived"]:
        tell(f"  {told['archived']:,} archived: an error each until restored", "yellow")
    if told["unreadable"]:
        tell(f"  {len(told['unreadable']):,} could not be read, and are listed below", "yellow")
    if told["longest_cut"] > MOST_SECONDS_TO_CUT:
        lasts = rounded_seconds(told["longest_cut"])
        tell(f"  the largest table is cut in one invocation, and that may take {lasts}: split it", "yellow")
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
