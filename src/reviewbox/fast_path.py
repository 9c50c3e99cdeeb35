"""Classifies small reviews of a batch as if they were new (ADR 10).

Most uploads have no receipt yet. So a small review of a batch is read and classified first, and its receipt
is written on condition that there is none. Only if that fails are the receipt and the source's revision
looked at. This saves one request and one round trip per review.
"""

from reviewbox.classification import read_source
from reviewbox.errors import ArchivedError, OutOfTimeError, SourceError
from reviewbox.objects import ObjectRef, Source
from reviewbox.process_object import BatchContext, ObjectProcessor, PendingReceipt, needs_own_invocation


def prepare_new_review(
    ref: ObjectRef, processor: ObjectProcessor, context: BatchContext
) -> PendingReceipt | None:
    """Return the receipt of a small review, made without looking for an existing receipt.

    Returns None if the object does not qualify: it is processed exclusively, other objects of its batch
    have results already, or it is missing, large, compressed, archived or a table.
    """
    if context.exclusive or context.has_results.is_set():
        return None
    try:
        source = processor.store.read(ref, processor.max_read_bytes(context))
        if source is None or not source.body or needs_own_invocation(source.body):
            return None
        return _classify(source, processor, context)
    except (ArchivedError, OutOfTimeError):
        return None  # there may be a current result, and then there is nothing to do


def _classify(source: Source, processor: ObjectProcessor, context: BatchContext) -> PendingReceipt | None:
    try:
        document = read_source(source, processor.settings, lambda: context.deadline.check(source.ref))
        if document.table:
            return None
        return PendingReceipt(source, processor.maker.classify_review(source, document, context.deadline))
    except SourceError as error:
        return PendingReceipt(source, processor.maker.refuse(source, error))
