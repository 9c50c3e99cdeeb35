"""Event -> the objects it names. Pure: nothing is read, and an event is only a hint.

A direct S3 notification and each message of an SQS batch become one `Message`. The object key is
decoded here, once; everything after this module takes it as it is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from reviewbox.errors import EventError
from reviewbox.objects import ObjectRef

# S3 raises the minor number when it adds fields, the major when old readers would go wrong.
_S3_MAJOR_VERSION = "2"


@dataclass(frozen=True, slots=True)
class Message:
    """What one delivery asks for.

    Attributes:
        refs: the objects it names, in its order; none for S3's test event.
        message_id: the SQS message to report a failure under; None for a direct invocation.
        receive_count: how often SQS has delivered it, this time included.
        errors: what in it means nothing to us, one for each such record, or one for the whole.
    """

    refs: tuple[ObjectRef, ...] = ()
    message_id: str | None = None
    receive_count: int = 1
    errors: tuple[EventError, ...] = ()


def parse(event: Any) -> list[Message]:
    """Return the messages in what Lambda was invoked with; at least one.

    What is bad is carried along as an error, so that the rest goes on.

    Raises:
        EventError: a record of an SQS batch has no id to report a failure under.
    """
    records = event.get("Records") if isinstance(event, Mapping) else None
    if isinstance(records, list) and records and _is_from_sqs(records[0]):
        return [_sqs_message(record) for record in records]
    return [_message(event)]


def _is_from_sqs(record: Any) -> bool:
    return isinstance(record, Mapping) and record.get("eventSource") == "aws:sqs"


def _sqs_message(record: Any) -> Message:
    message_id = record.get("messageId") if isinstance(record, Mapping) else None
    if not isinstance(message_id, str):
        raise EventError("a record of the SQS batch has no message id to report a failure under")
    try:
        receive_count = int(record["attributes"]["ApproximateReceiveCount"])
    except (LookupError, TypeError, ValueError, OverflowError):
        receive_count = 1
    try:
        body = json.loads(record["body"])
    except (LookupError, TypeError, ValueError, RecursionError):
        error = EventError("the message's body is not JSON")
        return Message((), message_id, receive_count, (error,))
    return _message(body, message_id, receive_count)


def _message(event: Any, message_id: str | None = None, receive_count: int = 1) -> Message:
    found = list(_found(event))
    return Message(
        tuple(ref for ref in found if isinstance(ref, ObjectRef)),
        message_id,
        receive_count,
        tuple(error for error in found if isinstance(error, EventError)),
    )


def _found(event: Any) -> Iterator[ObjectRef | EventError | None]:
    """Yield what each record of an event names, why it names nothing known, or None if it need not."""
    if not isinstance(event, Mapping):
        yield EventError(f"a JSON {type(event).__name__} and not an object, as every event is")
    elif event.get("Event") == "s3:TestEvent":
        yield None  # S3 sends it once, when a notification is set up
    elif event.get("source") == "aws.s3":
        if event.get("detail-type") == "Object Created":
            yield _named(event.get("detail"), "the detail of the EventBridge event")
    elif isinstance(event.get("Records"), list):
        for number, record in enumerate(event["Records"], 1):
            yield _from_record(record, f"record {number} of the notification")
    else:
        seen = ", ".join(sorted(map(str, event))[:10]) or "nothing"
        yield EventError(f"neither an S3 notification nor an EventBridge event: its fields are {seen}")


def _from_record(record: Any, where: str) -> ObjectRef | EventError | None:
    if not isinstance(record, Mapping) or not isinstance(record.get("s3"), Mapping):
        return EventError(f"{where} is not from S3")
    version = str(record.get("eventVersion", ""))
    if version.partition(".")[0] != _S3_MAJOR_VERSION:
        return EventError(f"{where} has event version {version!r}; known are 2.x")
    if not str(record.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated:"):
        return None
    ref = _named(record["s3"], where)
    # In a notification the key is form-encoded; EventBridge passes it as it is.
    return ObjectRef(ref.bucket, unquote_plus(ref.key)) if isinstance(ref, ObjectRef) else ref


def _named(holder: Any, where: str) -> ObjectRef | EventError:
    try:
        bucket, key = holder["bucket"]["name"], holder["object"]["key"]
    except (LookupError, TypeError):
        bucket = key = None
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        return EventError(f"{where} names no bucket and key")
    return ObjectRef(bucket, key)
