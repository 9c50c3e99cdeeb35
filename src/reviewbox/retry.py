"""Repeats work after a lost race against another worker, and after transient errors."""

import logging
import random
from collections.abc import Callable
from typing import TypeVar

from reviewbox.errors import ConflictError, ContentionError
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.storage import describe, is_transient

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_ATTEMPTS = 8

# The longest waits between attempts. botocore has already repeated each request a few times by then, except
# for a body that was cut off.
_SECONDS_TO_WAIT = (1.0, 5.0, 20.0)


def retry_on_conflict(
    attempt: Callable[[], T],
    ref: ObjectRef | SegmentRef,
    on_conflict: Callable[[ObjectRef], None] = lambda _: None,
) -> T:
    """Call `attempt` until no other worker interferes, and return what it returns.

    Each attempt reads the current state, and writes only if the state has not changed. `on_conflict` is
    called with the contended object after each attempt that lost a race.

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


def retry_transient(attempt: Callable[[], T], source: ObjectRef, wait: Callable[[float], bool]) -> T:
    """Call `attempt` until it raises no transient error, up to four times, and return what it returns.

    The waits grow and are random, so that many workers do not come back at once. Errors of the last attempt
    pass through.

    `wait` waits for a number of seconds; it returns False immediately if too little time is left for that.
    """
    for seconds in _SECONDS_TO_WAIT:
        try:
            return attempt()
        except Exception as error:
            if not is_transient(error) or not wait(seconds * random.uniform(0.5, 1)):  # noqa: S311 - no secret
                raise
            reason = {"bucket": source.bucket, "key": source.key, "reason": describe(error)}
            logger.info("object.retried", extra=reason)
    return attempt()
