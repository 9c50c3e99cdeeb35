"""Classifies a large table in segments: split once, classified by many workers, recorded in one receipt.

Workers share nothing but objects in S3 (see `workspace`). Every object depends on the plan alone, and is
written once. So a step may run twice, on two workers at once, or again after a crash. The worker that finds
all segments done writes the receipt.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader

from reviewbox.classification import classify_table, faults_as_source_errors
from reviewbox.deadline import Deadline
from reviewbox.documents import ReadOptions, Step
from reviewbox.documents.formats.parquet.segments import split_parquet
from reviewbox.documents.segments import Content, LineFormat, split
from reviewbox.errors import ConflictError
from reviewbox.large_tables.dispatch import Dispatch
from reviewbox.large_tables.finisher import Finisher, Progress
from reviewbox.large_tables.plan import Plan, Sent
from reviewbox.large_tables.workspace import Workspace
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef, Source
from reviewbox.queue import Queue
from reviewbox.results.receipt import Provenance
from reviewbox.results.receipt_store import ReceiptStore, StoredReceipt
from reviewbox.retry import retry_on_conflict
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, write_once

_EVENT = "event"  # the sender that is not a segment


@dataclass(frozen=True, slots=True)
class SegmentCoordinator:
    """Splits large tables, classifies their segments and writes their receipts.

    Without a queue, segments are classified one after the other. `on_share` is called with the share of the
    table that is classified, or of the segment if only one is classified here, and `on_step` while the table
    is split.
    """

    store: ObjectStore
    classifier: Classifier
    settings: Settings
    receipts: ReceiptStore
    queue: Queue | None
    on_share: Callable[[float], object] = lambda _: None
    on_step: Callable[[Step], object] = lambda _: None

    def start(
        self,
        source: Source,
        stored: StoredReceipt | None,
        line_format: LineFormat | None,
        deadline: Deadline,
        stale: SegmentRef | None = None,
    ) -> Progress:
        """Split a table, unless it has been split, and send its segments to the queue.

        Args:
            source: the table.
            stored: its receipt, as it was read before the table.
            line_format: the table's format, or None if it is a Parquet file.
            deadline: when to stop.
            stale: the segment of a different plan that led to the table. Such segments come in large numbers,
                and only the first of them sends anything. An event sends all segments that are not done.

        Raises:
            SourceError: the table cannot be read.
            ConflictError: the table has changed.
            OutOfTimeError: too little time is left; finished segments stay finished.
        """
        provenance = self.receipts.provenance(source.ref, source.revision)
        work = self._workspace(source.ref, self.receipts.table_id(provenance, stored))
        plan = work.read_plan()
        is_new = plan is None or not work.has_inputs(plan)
        if plan is None or is_new:
            options = replace(self.settings.read_options, check_time=partial(deadline.check, source.ref))
            plan = _split(source, provenance, line_format, work, replace(options, on_step=self.on_step))
            work.write_plan(plan)
        if self.queue is None:
            return self._classify_all(plan, deadline)
        return self._send_missing(Dispatch(self.queue, work, plan), stale, is_new=is_new)

    def mark_incomplete(self, ref: SegmentRef) -> None:
        """Record that the message of a stale segment was dropped, in case its plan becomes current again."""
        self._workspace(ref.source, ref.plan).forget_sent()

    def classify(self, ref: SegmentRef, deadline: Deadline) -> Progress:
        """Classify a segment, unless it has been classified, and write the receipt if all segments are done.

        Raises:
            OutOfTimeError: too little time is left.
            ContentionError: other workers kept changing the segment's part.
        """
        work = self._workspace(ref.source, ref.plan)
        plan = work.read_plan()
        if plan is None or not 0 <= ref.index < len(plan):
            return Progress.STALE
        is_done = self._is_done(plan, work, ref.index) or self._classify(plan, work, ref.index, deadline)
        progress = self._finisher.finish(plan, work, str(ref))
        # A table that has just become stale may still be complete, and then its receipt is written.
        return progress if is_done or progress is Progress.COMPLETE else Progress.STALE

    def _is_done(self, plan: Plan, work: Workspace, index: int) -> bool:
        """Return whether a segment's part exists and its counts are recorded."""
        revision = self.store.revision(self._finisher.part_ref(plan, index))
        return revision is not None and work.read_counts(index, revision.etag) is not None

    def _classify(self, plan: Plan, work: Workspace, index: int, deadline: Deadline) -> bool:
        """Write the part and the counts of a segment; return False if the plan is stale."""
        if not self._finisher.is_current(plan):
            return False
        data = work.read_segment(plan, index)
        if data is None:
            return False
        check_time = partial(deadline.check, plan.source)
        document = plan.document(index, data, replace(self.settings.read_options, check_time=check_time))

        def before_run(share: float) -> None:
            check_time()
            self.on_share(share)

        classified = classify_table(document, self.classifier, self.settings, before_run)
        part = self._finisher.part_ref(plan, index)

        def write() -> str:
            return write_once(self.store, part, classified.body, plan.output.content_type)

        etag = retry_on_conflict(write, part)
        # If a newer result has been recorded since, this part has to be removed. The worker that finds its
        # segment stale does that.
        if not self._finisher.is_current(plan):
            return False
        work.write_counts(index, etag, classified.counts)
        return True

    def _classify_all(self, plan: Plan, deadline: Deadline) -> Progress:
        progress = Progress.STALE
        for segment in plan.segments:

            def on_share(share: float, before: int = segment.index) -> None:
                self.on_share((before + share) / len(plan))

            progress = replace(self, on_share=on_share).classify(segment, deadline)
        if progress is not Progress.COMPLETE:
            raise ConflictError(plan.source)
        return progress

    def _send_missing(self, dispatch: Dispatch, stale: SegmentRef | None, *, is_new: bool) -> Progress:
        """Send the segments that are not done; if there are none, write the receipt."""
        plan, work, sender = dispatch.plan, dispatch.work, str(stale) if stale else _EVENT
        # Usually, nothing of a new plan has been sent.
        sent = None if is_new else work.read_sent()
        if stale and sent and sent.record and not sent.record.is_interrupted(sender):
            return Progress.SENT
        parts = self._finisher.parts(plan, work, work.results(plan))
        missing = [index for index in range(len(plan)) if index not in parts.done]
        if not missing:  # a worker died before it wrote the receipt
            finished = self._finisher.finish(plan, work, sender)
            if finished is Progress.STALE:
                raise ConflictError(plan.source)
            return finished if finished is Progress.COMPLETE else Progress.SENT
        record = Sent(sender, parts.lost)
        try:
            dispatch.send(missing, record, sent)
        except ConflictError:
            if not is_new:
                raise
            dispatch.send(missing, record, work.read_sent())
        return Progress.SENT

    @property
    def _finisher(self) -> Finisher:
        return Finisher(self.receipts, self.queue, self.classifier.answers.labels)

    def _workspace(self, source: ObjectRef, table_id: str) -> Workspace:
        place = ObjectRef(self.receipts.bucket(source), f"{self.settings.work_prefix}{table_id}/")
        return Workspace(self.store, place, source, table_id)


def _split(
    source: Source,
    provenance: Provenance,
    line_format: LineFormat | None,
    work: Workspace,
    options: ReadOptions,
) -> Plan:
    """Read a table once, and return its plan. Segments of a compressed table are stored decompressed."""
    inputs: list[str] = []

    def store_segment(index: int, data: bytes) -> None:
        inputs.append(work.write_input(index, data))

    if line_format is None:
        with work.store.open(source) as file, faults_as_source_errors():
            parquet = split_parquet(file, options, store_segment)
        return Plan(work.table_id, provenance, parquet, None, tuple(inputs))
    with work.store.stream(source.ref, source.revision) as stream:
        options = _with_steps(options, stream, source.size)
        content = Content(stream, options)
        with faults_as_source_errors():
            segmented = split(content, line_format, options, store_segment if content.compression else None)
    return Plan(work.table_id, provenance, segmented, content.compression, tuple(inputs))


def _with_steps(options: ReadOptions, stream: BufferedReader, size: int) -> ReadOptions:
    """Return options that tell how much of a stream has been read, whenever the time is checked."""

    def check_time() -> None:
        options.check_time()
        options.on_step(Step("Splitting (kB)", stream.tell() / 1000, size / 1000))

    return replace(options, check_time=check_time)
