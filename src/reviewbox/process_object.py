"""Brings the result of one object up to date (ADR 2).

An event may be late, duplicated or out of order, and several workers may process the same object at once.
So every attempt takes the same steps: read the receipt, look at the *current* source, and stop if the
receipt already records it. Otherwise read the source, classify it, and write the result on condition that
the receipt is still the one that was read. A worker that loses a race starts over and finds the winner's
result, or a newer source. It then removes what it had written, and what workers left that died.
"""

from collections.abc import Container
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from threading import Event

from reviewbox.classification import faults_as_source_errors
from reviewbox.deadline import Deadline
from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import detect_compression, exceeds
from reviewbox.documents.detection import SNIFF_BYTES, is_called_text, line_format
from reviewbox.documents.formats.parquet.table import row_count_of
from reviewbox.documents.segments import LineFormat
from reviewbox.documents.unsupported import is_parquet
from reviewbox.errors import ArchivedError, ConflictError, ErrorCode, NotStartedError, Problem, SourceError
from reviewbox.large_tables.coordinator import SegmentCoordinator
from reviewbox.large_tables.finisher import Progress
from reviewbox.make_receipt import ReceiptMaker
from reviewbox.objects import ObjectRef, SegmentRef, Source
from reviewbox.results.failures import record_attempt
from reviewbox.results.receipt import Receipt
from reviewbox.results.receipt_store import ReceiptStore, StoredReceipt
from reviewbox.retry import retry_on_conflict
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore
from reviewbox.sweep import SourceSweeper

# Larger objects of a batch get an invocation of their own, so that a batch needs little memory.
_SMALL_OBJECT_BYTES = 20 * 1024


class Outcome(StrEnum):
    """What became of an object."""

    CLASSIFIED = "classified"
    REFUSED = "refused"  # the receipt records an error that a retry cannot fix
    CURRENT = "current"  # the result was already up to date
    GONE = "gone"  # the object no longer exists; an old result stays
    IGNORED = "ignored"  # not a source: a result, a folder marker, a tool's file, or under another prefix
    SEGMENTED = "segmented"  # a large table, whose segments are in the queue
    PARTIAL = "partial"  # a segment is classified; other segments of its table are not


# After these, no work on the object is in progress, and whatever its receipt does not name is left over. The
# event for its result may be missing: a worker may have died after it wrote the receipt. Then the next
# delivery finds the result current, or the source gone.
FINISHED = (Outcome.CLASSIFIED, Outcome.REFUSED, Outcome.CURRENT, Outcome.GONE)

