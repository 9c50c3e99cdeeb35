"""`reviewbox watch`: the service for a folder, without a cloud."""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from reviewbox.cli.classify import files_below
from reviewbox.cli.render import console, printable, receipt_text
from reviewbox.errors import ReviewboxError
from reviewbox.folder_storage import FolderStorage
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.results.keys import parts_prefix
from reviewbox.settings import Settings
from reviewbox.storage import describe

# A file's name within the folder, how it ended, and its receipt.
Tell = Callable[[str, str, Mapping[str, Any]], None]

# The folder within that of the results for tables that are being classified in segments. Hidden, as it may
# hold reviews.
_WORK = ".reviewbox"

# A file's size and the times at which its content and its status changed.
_Look = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Watch:
    """A folder that is looked at again and again.

    A file is classified when two looks in a row find it the same: one that is still being written
    is left alone. What has a current result already costs one reading after a start.

    What fails is told, and tried again when the file changes or after a start. What cannot even be
    looked at is told once, until it can be.

    Attributes:
        folder: what is watched, hidden files left out.
        results: where results go.
        pipeline: what brings a file's result up to date.
        tell: called for each file that was classified, refused, or failed.
    """

    folder: Path
    results: Path
    pipeline: Pipeline
    tell: Tell
    _seen: dict[Path, _Look] = field(default_factory=dict)
    _done: dict[Path, _Look] = field(default_factory=dict)
    _unreadable: set[Path] = field(default_factory=set)

    def look(self) -> None:
        """Look at the folder once, and classify what is ready.

        Raises:
            ReviewboxError: there is a result that another folder's file of the same name has.
        """
        unreadable: dict[Path, OSError] = {}
        files = files_below(self.folder, unreadable.__setitem__)
        for path in sorted(unreadable.keys() - self._unreadable):
            self._fail(path.relative_to(self.folder).as_posix(), unreadable[path])
        self._unreadable.clear()
        self._unreadable.update(unreadable)
        present = {path: look for path in files if (look := _look_at(path))}
        for path, look in present.items():
            if self._seen.get(path) == look != self._done.get(path):
                self._process(path.relative_to(self.folder).as_posix())
                self._done[path] = look
        self._seen.clear()
        self._seen.update(present)
        for path in self._done.keys() - present.keys():
            del self._done[path]

    def _process(self, key: str) -> None:
        ref = ObjectRef(self.folder.name, key)
        other = ""
        try:
            present = self._receipt(ref)
            if present and present["source"]["bucket"] != self.folder.name:
                other = present["source"]["bucket"]
            else:
                outcome = self.pipeline.process(ref, lambda: math.inf)
                if outcome in (Outcome.CLASSIFIED, Outcome.REFUSED):
                    receipt = self._receipt(ref)
                    parts = parts_prefix("", key)
                    if any(part["key"].startswith(parts) for part in receipt.get("parts", [])):
                        # It is done. Had it been interrupted, it would have gone on where it was.
                        shutil.rmtree(self.results / _WORK, ignore_errors=True)
                    self.tell(key, outcome, receipt)
        except Exception as error:  # noqa: BLE001 - one file's failure must not become another's
            self._fail(key, error)
        if other:
            raise ReviewboxError(
                f"{self.results}: the result of {printable(key)} there is that of a folder {other!r}, which "
                f"{self.folder.name!r} would overwrite: give each folder --results of its own, or delete "
                "those of a folder that has been renamed"
            )

    def _fail(self, key: str, error: Exception) -> None:
        self.tell(key, "failed", {"error": {"code": "", "message": _reason(error)}})

    def _receipt(self, ref: ObjectRef) -> Mapping[str, Any]:
        """Return what the receipt of a file says; nothing if it has none, or one that is none of ours."""
        receipt = self.pipeline.read_receipt(ref)
        return receipt.content if receipt else {}


def run_watch(
    folder: Path, results: Path | None, seconds: float, classifier: Classifier, settings: Settings
) -> None:
    """Classify what is in a folder, and what comes into it, until Ctrl-C.

    Args:
        folder: to watch.
        results: the folder for the results; None for one beside it that is called after it.
        seconds: between looks.
        classifier: what judges.
        settings: how; but for where results go.

    Raises:
        ReviewboxError: one of the two folders contains the other, or `folder` has no name, or results of
            another folder lie where its own go.
    """
    watch = watch_folder(folder, results, classifier, settings, _print_outcome)
    print(f"Watching {watch.folder}; results go to {watch.results}. Ctrl-C ends it.", flush=True)
    try:
        while True:
            watch.look()
            time.sleep(seconds)
    except KeyboardInterrupt:
        print("Stopped.")


def watch_folder(
    folder: Path, results: Path | None, classifier: Classifier, settings: Settings, tell: Tell
) -> Watch:
    """Return what watches a folder.

    Args:
        folder: to watch.
        results: as `run_watch` takes it.
        classifier: what judges.
        settings: how; but for where results go.
        tell: as `Watch` has it.

    Raises:
        ReviewboxError: one of the two folders contains the other, or `folder` has no name.
    """
    folder = folder.resolve()
    if not folder.name:  # which results record
        raise ReviewboxError(f"{folder}: this folder has no name; watch one that lies in it")
    results = results.resolve() if results else folder.with_name(f"{folder.name}-results")
    if results.is_relative_to(folder) or folder.is_relative_to(results):
        raise ReviewboxError(f"{results}: results cannot go where reviews are looked for ({folder})")
    # Each folder is a bucket. That of the results is called after that of the reviews, wherever it
    # lies, so that the results can be moved and stay current.
    bucket, results_bucket = folder.name, f"{folder.name}-results"
    storage = FolderStorage({bucket: folder, results_bucket: results})
    settings = replace(
        settings,
        source_prefix="",
        results_prefix="",
        results_bucket=results_bucket,
        work_prefix=f"{_WORK}/",
        # There are no others to share the work with: a table is cut only if it is too large to be held.
        segment_bytes=settings.max_object_bytes,
    )
    return Watch(folder, results, Pipeline(storage, classifier, settings), tell)


def _print_outcome(key: str, outcome: str, receipt: Mapping[str, Any]) -> None:
    """Print how a file ended, in a line."""
    line = Text(f"{outcome:<10}  {printable(key)}  ").append_text(receipt_text(receipt))
    console().print(line, soft_wrap=True)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):  # a result has to say what it is of
        return "its name is not UTF-8: rename it"
    if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
        # A file where a result needs a folder, or a folder where it needs a file: a file c.txt and a
        # folder c.txt.json ask for both.
        path = Path(error.filename)
        blocking = next(place for place in (path, *path.parents) if place.exists())
        return f"{printable(str(blocking))} is in the way: rename the file, or what has its place"
    return (error.strerror if isinstance(error, OSError) else None) or describe(error)


def _look_at(path: Path) -> _Look | None:
    try:
        status = path.stat()
    except OSError:  # gone since it was listed
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
