"""`reviewbox estimate`: the cost and duration of classifying files and objects on AWS."""

import json
import os
from array import array
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
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
from reviewbox.cli import render
from reviewbox.cli.classify import files_below
from reviewbox.cli.status import print_reasons
from reviewbox.documents import Document, read_document
from reviewbox.documents.compression import detect_compression, stem
from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.segments import open_content
from reviewbox.errors import ErrorCode, ReviewboxError, SourceError
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.settings import Settings
from reviewbox.stack import cost, prices
from reviewbox.stack.aws import connect, errors_at
from reviewbox.stack.listing import ListedObject, is_uri, list_objects, parse_uri
from reviewbox.stack.status import FailureReason
from reviewbox.storage import S3Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SAMPLE_SIZE = 5  # objects of each kind in S3 that are read
_MAX_LINES = 1_000_000  # of a large table that are read
_HIGH_CONCURRENCY = 1000  # an account's default limit

# Attributes that `--json` prints as they are.
_WORKLOAD_KEYS = ("objects", "tables", "too_large", "archived", "large", "segments")
_CONTENTS_KEYS = ("reviews", "failed_reviews", "characters", "beginnings")

# What is printed below the first line, if the number in a report that names it is not 0.
_NOTES = {
    "sampled": "read a sample of {sampled:,} of {listed:,} objects in S3 to estimate reviews and characters",
    "large": "tables larger than SegmentBytes: {large:,}, split into {segments:,} segments",
    "beginnings": "tables read only in part: {beginnings:,}; the rest is assumed to be similar",
}
_WARNINGS = {
    "failed_reviews": "rows or files without readable text: {failed_reviews:,}; each gets an error",
    "too_large": "larger than MaxObjectBytes: {too_large:,}; each gets an error",
    "archived": "archived: {archived:,}; each gets an error until you restore it",
}


@dataclass(slots=True)
class Contents:
    """The reviews in some sources; numbers that are extrapolated may be fractions."""

    reviews: float = 0
    failed_reviews: float = 0  # rows that will get an error
    units: float = 0  # of Amazon Comprehend
    characters: float = 0
    line_bytes: float = 0  # decompressed size of tables that can be split
    tables: int = 0  # that were read
    beginnings: int = 0  # tables that were only read in part

    def add(self, other: "Contents", by_size: float = 1, by_number: float = 1) -> None:
        """Add other contents: their text `by_size` times, and their reviews `by_number` times."""
        self.reviews += other.reviews * by_number
        self.failed_reviews += other.failed_reviews * by_number
        self.units += other.units * by_number
        self.characters += other.characters * by_size
        self.line_bytes += other.line_bytes * by_size
        self.tables += other.tables
        self.beginnings += other.beginnings


@dataclass(slots=True)
class _Kind:
    """Objects that are expected to be alike. A digest of the key decides which of them are read."""

    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    sample: list[ListedObject] = field(default_factory=list)

    def add(self, item: ListedObject) -> None:
        self.sizes.append(item.size)
        insort(self.sample, item, key=lambda listed: sha256(listed.key.encode()).digest())
        del self.sample[_SAMPLE_SIZE:]


@dataclass(slots=True)
class Inventory:
    """What there is to classify: objects, the reviews in them, and why some could not be read."""

    settings: Settings
    workload: cost.Workload = field(default_factory=cost.Workload)
    contents: Contents = field(default_factory=Contents)
    listed: int = 0  # objects in S3
    sampled: int = 0  # those of them that were read
    unreadable: list[FailureReason] = field(default_factory=list)

    def read(self, name: str, read: Callable[[], Contents]) -> Contents:
        """Return what `read` returns, or record why it fails and return empty contents."""
        try:
            return read()
        except SourceError as error:
            self.workload.too_large += error.problem.code is ErrorCode.TOO_LARGE
            self.unreadable.append(FailureReason(name, error.problem.code, error.problem.message))
        except ReviewboxError as error:
            self.unreadable.append(FailureReason(name, "", str(error).removeprefix(f"{name}: ")))
        return Contents()

    def add(
        self,
        sample: Contents,
        sampled: Sequence[int],
        sizes: Sequence[int],
        *,
        is_table: bool,
        is_compressed: bool,
    ) -> None:
        """Add objects of these sizes, extrapolated from a sample of them with the sizes `sampled`."""
        sample_size = max(sum(sampled), 1)
        by_size = sum(sizes) / sample_size
        # The number of reviews in tables grows with their size; any other object is one review.
        self.contents.add(sample, by_size, by_size if is_table else len(sizes) / len(sampled))
        work = sample.characters * (1 if is_table else prices.EVIDENCE_FACTOR)
        for size in sizes:
            share, options = size / sample_size, self.settings.read_options
            line_bytes = round(sample.line_bytes * share)
            self.workload.add_work(round(work * share), line_bytes, options, is_compressed=is_compressed)


