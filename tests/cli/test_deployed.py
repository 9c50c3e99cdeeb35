"""The commands for a deployed stack, run against the local cloud and the real handler."""

import csv
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client
from mypy_boto3_sqs import SQSClient
from rich.console import Console
from tests.cold_start import cold_start
from tests.local_cloud import start_cloud
from typer.testing import CliRunner, Result

from reviewbox.cli import app
from reviewbox.cli.backfill import Backfill
from reviewbox.cli.demo import wait_for_receipt
from reviewbox.cli.redrive import redrive
from reviewbox.errors import ErrorCode, Problem
from reviewbox.events import upload_message
from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import Handler, deliver, deliveries
from reviewbox.objects import Listed, ObjectRef
from reviewbox.queue import Queue
from reviewbox.results.receipt import Provenance, Receipt
from reviewbox.stack.aws import connect
from reviewbox.stack.discovery import Stack, find_stack
from reviewbox.stack.listing import list_objects
from reviewbox.stack.redrive import move_messages
from reviewbox.stack.status import collect_status
from reviewbox.storage import S3Storage

ROOT = Path(__file__).parents[2]
QUEUE_ATTRIBUTES = ("VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy")
CREDENTIALS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="module")
def running_cloud() -> Iterator[Cloud]:
    """A local cloud, and an environment in which commands find it.

    The bucket sends no notifications, so that only the tests put messages into the queues.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "REVIEWBOX_"))]:
            patch.delenv(name)
        patch.setattr(boto3, "DEFAULT_SESSION", impatient_session())
        patch.setattr(time, "sleep", partial(sleep_briefly, time.sleep))
        with start_cloud(ROOT / "template.yaml", 0) as cloud:
            for name in CREDENTIALS:
                patch.setenv(name, cloud.environment[name])
            cloud.s3().put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
            yield cloud


def impatient_session() -> boto3.Session:
    """Return a session whose clients do not wait for messages. moto immediately returns what is there."""
    session = boto3.Session()
    session.events.register(
        "before-parameter-build.sqs.ReceiveMessage", lambda params, **_: params.update(WaitTimeSeconds=0)
    )
    return session


def sleep_briefly(sleep: Callable[[float], None], seconds: float) -> None:
    """Sleep for a moment instead of a second or more, between two looks at the progress."""
    sleep(min(seconds, 0.05))


@pytest.fixture
def cloud(running_cloud: Cloud) -> Cloud:
    """The local cloud, with an empty bucket and empty queues."""
    for key in keys_under(running_cloud.s3(), ""):
        running_cloud.s3().delete_object(Bucket=BUCKET, Key=key)
    # The dead-letter queue comes first because the other queues refer to it.
    urls = (
        running_cloud.dead_letter_queue_url,
        running_cloud.queue_url,
        running_cloud.segments_queue_url,
    )
    if any(count_messages(running_cloud, url) for url in urls):
        for url in urls:
            recreate_queue(running_cloud.sqs(), url)
    return running_cloud


def recreate_queue(sqs: SQSClient, url: str) -> None:
    """Remove all messages, including those in flight; SQS and moto allow `PurgeQueue` once a minute."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    sqs.delete_queue(QueueUrl=url)
    settable: Any = {name: attributes[name] for name in QUEUE_ATTRIBUTES if name in attributes}
    sqs.create_queue(QueueName=url.rpartition("/")[2], Attributes=settable)


@pytest.fixture
def handler(cloud: Cloud, tiny_model: Path) -> Iterator[Handler]:
    """The real handler after a cold start, with the tiny model."""
    with cold_start(cloud, tiny_model) as started:
        yield started


@pytest.fixture
def stack(cloud: Cloud) -> Stack:
    """The stack, found as the commands find it."""
    return find_stack(connect("cloudformation"), "reviewbox")


def run(*arguments: object, answer: str = "") -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answer)


def put(cloud: Cloud, *keys: str, body: bytes = b"great film") -> None:
    for key in keys:
        cloud.s3().put_object(Bucket=BUCKET, Key=key, Body=body)


def upload(cloud: Cloud, key: str, body: bytes = b"great film") -> None:
    """Put an object, and send the message that S3 would send."""
    put(cloud, key, body=body)
    message = upload_message(ObjectRef(BUCKET, key))
    cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody=message)


