"""Shows the progress of slow work on the standard error, if that is a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import ceil
from threading import Timer
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from reviewbox.cli.render import cell

if TYPE_CHECKING:
    from reviewbox.documents import Step
    from reviewbox.stack.stored_results import StoredResults

T = TypeVar("T")

SECONDS_BEFORE = 1.0  # a shorter step has no bar; two of them in a row take at most two seconds
_SLOW = 10  # per second; slower rates have a decimal


@contextmanager
def progress_bar(
    description: str,
    total: float | None = None,
    *,
    disable: bool = False,
    seconds_before: float = SECONDS_BEFORE,
) -> Iterator[Callable[..., None]]:
    """Show a bar with the rate and the remaining time while the context lasts, after the first seconds.

    Yields `rich.progress.Progress.update` for the bar's only task.
    """
    with open_progress(disable=disable, seconds_before=seconds_before) as progress:
        if progress.disable:
            yield lambda **_: None
        else:
            yield partial(progress.update, progress.add_task(description, total=total))


@contextmanager
def open_progress(*, disable: bool = False, seconds_before: float = SECONDS_BEFORE) -> Iterator[Progress]:
    """Show the bars that are added to what this yields while the context lasts, after the first seconds.

    The field `share` of a task is the share of its work that is done, if that is not the share of its steps.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        _CountColumn(),
        _RateColumn(),
        _RemainingColumn(),
    )
    # What is printed while the bar is shown appears above it, unless the standard output is a file.
    progress = Progress(
        *columns,
        console=Terminal(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=disable or not sys.stderr.isatty(),
    )
    if progress.disable:
        yield progress
        return
    timer = Timer(seconds_before, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield progress
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


@dataclass(slots=True)
class StepBar:
    """A bar for one step of the current item, after its first seconds."""

    _progress: Progress
    _seconds_before: float = SECONDS_BEFORE
    _task: TaskID | None = None  # None if there is no step
    _name: str = ""
    _start: float = 0.0

    def show(self, step: "Step | None") -> None:
        """Show the progress of a step; None hides the bar."""
        if step is None:
            self.hide()
            return
        if self._task is None or step.name != self._name:
            self.hide()
            self._name, self._start = step.name, monotonic()
            self._task = self._progress.add_task(step.name, total=step.total, visible=False)
        is_slow = monotonic() - self._start >= self._seconds_before
        self._progress.update(self._task, completed=step.done, visible=is_slow)

    def hide(self) -> None:
        """Hide the bar, because the step is over."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def track(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """Yield the items, and show how many have been used."""
    with progress_bar(description, total) as update:
        for item in items:
            yield item
            update(advance=1)


def track_results(items: Iterable[T], results: "StoredResults") -> Iterator[T]:
    """Yield what a reader returns for stored results, and show how many have been found and then read."""
    with progress_bar("Listing results") as update:
        results.on_listed = lambda: update(advance=1)
        for item in items:
            update(description="Reading results", total=results.total, completed=results.done)
            yield item


def _remaining_seconds(task: Task) -> float | None:
    """Return how long the rest takes; None if that is not known."""
    share = task.fields.get("share", task.completed / task.total if task.total else 0.0)
    return task.elapsed * max(0.0, 1 - share) / share if share and task.elapsed else None


def _rate(task: Task) -> float | None:
    """Return the steps per second since the start.

    Rich looks at the last thousand steps. But reviews are classified in batches, whose results come at once.
    """
    return task.completed / task.elapsed if task.completed and task.elapsed else None


class _CountColumn(ProgressColumn):
    """How many steps are done, and of how many."""

    def render(self, task: Task) -> Text:
        """Return the counts; without a total, the count of done steps; empty if there are no steps."""
        if task.total is None:
            return cell(f"{int(task.completed):,}" if task.completed else "", "progress.download")
        return cell(f"{int(task.completed):,}/{int(task.total):,}", "progress.download")


class _RateColumn(ProgressColumn):
    """Steps per second, or per minute if they are slow."""

    def render(self, task: Task) -> Text:
        """Return the rate; it is empty until there is one."""
        rate = _rate(task)
        if rate is None:
            return cell("")
        if rate < 1:
            return cell(f"{60 * rate:.1f}/min", "progress.data.speed")
        return cell(f"{rate:,.1f}/s" if rate < _SLOW else f"{rate:,.0f}/s", "progress.data.speed")


class _RemainingColumn(ProgressColumn):
    """The time until the end."""

    def render(self, task: Task) -> Text:
        """Return the time; dashes until it is known, and nothing without a total, from which it follows."""
        if task.total is None:
            return cell("")
        seconds = _remaining_seconds(task)
        text = "-:--:--" if seconds is None else str(timedelta(seconds=ceil(seconds)))
        return cell(text, "progress.remaining")
