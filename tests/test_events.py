import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET

from reviewbox.errors import EventError
from reviewbox.events import Message, parse, segment_message
from reviewbox.objects import ObjectRef, SegmentRef

EVENTS = Path(__file__).with_name("events")

HOTEL = "incoming/hotels/seaview.txt"
FILM = "incoming/2026/my review+é.txt"
SHOP = "incoming/shop/earphones.jsonl"

# The keys that each message of each sample event names.
SAMPLES: dict[str, list[list[str]]] = {
    "s3_put": [[HOTEL]],
    "s3_multipart": [[SHOP]],
    "s3_restore": [[FILM]],
    "s3_delete": [[]],
    "s3_tagging": [[]],
    "s3_test_event": [[]],
    "sqs_s3": [[FILM], [SHOP]],
    "sqs_s3_several": [[FILM, SHOP]],
    "sqs_s3_test_event": [[]],
    "sns_s3": [[FILM]],
    "sns_s3_test_event": [[]],
    "sqs_sns_s3": [[FILM], [SHOP]],
    "sqs_sns_raw_s3": [[FILM]],
    "sqs_sns_s3_test_event": [[]],
    "eventbridge": [[FILM]],
    "eventbridge_delete": [[]],
    "eventbridge_restore": [[SHOP]],
    "sns_eventbridge": [[FILM]],
    "sqs_eventbridge": [[FILM]],
    "sqs_sns_eventbridge": [[FILM]],
    "minio": [[FILM]],
    "minio_delete": [[]],
    "sqs_minio": [[SHOP]],
    "ceph": [[FILM]],
}

# The key that each message about a removed object names.
REMOVED = {"s3_delete": HOTEL, "eventbridge_delete": HOTEL, "minio_delete": HOTEL}

EVENTBRIDGE: dict[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2026-11-12T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:s3:::reviews"],
    "detail": {
        "version": "0",
        "bucket": {"name": "reviews"},
        "object": {
            "key": "incoming/a+b c%20d.txt",
            "size": 5,
            "etag": "b1946ac9",
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "reason": "PutObject",
    },
}

SECRET = "my secret review"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)

# Places in an event that the tests damage.
PLACES = [
    ("Records",),
    ("Records", 0),
    ("Records", 0, "messageId"),
    ("Records", 0, "body"),
    ("Records", 0, "attributes"),
    ("Records", 0, "attributes", "ApproximateReceiveCount"),
    ("Records", 0, "eventSource"),
    ("Records", 0, "eventVersion"),
    ("Records", 0, "eventName"),
    ("Records", 0, "s3"),
    ("Records", 0, "s3", "bucket"),
    ("Records", 0, "s3", "bucket", "name"),
    ("Records", 0, "s3", "object"),
    ("Records", 0, "s3", "object", "key"),
    ("Records", 0, "Sns"),
    ("Records", 0, "Sns", "Type"),
    ("Records", 0, "Sns", "Message"),
    ("Records", 1),
    ("Type",),
    ("Message",),
    ("Event",),
    ("detail",),
    ("detail", "event-version"),
    ("detail", "bucket"),
    ("detail", "object", "key"),
    ("detail-type",),
    ("source",),
]