def keys_under(s3: S3Client, prefix: str) -> set[str]:
    return {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])}


def count_messages(cloud: Cloud, queue_url: str) -> int:
    return Queue(queue_url, cloud.sqs()).count().total


def drain(cloud: Cloud, handler: Handler) -> None:
    while deliver(cloud, handler, seconds_to_retry=0):
        pass


def status(*arguments: object) -> dict[str, Any]:
    result = run("status", "--json", *arguments)
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def interrupt_at(client: Any, event: str, number: int) -> None:
    """Raise KeyboardInterrupt when a client emits an event for the `number`th time, counted from 1."""
    calls = 0

    def hook(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt

    client.meta.events.register(event, hook)


def test_a_backfill_classifies_existing_objects(cloud: Cloud, handler: Handler) -> None:
    keys = {f"incoming/2019/{number:02}.txt" for number in range(24)} | {"incoming/2019/a b+é%20.txt"}
    put(cloud, *keys, "incoming/2020/other.txt", "incoming/2019/folder/")

    with deliveries(cloud, handler):
        result = run("backfill", f"s3://{BUCKET}/incoming/2019/", answer="y\n")

    assert result.exit_code == 0, result.output
    assert "s3://reviewbox/incoming/2019/: 26 objects, 260 bytes" in result.stdout
    assert "Queued 26 objects." in result.stdout
    assert "The queue is empty." in result.stdout
    assert keys_under(cloud.s3(), "results/") >= {f"results/{key}.json" for key in keys}
    assert "results/incoming/2020/other.txt.json" not in keys_under(cloud.s3(), "results/")


def test_a_backfill_interrupted_and_run_again_classifies_each_object_once(
    cloud: Cloud, handler: Handler, stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    put(cloud, *(f"incoming/{number:02}.txt" for number in range(25)))
    prefix = ObjectRef(BUCKET, "incoming/")
    caplog.set_level(logging.INFO, "reviewbox")
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), stack, prefix)
    interrupted: SQSClient = connect("sqs")
    interrupt_at(interrupted, "before-call.sqs.SendMessageBatch", 2)
    storage = S3Storage(cloud.s3())

    with pytest.raises(typer.Exit) as interruption:
        backfill.queue_objects(Queue(cloud.queue_url, interrupted), list_objects(storage, prefix), 25)
    drain(cloud, handler)
    backfill.queue_objects(Queue(cloud.queue_url, cloud.sqs()), list_objects(storage, prefix), 25)
    drain(cloud, handler)

    events = [record.getMessage() for record in caplog.records]
    assert interruption.value.exit_code == 130
    assert "Interrupted: queued 10 of 25 objects. Run the same command again" in output.getvalue()
    assert events.count("object.classified") == 25
    assert events.count("object.current") == 10
    assert len(keys_under(cloud.s3(), "results/")) == 25
    assert count_messages(cloud, cloud.dead_letter_queue_url) == 0


def test_a_backfill_is_summarized(cloud: Cloud, handler: Handler) -> None:
    """Data goes to the standard output, and everything else to the standard error."""
    put(cloud, "incoming/a.txt", "incoming/b.txt")
    uri = f"s3://{BUCKET}/incoming/"

    planned = run("backfill", uri, "--dry-run", "--format", "json")
    with deliveries(cloud, handler):
        done = run("backfill", uri, "--format", "csv", answer="y\n")

    plan = json.loads(planned.stdout)
    assert (plan["prefix"], plan["way"], plan["objects"], plan["done"]) == (uri, "queue", 2, None)
    assert plan["dollars"] > 0
    assert "2 objects, 20 bytes" in planned.stderr
    (row,) = csv.DictReader(StringIO(done.stdout))
    assert (row["done.objects"], row["done.failed"], row["done.status"]) == ("2", "0", "Complete")
    assert "Continue? [y/N]" in done.stderr


def test_an_interruption_while_watching_does_not_stop_the_backfill(cloud: Cloud, stack: Stack) -> None:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), stack, ObjectRef(BUCKET, ""), poll_seconds=0)
    sqs: SQSClient = connect("sqs")
    interrupt_at(sqs, "before-call.sqs.GetQueueAttributes", 3)

    assert backfill.run_queue(sqs, [Listed("incoming/a.txt", "", 0.0, 1)], 1).is_good

    assert (
        "Classification continues. `reviewbox status --stack reviewbox` shows the progress."
        in output.getvalue()
    )
    assert count_messages(cloud, cloud.queue_url) == 1


