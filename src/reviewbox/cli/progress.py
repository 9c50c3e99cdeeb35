"""Progress of slow work: on the standard error, and only if that is a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from math import ceil
from threading import Timer
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from reviewbox.cli.render import cell

if TYPE_CHECKING:
    from reviewbox.stack.stored_results import StoredResults

T = TypeVar("T")

_SECONDS_BEFORE = 2.0  # what ends sooner needs no bar
_SLOW = 10  # per second; slower rates have a decimal


@contextmanager
def progress_bar(
    description: str,
    total: float | None = None,
    *,
    disable: bool = False,
    seconds_before: float = _SECONDS_BEFORE,
) -> Iterator[Callable[..., None]]:
    """Show a bar with the rate and the remaining time while the context lasts, after the first seconds.

    Yields `rich.progress.Progress.update` for the bar's only task.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        _CountColumn(),
        _RateColumn(),
        _RemainingColumn(),
    )
    if disable or not sys.stderr.isatty():
        yield lambda **_: None
        return
    # What is printed while the bar is shown appears above it, unless the standard output is a file.
    progress = Progress(
        *columns, console=Terminal(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    )
    update = partial(progress.update, progress.add_task(description, total=total))
    timer = Timer(seconds_before, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield update
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


def track(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """Yield the items, and show how many have been used."""
    with progress_bar(description, total) as update:
        for item in items:
            yield item
            update(advance=1)


def track_results(items: Iterable[T], results: "StoredResults") -> Iterator[T]:
    """Yield what is made of stored results, and show how many of these have been found, and then read."""
    with progress_bar("Listing results") as update:
        results.on_listed = lambda: update(advance=1)
        for item in items:
            update(description="Reading results", total=results.total, completed=results.done)
            yield item


def _rate(task: Task) -> float | None:
    """Return the steps per second since the start.

    Rich looks at the last thousand steps. But reviews are classified in batches, whose results come at once.
    """
    return task.completed / task.elapsed if task.completed and task.elapsed else None


class _CountColumn(ProgressColumn):
    """The steps that are done, of how many."""

    def render(self, task: Task) -> Text:
        """Return the counts; without a total, that of the done steps; empty if there are no steps."""
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
        """Return the time; dashes until it is known, and nothing if there is no total to tell it from."""
        rate = _rate(task)
        if task.total is None:
            return cell("")
        if rate is None:
            return cell("-:--:--", "progress.remaining")
        seconds = ceil(max(0.0, task.total - task.completed) / rate)
        return cell(str(timedelta(seconds=seconds)), "progress.remaining")
