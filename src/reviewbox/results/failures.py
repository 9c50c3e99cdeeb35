"""Records that an object has no result yet, and why. The next delivery tries again."""

from dataclasses import replace

from reviewbox.errors import ErrorCode, OutOfTimeError, Problem
from reviewbox.objects import ObjectRef, Revision
from reviewbox.results.receipt import Receipt
from reviewbox.results.receipt_store import ReceiptStore, StoredReceipt
from reviewbox.storage import describe


def record_failure(receipts: ReceiptStore, ref: ObjectRef, error: Exception) -> None:
    """Record that the current revision of an object has no result because of `error`.

    If even the revision is unknown, an existing receipt stays, because it may be the current one: a result or
    an error.

    Raises:
        ConflictError: the result has changed since.
    """
    stored = receipts.read(ref)
    revision: Revision | None = None
    try:
        revision = receipts.store.revision(ref)
    except Exception:  # noqa: BLE001 - probably the cause of `error`, which is what gets recorded
        if stored and stored.receipt.content:
            return
    else:
        if revision is None or (stored and stored.receipt.is_current(receipts.provenance(ref, revision))):
            return
    code = ErrorCode.OUT_OF_TIME if isinstance(error, OutOfTimeError) else ErrorCode.NOT_PROCESSED
    message = f"{ref} was tried {receipts.settings.max_receives} times: {describe(error)}"
    record_attempt(receipts, ref, revision, Problem(code, message), stored)


def record_last_attempt(receipts: ReceiptStore, ref: ObjectRef) -> None:
    """Before the last attempt at an object, record that it has no result, unless it has a receipt.

    If the worker dies during that attempt, nobody else would say what became of the object.

    Raises:
        ConflictError: another worker has just written a receipt.
    """
    # A result of an earlier revision stays until there is another. Folder markers end with a slash.
    if ref.key.endswith("/") or receipts.read(ref):
        return
    if revision := receipts.store.revision(ref):
        message = (
            f"{ref} was tried {receipts.settings.max_receives} times, and the last attempt did not end: "
            "it may need more memory or time than the function has"
        )
        problem = Problem(ErrorCode.NOT_PROCESSED, message)
        receipt = Receipt.for_error(problem, receipts.provenance(ref, revision), final=False)
        # It is not counted in the metrics, because the attempt will be.
        replace(receipts, on_write=lambda _: None).write(ref, receipt, None)


def record_attempt(
    receipts: ReceiptStore,
    ref: ObjectRef,
    revision: Revision | None,
    problem: Problem,
    stored: StoredReceipt | None,
) -> None:
    """Write a receipt that is not final: it says why a revision has no result until the next attempt.

    Raises:
        ConflictError: another worker has written a receipt since `stored` was read.
    """
    receipt = Receipt.for_error(problem, receipts.provenance(ref, revision), final=False)
    receipts.commit(ref, receipt, stored, receipts.list_tables(ref))
