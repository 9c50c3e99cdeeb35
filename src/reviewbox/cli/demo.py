"""`reviewbox demo`: upload a folder's files to a local cloud and show their results."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from reviewbox.cli import render
from reviewbox.cli.inputs import files_below
from reviewbox.cli.local import cloud_report, start_cloud_and_console, until_ctrl_c
from reviewbox.cli.progress import track
from reviewbox.cli.report import make_report, write_report
from reviewbox.documents import read_document
from reviewbox.errors import AbsenceCode, ReviewboxError
from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.objects import ObjectRef
from reviewbox.report import ReportOptions
from reviewbox.results.keys import receipt_key
from reviewbox.results.receipt_store import read_receipt
from reviewbox.settings import Settings
from reviewbox.stack.stored_results import S3Place
from reviewbox.storage import S3Storage
from reviewbox.wording import for_command_line

_SECONDS_BETWEEN_POLLS = 0.1


def run_demo(  # noqa: PLR0913 - a command's options are its arguments
    reviews: Path,
    port: int,
    template: Path,
    report: Path,
    variables: Mapping[str, str],
    *,
    stay: bool = False,
) -> None:
    """Upload the files of a folder, print a table of their results, and write the report on them.

    The console shows what happens meanwhile. With `stay`, it and the cloud run on until Ctrl-C.

    Raises:
        ReviewboxError: the folder holds no files, or the cloud cannot start.
    """
    files = files_below(reviews)
    if not files:
        raise ReviewboxError(f"{reviews}: no files to upload")
    terminal, title = render.new_terminal(), f"Reviews of {reviews.resolve().name}"
    page = partial(cloud_report, title=title)
    with start_cloud_and_console(template, port, 0, page, variables) as (cloud, address):
        until = "Ctrl-C" if stay else "the demo ends"
        render.print_line(terminal, f"Watch them pass, until {until}: {address}")
        storage, settings = S3Storage(cloud.s3()), Settings.from_environ(cloud.environment)
        keys = {file: settings.source_prefix + file.relative_to(reviews).as_posix() for file in files}
        for file, key in keys.items():
            storage.client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
        render.print_line(terminal, f"Uploaded {len(files)} files to s3://{BUCKET}/{settings.source_prefix}")

        receipts = {
            file: _wait_for_receipt(receipt_key(settings.results_prefix, key), storage, cloud)
            for file, key in track(keys.items(), "Waiting for results", len(keys))
        }
        summary = None
        if any("source" in receipt for receipt in receipts.values()):
            place = S3Place(storage, ObjectRef(BUCKET, settings.results_prefix))
            model = Path(settings.model_dir) if settings.model_dir else None
            summary = make_report(place, ReportOptions(title=title), model, settings)
        terminal.print(_table(receipts, keys, reviews, settings))
        if any(receipt.get("needs_review") for receipt in receipts.values()):
            render.print_line(terminal, "?: needs review")
        if summary:
            render.print_line(terminal, "The report, to open in a browser:")
            write_report(summary, report)
        if stay:
            with until_ctrl_c(terminal):
                render.print_line(terminal, f"Drop more files at {address}. Press Ctrl-C to stop.")
            return
    render.print_line(terminal, "This cloud has stopped; `--stay` or `reviewbox local` keeps one running.")


def _wait_for_receipt(key: str, storage: S3Storage, cloud: Cloud) -> Mapping[str, Any]:
    while True:
        # The order matters: once the cloud is idle, all receipts have been written.
        idle = cloud.is_idle()
        if stored := read_receipt(storage, ObjectRef(BUCKET, key)):
            return stored.receipt.content
        if idle:
            return {
                "error": {"code": AbsenceCode.NO_RESULT, "message": "the function failed; see its log above"}
            }
        time.sleep(_SECONDS_BETWEEN_POLLS)


def _table(
    receipts: Mapping[Path, Mapping[str, Any]], keys: Mapping[Path, str], folder: Path, settings: Settings
) -> Table:
    """Return a table of files with their verdicts, and where the results are."""
    table = render.verdict_table("file")
    table.add_column("result", overflow="fold")
    for file, receipt in receipts.items():
        result = receipt_key(settings.results_prefix, keys[file])
        if "counts" in receipt:
            parts = [part["key"] for part in receipt["parts"]]
            result = parts[0] if len(parts) == 1 else f"{parts[0].rpartition('/')[0]}/"
        name, place = str(file.relative_to(folder)), f"s3://{BUCKET}/{result}"
        table.add_row(render.cell(name), *_cells(receipt, file, settings), render.cell(place))
    return table


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
