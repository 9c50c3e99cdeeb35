"""Event -> the objects it names. Pure: nothing is read, and an event is only a hint.

S3 tells of an object in a notification, as MinIO and Ceph do, or in an EventBridge event. Either
comes as it is, in the envelope of SNS, in a message of SQS, or in the one in the other. Each message
of an SQS batch becomes one `Message`, and any other event as a whole. The object key is decoded
here, once, as its sender encoded it; everything after this module takes it as it is.

Reviewbox's own messages name segments of tables.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import unquote_plus

from reviewbox.errors import EventError
from reviewbox.objects import ObjectRef, SegmentRef

# S3 raises the minor number when it adds fields, the major when old readers would go wrong.
_NOTIFICATION_MAJOR_VERSION = "2"
_EVENTBRIDGE_MAJOR_VERSION = "1"

# What makes an object readable. A restored one may be so for the first time: uploads can go right
# into an archive.
_READABLE_NAMES = ("ObjectCreated:", "ObjectRestore:Completed")
_READABLE_TYPES = ("Object Created", "Object Restore Completed")

# A dead letter of a function that SNS invokes, sent through a topic to a queue, has three.
_MOST_ENVELOPES = 4

_IDENTIFIER = re.compile(r"[A-Za-z0-9.:_-]{1,40}")

# The one field of a message of ours, which no event has.
_SEGMENT = "reviewboxSegment"

_Found = ObjectRef | SegmentRef | EventError


@dataclass(frozen=True, slots=True)
class Message:
    """What one delivery asks for.

    Attributes:
        refs: the objects it names, each once, in its order; none for S3's test event.
        message_id: the SQS message to report a failure under; None for a direct invocation.
        receive_count: how often SQS has delivered it, this time included.
        errors: what in it means nothing to us, one for each such record, or one for the whole.
        segments: those it names, if it is one of Reviewbox's own.
        body: of the SQS message, to send it anew; "" for a direct invocation.
    """

    refs: tuple[ObjectRef, ...] = ()
    message_id: str | None = None
    receive_count: int = 1
    errors: tuple[EventError, ...] = ()
    segments: tuple[SegmentRef, ...] = ()
    body: str = field(default="", compare=False)


def segment_message(ref: SegmentRef) -> str:
    """Return the message that names a segment, for `parse`."""
    return json.dumps({_SEGMENT: {**asdict(ref.source), "plan": ref.plan, "index": ref.index}})


def parse(event: Any) -> list[Message]:
    """Return the messages in what Lambda was invoked with; at least one.

    What is bad is carried along as an error, so that the rest goes on.

    Raises:
        EventError: a record of an SQS batch has no id to report a failure under.
    """
    records = event.get("Records") if isinstance(event, Mapping) else None
    if isinstance(records, list) and records and _is_from_sqs(records[0]):
        return [_sqs_message(record) for record in records]
    return [_message(_found(event, envelopes=0))]


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
    message = _message(_unwrapped(record, "body", "the SQS message", envelopes=0), message_id, receive_count)
    body = record.get("body")
    return replace(message, body=body) if isinstance(body, str) else message


def _message(found: Iterable[_Found], message_id: str | None = None, receive_count: int = 1) -> Message:
    found = list(found)
    refs = dict.fromkeys(part for part in found if isinstance(part, ObjectRef))
    segments = (part for part in found if isinstance(part, SegmentRef))
    errors = (part for part in found if isinstance(part, EventError))
    return Message(tuple(refs), message_id, receive_count, tuple(errors), tuple(segments))


def _found(event: Any, envelopes: int) -> Iterator[_Found]:
    """Yield the objects that an event names, and what in it means nothing.

    Args:
        event: of any shape, taken out of its envelopes.
        envelopes: how many there were.
    """
    if not isinstance(event, Mapping):
        yield EventError(f"a JSON {type(event).__name__} and not an object, as every event is")
    elif event.get("Event") == "s3:TestEvent":
        return  # S3 sends it once, when a notification is set up
    elif "Type" in event and "Message" in event:
        yield from _from_sns(event, envelopes)
    elif "detail-type" in event:
        yield from _from_eventbridge(event)
    elif _SEGMENT in event:
        yield _segment(event[_SEGMENT])
    elif isinstance(event.get("Records"), list):
        for number, record in enumerate(event["Records"], 1):
            yield from _from_record(record, f"record {number} of the notification", envelopes)
    else:
        yield EventError(f"neither an S3 notification nor an EventBridge event: {fields_of(event)}")


def _segment(fields: Any) -> _Found:
    try:
        segment = SegmentRef(ObjectRef(fields["bucket"], fields["key"]), fields["plan"], fields["index"])
    except (LookupError, TypeError):
        return EventError("a message of Reviewbox's own that names no segment")
    known = (segment.source.bucket, segment.source.key, segment.plan)
    if not (all(isinstance(name, str) for name in known) and isinstance(segment.index, int)):
        return EventError("a message of Reviewbox's own that names no segment")
    return segment


def _from_record(record: Any, where: str, envelopes: int) -> Iterator[_Found]:
    if not isinstance(record, Mapping):
        yield EventError(f"{where} is a JSON {type(record).__name__} and not an object")
    elif isinstance(record.get("Sns"), Mapping):
        yield from _from_sns(record["Sns"], envelopes)
    elif isinstance(record.get("s3"), Mapping):
        yield from _from_notification(record, where)
    else:
        yield EventError(f"{where} is neither from S3 nor from SNS: {fields_of(record)}")


def _from_sns(envelope: Mapping[str, Any], envelopes: int) -> Iterator[_Found]:
    kind = envelope.get("Type")
    if kind == "Notification":
        yield from _unwrapped(envelope, "Message", "the SNS notification", envelopes)
    else:
        # Acknowledged, a SubscriptionConfirmation would be lost with the link that it brings, and
        # nothing would ever come from that topic.
        yield EventError(f"SNS sent {_shown(kind)}, which somebody has to answer, and no Notification")


def _unwrapped(envelope: Mapping[str, Any], field: str, where: str, envelopes: int) -> Iterator[_Found]:
    """Yield what is found in the event that an envelope holds in a field, as JSON text."""
    text = envelope.get(field)
    if not isinstance(text, str):
        yield EventError(f"{where} has no text in {field!r}: {fields_of(envelope)}")
    elif envelopes == _MOST_ENVELOPES:
        yield EventError(f"{where} lies in {envelopes} others; no sender wraps so deep")
    else:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            yield EventError(f"{where} has {len(text)} characters in {field!r} that are not JSON")
        else:
            yield from _found(event, envelopes + 1)


def _from_notification(record: Mapping[str, Any], where: str) -> Iterator[_Found]:
    version, name = record.get("eventVersion"), record.get("eventName")
    if _major(version) != _NOTIFICATION_MAJOR_VERSION:
        yield EventError(f"{where} has event version {_shown(version)}; known are 2.x")
    elif not isinstance(name, str):
        yield EventError(f"{where} has no event name: {fields_of(record)}")
    elif name.removeprefix("s3:").startswith(_READABLE_NAMES):
        # S3 and MinIO encode the key as a form does, Ceph does not.
        yield _named(record["s3"], where, is_encoded=record.get("eventSource") != "ceph:s3")


def _from_eventbridge(event: Mapping[str, Any]) -> Iterator[_Found]:
    source, kind, detail = event.get("source"), event.get("detail-type"), event.get("detail")
    where = "the detail of the EventBridge event"
    if source != "aws.s3":
        yield EventError(f"an EventBridge event from {_shown(source)} and not from aws.s3")
    elif not isinstance(kind, str) or not isinstance(detail, Mapping):
        yield EventError(f"an EventBridge event without a type or detail: {fields_of(event)}")
    elif kind.endswith("via CloudTrail"):
        yield EventError("an EventBridge event via CloudTrail: have the bucket itself send to EventBridge")
    # Events from before there were versions have none.
    elif _major(detail.get("event-version", "1")) != _EVENTBRIDGE_MAJOR_VERSION:
        yield EventError(f"{where} has event version {_shown(detail['event-version'])}; known are 1.x")
    elif kind in _READABLE_TYPES:
        yield _named(detail, where, is_encoded=False)


def _named(holder: Mapping[str, Any], where: str, *, is_encoded: bool) -> _Found:
    try:
        bucket, key = holder["bucket"]["name"], holder["object"]["key"]
    except (LookupError, TypeError):
        bucket = key = None
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        return EventError(f"{where} names no bucket and key: {fields_of(holder)}")
    try:
        key = unquote_plus(key, errors="strict") if is_encoded else key
        key.encode()
    except UnicodeError:
        return EventError(f"{where} names a key that is not UTF-8, as every key is")
    return ObjectRef(bucket, key)


def _major(version: Any) -> str | None:
    return version.partition(".")[0] if isinstance(version, str) else None


def _shown(value: Any) -> str:
    """Return what a log may show of a value: a short identifier, or else its type, as it could be a text."""
    is_identifier = isinstance(value, str) and _IDENTIFIER.fullmatch(value)
    return str(value) if is_identifier else f"({type(value).__name__})"


def fields_of(holder: Mapping[str, Any]) -> str:
    """Return which fields something unknown has, for an error; a name that could be a text is not shown."""
    names = [_shown(name) for name in sorted(map(str, holder))]
    return f"its fields are {', '.join(names[:10]) or 'none'}"
