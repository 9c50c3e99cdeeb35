"""Finds old parts of tables that no receipt names, and removes them (ADR 14).

A worker removes what its receipt no longer names. If it dies, the next delivery of its message removes what
it left. If that message is lost, no worker comes back to the source. So a schedule looks at all results, as
far as one invocation gets, and the next invocation continues from there.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from reviewbox.deadline import Deadline
from reviewbox.errors import ConflictError, OutOfTimeError
from reviewbox.objects import Listed, ObjectRef
from reviewbox.results import keys
from reviewbox.results.receipt import Receipt, is_made_from
from reviewbox.results.receipt_store import read_receipt
from reviewbox.settings import Settings
from reviewbox.storage import ObjectStore, describe
from reviewbox.sweep import SourceSweeper

logger = logging.getLogger(__name__)

# By then, the plan of a large table has expired and SQS has deleted the messages of its segments. Nobody
# counts on an older part any more. If someone uses it after all, the removal is still safe.
ABANDONED_SECONDS = 5 * 86_400.0

_MAX_KEY_BYTES = 1024
_DIGEST_LENGTH = 16
_TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Swept:
    """What one look at the results found."""

    tables: int  # the tables that were compared with their receipts
    sources: int  # those whose leftover parts were removed
    is_complete: bool  # whether the last result was reached. If not, the next invocation continues.


@dataclass(frozen=True, slots=True)
class LeftoverFinder:
    """Finds the sources of one bucket that have old parts which no receipt names."""

    store: ObjectStore
    settings: Settings
    bucket: str
    before: float  # what has changed since this time is not looked at; in seconds since 1970

    @property
    def results(self) -> ObjectRef:
        """The bucket and the prefix of the results."""
        return ObjectRef(self.settings.results_bucket or self.bucket, self.settings.results_prefix)

    @property
    def place(self) -> ObjectRef:
        """Where a sweep keeps the last key that it has seen. Each deployment has its own."""
        deployment = [self.bucket, self.settings.source_prefix, self.results.key]
        digest = hashlib.sha256(json.dumps(deployment).encode()).hexdigest()[:_DIGEST_LENGTH]
        return ObjectRef(self.results.bucket, f"{self.settings.work_prefix}sweep/{digest}")

    def pages(self, after: str = "") -> Iterator[Sequence[Listed]]:
        """List the results whose keys come after `after`."""
        return self.store.pages(self.results.bucket, self.results.key, after)

    def tables(self, page: Iterable[Listed]) -> Mapping[str, set[str]]:
        """Return the keys of the old parts on a page, by the keys of their receipts.

        A table with a part that has changed since `before` is left out.
        """
        parts: dict[str, list[Listed]] = {}
        for item in page:
            if receipt_key := keys.receipt_key_of_part(item.key):
                parts.setdefault(receipt_key, []).append(item)
        return {
            receipt_key: {item.key for item in items}
            for receipt_key, items in parts.items()
            if all(item.modified < self.before for item in items)
        }

    def source_with_leftovers(self, receipt_key: str, parts: set[str]) -> ObjectRef | None:
        """Return the source of parts that its receipt does not name; None if there is nothing to do.

        Nothing is done about results of other deployments, and about a receipt that cannot be read. It may be
        from a different version of Reviewbox, and the next event for its source replaces it.
        """
        stored = read_receipt(self.store, ObjectRef(self.results.bucket, receipt_key))
        if stored is None:
            source_key = keys.source_key_of_receipt(receipt_key, self.results.key)
            named: set[str] = set()
        else:
            source_key = self._own_key(stored.receipt, receipt_key)
            named = {part.key for part in stored.receipt.parts}
        if not source_key or not source_key.startswith(self.settings.source_prefix):
            return None
        source = ObjectRef(self.bucket, source_key)
        if stored is None:  # the parts may be of a source in another bucket
            named = {part for part in parts if not self._may_be_made_from(part, source)}
        return source if parts - named else None

    def _may_be_made_from(self, part: str, source: ObjectRef) -> bool:
        """Return whether a part may belong to a source. Keys of older versions do not name its bucket."""
        table_id = keys.table_id_of(part, self.results.key, source.key)
        if table_id is None:
            return keys.is_table_key(part, self.results.key, source.key)
        return is_made_from(table_id, source)

    def _own_key(self, receipt: Receipt, receipt_key: str) -> str | None:
        """Return the key of the source that a receipt names, if it is in the bucket and has this receipt."""
        source = receipt.source
        if source is None or source.bucket != self.bucket:
            return None
        return source.key if keys.receipt_key(self.results.key, source.key) == receipt_key else None


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Removes what a `LeftoverFinder` finds. It keeps its place under `work/`."""

    finder: LeftoverFinder
    sources: SourceSweeper

    def run(self, deadline: Deadline) -> Swept:
        """Continue where the last run stopped, until time runs out or the last result is reached."""
        store, place = self.finder.store, self.finder.place
        stored = store.read(place, _MAX_KEY_BYTES)
        start = after = (stored.body or b"").decode("utf-8", "ignore") if stored else ""
        tables = sources = 0
        is_complete = False
        try:
            with ThreadPoolExecutor(self.finder.settings.objects_at_once) as pool:
                for page in self.finder.pages(after):
                    if not page:
                        continue
                    deadline.check(ObjectRef(self.finder.results.bucket, page[0].key))
                    found = self.finder.tables(page)
                    sources += sum(pool.map(partial(self._sweep, deadline), found, found.values()))
                    tables += len(found)
                    after = page[-1].key
            is_complete, after = True, ""
        except OutOfTimeError:
            pass
        except Exception:
            after = "" if after == start else after  # perhaps nothing can be listed after this text
            raise
        finally:
            if after != start:
                with suppress(ConflictError):  # another run has come as far
                    etag = stored.revision.etag if stored else None
                    store.write(place, after.encode(), _TEXT, replaces=etag)
        return Swept(tables, sources, is_complete)

    def _sweep(self, deadline: Deadline, receipt_key: str, parts: set[str]) -> bool:
        """Remove the leftovers of a source; return whether there were some that could be removed."""
        receipt = ObjectRef(self.finder.results.bucket, receipt_key)
        deadline.check(receipt)
        try:
            source = self.finder.source_with_leftovers(receipt_key, parts)
            if source:
                self.sources.sweep(source, self.finder.before)
        except Exception as error:  # noqa: BLE001 - the next run tries again, and this one continues
            logger.warning(
                "sweep.skipped",
                extra={"bucket": receipt.bucket, "key": receipt_key, "reason": describe(error)},
            )
            return False
        return source is not None
