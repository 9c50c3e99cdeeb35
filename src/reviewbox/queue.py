"""Amazon SQS queues. This is the only module that sends messages."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import boto3
from botocore.config import Config

from reviewbox.errors import QueueError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

T = TypeVar("T")

# The limits of one SQS request. AWS has since raised the size limit; other implementations have not.
MAX_BATCH = 10  # messages
_MAX_BATCH_BYTES = 262_144

_MAX_SENDS = 5
_COUNTS: "list[QueueAttributeNameType]" = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5})
# For requests that are not worth waiting for.
_HASTY_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=2)
_DEFAULT_SESSION = threading.Lock()  # boto3's default session is not thread-safe


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The approximate number of messages in a queue."""

    queued: int  # can be received now
    in_flight: int  # were received and not yet deleted or released
    delayed: int  # cannot be received yet

    @property
    def total(self) -> int:
        """The number of messages in any state."""
        return self.queued + self.in_flight + self.delayed


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that was received and is hidden from other receivers for a while."""

    message_id: str
    body: str
    receipt_handle: str  # to release or delete the message with


@dataclass(frozen=True)
class Queue:
    """An SQS queue. Errors of botocore pass through unchanged."""

    url: str
    client: "SQSClient | None" = None  # None to create one for the first request
    sleep: Callable[[float], None] = time.sleep  # waits between attempts

    @classmethod
    def of_arn(cls, arn: str) -> Self:
        """Return the queue that an event comes from. Its requests fail rather than wait."""
        account, name = arn.split(":")[-2:]
        with _DEFAULT_SESSION:
            client: SQSClient = boto3.client("sqs", config=_HASTY_CONFIG)
        return cls(f"{client.meta.endpoint_url}/{account}/{name}", client)

    @cached_property
    def _sqs(self) -> "SQSClient":
        """The client, created on first use because most invocations never need one."""
        if self.client:
            return self.client
        with _DEFAULT_SESSION:
            client: SQSClient = boto3.client("sqs", config=_CONFIG)
        return client

    def send(self, bodies: Iterable[str]) -> None:
        """Send a message for each body. Messages that SQS rejects are sent again with exponential backoff.

        Raises:
            QueueError: SQS rejected some messages each time; other messages may have been sent.
        """
        for batch in _batches(bodies, lambda body: len(body.encode())):
            self._send_batch(batch)

    def count(self) -> QueueCounts:
        """Return the approximate number of messages in the queue."""
        response = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=_COUNTS)
        return QueueCounts(*(int(response["Attributes"][name]) for name in _COUNTS))

    def receive(self, hidden_seconds: int) -> list[ReceivedMessage]:
        """Return up to `MAX_BATCH` messages and hide them from other receivers for `hidden_seconds`."""
        response = self._sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=MAX_BATCH,
            VisibilityTimeout=hidden_seconds,
            WaitTimeSeconds=1,  # with 0, SQS asks only some of its servers and may miss messages
        )
        return [
            ReceivedMessage(message["MessageId"], message["Body"], message["ReceiptHandle"])
            for message in response.get("Messages", [])
        ]

    def release(self, messages: Iterable[ReceivedMessage], hidden_seconds: int = 0) -> None:
        """Make received messages visible to other receivers again, at once or after some seconds."""
        self.hide(dict.fromkeys(messages, hidden_seconds))

    def hide(self, seconds: Mapping[ReceivedMessage, int]) -> None:
        """Hide each received message from all receivers for a number of seconds from now on."""
        for batch in _batches(seconds):
            times = [{"VisibilityTimeout": seconds[message]} for message in batch]
            entries: Any = [entry | time for entry, time in zip(_entries(batch), times, strict=True)]
            self._sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)

    def delete(self, messages: Iterable[ReceivedMessage]) -> int:
        """Delete received messages and return how many of them SQS deleted."""
        deleted = 0
        for batch in _batches(messages):
            response = self._sqs.delete_message_batch(QueueUrl=self.url, Entries=_entries(batch))
            deleted += len(response.get("Successful", []))
        return deleted

    def _send_batch(self, bodies: Sequence[str]) -> None:
        remaining = {str(index): body for index, body in enumerate(bodies)}
        for attempt in range(_MAX_SENDS):
            if attempt:
                self.sleep(0.1 * (2**attempt - 1))
            response = self._sqs.send_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": index, "MessageBody": body} for index, body in remaining.items()],
            )
            rejected = response.get("Failed", [])
            if not rejected:
                return
            remaining = {entry["Id"]: remaining[entry["Id"]] for entry in rejected}
        raise QueueError(
            f"{self.url}: SQS rejected {len(remaining)} of {len(bodies)} messages {_MAX_SENDS} times "
            f"(last error code: {rejected[-1]['Code']}); try again later"
        )


def _entries(messages: Iterable[ReceivedMessage]) -> Any:
    return [{"Id": str(i), "ReceiptHandle": message.receipt_handle} for i, message in enumerate(messages)]


def _batches(items: Iterable[T], size_of: Callable[[T], int] = lambda _: 0) -> Iterator[list[T]]:
    """Group items so that no request exceeds the limits of SQS; an item that is too large is sent alone."""
    batch: list[T] = []
    for item in items:
        if batch and (len(batch) == MAX_BATCH or sum(map(size_of, [*batch, item])) > _MAX_BATCH_BYTES):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
