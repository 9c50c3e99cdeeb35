"""Objects: from what an event hints at to their results in S3.

An event may be late, doubled or out of order, and several workers may have the same one. So the
steps are always the same: read the receipt, look at the *current* source, stop if the receipt
records it already, else read it, classify and write, on condition that the receipt is still the one
that was read. Whoever loses a race starts over, and finds the winner's result or a newer source.

Single reviews of a batch are taken for new at first (ADR 10): they are read, classified and written on
condition that there is no receipt. Where there is one, the steps follow, and what was made is used.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Event

from reviewbox.classification import SPARE_SECONDS, classify_rows, classify_table, read_source, time_check
from reviewbox.documents.compression import detect_compression, exceeds
from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.document import Document
from reviewbox.documents.segments import LineFormat
from reviewbox.errors import (
    ArchivedError,
    ConflictError,
    ContentionError,
    ErrorCode,
    NotBegunError,
    OutOfTimeError,
    Problem,
    SourceError,
)
from reviewbox.large_tables.coordinator import LargeTables, Progress
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, ObjectStore, SegmentRef, Source
from reviewbox.results import keys
from reviewbox.results.receipt import Part, Receipt, error_receipt, table_receipt, verdict_receipt
from reviewbox.results.receipt_store import Receipts, older_parts
from reviewbox.settings import Settings
from reviewbox.storage import describe

logger = logging.getLogger(__name__)

_MOST_ATTEMPTS = 8
_SMALL = 20 * 1024  # bytes; OBJECTS_AT_ONCE of them are worked on at once
_FEW = 2  # objects whose states are asked for one by one


class Outcome(StrEnum):
    """How an object ended."""

    CLASSIFIED = "classified"
    REFUSED = "refused"  # what is wrong with it, which retrying cannot mend, is its receipt
    CURRENT = "current"  # the result was there already
    GONE = "gone"  # no such object any more; an old result stays
    IGNORED = "ignored"  # no source: a result, a folder's marker, or under another prefix
    SEGMENTED = "segmented"  # a large table: its segments are in the queue
    PARTIAL = "partial"  # a segment is classified; others of its table are not yet


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Brings results up to date with their sources."""

    storage: ObjectStore
    classifier: Classifier
    settings: Settings

    def process_all(
        self,
        refs: Iterable[ObjectRef | SegmentRef],
        remaining_seconds: Callable[[], float],
        *,
        in_turn: bool = False,
        again: bool = False,
    ) -> Iterator[tuple[ObjectRef | SegmentRef, Outcome | Exception]]:
        """Process objects and segments, several at once; yield each when it ends, and how, or why it failed.

        While some wait for S3, others are classified, and their windows share runs of the model. What is
        large is not begun where it is one of many, so that memory holds few of them and none is kept
        waiting: there is a queue for it. Without that queue, or if they are to be processed `in_turn`, one
        comes after the other, and is begun whatever its size. If they were delivered before (`again`), none
        is taken for new.
        """
        refs = list(dict.fromkeys(refs))
        turn = _Turn(remaining_seconds, alone=in_turn or len(refs) == 1 or not self.settings.queue_url)
        if again:
            turn.has_results.set()
        with ThreadPoolExecutor(1 if turn.alone else self.settings.objects_at_once) as pool:
            futures = {pool.submit(self._process, ref, turn): ref for ref in refs}
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except Exception as error:  # noqa: BLE001 - one object's failure must not become another's
                    yield futures[future], error

    def process(self, ref: ObjectRef | SegmentRef, remaining_seconds: Callable[[], float]) -> Outcome:
        """Bring the result of one object, or segment of one, up to date, within the time that is left.

        Raises:
            OutOfTimeError: there is more to do than time; no receipt was written.
            ContentionError: others kept changing the result.
        """
        return self._process(ref, _Turn(remaining_seconds))

    def _process(self, ref: ObjectRef | SegmentRef, turn: "_Turn") -> Outcome:
        source = ref.source if isinstance(ref, SegmentRef) else ref
        if not self._is_source(source):
            return Outcome.IGNORED
        if turn.remaining_seconds() < SPARE_SECONDS:
            raise NotBegunError(f"too little of the invocation's time was left to begin with {ref}")
        if isinstance(ref, SegmentRef):
            if not turn.alone:
                raise NotBegunError(f"{ref} is to have an invocation to itself")
            progress = self._large_tables.classify(ref, turn.remaining_seconds)
            if progress is not Progress.STALE:
                return _OUTCOMES[progress]
            self._large_tables.discard(ref)
            turn = replace(turn, resend=False)
        made = self._make_as_new(source, turn)
        if made:
            try:
                return self._finish(made, None)
            except ConflictError:
                turn.has_results.set()
        return self._bring_up_to_date(source, turn, made)

    def _bring_up_to_date(self, ref: ObjectRef, turn: "_Turn", made: "_Made | None") -> Outcome:
        """Try until no one else changes the result meanwhile."""
        contended: frozenset[ObjectRef] = frozenset()
        for _ in range(_MOST_ATTEMPTS):
            try:
                return self._attempt(ref, turn, contended, made)
            except ConflictError as error:
                contended |= {error.ref}
                logger.info("object.contended", extra={"bucket": ref.bucket, "key": ref.key})
        raise ContentionError(f"the result of {ref} was changed {_MOST_ATTEMPTS} times while it was made")

    def give_up(self, ref: ObjectRef, error: Exception) -> None:
        """Record that an object's present state has no result because of `error`.

        Another try may mend it, so the next delivery tries again. If not even the state can be
        found out, a result that is there stays: it may be the current one.
        """
        receipt = self.read_receipt(ref)
        revision = None
        try:
            revision = self.storage.revision(ref)
        except Exception:  # noqa: BLE001 - likely what made the tries fail; `error` is what is told
            if receipt and receipt.has_result:
                return
        else:
            if revision is None or (receipt and receipt.is_current(self._receipts.provenance(ref, revision))):
                return
        code = ErrorCode.OUT_OF_TIME if isinstance(error, OutOfTimeError) else ErrorCode.NOT_PROCESSED
        problem = Problem(code, f"{ref} was tried {self.settings.max_receives} times: {describe(error)}")
        body = error_receipt(problem, self._receipts.provenance(ref, revision), final=False)
        try:
            self._receipts.write(ref, body, receipt)
        except ConflictError:
            # Someone has just written one: a result, or the same error.
            logger.info("object.contended", extra={"bucket": ref.bucket, "key": ref.key})

    def read_receipt(self, ref: ObjectRef) -> Receipt | None:
        """Return the receipt of an object as it lies in S3, or None if it has none."""
        return self._receipts.read(ref)

    def _make_as_new(self, ref: ObjectRef, turn: "_Turn") -> "_Made | None":
        """Make the receipt of a single review as if it had none; None if it is no small one of a batch."""
        if turn.alone or turn.has_results.is_set():
            return None
        try:
            source = self.storage.read(ref, self._most_bytes(turn))
            if source and source.body and not detect_compression(source.body):
                return self._make_single(source, turn)
        except (ArchivedError, OutOfTimeError):
            pass  # there may be a result, and then nothing to do
        return None

    def _make_single(self, source: Source, turn: "_Turn") -> "_Made | None":
        """Make the receipt of a single review; None if it is a table."""
        try:
            document = read_source(source, self.settings)
            if document.table:
                return None
            body = self._classify(source, document, {}, turn.remaining_seconds)
        except SourceError as error:
            return self._refused(source, error)
        return _Made(source, Outcome.CLASSIFIED, body)

    def _attempt(
        self, ref: ObjectRef, turn: "_Turn", contended: frozenset[ObjectRef], made: "_Made | None"
    ) -> Outcome:
        """Try once.

        Args:
            ref: the object.
            turn: what the try may do.
            contended: objects that were not as the receipt had it when an earlier attempt wrote
                them. A worker that died before its receipt leaves such a table.
            made: what was made of a state of the object that may still be the present one.
        """
        # Results before the source: whatever happens to them from here on fails our own write.
        receipt = self._receipts.read(ref)
        recorded = {part.ref: part.etag for part in receipt.parts} if receipt else {}
        present = self._present(ref, contended | recorded.keys())
        if receipt:
            # The source's state alone tells whether there is anything to do; its body may be large.
            revision = self.storage.revision(ref)
            if revision is None:
                return Outcome.GONE
            provenance = self._receipts.provenance(ref, revision)
            if receipt.is_current(provenance) and recorded.items() <= present.items():
                return Outcome.CURRENT
            if made and made.source.revision == revision:
                return self._finish(made, receipt)
        source = self._read(ref, receipt, turn)
        return source if isinstance(source, Outcome) else self._make(source, receipt, present, turn)

    def _read(self, ref: ObjectRef, receipt: Receipt | None, turn: "_Turn") -> Source | Outcome:
        """Return an object as it is to be worked on, or how it ends if it is not."""
        try:
            source = self.storage.read(ref, self._most_bytes(turn))
        except ArchivedError as error:
            # Not final: once it is restored, an event says so, and its state is still the same.
            problem = Problem(ErrorCode.ARCHIVED, str(error))
            provenance = self._receipts.provenance(ref, self.storage.revision(ref))
            self._receipts.write(ref, error_receipt(problem, provenance, final=False), receipt)
            return Outcome.REFUSED
        if source is None:
            return Outcome.GONE
        if ref.key.endswith("/") and source.size == 0:
            return Outcome.IGNORED  # what consoles create to show an empty folder

        if not turn.alone and (source.body is None or detect_compression(source.body)):
            raise NotBegunError(f"{ref} is large, or may be: it is to have an invocation to itself")
        return source

    def _make(
        self, source: Source, receipt: Receipt | None, present: Mapping[ObjectRef, str], turn: "_Turn"
    ) -> Outcome:
        """Make a source's result, or begin to, in the place of the present one."""
        try:
            if reader := self._reader_of_segments(source):
                progress = self._large_tables.begin(
                    source, reader, turn.remaining_seconds, resend=turn.resend
                )
                return _OUTCOMES[progress]
            if source.body is None:
                source = self._whole(source.ref)
            document = read_source(source, self.settings)
            body = self._classify(source, document, present, turn.remaining_seconds)
        except SourceError as error:
            made = self._refused(source, error)
        else:
            made = _Made(source, Outcome.CLASSIFIED, body)
        return self._finish(made, receipt)

    def _finish(self, made: "_Made", receipt: Receipt | None) -> Outcome:
        """Write what was made in the place of the receipt that was read, and remove what is left of that."""
        ref = made.source.ref
        if receipt and made.outcome is Outcome.CLASSIFIED:
            parts = Receipt.decode("", made.body).parts
            older = older_parts(receipt, parts, self._receipts.listed_parts(ref))
            if older and self.storage.revision(ref) != made.source.revision:
                raise ConflictError(ref)  # they may be of a newer table by now
            self._receipts.remove(older)
        self._receipts.write(ref, made.body, receipt)
        return made.outcome

    def _refused(self, source: Source, error: SourceError) -> "_Made":
        provenance = self._receipts.provenance(source.ref, source.revision)
        return _Made(source, Outcome.REFUSED, error_receipt(error.problem, provenance, final=True))

    def _most_bytes(self, turn: "_Turn") -> int:
        """Return how large an object may be to be read at once."""
        segment_bytes = self.settings.read_options.segment_bytes
        return segment_bytes if turn.alone else min(_SMALL, segment_bytes)

    def _whole(self, ref: ObjectRef) -> Source:
        source = self.storage.read(ref, self.settings.max_object_bytes)
        if source is None:
            raise ConflictError(ref)
        return source

    def _classify(
        self,
        source: Source,
        document: Document,
        present: Mapping[ObjectRef, str],
        remaining_seconds: Callable[[], float],
    ) -> bytes:
        """Return the receipt of a source; if it is a table, its results are written by then."""
        provenance = self._receipts.provenance(source.ref, source.revision)
        check_time = time_check(source.ref, remaining_seconds)
        if document.table is None:
            _, verdict = next(classify_rows(document, self.classifier, check_time))
            if isinstance(verdict, Problem):
                raise SourceError(verdict.code, verdict.message)
            return verdict_receipt(verdict, provenance, document.notes(), self.settings.needs_review_below)

        table = classify_table(document, self.classifier, self.settings, check_time)
        key = keys.table_key(self.settings.results_prefix, source.ref.key, document.table.extension)
        target = ObjectRef(self._receipts.bucket(source.ref), key)
        etag = self.storage.write(
            target, table.body, document.table.content_type, replaces=present.get(target)
        )
        part = Part(target.bucket, target.key, etag)
        return table_receipt(table.counts, [part], provenance, document.notes())

    def _reader_of_segments(self, source: Source) -> LineFormat | None:
        """Return how to read a source line by line, if it is a table larger than a segment."""
        size, head = self.settings.read_options.segment_bytes, source.body
        if head is None:
            with self.storage.stream(source.ref, source.revision, 0, SNIFF_BYTES) as stream:
                head = stream.read()
        elif not exceeds(head, size):
            return None
        return line_format(source.ref.key, source.content_type, head)

    def _present(self, ref: ObjectRef, refs: Collection[ObjectRef]) -> Mapping[ObjectRef, str]:
        """Return the ETags of results, where they are there."""
        listed = self._receipts.listed_parts(ref) if len(refs) > _FEW else {}
        states = {each: self.storage.revision(each) for each in refs if each not in listed}
        return listed | {each: state.etag for each, state in states.items() if state}

    def _is_source(self, ref: ObjectRef) -> bool:
        ours = (self.settings.results_prefix, self.settings.work_prefix)
        is_result = ref.bucket == self._receipts.bucket(ref) and ref.key.startswith(ours)
        return ref.key.startswith(self.settings.source_prefix) and not is_result

    @property
    def _receipts(self) -> Receipts:
        return Receipts(self.storage, self.classifier.bundle, self.settings)

    @property
    def _large_tables(self) -> LargeTables:
        return LargeTables(self.storage, self.classifier, self.settings, self._receipts)


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a try may do.

    Attributes:
        remaining_seconds: tells how much time is left.
        alone: whether there are no others beside it, so that it may take all the memory and time.
        resend: whether segments that were sent, and are not done, are to be sent again.
        has_results: set if an object of the batch has a result, or may have one. So may the others, and if
            they were taken for new they would be classified in vain.
    """

    remaining_seconds: Callable[[], float]
    alone: bool = True
    resend: bool = True
    has_results: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True)
class _Made:
    """What has been made of a source.

    Attributes:
        source: as it was read.
        outcome: whether it was classified or refused.
        body: of its receipt.
    """

    source: Source
    outcome: Outcome
    body: bytes


# What becomes of an object when work on a large table gets so far.
_OUTCOMES = {
    Progress.SENT: Outcome.SEGMENTED,
    Progress.PARTIAL: Outcome.PARTIAL,
    Progress.COMPLETE: Outcome.CLASSIFIED,
}
