"""The deployed stack: a hundred uploads, a function that dies, and messages that cannot be processed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from deployment import Account, deploy, local_account
from results import keys, read_json, receipt_of
from samples import OBJECTS, batch_operation

BUCKET = "my-reviews"
TABLE = "incoming/shop/earphones.jsonl"
FOLDERS = ["hotels", "films/2026", "two words", "à la carte+"]
GOOD = "Room {}: a wonderful stay from start to finish. Spotless, and lovely staff. Highly recommended."
BAD = "Room {} was filthy, the staff were rude, and nothing worked. The worst stay I have had in years."


@dataclass(frozen=True, slots=True)
class Stack:
    """What was deployed."""

    account: Account
    queue: str
    dead_letters: str
    on_batch_operation: str

    def send_again_after(self, seconds: int) -> None:
        """Set how long a message that was not processed stays out of sight: in the template, minutes."""
        attributes = {"VisibilityTimeout": str(seconds)}
        self.account.client("sqs").set_queue_attributes(QueueUrl=self.queue, Attributes=attributes)

    def messages(self, queue: str) -> tuple[int, int]:
        """Return how many messages wait in a queue, and how many more are being processed."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.account.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
        waiting, in_process = (int(found["Attributes"][name]) for name in names)
        return waiting, in_process

    def wait_until_idle(self) -> None:
        eventually(lambda: self.messages(self.queue) == (0, 0), "the queue is empty")

    def take_dead_letter(self) -> str:
        """Remove the one message from the dead-letter queue, and return its body."""
        sqs = self.account.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=self.dead_letters, MaxNumberOfMessages=10)["Messages"]
        sqs.delete_message(QueueUrl=self.dead_letters, ReceiptHandle=message["ReceiptHandle"])
        return message["Body"]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with local_account() as account:
        yield account


def deployed(account: Account, name: str, **parameters: str) -> Stack:
    """Deploy a stack, and see that its function starts: what waits for results would wait in vain."""
    outputs = deploy(account, name, {**parameters, "TimeoutSeconds": "60"})
    reply = account.client("lambda").invoke(FunctionName=outputs["FunctionName"], Payload='{"Records": []}')
    assert json.load(reply["Payload"]) == {"batchItemFailures": []}
    return Stack(account, outputs["QueueUrl"], outputs["DeadLetterQueueUrl"], outputs["OnBatchOperationArn"])


@pytest.fixture(scope="module")
def stack(account: Account) -> Stack:
    return deployed(account, "reviewbox", BucketName=BUCKET, Versioning="Enabled")


@pytest.fixture(scope="module")
def s3(account: Account) -> Any:
    return account.client("s3")


def test_a_hundred_uploads_bring_exactly_one_receipt_each(stack: Stack, s3: Any) -> None:
    reviews = {
        f"incoming/{FOLDERS[number % len(FOLDERS)]}/room {number}.txt": (BAD if number % 2 else GOOD).format(
            number
        )
        for number in range(99)
    }
    uploads = {**reviews, TABLE: OBJECTS[TABLE]}
    assert len(uploads) == 100

    revisions = {key: s3.put_object(Bucket=BUCKET, Key=key, Body=text) for key, text in uploads.items()}
    stack.wait_until_idle()

    versions = s3.list_object_versions(Bucket=BUCKET, Prefix="results/")["Versions"]
    tables = {f"results/{TABLE}.classified.jsonl"}
    # Each was written once: a second version would be listed under the same key.
    assert sorted(version["Key"] for version in versions) == sorted({*map(receipt_of, uploads), *tables})
    receipts = {key: read_json(s3, BUCKET, receipt_of(key)) for key in uploads}
    for key, put in revisions.items():
        revision = {"etag": put["ETag"], "version": put["VersionId"]}
        assert receipts[key]["source"] == {"bucket": BUCKET, "key": key, **revision}
    for key, text in reviews.items():
        expected = "positive" if "lovely" in text else "negative"
        assert receipts[key]["sentiment"] == expected, key
    assert receipts[TABLE]["counts"]["labels"] == {"negative": 1, "positive": 2}
    assert stack.messages(stack.dead_letters) == (0, 0)


