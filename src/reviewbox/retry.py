"""Repeats conditional writes that lost a race against another worker."""

import logging
from collections.abc import Callable
from typing import TypeVar

from reviewbox.errors import ConflictError, ContentionError
from reviewbox.objects import ObjectRef, SegmentRef

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_ATTEMPTS = 8


def retry_on_conflict(
    attempt: Callable[[], T],
    ref: ObjectRef | SegmentRef,
    on_conflict: Callable[[ObjectRef], None] = lambda _: None,
) -> T:
    """Call `attempt` until no other worker interferes, and return what it returns.

    Args:
        attempt: reads the current state and writes on condition that the state has not changed.
        ref: what the attempt is about, for the error message.
        on_conflict: called with the contended object after each attempt that lost a race.

    Raises:
        ContentionError: every attempt lost a race.
    """
    for _ in range(_MAX_ATTEMPTS):
        try:
            return attempt()
        except ConflictError as error:
            logger.info("object.contended", extra={"bucket": error.ref.bucket, "key": error.ref.key})
            on_conflict(error.ref)
    raise ContentionError(f"other workers changed the result of {ref} during all {_MAX_ATTEMPTS} attempts")
