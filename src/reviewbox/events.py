"""Event -> the objects it names. Pure: nothing is read, and an event is only a hint.

A direct S3 notification and each message of an SQS batch become one `Message`. The object key is
decoded here, once; everything after this module takes it as it is.
"""

import json
from collections.abc import Mapping
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
        error: why its body means nothing to us; `refs` is then empty.
    """

    refs: tuple[ObjectRef, ...] = ()
    message_id: str | None = None
    receive_count: int = 1
    error: EventError | None = None


def parse(event: Any) -> list[Message]:
    """Return the messages in what Lambda was invoked with.

    A bad message among those of an SQS batch carries its error, so that the others go on.

    Raises:
        EventError: the event as a whole is of no known shape.
    """
    records = event.get("Records") if isinstance(event, Mapping) else None
    if isinstance(records, list) and records and _is_from_sqs(records[0]):
        return [_sqs_message(record) for record in records]
    return [Message(refs=_object_refs(event))]


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
        refs = _object_refs(_decoded(record.get("body")))
    except EventError as error:
        return Message((), message_id, receive_count, error)
    return Message(refs, message_id, receive_count)


def _decoded(body: Any) -> Any:
    try:
        return json.loads(body)
    except (TypeError, ValueError, RecursionError):
        raise EventError("the message's body is not JSON") from None


def _object_refs(event: Any) -> tuple[ObjectRef, ...]:
    if not isinstance(event, Mapping):
        raise EventError(f"a JSON {type(event).__name__} and not an object, as every event is")
    if event.get("Event") == "s3:TestEvent":
        # S3 sends it once, when a notification is set up. It names no object.
        return ()
    if event.get("source") == "aws.s3":
        return _from_eventbridge(event)
    records = event.get("Records")
    if not isinstance(records, list):
        seen = ", ".join(sorted(map(str, event))[:10]) or "nothing"
        raise EventError(f"neither an S3 notification nor an EventBridge event: its fields are {seen}")
    return tuple(
        ref for number, record in enumerate(records, 1) if (ref := _object_ref(number, record)) is not None
    )


def _object_ref(number: int, record: Any) -> ObjectRef | None:
    """Return the object of one S3 record, or None if the record is not of a creation."""
    where = f"record {number} of the notification"
    if not isinstance(record, Mapping) or not isinstance(record.get("s3"), Mapping):
        raise EventError(f"{where} is not from S3")
    version = str(record.get("eventVersion", ""))
    if version.partition(".")[0] != _S3_MAJOR_VERSION:
        raise EventError(f"{where} has event version {version!r}; known are 2.x")
    if not str(record.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated:"):
        return None
    # In a notification the key is form-encoded; EventBridge passes it as it is.
    ref = _named(record["s3"], where)
    return ObjectRef(ref.bucket, unquote_plus(ref.key))


def _from_eventbridge(event: Mapping[str, Any]) -> tuple[ObjectRef, ...]:
    if event.get("detail-type") != "Object Created":
        return ()
    return (_named(event.get("detail"), "the detail of the EventBridge event"),)


def _named(holder: Any, where: str) -> ObjectRef:
    try:
        bucket, key = holder["bucket"]["name"], holder["object"]["key"]
    except (KeyError, TypeError):
        raise EventError(f"{where} names no bucket and key") from None
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise EventError(f"{where} names no bucket and key")
    return ObjectRef(bucket, key)
