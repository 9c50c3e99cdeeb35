"""One object: from what an event hints at to its result in S3.

An event may be late, doubled or out of order, and several workers may have the same one. So the
steps are always the same: read the receipt, look at the *current* source, stop if the receipt
records it already, else read it, classify and write, on condition that the receipt is still the one
that was read. Whoever loses a race starts over, and finds the winner's result or a newer source.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from io import BytesIO
from typing import Protocol

from reviewbox import results
from reviewbox.documents import Document, Row, read_document
from reviewbox.errors import (
    ArchivedError,
    ConflictError,
    ContentionError,
    ErrorCode,
    OutOfTimeError,
    Problem,
    SourceError,
)
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.results import Part, Provenance, Receipt, TableWriter, receipt_key
from reviewbox.settings import Settings
from reviewbox.storage import describe

logger = logging.getLogger(__name__)

_MOST_ATTEMPTS = 8
# What must be left to classify some more reviews and write the result.
_SPARE_SECONDS = 15.0


class Outcome(StrEnum):
    """How an object ended."""

    CLASSIFIED = "classified"
    REFUSED = "refused"  # what is wrong with it, which retrying cannot mend, is its receipt
    CURRENT = "current"  # the result was there already
    GONE = "gone"  # no such object any more; an old result stays
    IGNORED = "ignored"  # no source: a result, a folder's marker, or under another prefix


class ObjectStore(Protocol):
    """Where objects are read and written as `Storage` does it in S3, which says what each is to do."""

    def read(self, ref: ObjectRef, max_bytes: int) -> Source | None:
        """Return an object as it is now."""

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return an object's present state."""

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
        """Write an object if it is in the state that is expected, and return its new ETag."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Brings results up to date with their sources, one object at a time."""

    storage: ObjectStore
    classifier: Classifier
    settings: Settings

    def process(self, ref: ObjectRef, remaining_seconds: Callable[[], float]) -> Outcome:
        """Bring the result of one object up to date, within the time that is left.

        Raises:
            OutOfTimeError: there is more to do than time; no receipt was written.
            ContentionError: others kept changing the result.
        """
        if not self._is_source(ref):
            return Outcome.IGNORED
        if remaining_seconds() < _SPARE_SECONDS:
            raise OutOfTimeError(f"too little of the invocation's time was left to begin with {ref}")
        contended: frozenset[ObjectRef] = frozenset()
        for _ in range(_MOST_ATTEMPTS):
            try:
                return self._attempt(ref, remaining_seconds, contended)
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
            if revision is None or (receipt and receipt.is_current(self._provenance(ref, revision))):
                return
        code = ErrorCode.OUT_OF_TIME if isinstance(error, OutOfTimeError) else ErrorCode.NOT_PROCESSED
        problem = Problem(code, f"{ref} was tried {self.settings.max_receives} times: {describe(error)}")
        body = results.error_receipt(problem, self._provenance(ref, revision), final=False)
        try:
            self._write_receipt(ref, body, receipt)
        except ConflictError:
            # Someone has just written one: a result, or the same error.
            logger.info("object.contended", extra={"bucket": ref.bucket, "key": ref.key})

    def read_receipt(self, ref: ObjectRef) -> Receipt | None:
        """Return the receipt of an object as it lies in S3, or None if it has none."""
        found = self.storage.read(self._receipt_ref(ref), results.LARGEST_RECEIPT)
        return Receipt.decode(found.revision.etag, found.body or b"") if found else None

    def _attempt(
        self, ref: ObjectRef, remaining_seconds: Callable[[], float], contended: frozenset[ObjectRef]
    ) -> Outcome:
        """Try once.

        Args:
            ref: the object.
            remaining_seconds: how much time is left.
            contended: objects that were not as the receipt had it when an earlier attempt wrote
                them. A worker that died before its receipt leaves such a table.
        """
        # Results before the source: whatever happens to them from here on fails our own write.
        receipt = self.read_receipt(ref)
        recorded = {part.ref: part.etag for part in receipt.parts} if receipt else {}
        present = {table: self._etag(table) for table in contended | recorded.keys()}
        if receipt:
            # The source's state alone tells whether there is anything to do; its body may be large.
            revision = self.storage.revision(ref)
            if revision is None:
                return Outcome.GONE
            provenance = self._provenance(ref, revision)
            if receipt.is_current(provenance) and recorded.items() <= present.items():
                return Outcome.CURRENT
        try:
            source = self.storage.read(ref, self.settings.max_object_bytes)
        except ArchivedError as error:
            # Not final: once it is restored, an event says so, and its state is still the same.
            problem = Problem(ErrorCode.ARCHIVED, str(error))
            provenance = self._provenance(ref, self.storage.revision(ref))
            self._write_receipt(ref, results.error_receipt(problem, provenance, final=False), receipt)
            return Outcome.REFUSED
        if source is None:
            return Outcome.GONE
        if ref.key.endswith("/") and source.size == 0:
            return Outcome.IGNORED  # what consoles create to show an empty folder
        provenance = self._provenance(ref, source.revision)  # it may have changed since

        outcome = Outcome.CLASSIFIED
        try:
            body = self._classify(source, provenance, present, remaining_seconds)
        except SourceError as error:
            outcome = Outcome.REFUSED
            body = results.error_receipt(error.problem, provenance, final=True)
        self._write_receipt(ref, body, receipt)
        return outcome

    def _classify(
        self,
        source: Source,
        provenance: Provenance,
        present: Mapping[ObjectRef, str | None],
        remaining_seconds: Callable[[], float],
    ) -> bytes:
        """Return the receipt of a source; if it is a table, its results are written by then."""
        document = read_source(source, self.settings)

        def check_time() -> None:
            if remaining_seconds() < _SPARE_SECONDS:
                raise OutOfTimeError(
                    f"{source.ref} needs more time than the function has: split it, or raise the timeout"
                )

        rows = classify_rows(document, self.classifier, check_time)
        threshold = self.settings.needs_review_below
        if document.table is None:
            _, verdict = next(rows)
            if isinstance(verdict, Problem):
                raise SourceError(verdict.code, verdict.message)
            return results.verdict_receipt(verdict, provenance, document.notes, threshold)

        writer = TableWriter(document.table, threshold)
        content = BytesIO()
        content.write(_encoded(writer.header))
        for row, verdict in rows:
            content.write(_encoded(writer.render(row, verdict)))
        key = results.table_key(self.settings.results_prefix, source.ref.key, document.table.extension)
        target = ObjectRef(self._results_bucket(source.ref), key)
        etag = self.storage.write(
            target,
            document.table.compress(content.getvalue()),
            document.table.content_type,
            replaces=present.get(target),
        )
        part = Part(target.bucket, target.key, etag)
        return results.table_receipt(writer.counts, [part], provenance, document.notes)

    def _is_source(self, ref: ObjectRef) -> bool:
        is_result = ref.bucket == self._results_bucket(ref) and ref.key.startswith(
            self.settings.results_prefix
        )
        return ref.key.startswith(self.settings.source_prefix) and not is_result

    def _provenance(self, ref: ObjectRef, revision: Revision | None) -> Provenance:
        return Provenance(
            source=ref,
            revision=revision,
            model=self.classifier.bundle.digest,
            settings=self.settings.digest,
            calibrated=self.classifier.bundle.calibrated,
        )

    def _etag(self, ref: ObjectRef) -> str | None:
        revision = self.storage.revision(ref)
        return revision.etag if revision else None

    def _results_bucket(self, ref: ObjectRef) -> str:
        return self.settings.results_bucket or ref.bucket

    def _receipt_ref(self, ref: ObjectRef) -> ObjectRef:
        return ObjectRef(self._results_bucket(ref), receipt_key(self.settings.results_prefix, ref.key))

    def _write_receipt(self, ref: ObjectRef, body: bytes, replaces: Receipt | None) -> None:
        self.storage.write(
            self._receipt_ref(ref),
            body,
            results.RECEIPT_CONTENT_TYPE,
            replaces=replaces.etag if replaces else None,
        )


