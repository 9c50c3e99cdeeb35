"""A fake SQS in memory: the operations, parameters and errors that Reviewbox uses.

Redelivery, visibility and dead letters follow a clock that only moves when it is told to. `test_fakes.py`
compares this fake with moto.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.clients import Service, client_error

MAX_BATCH = 10
_MAX_BATCH_BYTES = 262_144


@dataclass(slots=True)
class StoredMessage:
    """A message in a queue."""

    message_id: str
    body: str
    sent_at: float
    visible_at: float = 0.0  # it can be received after this time
    receives: int = 0

    def has_handle(self, handle: str) -> bool:
        """Return whether a receive of this message gave this handle."""
        message_id, _, receive = handle.partition(":")
        return message_id == self.message_id and int(receive) <= self.receives


@dataclass(slots=True)
class MessageQueue:
    """A queue, and where its messages go after too many receives."""

    visibility: float = 30.0
    max_receives: int | None = None
    dead_letters: "MessageQueue | None" = None
    messages: list[StoredMessage] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)  # the ids of messages


@dataclass(slots=True)
class Sqs(Service):
    """The state of SQS, which all clients share.

    `order` arranges the messages that a receive may return. SQS promises no order.
    """

    order: Callable[[list[StoredMessage]], Iterable[StoredMessage]] = lambda messages: messages
    queues: dict[str, MessageQueue] = field(default_factory=dict)  # by URL
    _ids: int = 0

    def expire(self, url: str, seconds: float) -> list[StoredMessage]:
        """Delete the messages that are older than a queue keeps them, and return them."""
        queue = self.queues[url]
        expired = [message for message in queue.messages if message.sent_at < self.clock.now - seconds]
        queue.messages = [message for message in queue.messages if message not in expired]
        return expired

    def receive_message(
        self,
        QueueUrl: str,
        MaxNumberOfMessages: int = 1,
        VisibilityTimeout: float | None = None,
        WaitTimeSeconds: int = 0,  # noqa: ARG002
        MessageSystemAttributeNames: Iterable[str] = (),
    ) -> Any:
        """Return visible messages and hide them; move those with too many receives to the dead letters."""
        queue = self._queue("ReceiveMessage", QueueUrl)
        hidden = queue.visibility if VisibilityTimeout is None else VisibilityTimeout
        received: list[dict[str, Any]] = []
        for message in self.order([m for m in queue.messages if m.visible_at < self.clock.now]):
            if len(received) == MaxNumberOfMessages:
                break
            if queue.max_receives is not None and message.receives >= queue.max_receives:
                assert queue.dead_letters is not None
                queue.messages.remove(message)
                queue.dead_letters.messages.append(message)
                continue
            message.receives += 1
            message.visible_at = self.clock.now + hidden if hidden else message.visible_at
            received.append(self._describe(message, MessageSystemAttributeNames))
        return {"Messages": received} if received else {}

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:
        """Send up to ten messages."""
        queue = self._queue("SendMessageBatch", QueueUrl)
        _check_batch("SendMessageBatch", Entries)
        if sum(len(entry["MessageBody"].encode()) for entry in Entries) > _MAX_BATCH_BYTES:
            raise client_error("SendMessageBatch", "AWS.SimpleQueueService.BatchRequestTooLong", 400)
        for entry in Entries:
            self._ids += 1
            queue.messages.append(StoredMessage(f"m{self._ids}", entry["MessageBody"], self.clock.now))
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:
        """Delete up to ten received messages."""
        queue = self._queue("DeleteMessageBatch", QueueUrl)
        _check_batch("DeleteMessageBatch", Entries)
        answer: dict[str, list[Any]] = {"Successful": [], "Failed": []}
        for entry in Entries:
            message = next((m for m in queue.messages if m.has_handle(entry["ReceiptHandle"])), None)
            if message:
                queue.messages.remove(message)
                queue.deleted.add(message.message_id)
            is_deleted = entry["ReceiptHandle"].partition(":")[0] in queue.deleted
            answer["Successful" if is_deleted else "Failed"].append(_result(entry, is_valid=is_deleted))
        return answer

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:
        """Hide up to ten received messages for another time."""
        queue = self._queue("ChangeMessageVisibilityBatch", QueueUrl)
        _check_batch("ChangeMessageVisibilityBatch", Entries)
        answer: dict[str, list[Any]] = {"Successful": [], "Failed": []}
        for entry in Entries:
            message = next((m for m in queue.messages if m.has_handle(entry["ReceiptHandle"])), None)
            if message:
                message.visible_at = self.clock.now + entry["VisibilityTimeout"]
            answer["Successful" if message else "Failed"].append(_result(entry, is_valid=bool(message)))
        return answer

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: Iterable[str]) -> Any:  # noqa: ARG002
        """Return the numbers of messages."""
        queue = self._queue("GetQueueAttributes", QueueUrl)
        visible = sum(message.visible_at < self.clock.now for message in queue.messages)
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(len(queue.messages) - visible),
                "ApproximateNumberOfMessagesDelayed": "0",
            }
        }

    def _queue(self, operation: str, url: str) -> MessageQueue:
        if url not in self.queues:
            raise client_error(operation, "AWS.SimpleQueueService.NonExistentQueue", 400)
        return self.queues[url]

    def _describe(self, message: StoredMessage, names: Iterable[str]) -> dict[str, Any]:
        described: dict[str, Any] = {
            "MessageId": message.message_id,
            "Body": message.body,
            "ReceiptHandle": f"{message.message_id}:{message.receives}",
            "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        }
        if names:
            described["Attributes"] = {"ApproximateReceiveCount": str(message.receives)}
        return described


def _check_batch(operation: str, entries: list[dict[str, Any]]) -> None:
    prefix = "AWS.SimpleQueueService."
    if not entries:
        raise client_error(operation, f"{prefix}EmptyBatchRequest", 400)
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise client_error(operation, f"{prefix}BatchEntryIdsNotDistinct", 400)
    if len(entries) > MAX_BATCH:
        raise client_error(operation, f"{prefix}TooManyEntriesInBatchRequest", 400)


def _result(entry: dict[str, Any], *, is_valid: bool) -> dict[str, Any]:
    return {"Id": entry["Id"]} | ({} if is_valid else {"Code": "ReceiptHandleIsInvalid", "SenderFault": True})
