"""The local cloud: uploads with boto3, and their results."""

import gc
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from tests.cold_start import cold_start
from tests.local_cloud import start_cloud

from reviewbox.errors import ReviewboxError
from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import Handler, deliver, deliveries

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
SECONDS_TO_WAIT = 60
FORGED = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=b"
CREDENTIALS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """One cloud for all tests. Each leaves its queues as the next one needs them."""
    with start_cloud(TEMPLATE, 0) as running:
        deliver(running, lambda *_: {"batchItemFailures": []})  # S3 tests the queue when it is connected
        yield running


@pytest.fixture
def handler(cloud: Cloud, tiny_model: Path) -> Iterator[Handler]:
    """The real handler, started cold with the tiny model."""
    with cold_start(cloud, tiny_model) as started:
        yield started


def wait_for(cloud: Cloud, key: str) -> dict[str, Any]:
    s3 = cloud.s3()
    end = time.monotonic() + SECONDS_TO_WAIT
    while time.monotonic() < end:
        if any(item["Key"] == key for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])):
            content: dict[str, Any] = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            return content
        time.sleep(0.05)
    raise AssertionError(f"{key} did not appear")


def test_uploaded_files_get_their_results(cloud: Cloud, handler: Handler) -> None:
    s3 = cloud.s3()

    with deliveries(cloud, handler):
        s3.put_object(Bucket=BUCKET, Key="incoming/2026/my review+é.txt", Body=b"great film")
        s3.put_object(Bucket=BUCKET, Key="incoming/all.jsonl", Body=b'{"text":"good"}\nbroken\n')
        s3.put_object(Bucket=BUCKET, Key="elsewhere/a.txt", Body=b"great film")
        review = wait_for(cloud, "results/incoming/2026/my review+é.txt.json")
        table = wait_for(cloud, "results/incoming/all.jsonl.json")

    assert review["sentiment"] == "positive"
    assert table["counts"]["total"] == 2
    assert table["counts"]["failed"] == 1
    assert cloud.sqs().get_queue_attributes(
        QueueUrl=cloud.queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"] == {"ApproximateNumberOfMessages": "0"}


def test_what_was_deleted_takes_no_memory(cloud: Cloud) -> None:
    """A cloud that runs for days may have seen more uploads than its machine can hold."""
    s3, name = cloud.s3(), f"{uuid4()}.txt"

    s3.put_object(Bucket=BUCKET, Key=f"incoming/{name}", Body=b"great film")
    assert count_in_memory(name) == 2  # the object and the message about it
    deliver(cloud, lambda *_: {"batchItemFailures": []})
    s3.delete_object(Bucket=BUCKET, Key=f"incoming/{name}")

    assert count_in_memory(name) == 0


def count_in_memory(name: str) -> int:
    """Return the number of moto's objects with this name and of its messages about them."""
    gc.collect()
    kinds = ("FakeKey", "Message")
    things = [thing for thing in gc.get_objects() if type(thing).__name__ in kinds]
    return sum(name in str(thing.__dict__) for thing in things)


def test_a_busy_machine_has_time_to_answer(cloud: Cloud) -> None:
    """A request that is sent again because its answer is late creates what exists, or a second message."""
    configs: list[Any] = [client.meta.config for client in (cloud.s3(), cloud.sqs())]

    assert all(config.read_timeout >= 600 for config in configs)


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example:80"},  # DNS rebinding: the site's name leads here
        {"Host": "localhost.evil.example:80"},
    ],
)
def test_other_sites_in_the_browser_cannot_use_the_cloud(cloud: Cloud, header: dict[str, str]) -> None:
    """Moto itself takes any signature, and lets every site read the answers."""
    cloud.s3().put_object(Bucket=BUCKET, Key="elsewhere/secret.txt", Body=b"secret")

    read, body, allowed = request(cloud, "GET", "/reviewbox/elsewhere/secret.txt", header)
    written, _, _ = request(cloud, "PUT", "/reviewbox/elsewhere/new.txt", header)

    assert (read, written, allowed) == (403, 403, None)
    assert b"secret" not in body
    keys = [
        item["Key"] for item in cloud.s3().list_objects_v2(Bucket=BUCKET, Prefix="elsewhere/")["Contents"]
    ]
    assert "elsewhere/new.txt" not in keys


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_the_cloud_has_the_names_of_this_machine(cloud: Cloud, name: str) -> None:
    cloud.s3().put_object(Bucket=BUCKET, Key="elsewhere/secret.txt", Body=b"secret")
    host = f"{name}:{cloud.endpoint.rpartition(':')[2]}"

    status, body, _ = request(cloud, "GET", "/reviewbox/elsewhere/secret.txt", {"Host": host})

    assert (status, body) == (200, b"secret")


