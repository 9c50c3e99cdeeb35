"""A table larger than a segment: cut once, classified by many workers, told of as one.

All that workers know of each other lies in S3, under a prefix for each plan: for one state of the
table, one model and the same settings.

    work/<plan>/plan.json          how the table is cut
    work/<plan>/input/00000        the bytes of a segment, if the table is compressed
    work/<plan>/sent               whether every segment that is not done is in the queue
    work/<plan>/done/00000.json    what became of a segment: its part's ETag, its counts

Whatever is written depends on the plan alone, so a step may be done twice, by two at once, or again
after a crash. The receipt is written by whoever finds the last segment done.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from reviewbox.classification import ClassifiedTable, classify_table, time_check
from reviewbox.documents.compression import COMPRESSIONS, Compression
from reviewbox.documents.detection import with_compression
from reviewbox.documents.document import Document, Table, Value
from reviewbox.documents.segments import LineFormat, SegmentedTable, open_content, split
from reviewbox.errors import ConflictError, ContentionError
from reviewbox.events import segment_message
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, ObjectStore, Revision, SegmentRef, Source
from reviewbox.results import keys
from reviewbox.results.receipt import Counts, Part, Provenance, table_receipt
from reviewbox.results.receipt_store import Receipts, older_parts
from reviewbox.results.table_writer import sum_of
from reviewbox.settings import Settings

logger = logging.getLogger(__name__)

# Raised when plans change their shape, or a reader cuts tables in other places, so that they are cut anew.
_FORMAT = 2

# What `sent` says: of a plan that was stale for a while, messages were thrown away.
_ALL, _NOT_ALL = b"all", b"not all"

_MOST_ATTEMPTS = 8
_READS_AT_ONCE = 10
_LARGEST_PLAN = 256 * 1024 * 1024  # bytes
_LARGEST_DONE = 1024 * 1024
_JSON = "application/json"


class Progress(StrEnum):
    """How a step of the work on a large table ended."""

    SENT = "sent"  # every segment is in the queue
    PARTIAL = "partial"  # a segment is done; others are not
    COMPLETE = "complete"  # the receipt is written
    STALE = "stale"  # there is no such plan, or one for another state, model or settings


@dataclass(frozen=True, slots=True)
class Plan:
    """How a table is classified in segments.

    Attributes:
        provenance: what its result is made from.
        segmented: how it is cut.
        compression: how it is compressed; None if it is not.
    """

    provenance: Provenance
    segmented: SegmentedTable
    compression: Compression | None

    @property
    def source(self) -> ObjectRef:
        """The table."""
        return self.provenance.source

    @property
    def revision(self) -> Revision:
        """Its state."""
        if self.provenance.revision is None:
            raise ValueError("a plan is for a known state")
        return self.provenance.revision

    @property
    def table(self) -> Table:
        """How rows are written back."""
        table = self.segmented.schema.table
        return with_compression(table, self.compression) if self.compression else table

    @property
    def notes(self) -> Mapping[str, Value]:
        """What was found out while reading, for the receipt."""
        note = {"compression": self.compression.name} if self.compression else {}
        return {**note, **self.segmented.notes}

    def document(self, index: int, data: bytes, settings: Settings) -> Document:
        """Return a segment, whose bytes are `data`, as a document by itself."""
        return Document(self.segmented.rows(index, data, settings.read_options), dict, self.table)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read one as it lies in S3."""
        fields = json.loads(body.decode("utf-8", "surrogatepass"))
        return cls(
            Provenance.restore(fields["made_from"]),
            SegmentedTable.from_dict(fields["segmented"]),
            next((c for c in COMPRESSIONS if c.name == fields["compression"]), None),
        )

    def encode(self) -> bytes:
        """Return it as it lies in S3."""
        return _encoded(
            {
                "made_from": self.provenance.fields(),
                "segmented": self.segmented.to_dict(),
                "compression": self.compression.name if self.compression else None,
            }
        )


