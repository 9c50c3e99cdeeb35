import gzip
import io
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest
from botocore.response import StreamingBody
from mypy_boto3_s3 import S3Client
from mypy_boto3_sqs import SQSClient
from tests.conftest import BUCKET
from tests.documents.formats.binary_tables import panicking_parquet
from tests.handlers.conftest import Context

from handlers import common, on_upload
from reviewbox.errors import SettingsError
from reviewbox.events import segment_message
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.storage import S3Storage

SECRET = "zanzibar"  # a word that occurs only in reviews


def notification(*keys: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}},
            }
            for key in keys
        ]
    }


def sqs(*bodies: Any, receive_count: int = 1) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventSource": "aws:sqs",
                "messageId": f"message-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(receive_count)},
            }
            for number, body in enumerate(bodies, 1)
        ]
    }


def failures(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in numbers]}


def exclusive_queue(monkeypatch: pytest.MonkeyPatch) -> tuple[SQSClient, str]:
    """Create the queue that delivers one message per invocation; return a client and its URL."""
    queue = boto3.client("sqs")
    url = queue.create_queue(QueueName="uploads")["QueueUrl"]
    monkeypatch.setenv("REVIEWBOX_QUEUE_URL", url)
    return queue, url


def receipt(s3: S3Client, key: str) -> dict[str, Any]:
    body = s3.get_object(Bucket=BUCKET, Key=f"results/{key}.json")["Body"].read()
    content: dict[str, Any] = json.loads(body)
    return content


