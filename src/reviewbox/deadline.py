"""How much of an invocation's time is left."""

from collections.abc import Callable
from dataclasses import dataclass

from reviewbox.errors import NotStartedError, OutOfTimeError
from reviewbox.objects import ObjectRef, SegmentRef

# Enough time to classify the reviews in progress and to write the result.
RESERVED_SECONDS = 15.0

# Enough time to say which objects are done and which are not, and to let SQS deliver the latter again soon.
_SECONDS_FOR_ANSWER = 7.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of an invocation; `remaining_seconds` returns how much time is left."""

    remaining_seconds: Callable[[], float]

    def check_start(self, ref: ObjectRef | SegmentRef) -> None:
        """Raise NotStartedError if too little time is left to start work on `ref`."""
        if self._has_passed():
            raise NotStartedError(f"too little of the invocation's time was left to start {ref}")

    def check(self, ref: ObjectRef) -> None:
        """Raise OutOfTimeError if too little time is left to continue with `ref`."""
        if self._has_passed():
            raise OutOfTimeError(
                f"{ref} needs more time than the function has: split the object, or raise TimeoutSeconds"
            )

    def allows(self, seconds: float) -> bool:
        """Return whether work can still be started after a wait of this many seconds."""
        return self.remaining_seconds() - seconds >= RESERVED_SECONDS

    def seconds_until_answer(self) -> float:
        """Return how long the invocation may wait for work in progress before it has to answer.

        The number is negative if the answer is overdue.
        """
        return self.remaining_seconds() - _SECONDS_FOR_ANSWER

    def _has_passed(self) -> bool:
        return not self.allows(0)
