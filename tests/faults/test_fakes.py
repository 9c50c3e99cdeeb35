"""The fakes of S3 and SQS answer random calls as moto does."""

import json
import random
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.sqs import models as moto_sqs
from mypy_boto3_s3 import S3Client as RealS3Client
from tests.conftest import BUCKET
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.faults.sqs import MessageQueue, Sqs

CALLS = 120
SEEDS = range(3)

KEYS = ("a", "a/b", "a/b/c", "ab", "é", "z+z z")
BODIES = (b"", b"one", b"two", b"a longer body of an object")
COUNTS = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]

Call = Callable[[Any], Any]


def outcome(call: Callable[[], Any]) -> Any:
    """Return the answer to a call, or the code and status of its error."""
    try:
        return call()
    except ClientError as error:
        response = error.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error.operation_name


def s3_call(choose: random.Random, etags: list[str]) -> tuple[str, Call]:
    """Return a random call, with its description."""
    bucket = choose.choice([BUCKET] * 30 + ["no-such-bucket"])
    place = {"Bucket": bucket, "Key": choose.choice(KEYS)}
    match = {"IfMatch": choose.choice(etags)} if choose.random() < 0.5 else {}
    condition = match or choose.choice([{}, {"IfNoneMatch": "*"}])
    first = choose.randrange(4)
    byte_range = choose.choice([{}, {"Range": f"bytes={first}-"}, {"Range": f"bytes={first}-{first + 3}"}])
    storage = choose.choice([{}, {}, {"StorageClass": "GLACIER"}])
    content: Any = {"Body": choose.choice(BODIES), "ContentType": "text/x", **storage}
    listing = {
        "Bucket": bucket,
        "Prefix": choose.choice(["", "a", "a/", "a/b", "q"]),
        "MaxKeys": choose.choice([1, 2, 1000]),
        **choose.choice([{}, {"StartAfter": choose.choice(KEYS)}]),
    }
    calls: dict[str, tuple[Any, Call]] = {
        "put": (place | content | condition, lambda c: c.put_object(**place, **content, **condition)),
        "get": (place | match | byte_range, lambda c: c.get_object(**place, **match, **byte_range)),
        # S3 does not return a code for a HeadObject in a bucket that does not exist; moto does.
        "head": (place | match, lambda c: c.head_object(**{**place, "Bucket": BUCKET}, **match)),
        "delete": (place | match, lambda c: c.delete_object(**place, **match)),
        "list": (listing, lambda c: c.list_objects_v2(**listing)),
        "pages": (listing, lambda c: list(c.get_paginator("list_objects_v2").paginate(**listing))),
    }
    name = choose.choice(["put", *calls])
    params, call = calls[name]
    return f"{name} {params}", call


def comparable(answer: Any) -> Any:
    """Return what both clients must answer alike: not version ids, times and what is not modelled."""
    if isinstance(answer, list):
        return [comparable(page) for page in answer]
    if not isinstance(answer, dict):
        return answer
    names = ("ETag", "ContentLength", "ContentRange", "ContentType", "KeyCount", "IsTruncated")
    fields = {name: answer[name] for name in names if name in answer}
    fields["objects"] = [(each["Key"], each["ETag"], each["Size"]) for each in answer.get("Contents", [])]
    fields["body"] = answer["Body"].read() if "Body" in answer else None
    fields["has version"] = answer.get("VersionId", "null") != "null" and "DeleteMarker" not in answer
    return fields


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_versioned", [False, True])
def test_s3_answers_as_moto_does(s3: RealS3Client, seed: int, is_versioned: bool) -> None:  # noqa: FBT001
    choose = random.Random(seed)
    if is_versioned:
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    fake = Client(S3(Clock(), buckets={BUCKET: Bucket(is_versioned)}))
    etags = ['"0"']

    for number in range(CALLS):
        description, call = s3_call(choose, etags)
        expected = comparable(outcome(lambda: call(s3)))  # noqa: B023 - called at once
        answer = comparable(outcome(lambda: call(fake)))  # noqa: B023 - called at once
        assert answer == expected, f"call {number}: {description}"
        if isinstance(expected, dict) and "ETag" in expected:
            etags.append(expected["ETag"])