SEGMENT_OUTCOMES = {
    Progress.SENT: Outcome.SEGMENTED,
    Progress.PARTIAL: Outcome.PARTIAL,
    Progress.COMPLETE: Outcome.CLASSIFIED,
}


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What the objects of one batch share."""

    deadline: Deadline
    exclusive: bool = True  # whether each object may use all of the invocation's memory and time
    redelivered: bool = False  # whether another worker may have died while it was working on the objects
    stale: SegmentRef | None = None  # the segment of an outdated plan that led to the object
    last: Container[ObjectRef | SegmentRef] = ()  # those for which this is the last attempt
    # Set once an object of the batch turns out to have a result, so that the others probably have one, too.
    # Classifying them before looking at their receipts would be wasted work.
    has_results: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True)
class PendingReceipt:
    """A receipt that has been made, from an object as it was read, but not written yet."""

    source: Source
    receipt: Receipt

    @property
    def outcome(self) -> Outcome:
        """What becomes of the object once the receipt is written."""
        return Outcome.CLASSIFIED if self.receipt.has_result else Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class ObjectProcessor:
    """Processes single objects."""

    store: ObjectStore
    settings: Settings
    receipts: ReceiptStore
    large_tables: SegmentCoordinator
    maker: ReceiptMaker

    def process(
        self, ref: ObjectRef, context: BatchContext, pending: PendingReceipt | None = None
    ) -> Outcome:
        """Bring an object's result up to date.

        `pending` is a receipt made from a revision that may still be the current one.

        Raises:
            NotStartedError: the object may be large and needs an invocation of its own.
            OutOfTimeError: too little time is left; no receipt was written.
            ContentionError: other workers kept changing the result.
        """
        races: list[ObjectRef] = []

        def attempt() -> Outcome:
            outcome = self._attempt(ref, context, pending)
            is_gone = outcome is Outcome.GONE
            if outcome in FINISHED and (races or context.redelivered or context.stale or is_gone):
                is_over = SourceSweeper(self.receipts).sweep(ref)
                if is_gone and not is_over:  # the source has come back
                    raise ConflictError(ref)
            return outcome

        return retry_on_conflict(attempt, ref, on_conflict=races.append)

    def max_read_bytes(self, context: BatchContext) -> int:
        """Return the size of the largest object that is read before its format is known."""
        segment_bytes = self.settings.read_options.segment_bytes
        return segment_bytes if context.exclusive else min(_SMALL_OBJECT_BYTES, segment_bytes)

    def commit(
        self, pending: PendingReceipt, replaces: StoredReceipt | None, *, may_have_tables: bool = False
    ) -> Outcome:
        """Replace the receipt that was read by a new one, and remove what is left of the old result.

        `may_have_tables` is whether a source without a receipt may still have parts of tables.

        Raises:
            ConflictError: the result has changed since.
        """
        present = self.receipts.list_tables(pending.source.ref) if replaces or may_have_tables else {}
        self.receipts.commit(pending.source.ref, pending.receipt, replaces, present)
        return pending.outcome

    def _attempt(self, ref: ObjectRef, context: BatchContext, pending: PendingReceipt | None) -> Outcome:
        # Read the receipt before the source: after any later change to the receipt, writing it fails.
        stored = self.receipts.read(ref)
        if stored and (outcome := self._outcome_without_reading(ref, stored, pending)):
            return outcome
        try:
            source = self.store.read(ref, self.max_read_bytes(context))
        except ArchivedError as error:
            # An event follows once the object is restored, and its revision stays the same.
            problem = Problem(ErrorCode.ARCHIVED, str(error))
            record_attempt(self.receipts, ref, self.store.revision(ref), problem, stored)
            return Outcome.REFUSED
        if source is None:
            return Outcome.GONE
        if ref.key.endswith("/") and source.size == 0:  # the AWS console creates this to show an empty folder
            return Outcome.IGNORED
        if not context.exclusive and needs_own_invocation(source.body):
            raise NotStartedError(
                f"{ref} is or may be large, or is Parquet, and needs an invocation of its own"
            )
        return self._classify_or_split(source, stored, context)

    def _outcome_without_reading(
        self, ref: ObjectRef, stored: StoredReceipt, pending: PendingReceipt | None
    ) -> Outcome | None:
        """Return the outcome if the source need not be read, else None.

        The revision is enough to know that. The body may be large.
        """
        is_intact = self.receipts.is_intact(ref, stored.receipt)
        revision = self.store.revision(ref)
        if revision is None:
            return Outcome.GONE
        if is_intact and stored.receipt.is_current(self.receipts.provenance(ref, revision)):
            return Outcome.CURRENT
        if pending and pending.source.revision == revision:
            return self.commit(pending, stored)
        return None

    def _classify_or_split(
        self, source: Source, stored: StoredReceipt | None, context: BatchContext
    ) -> Outcome:
        try:
            head = _read_head(self.store, source) if source.body is None else source.body
            table_format = _format_of_large_table(source, head, self.settings.read_options)
            if table_format or _is_large_parquet(self.store, source, head, self.settings.read_options):
                progress = self.large_tables.start(
                    source, stored, table_format, context.deadline, context.stale
                )
                return SEGMENT_OUTCOMES[progress]
            pending = PendingReceipt(source, self.maker.classify(source, stored, context.deadline))
        except SourceError as error:
            pending = PendingReceipt(source, self.maker.refuse(source, error))
        # The worker of an earlier revision, a table, may have died before it wrote the first receipt.
        may_have_tables = not (pending.receipt.parts or is_called_text(source.ref.key))
        return self.commit(pending, stored, may_have_tables=may_have_tables)


def _read_head(store: ObjectStore, source: Source) -> bytes:
    with store.stream(source.ref, source.revision, 0, SNIFF_BYTES) as stream:
        return stream.read()


def _is_large_parquet(store: ObjectStore, source: Source, head: bytes, options: ReadOptions) -> bool:
    """Return whether a source is a Parquet file with too many bytes or rows to be read as a whole."""
    if not is_parquet(head) or source.size > options.max_bytes:
        return is_parquet(head)
    opened = store.open(source) if source.body is None else nullcontext(BytesIO(source.body))
    with opened as file, faults_as_source_errors():
        return row_count_of(file, options) > options.max_rows


def needs_own_invocation(body: bytes | None) -> bool:
    """Return whether an object is large, or may be once it is decompressed, as the pages of Parquet are.

    `body` is None if it was too large to be read with others.
    """
    return body is None or detect_compression(body) is not None or is_parquet(body)


def _format_of_large_table(source: Source, head: bytes, options: ReadOptions) -> LineFormat | None:
    """Return the format of a source if it is a table of lines that is larger than a segment."""
    if source.body is not None and not exceeds(source.body, options.segment_bytes):
        return None
    with faults_as_source_errors():
        return line_format(source.ref.key, source.content_type, head)