def read_source(source: Source, settings: Settings) -> Document:
    """Read a source as the document that it is.

    Raises:
        SourceError: it is too large, or none that can be read.
    """
    if source.body is None:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the object has {source.size:,} bytes and the setting MAX_OBJECT_BYTES allows "
            f"{settings.max_object_bytes:,}: split it, or raise the setting",
        )
    return read_document(source.ref.key, source.content_type, source.body, settings.read_options)


def classify_rows(
    document: Document, classifier: Classifier, before_run: Callable[[], None] = lambda: None
) -> Iterator[tuple[Row, Verdict | Problem]]:
    """Yield each row of a document with its verdict, or why it has none.

    A table has no place for evidence, so none is looked for. `before_run` is called many times a
    second while reviews are classified, and may raise to end that.
    """
    texts = (row.text for row in document.rows if row.problem is None)
    outcomes = classifier.classify_each(texts, explain=document.table is None, before_run=before_run)
    for row in document.rows:
        outcome = row.problem or next(outcomes)
        if isinstance(outcome, Problem) and document.table and row.problem is None:
            outcome = replace(outcome, message=f"line {row.line}: {outcome.message}")
        yield row, outcome


def _encoded(text: str) -> bytes:
    # Halves of characters, which UTF-8 cannot hold, stay legible.
    return text.encode("utf-8", "backslashreplace")