def load(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


def notification(key: str, **changes: Any) -> dict[str, Any]:
    """Return an S3 notification for an encoded key, with some fields of the record replaced."""
    event = load("s3_put")
    event["Records"][0]["s3"]["object"]["key"] = key
    event["Records"][0] |= changes
    return dict(event)


def eventbridge(key: str) -> dict[str, Any]:
    event = deepcopy(EVENTBRIDGE)
    event["detail"]["object"]["key"] = key
    return event


def batch(*bodies: Any) -> dict[str, Any]:
    """Return an SQS event with one message, "id-0", "id-1" and so on, per body."""
    sample = load("sqs_s3")["Records"][0]
    return {
        "Records": [
            {**sample, "messageId": f"id-{number}", "body": as_text(body)}
            for number, body in enumerate(bodies)
        ]
    }


def sns(*messages: Any) -> dict[str, Any]:
    """Return the event that SNS invokes a function with."""
    sample = load("sns_s3")["Records"][0]
    return {"Records": [{**sample, "Sns": {**sample["Sns"], "Message": as_text(text)}} for text in messages]}


def wrapped(message: Any, **changes: Any) -> dict[str, Any]:
    """Return the envelope that SNS sends to a queue without raw delivery, with some fields replaced."""
    envelope = json.loads(load("sqs_sns_s3")["Records"][0]["body"])
    return {**envelope, "Message": as_text(message), **changes}


def as_text(event: Any) -> str:
    return event if isinstance(event, str) else json.dumps(event)


# How each sender encodes a key, and the envelopes in which its events arrive.
DIALECTS: dict[str, Callable[[str], Any]] = {
    "s3": lambda key: notification(quote_plus(key, safe="/")),
    "minio": lambda key: notification(quote_plus(key), eventSource="minio:s3", eventVersion="2.0"),
    "ceph": lambda key: notification(key, eventSource="ceph:s3", eventVersion="2.2"),
    "eventbridge": eventbridge,
}
ENVELOPES: dict[str, Callable[[Any], Any]] = {
    "none": lambda event: event,
    "sqs": batch,
    "sns": sns,
    "sns in sqs": lambda event: batch(wrapped(event)),
    "sns as a dead letter": lambda event: batch(sns(event)),
    "sns as a dead letter by sns": lambda event: batch(wrapped(sns(event))),
}
each_way = pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)


def refs(messages: list[Message]) -> list[tuple[str, str]]:
    return [(ref.bucket, ref.key) for message in messages for ref in message.refs]


def errors(event: Any) -> list[str]:
    return [str(error) for message in parse(event) for error in message.errors]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_event_names_its_objects(name: str) -> None:
    messages = parse(load(name))

    assert [[ref.key for ref in message.refs] for message in messages] == SAMPLES[name]
    assert {ref.bucket for message in messages for ref in message.refs} <= {"reviewbox"}
    assert not [message.errors for message in messages if message.errors]
    assert all((message.message_id is not None) == name.startswith("sqs") for message in messages)


def test_every_sample_event_is_in_the_table() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == SAMPLES.keys()


@pytest.mark.parametrize("raw_delivery", [False, True], ids=["wrapped", "raw"])
def test_real_events_of_moto_name_the_object(s3: S3Client, *, raw_delivery: bool) -> None:
    """A notification through an SNS topic, and the event of an EventBridge rule."""
    key = "incoming/a+b c%20é\n.txt"
    topic, queue, bus = boto3.client("sns"), boto3.client("sqs"), boto3.client("events")
    topic_arn = topic.create_topic(Name="uploads")["TopicArn"]
    url = queue.create_queue(QueueName="uploads")["QueueUrl"]
    attributes = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    subscription = {"RawMessageDelivery": "true"} if raw_delivery else {}
    topic.subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"], Attributes=subscription
    )
    bus.put_rule(Name="uploads", EventPattern=json.dumps({"source": ["aws.s3"]}))
    bus.put_targets(Rule="uploads", Targets=[{"Id": "uploads", "Arn": attributes["QueueArn"]}])
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "TopicConfigurations": [{"TopicArn": topic_arn, "Events": ["s3:ObjectCreated:*"]}],
            "EventBridgeConfiguration": {},
        },
    )

    s3.put_object(Bucket=BUCKET, Key=key, Body=b"Lovely.")

    bodies = [
        message["Body"] for message in queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    # S3's test event and its notification go through the topic, EventBridge's event does not.
    assert sum("TopicArn" in body for body in bodies) == (0 if raw_delivery else 2)
    assert refs(parse(batch(*bodies))) == [(BUCKET, key), (BUCKET, key)]
    assert errors(batch(*bodies)) == []


def test_a_notification_names_its_object() -> None:
    assert parse(load("s3_put")) == [Message((ObjectRef("reviewbox", "incoming/hotels/seaview.txt"),))]


def test_each_record_of_a_batch_becomes_a_message() -> None:
    assert parse(load("sqs_s3")) == [
        Message(
            (ObjectRef("reviewbox", "incoming/2026/my review+é.txt"),), "5f0c2b7e-84f1-4f0e-9a55-0c6f3f1f7d21"
        ),
        Message(
            (ObjectRef("reviewbox", "incoming/shop/earphones.jsonl"),), "b3a9d6c4-1e27-4c8a-8f6b-7d2e9a4c5b10"
        ),
    ]


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("incoming/plain.txt", "incoming/plain.txt"),
        ("incoming/my+review%2B%C3%A9.txt", "incoming/my review+é.txt"),
        ("incoming%2Fas+moto+writes.txt", "incoming/as moto writes.txt"),
        ("incoming/100%2525.txt", "incoming/100%25.txt"),
        ("incoming/%F0%9F%98%80.txt", "incoming/😀.txt"),
    ],
)
def test_a_key_is_decoded_once(encoded: str, key: str) -> None:
    assert refs(parse(notification(encoded))) == [("reviewbox", key)]


