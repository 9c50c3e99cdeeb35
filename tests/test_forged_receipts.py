"""Receipts that name parts as nobody can ask for them: botocore refuses some before it sends anything."""

import json

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.large_tables.work import (
    SEGMENT_BYTES,
    TABLE,
    assert_consistent,
    deliver,
    plenty,
    put,
    receipt_of,
    rows,
)

from reviewbox.model.classifier import Classifier
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage


@pytest.fixture
def pipeline(storage: S3Storage, classifier: Classifier) -> Pipeline:
    sqs = boto3.client("sqs")
    queue = Queue(sqs.create_queue(QueueName="uploads")["QueueUrl"], sqs)
    return Pipeline(storage, classifier, Settings(segment_bytes=SEGMENT_BYTES), queue)


FORGED_PARTS = [
    {"bucket": "no such bucket!", "key": "k", "etag": "e"},
    {"bucket": "", "key": "k", "etag": "e"},
    {"bucket": BUCKET, "key": "", "etag": "e"},
    {"bucket": BUCKET, "key": "k" * 2000, "etag": "e"},
    {"bucket": BUCKET, "key": "\ud800", "etag": "e"},
    {"bucket": BUCKET, "key": "results/gone", "etag": "e\r\nX-Injected: 1"},
    {"bucket": BUCKET, "key": f"results/{TABLE.key}.classified/{'0' * 32}/part-00000.csv", "etag": "\r\n"},
    {"bucket": BUCKET, "key": "a\nb\x00", "etag": ""},
    {"bucket": "absent-bucket", "key": "k", "etag": "e"},
]


@pytest.mark.parametrize("part", FORGED_PARTS)
@pytest.mark.parametrize("size", [2, 20])
@pytest.mark.parametrize("is_current", [False, True])
def test_a_receipt_with_a_strange_part_is_made_anew(
    pipeline: Pipeline, s3: S3Client, part: dict[str, str], size: int, *, is_current: bool
) -> None:
    put(s3, rows(size))
    pipeline.process(TABLE, plenty)
    deliver(pipeline)
    forged = receipt_of(s3)
    forged["parts"] = [part]
    if not is_current:
        forged["model"]["sha256"] = "x"
    s3.put_object(Bucket=BUCKET, Key=f"results/{TABLE.key}.json", Body=json.dumps(forged).encode())

    pipeline.process(TABLE, plenty)
    deliver(pipeline)

    assert receipt_of(s3)["counts"]["total"] == size
    assert_consistent(s3)
