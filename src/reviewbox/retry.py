"""One way to try again."""

from collections.abc import Callable
from typing import TypeVar

from reviewbox.errors import ConflictError, ContentionError
from reviewbox.objects import ObjectRef

T = TypeVar("T")

_MAX_ATTEMPTS = 8


def retry_on_conflict(
    attempt: Callable[[], T], ref: ObjectRef, on_conflict: Callable[[ConflictError], None]
) -> T:
    """Return what `attempt` returns once no other worker interferes with it.

    Args:
        attempt: reads the current state and writes on condition that it has not changed.
        ref: the object whose result is being written, for the error message.
        on_conflict: called after each attempt that lost a race.

    Raises:
        ContentionError: every attempt lost a race.
    """
    for _ in range(_MAX_ATTEMPTS):
        try:
            return attempt()
        except ConflictError as error:
            on_conflict(error)
    raise ContentionError(f"other workers changed the result of {ref} during all {_MAX_ATTEMPTS} attempts")
