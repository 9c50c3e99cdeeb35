"""Reading and writing receipts, and finding the parts of classified tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from reviewbox.errors import ForeignResultError
from reviewbox.model.bundle import Bundle
from reviewbox.objects import Listed, ObjectRef, Revision
from reviewbox.results import keys
from reviewbox.results.receipt import MAX_RECEIPT_BYTES, RECEIPT_CONTENT_TYPE, Provenance, Receipt
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, remove_all

# For more objects than this, listing is cheaper than asking for each ETag.
_MAX_HEAD_REQUESTS = 2


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
    on_write: Callable[[Receipt], object] = lambda _: None  # called after each receipt is written

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

        Whoever replaces a receipt has to read it first, so no source can replace the receipt of another. A
        receipt that names a source which cannot have it is not valid, and has no content.

        Raises:
            ForeignResultError: the receipt is that of another source, which has the same key in another
                bucket, or whose deployment has a different results prefix.
        """
        stored = read_receipt(self.store, self.receipt_ref(ref))
        owner = stored.receipt.source if stored else None
        if stored is None or owner in (None, ref):
            return stored
        if keys.may_be_receipt_of(self.receipt_ref(ref).key, owner.key):
            raise ForeignResultError(ref, self.receipt_ref(ref), owner)
        return StoredReceipt(Receipt({}), stored.etag)

    def write(self, ref: ObjectRef, receipt: Receipt, replaces: StoredReceipt | None) -> StoredReceipt:
        """Write the receipt of a source, which replaces the one that was read before.

        Raises:
            ConflictError: another worker has written a receipt since.
        """
        receipt = receipt.replacing(base_etag(replaces))
        etag = replaces.etag if replaces else None
        etag = self.store.write(self.receipt_ref(ref), receipt.encode(), RECEIPT_CONTENT_TYPE, replaces=etag)
        self.on_write(receipt)
        return StoredReceipt(receipt, etag)

    def commit(
        self,
        ref: ObjectRef,
        receipt: Receipt,
        replaces: StoredReceipt | None,
        present: Mapping[ObjectRef, str],
    ) -> None:
        """Write a receipt, and then remove those objects that are `present` and that it does not name.

        No receipt can name them any more: each was made for a write that would have replaced the receipt that
        has just been replaced (ADR 14). The record of a failed attempt does not end the work of others, and
        then only what the old receipt names is removed.

        `replaces` is the old receipt as it was read; if it records the same result, none is written.
        `present` are the objects of the source's tables, listed after that.

        Raises:
            ConflictError: another worker has written a receipt since. Nothing was removed.
        """
        if replaces and replaces.receipt.replacing(None) == receipt:
            return
        self.write(ref, receipt, replaces)
        if receipt.is_final:
            self.remove(unnamed(receipt, present))
        elif replaces:
            self.remove(
                {part.ref: present[part.ref] for part in replaces.receipt.parts if part.ref in present}
            )

    def table_id(self, provenance: Provenance, stored: StoredReceipt | None) -> str:
        """Return the id of the table of this provenance, when this is the receipt of its source.

        A table that is recorded already keeps its id, so that only its lost parts are written again.
        """
        if stored and stored.receipt.is_current(provenance):
            prefix, source = self.settings.results_prefix, provenance.source
            ids = {keys.table_id_of(part.key, prefix, source.key) for part in stored.receipt.parts}
            if len(ids) == 1 and (table_id := ids.pop()):
                return table_id
        return provenance.table_id(base_etag(stored))

    def list_tables(self, ref: ObjectRef) -> dict[ObjectRef, str]:
        """Return the ETags of all objects of a source's classified tables, outdated ones included."""
        bucket = self.bucket(ref)
        return {ObjectRef(bucket, item.key): item.etag for item in self._listed_tables(ref)}

    def table_times(self, ref: ObjectRef) -> list[float]:
        """Return when each object of a source's classified tables was written, in seconds since 1970."""
        return [item.modified for item in self._listed_tables(ref)]

    def is_intact(self, ref: ObjectRef, receipt: Receipt) -> bool:
        """Return whether all parts that a receipt names still exist, unchanged."""
        recorded = {part.ref: part.etag for part in receipt.parts if self.is_table_of(ref, part.ref)}
        if len(recorded) < len(receipt.parts):
            return False
        if len(recorded) > _MAX_HEAD_REQUESTS:
            return recorded.items() <= self.list_tables(ref).items()
        revisions = [(self.store.revision(part), etag) for part, etag in recorded.items()]
        return all(revision and revision.etag == etag for revision, etag in revisions)

    def is_table_of(self, ref: ObjectRef, table: ObjectRef) -> bool:
        """Return whether an object is one that a classified table of a source can consist of.

        A receipt may have been written by someone else, and may name any object.
        """
        is_own_key = keys.is_table_key(table.key, self.settings.results_prefix, ref.key)
        return is_own_key and table.bucket == self.bucket(ref)

    def part_ref(self, ref: ObjectRef, table_id: str, number: int, extension: str) -> ObjectRef:
        """Return the object that is a part of a source's classified table."""
        key = keys.part_key(self.settings.results_prefix, ref.key, table_id, number, extension)
        return ObjectRef(self.bucket(ref), key)

    def remove(self, objects: Mapping[ObjectRef, str]) -> None:
        """Delete the objects that still have the ETag given for them."""
        remove_all(self.store, objects)

    def _listed_tables(self, ref: ObjectRef) -> Iterator[Listed]:
        bucket = self.bucket(ref)
        for prefix in keys.table_prefixes(self.settings.results_prefix, ref.key):
            for page in self.store.pages(bucket, prefix):
                yield from (item for item in page if self.is_table_of(ref, ObjectRef(bucket, item.key)))

    def bucket(self, ref: ObjectRef) -> str:
        """Return the bucket that holds the results of a source."""
        return self.settings.results_bucket or ref.bucket

    def receipt_ref(self, ref: ObjectRef) -> ObjectRef:
        """Return the bucket and key of the receipt of a source."""
        return ObjectRef(self.bucket(ref), keys.receipt_key(self.settings.results_prefix, ref.key))


def read_receipt(store: ObjectStore, place: ObjectRef) -> StoredReceipt | None:
    """Return the receipt at a place, without content if it is not a valid one; None if nothing is there."""
    stored = store.read(place, MAX_RECEIPT_BYTES)
    return StoredReceipt(Receipt.decode(stored.body or b""), stored.revision.etag) if stored else None


def unnamed(receipt: Receipt | None, present: Mapping[ObjectRef, str]) -> dict[ObjectRef, str]:
    """Return those objects, with their ETags, that a receipt does not name as parts."""
    named = {part.ref for part in receipt.parts} if receipt else set()
    return {ref: etag for ref, etag in present.items() if ref not in named}


def base_etag(stored: StoredReceipt | None) -> str | None:
    """Return the ETag that identifies the last final receipt; None if there is none.

    The record of a failed attempt does not end the work of other workers, so it passes on what it replaced.
    """
    if stored is None:
        return None
    return stored.etag if stored.receipt.is_final else stored.receipt.replaces
