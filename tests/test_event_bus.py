import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from reviewbox.event_bus import EventBus

ACCEPTED = {"EventId": "1"}
REJECTED = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("events", region_name="us-east-1")


def entry(detail: str) -> dict[str, str]:
    return {
        "Source": "reviewbox",
        "DetailType": "Result Written",
        "Detail": detail,
        "EventBusName": "reviews",
    }


def test_only_rejected_events_are_sent_again(client: Any) -> None:
    waits: list[float] = []
    with Stubber(client) as stub:
        for details, answers in [
            ("abc", [ACCEPTED, REJECTED, REJECTED]),
            ("bc", [ACCEPTED, REJECTED]),
            ("c", [ACCEPTED]),
        ]:
            request = {"Entries": [entry(detail) for detail in details]}
            stub.add_response("put_events", {"Entries": answers, "FailedEntryCount": 1}, request)

        rejected = EventBus("reviews", client, sleep=waits.append).send(["a", "b", "c"])

        stub.assert_no_pending_responses()
    assert rejected == {}
    assert waits == sorted(waits)
    assert len(waits) == 2


def test_events_that_are_always_rejected_are_returned_with_their_codes(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_response("put_events", {"Entries": [ACCEPTED, REJECTED], "FailedEntryCount": 1})
        for _ in range(4):
            stub.add_response("put_events", {"Entries": [REJECTED], "FailedEntryCount": 1})

        rejected = EventBus("reviews", client, sleep=lambda _: None).send(["a", "b"])

    assert rejected == {1: "ThrottlingException"}


def test_a_rule_receives_the_event(client: Any) -> None:
    """It goes to a queue here. Events go to a person or a webhook through SNS in the same way."""
    sqs = boto3.client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName="refused")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["reviewbox"], "detail-type": ["Result Written"], "detail": {"outcome": ["refused"]}}
    client.put_rule(Name="refused", EventPattern=json.dumps(pattern))
    client.put_targets(Rule="refused", Targets=[{"Id": "queue", "Arn": arn}])

    EventBus("default", client).send(['{"outcome": "classified"}', '{"outcome": "refused"}'])

    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"])["detail"] == {"outcome": "refused"}
