import json
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbox.errors import EventError
from reviewbox.events import Message, parse
from reviewbox.objects import ObjectRef

EVENTS = Path(__file__).with_name("events")

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

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)

# Where in an event something may be other than it should be.
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
    ("Records", 1),
    ("Event",),
    ("detail",),
    ("detail", "bucket"),
    ("detail", "object", "key"),
    ("detail-type",),
    ("source",),
]


def load(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


def notification(key: str, **changes: Any) -> dict[str, Any]:
    """S3's event for an object of that encoded key, the record's fields changed."""
    event = load("s3_put")
    event["Records"][0]["s3"]["object"]["key"] = key
    event["Records"][0] |= changes
    return dict(event)


def batch(*bodies: Any) -> dict[str, Any]:
    """An SQS event of messages "id-0", "id-1", ... with those bodies."""
    sample = load("sqs_s3")["Records"][0]
    return {
        "Records": [
            {
                **sample,
                "messageId": f"id-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for number, body in enumerate(bodies)
        ]
    }


def refs(messages: list[Message]) -> list[tuple[str, str]]:
    return [(ref.bucket, ref.key) for message in messages for ref in message.refs]


def test_a_notification_names_its_object() -> None:
    assert parse(load("s3_put")) == [Message((ObjectRef("reviewbox", "incoming/hotels/seaview.txt"),))]


def test_a_batch_is_as_many_messages() -> None:
    assert parse(load("sqs_s3")) == [
        Message(
            (ObjectRef("reviewbox", "incoming/2026/my review+é.txt"),), "5f0c2b7e-84f1-4f0e-9a55-0c6f3f1f7d21"
        ),
        Message(
            (ObjectRef("reviewbox", "incoming/shop/earphones.jsonl"),), "b3a9d6c4-1e27-4c8a-8f6b-7d2e9a4c5b10"
        ),
    ]


@pytest.mark.parametrize("name", ["s3_test_event", "sqs_s3_test_event"])
def test_the_event_that_s3_tries_a_notification_with_names_nothing(name: str) -> None:
    (message,) = parse(load(name))

    assert message.refs == ()
    assert message.errors == ()


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_event_is_understood(path: Path) -> None:
    messages = parse(json.loads(path.read_text(encoding="utf-8")))

    assert messages
    assert not [message.errors for message in messages if message.errors]


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


@given(st.text(min_size=1))
@settings(deadline=None)
def test_any_key_comes_back(key: str) -> None:
    event = notification(quote_plus(key, safe="/"))

    assert refs(parse(event)) == refs(parse(batch(event))) == [("reviewbox", key)]


@given(st.text(min_size=1))
@settings(deadline=None)
def test_eventbridge_gives_any_key_as_it_is(key: str) -> None:
    event = deepcopy(EVENTBRIDGE)
    event["detail"]["object"]["key"] = key

    assert refs(parse(event)) == refs(parse(batch(event))) == [("reviews", key)]


def test_a_plus_sign_from_eventbridge_is_a_plus_sign() -> None:
    assert refs(parse(EVENTBRIDGE)) == [("reviews", "incoming/a+b c%20d.txt")]


def test_a_notification_may_name_several_objects() -> None:
    event = {"Records": [notification(key)["Records"][0] for key in ("b", "a", "b")]}

    assert refs(parse(event)) == [("reviewbox", "b"), ("reviewbox", "a"), ("reviewbox", "b")]
    assert len(parse(event)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "ObjectCreated:Put",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectCreated:Copy",
        "s3:ObjectCreated:Post",
    ],
)
def test_every_way_to_create_an_object_counts(name: str) -> None:
    assert refs(parse(notification("a", eventName=name))) == [("reviewbox", "a")]


@pytest.mark.parametrize(
    "name",
    [
        "ObjectRemoved:Delete",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "ObjectTagging:Put",
        "ObjectCreatedNot:A",
    ],
)
def test_what_creates_nothing_is_passed_over(name: str) -> None:
    removal, creation = notification("a", eventName=name)["Records"][0], notification("b")["Records"][0]

    assert refs(parse({"Records": [removal, creation]})) == [("reviewbox", "b")]
    assert parse({"Records": [removal]}) == [Message()]


def test_a_removal_from_eventbridge_is_passed_over() -> None:
    assert parse({**EVENTBRIDGE, "detail-type": "Object Deleted"}) == [Message()]


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.99", "2"])
def test_a_minor_version_only_adds_fields(version: str) -> None:
    assert refs(parse(notification("a", eventVersion=version))) == [("reviewbox", "a")]


@pytest.mark.parametrize("version", ["1.0", "3.0", "20.1", "", None])
def test_another_major_version_is_refused(version: str | None) -> None:
    (message,) = parse(notification("a", eventVersion=version))

    assert message.refs == ()
    assert "record 1 of the notification has event version" in str(message.errors[0])
    assert "known are 2.x" in str(message.errors[0])


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
    ],
)
def test_what_is_of_no_known_shape_is_an_error(event: Any) -> None:
    (message,) = parse(event)

    assert len(message.errors) == 1