def test_an_s3_notification_is_classified(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/2026/my review+é.txt", Body=b"great film")

    on_upload.handler(notification("incoming/2026/my+review%2B%C3%A9.txt"), Context())

    assert receipt(s3, "incoming/2026/my review+é.txt")["sentiment"] == "positive"


def test_a_direct_event_and_an_sqs_message_give_the_same_result(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    on_upload.handler(notification("incoming/a.txt"), Context())
    directly = receipt(s3, "incoming/a.txt")
    s3.delete_object(Bucket=BUCKET, Key="results/incoming/a.txt.json")

    response = on_upload.handler(sqs(notification("incoming/a.txt")), Context())

    assert response == failures()
    assert receipt(s3, "incoming/a.txt") == directly


def test_s3_s_test_event_is_acknowledged() -> None:
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}

    assert on_upload.handler(sqs(test_event), Context()) == failures()


def test_a_file_at_which_a_library_ends_its_process_is_refused_at_once(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.parquet", Body=panicking_parquet())

    assert on_upload.handler(sqs(notification("incoming/a.parquet")), Context()) == failures()

    assert receipt(s3, "incoming/a.parquet")["error"]["code"] == "corrupt_file"


def test_only_failed_messages_are_reported(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"awful film")
    elsewhere = notification("incoming/b.txt")
    elsewhere["Records"][0]["s3"]["bucket"]["name"] = "no-such-bucket"

    response = on_upload.handler(
        sqs("no json", elsewhere, notification("incoming/a.txt", "incoming/b.txt")), Context()
    )

    assert response == failures(1, 2)
    assert receipt(s3, "incoming/a.txt")["sentiment"] == "positive"
    assert receipt(s3, "incoming/b.txt")["sentiment"] == "negative"


def test_a_failing_object_does_not_affect_other_objects_of_its_message(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"awful film")
    event = notification("incoming/a.txt", "incoming/b.txt")
    event["Records"][0]["s3"]["bucket"]["name"] = "no-such-bucket"

    with pytest.raises(on_upload.UploadError, match=r"s3://no-such-bucket/incoming/a\.txt"):
        on_upload.handler(event, Context())

    assert receipt(s3, "incoming/b.txt")["sentiment"] == "negative"


def test_the_last_delivery_leaves_an_error_receipt(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    message = notification("incoming/a.txt")

    early = on_upload.handler(sqs(message, receive_count=4), Context(milliseconds=1))
    after_the_early_one = s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
    last = on_upload.handler(sqs(message, receive_count=5), Context(milliseconds=1))

    error = receipt(s3, "incoming/a.txt")["error"]
    assert early == last == failures(1)
    assert after_the_early_one == 1
    assert error["code"] == "out_of_time"
    assert "tried 5 times" in error["message"]


def test_an_unknown_direct_event_is_an_error_that_describes_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(on_upload.UploadError, match="body, headers"):
        on_upload.handler({"headers": {}, "body": ""}, Context())

    assert [record.getMessage() for record in caplog.records] == ["message.unknown"]


def test_an_unknown_record_does_not_affect_other_records(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key="incoming/c.txt", Body=b"awful film")
    event = notification("incoming/a.txt", "incoming/b.txt", "incoming/c.txt")
    event["Records"][1]["eventVersion"] = "3.0"

    response = on_upload.handler(sqs(event), Context())

    assert response == failures(1)
    assert receipt(s3, "incoming/a.txt")["sentiment"] == "positive"
    assert receipt(s3, "incoming/c.txt")["sentiment"] == "negative"


def test_invalid_settings_fail_the_invocation_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWBOX_THREADS", "many")

    with pytest.raises(SettingsError, match="REVIEWBOX_THREADS"):
        on_upload.handler(sqs(notification("incoming/a.txt")), Context())


def test_log_events_have_stable_names_and_fields(s3: S3Client, caplog: pytest.LogCaptureFixture) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key="incoming/b.png", Body=b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")

    on_upload.handler(
        sqs(
            notification("incoming/a.txt"),
            notification("incoming/a.txt", "incoming/b.png", "incoming/gone.txt", "results/a.json"),
            "no json",
        ),
        Context(),
    )

    events = {(record.getMessage(), getattr(record, "key", None)) for record in caplog.records}
    assert len(caplog.records) == len(events)
    assert events == {
        ("object.classified", "incoming/a.txt"),
        ("object.refused", "incoming/b.png"),
        ("object.gone", "incoming/gone.txt"),
        ("object.ignored", "results/a.json"),
        ("message.unknown", None),
    }


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("incoming/a.txt", f"good {SECRET}".encode()),
        ("incoming/a.txt", f"{SECRET} \x00\x01\x02\x03".encode()),
        ("incoming/a.txt", f"{SECRET}".encode("utf-16")[:-1]),
        ("incoming/a.jsonl", f'{{"text": "{SECRET}"}}\n{{"text": "{SECRET}'.encode()),
        ("incoming/a.jsonl", f'"{SECRET}"\n{{"{SECRET}"}}\n[{SECRET}]'.encode()),
    ],
)
@pytest.mark.parametrize("milliseconds", [900_000, 1])
def test_review_text_is_never_logged(
    s3: S3Client, caplog: pytest.LogCaptureFixture, key: str, body: bytes, milliseconds: int
) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    with caplog.at_level(logging.INFO):
        on_upload.handler(sqs(notification(key), receive_count=5), Context(milliseconds))

    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert key in logged
    assert SECRET not in logged


def test_an_unexpected_error_is_logged_without_its_message(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A library may quote the data in its message. The traceback is enough to find the place."""
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")

    def fail(**_: Any) -> None:
        raise ValueError(SECRET)

    storage = common.pipeline().store
    assert isinstance(storage, S3Storage)
    storage.client.meta.events.register("before-call.s3.PutObject", fail)
    response = on_upload.handler(sqs(notification("incoming/a.txt")), Context())

    (record,) = caplog.records
    assert response == failures(1)
    assert record.getMessage() == "object.failed"
    assert vars(record)["reason"] == "ValueError"
    assert any("storage.py" in frame for frame in vars(record)["frames"])
    assert SECRET not in str(vars(record))


class ShortOfTime(Context):
    """Has time until a condition is true, and then only enough to respond."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        super().__init__()
        self._is_over = is_over

    def get_remaining_time_in_millis(self) -> int:
        return 10_000 if self._is_over() else 900_000


def test_messages_whose_objects_were_not_started_are_requeued(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This does not count as a failed attempt."""
    queue, url = exclusive_queue(monkeypatch)
    monkeypatch.setenv("REVIEWBOX_OBJECTS_AT_ONCE", "1")
    keys = [f"incoming/{number}.txt" for number in range(5)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"great film")
    bodies = [notification(key) for key in keys]

    def results() -> int:
        return s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["KeyCount"]

    response = on_upload.handler(sqs(*bodies), ShortOfTime(lambda: results() >= 2))

    waiting = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert response == failures()
    assert 2 <= results() < 5
    assert results() + len(waiting) == 5
    assert all(json.loads(message["Body"]) in bodies for message in waiting)


def test_a_message_that_was_delivered_before_goes_alone(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the one that exhausted the memory of its last invocation."""
    queue, url = exclusive_queue(monkeypatch)
    events = [
        sqs(notification(f"incoming/{name}.txt"), receive_count=count) for name, count in (("a", 1), ("b", 2))
    ]
    for name in "ab":
        s3.put_object(Bucket=BUCKET, Key=f"incoming/{name}.txt", Body=b"great film")
    records = [{**event["Records"][0], "messageId": f"m{n}"} for n, event in enumerate(events)]

    response = on_upload.handler({"Records": records}, Context())

    (sent,) = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    results = {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["Contents"]}
    assert response == failures()
    assert results == {"results/incoming/a.txt.json"}
    assert json.loads(sent["Body"])["Records"] == notification("incoming/b.txt")["Records"]


def test_a_message_that_goes_alone_removes_what_its_dead_worker_left(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as redelivered, although it is a new message."""
    queue, url = exclusive_queue(monkeypatch)
    left = f"results/incoming/b.txt.classified/{'0' * 32}/part-00000.csv"
    s3.put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key=left, Body=b"text,sentiment\n")
    events = [sqs(notification(f"incoming/{name}.txt"), receive_count=2) for name in "ab"]
    records = [{**event["Records"][0], "messageId": f"m{n}"} for n, event in enumerate(events)]
    on_upload.handler({"Records": records}, Context())

    for message in queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
        on_upload.handler(sqs(json.loads(message["Body"])), Context())

    results = {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["Contents"]}
    assert results == {"results/incoming/b.txt.json"}


def test_an_object_that_runs_out_of_time_alone_has_failed(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is time until the text has been read."""
    exclusive_queue(monkeypatch)
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film " * 10_000)
    storage = common.pipeline().store
    assert isinstance(storage, S3Storage)
    sizes = [0]
    storage.client.meta.events.register(
        "after-call.s3.GetObject", lambda parsed, **_: sizes.append(parsed.get("ContentLength", 0))
    )

    context = ShortOfTime(lambda: max(sizes) > 100_000)

    assert on_upload.handler(sqs(notification("incoming/a.txt")), context) == failures(1)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")


def test_without_a_queue_an_object_that_was_not_started_has_failed(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")

    assert on_upload.handler(sqs(notification("incoming/a.txt")), ShortOfTime(lambda: True)) == failures(1)


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("incoming/a.csv", b"id,review\n" + b"1,good film\n" * 2_000),
        ("incoming/a.txt", b"good film " * 2_500),
        ("incoming/a.txt.gz", gzip.compress(b"good film", mtime=0)),
    ],
)
def test_an_object_that_is_or_may_be_large_gets_an_invocation_of_its_own(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, key: str, body: bytes
) -> None:
    """It would make the other objects of its batch wait, and use the memory that they need."""
    queue, url = exclusive_queue(monkeypatch)
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    s3.put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"awful film")

    response = on_upload.handler(sqs(notification(key), notification("incoming/b.txt")), Context())

    (sent,) = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    results = {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["Contents"]}
    assert response == failures()
    assert results == {"results/incoming/b.txt.json"}
    assert on_upload.handler(sqs(sent["Body"]), Context()) == failures()
    assert receipt(s3, key)["source"]["key"] == key


@pytest.mark.parametrize("wrapped", [sqs, lambda event: event], ids=["message", "direct"])
def test_a_large_object_is_processed_even_if_its_message_names_others(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, wrapped: Any
) -> None:
    """A single message already has the invocation for itself."""
    queue, url = exclusive_queue(monkeypatch)
    s3.put_object(Bucket=BUCKET, Key="incoming/a.csv", Body=b"id,review\n" + b"1,good film\n" * 2_000)
    s3.put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"awful film")

    response = on_upload.handler(wrapped(notification("incoming/a.csv", "incoming/b.txt")), Context())

    assert response == failures()
    assert receipt(s3, "incoming/a.csv")["counts"]["total"] == 2_000
    assert receipt(s3, "incoming/b.txt")["sentiment"] == "negative"
    assert "Messages" not in queue.receive_message(QueueUrl=url)


def at_get_object(monkeypatch: pytest.MonkeyPatch, body_of: Any) -> list[str]:
    """Make `body_of` replace the body of each object that the function reads, by its key; return the keys."""
    keys: list[str] = []
    storage = common.pipeline().store
    assert isinstance(storage, S3Storage)
    get_object = storage.client.get_object

    def get(**request: Any) -> Any:
        response = get_object(**request)
        keys.append(request["Key"])
        if body := body_of(request["Key"]):
            response["Body"] = StreamingBody(io.BytesIO(body), response["ContentLength"])
        return response

    monkeypatch.setattr(storage.client, "get_object", get)
    return keys


def test_a_body_that_is_cut_off_is_read_again_at_once(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    cut_off = iter([b"great", b"great"])
    at_get_object(monkeypatch, lambda key: next(cut_off, None) if key == "incoming/a.txt" else None)

    response = on_upload.handler(sqs(notification("incoming/a.txt")), Context())

    assert response == failures()
    assert receipt(s3, "incoming/a.txt")["sentiment"] == "positive"
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1
    assert 2.5 <= waits[1] <= 5


@pytest.mark.parametrize(("milliseconds", "attempts"), [(900_000, 4), (15_400, 1)])
def test_a_busy_service_is_asked_a_few_times_while_time_remains(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, milliseconds: int, attempts: int
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    keys = at_get_object(monkeypatch, lambda key: b"gre" if key == "incoming/a.txt" else None)

    response = on_upload.handler(sqs(notification("incoming/a.txt")), Context(milliseconds))

    assert response == failures(1)
    assert keys.count("incoming/a.txt") == attempts


def test_an_error_that_does_not_pass_is_not_retried_in_the_invocation(
    s3: S3Client, waits: list[float]
) -> None:
    event = notification("incoming/a.txt")
    event["Records"][0]["s3"]["bucket"]["name"] = "no-such-bucket"

    assert on_upload.handler(sqs(event), Context()) == failures(1)
    assert waits == []


def received(queue: SQSClient, url: str, *bodies: Any, receive_count: int = 1) -> dict[str, Any]:
    """Send messages and receive them; return the event with which they are delivered to the function."""
    for body in bodies:
        queue.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    arn = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    records = []
    while messages := queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        records += [
            {
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": str(receive_count)},
            }
            for message in messages
        ]
    return {"Records": records}


@pytest.mark.parametrize(("receive_count", "minutes"), [(1, 2), (2, 10), (3, 60), (4, 60)])
def test_failed_messages_come_back_after_minutes(
    receive_count: int, minutes: int, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that, they would come back after six timeouts of the function."""
    hidden: list[int] = []
    queue = boto3.client("sqs")
    url = queue.create_queue(QueueName="incoming")["QueueUrl"]
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    bad = notification("incoming/a.txt")
    bad["Records"][0]["s3"]["bucket"]["name"] = "no-such-bucket"
    count = 23 if receive_count == 1 else 1
    event = received(queue, url, *[bad] * count, notification("incoming/a.txt"), receive_count=receive_count)

    def note(params: Any, **_: Any) -> None:
        entries = json.loads(params["body"])["Entries"]
        hidden.extend(entry["VisibilityTimeout"] for entry in entries)

    source = common.source_queue(event["Records"][0]["eventSourceARN"])
    assert source.client is not None
    source.client.meta.events.register("before-call.sqs.ChangeMessageVisibilityBatch", note)
    response = on_upload.handler(event, Context())

    assert len(response["batchItemFailures"]) == len(hidden) == count
    assert all(60 * minutes <= seconds <= 90 * minutes for seconds in hidden)
    assert len(set(hidden)) > 1 or count == 1
    assert queue.receive_message(QueueUrl=url).get("Messages") is None


def test_a_message_whose_request_has_no_answer_comes_back_after_minutes(s3: S3Client) -> None:
    """The invocation still has time to say so when it gives up."""
    queue = boto3.client("sqs")
    url = queue.create_queue(QueueName="incoming")["QueueUrl"]
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    event = received(queue, url, notification("incoming/a.txt"))
    hidden: list[str] = []
    is_over = threading.Event()
    end = time.monotonic() + 9

    class NearEnd(Context):
        def get_remaining_time_in_millis(self) -> int:
            is_waiting = threading.current_thread() is threading.main_thread()
            return int(1000 * (end - time.monotonic())) if is_waiting else 900_000

    def leave_without_answer(**_: Any) -> None:
        is_over.wait(timeout=60)

    source, storage = common.source_queue(event["Records"][0]["eventSourceARN"]), common.pipeline().store
    assert source.client is not None
    assert isinstance(storage, S3Storage)
    source.client.meta.events.register(
        "before-call.sqs.ChangeMessageVisibilityBatch", lambda params, **_: hidden.append(params["body"])
    )
    storage.client.meta.events.register("before-call.s3.GetObject", leave_without_answer)
    response = on_upload.handler(event, NearEnd())
    is_over.set()

    assert len(response["batchItemFailures"]) == len(hidden) == 1


def test_a_message_that_will_not_be_delivered_again_becomes_a_dead_letter_at_once() -> None:
    queue = boto3.client("sqs")
    url = queue.create_queue(QueueName="incoming")["QueueUrl"]
    event = received(queue, url, {"unknown": "event"}, receive_count=5)

    on_upload.handler(event, Context())

    assert queue.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])[
        "Attributes"
    ] == {"ApproximateNumberOfMessages": "1"}


@pytest.mark.parametrize("arn", ["arn:aws:sqs:us-east-1:123456789012:no-such-queue", "not an arn"])
def test_failed_messages_are_reported_even_if_sqs_cannot_be_told_when_to_deliver_them(
    s3: S3Client, caplog: pytest.LogCaptureFixture, arn: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    event = sqs("no json", notification("incoming/a.txt"))
    for record in event["Records"]:
        record |= {"eventSourceARN": arn, "receiptHandle": "handle"}

    assert on_upload.handler(event, Context()) == failures(1)
    assert receipt(s3, "incoming/a.txt")["sentiment"] == "positive"
    assert "message.not_delayed" in [record.getMessage() for record in caplog.records]


def test_large_messages_are_deferred_in_several_requests_and_start_anew(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS accepts 256 KB in a request. Being deferred is not an attempt."""
    queue, url = exclusive_queue(monkeypatch)
    elsewhere = [f"elsewhere/{number:0500}" for number in range(180)]
    keys = [f"incoming/{number}.csv" for number in range(10)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"id,review\n" + b"1,good film\n" * 3000)
    event = sqs(*(notification(key, *elsewhere) for key in keys))
    assert all(100_000 < len(record["body"]) < 200_000 for record in event["Records"])

    response = on_upload.handler(event, Context())

    messages: list[Any] = []
    while more := queue.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    ).get("Messages"):
        messages += more
    assert response == failures()
    assert sorted(m["Body"] for m in messages) == sorted(r["body"] for r in event["Records"])
    assert {m["Attributes"]["ApproximateReceiveCount"] for m in messages} == {"1"}


ENVELOPES: dict[str, Any] = {
    "S3": notification,
    "SNS": lambda key: {"Type": "Notification", "Message": json.dumps(notification(key))},
    "EventBridge": lambda key: {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": BUCKET}, "object": {"key": key}},
    },
    "segment": lambda key: json.loads(segment_message(SegmentRef(ObjectRef(BUCKET, key), "plan", 1))),
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
def test_a_batch_that_was_killed_comes_back_one_message_at_a_time(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, envelope: Any
) -> None:
    """An invocation without enough memory is killed, and SQS delivers all of its messages again."""
    queue, url = exclusive_queue(monkeypatch)
    keys = [f"incoming/{number}.txt" for number in range(12)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"great film")

    response = on_upload.handler(sqs(*map(envelope, keys), receive_count=2), Context())

    results = s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["KeyCount"]
    records = received(queue, url)["Records"]
    alone = [on_upload.handler({"Records": [record]}, Context()) for record in records]
    done = s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["KeyCount"]
    assert (response, results) == (failures(), 0)
    assert alone == [failures()] * len(keys)
    assert done == len(keys)


def test_a_message_of_several_objects_comes_back_one_object_at_a_time(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the second one exhausts the memory, the third one would never get its turn."""
    queue, url = exclusive_queue(monkeypatch)
    keys = ["incoming/a b+c%é.txt", "incoming/b.txt", "incoming/c.txt"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"great film")
    event = notification(*map(quote_plus, keys), "incoming/d.txt")
    event["Records"][3]["eventVersion"] = "3.0"

    response = on_upload.handler(sqs(event, receive_count=2), Context())

    records = received(queue, url)["Records"]
    assert response == failures(1)  # a record of the message is unknown
    assert len(records) == 3
    for record in records:
        assert on_upload.handler({"Records": [record]}, Context()) == failures()
    assert [receipt(s3, key)["sentiment"] for key in keys] == ["positive"] * 3


def test_if_a_killed_batch_cannot_be_split_its_objects_share_no_memory(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are processed one after the other, after those that are delivered for the first time."""
    monkeypatch.setenv("REVIEWBOX_QUEUE_URL", "http://127.0.0.1:1/no-such-queue")
    keys = ["incoming/a.txt", "incoming/b.txt", "incoming/c.txt"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"great film")
    records = [
        sqs(notification(key), receive_count=count)["Records"][0] | {"messageId": key}
        for key, count in zip(keys, (2, 3, 1), strict=True)
    ]
    read = at_get_object(monkeypatch, lambda _: None)

    assert on_upload.handler({"Records": records}, Context()) == failures()
    assert [key for key in read if key in keys] == ["incoming/c.txt", "incoming/a.txt", "incoming/b.txt"]


def test_a_result_of_another_bucket_stays_and_its_message_becomes_a_dead_letter(
    s3: S3Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another deployment writes to the same results bucket. The last attempt also leaves its result."""
    monkeypatch.setenv("REVIEWBOX_RESULTS_BUCKET", BUCKET)
    s3.create_bucket(Bucket="hotel")
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    s3.put_object(Bucket="hotel", Key="incoming/a.txt", Body=b"awful film")
    other = notification("incoming/a.txt")
    other["Records"][0]["s3"]["bucket"]["name"] = "hotel"
    on_upload.handler(sqs(notification("incoming/a.txt")), Context())
    caplog.clear()

    first = on_upload.handler(sqs(other), Context())
    last = on_upload.handler(sqs(other, receive_count=5), Context())

    assert first == last == failures(1)
    assert receipt(s3, "incoming/a.txt")["sentiment"] == "positive"
    events = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert events == ["object.failed", "object.failed", "object.not_recorded"]
    assert all("foreign_result" in record.reason for record in caplog.records if hasattr(record, "reason"))
