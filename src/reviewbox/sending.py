"""Sends items to an AWS service in batches, and again those that the service rejects. Does no I/O itself."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

# Held while a client is created: boto3's default session is not thread-safe.
DEFAULT_SESSION = threading.Lock()

# The limits of one request of SQS and of EventBridge. AWS has since raised the size limit of SQS; other
# implementations have not.
MAX_BATCH = 10  # items
_MAX_BATCH_BYTES = 262_144

MAX_SENDS = 5


def in_batches(items: Iterable[T], size_of: Callable[[T], int] = lambda _: 0) -> Iterator[list[T]]:
    """Group items so that no request exceeds the limits; an item that is too large is sent alone."""
    batch: list[T] = []
    for item in items:
        if batch and (len(batch) == MAX_BATCH or sum(map(size_of, [*batch, item])) > _MAX_BATCH_BYTES):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def send_batch(
    items: Sequence[T], send: Callable[[Mapping[int, T]], Mapping[int, str]], sleep: Callable[[float], None]
) -> Mapping[int, str]:
    """Send items with one request. Those that the service rejects are sent again with exponential backoff.

    `send` gets numbered items, and returns the error codes of those that were rejected, by number.

    Returns:
        The last error codes of the items that were rejected each time, by their position in `items`.
    """
    remaining = dict(enumerate(items))
    rejected: Mapping[int, str] = {}
    for attempt in range(MAX_SENDS):
        if attempt:
            sleep(0.1 * (2**attempt - 1))
        rejected = send(remaining)
        remaining = {number: remaining[number] for number in rejected}
        if not remaining:
            break
    return rejected
