"""The commands for a deployed stack, against the local cloud and the real handler."""

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
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
from typer.testing import CliRunner, Result

from reviewbox.cli import app
from reviewbox.cli.backfill import Backfill, messages
from reviewbox.cli.redrive import move
from reviewbox.errors import ErrorCode, Problem
from reviewbox.local.cloud import BUCKET, Cloud, start_cloud
from reviewbox.local.function import Handler, deliver, deliveries
from reviewbox.objects import ObjectRef
from reviewbox.results.receipt import Provenance, error_receipt
from reviewbox.stack import discovery as aws
from reviewbox.stack.discovery import Listed, Stack

ROOT = Path(__file__).parents[2]
CREDENTIALS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty local cloud, and an environment in which commands find it.

    Its bucket notifies nobody, so that a queue holds what a test puts into it.
    """
    for name in [name for name in os.environ if name.startswith(("AWS_", "REVIEWBOX_"))]:
        monkeypatch.delenv(name)
    with start_cloud(ROOT / "template.yaml", 0) as running:
        for name in CREDENTIALS:
            monkeypatch.setenv(name, running.environment[name])
        running.s3().put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
        running.sqs().purge_queue(QueueUrl=running.queue_url)
        yield running


@pytest.fixture
def handler(cloud: Cloud, tiny_model: Path) -> Iterator[Handler]:
    """The real handler, started cold with the tiny model."""
    with cold_start(cloud, tiny_model) as started:
        yield started


@pytest.fixture
def stack(cloud: Cloud) -> Stack:  # found as the commands find it
    return aws.find_stack(aws.connect("cloudformation"), "reviewbox")


def run(*arguments: object, answer: str = "") -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answer)


def put(cloud: Cloud, *keys: str, body: bytes = b"great film") -> None:
    for key in keys:
        cloud.s3().put_object(Bucket=BUCKET, Key=key, Body=body)


def drop(cloud: Cloud, key: str, body: bytes = b"great film") -> None:
    """Put an object, and notify the queue."""
    put(cloud, key, body=body)
    (message,) = messages(BUCKET, [Listed(key, len(body), datetime.now(UTC))])
    cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody=message)


def keys_below(s3: S3Client, prefix: str) -> set[str]:
    return {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])}


def waiting(cloud: Cloud, queue_url: str) -> int:
    return aws.count_messages(cloud.sqs(), queue_url).total


def drain(cloud: Cloud, handler: Handler) -> None:
    while deliver(cloud, handler, seconds_to_retry=0):
        pass


def status(*arguments: object) -> dict[str, Any]:
    result = run("status", "--json", *arguments)
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def interrupt_at(client: Any, event: str, number: int) -> None:
    """Press Ctrl-C when a client makes a kind of call for the so-manieth time, from 1."""
    calls = 0

    def hook(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt

    client.meta.events.register(event, hook)


def test_a_backfill_classifies_what_was_there_before(cloud: Cloud, handler: Handler) -> None:
    keys = {f"incoming/2019/{number:02}.txt" for number in range(24)} | {"incoming/2019/a b+é%20.txt"}
    put(cloud, *keys, "incoming/2020/other.txt", "incoming/2019/folder/")

    with deliveries(cloud, handler):
        result = run("backfill", f"s3://{BUCKET}/incoming/2019/", answer="y\n")

    assert result.exit_code == 0, result.output
    assert "s3://reviewbox/incoming/2019/: 26 objects, 260 bytes" in result.stdout
    assert "Queued 26 objects." in result.stdout
    assert "The queue is empty." in result.stdout
    assert keys_below(cloud.s3(), "results/") >= {f"results/{key}.json" for key in keys}
    assert "results/incoming/2020/other.txt.json" not in keys_below(cloud.s3(), "results/")


def test_a_backfill_that_is_interrupted_and_run_again_does_everything_once(
    cloud: Cloud, handler: Handler, stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    put(cloud, *(f"incoming/{number:02}.txt" for number in range(25)))
    prefix = ObjectRef(BUCKET, "incoming/")
    caplog.set_level(logging.INFO, "reviewbox")
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), stack, prefix, seconds_between_looks=0)
    interrupted: SQSClient = aws.connect("sqs")
    interrupt_at(interrupted, "before-call.sqs.SendMessageBatch", 2)

    with pytest.raises(typer.Exit) as ending:
        backfill.queue(interrupted, aws.list_objects(cloud.s3(), prefix), 25)
    drain(cloud, handler)
    backfill.queue(cloud.sqs(), aws.list_objects(cloud.s3(), prefix), 25)
    drain(cloud, handler)

    events = [record.getMessage() for record in caplog.records]
    assert ending.value.exit_code == 130
    assert "Interrupted: queued 10 of 25 objects. Run it again" in output.getvalue()
    assert events.count("object.classified") == 25
    assert events.count("object.current") == 10
    assert len(keys_below(cloud.s3(), "results/")) == 25
    assert waiting(cloud, cloud.dead_letter_queue_url) == 0


def test_an_interruption_while_watching_stops_the_watching_alone(cloud: Cloud, stack: Stack) -> None:
    output = StringIO()
    backfill = Backfill(
        Console(file=output, width=200), stack, ObjectRef(BUCKET, ""), seconds_between_looks=0
    )
    cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody="anything")
    sqs: SQSClient = aws.connect("sqs")
    interrupt_at(sqs, "before-call.sqs.GetQueueAttributes", 3)

    assert backfill.watch_queue(sqs, 1, dead_before=0)

    assert "The work goes on; `reviewbox status --stack reviewbox` tells how far it is." in output.getvalue()
    assert waiting(cloud, cloud.queue_url) == 1


def test_nothing_is_queued_without_a_yes(cloud: Cloud) -> None:
    put(cloud, "incoming/a.txt", "incoming/b.csv.gz", "results/incoming/a.txt.json")

    for arguments in (("--dry-run",), ("--dry-run", "--yes"), ()):
        result = run("backfill", f"s3://{BUCKET}/incoming/", *arguments, answer="n\n")

        assert result.exit_code == (0 if arguments else 1)
        assert ("Go on? [y/N]" in result.output) is not bool(arguments)
        assert "2 objects, 20 bytes" in result.stdout
        assert (
            "1 with a result already: a current one costs one read and a look at its state" in result.stdout
        )
        assert "1 compressed" in result.stdout
        assert "Prices of us-east-1" in result.stdout
        assert f"That is for AWS, which {cloud.endpoint} is not." in result.stdout
        assert waiting(cloud, cloud.queue_url) == 0


def test_a_backfill_counts_what_will_be_refused_and_what_will_be_cut(cloud: Cloud) -> None:
    put(cloud, "incoming/large.txt", "incoming/large.csv", body=b"x" * 16_777_217)

    result = run("backfill", f"s3://{BUCKET}/incoming/", "--dry-run")

    assert "1 table to be cut into 17 segments, which go through a queue of their own" in result.stdout
    assert "1 larger than MaxObjectBytes (16,777,216 bytes): an error each" in result.stdout


def test_a_backfill_counts_what_is_archived(cloud: Cloud) -> None:
    put(cloud, "incoming/a.txt")
    cloud.s3().put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"x", StorageClass="DEEP_ARCHIVE")

    result = run("backfill", f"s3://{BUCKET}/incoming/", "--dry-run")

    assert "1 archived: an error each until restored" in result.stdout


@pytest.mark.usefixtures("cloud")
def test_what_cannot_be_backfilled_is_told_in_a_line() -> None:
    elsewhere = "the stack 'reviewbox' classifies what lies under s3://reviewbox/incoming/, and nothing else"
    for uri, expected in {
        f"s3://{BUCKET}/": elsewhere,
        f"s3://{BUCKET}/results/": elsewhere,
        "s3://other/incoming/": elsewhere,
        f"s3://{BUCKET}/incoming/none": "nothing lies under it",
        "incoming/": "expected s3://bucket/prefix",
    }.items():
        result = run("backfill", uri, "--yes")

        assert (result.exit_code, result.stderr) == (2, f"reviewbox: {uri}: {expected}\n")


@pytest.mark.usefixtures("cloud")
def test_a_stack_that_is_not_there_is_told_in_a_line() -> None:
    for arguments in (["status"], ["redrive"], ["backfill", f"s3://{BUCKET}/incoming/"]):
        result = run(*arguments, "--stack", "other")

        assert result.exit_code == 2
        assert result.stderr.startswith("reviewbox: there is no stack 'other' in us-east-1")
        assert result.stderr.count("\n") == 1


def test_status_tells_done_from_failed(cloud: Cloud, handler: Handler) -> None:
    drop(cloud, "incoming/a.txt")
    drop(cloud, "incoming/empty.txt", b"")
    drop(cloud, "incoming/t.jsonl", b'{"text":"good"}\n{"text":"bad"}\nbroken\n')
    drain(cloud, handler)
    drop(cloud, "incoming/b.txt")

    told = status()

    assert (told["queued"], told["in_flight"], told["delayed"], told["dead_lettered"]) == (1, 0, 0, 0)
    assert (told["objects"], told["bytes"]) == (4, 58)
    assert (told["receipts"], told["receipts_read"]) == (3, 3)
    assert (told["done"], told["failed"]) == (2, 1)
    assert (told["reviews"], told["failed_reviews"]) == (4, 1)
    (failure,) = told["failures"]
    assert failure["object"] == "s3://reviewbox/incoming/empty.txt"
    assert failure["code"] == "empty_file"


def test_status_tells_of_large_tables_in_work(cloud: Cloud) -> None:
    """Their receipts come at the end."""
    put(cloud, "incoming/done.csv", "incoming/large.csv.gz")
    put(cloud, "results/incoming/done.csv.classified/part-00000.csv", "results/incoming/done.csv.json")
    put(cloud, *(f"results/incoming/large.csv.gz.classified/part-0000{number}.csv.gz" for number in (0, 2)))

    for number in range(3):
        cloud.sqs().send_message(QueueUrl=cloud.segments_queue_url, MessageBody=f"segment {number}")
    drop(cloud, "incoming/other.txt")

    told = status()
    printed = " ".join(run("status").stdout.split())

    assert (told["queued"], told["segments_queued"]) == (4, 3)
    assert "queued 4 3 segments of them" in printed
    assert (told["objects"], told["receipts"]) == (3, 1)
    assert (told["tables_in_work"], told["parts_in_work"]) == (1, 2)
    assert "in work 1 large table, 2 parts so far" in printed


def test_status_reads_no_more_results_than_it_is_told_to(cloud: Cloud, handler: Handler) -> None:
    for number in range(3):
        drop(cloud, f"incoming/{number}.txt")
    drain(cloud, handler)

    told = status("--newest", 2)

    assert (told["receipts"], told["receipts_read"], told["done"]) == (3, 2, 2)
    assert "the newest 2 were read" in run("status", "--newest", 2).stdout


def test_a_poison_message_is_told_and_redriven(cloud: Cloud, handler: Handler) -> None:
    cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody="no event")
    drain(cloud, handler)

    before = status()
    again = status()
    output = run("status").stdout
    moved = run("redrive", answer="y\n")

    reason = {
        "object": "",
        "code": "",
        "message": "a message that is no event: the message's body is not JSON",
    }
    assert before["dead_lettered"] == 1
    (reason,) = before["dead_letters"]
    assert (reason["object"], reason["code"]) == ("", "")
    assert reason["message"].startswith("a message that is no event: ")
    assert "not JSON" in reason["message"]
    assert again == before
    assert "a message that is no event" in output
    assert moved.exit_code == 0
    assert "Moved 1 message." in moved.stdout
    assert waiting(cloud, cloud.dead_letter_queue_url) == 0
    assert waiting(cloud, cloud.queue_url) == 1


def test_status_sets_apart_results_of_another_version(cloud: Cloud) -> None:
    put(cloud, "results/incoming/a.txt.json", body=b'{"format": 0, "sentiment": "positive"}')

    told = status()

    assert (told["receipts_read"], told["done"], told["failed"]) == (1, 0, 0)
    assert "made by another version" in run("status").stdout


def test_a_dead_letter_s_reason_is_in_its_object_s_receipt(cloud: Cloud, handler: Handler) -> None:
    drop(cloud, "incoming/with_result.txt")
    drain(cloud, handler)
    ref = ObjectRef(BUCKET, "incoming/[a] b.txt")
    provenance = Provenance(ref, None, "model", "settings", calibrated=True)
    problem = Problem(ErrorCode.NOT_PROCESSED, "it was tried 5 times: AWS answered SlowDown to GetObject")
    receipt = error_receipt(problem, provenance, final=False)
    records = []
    for key in (ref.key, "incoming/no_receipt.txt", "incoming/with_result.txt"):
        place = {"bucket": {"name": BUCKET}, "object": {"key": key.replace(" ", "+")}}
        records.append({"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": place})
    cloud.s3().put_object(Bucket=BUCKET, Key=f"results/{ref.key}.json", Body=receipt)
    for message in ({"Records": records}, {"Service": "Amazon S3", "Event": "s3:TestEvent"}):
        cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody=json.dumps(message))

    told = status()["dead_letters"]

    assert [(reason["object"], reason["code"]) for reason in told] == [
        ("s3://reviewbox/incoming/[a] b.txt", "not_processed"),
        ("s3://reviewbox/incoming/no_receipt.txt", ""),
        ("s3://reviewbox/incoming/with_result.txt", ""),
        ("", ""),
    ]
    assert "SlowDown" in told[0]["message"]
    assert "left no result" in told[1]["message"]
    assert "has a result" in told[2]["message"]
    assert "names no object" in told[3]["message"]
    assert "s3://reviewbox/incoming/[a] b.txt" in run("status").stdout
    assert waiting(cloud, cloud.dead_letter_queue_url) == 2


def test_redrive_moves_all_dead_letters(cloud: Cloud) -> None:
    bodies = {f"message {number}" for number in range(23)}
    for body in bodies:
        cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody=body)

    result = run("redrive", "--yes")

    received = []
    while messages := aws.receive(cloud.sqs(), cloud.queue_url, 60):
        received += [message["Body"] for message in messages]
    assert "Moved 23 messages." in result.stdout
    assert sorted(received) == sorted(bodies)
    assert waiting(cloud, cloud.dead_letter_queue_url) == 0


def test_redrive_without_dead_letters_or_a_yes_does_nothing(cloud: Cloud) -> None:
    nothing = run("redrive")
    cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody="anything")
    refused = run("redrive", answer="\n")

    assert (nothing.exit_code, nothing.stdout) == (0, "There are no dead letters.\n")
    assert refused.exit_code == 1
    assert waiting(cloud, cloud.dead_letter_queue_url) == 1
    assert waiting(cloud, cloud.queue_url) == 0


@pytest.mark.parametrize("call", ["SendMessageBatch", "DeleteMessageBatch"])
def test_a_redrive_that_is_interrupted_loses_no_message(cloud: Cloud, call: str) -> None:
    bodies = {f"message {number}" for number in range(15)}
    for body in bodies:
        cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody=body)
    sqs: SQSClient = aws.connect("sqs")
    interrupt_at(sqs, f"before-call.sqs.{call}", 2)

    with pytest.raises(KeyboardInterrupt):
        list(move(sqs, cloud.dead_letter_queue_url, cloud.queue_url))

    left = aws.count_messages(cloud.sqs(), cloud.dead_letter_queue_url)
    assert (left.queued, left.in_flight) == (5, 0)  # and so the next redrive finds them
    assert waiting(cloud, cloud.queue_url) >= len(bodies) - left.queued


def test_a_redrive_that_cannot_send_gives_back_what_it_has(cloud: Cloud) -> None:
    cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody="anything")
    sqs: SQSClient = aws.connect("sqs")

    with pytest.raises(ClientError, match="NonExistentQueue"):
        list(move(sqs, cloud.dead_letter_queue_url, f"{cloud.queue_url}-gone"))

    assert aws.count_messages(sqs, cloud.dead_letter_queue_url).queued == 1


def test_dead_letters_that_someone_else_looks_at_are_told(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    for body in ("a", "b"):
        cloud.sqs().send_message(QueueUrl=cloud.dead_letter_queue_url, MessageBody=body)
    cloud.sqs().receive_message(QueueUrl=cloud.dead_letter_queue_url, VisibilityTimeout=600)

    first, second = run("redrive", "--yes"), run("redrive", "--yes")

    for result, moved in ((first, "Moved 1 message."), (second, "Moved 0 messages.")):
        assert result.exit_code == 1
        assert moved in result.stdout
        assert (
            "Left: 1 dead letter, being looked at by someone else; run it again in a minute." in result.stdout
        )


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

    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [(t["file"], t.get("sentiment"), t.get("error_code"), t.get("needs_review")) for t in told] == [
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
def test_what_cannot_be_read_is_told_in_a_line(tiny_model: Path) -> None:
    for uri, expected in {
        "s3://no-such-bucket/": "AWS answered NoSuchBucket to ListObjectsV2",
        "s3://no-such-bucket/a.txt": "nothing there",
        f"s3://{BUCKET}/none.txt": "nothing there",
        f"s3://{BUCKET}/none/": "nothing there",
        "s3://": "expected s3://bucket/prefix",
    }.items():
        result = run("classify", uri, "--model", tiny_model)

        assert result.exit_code == 2
        assert result.stderr.startswith(f"reviewbox: {uri}: {expected}")
        assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("cloud")
def test_an_endpoint_that_is_no_url_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "foo")

    for arguments in (["status"], ["classify", "s3://my-reviews/a.txt"]):
        result = run(*arguments)

        assert (result.exit_code, result.stderr) == (
            2,
            "reviewbox: Invalid endpoint: foo: AWS_ENDPOINT_URL takes a URL like http://127.0.0.1:5000\n",
        )


@pytest.mark.usefixtures("cloud")
def test_no_credentials_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which remembers them
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)

    result = run("status")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "no AWS credentials" in result.stderr
