"""Lambda and its event source mapping: receive messages, invoke the handler, delete the processed ones."""

import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviewbox.local.cloud import NO_VARIABLES, Cloud, listen, provision, serve
from reviewbox.queue import Queue, ReceivedMessage
from reviewbox.sending import MAX_BATCH

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any], Any], Mapping[str, Any]]

# On AWS a failed message stays invisible for six times the function's timeout.
SECONDS_TO_RETRY = 2
_SECONDS_BETWEEN_POLLS = 0.1


class Context:
    """The context that Lambda passes to a handler with the event."""

    def __init__(self, timeout_seconds: float) -> None:
        self._deadline = time.monotonic() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left for the invocation, in milliseconds."""
        return max(0, int(1000 * (self._deadline - time.monotonic())))


@contextmanager
def start_service(
    template: Path,
    port: int,
    observe: Callable[[Cloud, Handler], Handler] = lambda _, handler: handler,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Iterator[Cloud]:
    """Run a cloud on `127.0.0.1:port` and the template's function in it, while the context lasts.

    What `observe` returns is invoked instead of the handler. `variables` replace variables of the template.

    The cloud answers its first request after the function's cold start, and so processes each upload that it
    accepts. The function's code is in the template's folder.

    Raises:
        ReviewboxError: the port is taken, the template does not exist, or the function cannot start.
    """
    with listen(port) as listener:
        cloud = provision(template, listener, variables)
        handler = observe(cloud, load_handler(cloud, template.parent))
        with serve(listener), deliveries(cloud, handler):
            yield cloud


def load_handler(cloud: Cloud, code: Path) -> Handler:
    """Import the function's handler from the folder `code`, and invoke it with an empty batch: a cold start.

    The returned handler reports its progress to `cloud.work`.

    The function's variables are set in this process's environment. An invalid variable or model raises its
    error here.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # the function must not see the shell's credentials or region
    os.environ.update(cloud.environment)
    sys.path.insert(0, str(code))
    module_name, _, name = cloud.handler.rpartition(".")
    module = importlib.import_module(module_name)
    handler = getattr(module, name)
    handler({"Records": []}, Context(cloud.timeout_seconds))
    work = cloud.work
    worker = replace(module.pipeline(), on_share=work.show_share, on_step=work.show_step)
    return partial(handler, worker=worker)


def deliveries(cloud: Cloud, handler: Handler) -> AbstractContextManager[None]:
    """Deliver the queues' messages to the handler in a thread while the context lasts."""
    return repeated(lambda: deliver(cloud, handler), _SECONDS_BETWEEN_POLLS)


@contextmanager
def repeated(work: Callable[[], int], seconds: float) -> Iterator[None]:
    """Call `work` in a thread while the context lasts; wait whenever it returns 0 or raises an error."""
    stopping = threading.Event()

    def work_until_stopped() -> None:
        done = 0
        while not stopping.wait(0 if done else seconds):
            try:
                done = work()
            except Exception:
                logger.exception("delivery.failed")
                done = 0

    thread = threading.Thread(target=work_until_stopped, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def deliver(cloud: Cloud, handler: Handler, seconds_to_retry: int = SECONDS_TO_RETRY) -> int:
    """Invoke the handler with one batch of each queue that has messages; return the number of messages.

    A failed message becomes visible again after `seconds_to_retry`, until the queue moves it to the dead
    letters.
    """
    batches = ((cloud.queue_url, cloud.batch_size), (cloud.segments_queue_url, 1))
    return sum(_deliver_batch(cloud, handler, url, size, seconds_to_retry) for url, size in batches)


def _deliver_batch(cloud: Cloud, handler: Handler, queue_url: str, size: int, seconds_to_retry: int) -> int:
    sqs = cloud.sqs()
    messages: list[MessageTypeDef] = []
    while received := sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=min(size - len(messages), MAX_BATCH),
        MessageSystemAttributeNames=["All"],
    ).get("Messages", []):
        messages += received
        if len(messages) == size:
            break
    if not messages:
        return 0
    try:
        event = {"Records": [_record(message) for message in messages]}
        response = handler(event, Context(cloud.timeout_seconds))
        failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
    except Exception:
        logger.exception("invocation.failed")
        failed = {message["MessageId"] for message in messages}
    cloud.work.show_share(0)
    queue = Queue(queue_url, sqs)
    handled = [ReceivedMessage(m["MessageId"], m["Body"], m["ReceiptHandle"]) for m in messages]
    queue.delete(message for message in handled if message.message_id not in failed)
    queue.release((message for message in handled if message.message_id in failed), seconds_to_retry)
    return len(messages)


def _record(message: "MessageTypeDef") -> dict[str, Any]:
    """Return a message in the format of an event source mapping."""
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