def test_a_backfill_counts_the_messages_that_become_dead_letters(cloud: Cloud, stack: Stack) -> None:
    """Earlier dead letters do not count."""
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), stack, ObjectRef(BUCKET, ""), poll_seconds=0)
    dead_letters = Queue(cloud.dead_letter_queue_url, cloud.sqs())
    dead_letters.send(["an earlier one"])

    def objects() -> Iterator[Listed]:
        dead_letters.send(["a", "b"])
        yield from ()

    assert not backfill.run_queue(cloud.sqs(), objects(), 2).is_good

    assert "2 messages became dead letters: `reviewbox status --stack reviewbox` shows" in output.getvalue()


def test_nothing_is_queued_without_consent(cloud: Cloud) -> None:
    put(cloud, "incoming/a.txt", "incoming/b.csv.gz", "results/incoming/a.txt.json")

    for arguments in (("--dry-run",), ("--dry-run", "--yes"), ()):
        result = run("backfill", f"s3://{BUCKET}/incoming/", *arguments, answer="n\n")

        assert result.exit_code == (0 if arguments else 1)
        assert ("Continue? [y/N]" in result.output) is not bool(arguments)
        assert "2 objects, 20 bytes" in result.stdout
        assert "1 with a result already: current results are checked, not computed again" in result.stdout
        assert "1 compressed" in result.stdout
        assert "Prices of us-east-1" in result.stdout
        assert f"The estimate is for AWS, but {cloud.endpoint} is not an AWS endpoint." in result.stdout
        assert count_messages(cloud, cloud.queue_url) == 0


def test_a_backfill_counts_objects_that_are_too_large_and_segments(cloud: Cloud) -> None:
    put(cloud, "incoming/large.txt", "incoming/large.csv", body=b"x" * 16_777_217)

    result = run("backfill", f"s3://{BUCKET}/incoming/", "--dry-run")

    assert "1 table to be split into 17 segments, which have a separate queue" in result.stdout
    assert "1 larger than MaxObjectBytes (16,777,216 bytes): each gets an error" in result.stdout


def test_a_backfill_counts_archived_objects(cloud: Cloud) -> None:
    put(cloud, "incoming/a.txt")
    cloud.s3().put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"x", StorageClass="DEEP_ARCHIVE")

    result = run("backfill", f"s3://{BUCKET}/incoming/", "--dry-run")

    assert "1 archived: each gets an error until it is restored" in result.stdout


@pytest.mark.usefixtures("cloud")
def test_a_prefix_that_cannot_be_backfilled_is_reported_in_one_line() -> None:
    elsewhere = "the stack 'reviewbox' classifies only objects under s3://reviewbox/incoming/"
    for uri, expected in {
        f"s3://{BUCKET}/": elsewhere,
        f"s3://{BUCKET}/results/": elsewhere,
        "s3://other/incoming/": elsewhere,
        f"s3://{BUCKET}/incoming/none": "there are no objects under this prefix",
        "incoming/": "expected s3://bucket/prefix",
    }.items():
        result = run("backfill", uri, "--yes")

        assert (result.exit_code, result.stderr) == (2, f"reviewbox: {uri}: {expected}\n")


@pytest.mark.usefixtures("cloud")
def test_an_absent_stack_is_reported_in_one_line() -> None:
    for arguments in (["status"], ["redrive"], ["backfill", f"s3://{BUCKET}/incoming/"]):
        result = run(*arguments, "--stack", "other")

        assert result.exit_code == 2
        assert result.stderr.startswith("reviewbox: there is no stack 'other' in us-east-1")
        assert result.stderr.count("\n") == 1


def test_status_counts_done_and_failed_objects(cloud: Cloud, handler: Handler) -> None:
    upload(cloud, "incoming/a.txt")
    upload(cloud, "incoming/empty.txt", b"")
    upload(cloud, "incoming/t.jsonl", b'{"text":"good"}\n{"text":"bad"}\nbroken\n')
    drain(cloud, handler)
    upload(cloud, "incoming/b.txt")

    response = status()

    assert (response["queued"], response["in_flight"], response["delayed"], response["dead_lettered"]) == (
        1,
        0,
        0,
        0,
    )
    assert (response["objects"], response["bytes"]) == (4, 58)
    assert (response["receipts"], response["receipts_read"]) == (3, 3)
    assert (response["done"], response["failed"]) == (2, 1)
    assert (response["reviews"], response["failed_reviews"]) == (4, 1)
    (failure,) = response["failures"]
    assert failure["object"] == "s3://reviewbox/incoming/empty.txt"
    assert failure["code"] == "empty_file"


