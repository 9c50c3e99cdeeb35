import json
import logging
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.handlers.conftest import Context

from handlers import common, on_batch_operation
from reviewbox.errors import EventError, SettingsError
from reviewbox.storage import S3Storage

SECRET = "zanzibar"  # a word that occurs only in reviews


def request(*keys: str, version: str = "1.0") -> dict[str, Any]:
    bucket = {"s3BucketArn": f"arn:aws:s3:::{BUCKET}"} if version == "1.0" else {"s3Bucket": BUCKET}
    return {
        "invocationSchemaVersion": version,
        "invocationId": "an invocation",
        "job": {"id": "f3cc4f60-61f6-4a2b-8a21-d07600c373ce"},
        "tasks": [
            {"taskId": f"task-{number}", "s3Key": key, "s3VersionId": None, **bucket}
            for number, key in enumerate(keys, 1)
        ],
    }


def results(event: dict[str, Any], context: Context | None = None) -> list[tuple[str, str]]:
    """Return the result code and text of each task, in order."""
    response = on_batch_operation.handler(event, context or Context())
    assert [result["taskId"] for result in response["results"]] == [t["taskId"] for t in event["tasks"]]
    return [(result["resultCode"], result["resultString"]) for result in response["results"]]


def receipt(s3: S3Client, key: str) -> dict[str, Any]:
    body = s3.get_object(Bucket=BUCKET, Key=f"results/{key}.json")["Body"].read()
    content: dict[str, Any] = json.loads(body)
    return content


def at_operation(name: str, action: Callable[[], None]) -> None:
    """Run `action` before each request of the function with this name."""
    storage = common.pipeline().store
    assert isinstance(storage, S3Storage)
    storage.client.meta.events.register(f"before-call.s3.{name}", lambda **_: action())


