"""`reviewbox catalog`: copies all results as Parquet, in the layout of a stack's catalog."""

from collections import Counter
from itertools import chain
from typing import Any

from reviewbox.catalog import CopyOutcome
from reviewbox.cli.output import Format, print_summary, terminal_beside
from reviewbox.cli.progress import progress_bar, track
from reviewbox.cli.render import print_line, print_plain
from reviewbox.settings import Settings
from reviewbox.stack.aws import errors_at
from reviewbox.stack.catalog_copies import Copying
from reviewbox.storage import describe
from reviewbox.wording import number_of


def run_catalog(path: str, target: str, settings: Settings, format_: Format) -> bool:
    """Make a catalog hold exactly one copy of each result at a path; return whether that worked for all.

    Raises:
        ReviewboxError: there is no such path, or the places overlap.
    """
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    with errors_at(path):
        copying = Copying.between(path, target, settings)
        receipts = list(track(copying.list_receipts(), "Listing results"))
        gone = list(track(copying.list_gone(receipts), "Listing copies"))
        with progress_bar("Copying results", len(receipts) + len(gone)) as update:
            for outcome in copying.copy(chain(receipts, gone), lambda share: update(advance=share)):
                if isinstance(outcome, Exception):
                    reasons[getattr(outcome, "strerror", None) or describe(outcome)] += 1
                else:
                    counts[outcome] += 1
    print_line(
        terminal_beside(format_),
        f"{target}: {number_of(counts[CopyOutcome.COPIED], 'result')} copied, "
        f"{counts[CopyOutcome.CURRENT]:,} already up to date, {counts[CopyOutcome.REMOVED]:,} removed.",
    )
    for reason, count in reasons.items():
        print_plain(f"reviewbox: {number_of(count, 'result')} failed: {reason}", to_stderr=True)
    summary: dict[str, Any] = {"source": path, "catalog": target}
    summary |= {str(outcome): counts[outcome] for outcome in CopyOutcome}
    failures = [{"reason": reason, "results": count} for reason, count in reasons.items()]
    print_summary({**summary, "failed": reasons.total(), "failures": failures}, format_)
    return not reasons
