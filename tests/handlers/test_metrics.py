"""What an invocation logs as metrics, in CloudWatch's embedded metric format."""

import json
import logging
import re
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.handlers.conftest import Context
from tests.handlers.test_on_upload import SECRET, notification, sqs
from tests.test_template import resources_of_type

from handlers import on_batch_operation, on_upload

NAMESPACE = "Reviewbox/shop"


@pytest.fixture(autouse=True)
def metrics_are_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWBOX_METRICS_NAMESPACE", NAMESPACE)


def measured(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the logged metrics as CloudWatch finds them, after checking each line against the format."""
    lines = [vars(record) for record in caplog.records if record.getMessage() == "invocation.measured"]
    return [extract(json.loads(json.dumps(line, default=str))) for line in lines]


def extract(line: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a line's metrics by name."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert line["_aws"]["Timestamp"] > 1_700_000_000_000
    assert directive["Namespace"] == NAMESPACE
    assert directive["Dimensions"] == [[]]
    assert len(directive["Metrics"]) <= 100
    values = {}
    for metric in directive["Metrics"]:
        assert metric["Unit"] in {"Count", "Milliseconds"}
        values[metric["Name"]] = value = line[metric["Name"]]
        numbers = value if isinstance(value, list) else [value]
        assert 0 < len(numbers) <= 100
        assert all(isinstance(number, int) for number in numbers)
    return values


def sent(event: dict[str, Any], milliseconds: int) -> dict[str, Any]:
    for record in event["Records"]:
        record["attributes"]["SentTimestamp"] = str(milliseconds)
    return event


def test_reviews_answers_and_failed_rows_are_counted(s3: S3Client, caplog: pytest.LogCaptureFixture) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key="incoming/refused.txt", Body=b"")
    table = f'{{"text": "good"}}\n{{"text": "awful {SECRET}"}}\n{{"text": ""}}\nno json\n'.encode()
    s3.put_object(Bucket=BUCKET, Key="incoming/b.jsonl", Body=table)
    keys = ("incoming/a.txt", "incoming/b.jsonl", "incoming/refused.txt", "incoming/gone.txt")

    on_upload.handler(sqs(*map(notification, keys)), Context())

    (metrics,) = measured(caplog)
    assert metrics == {
        "Reviews": 3,
        "RowsFailed": 2,
        "OtherLanguage": 0,
        "AnswerPositive": 2,
        "AnswerNegative": 1,
    }
    assert SECRET not in " ".join(str(vars(record)) for record in caplog.records)


def test_a_redelivery_does_not_count_again(s3: S3Client, caplog: pytest.LogCaptureFixture) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")

    on_upload.handler(sqs(notification("incoming/a.txt")), Context())
    on_upload.handler(sqs(notification("incoming/a.txt"), receive_count=2), Context())

    assert [metrics["Reviews"] for metrics in measured(caplog)] == [1]


def test_latency_is_the_time_since_the_message_was_sent(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [f"incoming/{number}.txt" for number in range(101)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    long_ago = 1_700_000_000_000

    on_upload.handler(sent(sqs(*map(notification, keys)), long_ago), Context())

    latencies = [line["Latency"] for line in measured(caplog)]
    assert [len(values) for values in latencies] == [100, 1]  # the format allows 100 values per line
    assert all(value > 1_000_000_000 for values in latencies for value in values)


@pytest.mark.parametrize("attribute", ["soon", "", None, {}])
def test_an_unknown_time_is_not_measured(
    s3: S3Client, caplog: pytest.LogCaptureFixture, attribute: Any
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    event = sqs(notification("incoming/a.txt"))
    event["Records"][0]["attributes"]["SentTimestamp"] = attribute

    on_upload.handler(event, Context())

    (metrics,) = measured(caplog)
    assert "Latency" not in metrics


def test_a_batch_operation_is_measured_too(s3: S3Client, caplog: pytest.LogCaptureFixture) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"awful film")
    task = {"taskId": "1", "s3Key": "incoming/a.txt", "s3BucketArn": f"arn:aws:s3:::{BUCKET}"}

    on_batch_operation.handler(
        {"invocationSchemaVersion": "1.0", "invocationId": "1", "tasks": [task]}, Context()
    )

    assert [metrics["AnswerNegative"] for metrics in measured(caplog)] == [1]


def test_nothing_is_measured_without_a_namespace(
    s3: S3Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWBOX_METRICS_NAMESPACE", "")
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"awful film")

    on_upload.handler(sqs(notification("incoming/a.txt")), Context())

    assert [record.getMessage() for record in caplog.records] == ["object.classified"]


def test_an_object_without_read_access_matches_the_filter_of_the_alarm_at_its_first_attempt(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/incoming/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    (pattern,) = {f["FilterPattern"] for f in resources_of_type("Logs::MetricFilter").values()}

    with caplog.at_level(logging.INFO):
        on_upload.handler(sqs(notification("incoming/a.txt")), Context())

    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "403" in vars(record)["reason"]  # the code that moto returns
    assert record.getMessage() in re.findall(r'\$\.message = "([\w.]+)"', pattern)
