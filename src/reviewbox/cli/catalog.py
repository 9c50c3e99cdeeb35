"""`reviewbox catalog`: copies all results as Parquet, in the layout of a stack's catalog."""

from collections import Counter

from reviewbox.catalog import CopyOutcome
from reviewbox.cli.progress import track
from reviewbox.cli.render import print_plain
from reviewbox.settings import Settings
from reviewbox.stack.aws import errors_at
from reviewbox.stack.catalog_copies import Copying
from reviewbox.storage import describe
from reviewbox.wording import number_of


def run_catalog(path: str, target: str, settings: Settings) -> bool:
    """Make a catalog hold exactly one copy of each result at a path; return whether that worked for all.

    Raises:
        ReviewboxError: there is no such path, or the places overlap.
    """
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    with errors_at(path):
        for outcome in track(Copying.between(path, target, settings), "Copying results"):
            if isinstance(outcome, Exception):
                reasons[getattr(outcome, "strerror", None) or describe(outcome)] += 1
            else:
                counts[outcome] += 1
    print_plain(
        f"{target}: {number_of(counts[CopyOutcome.COPIED], 'result')} copied, "
        f"{counts[CopyOutcome.CURRENT]:,} already up to date, {counts[CopyOutcome.REMOVED]:,} removed."
    )
    for reason, count in reasons.items():
        print_plain(f"reviewbox: {number_of(count, 'result')} failed: {reason}", to_stderr=True)
    return not reasons
