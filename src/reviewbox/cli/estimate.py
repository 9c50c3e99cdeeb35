"""`reviewbox estimate`: the cost and duration of classifying files and objects on AWS."""

import os
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from io import BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

from rich.console import Console as Terminal

from reviewbox.classification import read_source
from reviewbox.cli import render
from reviewbox.cli.classify import files_below
from reviewbox.cli.output import Format, print_report
from reviewbox.cli.progress import track
from reviewbox.cli.status import print_reasons
from reviewbox.documents import Document, read_document
from reviewbox.documents.compression import detect_compression
from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.formats.parquet.table import footer_of, stream
from reviewbox.documents.segments import Content
from reviewbox.documents.unsupported import is_parquet
from reviewbox.errors import ErrorCode, ReviewboxError, SourceError
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.settings import Settings
from reviewbox.stack import cost, prices
from reviewbox.stack.aws import connect, errors_at
from reviewbox.stack.cost import Workload
from reviewbox.stack.listing import ListedObject, is_uri, list_objects, parse_uri
from reviewbox.stack.status import FailureReason
from reviewbox.storage import S3Storage
from reviewbox.wording import for_command_line, number_of

_SAMPLE_SIZE = 20  # objects under a prefix that are read
_SAMPLE_ROWS = 100_000  # of a Parquet file that are read
_HIGH_CONCURRENCY = 1000  # an account's default limit
# What the report says about the workload.
_REPORTED = "objects tables too_large archived large segments reviews failed_reviews characters".split()

# What is printed below the first line, if the number in the report that names it is not 0.
_NOTES = {
    "sampled": "read a sample of {sampled:,} of {listed:,} objects in S3 to estimate reviews and characters",
    "large": "tables larger than SegmentBytes: {large:,}, split into {segments:,} segments",
    "beginnings": "tables read only in part: {beginnings:,}; the rest is assumed to be similar",
    "failed_reviews": "rows or files without readable text: {failed_reviews:,}; each gets an error",
    "too_large": "larger than MaxObjectBytes: {too_large:,}; each gets an error",
    "archived": "archived: {archived:,}; each gets an error until you restore it",
}


def show_estimate(paths: Sequence[str], settings: Settings, rate: float | None, format_: Format) -> None:
    """Print what it costs to classify files and objects, at the measured rate unless another one is given.

    Raises:
        ReviewboxError: a path does not exist, or there is nothing to classify.
    """
    inventory = Inventory(settings)
    for path in paths:
        if is_uri(path):
            inventory.add_objects(S3Storage(connect("s3")), path)
        elif Path(path).exists():
            inventory.add_files(Path(path))
        else:
            raise ReviewboxError(f"{render.printable(path)}: no such file or folder")
    if not inventory.workload.objects and not inventory.unreadable:
        raise ReviewboxError(f"{', '.join(paths)}: nothing to classify")
    report = _report(paths, inventory, rate)
    if format_ is not Format.TABLE:
        print_report(report, _items(report), format_, indent=2)
        return
    terminal = render.new_terminal()
    _print(report, terminal)
    if inventory.unreadable:
        reasons = [
            replace(reason, message=for_command_line(reason.message)) for reason in inventory.unreadable
        ]
        print_reasons("could not be read", reasons, terminal)


