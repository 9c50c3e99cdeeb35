from collections.abc import Iterable, Iterator

import boto3
import pytest
from botocore.stub import Stubber
from mypy_boto3_s3 import S3Client
from mypy_boto3_sqs import SQSClient

from reviewbox.errors import QueueError
from reviewbox.queue import Queue, QueueCounts, ReceivedMessage

URL = "https://sqs.us-east-1.amazonaws.com/123456789012/uploads"


@pytest.fixture
def queue(s3: S3Client) -> Queue:
    """An empty queue in moto, which creates its own client."""
    return Queue(boto3.client("sqs").create_queue(QueueName="uploads")["QueueUrl"])


@pytest.fixture
def client() -> SQSClient:
    return boto3.client("sqs", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")


@pytest.fixture
def sqs(client: SQSClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def expect_send(sqs: Stubber, bodies: Iterable[tuple[int, str]], *rejected: int) -> None:
    """Expect a request with these indexes and bodies, and reject the messages with some indexes."""
    entries = [{"Id": str(index), "MessageBody": body} for index, body in bodies]
    failed = [{"Id": str(index), "Code": "InternalError", "SenderFault": False} for index in rejected]
    response = {"Successful": [], "Failed": failed}
    sqs.add_response("send_message_batch", response, {"QueueUrl": URL, "Entries": entries})


def test_all_messages_are_sent_received_and_deleted(queue: Queue) -> None:
    queue.send(str(number) for number in range(25))

    received = []
    while messages := queue.receive(hidden_seconds=60):
        received += messages
    assert sorted(int(message.body) for message in received) == list(range(25))
    assert queue.count() == QueueCounts(queued=0, in_flight=25, delayed=0)
    assert queue.delete(received) == 25
    assert queue.count().total == 0


def test_released_messages_can_be_received_again(queue: Queue) -> None:
    queue.send(str(number) for number in range(12))
    received = [*queue.receive(hidden_seconds=60), *queue.receive(hidden_seconds=60)]

    queue.release(received)

    assert queue.count() == QueueCounts(queued=12, in_flight=0, delayed=0)


def test_only_rejected_messages_are_sent_again(client: SQSClient, sqs: Stubber) -> None:
    expect_send(sqs, enumerate("abc"), 1)
    expect_send(sqs, [(1, "b")])

    Queue(URL, client, sleep=lambda _: None).send(["a", "b", "c"])


def test_no_request_exceeds_the_limits_of_sqs(client: SQSClient, sqs: Stubber) -> None:
    """A body that exceeds the limit alone is sent, so that SQS says what its limit is."""
    bodies = ["a" * 200_000, "b" * 62_144, "c", "é" * 131_072, "d" * 300_000, *"efghijklmnop"]
    for batch in (bodies[:2], bodies[2:3], bodies[3:4], bodies[4:5], bodies[5:15], bodies[15:]):
        expect_send(sqs, enumerate(batch))

    Queue(URL, client).send(bodies)


def test_messages_that_are_always_rejected_are_an_error(client: SQSClient, sqs: Stubber) -> None:
    delays: list[float] = []
    expect_send(sqs, enumerate("ab"), 0)
    for _ in range(4):
        expect_send(sqs, [(0, "a")], 0)

    with pytest.raises(QueueError, match=rf"{URL}: SQS rejected 1 of 2 messages 5 times .*InternalError"):
        Queue(URL, client, delays.append).send(["a", "b"])

    assert delays == pytest.approx([0.1, 0.3, 0.7, 1.5])


def test_sending_nothing_makes_no_request(client: SQSClient, sqs: Stubber) -> None:
    Queue(URL, client).send([])


def test_messages_are_hidden_for_a_time_of_their_own(client: SQSClient, sqs: Stubber) -> None:
    messages = [ReceivedMessage(name, "", f"handle {name}") for name in "ab"]
    entries = [
        {"Id": "0", "ReceiptHandle": "handle a", "VisibilityTimeout": 120},
        {"Id": "1", "ReceiptHandle": "handle b", "VisibilityTimeout": 600},
    ]
    sqs.add_response(
        "change_message_visibility_batch",
        {"Successful": [], "Failed": []},
        {"QueueUrl": URL, "Entries": entries},
    )

    Queue(URL, client).hide(dict(zip(messages, [120, 600], strict=True)))


def test_the_queue_of_an_event_is_found_by_its_arn(queue: Queue) -> None:
    queue.send(["a"])
    received = queue.receive(hidden_seconds=60)
    arn = "arn:aws:sqs:us-east-1:123456789012:uploads"

    Queue.of_arn(arn).release(received)

    assert queue.count().queued == 1
