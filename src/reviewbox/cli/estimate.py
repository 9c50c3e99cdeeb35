"""`reviewbox estimate`: the cost and duration of classifying files and objects on AWS."""

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal

from reviewbox.cli import render
from reviewbox.cli.inputs import Input, OpenDocument, file_input, files_below, open_document, track_inputs
from reviewbox.cli.output import Format, print_report
from reviewbox.cli.progress import track
from reviewbox.cli.s3_sources import object_input
from reviewbox.cli.status import print_reasons
from reviewbox.documents import BinaryTable, Row
from reviewbox.errors import ErrorCode, ReviewboxError, SourceError
from reviewbox.objects import Listed, ObjectRef
from reviewbox.settings import Settings
from reviewbox.stack import cost, prices
from reviewbox.stack.aws import connect, errors_at
from reviewbox.stack.cost import Function, Item, Workload
from reviewbox.stack.listing import is_uri, list_objects, parse_uri
from reviewbox.stack.status import FailureReason
from reviewbox.storage import S3Storage
from reviewbox.wording import for_command_line, number_of

_SAMPLE_SIZE = 20  # objects under a prefix that are read
_MIN_ROWS = 1000  # of a table that is read in part; as many lines are read ahead
_HIGH_CONCURRENCY = 1000  # an account's default limit
_WAYS = {"queue": "as uploads", "job": "as a batch job", "comprehend": "Amazon Comprehend"}

# What a listing says exactly, or as an upper bound. All else is extrapolated from a sample of the objects.
_LISTED = "objects size tables compressed too_large archived largest_split".split()
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
            inventory.add_objects(path)
        elif Path(path).exists():
            inventory.add_files(Path(path))
        else:
            raise ReviewboxError(f"{render.printable(path)}: no such file or folder")
    if not inventory.workload.objects and not inventory.unreadable:
        raise ReviewboxError(f"{', '.join(paths)}: nothing to classify")
    report = _report(paths, inventory, rate)
    if format_ is Format.TABLE:
        _print(report, inventory.unreadable, render.new_terminal())
    else:
        items = ({"way": way, **item} for way in _WAYS for item in report[way]["items"])
        print_report(report, items, format_, indent=2)


@dataclass(slots=True)
class Inventory:
    """What there is to classify, how much of it was read, and why some of it could not be read."""

    settings: Settings
    workload: Workload = field(default_factory=Workload)
    unreadable: list[FailureReason] = field(default_factory=list)
    listed: int = 0  # objects of which only a sample was read
    sampled: int = 0  # the objects in these samples
    beginnings: int = 0  # tables of which only the first rows were read

    def add_files(self, path: Path) -> None:
        """Add a file, or the files below a folder."""
        files = files_below(path, self._add_os_error) if path.is_dir() else [path]
        self.workload += self._read([file_input(file) for file in files])

    def add_objects(self, uri: str) -> None:
        """Add the objects under a prefix. Their contents are extrapolated from a sample of them.

        Raises:
            ReviewboxError: there are no objects under the prefix.
        """
        prefix, storage, options = parse_uri(uri), S3Storage(connect("s3")), self.settings.read_options
        listed, readable, sample = Workload(), 0, list[Listed]()
        with errors_at(uri):
            for found in track(list_objects(storage, prefix), "Listing"):
                judged = cost.judge(found, options)
                listed += judged
                if not (judged.too_large or judged.archived):
                    readable += judged.work
                    # A digest of the key decides which objects are read.
                    insort(sample, found, key=lambda item: sha256(item.key.encode()).digest())
                    del sample[_SAMPLE_SIZE:]
        if not listed.objects:
            raise ReviewboxError(f"{uri}: no objects with this prefix")
        inputs = [object_input(storage, ObjectRef(prefix.bucket, item.key), item.size) for item in sample]
        content = self._read(inputs).scaled(readable / max(cost.count_listed(sample, options).work, 1))
        self.workload += replace(content, **{name: getattr(listed, name) for name in _LISTED})
        self.listed, self.sampled = self.listed + listed.objects, self.sampled + len(sample)

    def _read(self, inputs: Sequence[Input]) -> Workload:
        """Return the work on inputs; of those that cannot be read, remember why."""
        work = Workload()
        for item in track_inputs(inputs, "Reading"):
            try:
                with open_document(item, self.settings) as opened:
                    work += self._count(opened, item.on_share)
            except SourceError as error:
                code = error.problem.code
                self.unreadable.append(FailureReason(item.name, code, for_command_line(str(error))))
                work += Workload(objects=1, size=item.size, too_large=int(code is ErrorCode.TOO_LARGE))
            except ReviewboxError as error:
                reason = render.printable(str(error)).removeprefix(f"{item.name}: ")
                self.unreadable.append(FailureReason(item.name, "", reason))
        return work

    def _count(self, opened: OpenDocument, on_share: Callable[[float], object]) -> Workload:
        """Return the work on a source, extrapolated from its first rows if it is a large table."""
        options, table, size = self.settings.read_options, opened.document.table, opened.source.size
        rows, share = _first_rows(opened, options.max_bytes, on_share)
        self.beginnings += share < 1
        texts = [row.text for row in rows if row.text.strip() and not (row.problem or row.is_passthrough)]
        characters = sum(map(len, texts))
        read = Workload(
            work=characters * (1 if table else prices.EVIDENCE_FACTOR),
            reviews=len(texts),
            failed_reviews=sum(not row.is_passthrough for row in rows) - len(texts),
            characters=characters,
            units=sum(cost.comprehend_units(len(text)) for text in texts),
        ).scaled(1 / share)
        # A binary table is split only if it is too large to be read as a whole.
        is_large = size > options.max_bytes or len(rows) / share > options.max_rows
        if opened.stored and (is_large or not isinstance(table, BinaryTable)):
            # Only the reviews of a binary table are known. It is at least as large as it is stored.
            row_bytes = sum(len((row.raw or row.text).encode("utf-8", "replace")) + 1 for row in rows)
            read += cost.split_work(max(round(row_bytes / share), size), options)
        return replace(read, objects=1, size=size, tables=int(table is not None))

    def _add_os_error(self, path: Path, error: OSError) -> None:
        name = render.printable(str(path))
        self.unreadable.append(FailureReason(name, "", error.strerror or type(error).__name__))


