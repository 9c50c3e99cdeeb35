"""A deployed stack announces results on EventBridge, with the permissions of its own role."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from deployment import Account, deploy, local_account
from stored_results import read_json, receipt_of

BUCKET = "announced-reviews"
GOOD = "A wonderful stay from start to finish. Spotless, and lovely staff. Highly recommended."


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with local_account() as account:
        yield account


def test_an_upload_is_announced_to_a_rule(account: Account) -> None:
    events, s3, sqs = (account.client(name) for name in ("events", "s3", "sqs"))
    queue = sqs.create_queue(QueueName="completed")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name="completed", EventPattern=json.dumps({"source": ["reviewbox"]}))
    events.put_targets(Rule="completed", Targets=[{"Id": "queue", "Arn": attributes["QueueArn"]}])
    deploy(account, "announcing", {"BucketName": BUCKET, "EventBusName": "default", "TimeoutSeconds": "60"})
    keys = ["incoming/room 1.txt", "incoming/à la carte+/empty.txt"]

    s3.put_object(Bucket=BUCKET, Key=keys[0], Body=GOOD)
    s3.put_object(Bucket=BUCKET, Key=keys[1], Body=b"")

    details = receive(sqs, queue, len(keys))
    announced = {detail["source"]["key"]: detail for detail in details}
    assert set(announced) == set(keys)
    assert announced[keys[0]]["counts"]["labels"] == {"positive": 1}
    assert announced[keys[1]]["error"] == {"code": "empty_file"}
    for key in keys:
        place = {"bucket": BUCKET, "key": receipt_of(key)}
        assert announced[key]["receipt"] == place
        assert announced[key]["source"] == read_json(s3, BUCKET, receipt_of(key))["source"]


def receive(sqs: Any, queue: str, count: int) -> list[dict[str, Any]]:
    """Return the details of this number of events, as they reach the queue."""
    details: list[dict[str, Any]] = []
    deadline = time.monotonic() + 120
    while len(details) < count:
        assert time.monotonic() < deadline, f"{len(details)} of {count} events arrived"
        response = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in response.get("Messages", []):
            details.append(json.loads(message["Body"])["detail"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return details
