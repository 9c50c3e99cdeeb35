"""Keys of the objects that coordinate the work on a large table. Pure.

work/<plan id>/plan.json          how the table is split
work/<plan id>/input/00000        the bytes of a segment, if the table is compressed
work/<plan id>/sent               whether every segment that is not done is in the queue
work/<plan id>/done/00000.json    the result of a segment: the ETag of its part, and its counts
"""

from dataclasses import dataclass

from reviewbox.objects import ObjectRef


@dataclass(frozen=True, slots=True)
class WorkKeys:
    """The objects of one plan."""

    bucket: str  # for results
    prefix: str  # the work prefix, followed by the plan's id and a slash

    @property
    def plan(self) -> ObjectRef:
        """The plan."""
        return self._ref("plan.json")

    @property
    def sent(self) -> ObjectRef:
        """The record of whether every segment that is not done is in the queue."""
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

    def result(self, index: int) -> ObjectRef:
        """Return the object that records the result of a segment."""
        return self._ref(f"done/{index:05}.json")

    def _ref(self, name: str) -> ObjectRef:
        return ObjectRef(self.bucket, f"{self.prefix}{name}")