@each_way
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_sender_s_key_is_decoded_correctly(dialect: str, envelope: Callable[[Any], Any]) -> None:
    for key in ("a+b", "a b", "100%", "100%25", "%2B", "é/😀", "two\nlines", '"quoted\\"', "?&=#;/.."):
        assert [key for _, key in refs(parse(envelope(DIALECTS[dialect](key))))] == [key]


@given(
    key=st.text(min_size=1),
    dialect=st.sampled_from(list(DIALECTS.values())),
    envelope=st.sampled_from(list(ENVELOPES.values())),
)
def test_any_key_survives_encoding_and_decoding(
    key: str, dialect: Callable[[str], Any], envelope: Callable[[Any], Any]
) -> None:
    assert [key for _, key in refs(parse(envelope(dialect(key))))] == [key]


@pytest.mark.parametrize("event", [notification("a%FF"), eventbridge("a\ud800"), notification("a\ud800")])
def test_a_key_that_is_not_utf_8_is_refused(event: Any) -> None:
    assert refs(parse(event)) == []
    assert "a key that is not valid UTF-8" in "".join(errors(event))


@each_way
def test_a_notification_names_several_objects_without_duplicates(
    envelope: Callable[[Any], Any],
) -> None:
    event = {"Records": [notification(key)["Records"][0] for key in ("b", "a", "b", "a%2Bb", "a")]}

    (message,) = parse(envelope(event))

    assert [ref.key for ref in message.refs] == ["b", "a", "a+b"]


def test_several_sns_notifications_become_one_message() -> None:
    (message,) = parse(sns(notification("a"), "not JSON", EVENTBRIDGE, notification("a")))

    assert message.message_id is None
    assert [ref.key for ref in message.refs] == ["a", "incoming/a+b c%20d.txt"]
    assert len(message.errors) == 1


def test_messages_that_name_the_same_object_are_not_merged() -> None:
    messages = parse(batch(notification("a"), wrapped(notification("a"))))

    assert [(message.message_id, len(message.refs)) for message in messages] == [("id-0", 1), ("id-1", 1)]


@pytest.mark.parametrize(
    "name",
    [
        "ObjectCreated:Put",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectCreated:Copy",
        "s3:ObjectCreated:Post",
        "ObjectRestore:Completed",
        "s3:ObjectRestore:Completed",
    ],
)
def test_events_after_which_an_object_is_readable_name_it(name: str) -> None:
    assert refs(parse(notification("a", eventName=name))) == [("reviewbox", "a")]


@pytest.mark.parametrize(
    "name",
    [
        "ObjectRemoved:Delete",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "ObjectRestore:Post",
        "ObjectRestore:Delete",
        "ObjectTagging:Put",
        "ObjectAcl:Put",
        "LifecycleExpiration:Delete",
        "LifecycleTransition",
        "IntelligentTiering",
        "ReducedRedundancyLostObject",
        "Replication:OperationMissedThreshold",
        "s3:ObjectAccessed:Get",
        "s3:BucketCreated:*",
        "ObjectCreatedNot:A",
        "",
    ],
)
def test_other_events_are_ignored(name: str) -> None:
    removal, creation = notification("a", eventName=name)["Records"][0], notification("b")["Records"][0]

    assert refs(parse({"Records": [removal, creation]})) == [("reviewbox", "b")]
    assert [(m.targets, m.errors) for m in parse({"Records": [removal]})] == [((), ())]


