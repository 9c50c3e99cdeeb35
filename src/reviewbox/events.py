"""Parses events into the objects that they name. Pure: an event is only a hint, and nothing is read here.

S3, MinIO and Ceph announce an object in a notification, and S3 also in an EventBridge event. Either may come
directly, in an SNS envelope, in an SQS message, or in an SNS envelope within an SQS message. Each message of
an SQS batch becomes one `Message`; any other event becomes one as a whole. Object keys are decoded here and
nowhere else.

Reviewbox's own messages name segments of large tables.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from reviewbox.errors import EventError
from reviewbox.objects import ObjectRef, SegmentRef

# S3 raises the minor version when it adds fields, and the major version for incompatible changes.
_NOTIFICATION_MAJOR_VERSION = "2"
_EVENTBRIDGE_MAJOR_VERSION = "1"

# Events after which an object can be read. A restored object may become readable for the first time, because
# an upload can go directly into an archive storage class.
_READABLE_NAMES = ("ObjectCreated:", "ObjectRestore:Completed")
_READABLE_TYPES = ("Object Created", "Object Restore Completed")

# Events after which an object is gone, if nobody has written it since.
_REMOVED_NAMES = ("ObjectRemoved:", "LifecycleExpiration:")
_REMOVED_TYPES = ("Object Deleted",)

# The dead letter of a function that SNS invokes, sent through a topic to a queue, has three envelopes.
_MAX_ENVELOPES = 4

_IDENTIFIER = re.compile(r"[A-Za-z0-9.:_-]{1,40}")

# The only field of Reviewbox's own messages. No other event has it.
_SEGMENT_FIELD = "reviewboxSegment"

# Reviewbox adds this field to a message that it sends again after a delivery that failed.
_RETRY_FIELD = "reviewboxRetry"

_Target = ObjectRef | SegmentRef


@dataclass(frozen=True, slots=True)
class _Removed:
    """An object that has been removed."""

    ref: ObjectRef


_Parsed = _Target | _Removed | EventError


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery, and the objects and segments that it names."""

    refs: tuple[ObjectRef, ...] = ()  # without duplicates; empty for S3's test event
    message_id: str | None = None  # of SQS, for reporting a failure; None for a direct invocation
    receive_count: int = 1  # how often SQS has delivered the message, this time included
    errors: tuple[EventError, ...] = ()  # for each record that could not be parsed, or for the whole message
    segments: tuple[SegmentRef, ...] = ()  # if it is one of Reviewbox's own messages
    removed: tuple[ObjectRef, ...] = ()  # objects that have been removed; their results stay
    body: str = field(default="", compare=False)  # for sending it again; empty for a direct invocation
    queue_arn: str = field(default="", compare=False)  # of the queue that delivered it; "" if unknown
    receipt_handle: str = field(default="", compare=False)  # identifies the delivery; "" if unknown
    sent_at: int | None = field(default=None, compare=False)  # in milliseconds since the epoch, as SQS says

    @property
    def is_redelivered(self) -> bool:
        """Whether a worker may have died while it was working on the message."""
        # The name in any other place does no harm.
        return self.receive_count > 1 or _RETRY_FIELD in self.body

    def is_last_delivery(self, max_receives: int) -> bool:
        """Return whether the message becomes a dead letter if it fails now."""
        return self.receive_count >= max_receives

    @property
    def targets(self) -> tuple[ObjectRef | SegmentRef, ...]:
        """Everything to process: the objects and the segments."""
        return (*self.refs, *self.segments)

    def split(self) -> list[str]:
        """Return a message for each object and segment, which together replace this one."""
        if len(self.targets) == 1 and not self.errors:
            return [self.body]
        return [*map(upload_message, self.refs), *map(segment_message, self.segments)]


def upload_message(ref: ObjectRef) -> str:
    """Return the text of a message that names an object, in the format of an S3 event notification."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": ref.bucket}, "object": {"key": quote_plus(ref.key, safe="/")}},
    }
    return json.dumps({"Records": [record]})


def segment_message(ref: SegmentRef) -> str:
    """Return the text of a message that names a segment; `parse` understands it."""
    return json.dumps({_SEGMENT_FIELD: {**asdict(ref.source), "plan": ref.plan, "index": ref.index}})


def retry_message(body: str) -> str:
    """Return the text with which a message is sent again; `parse` still understands it."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return json.dumps({**event, _RETRY_FIELD: True}) if isinstance(event, dict) else body


