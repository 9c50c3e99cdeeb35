"""Removes the leftovers of workers that died or were overtaken before they could record their work."""

from collections.abc import Mapping
from dataclasses import dataclass

from reviewbox.errors import ErrorCode, Problem
from reviewbox.objects import ObjectRef, Revision
from reviewbox.results import keys
from reviewbox.results.failures import record_attempt
from reviewbox.results.receipt import RECEIPT_CONTENT_TYPE, Receipt, is_made_from, may_replace
from reviewbox.results.receipt_store import ReceiptStore, StoredReceipt, base_etag, unnamed
from reviewbox.retry import retry_on_conflict


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Parts that the receipt of their source does not name, and that may still be recorded."""

    stored: StoredReceipt | None  # the receipt; None if there is none
    parts: Mapping[ObjectRef, str]  # their ETags


@dataclass(frozen=True, slots=True)
class SourceSweeper:
    """Sweeps the tables of one source at a time."""

    receipts: ReceiptStore

    def sweep(self, ref: ObjectRef, abandoned_before: float | None = None) -> bool:
        """Remove the leftovers of workers that died or were overtaken before they could record their work.

        What may still be recorded stays while work is in progress, and the result is False. Work is given up
        if nothing has changed since `abandoned_before`, in seconds since 1970. The source then gets an error,
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
        doubtful = remove_dead(self.receipts, ref, is_old=abandoned_before is not None)
        if not doubtful.parts:
            return True
        stored, revision = doubtful.stored, self.receipts.store.revision(ref)
        provenance = self.receipts.provenance(ref, revision)
        # Otherwise work is in progress.
        is_over = revision is None or (stored and stored.receipt.is_current(provenance))
        if not is_over and (abandoned_before is None or not self._is_abandoned(ref, abandoned_before)):
            return False
        if stored is None:  # without a receipt to write again, a worker could still write the first one
            receipt = Receipt.for_error(_lost_work(ref, revision), provenance, final=False)
            stored = self.receipts.write(ref, receipt, replaces=None)
        _withdraw(self.receipts, ref, stored, doubtful.parts)
        return True


def remove_dead(
    receipts: ReceiptStore, ref: ObjectRef, recorded: Receipt | None = None, *, is_old: bool = False
) -> Doubtful:
    """Remove the parts of a source's tables that no receipt names and none can name any more.

    Returns the parts that may still be recorded, because they were made to replace the present receipt.
    If there is no valid receipt, another source whose tables have the same keys may still record its own.

    The keys of parts of older versions do not name the bucket of their source. If there is no receipt, such
    parts are returned only if `is_old`.

    `recorded` is a receipt of the source that was just read or written; the parts that it names are kept.
    `is_old` says that all parts are so old that no other source will record them.
    """
    # The order matters: a part that was made for a receipt that has been replaced can never be recorded.
    present = unnamed(recorded, receipts.list_tables(ref))
    stored = receipts.read(ref) if present else None
    unrecorded = unnamed(stored.receipt if stored else None, present)
    prefix = receipts.settings.results_prefix
    ids = {table: keys.table_id_of(table.key, prefix, ref.key) or "" for table in unrecorded}
    doubtful = {
        table: etag
        for table, etag in unrecorded.items()
        if (is_made_from(ids[table], ref) and may_replace(ids[table], base_etag(stored)))
        or (is_old and stored is None and not ids[table])
    }
    dead = unrecorded.keys() - doubtful.keys()
    if stored is None or not stored.receipt.content:
        dead = {table for table in dead if is_made_from(ids[table], ref)}
    receipts.remove({table: unrecorded[table] for table in dead})
    return Doubtful(stored, doubtful)


def _withdraw(
    receipts: ReceiptStore, ref: ObjectRef, stored: StoredReceipt, objects: Mapping[ObjectRef, str]
) -> None:
    """Delete parts that could still be recorded.

    First, the receipt is written again. It then has a different ETag, so that they can no longer be recorded.

    Raises:
        ConflictError: another worker has written a receipt since. Nothing was removed.
    """
    body = stored.receipt.replacing(stored.etag).encode()
    receipts.store.write(receipts.receipt_ref(ref), body, RECEIPT_CONTENT_TYPE, replaces=stored.etag)
    receipts.remove(objects)


def _lost_work(ref: ObjectRef, revision: Revision | None) -> Problem:
    """Return why a source has no result although the work on it has ended."""
    if revision is None:
        return Problem(ErrorCode.NOT_PROCESSED, f"{ref} was deleted before its result was written")
    return Problem(
        ErrorCode.NOT_PROCESSED,
        f"the work on {ref} ended without a result, and its messages are gone; "
        "upload it again, or run `reviewbox backfill`",
    )