@pytest.mark.parametrize("reason", ["PutObject", "CopyObject", "CompleteMultipartUpload"])
@pytest.mark.parametrize("kind", ["Object Created", "Object Restore Completed"])
def test_eventbridge_events_after_which_an_object_is_readable_name_it(kind: str, reason: str) -> None:
    event = {**EVENTBRIDGE, "detail-type": kind, "detail": {**EVENTBRIDGE["detail"], "reason": reason}}

    assert refs(parse(event)) == [("reviews", "incoming/a+b c%20d.txt")]


@pytest.mark.parametrize(
    "kind",
    [
        "Object Deleted",
        "Object Restore Initiated",
        "Object Restore Expired",
        "Object Tags Added",
        "Object ACL Updated",
        "Object Storage Class Changed",
        "Object Access Tier Changed",
        "Object Annotation Created",
        "Async Copy Completion",
    ],
)
def test_other_eventbridge_events_are_ignored(kind: str) -> None:
    assert [(m.targets, m.errors) for m in parse({**EVENTBRIDGE, "detail-type": kind})] == [((), ())]


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.5", "2.99", "2"])
def test_any_minor_version_is_accepted(version: str) -> None:
    assert refs(parse(notification("a", eventVersion=version))) == [("reviewbox", "a")]


@pytest.mark.parametrize("version", ["1.0", "3.0", "20.1", "", None, 2.1, [2]])
def test_another_major_version_is_refused(version: Any) -> None:
    (message,) = parse(notification("a", eventVersion=version))

    assert message.refs == ()
    assert "record 1 of the notification has event version" in str(message.errors[0])
    assert "supported versions are 2.x" in str(message.errors[0])


@pytest.mark.parametrize(("version", "known"), [("1.0", True), ("1.99", True), ("2.0", False), (None, False)])
def test_eventbridge_versions_are_checked_separately(version: Any, *, known: bool) -> None:
    event = {**EVENTBRIDGE, "version": "7", "detail": {**EVENTBRIDGE["detail"], "event-version": version}}

    assert len(refs(parse(event))) == known
    assert len(errors(event)) == (not known)


@pytest.mark.parametrize("source", ["minio:s3", "rustfs:s3", "aws:s3", None])
def test_events_of_compatible_stores_are_parsed(source: str | None) -> None:
    assert refs(parse(notification("a+b", eventSource=source))) == [("reviewbox", "a b")]


@each_way
def test_unknown_fields_are_ignored(envelope: Callable[[Any], Any]) -> None:
    record = notification("a", glacierEventData={"new": [1]})["Records"][0]
    record["s3"]["bucket"]["awsGeneratedTags"] = record["s3"]["object"]["new"] = {"a": "b"}

    assert refs(parse(envelope({"Records": [record], "Type": "new"}))) == [("reviewbox", "a")]
    assert len(refs(parse(envelope({**EVENTBRIDGE, "replay-name": "again"})))) == 1