def test_what_a_dying_function_was_at_is_processed_after_all(stack: Stack, s3: Any) -> None:
    key, rows = "incoming/long.jsonl", 1000
    texts = (f"Chair number {number} arrived late, but is very comfortable." for number in range(rows))
    stack.send_again_after(seconds=5)

    s3.put_object(Bucket=BUCKET, Key=key, Body="".join(json.dumps({"text": text}) + "\n" for text in texts))
    eventually(lambda: stack.messages(stack.queue) == (0, 1), "the function has the message")
    for pid in stack.account.functions():
        os.kill(pid, signal.SIGKILL)
    stack.send_again_after(seconds=360)  # the next delivery
    assert receipt_of(key) not in keys(s3, BUCKET)
    stack.wait_until_idle()

    assert read_json(s3, BUCKET, receipt_of(key))["counts"]["total"] == rows
    versions = s3.list_object_versions(Bucket=BUCKET, Prefix=f"results/{key}")["Versions"]
    assert len(versions) == 2  # the table and its receipt, each written once
    assert stack.messages(stack.dead_letters) == (0, 0)


def test_a_review_that_may_not_be_read_ends_as_a_dead_letter_and_an_error_until_it_is_redriven(
    stack: Stack, s3: Any
) -> None:
    key = "incoming/locked/room 7.txt"
    stack.send_again_after(seconds=2)

    with denied(s3, "incoming/locked/*"):
        revision = s3.put_object(Bucket=BUCKET, Key=key, Body=GOOD.format(7))
        eventually(lambda: receipt_of(key) in keys(s3, BUCKET), "there is a receipt")
        eventually(lambda: stack.messages(stack.dead_letters) == (1, 0), "the message is given up")

        error = read_json(s3, BUCKET, receipt_of(key))["error"]
        assert (error["code"], error["final"]) == ("not_processed", False)
        assert "AccessDenied" in error["message"]
        assert (
            "AccessDenied"
            in json.loads(reviewbox(stack.account, "status", "--json"))["dead_letters"][0]["message"]
        )

    reviewbox(stack.account, "redrive", "--yes")
    stack.wait_until_idle()

    receipt = read_json(s3, BUCKET, receipt_of(key))
    assert receipt["sentiment"] == "positive"
    assert receipt["source"]["version"] == revision["VersionId"]
    assert stack.messages(stack.dead_letters) == (0, 0)


def test_a_message_that_means_nothing_ends_as_a_dead_letter_and_holds_nothing_up(
    stack: Stack, s3: Any
) -> None:
    key, body = "incoming/room 8.txt", "no JSON at all"
    stack.send_again_after(seconds=2)

    stack.account.client("sqs").send_message(QueueUrl=stack.queue, MessageBody=body)
    s3.put_object(Bucket=BUCKET, Key=key, Body=BAD.format(8))
    eventually(lambda: stack.messages(stack.dead_letters) == (1, 0), "the message is given up")
    stack.wait_until_idle()

    assert read_json(s3, BUCKET, receipt_of(key))["sentiment"] == "negative"
    assert stack.take_dead_letter() == body


def test_a_bucket_that_was_there_before_brings_its_reviews_by_batch_operations_and_new_ones_by_eventbridge(
    account: Account, s3: Any
) -> None:
    """No job runs in ministack: the function gets the request that one would send."""
    bucket, old, new = "years-of-reviews", "incoming/2019/room 9.txt", "incoming/à la carte+/room 10.txt"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_object(Bucket=bucket, Key=old, Body=BAD.format(9))
    stack = deployed(account, "reviewbox-years", BucketName=bucket, CreateBucket="false")

    s3.put_object(Bucket=bucket, Key="outside/room 10.txt", Body=GOOD.format(10))
    s3.put_object(Bucket=bucket, Key=new, Body=GOOD.format(10))
    eventually(lambda: keys(s3, bucket) == [receipt_of(new)], "there is a receipt")
    stack.wait_until_idle()
    request = batch_operation("1.0", bucket, old)
    reply = account.client("lambda").invoke(
        FunctionName=stack.on_batch_operation, Payload=json.dumps(request)
    )

    assert [task["resultCode"] for task in json.load(reply["Payload"])["results"]] == ["Succeeded"]
    assert keys(s3, bucket) == [receipt_of(old), receipt_of(new)]
    assert read_json(s3, bucket, receipt_of(old))["sentiment"] == "negative"
    assert read_json(s3, bucket, receipt_of(new))["sentiment"] == "positive"


def reviewbox(account: Account, *arguments: str) -> str:
    """Run the command line against the account, and return what it printed."""
    command = [sys.executable, "-c", "from reviewbox.cli import app; app()", *arguments]
    environment = {**os.environ, **account.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603


@contextmanager
def denied(s3: Any, prefix: str) -> Iterator[None]:
    """Have the bucket's policy forbid, while the context lasts, that some objects are read."""
    policy = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    forbidden = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/{prefix}",
    }
    stricter = {**policy, "Statement": [*policy["Statement"], forbidden]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(stricter))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def eventually(holds: Callable[[], bool], what: str, seconds: float = 240) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds} seconds still not true: {what}"
        time.sleep(0.2)
