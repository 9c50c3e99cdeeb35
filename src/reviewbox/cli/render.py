"""Verdicts, counts and numbers as text for a terminal.

Everything that a command prints passes through here, because file names, keys and reviews can contain the
escape sequences of terminals.
"""

import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text

from reviewbox.results.doubt import doubt_in, inferred_field
from reviewbox.results.receipt import Receipt
from reviewbox.wording import for_command_line, number_of

_MAX_QUOTE_CHARACTERS = 100

_PIPE_WIDTH = 200

# All but the tab and the newline, and the characters that reorder the text around them.
_CONTROL_CHARACTERS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069"
_CONTROL_CHARACTER = re.compile(f"[{_CONTROL_CHARACTERS}]")
_NOT_PRINTABLE = re.compile(f"[{_CONTROL_CHARACTERS}\ud800-\udfff]")


def new_terminal(*, to_stderr: bool = False) -> Terminal:
    """Return the standard output, or the standard error; its lines are wide if it is not a terminal."""
    terminal = Terminal(stderr=to_stderr)
    return terminal if terminal.is_terminal else Terminal(stderr=to_stderr, width=_PIPE_WIDTH)


def print_line(terminal: Terminal, line: str, style: str = "") -> None:
    """Print a line without markup, highlights and wrapping."""
    terminal.print(cell(line, style), soft_wrap=True)


def print_plain(line: str, *, to_stderr: bool = False) -> None:
    """Print a line as it is, except for what no terminal should get."""
    print(printable(line), file=sys.stderr if to_stderr else sys.stdout, flush=True)


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a JSON value, with control characters escaped."""
    print(json_text(value, indent), flush=True)


def json_text(value: Any, indent: int | None = None) -> str:
    """Return a JSON value as text, with control characters and lone surrogates escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _NOT_PRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def cell(text: str, style: str = "") -> Text:
    """Return a text for a line or for the cell of a table, without markup."""
    return Text(printable(text), style)


def new_table(*headers: str, **options: Any) -> Table:
    """Return an empty table with these columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, **options)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def verdict_table(*places: str) -> Table:
    """Return an empty table; `places` are the columns before those of `verdict_cells`."""
    table = new_table(*places)
    table.add_column("verdict", no_wrap=True)
    table.add_column("score", no_wrap=True)
    table.add_column("because", max_width=60)
    return table


def verdict_cells(fields: Mapping[str, Any], text: str) -> tuple[Text, Text, Text]:
    """Return a review's verdict, its score (with "?" if it needs review) and its strongest sentence.

    If the review has an error, the first cell is the error's code and the last its message. `fields` are our
    fields of the review, as in a result.
    """
    if "error_code" in fields:
        return cell(fields["error_code"], "red"), Text(), cell(fields["error_message"], "red")
    styles = {"positive": "green", "negative": "magenta", "mixed": "yellow"}
    style = styles.get(fields["sentiment"].lower(), "")
    score = Text(f"{fields['score']:.4f}")
    if fields["needs_review"]:
        score.append(" ?", "yellow")
    quote = " ".join(text.split())  # of a single sentence
    if fields["evidence"]:
        strongest = fields["evidence"][0]
        quote = " ".join(text[strongest["start"] : strongest["end"]].split())
    quote = printable(quote)
    if len(quote) > _MAX_QUOTE_CHARACTERS:
        quote = quote[: _MAX_QUOTE_CHARACTERS - 1] + "…"
    return cell(fields["sentiment"], style), score, Text(quote)


def label_and_row_counts(counts: Mapping[str, Any]) -> tuple[str, str]:
    """Return two texts for the counts of a table's receipt: the reviews per label, and the rows."""
    labels = ", ".join(f"{count} {label}" for label, count in counts["labels"].items())
    uncertain = counts["needs_review"]
    needs = f"{uncertain} need{'s' if uncertain == 1 else ''} review"
    rows = f"{number_of(counts['total'], 'row')}, {needs}, {counts['failed']} failed"
    if counts["failed"]:
        rows += ": " + ", ".join(f"{code} {count}" for code, count in counts["errors"].items())
    return labels, rows


def receipt_line(receipt: Mapping[str, Any]) -> Text:
    """Return the content of a receipt in one line."""
    if "error" in receipt:
        message = for_command_line(receipt["error"]["message"])
        return cell(f"{receipt['error']['code']} {message}".strip(), "red")
    if "counts" in receipt:
        labels, rows = label_and_row_counts(receipt["counts"])
        field = inferred_field(receipt.get("notes"))
        line = cell((f"{labels} ({rows})" if labels else rows) + (f" from `{field}`" if field else ""))
        doubt = for_command_line(doubt_in(receipt.get("notes")))
        return line.append_text(cell(f". {doubt}", "yellow")) if doubt else line
    verdict, score, _ = verdict_cells({**receipt, "evidence": []}, "")
    return verdict.append(" ").append_text(score)


def receipt_fields(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a receipt as the fields of a row; None where it has no such field.

    A single review counts as one, and has a label and a score. `receipt` may also be only an error.
    """
    counts = Receipt(receipt).counts.to_dict()
    error = receipt.get("error", {})
    return {
        "reviews": counts["total"],
        **{name: counts[name] for name in ("labels", "needs_review", "other_language", "failed")},
        **{name: receipt.get(name) for name in ("sentiment", "score")},
        **{f"error_{name}": error.get(name) for name in ("code", "message")},
        "doubt": doubt_in(receipt.get("notes")) or None,
    }


def printable(text: str) -> str:
    """Return a text that any terminal can print.

    Lone surrogates, which file names can contain, become question marks. Control characters, with which a
    review could change the terminal's colors, title or content, are shown as escapes.
    """
    return _CONTROL_CHARACTER.sub(
        lambda match: ascii(match[0])[1:-1], text.encode("utf-8", "replace").decode()
    )


def rounded_dollars(dollars: float) -> str:
    """Return an amount in cents; "< $0.01" for a positive amount below a cent."""
    return "< $0.01" if 0 < dollars < 0.01 else f"${dollars:,.2f}"  # noqa: PLR2004 - a cent


def rounded_bytes(size: int) -> str:
    """Return a size in its largest decimal unit, up to TB."""
    if size < 1000:  # noqa: PLR2004 - a kilobyte
        return f"{size} bytes"
    power = min(int(math.log10(size)) // 3, 4)
    return f"{size / 1000**power:,.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def rounded_seconds(seconds: float) -> str:
    """Return a duration in its largest unit of which it has two or more, up to days."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}s"
    return f"{max(seconds, 1):.0f} second{'s' if seconds >= 1.5 else ''}"  # noqa: PLR2004 - what rounds to 2