@pytest.mark.parametrize(
    "event",
    [
        [],
        None,
        {},
        {"key": "a"},
        {"Records": None},
        {"Records": [{"eventSource": "aws:kinesis"}]},
        {"Records": [notification("a")["Records"][0], {"eventSource": "aws:kinesis"}]},
        notification(""),
        notification("a", s3={"bucket": {"name": "b"}}),
        notification("a", s3={"object": {"key": "k"}}),
        {"source": "aws.s3", "detail-type": "Object Created"},
        {"source": "aws.s3", "detail": EVENTBRIDGE["detail"]},
    ],
)
@each_way
def test_an_unknown_event_is_an_error(event: Any, envelope: Callable[[Any], Any]) -> None:
    (message,) = parse(envelope(event))

    assert len(message.errors) == 1


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (["a"], "a JSON list, not an object"),
        ({"b": 1, "a": 2}, "neither an S3 notification nor an EventBridge event: its fields are a, b"),
        ({}, "its fields are none"),
        ({"Records": [5]}, "record 1 of the notification is a JSON int"),
        ({"Records": [{"kinesis": {}}]}, "record 1 of the notification is neither from S3 nor from SNS: its"),
        (notification("a", eventVersion="3.1"), "has event version 3.1; supported versions are 2.x"),
        (notification("a", eventName=None), "record 1 of the notification has no event name: its fields are"),
        (notification("a", s3={"bucket": {}}), "does not name a bucket and a key: its fields are bucket"),
        ({**EVENTBRIDGE, "source": "aws.ec2"}, "the EventBridge event is from aws.ec2, not from aws.s3"),
        (
            {**EVENTBRIDGE, "detail": None},
            "has no type or no detail: its fields are account, detail, detail-",
        ),
        (
            {**EVENTBRIDGE, "detail-type": "AWS API Call via CloudTrail"},
            "enable EventBridge in the bucket's properties",
        ),
        (wrapped("Hello"), "the SNS notification has 5 characters in 'Message' that are not valid JSON"),
        (wrapped("", Message={}), "the SNS notification has no text in 'Message': its fields are Message,"),
        (
            wrapped("", Type="SubscriptionConfirmation"),
            "sent SubscriptionConfirmation instead of Notification",
        ),
        (
            wrapped("", Type="UnsubscribeConfirmation"),
            "sent UnsubscribeConfirmation instead of Notification",
        ),
    ],
)
def test_an_error_describes_the_event(event: Any, seen: str) -> None:
    (error,) = errors(event)

    assert seen in error


def test_an_error_message_is_short_for_any_event() -> None:
    (error,) = errors({f"field{number}": None for number in range(1000)})

    assert len(error) < 200


def test_deeply_nested_envelopes_are_refused() -> None:
    event = notification("a")
    for _ in range(4):
        event = wrapped(event)
        assert refs(parse(event)) == [("reviewbox", "a")]

    (error,) = errors(wrapped(event))

    assert "the SNS notification is nested in 4 envelopes" in error


@pytest.mark.parametrize("body", [json.dumps(json.dumps(notification("a"))), {"body": as_text(EVENTBRIDGE)}])
def test_only_known_envelopes_are_unwrapped(body: Any) -> None:
    assert refs(parse(batch(body))) == []
    assert len(errors(batch(body))) == 1


@pytest.mark.parametrize("record", [None, {"eventSource": "aws:sqs", "body": "{}"}])
def test_a_message_without_an_id_is_refused(record: Any) -> None:
    with pytest.raises(EventError, match="no messageId"):
        parse({"Records": [*batch(EVENTBRIDGE)["Records"], record]})


def test_an_event_without_records_names_no_object() -> None:
    assert parse({"Records": []}) == [Message()]


@pytest.mark.parametrize("body", ["", "not JSON", "[]", '"text"', "{}", '{"Records": 5}', "[" * 100_000])
def test_a_malformed_body_does_not_affect_other_messages(body: str) -> None:
    messages = parse(batch(notification("a"), body, EVENTBRIDGE))

    assert refs(messages) == [("reviewbox", "a"), ("reviews", "incoming/a+b c%20d.txt")]
    assert [message.message_id for message in messages] == ["id-0", "id-1", "id-2"]
    assert [len(message.errors) for message in messages] == [0, 1, 0]


def test_a_malformed_record_does_not_affect_other_records() -> None:
    half = {"Records": [*notification("a")["Records"], {"eventSource": "aws:kinesis"}]}

    (message,) = parse(batch(half))

    assert refs([message]) == [("reviewbox", "a")]
    assert [str(error) for error in message.errors] == [
        "record 2 of the notification is neither from S3 nor from SNS: its fields are eventSource"
    ]


@pytest.mark.parametrize(
    "event",
    [
        SECRET,
        [SECRET],
        {"text": SECRET},
        {SECRET: 1},
        {"Records": [SECRET]},
        {"Records": [{SECRET: SECRET}]},
        notification(SECRET, eventVersion=SECRET),
        notification(SECRET, eventName={SECRET: SECRET}),
        notification(SECRET + "%FF"),
        notification("a", s3={SECRET: SECRET}),
        wrapped(SECRET),
        wrapped({"a": SECRET}),
        wrapped(SECRET, Type=SECRET),
        wrapped("", Message={"text": SECRET}),
        {**EVENTBRIDGE, "source": SECRET},
        {**EVENTBRIDGE, "detail": {"event-version": SECRET}},
        {**EVENTBRIDGE, "detail": {SECRET: SECRET}},
    ],
)
@each_way
def test_errors_never_quote_possible_review_text(event: Any, envelope: Callable[[Any], Any]) -> None:
    (error,) = errors(envelope(event))

    assert "secret" not in error