def test_status_shows_the_progress_of_everything_that_may_take_long(cloud: Cloud) -> None:
    upload(cloud, "incoming/a.txt")
    cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody="no event")
    described: dict[str, float | None] = {}

    def track(items: Iterable[Any], description: str, total: float | None = None) -> Iterable[Any]:
        described[description] = total
        return items

    stack = find_stack(connect("cloudformation"), "reviewbox")
    collect_status(stack, cloud.s3(), cloud.sqs(), 10, track)

    assert described == {
        "Counting messages": 2,
        "Listing objects": None,
        "Listing results": None,
        "Reading results": 0,
        "Receiving dead letters": 1,
        "Explaining dead letters": 1,
    }


def test_status_counts_large_tables_in_progress(cloud: Cloud) -> None:
    """They have parts, but no receipt yet."""
    table_id = "0" * 32
    put(cloud, "incoming/done.csv", "incoming/large.csv.gz")
    put(
        cloud,
        f"results/incoming/done.csv.classified/{table_id}/part-00000.csv",
        "results/incoming/done.csv.json",
    )
    put(
        cloud,
        *(
            f"results/incoming/large.csv.gz.classified/{table_id}/part-0000{number}.csv.gz"
            for number in (0, 2)
        ),
    )

    for number in range(3):
        cloud.sqs().send_message(QueueUrl=cloud.segments_queue_url, MessageBody=f"segment {number}")
    upload(cloud, "incoming/other.txt")

    response = status()
    printed = " ".join(run("status").stdout.split())

    assert (response["queued"], response["segments_queued"]) == (4, 3)
    assert "queued 4 including 3 segments" in printed
    assert (response["objects"], response["receipts"]) == (3, 1)
    assert (response["tables_in_work"], response["parts_in_work"]) == (1, 2)
    assert "in progress 1 large table, 2 parts so far" in printed


def test_status_reads_at_most_the_given_number_of_results(cloud: Cloud, handler: Handler) -> None:
    for number in range(3):
        upload(cloud, f"incoming/{number}.txt")
    drain(cloud, handler)

    response = status("--newest", 2)

    assert (response["receipts"], response["receipts_read"], response["done"]) == (3, 2, 2)
    assert "the newest 2 were read" in run("status", "--newest", 2).stdout


def test_a_message_that_is_not_an_event_is_reported_and_redriven(cloud: Cloud, handler: Handler) -> None:
    cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody="no event")
    drain(cloud, handler)

    before = status()
    after = status()
    output = run("status").stdout
    moved = run("redrive", answer="y\n")

    assert before["dead_lettered"] == 1
    (reason,) = before["dead_letters"]
    assert (reason["object"], reason["code"]) == ("", "")
    assert reason["message"].startswith("the message is not an event: ")
    assert "not valid JSON" in reason["message"]
    assert after == before
    assert "the message is not an event" in output
    assert moved.exit_code == 0
    assert "Moved 1 message." in moved.stdout
    assert count_messages(cloud, cloud.dead_letter_queue_url) == 0
    assert count_messages(cloud, cloud.queue_url) == 1


def test_results_of_another_version_are_outdated(cloud: Cloud) -> None:
    put(cloud, "results/incoming/a.txt.json", body=b'{"format": 0, "sentiment": "positive"}')

    response = status()

    assert (response["receipts_read"], response["done"], response["failed"]) == (1, 0, 0)
    assert "written by a different version" in run("status").stdout


