"""Processes batches of objects and segments, several at a time."""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from reviewbox.deadline import Deadline
from reviewbox.errors import ConflictError, NativeFaultError, NotStartedError
from reviewbox.fast_path import prepare_new_review
from reviewbox.large_tables.coordinator import Progress, SegmentCoordinator
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.process_object import SEGMENT_OUTCOMES, BatchContext, ObjectProcessor, Outcome
from reviewbox.queue import Queue
from reviewbox.results.receipt import Receipt
from reviewbox.results.receipt_store import ReceiptStore
from reviewbox.retry import retry_transient
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, describe
from reviewbox.tool_files import is_tool_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Brings results up to date with their sources.

    Segments, and objects that need an invocation of their own, are sent to the queue. Without a queue they
    are processed here, one after the other.

    `wait` waits for a number of seconds before work is repeated that failed because AWS was busy. Without
    it, nothing is repeated.
    """

    store: ObjectStore
    classifier: Classifier
    settings: Settings
    queue: Queue | None = None
    wait: Callable[[float], None] | None = None

    def process_all(
        self,
        refs: Iterable[ObjectRef | SegmentRef],
        remaining_seconds: Callable[[], float],
        *,
        exclusive: bool = False,
        redelivered: bool = False,
    ) -> Iterator[tuple[ObjectRef | SegmentRef, Outcome | Exception]]:
        """Process objects and segments; yield each with its outcome, or its error, once it is done.

        While some objects wait for S3, others are classified, and their windows share runs of the model. A
        large object is not started if it is one of several, so that a batch needs little memory and small
        objects do not wait. It fails with NotStartedError, and the caller sends it to the queue.

        If `exclusive` is true, objects are processed one after the other, whatever their sizes. A pipeline
        without a queue always does that. If some were `redelivered`, they may have results, and none takes
        the fast path.
        """
        refs = list(dict.fromkeys(refs))
        exclusive = exclusive or len(refs) == 1 or self.queue is None
        context = BatchContext(Deadline(remaining_seconds), exclusive=exclusive)
        if redelivered:
            context.has_results.set()
        with ThreadPoolExecutor(1 if exclusive else self.settings.objects_at_once) as pool:
            futures = {pool.submit(self._process, ref, context): ref for ref in refs}
            for future in as_completed(futures):
                yield futures[future], _outcome_of(future)

    def process(self, ref: ObjectRef | SegmentRef, remaining_seconds: Callable[[], float]) -> Outcome:
        """Process one object or segment.

        Raises:
            OutOfTimeError: too little time is left; no receipt was written.
            ContentionError: other workers kept changing the result.
        """
        return self._process(ref, BatchContext(Deadline(remaining_seconds)))

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

    def is_last_attempt(self, receive_count: int) -> bool:
        """Return whether a message that was received so often will not be delivered again."""
        return receive_count >= self.settings.max_receives

    def record_failure(self, ref: ObjectRef | SegmentRef, error: Exception) -> None:
        """Write an error receipt for an object, or for the table of a segment, that failed for good."""
        source = ref.source if isinstance(ref, SegmentRef) else ref
        try:
            self._objects.record_failure(source, error)
        except ConflictError:
            # Another worker has just written a result, or the same error.
            logger.info("object.contended", extra={"bucket": source.bucket, "key": source.key})

    def read_receipt(self, ref: ObjectRef) -> Receipt | None:
        """Return the receipt of an object, or None if there is none."""
        stored = self._receipts.read(ref)
        return stored.receipt if stored else None

    def _process(self, ref: ObjectRef | SegmentRef, context: BatchContext) -> Outcome:
        source = ref.source if isinstance(ref, SegmentRef) else ref
        if not self._is_source(source):
            return Outcome.IGNORED

        def wait(seconds: float) -> bool:
            if self.wait is None or not context.deadline.allows(seconds):
                return False
            self.wait(seconds)
            return True

        return retry_transient(lambda: self._attempt(ref, source, context), source, wait)

    def _attempt(self, ref: ObjectRef | SegmentRef, source: ObjectRef, context: BatchContext) -> Outcome:
        context.deadline.check_start(ref)
        if isinstance(ref, SegmentRef):
            if not context.exclusive:
                raise NotStartedError(f"{ref} needs an invocation of its own")
            progress = self._large_tables.classify(ref, context.deadline)
            if progress is not Progress.STALE:
                return SEGMENT_OUTCOMES[progress]
            # The table, the model or the settings have changed since: the table needs another plan.
            self._large_tables.mark_incomplete(ref)
            context = replace(context, resend=False)
        pending = prepare_new_review(source, self._objects, context)
        if pending:
            try:
                return self._objects.commit(pending, replaces=None)
            except ConflictError:
                context.has_results.set()
        return self._objects.process(source, context, pending)

    def _is_source(self, ref: ObjectRef) -> bool:
        own_prefixes = (self.settings.results_prefix, self.settings.work_prefix)
        is_own = ref.bucket == self._receipts.bucket(ref) and ref.key.startswith(own_prefixes)
        is_below_prefix = ref.key.startswith(self.settings.source_prefix)
        return is_below_prefix and not is_own and not is_tool_file(ref.key)

    @property
    def _receipts(self) -> ReceiptStore:
        return ReceiptStore(self.store, self.classifier.bundle, self.settings)

    @property
    def _large_tables(self) -> SegmentCoordinator:
        return SegmentCoordinator(self.store, self.classifier, self.settings, self._receipts, self.queue)

    @property
    def _objects(self) -> ObjectProcessor:
        return ObjectProcessor(self.store, self.classifier, self.settings, self._receipts, self._large_tables)


def _outcome_of(future: Future[Outcome]) -> Outcome | Exception:
    """Return the outcome of an object, or its error: one object's failure must not affect another."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - as above
        return error
    except BaseException as error:
        # A panic of a library in Rust is not an Exception, and its class cannot be imported. Its message
        # could quote a review.
        if type(error).__name__ != "PanicException":
            raise
        return NativeFaultError(f"a library failed with {type(error).__name__}").with_traceback(
            error.__traceback__
        )
