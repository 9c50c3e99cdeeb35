"""Decides when SQS delivers a failed message again."""

import random
from collections.abc import Iterable, Mapping

from reviewbox.events import Message
from reviewbox.queue import ReceivedMessage

# After the first delivery, the second, and each later one. What makes a message fail often lasts for minutes,
# such as a busy service, or until someone acts.
_MINUTES = (2, 10, 60)


def redelivery_seconds(receive_count: int) -> int:
    """Return how long a failed message waits. Half of the time is added at random, to spread the messages."""
    minutes = _MINUTES[min(max(receive_count, 1), len(_MINUTES)) - 1]
    return round(60 * minutes * random.uniform(1, 1.5))  # noqa: S311 - no secret


def redeliveries(
    messages: Iterable[Message], max_receives: int
) -> Mapping[str, Mapping[ReceivedMessage, int]]:
    """Return how many seconds each message waits, by the ARN of its queue.

    A message that will not be delivered again does not wait, so that it becomes a dead letter immediately.
    """
    queues: dict[str, dict[ReceivedMessage, int]] = {}
    for message in messages:
        if message.message_id and message.queue_arn and message.receipt_handle:
            received = ReceivedMessage(message.message_id, message.body, message.receipt_handle)
            is_last = message.is_last_delivery(max_receives)
            seconds = 0 if is_last else redelivery_seconds(message.receive_count)
            queues.setdefault(message.queue_arn, {})[received] = seconds
    return queues