def parse(event: Any) -> list[Message]:
    """Return the messages of an event that Lambda was invoked with; at least one.

    Records that cannot be parsed become errors of their message, so that the other records are processed.

    Raises:
        EventError: a record of an SQS batch has no message id.
    """
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_] as records}:
            return [_sqs_message(record) for record in records]
    return [_message(_parse_event(event, envelopes=0))]


def _sqs_message(record: Any) -> Message:
    message_id = record.get("messageId") if isinstance(record, Mapping) else None
    if not isinstance(message_id, str):
        raise EventError("a record of the SQS batch has no messageId")
    receive_count = _attribute(record, "ApproximateReceiveCount") or 1
    message = _message(_unwrap(record, "body", "the SQS message", envelopes=0), message_id, receive_count)
    return replace(
        message,
        body=_text(record, "body"),
        queue_arn=_text(record, "eventSourceARN"),
        receipt_handle=_text(record, "receiptHandle"),
        sent_at=_attribute(record, "SentTimestamp"),
    )


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _attribute(record: Mapping[str, Any], name: str) -> int | None:
    """Return a numeric attribute that SQS adds to a message, or None."""
    try:
        return int(record["attributes"][name])
    except (LookupError, TypeError, ValueError, OverflowError):
        return None


def _message(parsed: Iterable[_Parsed], message_id: str | None = None, receive_count: int = 1) -> Message:
    parsed = list(parsed)
    refs = dict.fromkeys(item for item in parsed if isinstance(item, ObjectRef))
    segments = (item for item in parsed if isinstance(item, SegmentRef))
    errors = (item for item in parsed if isinstance(item, EventError))
    removed = dict.fromkeys(item.ref for item in parsed if isinstance(item, _Removed))
    return Message(tuple(refs), message_id, receive_count, tuple(errors), tuple(segments), tuple(removed))


def _parse_event(event: Any, envelopes: int) -> Iterator[_Parsed]:
    """Yield the objects and segments that an event names, and an error for each unknown record.

    The event is any JSON value, from which this number of envelopes was removed.
    """
    if not isinstance(event, Mapping):
        yield EventError(f"the event is a JSON {type(event).__name__}, not an object")
    elif event.get("Event") == "s3:TestEvent":
        return  # S3 sends this once, when a notification is set up
    elif "Type" in event and "Message" in event:
        yield from _parse_sns(event, envelopes)
    elif "detail-type" in event:
        yield from _parse_eventbridge(event)
    elif _SEGMENT_FIELD in event:
        yield _parse_segment(event[_SEGMENT_FIELD])
    elif isinstance(event.get("Records"), list):
        for number, record in enumerate(event["Records"], 1):
            yield from _parse_record(record, f"record {number} of the notification", envelopes)
    else:
        yield EventError(
            f"the event is neither an S3 notification nor an EventBridge event: {describe_fields(event)}"
        )


def _parse_segment(fields: Any) -> _Parsed:
    match fields:
        case {"bucket": str(bucket), "key": str(key), "plan": str(plan), "index": int(index)}:
            return SegmentRef(ObjectRef(bucket, key), plan, index)
    return EventError(f"the {_SEGMENT_FIELD} message does not name a segment")


def _parse_record(record: Any, where: str, envelopes: int) -> Iterator[_Parsed]:
    if not isinstance(record, Mapping):
        yield EventError(f"{where} is a JSON {type(record).__name__}, not an object")
    elif isinstance(record.get("Sns"), Mapping):
        yield from _parse_sns(record["Sns"], envelopes)
    elif isinstance(record.get("s3"), Mapping):
        yield from _parse_notification(record, where)
    else:
        yield EventError(f"{where} is neither from S3 nor from SNS: {describe_fields(record)}")


def _parse_sns(envelope: Mapping[str, Any], envelopes: int) -> Iterator[_Parsed]:
    kind = envelope.get("Type")
    if kind == "Notification":
        yield from _unwrap(envelope, "Message", "the SNS notification", envelopes)
    else:
        # If a SubscriptionConfirmation were acknowledged, its link would be lost, and the topic would never
        # send anything.
        yield EventError(f"SNS sent {_loggable(kind)} instead of Notification; confirm the subscription")