def sqs_call(
    choose: random.Random, url: str, handles: list[dict[str, str]], number: int
) -> tuple[str, Callable[[Any, str], Any]]:
    """Return a random call, with its description; the call gets a client, and which of the two it is."""
    queue = {"QueueUrl": url}
    entries = [
        {"Id": choose.choice(["1", str(each), str(each), str(each)]), "MessageBody": f"{number}-{each}"}
        for each in range(choose.choice([0, 1, 2, 3, 11]))
    ]
    wanted: dict[str, Any] = {
        "MaxNumberOfMessages": choose.randint(1, 10),
        "VisibilityTimeout": choose.choice([0, 5, 30, 60]),
    }
    known = [each for each in handles if each["queue"] == url]
    chosen = choose.sample(known, min(len(known), choose.choice([1, 1, 2, 3])))
    hidden = choose.choice([{"VisibilityTimeout": 0}, {"VisibilityTimeout": 40}])

    def given(side: str, **more: Any) -> list[Any]:
        return [{"Id": str(i), "ReceiptHandle": each[side], **more} for i, each in enumerate(chosen)]

    wanted["MessageSystemAttributeNames"] = ["All"]
    calls: dict[str, tuple[Any, Callable[[Any, str], Any]]] = {
        "send": (entries, lambda c, _: c.send_message_batch(**queue, Entries=entries)),
        "receive": (wanted, lambda c, _: c.receive_message(**queue, **wanted)),
        "count": ({}, lambda c, _: c.get_queue_attributes(**queue, AttributeNames=COUNTS)),
    }
    if chosen:  # moto accepts some empty batches; SQS does not
        calls["delete"] = (chosen, lambda c, side: c.delete_message_batch(**queue, Entries=given(side)))
        calls["change"] = (
            (chosen, hidden),
            lambda c, side: c.change_message_visibility_batch(**queue, Entries=given(side, **hidden)),
        )
    name = choose.choice(["receive", *calls])
    params, call = calls[name]
    return f"{name} {queue} {params}", call


def described(answer: Any) -> Any:
    """Return what both clients must answer alike: not ids and handles."""
    if not isinstance(answer, dict):
        return answer
    messages = [
        (each["Body"], each["Attributes"]["ApproximateReceiveCount"], each["MD5OfBody"])
        for each in answer.get("Messages", [])
    ]
    successful = sorted(each["Id"] for each in answer.get("Successful", []))
    failed = sorted((each["Id"], each["Code"]) for each in answer.get("Failed", []))
    return messages, successful, failed, answer.get("Attributes")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that moto's SQS also reads."""
    clock = Clock()
    monkeypatch.setattr(moto_sqs, "unix_time", lambda: clock.now)
    monkeypatch.setattr(moto_sqs, "unix_time_millis", lambda: clock.now * 1000)
    return clock


@pytest.mark.parametrize("seed", SEEDS)
def test_sqs_answers_as_moto_does(s3: RealS3Client, clock: Clock, seed: int) -> None:
    """Messages are received, hidden, received again, and become dead letters after three receives."""
    choose = random.Random(seed)
    real = boto3.client("sqs")
    dead = real.create_queue(QueueName="dead")["QueueUrl"]
    arn = real.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})
    attributes: Any = {"VisibilityTimeout": "60", "RedrivePolicy": redrive}
    url = real.create_queue(QueueName="uploads", Attributes=attributes)["QueueUrl"]
    letters = MessageQueue()
    fake = Client(Sqs(clock, queues={url: MessageQueue(60.0, 3, letters), dead: letters}))
    queues = [url] * 8 + [dead] * 3 + [f"{url}-absent"]
    handles: list[dict[str, str]] = []

    for number in range(CALLS):
        clock.now += choose.choice([0, 0, 1, 20, 61])
        queue = choose.choice(queues)
        description, call = sqs_call(choose, queue, handles, number)
        expected = outcome(lambda: call(real, "real"))  # noqa: B023 - called at once
        answer = outcome(lambda: call(fake, "fake"))  # noqa: B023 - called at once
        assert described(answer) == described(expected), f"call {number}: {description}"
        if isinstance(expected, dict):
            pairs = zip(expected.get("Messages", []), answer.get("Messages", []), strict=True)
            handles += [
                {"queue": queue, "real": one["ReceiptHandle"], "fake": two["ReceiptHandle"]}
                for one, two in pairs
            ]
