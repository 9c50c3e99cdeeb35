"""`reviewbox estimate`: the cost and duration of classifying files and objects on AWS."""

import json
import os
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from hashlib import sha256
from io import BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from reviewbox.classification import read_source
from reviewbox.cli import render
from reviewbox.cli.classify import files_below
from reviewbox.cli.status import print_reasons
from reviewbox.documents import read_document
from reviewbox.documents.compression import detect_compression
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

_SAMPLE_SIZE = 20  # objects under a prefix that are read
_MAX_LINES = 1_000_000  # of a large table that are read
_HIGH_CONCURRENCY = 1000  # an account's default limit

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


# What `--json` prints of the contents.
_REPORTED = (
    "objects", "tables", "too_large", "archived", "large", "segments", "reviews", "failed_reviews",
    "characters", "beginnings", "listed", "sampled",
)  # fmt: skip
_REVIEW_COUNTS = ("reviews", "failed_reviews", "units", "characters")


@dataclass(slots=True)
class Contents(cost.Workload):
    """A workload and the reviews in it. Numbers of reviews may be fractions if they are extrapolated."""

    reviews: float = 0
    failed_reviews: float = 0  # rows that will get an error
    units: float = 0  # of Amazon Comprehend
    characters: float = 0
    beginnings: int = 0  # tables that were only read in part
    listed: int = 0  # objects in S3
    sampled: int = 0  # objects in S3 that were read

    def add(self, other: "Contents") -> None:
        """Add other contents."""
        for name in (attribute.name for attribute in fields(self)):
            mine, its = getattr(self, name), getattr(other, name)
            setattr(self, name, max(mine, its) if name.startswith("largest") else mine + its)

    def extrapolate(self, judged: cost.Workload, listed: "Contents") -> None:
        """Turn the contents of a sample into those of all `listed` objects.

        `listed` and `judged`, the same sample, are judged by names and sizes only.
        """
        share = listed.work / max(judged.work, 1)
        for name in (attribute.name for attribute in fields(self)):
            mine, basis, total = (getattr(workload, name, 0) for workload in (self, judged, listed))
            if name in _REVIEW_COUNTS:
                setattr(self, name, mine * share)
            else:
                setattr(self, name, round(mine * total / basis) if basis else mine + total)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is to classify, and why some of it could not be read."""

    settings: Settings
    terminal: Console
    contents: Contents = field(default_factory=Contents)
    unreadable: list[FailureReason] = field(default_factory=list)

    def add_files(self, path: Path) -> None:
        """Add a file, or the files below a folder."""

        def skip(file: Path, error: OSError) -> None:
            why = error.strerror or type(error).__name__
            self.unreadable.append(FailureReason(render.printable(str(file)), "", why))

        files = files_below(path, skip) if path.is_dir() else [path]
        for file in render.track(self.terminal, files, "Reading"):
            try:
                with file.open("rb") as stream:
                    size = os.fstat(stream.fileno()).st_size
                    beginning = stream.read(self.settings.max_object_bytes)
            except OSError as error:
                skip(file, error)
                continue
            source = Source(ObjectRef("", str(file)), Revision("", ""), size, "", beginning)
            read = partial(read_contents, source, self.settings)
            self.contents.add(self._read(render.printable(str(file)), size, read))

    def add_objects(self, s3: "S3Client", uri: str) -> None:
        """Add the objects under a prefix, extrapolated from a sample of them.

        Raises:
            ReviewboxError: there are no objects under the prefix.
        """
        prefix, options = parse_uri(uri), self.settings.read_options
        listed, sample = Contents(), list[ListedObject]()
        with errors_at(uri):
            for item in render.track(self.terminal, list_objects(s3, prefix), "Listing"):
                if listed.add_listed(item, options) and item.storage_class not in cost.ARCHIVE_CLASSES:
                    listed.add_listed_work(item, options)
                    # A digest of the key decides which objects are read.
                    insort(sample, item, key=lambda item: sha256(item.key.encode()).digest())
                    del sample[_SAMPLE_SIZE:]
        if not listed.objects:
            raise ReviewboxError(f"{uri}: no objects with this prefix")
        listed.listed, listed.sampled = listed.objects, len(sample)
        contents = Contents()
        for item in render.track(self.terminal, sample, "Reading"):
            ref = ObjectRef(prefix.bucket, item.key)
            read = partial(_read_object, S3Storage(s3), ref, self.settings)
            contents.add(self._read(str(ref), item.size, read))
        contents.extrapolate(cost.count_listed(sample, options), listed)
        self.contents.add(contents)

    def _read(self, name: str, size: int, read: Callable[[], Contents]) -> Contents:
        """Return what `read` returns; if that fails, record the reason."""
        contents = Contents()
        try:
            contents = read()
        except SourceError as error:
            contents.too_large += error.problem.code is ErrorCode.TOO_LARGE
            self.unreadable.append(FailureReason(name, error.problem.code, error.problem.message))
        except ReviewboxError as error:
            self.unreadable.append(FailureReason(name, "", str(error).removeprefix(f"{name}: ")))
        contents.objects, contents.size = 1, size
        return contents


def show_estimate(paths: Sequence[str], settings: Settings, rate: float | None, *, as_json: bool) -> None:
    """Print what it costs to classify files and objects, at the measured rate unless another one is given.

    Raises:
        ReviewboxError: a path does not exist, or there is nothing to classify.
    """
    terminal = Console(stderr=True) if as_json else render.console()
    inventory = Inventory(settings, terminal)
    for path in paths:
        if is_uri(path):
            inventory.add_objects(connect("s3"), path)
        elif Path(path).exists():
            inventory.add_files(Path(path))
        else:
            raise ReviewboxError(f"{render.printable(path)}: no such file or folder")
    if not inventory.contents.objects and not inventory.unreadable:
        raise ReviewboxError(f"{', '.join(paths)}: nothing to classify")
    report = _report(paths, inventory, rate)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return
    _print(report, terminal)
    if inventory.unreadable:
        print_reasons("could not be read", inventory.unreadable, terminal)


def read_contents(source: Source, settings: Settings) -> Contents:
    """Return the contents of a source, whose body may be only the beginning of a large table.

    Raises:
        SourceError: the service cannot read it.
    """
    options, body = settings.read_options, source.body or b""
    share, size, is_whole = 1.0, 0.0, True
    if line_format(source.ref.key, source.content_type, body[:SNIFF_BYTES]):
        stored = BytesIO(body)
        raw: Any = stored  # which is all that BufferedReader needs
        buffered = BufferedReader(raw)
        data = open_content(buffered, options).stream.read(options.max_bytes + 1)
        size = len(data) * source.size / stored.tell()
        lines = b"".join(islice(BytesIO(data), _MAX_LINES))
        is_whole = len(lines) == size <= options.max_bytes
        lines = lines if is_whole else lines[: lines.rfind(b"\n") + 1]
        document = read_document(source.ref.key, source.content_type, lines, options)
        share = size / len(lines)
    else:
        document = read_source(source if len(body) == source.size else replace(source, body=None), settings)
    contents = Contents(tables=int(document.table is not None), beginnings=int(not is_whole))
    for row in document.rows:
        if row.is_passthrough:
            continue
        if row.text.strip() and not row.problem:
            contents.reviews += share
            contents.characters += share * len(row.text)
            contents.units += share * cost.comprehend_units(len(row.text))
        # A quote that is open where the beginning of a table ends may close later.
        elif is_whole or row.problem is None or row.problem.code is not ErrorCode.UNCLOSED_QUOTE:
            contents.failed_reviews += share
    work = contents.characters * (1 if contents.tables else prices.EVIDENCE_FACTOR)
    is_compressed = detect_compression(body) is not None
    contents.add_work(round(work), round(size), options, is_compressed=is_compressed)
    return contents


def _read_object(storage: S3Storage, ref: ObjectRef, settings: Settings) -> Contents:
    """Read an object, or the beginning of a large one. An object that no longer exists has no contents."""
    with errors_at(str(ref)):
        source = storage.read(ref, settings.max_object_bytes)
        if source is None:
            return Contents()
        if source.body is None:
            with storage.stream(ref, source.revision, 0, settings.max_object_bytes) as stream:
                source = replace(source, body=stream.read())
    return read_contents(source, settings)


def _report(paths: Sequence[str], inventory: Inventory, rate: float | None) -> dict[str, Any]:
    """Return the estimate as `--json` prints it."""
    contents = inventory.contents
    cpu_ms = 1000 * prices.CPU_SECONDS_PER_KILOBYTE if rate is None else rate
    estimated = partial(cost.estimate, contents, cpu_seconds_per_kilobyte=cpu_ms / 1000)
    queue, job = estimated(cost.Function(), as_job=False), estimated(cost.Function(), as_job=True)
    fast = estimated(cost.Function(max_concurrency=_HIGH_CONCURRENCY), as_job=False)
    units = round(contents.units)
    return {
        "paths": [render.printable(path) for path in paths],
        "bytes": contents.size,
        **{name: round(getattr(contents, name)) for name in _REPORTED},
        "unreadable": [asdict(reason) for reason in inventory.unreadable],
        "region": prices.REGION,
        "date": prices.DATE,
        "rate": {
            "cpu_ms_per_1000_characters": cpu_ms,
            "source": f"measured by {prices.MEASURED_BY}" if rate is None else "set with --rate",
        },
        "queue": {"dollars": queue.dollars, "items": [asdict(item) for item in queue.items]},
        "job": {"dollars": job.dollars, "items": [asdict(item) for item in job.items]},
        "longest_cut": queue.longest_split,
        "comprehend": {"dollars": cost.comprehend_dollars(units), "units": units},
        "seconds": {
            str(cost.Function().max_concurrency): queue.seconds,
            str(_HIGH_CONCURRENCY): fast.seconds,
        },
    }


def _print(report: Mapping[str, Any], terminal: Console) -> None:
    tell = partial(render.print_line, terminal)
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

    table = render.new_table(show_footer=True)
    table.add_column("", "total")
    table.add_column("", justify="right")
    for key, header in (("queue", "dropped"), ("job", "as a job"), ("comprehend", "Amazon Comprehend")):
        table.add_column(header, render.rounded_dollars(report[key]["dollars"]), justify="right")
    bills = [{item["name"]: item for item in report[key]["items"]} for key in ("queue", "job")]
    for name, item in (bills[0] | bills[1]).items():
        cells = [render.rounded_dollars(bill[name]["dollars"]) if name in bill else "" for bill in bills]
        table.add_row(name, item["quantity"], *cells)
    comprehend = report["comprehend"]
    dollars = render.rounded_dollars(comprehend["dollars"])
    table.add_row("units of text", f"{comprehend['units']:,}", "", "", dollars)
    terminal.print(table)

    durations = " or ".join(
        f"{render.rounded_seconds(seconds)} with {int(number):,}"
        for number, seconds in report["seconds"].items()
    )
    tell(
        f"About {durations} concurrent functions of {cost.Function().memory_megabytes:,} MB, at "
        f"{report['rate']['cpu_ms_per_1000_characters']:.1f} ms of processor time for 1,000 characters "
        f"({report['rate']['source']}). Prices of {report['region']}, {report['date']}."
    )
