"""The board: at which stage each file is, for any number of threads that move files or wait for changes."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reviewbox.results.doubt import inferred_field
from reviewbox.wording import for_command_line

# The page shows this many files, and counts the others.
_MAX_FILES = 500


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way."""

    name: str  # its name, or its path below the folder or prefix
    stage: int  # the index of the stage that it is in; the last stage is its result
    note: str = ""  # what holds it up; "" if nothing does
    seconds: float = 0.0  # from its arrival to this change
    receipt: Mapping[str, Any] | None = None  # what the result says, without texts; None before


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed on a board."""

    version: int  # of the board; ask for changes since it next time
    files: Sequence[File]  # those that changed, the oldest change first
    counts: Sequence[int]  # the number of files in each stage


@dataclass(slots=True)
class Board:
    """The files on their way through the stages, and the newest results."""

    stages: Sequence[str]  # their names; the last one is the result
    version: int = 0  # the number of changes so far
    results: int = 0  # the number of results so far; if it is the same as before, all results are
    _files: dict[str, File] = field(default_factory=dict)  # the last change comes last
    _versions: dict[str, int] = field(default_factory=dict)
    _arrivals: dict[str, float] = field(default_factory=dict)
    _forgotten: int = 0  # finished files that are no longer listed
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def arrive(self, name: str, stage: int, since: int) -> None:
        """Put a file into a stage, unless it has been moved since a version."""
        with self._changed:
            if self._versions.get(name, 0) <= since:
                self._arrivals.pop(name, None)
                self._set(name, stage)

    def move(self, name: str, stage: int, note: str = "") -> None:
        """Move a file to a stage, from wherever it is."""
        with self._changed:
            known = self._files.get(name)
            if known and known.receipt is not None:
                self._arrivals.pop(name, None)  # it has come again
            self._set(name, stage, note)

    def finish(self, name: str, receipt: Mapping[str, Any]) -> None:
        """Move a file to the last stage, with the content of its receipt."""
        with self._changed:
            self.results += 1
            self._set(name, len(self.stages) - 1, receipt=_shown(receipt))

    def changes(self, since: int, timeout: float) -> Changes:
        """Return the changes since a version (0 for all), as soon as there are any.

        If there are none within `timeout` seconds, the result is empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.version > since, timeout)
            files = [file for name, file in self._files.items() if self._versions[name] > since]
            counts = [0] * len(self.stages)
            for file in self._files.values():
                counts[file.stage] += 1
            counts[-1] += self._forgotten
            return Changes(self.version, files, counts)

    def _set(self, name: str, stage: int, note: str = "", receipt: Mapping[str, Any] | None = None) -> None:
        now = time.monotonic()
        arrived = self._arrivals.setdefault(name, now)
        self._files.pop(name, None)
        self._files[name] = File(name, stage, note, round(now - arrived, 2), receipt)
        self.version += 1
        self._versions[name] = self.version
        if len(self._files) > _MAX_FILES:
            self._forget_oldest()
        self._changed.notify_all()

    def _forget_oldest(self) -> None:
        last = len(self.stages) - 1
        name = next((name for name, file in self._files.items() if file.stage == last), None)
        if name is not None:
            del self._files[name], self._versions[name], self._arrivals[name]
            self._forgotten += 1


def _shown(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a receipt. Messages name options, because a command serves the page."""
    names = ("sentiment", "score", "needs_review", "counts", "error")
    shown = {name: receipt[name] for name in names if name in receipt}
    if error := shown.get("error"):
        shown["error"] = {**error, "message": for_command_line(str(error.get("message", "")))}
    if field := inferred_field(receipt.get("notes")):
        shown["field"] = field
    return shown