def show_estimate(paths: Sequence[str], settings: Settings, rate: float | None, *, as_json: bool) -> None:
    """Print what it costs to classify files and objects.

    Args:
        paths: files, folders or `s3://` URIs of prefixes.
        settings: the service's settings that decide how files are read.
        rate: milliseconds of processor time for 1,000 characters; None for the measured rate.
        as_json: whether to print one JSON object.

    Raises:
        ReviewboxError: a path does not exist, or there is nothing to classify.
    """
    terminal = Console(stderr=True) if as_json else render.console()
    inventory = Inventory(settings)
    with render.progress_bar(terminal, "Reading") as update:
        for path in paths:
            if is_uri(path):
                _add_objects(inventory, connect("s3"), path, lambda: update(advance=1))
            elif Path(path).exists():
                _add_files(inventory, Path(path), lambda: update(advance=1))
            else:
                raise ReviewboxError(f"{render.printable(path)}: no such file or folder")
    if not inventory.workload.objects and not inventory.unreadable:
        raise ReviewboxError(f"{', '.join(paths)}: nothing to classify")
    report = _report(paths, inventory, rate)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report, terminal)
        if inventory.unreadable:
            print_reasons("could not be read", inventory.unreadable, terminal)


def read_contents(source: Source, beginning: bytes, settings: Settings) -> Contents:
    """Return the reviews in a source; for a large table, extrapolated from its beginning.

    Args:
        source: the source, without its body if it is larger than `settings.max_object_bytes`.
        beginning: its first bytes, up to `settings.max_object_bytes`.
        settings: the service's settings.

    Raises:
        SourceError: the service cannot read it.
    """
    options = settings.read_options
    if not line_format(source.ref.key, source.content_type, beginning[:SNIFF_BYTES]):
        return _count(read_source(source, settings))
    stored = BytesIO(beginning)
    raw: Any = stored  # which is all that BufferedReader needs
    buffered = BufferedReader(raw)
    data = open_content(buffered, options).stream.read(options.max_bytes + 1)
    size = len(data) * source.size / stored.tell()
    lines = b"".join(islice(BytesIO(data), _MAX_LINES))
    is_whole = len(lines) == size <= options.max_bytes
    lines = lines if is_whole else lines[: lines.rfind(b"\n") + 1]
    document = read_document(source.ref.key, source.content_type, lines, options)
    contents = Contents(line_bytes=size, beginnings=not is_whole)
    contents.add(_count(document, is_whole=is_whole), size / len(lines), size / len(lines))
    return contents


def _count(document: Document, *, is_whole: bool = True) -> Contents:
    contents = Contents(tables=int(document.table is not None))
    for row in document.rows:
        if row.text.strip() and not row.problem:
            contents.reviews += 1
            contents.characters += len(row.text)
            contents.units += cost.comprehend_units(len(row.text))
        # A quote that is open where the beginning of a table ends may close later.
        elif is_whole or row.problem is None or row.problem.code is not ErrorCode.UNCLOSED_QUOTE:
            contents.failed_reviews += 1
    return contents


def _add_files(inventory: Inventory, path: Path, on_file: Callable[[], None]) -> None:
    def skip(file: Path, error: OSError) -> None:
        why = error.strerror or type(error).__name__
        inventory.unreadable.append(FailureReason(render.printable(str(file)), "", why))

    settings = inventory.settings
    for file in files_below(path, skip) if path.is_dir() else [path]:
        on_file()
        try:
            with file.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                beginning = stream.read(settings.max_object_bytes)
        except OSError as error:
            skip(file, error)
            continue
        body = beginning if size <= settings.max_object_bytes else None
        source = Source(ObjectRef("", str(file)), Revision("", ""), size, "", body)
        contents = inventory.read(
            render.printable(str(file)), partial(read_contents, source, beginning, settings)
        )
        inventory.workload.objects += 1
        inventory.workload.size += size
        inventory.workload.tables += contents.tables
        is_compressed = detect_compression(beginning) is not None
        inventory.add(contents, [size], [size], is_table=contents.tables > 0, is_compressed=is_compressed)


def _add_objects(inventory: Inventory, s3: "S3Client", uri: str, on_object: Callable[[], None]) -> None:
    prefix, options = parse_uri(uri), inventory.settings.read_options
    kinds: dict[tuple[bool, bool, bool], _Kind] = {}
    listed_before = inventory.listed
    with errors_at(uri):
        for item in list_objects(s3, prefix):
            on_object()
            inventory.listed += 1
            is_readable = inventory.workload.add_listed(item, options)
            if is_readable and item.storage_class not in cost.ARCHIVE_CLASSES:
                name = stem(item.key.lower())
                kind = cost.may_be_table(item, options), name.endswith(".json"), name != item.key.lower()
                kinds.setdefault(kind, _Kind()).add(item)
    if inventory.listed == listed_before:
        raise ReviewboxError(f"{uri}: no objects with this prefix")
    for (is_table, _, is_compressed), objects in kinds.items():
        sample = Contents()
        for item in objects.sample:
            ref = ObjectRef(prefix.bucket, item.key)
            sample.add(
                inventory.read(str(ref), partial(_read_object, S3Storage(s3), ref, inventory.settings))
            )
        inventory.sampled += len(objects.sample)
        sampled = [item.size for item in objects.sample]
        inventory.add(sample, sampled, objects.sizes, is_table=is_table, is_compressed=is_compressed)


