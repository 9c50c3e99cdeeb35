"""Brings the copy of a result in the catalog up to date (docs/adr/0016-catalog.md).

A pointer declares which copy of a result the catalog should have. It is written before the copy, on condition
that nobody has written another one since, so pointers form a chain, and the files of each copy have names of
their own. Whoever looks at a result removes what its newest pointer does not declare.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from reviewbox.catalog import keys
from reviewbox.catalog.copy_writer import CopyWriter
from reviewbox.catalog.pointer import Pointer
from reviewbox.catalog.pointer_store import PointerStore
from reviewbox.catalog.results import Results
from reviewbox.deadline import Deadline
from reviewbox.objects import ObjectRef
from reviewbox.results.receipt_store import StoredReceipt
from reviewbox.results.rows import table_options
from reviewbox.retry import retry_on_conflict
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, list_etags, remove_all


class CopyOutcome(StrEnum):
    """What happened to the copy of a result."""

    COPIED = "copied"
    CURRENT = "current"  # the copy was up to date
    REMOVED = "removed"  # there is no result any more, and so no copy
    IGNORED = "ignored"  # there is neither a result nor a copy


@dataclass(frozen=True, slots=True)
class Catalog:
    """The copies of results."""

    results: Results  # where results are read
    store: ObjectStore  # where copies are written
    place: ObjectRef  # the bucket and the prefix of the keys of the catalog
    settings: Settings  # how tables are read
    on_advance: Callable[[float], object] = lambda _: None  # called for each row, with its share of a result

    def update(self, key: str, deadline: Deadline) -> CopyOutcome:
        """Make the catalog hold exactly one copy of the result whose receipt has this key.

        Raises:
            OutOfTimeError: too little time is left; another call continues where this one stopped.
            ContentionError: other workers kept changing the copy.
        """
        return retry_on_conflict(lambda: self._attempt(key, deadline), ObjectRef(self.place.bucket, key))

    def copied_besides(self, receipts: Iterable[str]) -> Iterator[str]:
        """Yield the keys of all receipts that have a pointer, except for `receipts`."""
        return self._pointers.results_besides(receipts)

    def _attempt(self, key: str, deadline: Deadline) -> CopyOutcome:
        # The pointer is read first: a worker that has read an old receipt cannot replace the pointer of one
        # that has read a newer receipt.
        before = self._pointers.read(key)
        stored = self.results.receipt(key)
        if before is None and stored is None:
            return CopyOutcome.IGNORED
        pointer, etag = before.pointer if before else None, before.etag if before else None
        is_declared = pointer is not None and pointer.declares(stored.etag if stored else None)
        if pointer is None or not is_declared:
            date = self.results.uploaded(key, stored.receipt) if stored else ""
            pointer = Pointer.declare(key, stored.etag if stored else None, date, pointer, etag)
            etag = self._pointers.write(pointer, replaces=etag)
        # The first copy has nothing beside it.
        present = self._files(pointer) if before else {}
        copy = self._writer(pointer, stored, deadline).write_missing(present) if stored else set()
        has_written = not copy <= present.keys()
        leftovers = {ref: tag for ref, tag in present.items() if ref not in copy}
        if leftovers or has_written:
            # Another worker may be writing a copy that it has declared since. It may have removed other
            # copies before, and may have missed files that were written here.
            self._pointers.check(key, etag)
            remove_all(self.store, leftovers)
        if has_written:
            return CopyOutcome.COPIED
        return CopyOutcome.CURRENT if stored and is_declared else CopyOutcome.REMOVED

    def _files(self, pointer: Pointer) -> dict[ObjectRef, str]:
        """Return all files of a result, with their ETags."""
        prefixes = [keys.files_prefix(self.place.key, date, pointer.result) for date in pointer.dates]
        return {
            ObjectRef(self.place.bucket, key): etag
            for prefix in prefixes
            for key, etag in list_etags(self.store, self.place.bucket, prefix).items()
        }

    def _writer(self, pointer: Pointer, stored: StoredReceipt, deadline: Deadline) -> CopyWriter:
        check_time = partial(deadline.check, ObjectRef(self.place.bucket, pointer.result))
        options = replace(table_options(self.settings), check_time=check_time)
        return CopyWriter(
            self.results, self.store, self.place, options, pointer, stored.receipt, self.on_advance
        )

    @property
    def _pointers(self) -> PointerStore:
        return PointerStore(self.store, self.place)
