"""`reviewbox estimate`: the cost and duration of classifying files and objects on AWS."""

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
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
from reviewbox.documents import BinaryTable, ReadOptions, Row
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
_CONCURRENCIES = (Function().max_concurrency, 1000)  # the template's default, and an account's default limit
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
    unreadable = list[FailureReason]()
    workload = Workload()
    for path in paths:
        if is_uri(path):
            workload += _objects(path, settings, unreadable)
        elif Path(path).exists():
            workload += _files(Path(path), settings, unreadable)
        else:
            raise ReviewboxError(f"{render.printable(path)}: no such file or folder")
    if not workload.objects and not unreadable:
        raise ReviewboxError(f"{', '.join(paths)}: nothing to classify")
    report = _report(paths, workload, unreadable, rate)
    if format_ is Format.TABLE:
        _print(report, unreadable, render.new_terminal())
    else:
        items = ({"way": way, **item} for way in _WAYS for item in report[way]["items"])
        print_report(report, items, format_, indent=2)


def _files(path: Path, settings: Settings, unreadable: list[FailureReason]) -> Workload:
    """Return the work for a file, or for the files below a folder."""

    def on_error(path: Path, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        unreadable.append(FailureReason(render.printable(str(path)), "", reason))

    files = files_below(path, on_error) if path.is_dir() else [path]
    return _read([file_input(file) for file in files], settings, unreadable)


def _objects(uri: str, settings: Settings, unreadable: list[FailureReason]) -> Workload:
    """Return the work for the objects under a prefix, extrapolated from a sample of them."""
    prefix, storage = parse_uri(uri), S3Storage(connect("s3"))
    listed, readable, sample = Workload(), 0, list[Listed]()
    with errors_at(uri):
        for found in track(list_objects(storage, prefix), "Listing"):
            judged = cost.judge(found, settings.read_options)
            listed += judged
            if not (judged.too_large or judged.archived):
                readable += found.size
                # A digest of the key decides which objects are read.
                insort(sample, found, key=lambda item: sha256(item.key.encode()).digest())
                del sample[_SAMPLE_SIZE:]
    if not listed.objects:
        raise ReviewboxError(f"{uri}: no objects with this prefix")
    inputs = [object_input(storage, ObjectRef(prefix.bucket, item.key), item.size) for item in sample]
    read = _read(inputs, settings, unreadable)
    content = read.scaled(readable / max(sum(item.size for item in sample), 1))
    numbers = {name: getattr(listed, name) for name in _LISTED}
    numbers |= {"listed": listed.objects, "sampled": len(sample), "beginnings": read.beginnings}
    return replace(content, **numbers)


def _read(inputs: Sequence[Input], settings: Settings, unreadable: list[FailureReason]) -> Workload:
    """Return the work for inputs; add to `unreadable` why an input cannot be read."""
    work = Workload()
    for item in track_inputs(inputs, "Reading"):
        try:
            with open_document(item, settings) as opened:
                work += _count(opened, settings.read_options, item.on_share)
        except ReviewboxError as error:
            code = error.problem.code if isinstance(error, SourceError) else ""
            reason = render.printable(for_command_line(str(error))).removeprefix(f"{item.name}: ")
            unreadable.append(FailureReason(item.name, code, reason))
            work += Workload(objects=1, size=item.size, too_large=int(code is ErrorCode.TOO_LARGE))
    return work


def _count(opened: OpenDocument, options: ReadOptions, on_share: Callable[[float], object]) -> Workload:
    """Return the work for a source, extrapolated from its first rows if it is a large table."""
    rows, row_bytes, share = list[Row](), 0, 1.0
    for row, share in opened.document.rows_with_shares():
        rows.append(row)
        row_bytes += len((row.raw or row.text).encode("utf-8", "replace")) + 1
        on_share(share)
        if opened.stored and row_bytes > options.max_bytes and len(rows) > _MIN_ROWS:
            break
    else:
        share = 1.0
    texts = [row.text for row in rows if row.text.strip() and not (row.problem or row.is_passthrough)]
    characters = sum(map(len, texts))
    table, size = opened.document.table, opened.source.size
    read = Workload(
        work=characters * (1 if table else prices.EVIDENCE_FACTOR),
        reviews=len(texts),
        failed_reviews=sum(not row.is_passthrough for row in rows) - len(texts),
        characters=characters,
        units=sum(map(cost.comprehend_units, map(len, texts))),
    ).scaled(1 / share)
    # A binary table is split only if it is too large to be read as a whole.
    is_large = size > options.max_bytes or len(rows) / share > options.max_rows
    if opened.stored and (is_large or not isinstance(table, BinaryTable)):
        # For a binary table, `row_bytes` counts only the reviews. It is at least as large as it is stored.
        read += cost.split_work(max(round(row_bytes / share), size), options)
    return replace(read, objects=1, size=size, tables=int(table is not None), beginnings=int(share < 1))


def _report(
    paths: Sequence[str], workload: Workload, unreadable: Sequence[FailureReason], rate: float | None
) -> dict[str, Any]:
    """Return the estimate as `--json` prints it."""
    cpu_ms = 1000 * prices.CPU_SECONDS_PER_KILOBYTE if rate is None else rate
    estimated = partial(cost.estimate, workload, cpu_seconds_per_kilobyte=cpu_ms / 1000)
    queue, fast = (estimated(Function(max_concurrency=n), as_job=False) for n in _CONCURRENCIES)
    job = estimated(Function(), as_job=True)
    comprehend = Item("units of text", f"{workload.units:,}", cost.comprehend_dollars(workload.units))
    return {
        "paths": [render.printable(path) for path in paths],
        "bytes": workload.size,
        **asdict(workload),
        "unreadable": [asdict(reason) for reason in unreadable],
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
        "seconds": {str(n): each.seconds for n, each in zip(_CONCURRENCIES, (queue, fast), strict=True)},
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
        terminal, {name: [Item(**each) for each in report[way]["items"]] for way, name in _WAYS.items()}
    )
    durations = (f"{render.rounded_seconds(time)} with {int(n):,}" for n, time in report["seconds"].items())
    tell(
        f"About {' or '.join(durations)} concurrent functions of {Function().memory_megabytes:,} MB, at "
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