def request(cloud: Cloud, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes, str | None]:
    connection = http.client.HTTPConnection(cloud.endpoint.removeprefix("http://"), timeout=SECONDS_TO_WAIT)
    connection.request(method, path, headers={"Authorization": FORGED, **headers})
    response = connection.getresponse()
    answer = response.status, response.read(), response.headers["Access-Control-Allow-Origin"]
    connection.close()
    return answer


def test_a_message_that_always_fails_becomes_a_dead_letter(cloud: Cloud, handler: Handler) -> None:
    cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody="not an event")
    delivered = 0

    while deliver(cloud, handler, seconds_to_retry=0):
        delivered += 1

    dead = cloud.sqs().receive_message(QueueUrl=cloud.dead_letter_queue_url)["Messages"]
    assert delivered == int(cloud.environment["REVIEWBOX_MAX_RECEIVES"])
    assert [message["Body"] for message in dead] == ["not an event"]


def test_the_whole_batch_of_a_failed_invocation_is_redelivered(cloud: Cloud) -> None:
    body = str(uuid4())
    redelivered: list[str] = []

    def broken(_event: Mapping[str, Any], _context: Any) -> Mapping[str, Any]:
        raise RuntimeError

    def working(event: Mapping[str, Any], _context: Any) -> Mapping[str, Any]:
        redelivered.extend(record["body"] for record in event["Records"])
        return {"batchItemFailures": []}

    cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody=body)

    deliver(cloud, broken, seconds_to_retry=0)
    deliver(cloud, working)

    # Other tests share the queue, and their messages may become visible in the meantime.
    assert redelivered.count(body) == 1


def test_only_the_failed_messages_of_a_large_batch_are_redelivered(cloud: Cloud) -> None:
    for number in range(25):
        cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody=str(number))
    seen: list[str] = []

    def fail_two(event: Mapping[str, Any], _context: Any) -> Mapping[str, Any]:
        failed = [record["messageId"] for record in event["Records"] if record["body"] in {"3", "20"}]
        seen.extend(record["body"] for record in event["Records"])
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}

    delivered = deliver(cloud, fail_two, seconds_to_retry=0)
    redelivered = deliver(cloud, lambda *_: {"batchItemFailures": []})

    assert sorted(map(int, seen)) == list(range(25))
    assert (delivered, redelivered) == (25, 2)
    assert not cloud.remaining()


def test_the_function_gets_the_template_s_variables(cloud: Cloud) -> None:
    assert cloud.environment["REVIEWBOX_SOURCE_PREFIX"] == "incoming/"
    assert cloud.environment["REVIEWBOX_RESULTS_BUCKET"] == ""
    assert cloud.environment["AWS_ENDPOINT_URL"] == cloud.endpoint


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ReviewboxError, match=f"port {port} is taken"), start_cloud(TEMPLATE, port):
            pass


def test_a_missing_template_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReviewboxError, match="no such template"), start_cloud(tmp_path / "t.yaml", 0):
        pass


FUNCTION = """\
  Another:
    Type: AWS::Serverless::Function
    Properties:
      Handler: handlers.another.handler
      Runtime: python3.13

Outputs:
  AnotherArn: {Value: !GetAtt Another.Arn}
  AnotherName: {Value: !Sub "name ${Another}"}
  Greeting: {Value: !Sub "hello ${BucketName}"}
"""


def test_a_template_can_have_more_functions_and_keeps_its_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs that refer to a function are left out, because functions are not created in moto."""
    text = TEMPLATE.read_text(encoding="utf-8")
    (tmp_path / "template.yaml").write_text(text.replace("Outputs:\n", FUNCTION), encoding="utf-8")

    with start_cloud(tmp_path / "template.yaml", 0) as cloud:
        for name in CREDENTIALS:
            monkeypatch.setenv(name, cloud.environment[name])
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName="reviewbox")["Stacks"]

    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert cloud.handler == "handlers.on_upload.handler"
    assert outputs["Greeting"] == f"hello {BUCKET}"
    assert outputs["Bucket"] == BUCKET
    assert outputs["DropHere"] == f"s3://{BUCKET}/incoming/"
    assert outputs["QueueUrl"] == cloud.queue_url
    assert not {"AnotherArn", "AnotherName", "FunctionName"} & outputs.keys()
