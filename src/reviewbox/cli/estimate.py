"""`reviewbox estimate`: the cost and duration of classifying files and objects on AWS."""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from reviewbox.cli.progress import progress_bar, track
from reviewbox.cli.status import print_reasons
from reviewbox.documents import Document, read_document
from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.formats.parquet.table import footer_of, stream
from reviewbox.documents.segments import Content
from reviewbox.documents.unsupported import is_parquet
from reviewbox.errors import ErrorCode, ReviewboxError, SourceError
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.settings import Settings
from reviewbox.stack import cost, prices
from reviewbox.stack.aws import connect, errors_at
from reviewbox.stack.cost import Item, Workload
from reviewbox.stack.listing import ListedObject, is_uri, list_objects, parse_uri
from reviewbox.stack.status import FailureReason
from reviewbox.storage import S3Storage
from reviewbox.wording import for_command_line, number_of

_SAMPLE_SIZE = 20  # objects under a prefix that are read
_SAMPLE_ROWS = 100_000  # of a Parquet file that are read
_HIGH_CONCURRENCY = 1000  # an account's default limit
# What the report says about the workload.
_REPORTED = "objects tables too_large archived large segments reviews failed_reviews characters".split()

# Lines printed below the first one, by the name of a number in the report. If it is 0, its line is left out.
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
    report, bills = _report(paths, inventory, rate)
    if format_ is not Format.TABLE:
        items = ({"way": way, **asdict(item)} for way, bill in bills.items() for item in bill)
        print_report(report, items, format_, indent=2)
        return
    terminal = render.new_terminal()
    _print(report, bills.values(), terminal)
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
    on_share: Callable[[float], object] = lambda _: None  # called with how much of a file has been counted

    def add_files(self, path: Path) -> None:
        """Add a file, or the files below a folder."""
        files = files_below(path, self._add_failure) if path.is_dir() else [path]
        with progress_bar("Reading", len(files)) as update:
            for number, file in enumerate(files):

                def show(share: float, number: int = number) -> None:
                    update(completed=number + share)

                self.on_share = show
                with self._failures_at(file), file.open("rb") as opened:
                    size = file.stat().st_size
                    self.workload += Workload(objects=1, size=size)
                    source = Source(ObjectRef("", str(file)), Revision("", ""), size, "", None)
                    self.workload += self._count(source, opened)
                update(completed=number + 1)

    def add_objects(self, storage: S3Storage, uri: str) -> None:
        """Add the objects under a prefix, extrapolated from a sample of them.

        Raises:
            ReviewboxError: there are no objects under the prefix.
        """
        prefix, options = parse_uri(uri), self.settings.read_options
        everything, sample, read = Workload(), list[ListedObject](), Workload()
        with errors_at(uri):
            for item in track(list_objects(storage.client, prefix), "Listing"):
                judged = cost.judge(item, options)
                if judged.too_large or judged.archived:
                    everything += judged.listed()
                    continue
                everything += judged
                # A digest of the key decides which objects are read.
                insort(sample, item, key=lambda item: sha256(item.key.encode()).digest())
                del sample[_SAMPLE_SIZE:]
        if not everything.objects:
            raise ReviewboxError(f"{uri}: no objects with this prefix")
        self.listed += everything.objects
        self.sampled += len(sample)
        for item in track(sample, "Reading", len(sample)):
            ref = ObjectRef(prefix.bucket, item.key)
            with self._failures_at(ref), errors_at(str(ref)):
                if source := storage.read(ref, 0):
                    with storage.open(source) as opened:
                        read += self._count(source, opened)
        share = everything.work / max(cost.count_listed(sample, options).work, 1)
        self.workload += everything.listed() + read.scaled(share)

    def _count(self, source: Source, stored: IO[bytes]) -> Workload:
        """Return the work on the text of a source, of which only the beginning is read if it is large.

        Raises:
            SourceError: the service cannot read the source.
        """
        options, name, head = self.settings.read_options, source.ref.key, stored.read(SNIFF_BYTES)
        stored.seek(0)
        if is_parquet(head):
            return self._count_parquet(stored, source.size)
        if not line_format(name, source.content_type, head):
            body = stored.read() if source.size <= self.settings.max_object_bytes else None
            return self._count_rows(read_source(replace(source, body=body), self.settings))
        packed: Any = BytesIO(stored.read(options.max_bytes))  # which is all that BufferedReader needs
        content = Content(BufferedReader(packed), options)
        data = content.stream.read(options.max_bytes + 1)
        size = round(len(data) * source.size / packed.tell())
        lines = b"".join(islice(BytesIO(data), options.max_rows))
        if not len(lines) == size <= options.max_bytes:
            lines = lines[: lines.rfind(b"\n") + 1]
        document = read_document(name, source.content_type, lines, options)
        share = size / max(len(lines), 1)
        return self._count_rows(document, share, size, is_compressed=bool(content.compression))

    def _count_parquet(self, file: IO[bytes], size: int) -> Workload:
        """Return the work on a Parquet file, of which only the first rows are read if there are many."""
        options = self.settings.read_options
        footer, document = footer_of(file, options), stream(file, options)
        document = replace(document, rows=islice(document.rows, _SAMPLE_ROWS))
        is_split = size > options.max_bytes or footer.rows > options.max_rows
        share = max(1.0, footer.rows / _SAMPLE_ROWS)
        return self._count_rows(document, share, footer.uncompressed_bytes if is_split else 0)

    def _count_rows(
        self, document: Document, share: float = 1.0, size: int = 0, *, is_compressed: bool = False
    ) -> Workload:
        """Return the work on a source of `size` bytes that are split, `share` times that of the rows."""
        lengths, failed = list[int](), 0
        for row in document.tracked(self.on_share).rows:
            if row.text.strip() and not row.problem and not row.is_passthrough:
                lengths.append(len(row.text))
            # A quote that is open where the beginning of a table ends may close later.
            elif share == 1 or not (row.problem and row.problem.code is ErrorCode.UNCLOSED_QUOTE):
                failed += not row.is_passthrough
        self.beginnings += share != 1
        work = sum(lengths) * (1 if document.table else prices.EVIDENCE_FACTOR)
        units = sum(map(cost.comprehend_units, lengths))
        text = Workload(
            work=work, reviews=len(lengths), failed_reviews=failed, characters=sum(lengths), units=units
        )
        split = cost.split_work(size, self.settings.read_options, is_compressed=is_compressed)
        return replace(text.scaled(share) + split, tables=int(document.table is not None))

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


