"""Writes the files of the copy that a pointer declares."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from reviewbox.catalog import keys
from reviewbox.catalog.parquet import CONTENT_TYPE, encode_rows
from reviewbox.catalog.pointer import Pointer
from reviewbox.catalog.results import Results
from reviewbox.catalog.rows import CatalogRow, row_of_receipt, rows_of_part
from reviewbox.documents import ReadOptions
from reviewbox.objects import ObjectRef
from reviewbox.results.receipt import Part, Receipt
from reviewbox.results.rows import Lines
from reviewbox.storage import ObjectStore, write_once


@dataclass(frozen=True, slots=True)
class CopyWriter:
    """Writes one copy of a result."""

    results: Results  # where results are read
    store: ObjectStore  # where copies are written
    place: ObjectRef  # the bucket and the prefix of the keys of the catalog
    options: ReadOptions  # how tables are read; its `check_time` stops the work when time runs out
    pointer: Pointer  # what declares the copy
    receipt: Receipt  # the receipt of the result
    on_advance: Callable[[float], object]  # called for each row, with its share of the result

    def write_missing(self, present: Collection[ObjectRef]) -> set[ObjectRef]:
        """Write the files that are not present, and return all files of the copy.

        A file without rows says that its part was missing. It is written again, in case the part is back. The
        files of the parts after it are also written again, because their line numbers may have changed.
        """
        copy: set[ObjectRef] = set()
        lines = Lines.of(self.receipt)
        done = self._done(present)
        parts: list[Part | None] = [*self.receipt.parts] or [None]
        for index, part in enumerate(parts):
            file = done.get(index)
            if file and (part is None or file.lines > (lines.before or 0)):
                lines = replace(lines, before=file.lines or None)
            else:
                file = self._write(index, part, lines)
                done = {}
            copy.add(self._ref(file))
        return copy

    def _done(self, present: Collection[ObjectRef]) -> Mapping[int, keys.CopiedPart]:
        """Return the files that are present, by the number of their part."""
        found = filter(None, (keys.CopiedPart.of(ref.key) for ref in present))
        own = sorted((file for file in found if self._ref(file) in present), key=attrgetter("lines"))
        return {file.index: file for file in own if file.copy == self.pointer.copy}

    def _write(self, index: int, part: Part | None, lines: Lines) -> keys.CopiedPart:
        """Write the file of a part, whose rows advance `lines` to its end."""
        self.options.check_time()
        body = encode_rows(self._rows(part, lines), self.options.check_time)
        file = keys.CopiedPart(self.pointer.copy, index, lines.before or 0)
        write_once(self.store, self._ref(file), body, CONTENT_TYPE)
        return file

    def _rows(self, part: Part | None, lines: Lines) -> Iterator[CatalogRow]:
        if part is None:
            yield row_of_receipt(self.receipt)
            return
        stored = self.results.open(self.pointer.result, self.receipt, part)
        share = 1 / max(1, self.receipt.content.get("counts", {}).get("total", 0))
        for row in rows_of_part(stored, part.key, self.options, self.receipt, lines):
            yield row
            self.on_advance(share)

    def _ref(self, file: keys.CopiedPart) -> ObjectRef:
        key = keys.file_key(self.place.key, self.pointer.date, self.pointer.result, file)
        return ObjectRef(self.place.bucket, key)
