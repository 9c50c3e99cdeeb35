"""The models of S3 and SQS answer random calls as moto does."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.sqs import models as moto_sqs
from mypy_boto3_s3 import S3Client as RealS3Client
from tests.conftest import BUCKET
from tests.faults.s3 import S3, Bucket, Clock, S3Client
from tests.faults.sqs import MessageQueue, Sqs, SqsClient

KEYS = ("a", "a/b", "a/b/c", "ab", "é", "z+z z")
BODIES = (b"", b"one", b"two", b"a longer body of an object")
CALLS = 150


def outcome(call: Callable[[], Any]) -> Any:
    """Return the answer to a call, or the code and status of its error."""
    try:
        return call()
    except ClientError as error:
        response = error.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error.operation_name


@pytest.mark.parametrize("seed", range(8))
def test_s3(s3: RealS3Client, seed: int) -> None:
    """Half of the runs have a bucket with versions. Page sizes are small, so that listings have pages."""
    choose = random.Random(seed)
    model = S3(Clock(), buckets={BUCKET: Bucket(is_versioned=seed % 2 == 1)})
    if seed % 2:
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    clients: tuple[Any, Any] = (s3, S3Client(model))
    etags = ['"d41d8cd98f00b204e9800998ecf8427e"', '"0"']
    versions: dict[Any, Any] = {}

    def seen(answer: Any) -> Any:
        """Return what can be compared: version ids and times differ."""
        if not isinstance(answer, dict):
            return answer
        kept = ("ETag", "ContentLength", "ContentRange", "ContentType", "KeyCount", "IsTruncated")
        fields = {name: answer[name] for name in kept if name in answer}
        fields["keys"] = [(item["Key"], item["ETag"], item["Size"]) for item in answer.get("Contents", [])]
        fields["body"] = answer["Body"].read() if "Body" in answer else None
        return fields

    for number in range(CALLS):
        bucket = BUCKET if choose.random() < 0.97 else "no-such-bucket"
        place = {"Bucket": bucket, "Key": choose.choice(KEYS)}
        condition = {"IfMatch": choose.choice(etags)} if choose.random() < 0.5 else {}
        calls: dict[str, Callable[[Any], Any]] = {}
        body, start, end = choose.choice(BODIES), choose.randrange(4), choose.choice(["", "1", "5", "500"])
        unless = {"IfNoneMatch": "*"} if not condition and choose.random() < 0.5 else {}
        byte_range = {"Range": f"bytes={start}-{max(int(end), start) if end else ''}"} if choose.random() < 0.5 else {}
        listing = {
            "Bucket": bucket,
            "Prefix": choose.choice(["", "a", "a/", "a/b", "q"]),
            "MaxKeys": choose.choice([1, 2, 1000]),
            **({"StartAfter": choose.choice(KEYS)} if choose.random() < 0.3 else {}),
        }
        calls["put"] = lambda c: c.put_object(**place, Body=body, ContentType="text/x", **condition, **unless)
        calls["get"] = lambda c: c.get_object(**place, **condition, **byte_range)
        calls["head"] = lambda c: c.head_object(**place, **condition)
        calls["delete"] = lambda c: c.delete_object(**place, **condition)
        calls["list"] = lambda c: c.list_objects_v2(**listing)
        calls["pages"] = lambda c: {
            "Contents": [
                item
                for page in c.get_paginator("list_objects_v2").paginate(**listing)
                for item in page.get("Contents", [])
            ]
        }
        name = choose.choice(["put", "put", "get", "head", "delete", "list", "pages"])
        if name == "head" and bucket != BUCKET:
            continue  # S3 answers 404 without a body, so that botocore knows no more; moto names the bucket
        answers = [outcome(lambda client=client: calls[name](client)) for client in clients]
        real, modelled = map(seen, answers)
        assert modelled == real, f"call {number}: {name} of {place}, {condition}, {unless}, {byte_range}, {listing}"
        if isinstance(answers[0], dict):
            assert ("VersionId" in answers[1]) == (answers[0].get("VersionId", "null") != "null") or name == "delete"
            etags += [answers[0]["ETag"]] if "ETag" in answers[0] else []
    del versions


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """A clock that moto's SQS reads, too."""
    clock = Clock()
    monkeypatch.setattr(moto_sqs, "unix_time", lambda: clock.now)
    monkeypatch.setattr(moto_sqs, "unix_time_millis", lambda: clock.now * 1000)
    yield clock