def _report(
    paths: Sequence[str], inventory: Inventory, rate: float | None
) -> tuple[dict[str, Any], dict[str, Sequence[Item]]]:
    """Return the estimate as `--json` prints it, and the items of each bill by its name."""
    workload = inventory.workload
    cpu_ms = 1000 * prices.CPU_SECONDS_PER_KILOBYTE if rate is None else rate
    estimated = partial(cost.estimate, workload, cpu_seconds_per_kilobyte=cpu_ms / 1000)
    queue, job = (estimated(cost.Function(), as_job=as_job) for as_job in (False, True))
    fast = estimated(cost.Function(max_concurrency=_HIGH_CONCURRENCY), as_job=False)
    comprehend = Item("units of text", f"{workload.units:,}", cost.comprehend_dollars(workload.units))
    report = {
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
        "comprehend": {"dollars": comprehend.dollars, "units": workload.units},
        "seconds": {
            str(cost.Function().max_concurrency): queue.seconds,
            str(_HIGH_CONCURRENCY): fast.seconds,
        },
    }
    return report, {"queue": queue.items, "job": job.items, "comprehend": (comprehend,)}


def _print(report: Mapping[str, Any], bills: Iterable[Sequence[Item]], terminal: Terminal) -> None:
    tell = partial(render.print_line, terminal)
    objects, size = number_of(report["objects"], "object"), render.rounded_bytes(report["bytes"])
    reviews, characters = number_of(report["reviews"], "review"), f"{report['characters']:,} characters"
    tell(f"{', '.join(report['paths'])}: {objects}, {size}, {reviews}, {characters}")
    for name, note in _NOTES.items():
        if report[name]:
            tell(f"  {note.format_map(report)}", "yellow" if "gets an error" in note else "")
    if report["unreadable"]:
        tell(f"  {len(report['unreadable']):,} could not be read; see the list below", "yellow")
    if report["longest_cut"] > cost.MAX_SPLIT_SECONDS:
        duration = render.rounded_seconds(report["longest_cut"])
        tell(f"  one invocation must split the largest table, which may take {duration}: divide it", "yellow")
    print_bills(
        terminal, dict(zip(("as uploads", "as a batch job", "Amazon Comprehend"), bills, strict=True))
    )
    durations = " or ".join(
        f"{render.rounded_seconds(seconds)} with {int(number):,}"
        for number, seconds in report["seconds"].items()
    )
    tell(
        f"About {durations} concurrent functions of {cost.Function().memory_megabytes:,} MB, at "
        f"{report['rate']['cpu_ms_per_1000_characters']:.1f} ms of processor time for 1,000 characters "
        f"({report['rate']['source']}). Prices of {report['region']}, {report['date']}."
    )


def print_bills(terminal: Terminal, bills: Mapping[str, Sequence[Item]], heading: str = "") -> None:
    """Print what is paid for in each way, one way in a column."""
    table = render.new_table(show_footer=True)
    table.add_column(heading, "total")
    table.add_column("", justify="right")
    for way, bill in bills.items():
        total = render.rounded_dollars(sum(item.dollars for item in bill))
        table.add_column(way, total, justify="right")
    quantities = {item.name: item.quantity for bill in bills.values() for item in bill}
    for name, quantity in quantities.items():
        dollars = ({item.name: render.rounded_dollars(item.dollars) for item in b} for b in bills.values())
        table.add_row(name, quantity, *(each.get(name, "") for each in dollars))
    terminal.print(table)
