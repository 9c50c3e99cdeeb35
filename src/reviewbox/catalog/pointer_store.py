"""Pointers as they are stored, each replaced only if it is still the one that was read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reviewbox.catalog import keys
from reviewbox.catalog.pointer import Pointer
from reviewbox.errors import ConflictError
from reviewbox.objects import ObjectRef
from reviewbox.results.receipt import MAX_RECEIPT_BYTES
from reviewbox.storage import ObjectStore, list_etags

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class StoredPointer:
    """A pointer as it is stored, with its ETag; the pointer is None if the object is not a valid one."""

    pointer: Pointer | None
    etag: str


@dataclass(frozen=True, slots=True)
class PointerStore:
    """The pointers of a catalog. A result is named by the key of its receipt."""

    store: ObjectStore
    place: ObjectRef  # the bucket and the prefix of the keys of the catalog

    def read(self, result: str) -> StoredPointer | None:
        """Return the pointer of a result; None if it has none."""
        return self._read(self._ref(result))

    def write(self, pointer: Pointer, replaces: str | None) -> str:
        """Replace the pointer that has this ETag, and return the new ETag.

        Raises:
            ConflictError: there is a different pointer.
        """
        return self.store.write(self._ref(pointer.result), pointer.encode(), _JSON, replaces=replaces)

    def check(self, result: str, etag: str | None) -> None:
        """Raise an error if the pointer of a result is not the one with this ETag.

        Raises:
            ConflictError: another worker has written one since, or has removed it.
        """
        revision = self.store.revision(self._ref(result))
        if revision is None or revision.etag != etag:
            raise ConflictError(self._ref(result))

    def results_besides(self, results: Iterable[str]) -> Iterator[str]:
        """Yield all results that have a pointer, except for `results`."""
        known = {self._ref(result).key for result in results}
        stored = list_etags(self.store, self.place.bucket, keys.pointers_prefix(self.place.key))
        for key in stored.keys() - known:
            found = self._read(ObjectRef(self.place.bucket, key))
            if found and found.pointer:
                yield found.pointer.result

    def _read(self, ref: ObjectRef) -> StoredPointer | None:
        stored = self.store.read(ref, MAX_RECEIPT_BYTES)
        if stored is None:
            return None
        pointer = Pointer.decode(stored.body or b"")
        # Others may be able to write it. It must not lead to the files of another result.
        is_own = pointer is not None and self._ref(pointer.result) == ref
        return StoredPointer(pointer if is_own else None, stored.revision.etag)

    def _ref(self, result: str) -> ObjectRef:
        return ObjectRef(self.place.bucket, keys.pointer_key(self.place.key, result))