def _read_object(storage: S3Storage, ref: ObjectRef, settings: Settings) -> Contents:
    """Read an object, or the beginning of a large one. An object that no longer exists has no contents."""
    with errors_at(str(ref)):
        source = storage.read(ref, settings.max_object_bytes)
        if source is None:
            return Contents()
        beginning = source.body
        if beginning is None:
            with storage.stream(ref, source.revision, 0, settings.max_object_bytes) as stream:
                beginning = stream.read()
    return read_contents(source, beginning, settings)


def _report(paths: Sequence[str], inventory: Inventory, rate: float | None) -> dict[str, Any]:
    """Return the estimate as `--json` prints it."""
    workload, contents = inventory.workload, inventory.contents
    cpu_ms = 1000 * prices.CPU_SECONDS_PER_KILOBYTE if rate is None else rate
    default = cost.Function().max_concurrency

    def estimated(max_concurrency: int = default, *, as_job: bool = False) -> cost.Estimate:
        function = cost.Function(max_concurrency=max_concurrency)
        return cost.estimate(workload, function, as_job=as_job, cpu_seconds_per_kilobyte=cpu_ms / 1000)

    def bill(estimate: cost.Estimate) -> dict[str, Any]:
        return {"dollars": estimate.dollars, "items": [asdict(item) for item in estimate.items]}

    units = round(contents.units)
    return {
        "paths": [render.printable(path) for path in paths],
        "bytes": workload.size,
        **{name: getattr(workload, name) for name in _WORKLOAD_KEYS},
        **{name: round(getattr(contents, name)) for name in _CONTENTS_KEYS},
        "listed": inventory.listed,
        "sampled": inventory.sampled,
        "unreadable": [asdict(reason) for reason in inventory.unreadable],
        "region": prices.REGION,
        "date": prices.DATE,
        "rate": {
            "cpu_ms_per_1000_characters": cpu_ms,
            "source": f"measured by {prices.MEASURED_BY}" if rate is None else "set with --rate",
        },
        "queue": bill(estimated()),
        "job": bill(estimated(as_job=True)),
        "longest_cut": estimated().longest_split,
        "comprehend": {"dollars": cost.comprehend_dollars(units), "units": units},
        "seconds": {str(number): estimated(number).seconds for number in (default, _HIGH_CONCURRENCY)},
    }


def _print(report: Mapping[str, Any], terminal: Console) -> None:
    def tell(line: str, style: str = "") -> None:
        terminal.print(Text(line, style), soft_wrap=True)

    objects, reviews = (render.number_of(report[f"{what}s"], what) for what in ("object", "review"))
    size = render.rounded_bytes(report["bytes"])
    tell(f"{', '.join(report['paths'])}: {objects}, {size}, {reviews}, {report['characters']:,} characters")
    for name, note in (_NOTES | _WARNINGS).items():
        if report[name]:
            tell(f"  {note.format_map(report)}", "yellow" if name in _WARNINGS else "")
    if report["unreadable"]:
        tell(f"  {len(report['unreadable']):,} could not be read; see the list below", "yellow")
    if report["longest_cut"] > cost.MAX_SPLIT_SECONDS:
        duration = render.rounded_seconds(report["longest_cut"])
        tell(f"  one invocation must split the largest table, which may take {duration}: divide it", "yellow")
    terminal.print(_bill_table(report))
    durations = (
        f"{render.rounded_seconds(seconds)} with {int(number):,}"
        for number, seconds in report["seconds"].items()
    )
    tell(
        f"About {' or '.join(durations)} concurrent functions of {cost.Function().memory_megabytes:,} MB, at "
        f"{report['rate']['cpu_ms_per_1000_characters']:.1f} ms of processor time for 1,000 characters "
        f"({report['rate']['source']}). Prices of {report['region']}, {report['date']}."
    )


def _bill_table(report: Mapping[str, Any]) -> Table:
    """Return a table of the costs of dropped files, of a job, and of Amazon Comprehend."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("", "total")
    table.add_column("", justify="right")
    for key, header in (("queue", "dropped"), ("job", "as a job"), ("comprehend", "Amazon Comprehend")):
        table.add_column(header, render.rounded_dollars(report[key]["dollars"]), justify="right")
    bills = [{item["name"]: item for item in report[key]["items"]} for key in ("queue", "job")]
    for name, item in (bills[0] | bills[1]).items():
        cells = [render.rounded_dollars(bill[name]["dollars"]) if name in bill else "" for bill in bills]
        table.add_row(name, item["quantity"], *cells, "")
    comprehend = report["comprehend"]
    dollars = render.rounded_dollars(comprehend["dollars"])
    table.add_row("units of text", f"{comprehend['units']:,}", "", "", dollars)
    return table