def _unwrap(envelope: Mapping[str, Any], field: str, where: str, envelopes: int) -> Iterator[_Parsed]:
    """Parse the event that an envelope contains as JSON text in a field."""
    text = envelope.get(field)
    if not isinstance(text, str):
        yield EventError(f"{where} has no text in {field!r}: {describe_fields(envelope)}")
    elif envelopes == _MAX_ENVELOPES:
        yield EventError(
            f"{where} is nested in {envelopes} envelopes; at most {_MAX_ENVELOPES} are supported"
        )
    else:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            yield EventError(f"{where} has {len(text)} characters in {field!r} that are not valid JSON")
        else:
            yield from _parse_event(event, envelopes + 1)


def _parse_notification(record: Mapping[str, Any], where: str) -> Iterator[_Parsed]:
    version, name = record.get("eventVersion"), record.get("eventName")
    if _major(version) != _NOTIFICATION_MAJOR_VERSION:
        yield EventError(f"{where} has event version {_loggable(version)}; supported versions are 2.x")
    elif not isinstance(name, str):
        yield EventError(f"{where} has no event name: {describe_fields(record)}")
    elif (kind := name.removeprefix("s3:")).startswith((*_READABLE_NAMES, *_REMOVED_NAMES)):
        # S3 and MinIO form-encode the key; Ceph does not.
        parsed = _parse_object(record["s3"], where, is_encoded=record.get("eventSource") != "ceph:s3")
        yield _as_removed(parsed) if kind.startswith(_REMOVED_NAMES) else parsed


def _parse_eventbridge(event: Mapping[str, Any]) -> Iterator[_Parsed]:
    source, kind, detail = event.get("source"), event.get("detail-type"), event.get("detail")
    where = "the detail of the EventBridge event"
    if source != "aws.s3":
        yield EventError(f"the EventBridge event is from {_loggable(source)}, not from aws.s3")
    elif not isinstance(kind, str) or not isinstance(detail, Mapping):
        yield EventError(f"the EventBridge event has no type or no detail: {describe_fields(event)}")
    elif kind.endswith("via CloudTrail"):
        yield EventError(
            "the EventBridge event came via CloudTrail: enable EventBridge in the bucket's properties instead"
        )
    # Early events have no version.
    elif _major(detail.get("event-version", "1")) != _EVENTBRIDGE_MAJOR_VERSION:
        yield EventError(
            f"{where} has event version {_loggable(detail['event-version'])}; supported versions are 1.x"
        )
    elif kind in _READABLE_TYPES:
        yield _parse_object(detail, where, is_encoded=False)
    elif kind in _REMOVED_TYPES:
        yield _as_removed(_parse_object(detail, where, is_encoded=False))


def _parse_object(holder: Mapping[str, Any], where: str, *, is_encoded: bool) -> _Parsed:
    try:
        bucket, key = holder["bucket"]["name"], holder["object"]["key"]
    except (LookupError, TypeError):
        bucket = key = None
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        return EventError(f"{where} does not name a bucket and a key: {describe_fields(holder)}")
    try:
        key = unquote_plus(key, errors="strict") if is_encoded else key
        key.encode()
    except UnicodeError:
        return EventError(f"{where} names a key that is not valid UTF-8")
    return ObjectRef(bucket, key)


def _as_removed(parsed: _Parsed) -> _Parsed:
    return _Removed(parsed) if isinstance(parsed, ObjectRef) else parsed


def _major(version: Any) -> str | None:
    return version.partition(".")[0] if isinstance(version, str) else None


def _loggable(value: Any) -> str:
    """Return a value if it is a short identifier, otherwise only its type: it could be review text."""
    is_identifier = isinstance(value, str) and _IDENTIFIER.fullmatch(value)
    return str(value) if is_identifier else f"({type(value).__name__})"


def describe_fields(holder: Mapping[str, Any]) -> str:
    """Return the names of an unknown object's fields for an error message, without possible review text."""
    names = [_loggable(name) for name in sorted(map(str, holder))]
    return f"its fields are {', '.join(names[:10]) or 'none'}"
