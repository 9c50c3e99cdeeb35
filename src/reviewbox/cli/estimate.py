"""`reviewbox estimate`: the cost and duration of classifying files and objects on AWS."""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal

from reviewbox.cli import render
from reviewbox.cli.inputs import Input, file_input, files_below, open_document, track_inputs
from reviewbox.cli.output import Format, print_report
from reviewbox.cli.progress import track
from reviewbox.cli.s3_sources import object_input
from reviewbox.cli.status import print_reasons
from reviewbox.documents import BinaryTable, Row
from reviewbox.errors import ArchivedError, ErrorCode, ReviewboxError, SourceError
from reviewbox.objects import Listed, ObjectRef
from reviewbox.settings import Settings
from reviewbox.stack import cost, prices
from reviewbox.stack.aws import connect, errors_at
from reviewbox.stack.cost import Function, Item, Workload
from reviewbox.stack.listing import is_uri, list_objects, parse_uri
from reviewbox.stack.status import FailureReason
from reviewbox.storage import S3Storage
from reviewbox.wording import for_command_line, number_of

_Bills = Mapping[str, Sequence[Item]]  # by the name of a way to classify
_SAMPLE_SIZE = 20  # objects under a prefix that are read
_MIN_ROWS = 1000  # of a table that is read in part; as many lines are read ahead
_WAYS = {"queue": "as uploads", "job": "as a batch job", "comprehend": "Amazon Comprehend"}
# Printed with a number of the report, unless it is 0.
_NOTES = {
    "unread": "bytes that were not read, but are assumed to be like the others",
    "failed_reviews": "rows or files without readable text, each of which gets an error",
    "too_large": "larger than MaxObjectBytes, each of which gets an error",
    "archived": "archived, each of which gets an error until you restore it",
    "too_long": "tables that one invocation may not split in time; divide them",
}


def show_estimate(paths: Sequence[str], settings: Settings, rate: float | None, format_: Format) -> None:
    """Print what it costs to classify files and objects, at the measured rate unless another one is given.

    Raises:
        ReviewboxError: a path does not exist, or there is nothing to classify.
    """
    work, unreadable = Workload(), list[FailureReason]()
    for path in paths:
        read = _read_objects if is_uri(path) else _read_files
        work += read(path, settings, unreadable)
    if not work.objects and not unreadable:
        raise ReviewboxError(f"{', '.join(paths)}: nothing to classify")
    default = Function()
    cpu_ms = 1000 * prices.CPU_SECONDS_PER_KILOBYTE if rate is None else rate
    source = f"measured by {prices.MEASURED_BY}" if rate is None else "set with --rate"
    queue, job = (cost.estimate(work, default, as_job=as_job, rate=cpu_ms / 1000) for as_job in (False, True))
    comprehend = Item("units of text", f"{work.units:,}", cost.comprehend_dollars(work.units))
    bills = {"queue": queue.items, "job": job.items, "comprehend": (comprehend,)}
    items = {way: [asdict(item) for item in bill] for way, bill in bills.items()}
    report = {
        "paths": [render.printable(path) for path in paths],
        "bytes": work.size,
        **asdict(work),
        "unreadable": [asdict(reason) for reason in unreadable],
        "region": prices.REGION,
        "date": prices.DATE,
        "rate": {"cpu_ms_per_1000_characters": cpu_ms, "source": source},
        **{way: {"dollars": sum(item.dollars for item in bills[way]), "items": items[way]} for way in bills},
        "seconds": {str(default.max_concurrency): queue.seconds},
    }
    if format_ is Format.TABLE:
        _print(report, {_WAYS[way]: bill for way, bill in bills.items()}, unreadable)
    else:
        rows = ({"way": way, **item} for way in items for item in items[way])
        print_report(report, rows, format_, indent=2)


def _read_files(name: str, settings: Settings, unreadable: list[FailureReason]) -> Workload:
    """Return the work for a file, or for the files below a folder."""
    path, errors = Path(name), dict[Path, OSError]()
    if not path.exists():
        raise ReviewboxError(f"{render.printable(name)}: no such file or folder")
    files = files_below(path, errors.__setitem__) if path.is_dir() else [path]
    for file, error in errors.items():
        unreadable.append(FailureReason(render.printable(str(file)), "", error.strerror or str(error)))
    return _read_all(map(file_input, files), settings, unreadable)


