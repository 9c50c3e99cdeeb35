"""Receipts as they lie beside their sources."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from reviewbox.model.bundle import Bundle
from reviewbox.objects import ObjectRef, ObjectStore, Revision
from reviewbox.results import keys
from reviewbox.results.receipt import LARGEST_RECEIPT, RECEIPT_CONTENT_TYPE, Part, Provenance, Receipt
from reviewbox.settings import Settings

_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Receipts:
    """Reads and writes receipts of what a model makes of sources with some settings."""

    storage: ObjectStore
    bundle: Bundle
    settings: Settings

    def provenance(self, ref: ObjectRef, revision: Revision | None) -> Provenance:
        """Return what a result of an object in a certain state is made from."""
        return Provenance(
            source=ref,
            revision=revision,
            model=self.bundle.digest,
            settings=self.settings.digest,
            calibrated=self.bundle.calibrated,
        )

    def read(self, ref: ObjectRef) -> Receipt | None:
        """Return the receipt of an object as it lies in S3, or None if it has none."""
        found = self.storage.read(self._ref(ref), LARGEST_RECEIPT)
        return Receipt.decode(found.revision.etag, found.body or b"") if found else None

    def write(self, ref: ObjectRef, body: bytes, replaces: Receipt | None) -> None:
        """Write the receipt of an object in the place of the one that was read.

        Raises:
            ConflictError: there is another one now.
        """
        etag = replaces.etag if replaces else None
        self.storage.write(self._ref(ref), body, RECEIPT_CONTENT_TYPE, replaces=etag)

    def listed_parts(self, ref: ObjectRef, extension: str = "") -> dict[ObjectRef, str]:
        """Return what there is of an object's classified tables, older ones among them, each with its ETag.

        That is all parts; and the table as one object, if its extension is given.
        """
        bucket, prefix = self.bucket(ref), self.settings.results_prefix
        listed = self.storage.etags(bucket, keys.parts_prefix(prefix, ref.key))
        found = {key: etag for key, etag in listed.items() if keys.is_part_key(key, prefix, ref.key)}
        parts = {ObjectRef(bucket, key): etag for key, etag in found.items()}
        if extension:
            single = ObjectRef(bucket, keys.table_key(prefix, ref.key, extension))
            if state := self.storage.revision(single):
                parts[single] = state.etag
        return parts

    def remove(self, objects: Mapping[ObjectRef, str]) -> None:
        """Remove objects, if they still have their ETags."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda ref: self.storage.remove(ref, objects[ref]), objects))

    def bucket(self, ref: ObjectRef) -> str:
        """Return the bucket that the results of an object go to."""
        return self.settings.results_bucket or ref.bucket

    def _ref(self, ref: ObjectRef) -> ObjectRef:
        return ObjectRef(self.bucket(ref), keys.receipt_key(self.settings.results_prefix, ref.key))


def older_parts(
    replaced: Receipt | None, parts: Collection[Part], present: Mapping[ObjectRef, str]
) -> dict[ObjectRef, str]:
    """Return what is left of an earlier table: who reads all of a folder would read it, too.

    Args:
        replaced: the receipt that is about to be replaced.
        parts: of the table there is now.
        present: what is there of either, each with its ETag.
    """
    recorded = {part.ref: part.etag for part in replaced.parts} if replaced else {}
    now = {part.ref for part in parts}
    return {ref: etag for ref, etag in {**recorded, **present}.items() if ref not in now}