@pytest.mark.parametrize("seed", range(8))
def test_sqs(s3: RealS3Client, clock: Clock, seed: int) -> None:
    choose = random.Random(seed)
    real = boto3.client("sqs")
    dead = real.create_queue(QueueName="dead")["QueueUrl"]
    arn = real.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = real.create_queue(
        QueueName="uploads",
        Attributes={
            "VisibilityTimeout": "60",
            "RedrivePolicy": f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "3"}}',
        },
    )["QueueUrl"]
    letters = MessageQueue()
    model = Sqs(clock, queues={url: MessageQueue(60.0, 3, letters), dead: letters})
    clients: tuple[Any, Any] = (real, SqsClient(model))
    handles: list[tuple[str, str, str]] = []  # the queue, and the handle of each client
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]

    for number in range(CALLS):
        clock.now += choose.choice([0, 0, 1, 20, 61])
        queue = choose.choices([url, dead, url + "-absent"], [8, 3, 1])[0]
        entries = [
            {"Id": str(choose.randrange(12)) if choose.random() < 0.1 else str(i), "MessageBody": f"{number}-{i}"}
            for i in range(choose.choice([0, 1, 2, 2, 3, 11]))
        ]
        wanted = {"MaxNumberOfMessages": choose.randint(1, 10), "VisibilityTimeout": choose.choice([0, 5, 30, 60])}
        given = choose.sample(handles, min(len(handles), choose.choice([1, 1, 2, 3])))
        given = [pair for pair in given if pair[0] == queue]
        hidden = choose.choice([0, 10, 100])
        name = choose.choice(["send", "receive", "receive", "delete", "change", "count"])
        if name in ("change", "delete") and not given:
            continue  # moto accepts some empty batches; SQS does not
        answers = []
        for side, client in enumerate(clients):
            own = [{"Id": str(i), "ReceiptHandle": pair[1 + side]} for i, pair in enumerate(given)]
            if name == "send":
                call = lambda: client.send_message_batch(QueueUrl=queue, Entries=entries)
            elif name == "receive":
                call = lambda: client.receive_message(QueueUrl=queue, MessageSystemAttributeNames=["All"], **wanted)
            elif name == "delete":
                call = lambda: client.delete_message_batch(QueueUrl=queue, Entries=own)
            elif name == "change":
                moved = [{**entry, "VisibilityTimeout": hidden} for entry in own]
                call = lambda: client.change_message_visibility_batch(QueueUrl=queue, Entries=moved)
            else:
                call = lambda: client.get_queue_attributes(QueueUrl=queue, AttributeNames=counts)
            answers.append(outcome(call))

        def seen(answer: Any) -> Any:
            if not isinstance(answer, dict):
                return answer
            return {
                "messages": [
                    (m["Body"], m["Attributes"]["ApproximateReceiveCount"], m["MD5OfBody"])
                    for m in answer.get("Messages", [])
                ],
                "successful": sorted(entry["Id"] for entry in answer.get("Successful", [])),
                "failed": sorted((entry["Id"], entry["Code"]) for entry in answer.get("Failed", [])),
                "attributes": answer.get("Attributes"),
            }

        assert seen(answers[1]) == seen(answers[0]), f"call {number}: {name} of {queue}, {entries}, {wanted}, {given}"
        if name == "receive" and isinstance(answers[0], dict):
            pairs = zip(answers[0].get("Messages", []), answers[1].get("Messages", []), strict=True)
            handles += [(queue, one["ReceiptHandle"], two["ReceiptHandle"]) for one, two in pairs]
