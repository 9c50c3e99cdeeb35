"""Reading and writing receipts, and finding the parts of classified tables."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from reviewbox.errors import ForeignResultError
from reviewbox.model.bundle import Bundle
from reviewbox.objects import ObjectRef, Revision
from reviewbox.results import keys
from reviewbox.results.receipt import MAX_RECEIPT_BYTES, RECEIPT_CONTENT_TYPE, Part, Provenance, Receipt
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore

_PARALLEL_DELETES = 10


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A receipt as it was read, with its ETag for conditional writes."""

    receipt: Receipt
    etag: str


@dataclass(frozen=True, slots=True)
class ReceiptStore:
    """Reads and writes the receipts of one model and one set of settings."""

    store: ObjectStore
    bundle: Bundle
    settings: Settings
    on_write: Callable[[Receipt], object] = lambda _: None  # called after each receipt that is written

    def provenance(self, ref: ObjectRef, revision: Revision | None) -> Provenance:
        """Return the provenance of a result of this revision of an object."""
        return Provenance(
            source=ref,
            revision=revision,
            model=self.bundle.digest,
            settings=self.settings.digest,
            calibrated=self.bundle.calibrated,
        )

    def read(self, ref: ObjectRef) -> StoredReceipt | None:
        """Return the receipt of a source, or None if there is none.

        Whoever replaces a receipt has to read it first, so no source can replace the receipt of another.

        Raises:
            ForeignResultError: the receipt is that of another source, which has the same key in another
                bucket, or whose deployment has another results prefix.
        """
        stored = self.store.read(self.place(ref), MAX_RECEIPT_BYTES)
        if stored is None:
            return None
        receipt = Receipt.decode(stored.body or b"")
        if receipt.source and receipt.source != ref:
            raise ForeignResultError(ref, self.place(ref), receipt.source)
        return StoredReceipt(receipt, stored.revision.etag)

    def write(self, ref: ObjectRef, receipt: Receipt, replaces: StoredReceipt | None) -> None:
        """Write the receipt of a source in place of the one that was read before.

        Raises:
            ConflictError: another worker has written a receipt since.
        """
        etag = replaces.etag if replaces else None
        self.store.write(self.place(ref), receipt.encode(), RECEIPT_CONTENT_TYPE, replaces=etag)
        self.on_write(receipt)

    def list_tables(self, ref: ObjectRef) -> dict[ObjectRef, str]:
        """Return the ETags of all objects of a source's classified tables, outdated ones included."""
        bucket, prefix = self.bucket(ref), self.settings.results_prefix
        return {
            table: etag
            for table_prefix in keys.table_prefixes(prefix, ref.key)
            for key, etag in self.store.etags(bucket, table_prefix).items()
            if self.is_table_of(ref, table := ObjectRef(bucket, key))
        }

    def is_table_of(self, ref: ObjectRef, table: ObjectRef) -> bool:
        """Return whether an object is one that a classified table of a source can consist of.

        A receipt may have been written by someone else, and may name any object.
        """
        is_own_key = keys.is_table_key(table.key, self.settings.results_prefix, ref.key)
        return is_own_key and table.bucket == self.bucket(ref)

    def remove(self, objects: Mapping[ObjectRef, str]) -> None:
        """Delete the objects that still have the ETag given for them."""
        with ThreadPoolExecutor(_PARALLEL_DELETES) as pool:
            list(pool.map(lambda ref: self.store.remove(ref, objects[ref]), objects))

    def bucket(self, ref: ObjectRef) -> str:
        """Return the bucket that holds the results of a source."""
        return self.settings.results_bucket or ref.bucket

    def place(self, ref: ObjectRef) -> ObjectRef:
        """Return the bucket and key of the receipt of a source."""
        return ObjectRef(self.bucket(ref), keys.receipt_key(self.settings.results_prefix, ref.key))


def outdated_tables(parts: Collection[Part], present: Mapping[ObjectRef, str]) -> dict[ObjectRef, str]:
    """Return the ETags of what is left of earlier tables, which readers of the whole folder would still find.

    Args:
        parts: the parts of the current table; empty if the source is not a table.
        present: the ETags of all objects of the source's tables.
    """
    current = {part.ref for part in parts}
    return {ref: etag for ref, etag in present.items() if ref not in current}