def test_the_reason_for_a_dead_letter_comes_from_the_receipt(cloud: Cloud, handler: Handler) -> None:
    upload(cloud, "incoming/with_result.txt")
    drain(cloud, handler)
    ref = ObjectRef(BUCKET, "incoming/[a] b.txt")
    provenance = Provenance(ref, None, "model", "settings", calibrated=True)
    problem = Problem(ErrorCode.NOT_PROCESSED, "it was tried 5 times: AWS returned SlowDown for GetObject")
    receipt = Receipt.for_error(problem, provenance, final=False).encode()
    records = []
    for bucket, key in (
        (BUCKET, ref.key),
        (BUCKET, "incoming/no_receipt.txt"),
        (BUCKET, "incoming/with_result.txt"),
        ("hotel", "incoming/with_result.txt"),
    ):
        place = {"bucket": {"name": bucket}, "object": {"key": key.replace(" ", "+")}}
        records.append({"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": place})
    cloud.s3().put_object(Bucket=BUCKET, Key=f"results/{ref.key}.json", Body=receipt)
    for message in ({"Records": records}, {"Service": "Amazon S3", "Event": "s3:TestEvent"}):
        cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody=json.dumps(message))

    response = status()["dead_letters"]

    assert [(reason["object"], reason["code"]) for reason in response] == [
        ("s3://reviewbox/incoming/[a] b.txt", "not_processed"),
        ("s3://reviewbox/incoming/no_receipt.txt", ""),
        ("s3://reviewbox/incoming/with_result.txt", ""),
        ("s3://hotel/incoming/with_result.txt", "foreign_result"),
        ("", ""),
    ]
    assert "SlowDown" in response[0]["message"]
    assert "has no receipt" in response[1]["message"]
    assert "has a result" in response[2]["message"]
    assert "s3://reviewbox/incoming/with_result.txt" in response[3]["message"]
    assert "does not name an object" in response[4]["message"]
    assert "s3://reviewbox/incoming/[a] b.txt" in run("status").stdout
    assert count_messages(cloud, cloud.dead_letter_queue_url) == 2


def test_redrive_moves_all_dead_letters(cloud: Cloud) -> None:
    bodies = {f"message {number}" for number in range(23)}
    for body in bodies:
        cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody=body)

    result = run("redrive", "--yes")

    uploads = Queue(cloud.queue_url, cloud.sqs())
    received = [message.body for _ in range(3) for message in uploads.receive(hidden_seconds=60)]
    assert "Moved 23 messages." in result.stdout
    assert sorted(received) == sorted(bodies)
    assert count_messages(cloud, cloud.dead_letter_queue_url) == 0


def test_redrive_without_dead_letters_or_consent_does_nothing(cloud: Cloud) -> None:
    nothing = run("redrive")
    cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody="anything")
    refused = run("redrive", answer="\n")

    assert (nothing.exit_code, nothing.stdout) == (0, "There are no dead letters.\n")
    assert refused.exit_code == 1
    assert count_messages(cloud, cloud.dead_letter_queue_url) == 1
    assert count_messages(cloud, cloud.queue_url) == 0


@pytest.mark.parametrize("call", ["SendMessageBatch", "DeleteMessageBatch"])
def test_an_interrupted_redrive_loses_no_message(cloud: Cloud, call: str) -> None:
    bodies = {f"message {number}" for number in range(15)}
    for body in bodies:
        cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody=body)
    sqs: SQSClient = connect("sqs")
    interrupt_at(sqs, f"before-call.sqs.{call}", 2)

    with pytest.raises(KeyboardInterrupt):
        list(move_messages(Queue(cloud.dead_letter_queue_url, sqs), Queue(cloud.queue_url, sqs)))

    left = Queue(cloud.dead_letter_queue_url, cloud.sqs()).count()
    assert (left.queued, left.in_flight) == (5, 0)  # so the next redrive finds them
    assert count_messages(cloud, cloud.queue_url) >= len(bodies) - left.queued


def test_a_redrive_is_summarized(cloud: Cloud) -> None:
    none = run("redrive", "--format", "jsonl")
    Queue(cloud.dead_letter_queue_url, cloud.sqs()).send(["a", "b"])
    moved = run("redrive", "--json", answer="y\n")

    assert json.loads(none.stdout) == {"stack": "reviewbox", "moved": 0, "remaining": 0}
    assert none.stderr == "There are no dead letters.\n"
    assert json.loads(moved.stdout) == {"stack": "reviewbox", "moved": 2, "remaining": 0}
    assert "2 dead letters will be moved back" in moved.stderr


def test_a_redrive_that_cannot_send_releases_its_messages(cloud: Cloud) -> None:
    dead_letters = Queue(cloud.dead_letter_queue_url, cloud.sqs())
    dead_letters.send(["anything"])

    with pytest.raises(ClientError, match="NonExistentQueue"):
        list(move_messages(dead_letters, Queue(f"{cloud.queue_url}-gone", cloud.sqs())))

    assert dead_letters.count().queued == 1


