"""A redrive: dead letters are moved back to the queue for uploads."""

from collections.abc import Iterator
from contextlib import suppress

from reviewbox.events import retry_message
from reviewbox.queue import Queue

# Longer than it takes to send and delete a batch.
_HIDDEN_SECONDS = 60
_MAX_COUNTS = 3


def move_messages(source: Queue, target: Queue) -> Iterator[int]:
    """Move messages until the source has none that can be received; yield the number moved in each batch.

    SQS has an operation for this (`StartMessageMoveTask`), but local clouds do not implement it. A message
    is deleted after its copy has been sent, so an interruption may duplicate a message, which is harmless,
    but cannot lose one.
    """
    while messages := source.receive(_HIDDEN_SECONDS):
        try:
            target.send(retry_message(message.body) for message in messages)
            moved = source.delete(messages)
        except BaseException:
            with suppress(Exception):  # the original error is the one to report
                source.release(messages)
            raise
        yield moved


def count_remaining(queue: Queue) -> int:
    """Return the number of messages in a queue, counted again while SQS may still include deleted ones."""
    for _ in range(_MAX_COUNTS - 1):
        if not queue.count().total:
            return 0
        queue.sleep(1.0)
    return queue.count().total
