"""Removes what workers left of one source that died, or that were overtaken, before they could record it."""

from dataclasses import dataclass

from reviewbox.errors import ErrorCode, Problem
from reviewbox.objects import ObjectRef, Revision
from reviewbox.results.failures import record_attempt
from reviewbox.results.receipt import Receipt
from reviewbox.results.receipt_store import ReceiptStore
from reviewbox.retry import retry_on_conflict


@dataclass(frozen=True, slots=True)
class SourceSweeper:
    """Sweeps the tables of one source at a time."""

    receipts: ReceiptStore

    def sweep(self, ref: ObjectRef, abandoned_before: float | None = None) -> bool:
        """Remove what workers left that died, or that were overtaken, before they could record it.

        What may still be recorded stays while work is in progress; returns False then. Work is given up if
        nothing has changed since `abandoned_before`, in seconds since 1970. The source then gets an error,
        unless its receipt is for its current revision.
        """
        if abandoned_before is not None:
            retry_on_conflict(lambda: self._record_abandoned_work(ref, abandoned_before), ref)
        return retry_on_conflict(lambda: self._attempt_sweep(ref, abandoned_before), ref)

    def _record_abandoned_work(self, ref: ObjectRef, abandoned_before: float) -> None:
        """Record that the work on a source has ended without a result."""
        stored = self.receipts.read(ref)
        revision = self.receipts.store.revision(ref)
        has_receipt = stored and stored.receipt.is_of_revision(self.receipts.provenance(ref, revision))
        if revision is None or has_receipt or not self._is_abandoned(ref, abandoned_before):
            return
        record_attempt(self.receipts, ref, revision, _lost_work(ref, revision), stored)

    def _is_abandoned(self, ref: ObjectRef, before: float) -> bool:
        """Return whether neither a source nor its tables have changed since a time."""
        # The key itself comes before all longer keys that start with it.
        listed = next(self.receipts.store.pages(ref.bucket, ref.key))[:1]
        times = [item.modified for item in listed if item.key == ref.key]
        return max([*times, *self.receipts.table_times(ref)], default=before) < before

    def _attempt_sweep(self, ref: ObjectRef, abandoned_before: float | None) -> bool:
        doubtful = self.receipts.remove_dead(ref, is_old=abandoned_before is not None)
        if not doubtful.parts:
            return True
        stored, revision = doubtful.stored, self.receipts.store.revision(ref)
        is_current = stored and stored.receipt.is_current(self.receipts.provenance(ref, revision))
        is_over = revision is None or is_current  # otherwise work is in progress
        if not is_over and (abandoned_before is None or not self._is_abandoned(ref, abandoned_before)):
            return False
        # Without a receipt to write again, a worker could still write the first one.
        if stored is None:
            provenance = self.receipts.provenance(ref, revision)
            receipt = Receipt.for_error(_lost_work(ref, revision), provenance, final=False)
            stored = self.receipts.write(ref, receipt, replaces=None)
        self.receipts.withdraw(ref, stored, doubtful.parts)
        return True


def _lost_work(ref: ObjectRef, revision: Revision | None) -> Problem:
    """Return why a source has no result whose work has ended without one."""
    if revision is None:
        return Problem(ErrorCode.NOT_PROCESSED, f"{ref} was deleted before its result was written")
    return Problem(
        ErrorCode.NOT_PROCESSED,
        f"the work on {ref} ended without a result, and its messages are gone; "
        "upload it again, or run `reviewbox backfill`",
    )
