"""`reviewbox watch`: classify the files of a folder as they arrive, without a cloud."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from reviewbox.cli.inputs import Input, file_input, files_below, track_inputs
from reviewbox.cli.output import Format, open_rows, terminal_beside
from reviewbox.cli.render import cell, new_terminal, print_line, printable, receipt_fields, receipt_line
from reviewbox.cli.report import make_report
from reviewbox.console import Board, Console, Inbox, start_console
from reviewbox.documents import Step
from reviewbox.errors import ForeignResultError, ReviewboxError, contain
from reviewbox.folder_storage import FileState, FolderStorage
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.report import ReportOptions, render
from reviewbox.results.keys import receipt_key
from reviewbox.settings import Settings
from reviewbox.stack.stored_results import FolderPlace
from reviewbox.storage import describe

# Called with a file's path within the folder, its outcome and its receipt.
Report = Callable[[str, str, Mapping[str, Any]], None]


# The subfolder of the results for unfinished large tables. It is hidden because it may hold reviews.
_WORK = ".reviewbox"

# The columns of CSV, which are known before the first file.
_COLUMNS = ("file", "outcome", *receipt_fields({}), "result")
_STAGES = ("Upload", "Saved", "Classifying", "Result")  # on the console
_CLASSIFYING = 2


@dataclass(slots=True)
class FolderWatcher:
    """A folder that is scanned repeatedly. Hidden files are ignored.

    A file is classified when two scans in a row find it unchanged, so a file that is still being written is
    left alone. After a restart, a file with a current result is read once and not classified again.

    A file that fails is reported, and tried again when it changes or after a restart. A file that cannot be
    examined is reported once, until it can be.

    Attributes:
        failures: the number of times that a file got no result so far.
    """

    folder: Path
    results: Path
    pipeline: Pipeline
    report: Report  # called for each file that was classified or refused, or that failed
    # Called before with "classifying", and after with any outcome, for instance that a result is current.
    progress: Report = lambda *_: None
    failures: int = 0
    _last_scan: dict[Path, FileState] = field(default_factory=dict)
    _processed: dict[Path, FileState] = field(default_factory=dict)
    _unreadable: dict[Path, OSError] = field(default_factory=dict)

    def scan(self) -> None:
        """Scan the folder once, and classify the files that are ready.

        Raises:
            ReviewboxError: a result belongs to a file with the same name in another folder.
        """
        unreadable: dict[Path, OSError] = {}
        files = files_below(self.folder, unreadable.__setitem__)
        for path in sorted(unreadable.keys() - self._unreadable.keys()):
            self._report_failure(path.relative_to(self.folder).as_posix(), unreadable[path])
        states = {path: state for path in files if (state := _file_state(path))}
        self._process_all(
            {
                path: state
                for path, state in states.items()
                if self._last_scan.get(path) == state != self._processed.get(path)
            }
        )
        self._unreadable, self._last_scan = unreadable, states
        self._processed = {path: state for path, state in self._processed.items() if path in states}

    def _process_all(self, states: Mapping[Path, FileState]) -> None:
        if not states:
            return
        # Ctrl-C must close the bar before "Stopped." is printed.
        with closing(track_inputs([file_input(path) for path in states], "Classifying")) as inputs:
            for (path, state), item in zip(states.items(), inputs, strict=True):
                ref = ObjectRef(self.folder.name, path.relative_to(self.folder).as_posix())
                self._process(ref, item)
                self._processed[path] = state

    def _process(self, ref: ObjectRef, item: Input) -> None:
        try:
            self._classify(ref, item)
        except ForeignResultError as error:
            raise ReviewboxError(
                f"{self.results}: the result of {printable(ref.key)} belongs to the folder "
                f"{error.owner.bucket!r}, and {ref.bucket!r} would overwrite it; pass another --results, or "
                "delete the results if the folder has been renamed"
            ) from None
        except BaseException as error:  # noqa: BLE001 - one file's failure must not affect other files
            self._report_failure(ref.key, contain(error))

    def _classify(self, ref: ObjectRef, item: Input) -> None:
        self.progress(ref.key, "classifying", {})

        def on_hash(done: int, total: int) -> None:
            item.on_step(Step("Hashing (kB)", done / 1000, total / 1000))

        store = replace(cast("FolderStorage", self.pipeline.store), on_hash=on_hash)
        pipeline = replace(self.pipeline, store=store, on_share=item.on_share, on_step=item.on_step)
        outcome = pipeline.process(ref, lambda: math.inf)
        receipt = self.pipeline.read_receipt(ref)
        content = receipt.content if receipt else {}
        self.progress(ref.key, outcome, content)
        if outcome not in (Outcome.CLASSIFIED, Outcome.REFUSED):
            return
        if len(content.get("parts", [])) > 1:
            # The segments are needed only to resume an interrupted table, and this one is complete.
            shutil.rmtree(self.results / _WORK, ignore_errors=True)
        self.report(ref.key, outcome, content)

    def _report_failure(self, key: str, error: Exception) -> None:
        self.failures += 1
        receipt = {"error": {"code": "", "message": self._reason(error)}}
        self.progress(key, "failed", receipt)
        self.report(key, "failed", receipt)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, UnicodeEncodeError):  # a receipt contains the name
            return "its name is not valid UTF-8; rename the file"
        if not isinstance(error, OSError):
            return describe(error)
        path = Path(error.filename or "")
        if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
            # A result needs a folder where there is a file, or a file where there is a folder. For example,
            # the results of c.txt and of c.txt.json/d.txt both need c.txt.json.
            blocking = next(place for place in (path, *path.parents) if place.exists())
            return f"{printable(str(blocking))} is in the way; rename the source file, or move the other away"
        reason = error.strerror or describe(error)
        if path.is_relative_to(self.results) or (error.filename and self.results.is_relative_to(path)):
            return f"{printable(str(self.results))} cannot be written: {reason}; pass another --results"
        return reason


def run_watch(
    folder: Path,
    results: Path | None,
    seconds: float,
    classifier: Classifier,
    settings: Settings,
    format_: Format,
    *,
    once: bool,
    console_port: int | None,
) -> bool:
    """Classify the files of a folder, now and every few seconds as they arrive, until Ctrl-C.

    Prints a line or row for each file. With `once`, only the files that are there are classified. With a
    port, a console runs on it while the folder is watched; 0 is any free port. Returns False if a file got no
    result with `once`.

    Raises:
        ReviewboxError: see `watch_folder` and `FolderWatcher.scan`.
    """
    watcher = watch_folder(folder, results, classifier, settings, _print_outcome)
    tell = partial(print_line, terminal_beside(format_))
    with nullcontext() if format_ is Format.TABLE else _rows_of(watcher, format_):
        if once:
            _scan_once(watcher, tell)
        else:
            with nullcontext("") if console_port is None else serve_watcher(watcher, console_port) as address:
                _scan_until_ctrl_c(watcher, seconds, address, tell)
    return not (once and watcher.failures)


def _scan_once(watcher: FolderWatcher, tell: Callable[[str], None]) -> None:
    watcher.scan()
    watcher.scan()  # a file is classified when a second scan finds it unchanged
    if not files_below(watcher.folder, lambda _path, _error: None):
        tell(f"There are no files in {watcher.folder}.")
    elif watcher.results.exists():
        tell(f"Results are in {watcher.results}.")


def _scan_until_ctrl_c(
    watcher: FolderWatcher, seconds: float, address: str, tell: Callable[[str], None]
) -> None:
    try:
        tell(f"Watching {watcher.folder}; results go to {watcher.results}. Press Ctrl-C to stop.")
        if address:
            tell(f"Drop files here and watch their progress: {address}")
        while True:
            watcher.scan()
            time.sleep(seconds)
    except KeyboardInterrupt:
        tell("Stopped.")


@contextmanager
def _rows_of(watcher: FolderWatcher, format_: Format) -> Iterator[None]:
    """Print a row for each file while the context lasts."""
    with open_rows(sys.stdout, format_, _COLUMNS) as write:

        def write_outcome(key: str, outcome: str, receipt: Mapping[str, Any]) -> None:
            place = printable(str(watcher.results / receipt_key("", key))) if "source" in receipt else None
            fields = receipt_fields(receipt)
            write({"file": printable(key), "outcome": outcome, **fields, "result": place})

        watcher.report = write_outcome
        yield


@contextmanager
def serve_watcher(watcher: FolderWatcher, port: int) -> Iterator[str]:
    """Serve a console for a watched folder while the context lasts; yield its address.

    Raises:
        ReviewboxError: the port is taken.
    """
    board = Board(_STAGES)

    def show(key: str, outcome: str, receipt: Mapping[str, Any]) -> None:
        if outcome == "classifying":
            board.move(key, _CLASSIFYING)
        elif receipt:
            board.finish(key, receipt)
        else:
            board.finish(key, {"error": {"code": "", "message": f"no result: the file is {outcome}"}})

    def report() -> str:
        place = FolderPlace(watcher.results, sources=watcher.folder)
        options = ReportOptions(f"Reviews in {watcher.folder.name}")
        return render(
            make_report(place, options, watcher.pipeline.classifier, watcher.pipeline.settings, quiet=True)
        )

    watcher.progress = show
    inbox = Inbox(FolderStorage({watcher.folder.name: watcher.folder}), watcher.folder.name)
    console = Console(watcher.folder.name, str(watcher.folder), board, inbox, report)
    with start_console(console, port) as address:
        yield address


def watch_folder(
    folder: Path, results: Path | None, classifier: Classifier, settings: Settings, report: Report
) -> FolderWatcher:
    """Return a watcher of a folder. By default the results go to `<folder>-results` beside it.

    The settings are the service's, except for the places of the results.

    Raises:
        ReviewboxError: one folder contains the other, or `folder` has no name.
    """
    folder = folder.resolve()
    if not folder.name:  # the results record it
        raise ReviewboxError(f"{folder}: this folder has no name; watch a folder in it")
    results = results.resolve() if results else folder.with_name(f"{folder.name}-results")
    if results.is_relative_to(folder) or folder.is_relative_to(results):
        raise ReviewboxError(
            f"{results}: the results folder and the watched folder {folder} overlap; choose another"
        )
    # Each folder is a bucket. The results' bucket has a name that does not depend on its folder, so that the
    # results can be moved and stay current.
    bucket, results_bucket = folder.name, f"{folder.name}-results"
    storage = FolderStorage({bucket: folder, results_bucket: results})
    settings = replace(
        settings,
        source_prefix="",
        results_prefix="",
        results_bucket=results_bucket,
        work_prefix=f"{_WORK}/",
        # Segments are not classified in parallel here, so only a table too large for memory is split.
        segment_bytes=settings.max_object_bytes,
    )
    return FolderWatcher(folder, results, Pipeline(storage, classifier, settings), report)


def _print_outcome(key: str, outcome: str, receipt: Mapping[str, Any]) -> None:
    line = cell(f"{outcome:<10}  {key}  ").append_text(receipt_line(receipt))
    new_terminal().print(line, soft_wrap=True)


def _file_state(path: Path) -> FileState | None:
    """Return the state of a file; None if it no longer exists."""
    try:
        return FileState.of(path)
    except OSError:
        return None