@pytest.mark.parametrize(
    ("attributes", "count"),
    [
        ({"ApproximateReceiveCount": "7"}, 7),
        ({"ApproximateReceiveCount": json.loads("1e400")}, 1),
        ({"SenderId": "x"}, 1),
        ({}, 1),
        (None, 1),
    ],
)
@pytest.mark.parametrize("body", [EVENTBRIDGE, "bad"])
def test_a_message_has_its_receive_count(attributes: Any, count: int, body: Any) -> None:
    event = batch(body)
    event["Records"][0]["attributes"] = attributes

    (message,) = parse(event)

    assert message.receive_count == count


@given(JSON | st.dictionaries(st.sampled_from(["Records", "source", "Event", "detail"]) | st.text(), JSON))
def test_any_json_value_is_parsed_or_refused(event: Any) -> None:
    for envelope in ENVELOPES.values():
        assert is_understood_or_refused(envelope(event))
        assert is_understood_or_refused(envelope(json.dumps(event)[1:]))


@given(
    event=st.sampled_from(
        [
            notification("a"),
            batch(notification("a"), EVENTBRIDGE),
            EVENTBRIDGE,
            sns(notification("a"), EVENTBRIDGE),
            wrapped(EVENTBRIDGE),
        ]
    ),
    envelope=st.sampled_from(list(ENVELOPES.values())),
    changes=st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=2),
)
def test_a_damaged_event_is_parsed_or_refused(
    event: dict[str, Any], envelope: Callable[[Any], Any], changes: list[tuple[Any, Any]]
) -> None:
    damaged = deepcopy(event)

    for place, value in changes:
        put(damaged, place, value)

    assert is_understood_or_refused(envelope(damaged))


def put(holder: Any, place: tuple[Any, ...], value: Any) -> None:
    """Replace the value at `place` if it exists."""
    *way, last = place
    try:
        for step in way:
            holder = holder[step]
        holder[last] = value
    except (LookupError, TypeError):
        pass


def is_understood_or_refused(event: Any) -> bool:
    try:
        messages = parse(event)
    except EventError:
        return True
    assert all(len(str(error)) < 600 for message in messages for error in message.errors)
    return all(isinstance(message, Message) for message in messages)


def test_a_segment_message_names_its_segment() -> None:
    segment = SegmentRef(ObjectRef("reviewbox", "incoming/a b+é.csv"), "1f" * 32, 12)
    record = {"eventSource": "aws:sqs", "messageId": "1", "body": segment_message(segment)}

    (message,) = parse({"Records": [record]})

    assert (message.segments, message.refs, message.errors) == ((segment,), (), ())
    assert message.body == record["body"]


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        {},
        {"bucket": "b", "key": "k", "plan": "p"},
        {"bucket": 1, "key": "k", "plan": "p", "index": 0},
    ],
)
def test_a_malformed_segment_message_is_an_error(fields: Any) -> None:
    (message,) = parse({"reviewboxSegment": fields})

    assert message.segments == ()
    assert len(message.errors) == 1


@pytest.mark.parametrize("name", REMOVED)
def test_removed_objects_are_named_apart(name: str) -> None:
    """What classifies ignores them. The catalog follows them."""
    (message,) = parse(json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8")))

    assert message.removed == (ObjectRef(BUCKET, REMOVED[name]),)
    assert (message.targets, message.errors) == ((), ())


def test_an_expired_object_is_removed_too() -> None:
    event = json.loads((EVENTS / "s3_delete.json").read_text(encoding="utf-8"))
    event["Records"][0]["eventName"] = "LifecycleExpiration:DeleteMarkerCreated"

    assert [ref.key for ref in parse(event)[0].removed] == [HOTEL]
