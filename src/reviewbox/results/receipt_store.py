"""Reading and writing receipts, and finding the parts of classified tables."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
        """Return the receipt of a source, or None if there is none."""
        stored = self.store.read(self._ref(ref), MAX_RECEIPT_BYTES)
        return StoredReceipt(Receipt.decode(stored.body or b""), stored.revision.etag) if stored else None

    def write(self, ref: ObjectRef, receipt: Receipt, replaces: StoredReceipt | None) -> None:
        """Write the receipt of a source in place of the one that was read before.

        Raises:
            ConflictError: another worker has written a receipt since.
        """
        etag = replaces.etag if replaces else None
        self.store.write(self._ref(ref), receipt.encode(), RECEIPT_CONTENT_TYPE, replaces=etag)

    def list_parts(self, ref: ObjectRef, extension: str = "") -> dict[ObjectRef, str]:
        """Return the ETags of all parts of a source's classified tables, outdated ones included.

        If `extension` is given, a table that was written as a single object counts as a part.
        """
        bucket, prefix = self.bucket(ref), self.settings.results_prefix
        listed = self.store.etags(bucket, keys.parts_prefix(prefix, ref.key))
        parts = {
            ObjectRef(bucket, key): etag
            for key, etag in listed.items()
            if keys.is_part_key(key, prefix, ref.key)
        }
        if extension:
            single = ObjectRef(bucket, keys.table_key(prefix, ref.key, extension))
            if revision := self.store.revision(single):
                parts[single] = revision.etag
        return parts

    def remove(self, objects: Mapping[ObjectRef, str]) -> None:
        """Delete the objects that still have the ETag given for them."""
        with ThreadPoolExecutor(_PARALLEL_DELETES) as pool:
            list(pool.map(lambda ref: self.store.remove(ref, objects[ref]), objects))

    def bucket(self, ref: ObjectRef) -> str:
        """Return the bucket that holds the results of a source."""
        return self.settings.results_bucket or ref.bucket

    def _ref(self, ref: ObjectRef) -> ObjectRef:
        return ObjectRef(self.bucket(ref), keys.receipt_key(self.settings.results_prefix, ref.key))


def outdated_parts(
    replaced: StoredReceipt | None, parts: Collection[Part], present: Mapping[ObjectRef, str]
) -> dict[ObjectRef, str]:
    """Return the ETags of parts of earlier tables, which readers of the whole folder would still find.

    Args:
        replaced: the receipt that is about to be replaced.
        parts: the parts of the current table.
        present: the ETags of the parts that exist, whichever table they belong to.
    """
    recorded = {part.ref: part.etag for part in replaced.receipt.parts} if replaced else {}
    current = {part.ref for part in parts}
    return {ref: etag for ref, etag in {**recorded, **present}.items() if ref not in current}