@pytest.mark.parametrize("record", [None, {"eventSource": "aws:sqs", "body": "{}"}])
def test_a_message_without_an_id_is_refused(record: Any) -> None:
    with pytest.raises(EventError, match="no message id"):
        parse({"Records": [*batch(EVENTBRIDGE)["Records"], record]})


def test_an_event_without_records_names_nothing() -> None:
    assert parse({"Records": []}) == [Message()]


@pytest.mark.parametrize("body", ["", "not JSON", "[]", '"text"', "{}", '{"Records": 5}', "[" * 100_000])
def test_a_bad_body_keeps_its_error_and_the_others_go_on(body: str) -> None:
    messages = parse(batch(notification("a"), body, EVENTBRIDGE))

    assert refs(messages) == [("reviewbox", "a"), ("reviews", "incoming/a+b c%20d.txt")]
    assert [message.message_id for message in messages] == ["id-0", "id-1", "id-2"]
    assert [len(message.errors) for message in messages] == [0, 1, 0]


def test_a_bad_record_is_an_error_beside_its_neighbours() -> None:
    half = {"Records": [*notification("a")["Records"], {"eventSource": "aws:kinesis"}]}

    (message,) = parse(batch(half))

    assert refs([message]) == [("reviewbox", "a")]
    assert [str(error) for error in message.errors] == ["record 2 of the notification is not from S3"]


def test_no_error_repeats_what_a_body_says() -> None:
    (message,) = parse(batch('{"text": "my secret review"}'))

    assert "fields are text" in str(message.errors)
    assert "secret" not in str(message.errors)


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
def test_a_message_knows_how_often_it_was_delivered(attributes: Any, count: int, body: Any) -> None:
    event = batch(body)
    event["Records"][0]["attributes"] = attributes

    (message,) = parse(event)

    assert message.receive_count == count


@given(JSON | st.dictionaries(st.sampled_from(["Records", "source", "Event", "detail"]) | st.text(), JSON))
@settings(deadline=None)
def test_any_json_is_understood_or_refused(event: Any) -> None:
    assert is_understood_or_refused(event)
    assert is_understood_or_refused(batch(event))
    assert is_understood_or_refused(batch(json.dumps(event)[1:]))


@given(
    event=st.sampled_from([notification("a"), batch(notification("a"), EVENTBRIDGE), EVENTBRIDGE]),
    changes=st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=2),
)
@settings(deadline=None, max_examples=300)
def test_a_damaged_event_is_understood_or_refused(
    event: dict[str, Any], changes: list[tuple[Any, Any]]
) -> None:
    damaged = deepcopy(event)

    for place, value in changes:
        put(damaged, place, value)

    assert is_understood_or_refused(damaged)


def put(holder: Any, place: tuple[Any, ...], value: Any) -> None:
    """Replace what is at `place`, if there is such a place."""
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
    return all(isinstance(message, Message) for message in messages)
