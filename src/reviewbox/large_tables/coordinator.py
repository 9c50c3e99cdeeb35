"""Classifies a large table in segments: split once, classified by many workers, recorded in one receipt.

Workers share nothing but objects in S3 (see `keys`). Every object depends on the plan alone, and is written
once. So a step may run twice, on two workers at once, or again after a crash. Whoever finds the last segment
done writes the receipt.
"""

import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from reviewbox.classification import classify_table, faults_as_source_errors
from reviewbox.deadline import Deadline
from reviewbox.documents.formats.parquet.segments import split_parquet
from reviewbox.documents.segments import LineFormat, SegmentedTable, open_content, split
from reviewbox.errors import ConflictError
from reviewbox.events import segment_message
from reviewbox.large_tables.keys import WorkKeys
from reviewbox.large_tables.plan import Plan, Sent, decode_counts, encode_counts
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, Revision, SegmentRef, Source
from reviewbox.queue import Queue
from reviewbox.results.receipt import Counts, Part, Receipt
from reviewbox.results.receipt_store import ReceiptStore, StoredReceipt
from reviewbox.retry import retry_on_conflict
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, write_once

_PARALLEL_READS = 10
_MAX_PLAN_BYTES = 64 * 1024 * 1024
_MAX_SENT_BYTES = _MAX_COUNTS_BYTES = 1024 * 1024
_JSON = "application/json"
_EVENT = "event"  # the sender that is not a segment


class Progress(StrEnum):
    """How far the work on a large table has come."""

    SENT = "sent"  # every segment is in the queue
    PARTIAL = "partial"  # a segment is done; others are not
    COMPLETE = "complete"  # the receipt is written
    STALE = "stale"  # the plan is missing, is for another revision, model or settings, or cannot be completed


@dataclass(frozen=True, slots=True)
class _Parts:
    """Which parts of a table are done."""

    done: Mapping[int, Part]  # by index: those that exist and whose counts are recorded
    lost: frozenset[int]  # those whose counts are recorded and that do not exist as they were written


