"""What Lambda and its event source mapping do: take messages, invoke, delete what succeeded."""

import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviewbox.local.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any], Any], Mapping[str, Any]]

# In AWS a failed message stays out of sight for six times the function's timeout.
SECONDS_TO_RETRY = 2
_MOST_AT_ONCE = 10  # messages that SQS gives, or deletes, at once


class Context:
    """What the runtime passes to a handler beside the event."""

    def __init__(self, timeout_seconds: float) -> None:
        self._end = time.monotonic() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still run."""
        return max(0, int(1000 * (self._end - time.monotonic())))


def load_handler(cloud: Cloud, code: Path) -> Handler:
    """Import the function's handler from the folder `code` and invoke it with nothing: a cold start.

    The function's variables become this process's. What is wrong with them, or with the model, is
    raised here.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # as in Lambda, which knows nothing of this shell
    os.environ.update(cloud.environment)
    sys.path.insert(0, str(code))
    module, _, name = cloud.handler.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), name)
    handler({"Records": []}, Context(cloud.timeout_seconds))
    return handler


@contextmanager
def deliveries(cloud: Cloud, handler: Handler) -> Iterator[None]:
    """Deliver the queue's messages to the handler, in a thread, while the context lasts."""
    stopping = threading.Event()
    thread = threading.Thread(target=_deliver_until, args=(stopping, cloud, handler), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _deliver_until(stopping: threading.Event, cloud: Cloud, handler: Handler) -> None:
    while not stopping.is_set():
        try:
            delivered = deliver(cloud, handler)
        except Exception:
            logger.exception("delivery.failed")
            delivered = 0
        if not delivered:
            stopping.wait(0.2)


def deliver(cloud: Cloud, handler: Handler, seconds_to_retry: int = SECONDS_TO_RETRY) -> int:
    """Invoke the handler with a batch of messages of each queue, if there are any; return how many.

    What fails is delivered again after `seconds_to_retry`, until the queue gives it up.
    """
    batches = ((cloud.queue_url, cloud.batch_size), (cloud.segments_queue_url, 1))
    return sum(_deliver_batch(cloud, handler, url, size, seconds_to_retry) for url, size in batches)


def _deliver_batch(cloud: Cloud, handler: Handler, queue_url: str, size: int, seconds_to_retry: int) -> int:
    sqs = cloud.sqs()
    messages: list[MessageTypeDef] = []
    while some := sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=min(size - len(messages), _MOST_AT_ONCE),
        MessageSystemAttributeNames=["All"],
    ).get("Messages", []):
        messages += some
        if len(messages) == size:
            break
    if not messages:
        return 0
    try:
        response = handler(
            {"Records": [_record(message) for message in messages]}, Context(cloud.timeout_seconds)
        )
        failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
    except Exception:
        logger.exception("invocation.failed")
        failed = {message["MessageId"] for message in messages}
    done = [message for message in messages if message["MessageId"] not in failed]
    for start in range(0, len(done), _MOST_AT_ONCE):
        some = done[start : start + _MOST_AT_ONCE]
        sqs.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(some)
            ],
        )
    for message in messages:
        if message["MessageId"] in failed:
            sqs.change_message_visibility(
                QueueUrl=queue_url,
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=seconds_to_retry,
            )
    return len(messages)


def _record(message: "MessageTypeDef") -> dict[str, Any]:
    """Return a message as an event source mapping passes it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "",
        "awsRegion": "us-east-1",
    }
