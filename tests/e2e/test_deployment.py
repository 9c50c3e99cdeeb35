"""The deployed stack: a hundred uploads, a crash, and messages that cannot be processed."""

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
from samples import OBJECTS, batch_operation
from stored_results import keys, read_json, receipt_of

BUCKET = "my-reviews"
TABLE = "incoming/shop/earphones.jsonl"
FOLDERS = ["hotels", "films/2026", "two words", "à la carte+"]
GOOD = "Room {}: a wonderful stay from start to finish. Spotless, and lovely staff. Highly recommended."
BAD = "Room {} was filthy, the staff were rude, and nothing worked. The worst stay I have had in years."


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack: its account, the URLs of its queues, and the ARN of a function."""

    account: Account
    queue: str
    dead_letters: str
    on_batch_operation: str

    def set_visibility_timeout(self, seconds: int) -> None:
        """Set the time after which an unprocessed message is delivered again; the template sets minutes."""
        attributes = {"VisibilityTimeout": str(seconds)}
        self.account.client("sqs").set_queue_attributes(QueueUrl=self.queue, Attributes=attributes)

    def messages(self, queue: str) -> tuple[int, int]:
        """Return the numbers of waiting and of in-flight messages in a queue."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        response = self.account.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
        waiting, in_flight = (int(response["Attributes"][name]) for name in names)
        return waiting, in_flight

    def wait_until_idle(self) -> None:
        wait_until(lambda: self.messages(self.queue) == (0, 0), "the queue is empty")

    def take_dead_letter(self) -> str:
        """Remove the only message of the dead-letter queue, and return its body."""
        sqs = self.account.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=self.dead_letters, MaxNumberOfMessages=10)["Messages"]
        sqs.delete_message(QueueUrl=self.dead_letters, ReceiptHandle=message["ReceiptHandle"])
        return message["Body"]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with local_account() as account:
        yield account


def deploy_stack(account: Account, name: str, **parameters: str) -> Stack:
    """Deploy a stack, and check that its function starts, without which tests would wait in vain."""
    outputs = deploy(account, name, {**parameters, "TimeoutSeconds": "60"})
    response = account.client("lambda").invoke(
        FunctionName=outputs["FunctionName"], Payload='{"Records": []}'
    )
    assert json.load(response["Payload"]) == {"batchItemFailures": []}
    return Stack(account, outputs["QueueUrl"], outputs["DeadLetterQueueUrl"], outputs["OnBatchOperationArn"])


@pytest.fixture(scope="module")
def stack(account: Account) -> Stack:
    return deploy_stack(account, "reviewbox", BucketName=BUCKET, Versioning="Enabled")


@pytest.fixture(scope="module")
def s3(account: Account) -> Any:
    return account.client("s3")


def test_each_of_a_hundred_uploads_gets_exactly_one_receipt(stack: Stack, s3: Any) -> None:
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
    tables = {part["key"] for part in read_json(s3, BUCKET, receipt_of(TABLE))["parts"]}
    # Each result was written once: a second version would appear under the same key.
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


def test_the_message_of_a_crashed_function_is_processed_later(stack: Stack, s3: Any) -> None:
    key, rows = "incoming/long.jsonl", 1000
    texts = (f"Chair number {number} arrived late, but is very comfortable." for number in range(rows))
    stack.set_visibility_timeout(seconds=5)

    s3.put_object(Bucket=BUCKET, Key=key, Body="".join(json.dumps({"text": text}) + "\n" for text in texts))
    wait_until(lambda: stack.messages(stack.queue) == (0, 1), "the function has the message")
    for pid in stack.account.functions():
        os.kill(pid, signal.SIGKILL)
    stack.set_visibility_timeout(seconds=360)  # for the next delivery
    assert receipt_of(key) not in keys(s3, BUCKET)
    stack.wait_until_idle()

    assert read_json(s3, BUCKET, receipt_of(key))["counts"]["total"] == rows
    versions = s3.list_object_versions(Bucket=BUCKET, Prefix=f"results/{key}")["Versions"]
    assert len(versions) == 2  # the table and its receipt, each written once
    assert stack.messages(stack.dead_letters) == (0, 0)


def test_a_review_without_read_access_becomes_an_error_and_a_dead_letter_until_it_is_redriven(
    stack: Stack, s3: Any
) -> None:
    key = "incoming/locked/room 7.txt"
    stack.set_visibility_timeout(seconds=2)

    with denied_reading(s3, "incoming/locked/*"):
        revision = s3.put_object(Bucket=BUCKET, Key=key, Body=GOOD.format(7))
        wait_until(lambda: receipt_of(key) in keys(s3, BUCKET), "there is a receipt")
        wait_until(lambda: stack.messages(stack.dead_letters) == (1, 0), "the message is a dead letter")

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


def test_an_invalid_message_becomes_a_dead_letter_and_does_not_delay_others(stack: Stack, s3: Any) -> None:
    key, body = "incoming/room 8.txt", "not JSON"
    stack.set_visibility_timeout(seconds=2)

    stack.account.client("sqs").send_message(QueueUrl=stack.queue, MessageBody=body)
    s3.put_object(Bucket=BUCKET, Key=key, Body=BAD.format(8))
    wait_until(lambda: stack.messages(stack.dead_letters) == (1, 0), "the message is a dead letter")
    stack.wait_until_idle()

    assert read_json(s3, BUCKET, receipt_of(key))["sentiment"] == "negative"
    assert stack.take_dead_letter() == body


def test_an_existing_bucket_uses_batch_operations_for_old_reviews_and_eventbridge_for_new_ones(
    account: Account, s3: Any
) -> None:
    """Ministack does not run jobs, so the test sends the request of a job to the function."""
    bucket, old, new = "years-of-reviews", "incoming/2019/room 9.txt", "incoming/à la carte+/room 10.txt"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_object(Bucket=bucket, Key=old, Body=BAD.format(9))
    stack = deploy_stack(account, "reviewbox-years", BucketName=bucket, CreateBucket="false")

    s3.put_object(Bucket=bucket, Key="outside/room 10.txt", Body=GOOD.format(10))
    s3.put_object(Bucket=bucket, Key=new, Body=GOOD.format(10))
    wait_until(lambda: keys(s3, bucket) == [receipt_of(new)], "there is a receipt")
    stack.wait_until_idle()
    request = batch_operation("1.0", bucket, old)
    response = account.client("lambda").invoke(
        FunctionName=stack.on_batch_operation, Payload=json.dumps(request)
    )

    assert [task["resultCode"] for task in json.load(response["Payload"])["results"]] == ["Succeeded"]
    assert keys(s3, bucket) == [receipt_of(old), receipt_of(new)]
    assert read_json(s3, bucket, receipt_of(old))["sentiment"] == "negative"
    assert read_json(s3, bucket, receipt_of(new))["sentiment"] == "positive"


def reviewbox(account: Account, *arguments: str) -> str:
    """Run the command line with the account, and return its output."""
    command = [sys.executable, "-c", "from reviewbox.cli import app; app()", *arguments]
    environment = {**os.environ, **account.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603


@contextmanager
def denied_reading(s3: Any, prefix: str) -> Iterator[None]:
    """Deny reading the objects under a prefix while the context lasts."""
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


def wait_until(condition: Callable[[], bool], description: str, seconds: float = 240) -> None:
    """Wait until a condition is true; fail if it is not true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} seconds still not true: {description}"
        time.sleep(0.2)
