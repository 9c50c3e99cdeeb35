"""Amazon SQS queues. This is the only module that sends messages."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

from reviewbox.errors import QueueError
from reviewbox.sending import DEFAULT_SESSION, MAX_BATCH, MAX_SENDS, in_batches, send_batch

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_COUNTS: "list[QueueAttributeNameType]" = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5})
# For requests that should fail rather than wait.
_FAIL_FAST_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=2)


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
        with DEFAULT_SESSION:
            client: SQSClient = boto3.client("sqs", config=_FAIL_FAST_CONFIG)
        return cls(f"{client.meta.endpoint_url}/{account}/{name}", client)

    @cached_property
    def _sqs(self) -> "SQSClient":
        """The client, created on first use because most invocations never need one."""
        if self.client:
            return self.client
        with DEFAULT_SESSION:
            client: SQSClient = boto3.client("sqs", config=_CONFIG)
        return client

    def send(self, bodies: Iterable[str]) -> None:
        """Send a message for each body. Messages that SQS rejects are sent again with exponential backoff.

        Raises:
            QueueError: SQS rejected some messages each time; other messages may have been sent.
        """
        for batch in in_batches(bodies, lambda body: len(body.encode())):
            if rejected := send_batch(batch, self._send_once, self.sleep):
                raise QueueError(
                    f"{self.url}: SQS rejected {len(rejected)} of {len(batch)} messages {MAX_SENDS} times "
                    f"(last error code: {list(rejected.values())[-1]}); try again later"
                )

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
        """Make received messages visible to other receivers again, immediately or after some seconds."""
        self.hide(dict.fromkeys(messages, hidden_seconds))

    def hide(self, seconds: Mapping[ReceivedMessage, int]) -> None:
        """Hide each received message from all receivers for a number of seconds from now on."""
        for batch in in_batches(seconds):
            times = [{"VisibilityTimeout": seconds[message]} for message in batch]
            entries: Any = [entry | time for entry, time in zip(_entries(batch), times, strict=True)]
            self._sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)

    def delete(self, messages: Iterable[ReceivedMessage]) -> int:
        """Delete received messages and return how many of them SQS deleted."""
        deleted = 0
        for batch in in_batches(messages):
            response = self._sqs.delete_message_batch(QueueUrl=self.url, Entries=_entries(batch))
            deleted += len(response.get("Successful", []))
        return deleted

    def _send_once(self, bodies: Mapping[int, str]) -> dict[int, str]:
        response = self._sqs.send_message_batch(
            QueueUrl=self.url,
            Entries=[{"Id": str(index), "MessageBody": body} for index, body in bodies.items()],
        )
        return {int(entry["Id"]): entry["Code"] for entry in response.get("Failed", [])}


def _entries(messages: Iterable[ReceivedMessage]) -> Any:
    return [{"Id": str(i), "ReceiptHandle": message.receipt_handle} for i, message in enumerate(messages)]
