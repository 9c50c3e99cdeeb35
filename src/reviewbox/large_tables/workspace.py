"""The objects in S3 with which workers coordinate on one large table.

work/<table id>/plan.json           how the table is split
work/<table id>/input/00000         the bytes of a segment, if the table is compressed
work/<table id>/sent                which segments were sent to the queue
work/<table id>/done/00000-<etag>   the counts of a segment whose part has this ETag
"""

import hashlib
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from reviewbox.documents.segments import SegmentedTable
from reviewbox.errors import ConflictError
from reviewbox.large_tables.plan import Plan, Sent, seal, unseal
from reviewbox.objects import ObjectRef
from reviewbox.results.receipt import Counts, Part
from reviewbox.retry import retry_on_conflict
from reviewbox.storage import ObjectStore, list_etags, write_once

_PARALLEL_READS = 10
_MAX_PLAN_BYTES = 64 * 1024 * 1024
_MAX_SENT_BYTES = _MAX_COUNTS_BYTES = 1024 * 1024
_JSON = "application/json"
_PLAN, _SENT, _INPUTS, _RESULTS = "plan.json", "sent", "input/", "done/"


@dataclass(frozen=True, slots=True)
class StoredSent:
    """The record of which segments were sent, as it was read; None if it is not what a worker wrote."""

    record: Sent | None
    etag: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """The objects of one plan."""

    store: ObjectStore  # where they are
    place: ObjectRef  # the bucket for results, and the prefix of their keys
    source: ObjectRef  # the table
    table_id: str  # the id of the plan

    def read_plan(self) -> Plan | None:
        """Return the plan; None if it does not exist or is not what a worker wrote."""
        stored = self.store.read(self._ref(_PLAN), _MAX_PLAN_BYTES)
        plan = Plan.decode(stored.body) if stored else None
        return plan if plan and plan.id == self.table_id and plan.source == self.source else None

    def write_plan(self, plan: Plan) -> None:
        """Write the plan."""
        write_once(self.store, self._ref(_PLAN), plan.encode(), _JSON)

    def write_input(self, index: int, data: bytes) -> str:
        """Write the bytes of a segment; return their ETag."""
        return write_once(self.store, self._input_ref(index), data, "application/octet-stream")

    def has_inputs(self, plan: Plan) -> bool:
        """Return whether all inputs exist unchanged. They are older than the plan, so they expire first."""
        if not plan.inputs:
            return True
        etags = self._list(_INPUTS)
        return all(etags.get(self._input_ref(index)) == etag for index, etag in enumerate(plan.inputs))

    def read_segment(self, plan: Plan, index: int) -> bytes | None:
        """Return the bytes of a segment, or None if they have expired or were changed."""
        if isinstance(plan.segmented, SegmentedTable) and not plan.inputs:
            segment = plan.segmented.segments[index]
            with (
                suppress(ConflictError),
                self.store.stream(plan.source, plan.revision, segment.start, segment.end) as stream,
            ):
                return stream.read()
            return None
        stored = self.store.read(self._input_ref(index), sys.maxsize)
        return stored.body if stored and stored.revision.etag == plan.inputs[index] else None

    def results(self, plan: Plan) -> Mapping[ObjectRef, int]:
        """Return the recorded results of segments, each with the index of its segment."""
        prefix = self._ref(_RESULTS).key
        numbers = {ref: ref.key.removeprefix(prefix).partition("-")[0] for ref in self._list(_RESULTS)}
        indexes = {ref: int(n) for ref, n in numbers.items() if n.isascii() and n.isdigit()}
        return {ref: index for ref, index in indexes.items() if index < len(plan)}

    def result_ref(self, index: int, etag: str) -> ObjectRef:
        """Return the object that records the result of a segment whose part has this ETag.

        Because of the ETag, a listing of the results and one of the parts show which segments are done.
        """
        return self._ref(f"{_RESULTS}{index:05}-{hashlib.sha256(etag.encode()).hexdigest()[:32]}")

    def write_counts(self, index: int, etag: str, counts: Counts) -> None:
        """Record the result of a segment whose part has this ETag."""
        result, body = self.result_ref(index, etag), seal(counts.to_dict())
        retry_on_conflict(lambda: write_once(self.store, result, body, _JSON), result)

    def read_counts(self, index: int, etag: str) -> Counts | None:
        """Return the counts of a segment whose part has this ETag; None if they are not recorded."""
        stored = self.store.read(self.result_ref(index, etag), _MAX_COUNTS_BYTES)
        return unseal(stored.body, Counts.from_dict) if stored else None

    def read_all_counts(self, done: Mapping[int, Part]) -> dict[int, Counts]:
        """Return the counts of the segments that are done, except those that cannot be read."""
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            counts = list(pool.map(lambda index: self.read_counts(index, done[index].etag), done))
        return {index: each for index, each in zip(done, counts, strict=True) if each is not None}

    def read_sent(self) -> StoredSent | None:
        """Return the record of which segments were sent, or None if there is none."""
        stored = self.store.read(self._ref(_SENT), _MAX_SENT_BYTES)
        return StoredSent(Sent.decode(stored.body), stored.revision.etag) if stored else None

    def write_sent(self, record: Sent, replaces: str | None) -> str:
        """Record which segments are sent, replacing the record with this ETag; return the new ETag.

        Raises:
            ConflictError: another worker has written a record since.
        """
        return self.store.write(self._ref(_SENT), record.encode(), _JSON, replaces=replaces)

    def forget_sent(self) -> None:
        """Empty the record of which segments were sent, if there is one and nobody else changes it."""
        stored = self.store.read(self._ref(_SENT), _MAX_SENT_BYTES)
        if stored and stored.body:
            with suppress(ConflictError):
                self.store.write(self._ref(_SENT), b"", _JSON, replaces=stored.revision.etag)

    def _list(self, folder: str) -> dict[ObjectRef, str]:
        etags = list_etags(self.store, self.place.bucket, self._ref(folder).key)
        return {ObjectRef(self.place.bucket, key): etag for key, etag in etags.items()}

    def _input_ref(self, index: int) -> ObjectRef:
        return self._ref(f"{_INPUTS}{index:05}")

    def _ref(self, name: str) -> ObjectRef:
        return ObjectRef(self.place.bucket, self.place.key + name)