@dataclass(slots=True)
class Inventory:
    """What there is to classify, and why some of it could not be read."""

    settings: Settings
    workload: Workload = field(default_factory=Workload)
    beginnings: int = 0  # tables that were only read in part
    listed: int = 0  # objects in S3
    sampled: int = 0  # objects in S3 that were read
    unreadable: list[FailureReason] = field(default_factory=list)

    def add_files(self, path: Path) -> None:
        """Add a file, or the files below a folder."""
        files = files_below(path, self._add_failure) if path.is_dir() else [path]
        for file in track(files, "Reading", len(files)):
            with self._failures_at(file), file.open("rb") as opened:
                size = os.fstat(opened.fileno()).st_size
                body = _beginning(opened, self.settings.max_object_bytes)
                self.workload += Workload(objects=1, size=size)
                source = Source(ObjectRef("", str(file)), Revision("", ""), size, "", body)
                self.workload += self._count(source, opened)

    def add_objects(self, storage: S3Storage, uri: str) -> None:
        """Add the objects under a prefix, extrapolated from a sample of them.

        Raises:
            ReviewboxError: there are no objects under the prefix.
        """
        prefix, options = parse_uri(uri), self.settings.read_options
        readable, refused, sample = Workload(), Workload(), list[ListedObject]()
        with errors_at(uri):
            for item in track(list_objects(storage.client, prefix), "Listing"):
                judged = cost.judge(item, options)
                if judged.too_large or judged.archived:
                    refused += judged.listed()
                    continue
                readable += judged
                # A digest of the key decides which objects are read.
                insort(sample, item, key=lambda item: sha256(item.key.encode()).digest())
                del sample[_SAMPLE_SIZE:]
        if not (listed := readable.objects + refused.objects):
            raise ReviewboxError(f"{uri}: no objects with this prefix")
        self.listed += listed
        self.sampled += len(sample)
        judged = cost.count_listed(sample, options)
        read = Workload(objects=judged.objects, size=judged.size)
        for item in track(sample, "Reading", len(sample)):
            ref = ObjectRef(prefix.bucket, item.key)
            with self._failures_at(ref), errors_at(str(ref)):
                source = storage.read(ref, self.settings.max_object_bytes)
                if source and source.body is None:
                    with storage.stream(ref, source.revision, 0, self.settings.max_object_bytes) as stream:
                        source = replace(source, body=_beginning(stream, self.settings.max_object_bytes))
                if source:
                    with storage.open(source) as opened:
                        read += self._count(source, opened)
        self.workload += cost.extrapolate(read, judged, readable) + refused

    def _count(self, source: Source, stored: IO[bytes]) -> Workload:
        """Return the workload of a source, whose body may be only the beginning of a large table.

        Raises:
            SourceError: the service cannot read it.
        """
        options, name, body = self.settings.read_options, source.ref.key, source.body or b""
        is_whole = len(body) == source.size
        if is_parquet(body):
            return self._count_parquet(BytesIO(body) if is_whole else stored, source.size)
        if not line_format(name, source.content_type, body[:SNIFF_BYTES]):
            document = read_source(source if is_whole else replace(source, body=None), self.settings)
            return self._count_rows(document, 1.0, 0, is_compressed=False)
        packed: Any = BytesIO(body)  # which is all that BufferedReader needs
        buffered = BufferedReader(packed)  # closes `packed` when it is deleted
        data = Content(buffered, options).stream.read(options.max_bytes + 1)
        size, share = len(data) * source.size / packed.tell(), 1.0
        lines = b"".join(islice(BytesIO(data), options.max_rows))
        if not len(lines) == size <= options.max_bytes:
            lines = lines[: lines.rfind(b"\n") + 1]
            share = size / max(len(lines), 1)
        document = read_document(name, source.content_type, lines, options)
        is_compressed = detect_compression(body) is not None
        return self._count_rows(document, share, round(size), is_compressed=is_compressed)

    def _count_parquet(self, file: IO[bytes], size: int) -> Workload:
        """Return the workload of a Parquet file, of which only the first rows are read if there are many."""
        options = self.settings.read_options
        footer, document = footer_of(file, options), stream(file, options)
        document = replace(document, rows=islice(document.rows, _SAMPLE_ROWS))
        is_split = size > options.max_bytes or footer.rows > options.max_rows
        split_bytes = footer.uncompressed_bytes if is_split else 0
        share = max(1.0, footer.rows / _SAMPLE_ROWS)
        return self._count_rows(document, share, split_bytes, is_compressed=False)

    def _count_rows(self, document: Document, share: float, size: int, *, is_compressed: bool) -> Workload:
        """Return the workload of a source of `size` bytes that are split, `share` times that of the rows."""
        lengths, failed = list[int](), 0
        for row in document.rows:
            if row.text.strip() and not row.problem and not row.is_passthrough:
                lengths.append(len(row.text))
            # A quote that is open where the beginning of a table ends may close later.
            elif share == 1 or not (row.problem and row.problem.code is ErrorCode.UNCLOSED_QUOTE):
                failed += not row.is_passthrough
        self.beginnings += share != 1
        characters = share * sum(lengths)
        work = round(characters * (1 if document.table else prices.EVIDENCE_FACTOR))
        return replace(
            cost.text_work(work, size, self.settings.read_options, is_compressed=is_compressed),
            tables=int(document.table is not None),
            reviews=round(share * len(lengths)),
            failed_reviews=round(share * failed),
            characters=round(characters),
            units=round(share * sum(map(cost.comprehend_units, lengths))),
        )

    @contextmanager
    def _failures_at(self, place: Path | ObjectRef) -> Iterator[None]:
        """Record why an input could not be read, instead of raising it."""
        try:
            yield
        except (ReviewboxError, OSError) as error:
            self._add_failure(place, error)

    def _add_failure(self, place: Path | ObjectRef, error: ReviewboxError | OSError) -> None:
        name, code = render.printable(str(place)), ""
        message = str(error).removeprefix(f"{name}: ")
        if isinstance(error, OSError):
            message = error.strerror or type(error).__name__
        if isinstance(error, SourceError):
            code = error.problem.code
            self.workload += Workload(too_large=int(code is ErrorCode.TOO_LARGE))
        self.unreadable.append(FailureReason(name, code, message))


