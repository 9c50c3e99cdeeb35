"""`reviewbox demo`: upload a folder's files to a local cloud and show their results."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text

from reviewbox.cli import render
from reviewbox.cli.inputs import Input, file_input, files_below, track_inputs
from reviewbox.cli.local import cloud_report, start_cloud_and_console, summarize_cloud, until_ctrl_c
from reviewbox.cli.output import Format, print_report, terminal_beside
from reviewbox.cli.progress import StepBar, open_progress
from reviewbox.cli.report import write_report
from reviewbox.documents import read_document
from reviewbox.errors import AbsenceCode, ReviewboxError
from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.objects import ObjectRef
from reviewbox.results.keys import receipt_key
from reviewbox.results.receipt_store import read_receipt
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage
from reviewbox.wording import for_command_line, number_of

_SECONDS_BETWEEN_POLLS = 0.1


@dataclass(frozen=True, slots=True)
class _FileResult:
    """A file of the demo, and its outcome."""

    file: Path
    name: str  # its path within the folder
    receipt: Mapping[str, Any]  # the content of its receipt; an error if it has none
    place: str  # where its result is: the receipt, the classified table, or the folder of its parts


def run_demo(
    reviews: Path,
    port: int,
    template: Path,
    report: Path,
    variables: Mapping[str, str],
    format_: Format,
    *,
    stay: bool,
) -> None:
    """Upload the files of a folder, print a table of their results, and write the report on them.

    The console shows what is happening. With `stay`, the console and the cloud keep running until Ctrl-C.

    Raises:
        ReviewboxError: the folder holds no files, or the cloud cannot start.
    """
    files = files_below(reviews)
    if not files:
        raise ReviewboxError(f"{reviews}: no files to upload")
    terminal, title = terminal_beside(format_), f"Reviews of {reviews.resolve().name}"
    page = partial(cloud_report, title=title)
    with start_cloud_and_console(template, port, 0, page, variables) as (cloud, address):
        until = "Ctrl-C" if stay else "the demo ends"
        render.print_line(terminal, f"Watch their progress, until {until}: {address}")
        storage, settings = S3Storage(cloud.s3()), Settings.from_environ(cloud.environment)
        keys = {file: settings.source_prefix + file.relative_to(reviews).as_posix() for file in files}
        _upload(keys, cloud)
        uploaded = f"Uploaded {number_of(len(files), 'file')} to s3://{BUCKET}/{settings.source_prefix}"
        render.print_line(terminal, uploaded)
        results = list(_wait_for_results(keys, settings, storage, cloud))
        if format_ is Format.TABLE:
            _print_table(results, settings)
        made = None
        if any("source" in result.receipt for result in results):
            summary = summarize_cloud(cloud, title)
            render.print_line(terminal, "The report, to open in a browser:")
            made = write_report(summary, report, terminal)
        if format_ is not Format.TABLE:
            _print_rows(results, made, format_)
        if stay:
            with until_ctrl_c(terminal):
                render.print_line(terminal, f"Drop more files at {address}. Press Ctrl-C to stop.")
            return
    render.print_line(terminal, "This cloud has stopped; `--stay` or `reviewbox local` keeps one running.")


def _upload(keys: Mapping[Path, str], cloud: Cloud) -> None:
    inputs = track_inputs([file_input(file) for file in keys], "Uploading")
    for (file, key), item in zip(keys.items(), inputs, strict=True):
        sent = 0

        def on_bytes(count: int, item: Input = item) -> None:
            nonlocal sent
            sent += count
            item.on_share(sent / max(item.size, 1))

        cloud.upload(file, key, on_bytes)


def _wait_for_results(
    keys: Mapping[Path, str], settings: Settings, storage: S3Storage, cloud: Cloud
) -> Iterator[_FileResult]:
    with open_progress() as progress:
        most = len(keys)
        bar, steps = progress.add_task("Waiting for results", total=most), StepBar(progress)

        def show(done: int, remaining: int) -> None:
            nonlocal most
            most = max(most, remaining)  # a large table becomes many segments
            # Messages are deleted in batches, and results come one by one.
            progress.update(bar, total=most, completed=max(done, most - remaining) + cloud.work.share)
            steps.show(cloud.work.step)

        for number, (file, key) in enumerate(keys.items()):
            result_key = receipt_key(settings.results_prefix, key)
            receipt = wait_for_receipt(result_key, storage, cloud, partial(show, number))
            place = f"s3://{BUCKET}/{_table_key(receipt) or result_key}"
            yield _FileResult(file, key.removeprefix(settings.source_prefix), receipt, place)


def wait_for_receipt(
    key: str, storage: S3Storage, cloud: Cloud, on_poll: Callable[[int], object] = lambda _: None
) -> Mapping[str, Any]:
    """Return the content of the receipt with a key, or an error once it is known that there will be none.

    `on_poll` is called repeatedly with the number of uploads and segments that remain.
    """
    while True:
        # The order matters: once the cloud is idle, all receipts have been written.
        remaining = cloud.remaining()
        on_poll(remaining)
        stored = read_receipt(storage, ObjectRef(BUCKET, key))
        if stored and stored.receipt.content:  # it is empty if something else has the key of a receipt
            return stored.receipt.content
        if not remaining:
            return {
                "error": {"code": AbsenceCode.NO_RESULT, "message": "the function failed; see its log above"}
            }
        time.sleep(_SECONDS_BETWEEN_POLLS)


def _table_key(receipt: Mapping[str, Any]) -> str | None:
    """Return the key of the classified table, or of the folder of its parts; None if there is no table."""
    parts = [part["key"] for part in receipt.get("parts", [])]
    return parts[0] if len(parts) == 1 else f"{parts[0].rpartition('/')[0]}/" if parts else None


def _print_rows(results: Sequence[_FileResult], report: Mapping[str, Any] | None, format_: Format) -> None:
    rows = [{"file": r.name, **render.receipt_fields(r.receipt), "result": r.place} for r in results]
    print_report({"files": rows, "report": report}, rows, format_, indent=2)


def _print_table(results: Sequence[_FileResult], settings: Settings) -> None:
    """Print a table of files with their verdicts, and where the results are."""
    terminal, table = render.new_terminal(), render.verdict_table("file")
    table.add_column("result", overflow="fold")
    for result in results:
        cells = _cells(result.receipt, result.file, settings)
        table.add_row(render.cell(result.name), *cells, render.cell(result.place))
    terminal.print(table)
    if any(result.receipt.get("needs_review") for result in results):
        render.print_line(terminal, "?: needs review")


def _cells(receipt: Mapping[str, Any], file: Path, settings: Settings) -> tuple[Text, Text, Text]:
    if "error" in receipt:
        error = receipt["error"]
        message = for_command_line(error["message"])
        return render.verdict_cells({"error_code": error["code"], "error_message": message}, "")
    if "counts" in receipt:
        labels, rows = render.label_and_row_counts(receipt["counts"])
        return render.cell(labels), Text(), render.cell(f"a table: {rows}")
    (review,) = read_document(file.name, "", file.read_bytes(), settings.read_options).rows
    return render.verdict_cells(receipt, review.text)
