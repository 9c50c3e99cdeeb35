"""Makes the receipt of an object: the verdict on a review, the counts of a table, or an error."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from reviewbox.classification import classify_rows, classify_table, read_source
from reviewbox.deadline import Deadline
from reviewbox.documents import Document, Step
from reviewbox.errors import ConflictError, ErrorCode, Problem, SourceError
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, Source
from reviewbox.results.doubt import with_doubt
from reviewbox.results.receipt import Part, Receipt
from reviewbox.results.receipt_store import ReceiptStore, StoredReceipt, base_etag
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, write_once

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReceiptMaker:
    """Makes receipts. `on_share` and `on_step` are those of `Pipeline`."""

    store: ObjectStore
    classifier: Classifier
    settings: Settings
    receipts: ReceiptStore
    on_share: Callable[[float], object]
    on_step: Callable[[Step], object]

    def classify(self, source: Source, stored: StoredReceipt | None, deadline: Deadline) -> Receipt:
        """Return the receipt that is to replace `stored`; if the source is a table, write its copy first.

        Raises:
            SourceError: the source cannot be classified.
            ConflictError: it has changed since.
            OutOfTimeError: too little time is left.
        """
        if source.body is None:
            whole = self.store.read(source.ref, self.settings.max_object_bytes)
            # Another revision may be a large table, which has the same id in one part as in several.
            if whole is None or whole.revision != source.revision:
                raise ConflictError(source.ref)
            source = whole
        document = read_source(source, self.settings, partial(deadline.check, source.ref), self.on_step)
        if document.table is None:
            return self.classify_review(source, document, deadline)
        before_run = self._before_run(source.ref, deadline)
        classified = classify_table(document, self.classifier, self.settings, before_run)
        provenance = self.receipts.provenance(source.ref, source.revision)
        # A table that was lost comes back under another key, so that its receipt changes. Whoever has read
        # the old receipt while the table was lost then reads the result again.
        table_id = provenance.table_id(base_etag(stored))
        target = self.receipts.part_ref(source.ref, table_id, 0, document.table.extension)
        etag = write_once(self.store, target, classified.body, document.table.content_type)
        part = Part(target.bucket, target.key, etag)
        notes = with_doubt(document.notes(), classified.counts, self.classifier.answers.labels)
        return Receipt.for_table(classified.counts, [part], provenance, notes)

    def classify_review(self, source: Source, document: Document, deadline: Deadline) -> Receipt:
        """Return the receipt of a source that is a single review.

        Raises:
            SourceError: the review cannot be classified.
            OutOfTimeError: too little time is left.
        """
        _, verdict = next(classify_rows(document, self.classifier, self._before_run(source.ref, deadline)))
        if verdict is None:
            raise ValueError("a single review is always a review")
        if isinstance(verdict, Problem):
            raise SourceError(verdict.code, verdict.message)
        provenance = self.receipts.provenance(source.ref, source.revision)
        return Receipt.for_verdict(verdict, provenance, document.notes(), self.settings.needs_review_below)

    def refuse(self, source: Source, error: SourceError) -> Receipt:
        """Return the receipt of a source that cannot be classified; log a fault of the reader."""
        if error.problem.code is ErrorCode.INTERNAL_ERROR:
            cause = error.__cause__ or error
            # The lines of the traceback, and not the message, which may quote a review.
            frames = traceback.format_tb(cause.__traceback__)
            fault = {"key": source.ref.key, "reason": type(cause).__name__, "frames": frames}
            logger.error("object.unreadable", extra={"bucket": source.ref.bucket, **fault})
        provenance = self.receipts.provenance(source.ref, source.revision)
        return Receipt.for_error(error.problem, provenance, final=True)

    def _before_run(self, ref: ObjectRef, deadline: Deadline) -> Callable[[float], None]:
        def before_run(share: float) -> None:
            deadline.check(ref)
            self.on_share(share)

        return before_run
