"""The handlers get any event: they answer as the invoking service expects, or raise a coded error."""

import json
import os
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from tests.tiny import write_model

from handlers import common, on_batch_operation, on_upload
from reviewbox.errors import EventError
from reviewbox.events import Message, parse

_BUCKET = "reviewbox"
_OBJECTS = {
    "incoming/a.txt": b"the film is good",
    "incoming/t.csv": b"id,review\n1,the film is good\n2,awful\n",
}
_RESULTS = {"results/incoming/a.txt.json", "results/incoming/t.csv.json"}
_RESULT_CODES = {"Succeeded", "TemporaryFailure", "PermanentFailure"}
# More would only repeat what fewer show, and take a long time.
_MAX_TARGETS = 50
_RESOURCES = ExitStack()  # of the account


class _Context:
    """An invocation whose time stands still."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def check_event(case: bytes) -> None:
    """Parse a JSON value as an event, and invoke both functions with it."""
    try:
        event = json.loads(case)
    except (ValueError, RecursionError):
        return
    try:
        messages = parse(event)
    except EventError:
        messages = []
    for message in messages:
        _check_message(message)
    if sum(len(message.targets) for message in messages) > _MAX_TARGETS:
        return
    _check_upload(event, messages)
    _check_batch_operation(event)
    _check_objects()


def _check_message(message: Message) -> None:
    assert len(set(message.refs)) == len(message.refs)
    for ref in message.refs:
        assert ref.bucket
        assert ref.key.encode()
    assert all(str(error) for error in message.errors)


def _check_upload(event: Any, messages: list[Message]) -> None:
    _account()
    try:
        answer = on_upload.handler(event, _Context())
    except (EventError, on_upload.UploadError):
        assert not messages or any(message.message_id is None for message in messages)
        return
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert set(failed) <= {message.message_id for message in messages}
    assert {message.message_id for message in messages if message.errors} <= set(failed)


def _check_batch_operation(event: Any) -> None:
    try:
        answer = on_batch_operation.handler(event, _Context())
    except EventError:
        return
    tasks = [task["taskId"] for task in event["tasks"]]
    assert [result["taskId"] for result in answer["results"]] == tasks
    assert {result["resultCode"] for result in answer["results"]} <= _RESULT_CODES
    json.dumps(answer)


def _check_objects() -> None:
    s3 = _account()
    found = {item["Key"] for item in s3.list_objects_v2(Bucket=_BUCKET)["Contents"]}
    tables = {key for key in found if key.startswith("results/incoming/t.csv.classified")}
    assert found - tables <= {*_OBJECTS, *_RESULTS}
    for key, body in _OBJECTS.items():
        assert s3.get_object(Bucket=_BUCKET, Key=key)["Body"].read() == body


@cache
def _account() -> Any:
    """Return an S3 client of an account in memory, which the handlers also use."""
    _RESOURCES.enter_context(patch.dict(os.environ))
    for name in [name for name in os.environ if name.startswith(("AWS_", "REVIEWBOX_"))]:
        del os.environ[name]
    model = _RESOURCES.enter_context(tempfile.TemporaryDirectory())
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "REVIEWBOX_MODEL_DIR": str(write_model(Path(model))),
    }
    common.pipeline.cache_clear()
    _RESOURCES.enter_context(mock_aws())
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=_BUCKET)
    for key, body in _OBJECTS.items():
        s3.put_object(Bucket=_BUCKET, Key=key, Body=body)
    return s3


def close_account() -> None:
    """Remove the account, and give the process its environment back."""
    _RESOURCES.close()
    _account.cache_clear()
    common.pipeline.cache_clear()