def _beginning(file: IO[bytes], size: int) -> bytes:
    """Return up to `size` bytes; only the first of a Parquet file, which is not read from the start."""
    head = file.read(min(size, SNIFF_BYTES))
    return head if is_parquet(head) else head + file.read(size - len(head))


def _report(paths: Sequence[str], inventory: Inventory, rate: float | None) -> dict[str, Any]:
    """Return the estimate as `--json` prints it."""
    workload = inventory.workload
    cpu_ms = 1000 * prices.CPU_SECONDS_PER_KILOBYTE if rate is None else rate
    estimated = partial(cost.estimate, workload, cpu_seconds_per_kilobyte=cpu_ms / 1000)
    queue, job = (estimated(cost.Function(), as_job=as_job) for as_job in (False, True))
    fast = estimated(cost.Function(max_concurrency=_HIGH_CONCURRENCY), as_job=False)
    return {
        "paths": [render.printable(path) for path in paths],
        "bytes": workload.size,
        **{name: getattr(workload, name) for name in _REPORTED},
        **{name: getattr(inventory, name) for name in ("beginnings", "listed", "sampled")},
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
        "comprehend": {"dollars": cost.comprehend_dollars(workload.units), "units": workload.units},
        "seconds": {
            str(cost.Function().max_concurrency): queue.seconds,
            str(_HIGH_CONCURRENCY): fast.seconds,
        },
    }


def _items(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is paid for in each way to classify the reviews."""
    for way in ("queue", "job"):
        for item in report[way]["items"]:
            yield {"way": way, **item}
    units, dollars = report["comprehend"]["units"], report["comprehend"]["dollars"]
    yield {"way": "comprehend", "name": "units of text", "quantity": f"{units:,}", "dollars": dollars}


def _print(report: Mapping[str, Any], terminal: Terminal) -> None:
    tell = partial(render.print_line, terminal)
    counts = (
        number_of(report["objects"], "object"),
        render.rounded_bytes(report["bytes"]),
        number_of(report["reviews"], "review"),
        f"{report['characters']:,} characters",
    )
    tell(f"{', '.join(report['paths'])}: {', '.join(counts)}")
    for name, note in _NOTES.items():
        if report[name]:
            tell(f"  {note.format_map(report)}", "yellow" if "gets an error" in note else "")
    if report["unreadable"]:
        tell(f"  {len(report['unreadable']):,} could not be read; see the list below", "yellow")
    if report["longest_cut"] > cost.MAX_SPLIT_SECONDS:
        duration = render.rounded_seconds(report["longest_cut"])
        tell(f"  one invocation must split the largest table, which may take {duration}: divide it", "yellow")

    table = render.new_table(show_footer=True)
    table.add_column("", "total")
    table.add_column("", justify="right")
    ways = {"queue": "as uploads", "job": "as a batch job", "comprehend": "Amazon Comprehend"}
    for key, header in ways.items():
        table.add_column(header, render.rounded_dollars(report[key]["dollars"]), justify="right")
    bills = [{item["name"]: item for item in report[key]["items"]} for key in ("queue", "job")]
    for name, item in (bills[0] | bills[1]).items():
        cells = [render.rounded_dollars(bill[name]["dollars"]) if name in bill else "" for bill in bills]
        table.add_row(name, item["quantity"], *cells)
    units, dollars = report["comprehend"]["units"], report["comprehend"]["dollars"]
    table.add_row("units of text", f"{units:,}", "", "", render.rounded_dollars(dollars))
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
