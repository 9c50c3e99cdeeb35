"""The sample events of tests/events, and the objects to which they refer."""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from processes import ROOT

EVENTS = sorted((ROOT / "tests/events").glob("*.json"))
OBJECTS: dict[str, str] = json.loads(Path(__file__).with_name("objects.json").read_text(encoding="utf-8"))

# The contents of objects that objects.json does not list.
_REVIEW = "A splendid little place. We were sorry to leave, and have booked again for the spring."
_DEFAULT_CONTENT = {".csv": f'text\n"{_REVIEW}"\n', ".jsonl": json.dumps({"text": _REVIEW}) + "\n"}


def load(name: str) -> Any:
    return json.loads((ROOT / f"tests/events/{name}.json").read_text(encoding="utf-8"))


def content(key: str) -> bytes:
    """Return the content of the samples' object `key`."""
    return OBJECTS.get(key, _DEFAULT_CONTENT.get(PurePosixPath(key).suffix, _REVIEW)).encode()


def objects_in(event: Any) -> Iterator[tuple[str, str]]:
    """Yield the bucket and key of each object that an event refers to, at any depth of nesting.

    This does not use the code under test, which would otherwise confirm itself.
    """
    match event:
        case {"eventName": str(name), "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}:
            if re.search("ObjectCreated:|ObjectRestore:Completed", name):
                yield bucket, key if event["eventSource"] == "ceph:s3" else unquote_plus(key)
        case {"detail-type": name, "detail": {"bucket": {"name": bucket}, "object": {"key": key}}}:
            if name in ("Object Created", "Object Restore Completed"):
                yield bucket, key
        case {"s3Key": key, "s3BucketArn": bucket} | {"s3Key": key, "s3Bucket": bucket}:
            yield bucket.rpartition(":")[2], unquote_plus(key)
        case dict() | list():
            for value in event.values() if isinstance(event, dict) else event:
                yield from objects_in(value)
        case str() if event.startswith("{"):
            yield from objects_in(json.loads(event))


def created(bucket: str, key: str) -> Any:
    """Return a minimal S3 event for a new object; `key` must not need encoding."""
    s3 = {"bucket": {"name": bucket}, "object": {"key": key}}
    return {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": s3}]}


def delivered(body: Any, receives: int = 1) -> Any:
    """Return a batch of one SQS message that has been received `receives` times."""
    message = {
        "messageId": "0d3c5a7e-6b1f-4f2a-9c84-d5e6f7a8b9c0",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "eventSource": "aws:sqs",
    }
    return {"Records": [message]}


def batch_operation(version: str, bucket: str, *keys: str) -> Any:
    """Return a request of S3 Batch Operations, in version 1.0 or 2.0 of its schema."""
    bucket_field = {"s3BucketArn": f"arn:aws:s3:::{bucket}"} if version == "1.0" else {"s3Bucket": bucket}
    tasks = [
        {"taskId": f"task-{number}", "s3Key": quote_plus(key, safe="/"), "s3VersionId": None, **bucket_field}
        for number, key in enumerate(keys)
    ]
    return {
        "invocationSchemaVersion": version,
        "invocationId": "YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo",
        "job": {"id": "f3cc4f60-61f6-4a2b-8a21-d07600c373ce"},
        "tasks": tasks,
    }
