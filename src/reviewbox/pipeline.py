"""Processes batches of objects and segments, several at a time."""

import json
import logging
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from reviewbox.batch import Finished, announce, run_batch
from reviewbox.deadline import Deadline
from reviewbox.documents import Step
from reviewbox.errors import ConflictError, NotStartedError
from reviewbox.event_bus import EventBus
from reviewbox.fast_path import prepare_new_review
from reviewbox.large_tables.coordinator import SegmentCoordinator
from reviewbox.large_tables.finisher import Progress
from reviewbox.leftovers import ABANDONED_SECONDS, LeftoverFinder, Sweeper, Swept
from reviewbox.make_receipt import ReceiptMaker
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.process_object import FINISHED, SEGMENT_OUTCOMES, BatchContext, ObjectProcessor, Outcome
from reviewbox.queue import Queue
from reviewbox.results.completion import completion_detail
from reviewbox.results.failures import record_failure, record_last_attempt
from reviewbox.results.receipt import Receipt
from reviewbox.results.receipt_store import ReceiptStore
from reviewbox.retry import retry_transient
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, describe
from reviewbox.sweep import SourceSweeper
from reviewbox.tool_files import is_tool_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Brings results up to date with their sources.

    Segments, and objects that need an invocation of their own, are sent to the queue. Without a queue they
    are processed here, one after the other. With an event bus, each result is announced by an event.

    `wait` waits for a number of seconds before work that failed because AWS was busy is repeated. Without it,
    nothing is repeated.

    `on_share` is called with the share of an object or segment that is classified, from 0 to 1, several times
    a second. `on_step` is called repeatedly before and after that, while an object is parsed or split and
    while its table is written. Neither gets the object that it is called for, so both are useful only if one
    object is processed at a time.
    """

    store: ObjectStore
    classifier: Classifier
    settings: Settings
    queue: Queue | None = None
    event_bus: EventBus | None = None
    wait: Callable[[float], None] | None = None
    on_write: Callable[[Receipt], object] = lambda _: None  # called after each receipt is written
    on_share: Callable[[float], object] = lambda _: None
    on_step: Callable[[Step], object] = lambda _: None

    def process_all(
        self,
        refs: Iterable[ObjectRef | SegmentRef],
        remaining_seconds: Callable[[], float],
        *,
        exclusive: bool = False,
        redelivered: bool = False,
        last: Container[ObjectRef | SegmentRef] = (),
    ) -> Iterator[tuple[ObjectRef | SegmentRef, Outcome | Exception]]:
        """Process objects and segments; yield each with its outcome, or its error, once it is done.

        While some objects wait for S3, others are classified, and their windows share runs of the model. If
        there are several objects, the large ones are not started, so that a batch needs little memory and
        small objects do not wait. They fail with NotStartedError, and the caller sends them to the queue.

        If `exclusive` is true, objects are processed one after the other, whatever their sizes. A pipeline
        without a queue always does that. If some were `redelivered`, they may have results, so none takes the
        fast path, and the leftovers of workers that died are removed. An object among the `last` will not be
        tried again, so it first gets an error receipt, unless it has a receipt.

        An object is yielded after its event has been sent. If that fails, so does the object: the next
        delivery finds its result current, and sends the event.

        Objects that are not done just before the end fail with OutOfTimeError, so that the invocation can
        answer for the others: AWS may leave a request without an answer.
        """
        refs = list(dict.fromkeys(refs))
        exclusive = exclusive or len(refs) == 1 or self.queue is None
        context = BatchContext(
            Deadline(remaining_seconds), exclusive=exclusive, redelivered=redelivered, last=last
        )
        if redelivered:
            context.has_results.set()
        threads = 1 if exclusive else self.settings.objects_at_once
        finished = run_batch(refs, lambda ref: self._finish(ref, context), threads, context.deadline)
        for item in announce(finished, self.event_bus) if self.event_bus else finished:
            yield item.ref, item.outcome

    def process(
        self,
        ref: ObjectRef | SegmentRef,
        remaining_seconds: Callable[[], float],
        *,
        redelivered: bool = False,
    ) -> Outcome:
        """Process one object or segment; `redelivered` as for `process_all`.

        Raises:
            OutOfTimeError: too little time is left; no receipt was written.
            ContentionError: other workers kept changing the result.
        """
        return self._dispatcher.process(
            ref, BatchContext(Deadline(remaining_seconds), redelivered=redelivered)
        )

    def sweep(self, bucket: str, now: float, remaining_seconds: Callable[[], float]) -> Swept:
        """Remove the parts of tables that workers left long ago and that no receipt names.

        `bucket` is that of the sources, and `now` is in seconds since 1970.
        """
        finder = LeftoverFinder(self.store, self.settings, bucket, now - ABANDONED_SECONDS)
        return Sweeper(finder, SourceSweeper(self._receipts)).run(Deadline(remaining_seconds))

    def requeue(self, messages: Iterable[str]) -> bool:
        """Send messages to the queue whose messages get an invocation each; return whether that worked."""
        if self.queue is None:
            return False
        try:
            self.queue.send(messages)
        except Exception as error:  # noqa: BLE001 - the messages then count as failed and are redelivered
            logger.warning("message.not_sent", extra={"reason": describe(error)})
            return False
        return True

    def record_failure(self, ref: ObjectRef | SegmentRef, error: Exception) -> None:
        """Write an error receipt for an object, or for the table of a segment, that failed for good."""
        try:
            record_failure(self._receipts, ref.source, error)
        except ConflictError:
            # Another worker has just written a result, or the same error.
            place = {"bucket": ref.source.bucket, "key": ref.source.key}
            logger.info("object.contended", extra=place)

    def read_receipt(self, ref: ObjectRef) -> Receipt | None:
        """Return the receipt of an object, or None if there is none."""
        stored = self._receipts.read(ref)
        return stored.receipt if stored else None

    def _finish(self, ref: ObjectRef | SegmentRef, context: BatchContext) -> Finished:
        outcome = self._dispatcher.process(ref, context)
        if self.event_bus is None or outcome not in FINISHED:
            return Finished(ref, outcome)
        # What is announced is what is there, even if another worker wrote it.
        receipt = self.read_receipt(ref.source)
        detail = completion_detail(receipt, self._receipts.receipt_ref(ref.source)) if receipt else None
        return Finished(ref, outcome, json.dumps(detail) if detail else "")

    @property
    def _receipts(self) -> ReceiptStore:
        return ReceiptStore(self.store, self.classifier.bundle, self.settings, self.on_write)

    @property
    def _dispatcher(self) -> "_Dispatcher":
        store, settings, receipts = self.store, self.settings, self._receipts
        large_tables = SegmentCoordinator(
            store, self.classifier, settings, receipts, self.queue, self.on_share, self.on_step
        )
        maker = ReceiptMaker(store, self.classifier, settings, receipts, self.on_share, self.on_step)
        objects = ObjectProcessor(store, settings, receipts, large_tables, maker)
        return _Dispatcher(settings, receipts, large_tables, objects, self.wait)


@dataclass(frozen=True, slots=True)
class _Dispatcher:
    """Brings the result of an object or segment up to date, on the path that fits it."""

    settings: Settings
    receipts: ReceiptStore
    large_tables: SegmentCoordinator
    objects: ObjectProcessor
    wait: Callable[[float], None] | None

    def process(self, ref: ObjectRef | SegmentRef, context: BatchContext) -> Outcome:
        if not self._is_source(ref.source):
            return Outcome.IGNORED

        def wait(seconds: float) -> bool:
            nonlocal context
            if self.wait is None or not context.deadline.allows(seconds):
                return False
            self.wait(seconds)
            # The attempt that failed may have left something, as a worker that dies does.
            context = replace(context, redelivered=True)
            return True

        return retry_transient(lambda: self._attempt(ref, context), ref.source, wait)

    def _attempt(self, ref: ObjectRef | SegmentRef, context: BatchContext) -> Outcome:
        context.deadline.check_start(ref)
        if ref in context.last:
            with suppress(Exception):  # if it cannot be recorded, the attempt may still succeed
                record_last_attempt(self.receipts, ref.source)
        if isinstance(ref, SegmentRef):
            if not context.exclusive:
                raise NotStartedError(f"{ref} needs an invocation of its own")
            progress = self.large_tables.classify(ref, context.deadline)
            if progress is Progress.COMPLETE and context.redelivered:
                SourceSweeper(self.receipts).sweep(ref.source)
            if progress is not Progress.STALE:
                return SEGMENT_OUTCOMES[progress]
            # The table, the model or the settings have changed since: the table needs another plan.
            self.large_tables.mark_incomplete(ref)
            context = replace(context, stale=ref)
        pending = prepare_new_review(ref.source, self.objects, context)
        if pending:
            try:
                return self.objects.commit(pending, replaces=None)
            except ConflictError:
                context.has_results.set()
        return self.objects.process(ref.source, context, pending)

    def _is_source(self, ref: ObjectRef) -> bool:
        own_prefixes = (self.settings.results_prefix, self.settings.work_prefix)
        is_own = ref.bucket == self.receipts.bucket(ref) and ref.key.startswith(own_prefixes)
        is_below_prefix = ref.key.startswith(self.settings.source_prefix)
        return is_below_prefix and not is_own and not is_tool_file(ref.key)