@dataclass(frozen=True, slots=True)
class LargeTables:
    """Classifies tables in segments."""

    storage: ObjectStore
    classifier: Classifier
    settings: Settings
    receipts: Receipts

    def begin(
        self,
        source: Source,
        reader: LineFormat,
        remaining_seconds: Callable[[], float],
        *,
        resend: bool,
    ) -> Progress:
        """Cut a table, unless that is done, and have its segments classified.

        That is by way of the queue; where there is none, here, one after the other.

        Args:
            source: its state.
            reader: of its format.
            remaining_seconds: how much time is left.
            resend: whether to send segments again that were sent and are not done.

        Raises:
            SourceError: it is no table that can be read.
            ConflictError: it has changed meanwhile.
            OutOfTimeError: there is more to do than time; what is done stays done.
        """
        provenance = self.receipts.provenance(source.ref, source.revision)
        name = _name(provenance)
        plan = self._read_plan(source.ref, name)
        if plan is None or not self._has_inputs(plan, name):
            plan = self._cut(source, reader, provenance, time_check(source.ref, remaining_seconds))
            self._put(self._work(source.ref, name, "plan.json"), plan.encode(), _JSON)
            resend = True
        segments = [SegmentRef(source.ref, name, index) for index in range(len(plan.segmented.segments))]
        if not self.settings.queue_url:
            for segment in segments:
                progress = self.classify(segment, remaining_seconds)
                if progress is Progress.STALE:
                    raise ConflictError(source.ref)
            return progress
        sent = self.storage.read(self._sent_ref(source.ref, name), _LARGEST_DONE)
        if resend or sent is None or sent.body != _ALL:
            found = self._found(plan, name, self._done(plan, name))
            waiting = [segment for segment in segments if segment.index not in found.parts]
            self.storage.send(self.settings.queue_url, map(segment_message, waiting))
            self._note(source.ref, name, sent, _ALL)
            if not waiting and self._finish(plan, name) is Progress.COMPLETE:  # someone died before that
                return Progress.COMPLETE
        return Progress.SENT

    def discard(self, ref: SegmentRef) -> None:
        """Note that a stale segment's message is not kept: its plan may hold again, and then lack it."""
        sent = self.storage.read(self._sent_ref(ref.source, ref.plan), _LARGEST_DONE)
        if sent:
            self._note(ref.source, ref.plan, sent, _NOT_ALL)

    def classify(self, ref: SegmentRef, remaining_seconds: Callable[[], float]) -> Progress:
        """Classify a segment, unless that is done; tell of the table if all are done.

        Raises:
            OutOfTimeError: there is more to do than time.
            ContentionError: others kept changing its part.
        """
        plan = self._read_plan(ref.source, ref.plan)
        if plan is None or not 0 <= ref.index < len(plan.segmented.segments):
            return Progress.STALE
        part = self._part_ref(plan, ref.index)
        table: ClassifiedTable | None = None
        for _ in range(_MOST_ATTEMPTS):
            # Results before the source: whatever happens to them from here on fails our own write.
            present = self.storage.revision(part)
            done = self.storage.read(self._done_ref(ref), _LARGEST_DONE)
            if present and done and json.loads(done.body or b"{}")["etag"] == present.etag:
                return self._finish(plan, ref.plan)
            if not self._is_current(plan):
                return Progress.STALE
            try:
                if table is None:
                    data = self._read_segment(plan, ref)
                    if data is None:
                        return Progress.STALE
                    check = time_check(ref.source, remaining_seconds)
                    document = plan.document(ref.index, data, self.settings)
                    table = classify_table(document, self.classifier, self.settings, check)
                etag = self.storage.write(
                    part, table.body, plan.table.content_type, replaces=present.etag if present else None
                )
                if not self._is_current(plan):
                    # A newer table may have fewer parts, and then nobody else would know of this one.
                    self.storage.remove(part, etag)
                    return Progress.STALE
                body = _encoded({"etag": etag, "counts": table.counts})
                self.storage.write(
                    self._done_ref(ref), body, _JSON, replaces=done.revision.etag if done else None
                )
            except ConflictError as error:
                logger.info("object.contended", extra={"bucket": error.ref.bucket, "key": error.ref.key})
            else:
                return self._finish(plan, ref.plan)
        raise ContentionError(f"the part of {ref} was changed {_MOST_ATTEMPTS} times while it was made")

    def _cut(
        self, source: Source, reader: LineFormat, provenance: Provenance, check_time: Callable[[], None]
    ) -> Plan:
        """Look at the whole table. What has to be decompressed is written down in segments."""
        with self.storage.stream(source.ref, source.revision) as stored:
            options = self.settings.read_options
            content = open_content(stored, options)
            name = _name(provenance)

            def keep(index: int, data: bytes) -> None:
                check_time()
                if content.compression:
                    self._put(self._input_ref(source.ref, name, index), data, "application/octet-stream")

            return Plan(provenance, split(content, reader, options, keep), content.compression)

    def _read_segment(self, plan: Plan, ref: SegmentRef) -> bytes | None:
        """Return a segment's bytes; None if they were written down and are gone."""
        if plan.compression is None:
            segment = plan.segmented.segments[ref.index]
            with self.storage.stream(plan.source, plan.revision, segment.start, segment.end) as stream:
                return stream.read()
        found = self.storage.read(self._input_ref(ref.source, ref.plan, ref.index), sys.maxsize)
        return found.body if found else None

    def _has_inputs(self, plan: Plan, name: str) -> bool:
        """Return whether what was written down is there: being older than the plan, it is gone earlier."""
        folder = self._work(plan.source, name, "input/")
        return plan.compression is None or (
            len(self.storage.etags(folder.bucket, folder.key)) == len(plan.segmented.segments)
        )

    def _finish(self, plan: Plan, name: str) -> Progress:
        """Write the receipt, if all segments are done and it is not there yet."""
        total = len(plan.segmented.segments)
        for _ in range(_MOST_ATTEMPTS):
            # Asked first, as it mostly tells that there is more to come.
            done = self._done(plan, name)
            if len(done) < total:
                return Progress.PARTIAL
            # Results before the source, as for a segment.
            receipt = self.receipts.read(plan.source)
            found = self._found(plan, name, done)
            if not self._is_current(plan):
                return Progress.STALE
            if len(found.parts) < total:
                # Someone has changed them, or removed them, since they were written.
                lost = [SegmentRef(plan.source, name, n) for n in range(total) if n not in found.parts]
                if self.settings.queue_url:
                    self.storage.send(self.settings.queue_url, map(segment_message, lost))
                return Progress.PARTIAL
            parts = [found.parts[index] for index in range(total)]
            if receipt and receipt.is_current(plan.provenance) and receipt.parts == parts:
                return Progress.COMPLETE
            body = table_receipt(sum_of(found.counts), parts, plan.provenance, plan.notes)
            try:
                self.receipts.remove(older_parts(receipt, parts, found.present))
                self.receipts.write(plan.source, body, receipt)
            except ConflictError as error:
                logger.info("object.contended", extra={"bucket": error.ref.bucket, "key": error.ref.key})
            else:
                return Progress.COMPLETE
        raise ContentionError(f"the result of {plan.source} was changed {_MOST_ATTEMPTS} times")

    def _done(self, plan: Plan, name: str) -> Mapping[str, str]:
        folder = self._work(plan.source, name, "done/")
        return self.storage.etags(folder.bucket, folder.key)

    def _found(self, plan: Plan, name: str, done: Mapping[str, str]) -> "_Found":
        """Return what is done, and still there as it was written."""
        listed = self.receipts.listed_parts(plan.source, plan.table.extension)
        every = (SegmentRef(plan.source, name, index) for index in range(len(plan.segmented.segments)))
        segments = [ref for ref in every if self._done_ref(ref).key in done]
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            told = list(pool.map(self._told, segments))
        found = _Found({}, [], listed)
        for ref, content in zip(segments, told, strict=True):
            part = self._part_ref(plan, ref.index)
            if content and listed.get(part) == content["etag"]:
                found.parts[ref.index] = Part(part.bucket, part.key, content["etag"])
                found.counts.append(content["counts"])
        return found

    def _told(self, ref: SegmentRef) -> Any:
        found = self.storage.read(self._done_ref(ref), _LARGEST_DONE)
        return json.loads(found.body or b"{}") if found else None

    def _is_current(self, plan: Plan) -> bool:
        now = self.receipts.provenance(plan.source, self.storage.revision(plan.source))
        return now == plan.provenance

    def _read_plan(self, source: ObjectRef, name: str) -> Plan | None:
        found = self.storage.read(self._work(source, name, "plan.json"), _LARGEST_PLAN)
        return Plan.decode(found.body or b"") if found else None

    def _put(self, ref: ObjectRef, body: bytes, content_type: str) -> None:
        """Write what is the same whoever writes it."""
        for _ in range(_MOST_ATTEMPTS):
            with suppress(ConflictError):
                self.storage.write(ref, body, content_type, replaces=None)
                return
            # Another is writing it, or has; only what is there will stay.
            if self.storage.revision(ref):
                return
        raise ContentionError(f"{ref} was neither there nor could it be written, {_MOST_ATTEMPTS} times")

    def _note(self, source: ObjectRef, name: str, sent: Source | None, text: bytes) -> None:
        """Say whether all messages of a plan are in the queue, if nobody has said anything since `sent`."""
        if sent is None or sent.body != text:
            with suppress(ConflictError):
                self.storage.write(
                    self._sent_ref(source, name),
                    text,
                    "text/plain",
                    replaces=sent.revision.etag if sent else None,
                )

    def _sent_ref(self, source: ObjectRef, name: str) -> ObjectRef:
        return self._work(source, name, "sent")

    def _part_ref(self, plan: Plan, index: int) -> ObjectRef:
        prefix, extension = self.settings.results_prefix, plan.table.extension
        key = keys.part_key(prefix, plan.source.key, index, extension)
        return ObjectRef(self.receipts.bucket(plan.source), key)

    def _done_ref(self, ref: SegmentRef) -> ObjectRef:
        return self._work(ref.source, ref.plan, f"done/{ref.index:05}.json")

    def _input_ref(self, source: ObjectRef, name: str, index: int) -> ObjectRef:
        return self._work(source, name, f"input/{index:05}")

    def _work(self, source: ObjectRef, name: str, what: str) -> ObjectRef:
        return ObjectRef(self.receipts.bucket(source), f"{self.settings.work_prefix}{name}/{what}")


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is of a classified table.

    Attributes:
        parts: those that are done, by their numbers.
        counts: of each of them.
        present: the ETags of all objects in the folder of parts, older ones among them.
    """

    parts: dict[int, Part]
    counts: list[Counts]
    present: Mapping[ObjectRef, str]


def _name(provenance: Provenance) -> str:
    made_from = {**provenance.fields(), "plan_format": _FORMAT}
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
