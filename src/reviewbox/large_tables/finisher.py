"""Writes the receipt of a large table once all of its segments are done."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from reviewbox.errors import ConflictError
from reviewbox.large_tables.dispatch import Dispatch
from reviewbox.large_tables.plan import Plan
from reviewbox.large_tables.workspace import Workspace
from reviewbox.objects import ObjectRef, Revision
from reviewbox.queue import Queue
from reviewbox.results.doubt import with_doubt
from reviewbox.results.receipt import Counts, Part, Receipt
from reviewbox.results.receipt_store import ReceiptStore, StoredReceipt
from reviewbox.retry import retry_on_conflict
from reviewbox.sweep import remove_dead


class Progress(StrEnum):
    """How far the work on a large table has come."""

    SENT = "sent"  # every segment is in the queue
    PARTIAL = "partial"  # a segment is done; others are not
    COMPLETE = "complete"  # the receipt is written
    STALE = "stale"  # the plan is missing, outdated (revision, model or settings), or cannot be completed


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts of a table are done."""

    done: Mapping[int, Part]  # by index: those that exist and whose counts are recorded
    lost: frozenset[int]  # those whose counts are recorded and that do not exist as they were written


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finds out which segments are done, and writes the receipt. Segments that were lost are sent again."""

    receipts: ReceiptStore
    queue: Queue | None
    labels: Sequence[str]  # those of the model

    def finish(self, plan: Plan, work: Workspace, sender: str) -> Progress:
        """Write the receipt if all segments are done and it is missing, or parts were restored since."""
        return retry_on_conflict(lambda: self._attempt(plan, work, sender), plan.source)

    def _attempt(self, plan: Plan, work: Workspace, sender: str) -> Progress:
        # The listing comes first because it usually shows that segments are missing.
        results = work.results(plan)
        if len(set(results.values())) < len(plan):
            return Progress.PARTIAL
        # Read the receipt before everything that it depends on: after any later change, the write fails.
        stored = self.receipts.read(plan.source)
        parts = self.parts(plan, work, results)
        revision = self.receipts.store.revision(plan.source)
        # A table that was deleted after all of its segments were done may still get its result.
        if not self._is_for(plan, revision or plan.revision, stored):
            return Progress.STALE
        recorded = [parts.done[index] for index in sorted(parts.done)]
        receipt = stored.receipt if stored else None
        if stored and stored.receipt.is_current(plan.provenance) and stored.receipt.parts == recorded:
            self._announce_restored(plan, work, stored)
        else:
            counts = {} if parts.lost else work.read_all_counts(parts.done)
            if len(counts) < len(plan):
                if revision is None:  # nobody can classify the lost segments again
                    return Progress.STALE
                lost = frozenset(range(len(plan))) - (counts or parts.done).keys()
                if self.queue:
                    Dispatch(self.queue, work, plan).send_lost(lost, sender)
                return Progress.PARTIAL
            total = sum(counts.values(), Counts())
            notes = with_doubt(plan.notes, total, self.labels)
            receipt = Receipt.for_table(total, recorded, plan.provenance, notes)
            self.receipts.commit(plan.source, receipt, stored, {})
        # This lists again, because the worker of a stale segment may have written a part before the receipt,
        # and leaves its removal to this worker. If the response to the write was lost, the next attempt ends
        # up here.
        remove_dead(self.receipts, plan.source, receipt)
        return Progress.COMPLETE

    def _announce_restored(self, plan: Plan, work: Workspace, stored: StoredReceipt) -> None:
        """Write a receipt again if parts of it were lost and have been restored, once.

        Followers may have read it meanwhile, and read the parts again when there is a new one.
        """
        sent = work.read_sent()
        if sent and sent.record and sent.record.lost:
            self.receipts.write(plan.source, stored.receipt, stored)
            with suppress(ConflictError):
                work.write_sent(replace(sent.record, lost=frozenset()), sent.etag)

    def parts(self, plan: Plan, work: Workspace, results: Mapping[ObjectRef, int]) -> Parts:
        """Return which parts of a table are done, given the recorded results of its segments."""
        present = self.receipts.list_tables(plan.source)
        done: dict[int, Part] = {}
        for index in set(results.values()):
            part = self.part_ref(plan, index)
            etag = present.get(part)
            if etag and work.result_ref(index, etag) in results:
                done[index] = Part(part.bucket, part.key, etag)
        return Parts(done, frozenset(results.values()) - done.keys())

    def is_current(self, plan: Plan) -> bool:
        """Return whether a plan is for the current revision, model and settings."""
        stored = self.receipts.read(plan.source)
        revision = self.receipts.store.revision(plan.source)
        return self._is_for(plan, revision, stored)

    def _is_for(self, plan: Plan, revision: Revision | None, stored: StoredReceipt | None) -> bool:
        """Return whether a plan is for a revision, this model and these settings, and replaces a receipt."""
        provenance = self.receipts.provenance(plan.source, revision)
        return provenance == plan.provenance and self.receipts.table_id(provenance, stored) == plan.id

    def part_ref(self, plan: Plan, index: int) -> ObjectRef:
        """Return the object that is the part of a segment."""
        return self.receipts.part_ref(plan.source, plan.id, index, plan.output.extension)
