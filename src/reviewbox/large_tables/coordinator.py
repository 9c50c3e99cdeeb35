"""Classifies a large table in segments: split once, classified by many workers, recorded in one receipt.

Workers share nothing but objects in S3 (see `keys`). Every object depends on the plan alone, and every write
is conditional. So a step may run twice, on two workers at once, or again after a crash. Whoever finds the
last segment done writes the receipt.
"""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, partial

from reviewbox.classification import RenderedTable, classify_table, faults_as_source_errors
from reviewbox.deadline import Deadline
from reviewbox.documents.document import ReadOptions
from reviewbox.documents.formats.parquet.segments import split_parquet
from reviewbox.documents.segments import LineFormat, SegmentedTable, open_content, split
from reviewbox.errors import ConflictError
from reviewbox.events import segment_message
from reviewbox.large_tables.keys import WorkKeys
from reviewbox.large_tables.plan import Plan, SegmentResult, plan_id
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef, Source
from reviewbox.queue import Queue
from reviewbox.results.keys import part_key
from reviewbox.results.receipt import Counts, Part, Provenance, Receipt
from reviewbox.results.receipt_store import ReceiptStore, outdated_tables
from reviewbox.retry import retry_on_conflict
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore

# The content of `sent`. Messages are dropped while a plan is stale, and the plan may become current again.
_ALL_SENT, _NOT_ALL_SENT = b"all", b"not all"

_PARALLEL_READS = 10
_MAX_PLAN_BYTES = 256 * 1024 * 1024
_MAX_RESULT_BYTES = 1024 * 1024
_JSON = "application/json"


class Progress(StrEnum):
    """How far the work on a large table has come."""

    SENT = "sent"  # every segment is in the queue
    PARTIAL = "partial"  # a segment is done; others are not
    COMPLETE = "complete"  # the receipt is written
    STALE = "stale"  # the plan is missing, or is for another revision, model or settings