def _first_rows(
    opened: OpenDocument, max_bytes: int, on_share: Callable[[float], object]
) -> tuple[Sequence[Row], float]:
    """Return all rows of a document, or the first ones of a table that is split; and their share of it."""
    rows, size = list[Row](), 0
    for row, share in opened.document.rows_with_shares():
        rows.append(row)
        size += len(row.raw or row.text)
        on_share(share)
        if opened.stored and size > max_bytes and len(rows) > _MIN_ROWS:
            return rows, share
    return rows, 1.0


def _report(paths: Sequence[str], inventory: Inventory, rate: float | None) -> dict[str, Any]:
    """Return the estimate as `--json` prints it."""
    workload = inventory.workload
    cpu_ms = 1000 * prices.CPU_SECONDS_PER_KILOBYTE if rate is None else rate
    estimated = partial(cost.estimate, workload, cpu_seconds_per_kilobyte=cpu_ms / 1000)
    queue, job = (estimated(Function(), as_job=as_job) for as_job in (False, True))
    fast = estimated(Function(max_concurrency=_HIGH_CONCURRENCY), as_job=False)
    comprehend = Item("units of text", f"{workload.units:,}", cost.comprehend_dollars(workload.units))
    return {
        "paths": [render.printable(path) for path in paths],
        "bytes": workload.size,
        **asdict(workload),
        **{name: getattr(inventory, name) for name in ("listed", "sampled", "beginnings")},
        "unreadable": [asdict(reason) for reason in inventory.unreadable],
        "region": prices.REGION,
        "date": prices.DATE,
        "rate": {
            "cpu_ms_per_1000_characters": cpu_ms,
            "source": f"measured by {prices.MEASURED_BY}" if rate is None else "set with --rate",
        },
        "queue": _bill(queue.items),
        "job": _bill(job.items),
        "comprehend": {"units": workload.units, **_bill([comprehend])},
        "longest_cut": queue.longest_split,
        "seconds": {str(Function().max_concurrency): queue.seconds, str(_HIGH_CONCURRENCY): fast.seconds},
    }


def _bill(items: Sequence[Item]) -> dict[str, Any]:
    return {"dollars": sum(item.dollars for item in items), "items": [asdict(item) for item in items]}


def _print(report: Mapping[str, Any], unreadable: Sequence[FailureReason], terminal: Terminal) -> None:
    tell = partial(render.print_line, terminal)
    objects, size = number_of(report["objects"], "object"), render.rounded_bytes(report["bytes"])
    reviews, characters = number_of(report["reviews"], "review"), f"{report['characters']:,} characters"
    tell(f"{', '.join(report['paths'])}: {objects}, {size}, {reviews}, {characters}")
    for name, note in _NOTES.items():
        if report[name]:
            tell(f"  {note.format_map(report)}", "yellow" if "gets an error" in note else "")
    if unreadable:
        tell(f"  {len(unreadable):,} could not be read; see the list below", "yellow")
    if report["longest_cut"] > cost.MAX_SPLIT_SECONDS:
        duration = render.rounded_seconds(report["longest_cut"])
        tell(f"  one invocation must split the largest table, which may take {duration}: divide it", "yellow")
    print_bills(
        terminal, {heading: [Item(**each) for each in report[way]["items"]] for way, heading in _WAYS.items()}
    )
    durations = " or ".join(
        f"{render.rounded_seconds(seconds)} with {int(number):,}"
        for number, seconds in report["seconds"].items()
    )
    tell(
        f"About {durations} concurrent functions of {Function().memory_megabytes:,} MB, at "
        f"{report['rate']['cpu_ms_per_1000_characters']:.1f} ms of processor time for 1,000 characters "
        f"({report['rate']['source']}). Prices of {report['region']}, {report['date']}."
    )
    if unreadable:
        print_reasons("could not be read", unreadable, terminal)


def print_bills(terminal: Terminal, bills: Mapping[str, Sequence[Item]], heading: str = "") -> None:
    """Print what is paid for in each way, one way in a column."""
    table = render.new_table(show_footer=True)
    table.add_column(heading, "total")
    table.add_column("", justify="right")
    for way, bill in bills.items():
        table.add_column(way, render.rounded_dollars(sum(item.dollars for item in bill)), justify="right")
    quantities = {item.name: item.quantity for bill in bills.values() for item in bill}
    for name, quantity in quantities.items():
        dollars = ({item.name: render.rounded_dollars(item.dollars) for item in b} for b in bills.values())
        table.add_row(name, quantity, *(each.get(name, "") for each in dollars))
    terminal.print(table)