def test_dead_letters_that_another_process_has_received_are_reported(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    dead_letters = Queue(cloud.dead_letter_queue_url, cloud.sqs(), pauses.append)
    uploads = Queue(cloud.queue_url, cloud.sqs())
    dead_letters.send(["a", "b"])
    cloud.sqs().receive_message(QueueUrl=cloud.dead_letter_queue_url, VisibilityTimeout=600)

    assert not redrive("reviewbox", dead_letters, uploads, agreed=True)
    first = capsys.readouterr().out
    second = run("redrive", "--yes")

    assert second.exit_code == 1
    for output, moved in ((first, "Moved 1 message."), (second.stdout, "Moved 0 messages.")):
        assert moved in output
        assert "Left: 1 dead letter, received by another process; run the same command again" in output
    assert pauses == [1.0, 1.0]  # SQS may count deleted messages for a while


def test_classify_reads_objects_as_the_service_does(
    cloud: Cloud, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = cloud.s3()
    s3.put_object(Bucket=BUCKET, Key="a/1.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key="a/b/2", Body=b'{"t": "bad"}\n', ContentType="application/x-ndjson")
    s3.put_object(Bucket=BUCKET, Key="a/b/", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="a/large.txt", Body=b"great film " * 10)
    (tmp_path / "c.txt").write_text("awful film", encoding="utf-8")
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "100")
    monkeypatch.setenv("REVIEWBOX_TEXT_FIELD", "t")
    monkeypatch.setenv("REVIEWBOX_NEEDS_REVIEW_BELOW", "0.9999")

    result = run("classify", f"s3://{BUCKET}/a/", tmp_path / "c.txt", "--model", tiny_model)

    reviews = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [
        (review["file"], review.get("sentiment"), review.get("error_code"), review.get("needs_review"))
        for review in reviews
    ] == [
        (f"s3://{BUCKET}/a/1.txt", "positive", None, True),
        (f"s3://{BUCKET}/a/b/2", "negative", None, True),
        (f"s3://{BUCKET}/a/large.txt", None, "too_large", None),
        (str(tmp_path / "c.txt"), "negative", None, True),
    ]


def test_classify_reads_one_object(cloud: Cloud, tiny_model: Path) -> None:
    put(cloud, "a/1.txt", "a/1.txt.bak")

    result = run("classify", f"s3://{BUCKET}/a/1.txt", "--model", tiny_model)

    assert [json.loads(line)["file"] for line in result.stdout.splitlines()] == [f"s3://{BUCKET}/a/1.txt"]


@pytest.mark.usefixtures("cloud")
def test_an_object_that_cannot_be_read_is_reported_in_one_line(tiny_model: Path) -> None:
    for uri, expected in {
        "s3://no-such-bucket/": "AWS returned NoSuchBucket for ListObjectsV2",
        "s3://no-such-bucket/a.txt": "no such object",
        f"s3://{BUCKET}/none.txt": "no such object",
        f"s3://{BUCKET}/none/": "no such object",
        "s3://": "expected s3://bucket/prefix",
    }.items():
        result = run("classify", uri, "--model", tiny_model)

        assert result.exit_code == 2
        assert result.stderr.startswith(f"reviewbox: {uri}: {expected}")
        assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("cloud")
def test_an_endpoint_that_is_not_a_url_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "foo")

    for arguments in (["status"], ["classify", "s3://my-reviews/a.txt"]):
        result = run(*arguments)

        assert (result.exit_code, result.stderr) == (
            2,
            "reviewbox: Invalid endpoint: foo: set AWS_ENDPOINT_URL to a URL such as http://127.0.0.1:5000\n",
        )


@pytest.mark.usefixtures("cloud")
def test_missing_credentials_are_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it caches credentials
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)

    result = run("status")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "no AWS credentials" in result.stderr


def test_the_demo_waits_for_a_receipt_and_not_for_any_object_with_its_key(cloud: Cloud) -> None:
    key = "results/incoming/a.txt.json"
    put(cloud, key, body=b"{}")

    receipt = wait_for_receipt(key, S3Storage(cloud.s3()), cloud)

    assert receipt["error"]["code"] == "no_result"
