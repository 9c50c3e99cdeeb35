"""How verdicts look on a terminal."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

_LONGEST_QUOTE = 100  # characters
_WIDE = 200


def console() -> Console:
    """Return the console for tables; where the output is no terminal, lines need not be short."""
    return Console() if Console().is_terminal else Console(width=_WIDE)


@contextmanager
def progress_bar(terminal: Console, what: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how far something is while the context lasts, if it is a terminal.

    Yields `rich.progress.Progress.update` of its one task.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        yield partial(progress.update, progress.add_task(what, total=total))


def track(terminal: Console, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items, and show how many have been used on a progress bar if `terminal` is interactive."""
    with progress_bar(terminal, description, total) as update:
        for item in items:
            yield item
            update(advance=1)


def outcome_table(*places: str, result: str = "") -> Table:
    """Return an empty table of outcomes.

    Its columns are those of `places` (where a review is), of `outcome_cells`, and `result` if that
    is not "".
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place in places:
        table.add_column(place, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("score", no_wrap=True)
    table.add_column("because", max_width=60)
    if result:
        table.add_column(result, overflow="fold")
    return table


def outcome_cells(fields: Mapping[str, Any], text: str) -> tuple[Text, Text, Text]:
    """Return a review's verdict, score ("?" if it needs review) and reason.

    Args:
        fields: as `results.verdict_fields` or `results.problem_fields` gives them.
        text: the review, to quote its strongest sentence from.
    """
    if "error_code" in fields:
        return Text(fields["error_code"], "red"), Text(), Text(fields["error_message"], "red")
    style = {"positive": "green", "negative": "magenta"}.get(fields["sentiment"].lower(), "")
    score = Text(f"{fields['score']:.4f}")
    if fields["needs_review"]:
        score.append(" ?", "yellow")
    quote = ""
    if fields["evidence"]:
        strongest = fields["evidence"][0]
        quote = " ".join(text[strongest["start"] : strongest["end"]].split())
    return Text(fields["sentiment"], style), score, Text(_shortened(printable(quote)))


def counts_texts(counts: Mapping[str, Any]) -> tuple[str, str]:
    """Return a table's counts, as its receipt has them: those of its labels, and the others."""
    labels = ", ".join(f"{count} {label}" for label, count in counts["labels"].items())
    rest = f"{counts['total']} rows, {counts['needs_review']} need review, {counts['failed']} failed"
    if counts["failed"]:
        rest += ": " + ", ".join(f"{code} {count}" for code, count in counts["errors"].items())
    return labels, rest


def receipt_text(receipt: Mapping[str, Any]) -> Text:
    """Return what a receipt says, in a line."""
    if "error" in receipt:
        return Text(f"{receipt['error']['code']} {receipt['error']['message']}".strip(), "red")
    if "counts" in receipt:
        labels, rest = counts_texts(receipt["counts"])
        return Text(f"{labels} ({rest})" if labels else rest)
    verdict, score, _ = outcome_cells({**receipt, "evidence": []}, "")
    return verdict.append(" ").append_text(score)


def printable(text: str) -> str:
    """Return a text that any terminal takes; half a character, as odd file names have, is none."""
    return text.encode("utf-8", "replace").decode()


def _shortened(quote: str) -> str:
    return quote if len(quote) <= _LONGEST_QUOTE else quote[: _LONGEST_QUOTE - 1] + "…"


def number_of(count: int, what: str) -> str:
    """Return a count of something, whose plural takes an s."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def rounded_dollars(dollars: float) -> str:
    """Return an amount as people read it: to the cent, and never as nothing if it is something."""
    return "< $0.01" if 0 < dollars < 0.01 else f"${dollars:,.2f}"  # noqa: PLR2004 - a cent


def rounded_bytes(size: int) -> str:
    """Return a size as people read it."""
    if size < 1000:  # noqa: PLR2004 - a kilobyte
        return f"{size} bytes"
    power = min(int(math.log10(size)) // 3, 4)
    return f"{size / 1000**power:,.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def rounded_seconds(seconds: float) -> str:
    """Return a duration as people read it."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}s"
    return f"{max(seconds, 1):.0f} second{'s' if seconds >= 1.5 else ''}"  # noqa: PLR2004 - what rounds to 2