@dataclass(frozen=True, slots=True)
class SegmentCoordinator:
    """Splits large tables, classifies their segments and writes their receipts.

    Without a queue, segments are classified one after the other.
    """

    store: ObjectStore
    classifier: Classifier
    settings: Settings
    receipts: ReceiptStore
    queue: Queue | None

    def start(
        self,
        source: Source,
        stored: StoredReceipt | None,
        line_format: LineFormat | None,
        deadline: Deadline,
        stale: SegmentRef | None = None,
    ) -> Progress:
        """Split a table, unless that is done, and send its segments to the queue.

        Args:
            source: the table.
            stored: its receipt, as it was read before the table.
            line_format: the table's format, or None if it is a Parquet file.
            deadline: when to stop.
            stale: the segment of another plan that led to the table. Such segments come in large numbers,
                and only the first of them sends anything. An event sends all segments that are not done.

        Raises:
            SourceError: the table cannot be read.
            ConflictError: the table has changed.
            OutOfTimeError: too little time is left; finished segments stay finished.
        """
        provenance = self.receipts.provenance(source.ref, source.revision)
        keys = self._keys(source.ref, self.receipts.table_id(provenance, stored))
        plan = self._read_plan(source.ref, keys)
        is_new = plan is None or not self._has_inputs(plan, keys)
        if plan is None or is_new:
            plan = self._split(source, stored, line_format, deadline)
            write_once(self.store, keys.plan, plan.encode(), _JSON)
        if self.queue is None:
            return self._classify_all(plan, deadline)
        sender = str(stale) if stale else _EVENT
        # Usually, nothing of a new plan has been sent.
        sent = None if is_new else self.store.read(keys.sent, _MAX_SENT_BYTES)
        record = Sent.decode(sent.body) if sent else None
        if stale and record and not record.is_interrupted(sender):
            return Progress.SENT
        parts = self._parts(plan, keys, self._results(plan, keys))
        missing = [index for index in range(len(plan)) if index not in parts.done]
        if not missing:  # a worker died before it wrote the receipt
            finished = self._finish(plan, keys, sender)
            if finished is Progress.STALE:
                raise ConflictError(source.ref)
            return finished if finished is Progress.COMPLETE else Progress.SENT
        try:
            self._send(plan, keys, missing, Sent(sender, parts.lost), sent)
        except ConflictError:
            if not is_new:
                raise
            sent = self.store.read(keys.sent, _MAX_SENT_BYTES)
            self._send(plan, keys, missing, Sent(sender, parts.lost), sent)
        return Progress.SENT

    def mark_incomplete(self, ref: SegmentRef) -> None:
        """Record that the message of a stale segment was dropped, in case its plan becomes current again."""
        keys = self._keys(ref.source, ref.plan)
        sent = self.store.read(keys.sent, _MAX_SENT_BYTES)
        if sent and sent.body:
            with suppress(ConflictError):
                self.store.write(keys.sent, b"", _JSON, replaces=sent.revision.etag)

    def classify(self, ref: SegmentRef, deadline: Deadline) -> Progress:
        """Classify a segment, unless that is done, and write the receipt if all segments are done.

        Raises:
            OutOfTimeError: too little time is left.
            ContentionError: other workers kept changing the segment's part.
        """
        keys = self._keys(ref.source, ref.plan)
        plan = self._read_plan(ref.source, keys)
        if plan is None or not 0 <= ref.index < len(plan):
            return Progress.STALE
        is_done = self._is_done(plan, keys, ref.index) or self._classify(plan, keys, ref.index, deadline)
        progress = self._finish(plan, keys, str(ref))
        # A table that has just become stale may still be complete, and then its receipt is written.
        return progress if is_done or progress is Progress.COMPLETE else Progress.STALE

    def _is_done(self, plan: Plan, keys: WorkKeys, index: int) -> bool:
        """Return whether a segment's part exists and its counts are recorded."""
        revision = self.store.revision(self._part_ref(plan, index))
        return revision is not None and self._read_counts(keys.result(index, revision.etag)) is not None

    def _classify(self, plan: Plan, keys: WorkKeys, index: int, deadline: Deadline) -> bool:
        """Write the part and the counts of a segment; return False if the plan is stale."""
        if not self._is_current(plan):
            return False
        data = self._read_segment(plan, keys, index)
        if data is None:
            return False
        check_time = partial(deadline.check, plan.source)
        document = plan.document(index, data, replace(self.settings.read_options, check_time=check_time))
        classified = classify_table(document, self.classifier, self.settings, check_time)
        part = self._part_ref(plan, index)

        def write() -> str:
            return write_once(self.store, part, classified.body, plan.output.content_type)

        result = keys.result(index, retry_on_conflict(write, part))
        # If a newer result has been recorded since, this part has to be removed. Whoever finds a segment
        # stale sees to that.
        if not self._is_current(plan):
            return False
        retry_on_conflict(
            lambda: write_once(self.store, result, encode_counts(classified.counts), _JSON), result
        )
        return True

    def _classify_all(self, plan: Plan, deadline: Deadline) -> Progress:
        progress = Progress.STALE
        for segment in plan.segments:
            progress = self.classify(segment, deadline)
        if progress is not Progress.COMPLETE:
            raise ConflictError(plan.source)
        return progress

    def _split(
        self, source: Source, stored: StoredReceipt | None, line_format: LineFormat | None, deadline: Deadline
    ) -> Plan:
        """Read the whole table once. Segments of a compressed table are stored decompressed."""
        provenance = self.receipts.provenance(source.ref, source.revision)
        table_id = self.receipts.table_id(provenance, stored)
        keys = self._keys(source.ref, table_id)
        options = replace(self.settings.read_options, check_time=partial(deadline.check, source.ref))

        inputs: list[str] = []

        def store_segment(index: int, data: bytes) -> None:
            inputs.append(write_once(self.store, keys.input(index), data, "application/octet-stream"))

        if line_format is None:
            with self.store.open(source) as file, faults_as_source_errors():
                parquet = split_parquet(file, options, store_segment)
            return Plan(table_id, provenance, parquet, None, tuple(inputs))
        with self.store.stream(source.ref, source.revision) as stream:
            content = open_content(stream, options)

            def on_segment(index: int, data: bytes) -> None:
                if content.compression:
                    store_segment(index, data)

            with faults_as_source_errors():
                segmented = split(content, line_format, options, on_segment)
        return Plan(table_id, provenance, segmented, content.compression, tuple(inputs))

    def _read_segment(self, plan: Plan, keys: WorkKeys, index: int) -> bytes | None:
        """Return the bytes of a segment, or None if they have expired or were changed."""
        if isinstance(plan.segmented, SegmentedTable) and not plan.inputs:
            segment = plan.segmented.segments[index]
            with (
                suppress(ConflictError),
                self.store.stream(plan.source, plan.revision, segment.start, segment.end) as stream,
            ):
                return stream.read()
            return None
        stored = self.store.read(keys.input(index), sys.maxsize)
        return stored.body if stored and stored.revision.etag == plan.inputs[index] else None

    def _has_inputs(self, plan: Plan, keys: WorkKeys) -> bool:
        """Return whether all inputs exist unchanged. They are older than the plan, so they expire first."""
        if not plan.inputs:
            return True
        etags = self.store.etags(keys.inputs.bucket, keys.inputs.key)
        return all(etags.get(keys.input(index).key) == etag for index, etag in enumerate(plan.inputs))

    def _finish(self, plan: Plan, keys: WorkKeys, sender: str) -> Progress:
        """Write the receipt if all segments are done and the receipt is not written yet."""
        return retry_on_conflict(lambda: self._attempt_finish(plan, keys, sender), plan.source)

    def _attempt_finish(self, plan: Plan, keys: WorkKeys, sender: str) -> Progress:
        # The listing comes first because it usually shows that segments are missing.
        results = self._results(plan, keys)
        if len(set(results.values())) < len(plan):
            return Progress.PARTIAL
        # Read the receipt before everything that it depends on: after any later change, the write fails.
        stored = self.receipts.read(plan.source)
        parts = self._parts(plan, keys, results)
        revision = self.store.revision(plan.source)
        # A table that was deleted after all of its segments were done may still get its result.
        if not self._is_for(plan, revision or plan.revision, stored):
            return Progress.STALE
        recorded = [parts.done[index] for index in sorted(parts.done)]
        receipt = stored.receipt if stored else None
        if not (receipt and receipt.is_current(plan.provenance) and receipt.parts == recorded):
            counts = {} if parts.lost else self._read_all_counts(keys, parts.done)
            if len(counts) < len(plan):
                if revision is None:  # nobody can classify the lost segments again
                    return Progress.STALE
                lost = frozenset(range(len(plan))) - (counts or parts.done).keys()
                self._send_lost(plan, keys, lost, sender)
                return Progress.PARTIAL
            receipt = Receipt.for_table(sum(counts.values(), Counts()), recorded, plan.provenance, plan.notes)
            self.receipts.commit(plan.source, receipt, stored, {})
        # This lists again, because the worker of a stale segment may have written a part before the receipt,
        # and leaves it to this one. If the answer to the write was lost, the next attempt comes here.
        self.receipts.remove_dead(plan.source, receipt)
        return Progress.COMPLETE

    def _send_lost(self, plan: Plan, keys: WorkKeys, lost: frozenset[int], sender: str) -> None:
        """Send segments again whose results were changed or removed after they had been recorded.

        Every worker that finds them lost calls this. They are sent by the one that records that first.
        """
        if self.queue is None:
            return
        sent = self.store.read(keys.sent, _MAX_SENT_BYTES)
        record = Sent.decode(sent.body) if sent else None
        known = record.lost if record else frozenset()
        is_interrupted = record is not None and record.is_interrupted(sender)
        unsent = lost if is_interrupted else lost - known
        if unsent:
            with suppress(ConflictError):
                self._send(plan, keys, sorted(unsent), Sent(sender, known | lost), sent)

    def _send(
        self, plan: Plan, keys: WorkKeys, indexes: Iterable[int], record: Sent, replaces: Source | None
    ) -> None:
        """Send segments to the queue, and record that.

        Raises:
            ConflictError: another worker has recorded that it sends segments. None was sent here.
        """
        if self.queue is None:
            raise ValueError("there is no queue")
        etag = replaces.revision.etag if replaces else None
        etag = self.store.write(keys.sent, record.encode(), _JSON, replaces=etag)
        self.queue.send(segment_message(SegmentRef(plan.source, plan.id, index)) for index in indexes)
        with suppress(ConflictError):
            self.store.write(keys.sent, replace(record, complete=True).encode(), _JSON, replaces=etag)

    def _parts(self, plan: Plan, keys: WorkKeys, results: Mapping[ObjectRef, int]) -> _Parts:
        present = self.receipts.list_tables(plan.source)
        done: dict[int, Part] = {}
        for index in set(results.values()):
            part = self._part_ref(plan, index)
            etag = present.get(part)
            if etag and keys.result(index, etag) in results:
                done[index] = Part(part.bucket, part.key, etag)
        return _Parts(done, frozenset(results.values()) - done.keys())

    def _results(self, plan: Plan, keys: WorkKeys) -> Mapping[ObjectRef, int]:
        """Return the recorded results of segments, each with the index of its segment."""
        listed = self.store.etags(keys.results.bucket, keys.results.key)
        indexes = {ObjectRef(keys.bucket, key): keys.index_of_result(key) for key in listed}
        return {ref: index for ref, index in indexes.items() if index is not None and index < len(plan)}

    def _read_all_counts(self, keys: WorkKeys, done: Mapping[int, Part]) -> dict[int, Counts]:
        """Return the counts of the segments that are done, except those that cannot be read."""
        refs = [keys.result(index, part.etag) for index, part in done.items()]
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            counts = list(pool.map(self._read_counts, refs))
        return {index: each for index, each in zip(done, counts, strict=True) if each is not None}

    def _read_counts(self, result: ObjectRef) -> Counts | None:
        stored = self.store.read(result, _MAX_COUNTS_BYTES)
        return decode_counts(stored.body) if stored else None

    def _is_current(self, plan: Plan) -> bool:
        """Return whether a plan is for the current revision, model and settings."""
        stored = self.receipts.read(plan.source)
        revision = self.store.revision(plan.source)
        return self._is_for(plan, revision, stored)

    def _is_for(self, plan: Plan, revision: Revision | None, stored: StoredReceipt | None) -> bool:
        """Return whether a plan is for a revision, this model and these settings, and replaces a receipt."""
        provenance = self.receipts.provenance(plan.source, revision)
        return provenance == plan.provenance and self.receipts.table_id(provenance, stored) == plan.id

    def _read_plan(self, source: ObjectRef, keys: WorkKeys) -> Plan | None:
        """Return a plan; None if it does not exist or is not what a worker wrote."""
        stored = self.store.read(keys.plan, _MAX_PLAN_BYTES)
        plan = Plan.decode(stored.body) if stored else None
        return plan if plan and self._keys(source, plan.id) == keys and plan.source == source else None

    def _part_ref(self, plan: Plan, index: int) -> ObjectRef:
        return self.receipts.part_ref(plan.source, plan.id, index, plan.output.extension)

    def _keys(self, source: ObjectRef, table_id: str) -> WorkKeys:
        return WorkKeys(self.receipts.bucket(source), f"{self.settings.work_prefix}{table_id}/")
