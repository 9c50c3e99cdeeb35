"""Brings the copy of a result in the catalog up to date (docs/adr/0016-catalog.md).

A pointer declares which copy of a result is to be there. It is written before the copy, on condition that
nobody has written another one since, so pointers form a chain, and the files of each copy have names of their
own. What the newest pointer does not declare is removed, by everyone who looks at the result.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from operator import attrgetter

from reviewbox.catalog import keys
from reviewbox.catalog.parquet import CONTENT_TYPE, encode_rows
from reviewbox.catalog.pointer import Pointer
from reviewbox.catalog.results import Results
from reviewbox.catalog.rows import CatalogRow, row_of_receipt, rows_of_part
from reviewbox.deadline import Deadline
from reviewbox.errors import ConflictError
from reviewbox.objects import ObjectRef
from reviewbox.results.receipt import MAX_RECEIPT_BYTES, Part, Receipt
from reviewbox.results.receipt_store import StoredReceipt
from reviewbox.results.rows import Lines, table_options
from reviewbox.retry import retry_on_conflict
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, list_etags, remove_all, write_once

_JSON = "application/json"


class CopyOutcome(StrEnum):
    """What became of the copy of a result."""

    COPIED = "copied"
    CURRENT = "current"  # the copy was up to date
    REMOVED = "removed"  # there is no result any more, and so no copy
    IGNORED = "ignored"  # there is neither a result nor a copy


@dataclass(frozen=True, slots=True)
class _Declared:
    """A pointer as it is stored, with its ETag; the pointer is None if the object is not a valid one."""

    pointer: Pointer | None
    etag: str


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
        """Yield the keys of all receipts that have a pointer, except for some."""
        known = {keys.pointer_key(self.place.key, receipt) for receipt in receipts}
        copied = list_etags(self.store, self.place.bucket, keys.pointers_prefix(self.place.key))
        for key in copied.keys() - known:
            stored = self._read_pointer(ObjectRef(self.place.bucket, key))
            if stored and stored.pointer:
                yield stored.pointer.result

    def _attempt(self, key: str, deadline: Deadline) -> CopyOutcome:
        # The pointer is read first: a worker that has read an old receipt cannot replace the pointer of one
        # that has read a newer receipt.
        place = self._pointer_place(key)
        before = self._read_pointer(place)
        stored = self.results.receipt(key)
        if before is None and stored is None:
            return CopyOutcome.IGNORED
        pointer, etag = before.pointer if before else None, before.etag if before else None
        is_declared = pointer is not None and pointer.declares(stored.etag if stored else None)
        if pointer is None or not is_declared:
            pointer = self._new_pointer(key, stored, pointer, etag)
            etag = self.store.write(place, pointer.encode(), _JSON, replaces=etag)
        # The first copy has nothing beside it.
        present = self._files(pointer) if before else {}
        copy = self._write_missing(pointer, stored, present, deadline)
        has_written = not copy <= present.keys()
        leftovers = {ref: tag for ref, tag in present.items() if ref not in copy}
        if leftovers or has_written:
            self._remove(place, etag, leftovers)
        if has_written:
            return CopyOutcome.COPIED
        return CopyOutcome.CURRENT if stored and is_declared else CopyOutcome.REMOVED

    def _new_pointer(
        self, key: str, stored: StoredReceipt | None, before: Pointer | None, replaces: str | None
    ) -> Pointer:
        date = self.results.uploaded(key, stored.receipt) if stored else ""
        return Pointer.declare(key, stored.etag if stored else None, date, before, replaces)

    def _write_missing(
        self,
        pointer: Pointer,
        stored: StoredReceipt | None,
        present: Mapping[ObjectRef, str],
        deadline: Deadline,
    ) -> set[ObjectRef]:
        """Write the files of a copy that are not there, and return all files of the copy.

        A file without rows says that its part was missing. It is written again, in case the part is back. So
        are those of the parts after it, because their lines may be others.
        """
        if stored is None:
            return set()
        copy: set[ObjectRef] = set()
        receipt, lines = stored.receipt, Lines.of(stored.receipt)
        parts: list[Part | None] = [*receipt.parts] or [None]
        found = sorted(filter(None, (_belongs(ref.key, pointer) for ref in present)), key=attrgetter("lines"))
        done = {file.index: file for file in found}
        for index, part in enumerate(parts):
            file = done.get(index)
            if file and (part is None or file.lines > (lines.before or 0)):
                lines = replace(lines, before=file.lines or None)
            else:
                rows = self._rows(pointer.result, receipt, part, lines, deadline)
                file = self._write(pointer, index, rows, lines, deadline)
                done = {}
            copy.add(self._file_ref(pointer, file))
        return copy

    def _write(
        self, pointer: Pointer, index: int, rows: Iterable[CatalogRow], lines: Lines, deadline: Deadline
    ) -> keys.CopiedPart:
        """Write the file of a part with these rows, which advance `lines` to its end."""
        result = ObjectRef(self.place.bucket, pointer.result)
        deadline.check(result)
        body = encode_rows(rows, partial(deadline.check, result))
        file = keys.CopiedPart(pointer.copy, index, lines.before or 0)
        write_once(self.store, self._file_ref(pointer, file), body, CONTENT_TYPE)
        return file

    def _file_ref(self, pointer: Pointer, file: keys.CopiedPart) -> ObjectRef:
        key = keys.file_key(self.place.key, pointer.date, pointer.result, file)
        return ObjectRef(self.place.bucket, key)

    def _rows(
        self, key: str, receipt: Receipt, part: Part | None, lines: Lines, deadline: Deadline
    ) -> Iterator[CatalogRow]:
        if part is None:
            yield row_of_receipt(receipt)
            return
        stored = self.results.open(key, receipt, part)
        options = replace(
            table_options(self.settings),
            check_time=partial(deadline.check, ObjectRef(self.place.bucket, key)),
        )
        share = 1 / max(1, receipt.content.get("counts", {}).get("total", 0))
        for row in rows_of_part(stored, part.key, options, receipt, lines):
            yield row
            self.on_advance(share)

    def _files(self, pointer: Pointer) -> dict[ObjectRef, str]:
        """Return all files of a result, with their ETags."""
        return {
            ObjectRef(self.place.bucket, key): etag
            for date in pointer.dates
            for key, etag in list_etags(
                self.store, self.place.bucket, keys.files_prefix(self.place.key, date, pointer.result)
            ).items()
        }

    def _remove(self, place: ObjectRef, etag: str | None, files: Mapping[ObjectRef, str]) -> None:
        """Remove files of older copies, if the pointer is still the one with this ETag.

        Another worker may be writing a copy that it has declared since. It may have removed other copies
        before, and may have missed files that were written here.

        Raises:
            ConflictError: there is a different pointer. Nothing was removed.
        """
        revision = self.store.revision(place)
        if revision is None or revision.etag != etag:
            raise ConflictError(place)
        remove_all(self.store, files)

    def _read_pointer(self, place: ObjectRef) -> _Declared | None:
        stored = self.store.read(place, MAX_RECEIPT_BYTES)
        if stored is None:
            return None
        pointer = Pointer.decode(stored.body or b"")
        # Others may be able to write it. It must not lead to the files of another result.
        is_own = pointer is not None and self._pointer_place(pointer.result) == place
        return _Declared(pointer if is_own else None, stored.revision.etag)

    def _pointer_place(self, key: str) -> ObjectRef:
        return ObjectRef(self.place.bucket, keys.pointer_key(self.place.key, key))


def _belongs(key: str, pointer: Pointer) -> keys.CopiedPart | None:
    """Return what a file's key says about it; None if it is not of the copy that a pointer declares."""
    part = keys.CopiedPart.of(key)
    return part if part and part.copy == pointer.copy and f"/uploaded={pointer.date}/" in f"/{key}" else None