def fail_with(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_task_is_classified_and_answered(s3: S3Client, version: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")

    response = on_batch_operation.handler(request("incoming/a.txt", version=version), Context())

    assert response == {
        "invocationSchemaVersion": version,
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": "an invocation",
        "results": [{"taskId": "task-1", "resultCode": "Succeeded", "resultString": "classified"}],
    }
    assert json.loads(json.dumps(response)) == response
    assert receipt(s3, "incoming/a.txt")["sentiment"] == "positive"


def test_job_arguments_are_ignored(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    event = request("incoming/a.txt", version="2.0")
    event["job"]["userArguments"] = {"who": "the night shift"}

    assert results(event) == [("Succeeded", "classified")]


def test_a_key_is_form_decoded(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/2026/my review+é.txt", Body=b"great film")

    assert results(request("incoming/2026/my+review%2B%C3%A9.txt")) == [("Succeeded", "classified")]
    assert results(request("incoming%2F2026%2Fmy%20review%2B%C3%A9.txt")) == [("Succeeded", "current")]


def test_the_bucket_arn_may_contain_a_region_and_an_account(s3: S3Client) -> None:
    """The example in AWS's documentation does."""
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    event = request("incoming/a.txt")
    event["tasks"][0]["s3BucketArn"] = f"arn:aws:s3:us-east-1:123456789012:{BUCKET}"

    assert results(event) == [("Succeeded", "classified")]


def test_the_newest_version_is_classified(s3: S3Client) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")["VersionId"]
    new = s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"awful film")["VersionId"]
    event = request("incoming/a.txt")
    event["tasks"][0]["s3VersionId"] = old

    on_batch_operation.handler(event, Context())

    assert receipt(s3, "incoming/a.txt")["source"]["version"] == new
    assert receipt(s3, "incoming/a.txt")["sentiment"] == "negative"


def test_a_refused_object_succeeds_because_its_error_is_recorded(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.pdf", Body=b"%PDF-1.7")
    s3.put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"")

    answers = results(request("incoming/a.pdf", "incoming/b.txt"))

    assert answers == [("Succeeded", "refused: unsupported_format"), ("Succeeded", "refused: empty_file")]
    assert receipt(s3, "incoming/a.pdf")["error"]["code"] == "unsupported_format"


def test_a_task_with_nothing_to_do_succeeds(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key="incoming/2026/", Body=b"")
    keys = ["incoming/a.txt", "incoming/a.txt", "incoming/2026/", "results/a.json", "elsewhere/a.txt"]

    answers = results(request(*keys))

    assert answers == [
        ("Succeeded", "classified"),
        ("Succeeded", "current"),
        ("Succeeded", "ignored"),
        ("Succeeded", "ignored"),
        ("Succeeded", "ignored"),
    ]


def test_a_missing_object_fails_permanently() -> None:
    assert results(request("incoming/a.txt")) == [("PermanentFailure", "gone: no such object")]


def test_running_out_of_time_is_a_temporary_failure(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")

    ((code, text),) = results(request("incoming/a.txt"), Context(milliseconds=1))

    assert code == "TemporaryFailure"
    assert "too little" in text


def test_contention_is_a_temporary_failure(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    bystander = boto3.client("s3")
    numbers = iter(range(1000))

    def meddle() -> None:
        body = str(next(numbers)).encode()
        bystander.put_object(Bucket=BUCKET, Key="results/incoming/a.txt.json", Body=body)

    at_operation("PutObject", meddle)
    ((code, text),) = results(request("incoming/a.txt"))

    assert code == "TemporaryFailure"
    assert "during all 8 attempts" in text


def test_an_unreachable_network_is_a_temporary_failure(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    at_operation("PutObject", fail_with(EndpointConnectionError(endpoint_url="https://s3")))

    assert results(request("incoming/a.txt")) == [("TemporaryFailure", "EndpointConnectionError")]


@pytest.mark.parametrize(
    ("code", "status", "answer"),
    [("SlowDown", 503, "TemporaryFailure"), ("AccessDenied", 403, "PermanentFailure")],
)
def test_the_error_code_of_aws_decides_whether_a_failure_is_temporary(
    s3: S3Client, code: str, status: int, answer: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    error = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    at_operation("PutObject", fail_with(ClientError(error, "PutObject")))  # type: ignore[arg-type]

    assert results(request("incoming/a.txt")) == [(answer, f"AWS returned {code} for PutObject")]


def test_a_failing_task_does_not_affect_other_tasks(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/b.txt", Body=b"great film")
    event = request("incoming/a.txt", "incoming/a.txt", "incoming/b.txt")
    event["tasks"][0]["s3BucketArn"] = "arn:aws:s3:::no-such-bucket"
    del event["tasks"][1]["s3Key"]

    answers = results(event)

    assert answers[0] == ("PermanentFailure", "AWS returned NoSuchBucket for GetObject")
    assert answers[1][0] == "PermanentFailure"
    assert answers[2] == ("Succeeded", "classified")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"s3Key": ""}, "its fields are s3BucketArn, s3Key, s3VersionId, taskId"),
        ({"s3Key": None}, "has no s3BucketArn or no s3Key"),
        ({"s3Key": "incoming/caf%E9.txt"}, "not valid UTF-8"),
        ({"s3BucketArn": ["a"]}, "has no s3BucketArn or no s3Key"),
    ],
)
def test_a_malformed_task_fails_permanently_and_is_described(change: dict[str, Any], complaint: str) -> None:
    event = request("incoming/a.txt")
    event["tasks"][0] |= change

    ((code, text),) = results(event)

    assert code == "PermanentFailure"
    assert complaint in text


def test_a_request_with_an_unknown_version_fails_permanently(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")

    ((code, text),) = results(request("incoming/a.txt", version="3.0"))

    assert code == "PermanentFailure"
    assert "'3.0'" in text
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1


@pytest.mark.parametrize(
    "event",
    [
        {"Records": []},
        {**request("incoming/a.txt"), "tasks": "all"},
        {**request("incoming/a.txt"), "tasks": [{"s3Key": "incoming/a.txt"}]},
        {**request("incoming/a.txt"), "tasks": None},
        {**request("incoming/a.txt"), "invocationSchemaVersion": 1},
        {name: value for name, value in request("incoming/a.txt").items() if name != "invocationId"},
        ["tasks"],
    ],
)
def test_an_event_whose_tasks_cannot_be_answered_is_an_error(event: Any) -> None:
    with pytest.raises(EventError, match="not a request of S3 Batch Operations"):
        on_batch_operation.handler(event, Context())


def test_invalid_settings_fail_the_invocation_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWBOX_THREADS", "many")

    with pytest.raises(SettingsError, match="REVIEWBOX_THREADS"):
        on_batch_operation.handler(request("incoming/a.txt"), Context())


def test_log_events_have_the_same_names_as_for_uploads(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    s3.put_object(Bucket=BUCKET, Key="incoming/b.pdf", Body=b"%PDF-1.7")
    event = request("incoming/a.txt", "incoming/a.txt", "incoming/b.pdf", "incoming/gone.txt", "a.json", "")

    on_batch_operation.handler(event, Context())

    events = [(record.getMessage(), getattr(record, "key", None)) for record in caplog.records]
    assert events == [
        ("object.classified", "incoming/a.txt"),
        ("object.current", "incoming/a.txt"),
        ("object.refused", "incoming/b.pdf"),
        ("object.gone", "incoming/gone.txt"),
        ("object.ignored", "a.json"),
        ("task.unknown", None),
    ]


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("incoming/a.txt", f"good {SECRET}".encode()),
        ("incoming/a.txt", f"{SECRET} \x00\x01\x02\x03".encode()),
        ("incoming/a.jsonl", f'{{"text": "{SECRET}"}}\n{{"text": "{SECRET}'.encode()),
    ],
)
@pytest.mark.parametrize("milliseconds", [900_000, 1])
def test_review_text_is_never_logged_or_reported(
    s3: S3Client, caplog: pytest.LogCaptureFixture, key: str, body: bytes, milliseconds: int
) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    with caplog.at_level(logging.INFO):
        response = on_batch_operation.handler(request(key), Context(milliseconds))

    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert key in logged
    assert SECRET not in logged + str(response)


def test_an_unexpected_error_fails_permanently_without_its_message(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    at_operation("PutObject", fail_with(ValueError(SECRET)))

    answers = results(request("incoming/a.txt"))

    (record,) = caplog.records
    assert answers == [("PermanentFailure", "ValueError")]
    assert record.getMessage() == "object.failed"
    assert any("storage.py" in frame for frame in vars(record)["frames"])
    assert SECRET not in str(vars(record))
