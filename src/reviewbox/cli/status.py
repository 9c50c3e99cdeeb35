"""`reviewbox status`: prints the status of a stack."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console as Terminal

from reviewbox.cli.output import Format, flat, print_report
from reviewbox.cli.progress import track
from reviewbox.cli.render import cell, new_table, new_terminal, print_line, rounded_bytes
from reviewbox.cli.stacks import named_stack
from reviewbox.stack.aws import connect
from reviewbox.stack.status import FailureReason, Status, collect_status
from reviewbox.wording import number_of

_MAX_REASONS = 20  # in a table; JSON has all


def show_status(stack_name: str, newest: int, format_: Format) -> None:
    """Print the status of a stack, with the contents of at most `newest` receipts."""
    stack = named_stack(stack_name)
    status = collect_status(stack, connect("s3"), connect("sqs"), newest, track)
    if format_ is Format.TABLE:
        _print_status(status, new_terminal())
    else:
        print_report(asdict(status), [flat(asdict(status))], format_, indent=2)


def print_reasons(heading: str, reasons: Sequence[FailureReason], terminal: Terminal) -> None:
    """Print a table of objects and why they failed; `heading` is the heading of the first column."""
    table = new_table(heading, "reason")
    for reason in reasons[:_MAX_REASONS]:
        explanation = cell(reason.code, "red").append(" " if reason.code else "")
        table.add_row(cell(reason.object or "-"), explanation.append_text(cell(reason.message, "default")))
    terminal.print(table)
    hidden = len(reasons) - _MAX_REASONS
    if hidden > 0:
        print_line(terminal, f"{hidden:,} more; use --json to list all of them.")


def _print_status(status: Status, terminal: Terminal) -> None:
    print_line(terminal, f"{status.source} -> {status.results}")
    table = new_table("name", "count", "details", show_header=False)
    table.columns[1].justify = "right"

    def add(name: str, count: int, *details: str) -> None:
        table.add_row(name, f"{count:,}", cell(", ".join(filter(None, details))))

    add(
        "queued",
        status.queued,
        f"including {number_of(status.segments_queued, 'segment')}" if status.segments_queued else "",
        f"plus {status.delayed:,} delayed" if status.delayed else "",
    )
    add("in flight", status.in_flight)
    hint = "`reviewbox redrive` moves them back to the queue" if status.dead_lettered else ""
    add("dead letters", status.dead_lettered, hint)
    add("objects", status.objects, rounded_bytes(status.bytes))
    if status.tables_in_work:
        tables = f"large table{'' if status.tables_in_work == 1 else 's'}"
        add("in progress", status.tables_in_work, tables, f"{number_of(status.parts_in_work, 'part')} so far")
    is_partial = status.receipts > status.receipts_read
    add("results", status.receipts, f"the newest {status.receipts_read:,} were read:" if is_partial else "")
    failed = f"{status.failed_reviews:,} of them failed" if status.failed_reviews else ""
    add("  done", status.done, number_of(status.reviews, "review"), failed)
    codes = Counter(reason.code for reason in status.failures).most_common()
    add("  failed", status.failed, *(f"{count:,} {code}" for code, count in codes))
    outdated = status.receipts_read - status.done - status.failed
    if outdated:
        add("  outdated", outdated, "written by a different version; a backfill replaces them")
    terminal.print(table)
    for heading, reasons in (("failed", status.failures), ("dead letter", status.dead_letters)):
        if reasons:
            print_reasons(heading, reasons, terminal)
