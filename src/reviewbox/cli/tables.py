"""How verdicts look on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_LONGEST_QUOTE = 100  # characters
_WIDE = 200


def console() -> Console:
    """Return the console for tables; where the output is no terminal, lines need not be short."""
    return Console() if Console().is_terminal else Console(width=_WIDE)


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
        quote = quote.encode("utf-8", "replace").decode()  # a lone surrogate cannot be printed
    return Text(fields["sentiment"], style), score, Text(_shortened(quote))


def _shortened(quote: str) -> str:
    return quote if len(quote) <= _LONGEST_QUOTE else quote[: _LONGEST_QUOTE - 1] + "…"