@dataclass(frozen=True, slots=True)
class _FinishedParts:
    """The parts of a table that are done and unchanged."""

    parts: Mapping[int, Part]  # by segment number
    counts: Counts  # the sum of their counts
    present: Mapping[ObjectRef, str]  # the ETags of all objects of the source's tables, also outdated ones


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
        self, source: Source, line_format: LineFormat | None, deadline: Deadline, *, resend: bool
    ) -> Progress:
        """Split a table, unless that is done, and send its segments to the queue.

        `line_format` is the table's format, or None if it is a Parquet file.
        `resend` is whether to send segments again that were sent before and are not done.

        Raises:
            SourceError: the table cannot be read.
            ConflictError: the table has changed.
            OutOfTimeError: too little time is left; finished segments stay finished.
        """
        provenance = self.receipts.provenance(source.ref, source.revision)
        keys = self._keys(source.ref, plan_id(provenance))
        plan = self._read_plan(keys)
        if plan is None or not self._has_inputs(plan, keys):
            plan = self._split(source, line_format, provenance, deadline)
            self._write_once(keys.plan, plan.encode(), _JSON)
            resend = True
        if self.queue is None:
            return self._classify_all(plan, deadline)
        sent = self.store.read(keys.sent, _MAX_RESULT_BYTES)
        if resend or sent is None or sent.body != _ALL_SENT:
            finished = self._finished_parts(plan, keys, self._result_etags(keys))
            unfinished = [segment for segment in plan.segments if segment.index not in finished.parts]
            self.queue.send(map(segment_message, unfinished))
            self._write_sent(keys, sent, _ALL_SENT)
            # If nothing is unfinished, a worker died before it wrote the receipt.
            if not unfinished and self._finish(plan, keys) is Progress.COMPLETE:
                return Progress.COMPLETE
        return Progress.SENT

    def mark_incomplete(self, ref: SegmentRef) -> None:
        """Record that the message of a stale segment was dropped, in case its plan becomes current again."""
        keys = self._keys(ref.source, ref.plan)
        if sent := self.store.read(keys.sent, _MAX_RESULT_BYTES):
            self._write_sent(keys, sent, _NOT_ALL_SENT)

    def classify(self, ref: SegmentRef, deadline: Deadline) -> Progress:
        """Classify a segment, unless that is done, and write the receipt if all segments are done.

        Raises:
            OutOfTimeError: too little time is left.
            ContentionError: other workers kept changing the segment's part.
        """
        keys = self._keys(ref.source, ref.plan)
        plan = self._read_plan(keys)
        if plan is None or not 0 <= ref.index < len(plan):
            return Progress.STALE

        @cache  # a second attempt must not classify again
        def classify() -> RenderedTable | None:
            data = self._read_segment(plan, keys, ref.index)
            if data is None:
                return None
            check_time = partial(deadline.check, ref.source)
            options = replace(self.settings.read_options, check_time=check_time)
            document = plan.document(ref.index, data, options)
            return classify_table(document, self.classifier, self.settings, check_time)

        return retry_on_conflict(lambda: self._attempt(plan, keys, ref.index, classify), ref)

    def _attempt(
        self, plan: Plan, keys: WorkKeys, index: int, classify: Callable[[], RenderedTable | None]
    ) -> Progress:
        part = self._part_ref(plan, index)
        # Read the results before the source: any later change of the results makes the write fail.
        present = self.store.revision(part)
        stored = self.store.read(keys.result(index), _MAX_RESULT_BYTES)
        if present and stored and SegmentResult.decode(stored.body or b"").etag == present.etag:
            return self._finish(plan, keys)
        if not self._is_current(plan):
            return Progress.STALE
        classified = classify()
        if classified is None:
            return Progress.STALE
        etag = self.store.write(
            part, classified.body, plan.output.content_type, replaces=present.etag if present else None
        )
        if not self._is_current(plan):
            # A newer table may have fewer parts, and then no other worker would remove this one.
            self.store.remove(part, etag)
            return Progress.STALE
        result = SegmentResult(etag, classified.counts)
        self.store.write(
            keys.result(index), result.encode(), _JSON, replaces=stored.revision.etag if stored else None
        )
        return self._finish(plan, keys)

    def _classify_all(self, plan: Plan, deadline: Deadline) -> Progress:
        progress = Progress.STALE
        for segment in plan.segments:
            progress = self.classify(segment, deadline)
            if progress is Progress.STALE:
                raise ConflictError(plan.source)
        return progress

    def _split(
        self, source: Source, line_format: LineFormat | None, provenance: Provenance, deadline: Deadline
    ) -> Plan:
        """Read the whole table once. Segments of a compressed table are stored decompressed."""
        keys = self._keys(source.ref, plan_id(provenance))
        options = replace(self.settings.read_options, check_time=partial(deadline.check, source.ref))
        if line_format is None:
            return self._split_parquet(source, provenance, keys, options)
        with self.store.stream(source.ref, source.revision) as stored:
            content = open_content(stored, options)

            def on_segment(index: int, data: bytes) -> None:
                if content.compression:
                    self._write_once(keys.input(index), data, "application/octet-stream")

            with faults_as_source_errors():
                segmented = split(content, line_format, options, on_segment)
        return Plan(provenance, segmented, content.compression)

    def _split_parquet(
        self, source: Source, provenance: Provenance, keys: WorkKeys, options: ReadOptions
    ) -> Plan:
        def on_segment(index: int, data: bytes) -> None:
            self._write_once(keys.input(index), data, "application/octet-stream")

        with self.store.open(source) as file, faults_as_source_errors():
            return Plan(provenance, split_parquet(file, options, on_segment), None)

    def _read_segment(self, plan: Plan, keys: WorkKeys, index: int) -> bytes | None:
        """Return the bytes of a segment, or None if its input has expired."""
        if isinstance(plan.segmented, SegmentedTable) and not plan.has_inputs:
            segment = plan.segmented.segments[index]
            with self.store.stream(plan.source, plan.revision, segment.start, segment.end) as stream:
                return stream.read()
        stored = self.store.read(keys.input(index), sys.maxsize)
        return stored.body if stored else None

    def _has_inputs(self, plan: Plan, keys: WorkKeys) -> bool:
        """Return whether all inputs exist. They are older than the plan, so they expire first."""
        if not plan.has_inputs:
            return True
        return len(self.store.etags(keys.inputs.bucket, keys.inputs.key)) == len(plan)

    def _finish(self, plan: Plan, keys: WorkKeys) -> Progress:
        """Write the receipt if all segments are done and the receipt is not written yet."""
        return retry_on_conflict(lambda: self._attempt_finish(plan, keys), plan.source)

    def _attempt_finish(self, plan: Plan, keys: WorkKeys) -> Progress:
        # The listing comes first because it usually shows that segments are missing.
        results = self._result_etags(keys)
        if len(results) < len(plan):
            return Progress.PARTIAL
        # Read the results before the source, as for a segment.
        stored = self.receipts.read(plan.source)
        finished = self._finished_parts(plan, keys, results)
        if not self._is_current(plan):
            return Progress.STALE
        if len(finished.parts) < len(plan):
            # Parts were changed or removed after their segments had been recorded as done.
            if self.queue:
                lost = (segment for segment in plan.segments if segment.index not in finished.parts)
                self.queue.send(map(segment_message, lost))
            return Progress.PARTIAL
        parts = [finished.parts[index] for index in range(len(plan))]
        if stored and stored.receipt.is_current(plan.provenance) and stored.receipt.parts == parts:
            return Progress.COMPLETE
        receipt = Receipt.for_table(finished.counts, parts, plan.provenance, plan.notes)
        self.receipts.remove(outdated_tables(parts, finished.present))
        self.receipts.write(plan.source, receipt, stored)
        return Progress.COMPLETE

    def _finished_parts(self, plan: Plan, keys: WorkKeys, results: Mapping[str, str]) -> _FinishedParts:
        present = self.receipts.list_tables(plan.source)
        indexes = [index for index in range(len(plan)) if keys.result(index).key in results]
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            stored = list(pool.map(lambda index: self._read_result(keys, index), indexes))
        parts: dict[int, Part] = {}
        counts = Counts()
        for index, result in zip(indexes, stored, strict=True):
            part = self._part_ref(plan, index)
            if result and present.get(part) == result.etag:
                parts[index] = Part(part.bucket, part.key, result.etag)
                counts += result.counts
        return _FinishedParts(parts, counts, present)

    def _read_result(self, keys: WorkKeys, index: int) -> SegmentResult | None:
        stored = self.store.read(keys.result(index), _MAX_RESULT_BYTES)
        return SegmentResult.decode(stored.body or b"") if stored else None

    def _result_etags(self, keys: WorkKeys) -> Mapping[str, str]:
        return self.store.etags(keys.results.bucket, keys.results.key)

    def _is_current(self, plan: Plan) -> bool:
        revision = self.store.revision(plan.source)
        return self.receipts.provenance(plan.source, revision) == plan.provenance

    def _read_plan(self, keys: WorkKeys) -> Plan | None:
        stored = self.store.read(keys.plan, _MAX_PLAN_BYTES)
        return Plan.decode(stored.body or b"") if stored else None

    def _write_once(self, ref: ObjectRef, body: bytes, content_type: str) -> None:
        """Write an object whose content is the same whoever writes it."""

        def attempt() -> None:
            try:
                self.store.write(ref, body, content_type, replaces=None)
            except ConflictError:
                # Another worker has written the object, or is still writing it.
                if self.store.revision(ref) is None:
                    raise

        retry_on_conflict(attempt, ref)

    def _write_sent(self, keys: WorkKeys, stored: Source | None, content: bytes) -> None:
        """Record whether all messages of a plan are in the queue, unless another worker has just done so."""
        if stored is None or stored.body != content:
            with suppress(ConflictError):
                etag = stored.revision.etag if stored else None
                self.store.write(keys.sent, content, "text/plain", replaces=etag)

    def _part_ref(self, plan: Plan, index: int) -> ObjectRef:
        prefix, extension = self.settings.results_prefix, plan.output.extension
        key = part_key(prefix, plan.source.key, index, extension)
        return ObjectRef(self.receipts.bucket(plan.source), key)

    def _keys(self, source: ObjectRef, plan: str) -> WorkKeys:
        return WorkKeys(self.receipts.bucket(source), f"{self.settings.work_prefix}{plan}/")