def _read_objects(uri: str, settings: Settings, unreadable: list[FailureReason]) -> Workload:
    """Return the work for the objects under a prefix, extrapolated from a sample of them."""
    prefix, storage = parse_uri(uri), S3Storage(connect("s3"))
    objects, size, sample = 0, 0, list[Listed]()
    with errors_at(uri):
        for found in track(list_objects(storage, prefix), "Listing"):
            objects, size = objects + 1, size + found.size
            # A digest of the key decides which objects are read.
            insort(sample, found, key=lambda item: sha256(item.key.encode()).digest())
            del sample[_SAMPLE_SIZE:]
    if not objects:
        raise ReviewboxError(f"{uri}: no objects with this prefix")
    inputs = (object_input(storage, ObjectRef(prefix.bucket, item.key), item.size) for item in sample)
    read = _read_all(inputs, settings, unreadable)
    unread = size - read.size + read.unread
    return replace(read.scaled(size / max(read.size, 1)), objects=objects, size=size, unread=unread)


def _read_all(inputs: Iterable[Input], settings: Settings, unreadable: list[FailureReason]) -> Workload:
    """Return the work for inputs; add to `unreadable` why an input cannot be read."""
    work = Workload()
    for item in track_inputs(list(inputs), "Reading"):
        try:
            work += _read(item, settings)
        except ReviewboxError as error:
            code = error.problem.code if isinstance(error, SourceError) else ""
            reason = render.printable(for_command_line(str(error))).removeprefix(f"{item.name}: ")
            unreadable.append(FailureReason(item.name, code, reason))
            too_large, archived = int(code is ErrorCode.TOO_LARGE), int(isinstance(error, ArchivedError))
            work += Workload(1, item.size, too_large=too_large, archived=archived)
    return work


def _read(item: Input, settings: Settings) -> Workload:
    """Return the work for an input, extrapolated from its first rows if it is a large table."""
    rows, row_bytes, share, options = list[Row](), 0, 1.0, settings.read_options
    with open_document(item, settings) as opened:
        for row, share in opened.document.rows_with_shares():
            rows.append(row)
            row_bytes += len((row.raw or row.text).encode("utf-8", "replace")) + 1
            item.on_share(share)
            if opened.stored and row_bytes > options.max_bytes and len(rows) > _MIN_ROWS:
                break
        else:
            share = 1.0
    lengths = [len(row.text) for row in rows if row.text.strip() and not (row.problem or row.is_passthrough)]
    table, characters = opened.document.table, sum(lengths)
    read = Workload(
        work=characters * (1 if table else prices.EVIDENCE_FACTOR),
        reviews=len(lengths),
        failed_reviews=sum(not row.is_passthrough for row in rows) - len(lengths),
        characters=characters,
        units=sum(map(cost.comprehend_units, lengths)),
    ).scaled(1 / share)
    # A binary table is split only if it is too large to be read as a whole.
    is_large = item.size > options.max_bytes or len(rows) / share > options.max_rows
    if opened.stored and (is_large or not isinstance(table, BinaryTable)):
        # For a binary table, `row_bytes` counts only the reviews. It is at least as large as it is stored.
        read += cost.split_work(max(round(row_bytes / share), item.size), options)
    unread = item.size - round(item.size * share)
    return replace(read, objects=1, size=item.size, unread=unread, tables=int(table is not None))


def _print(report: Mapping[str, Any], bills: _Bills, unreadable: Sequence[FailureReason]) -> None:
    terminal = render.new_terminal()
    objects, size = number_of(report["objects"], "object"), render.rounded_bytes(report["size"])
    reviews, characters = number_of(report["reviews"], "review"), f"{report['characters']:,} characters"
    render.print_line(terminal, f"{', '.join(report['paths'])}: {objects}, {size}, {reviews}, {characters}")
    for name, note in _NOTES.items():
        if report[name]:
            render.print_line(terminal, f"  {note}: {report[name]:,}", "yellow")
    print_bills(terminal, bills)
    default, rate, (seconds,) = Function(), report["rate"], report["seconds"].values()
    render.print_line(
        terminal,
        f"About {render.rounded_seconds(seconds)} with {default.max_concurrency} concurrent functions of "
        f"{default.memory_megabytes:,} MB, at {rate['cpu_ms_per_1000_characters']:.1f} ms of processor time "
        f"for 1,000 characters ({rate['source']}). Prices of {report['region']}, {report['date']}.",
    )
    if unreadable:
        print_reasons(f"{len(unreadable):,} could not be read", unreadable, terminal)


def print_bills(terminal: Terminal, bills: _Bills, heading: str = "") -> None:
    """Print what is paid for in each way, one way in a column."""
    table = render.new_table(show_footer=True)
    table.add_column(heading, "total")
    table.add_column("", justify="right")
    for way, bill in bills.items():
        table.add_column(way, render.rounded_dollars(sum(item.dollars for item in bill)), justify="right")
    columns = [{item.name: render.rounded_dollars(item.dollars) for item in bill} for bill in bills.values()]
    for name, quantity in {item.name: item.quantity for bill in bills.values() for item in bill}.items():
        table.add_row(name, quantity, *(column.get(name, "") for column in columns))
    terminal.print(table)
