"""Keys of the objects that coordinate the work on a large table. Pure.

work/<table id>/plan.json           how the table is split
work/<table id>/input/00000         the bytes of a segment, if the table is compressed
work/<table id>/sent                which segments were sent to the queue
work/<table id>/done/00000-<etag>   the counts of a segment whose part has this ETag
"""

import hashlib
from dataclasses import dataclass

from reviewbox.objects import ObjectRef


@dataclass(frozen=True, slots=True)
class WorkKeys:
    """The objects of one plan."""

    bucket: str  # for results
    prefix: str  # the work prefix, followed by the table's id and a slash

    @property
    def plan(self) -> ObjectRef:
        """The plan."""
        return self._ref("plan.json")

    @property
    def sent(self) -> ObjectRef:
        """The record of which segments were sent to the queue."""
        return self._ref("sent")

    @property
    def inputs(self) -> ObjectRef:
        """The prefix of all inputs."""
        return self._ref("input/")

    @property
    def results(self) -> ObjectRef:
        """The prefix of all segment results."""
        return self._ref("done/")

    def input(self, index: int) -> ObjectRef:
        """Return the object that holds the decompressed bytes of a segment."""
        return self._ref(f"input/{index:05}")

    def result(self, index: int, etag: str) -> ObjectRef:
        """Return the object that records the result of a segment whose part has this ETag.

        So a listing of the results and one of the parts together show which segments are done.
        """
        return self._ref(f"done/{index:05}-{hashlib.sha256(etag.encode()).hexdigest()[:32]}")

    def index_of_result(self, key: str) -> int | None:
        """Return the index of the segment whose result has this key; None if no result has it."""
        index, _, _ = key.removeprefix(self.results.key).partition("-")
        return int(index) if index.isascii() and index.isdigit() else None

    def _ref(self, name: str) -> ObjectRef:
        return ObjectRef(self.bucket, f"{self.prefix}{name}")
