"""Tables larger than a segment, by way of a queue and without one."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from backports import zstd
from mypy_boto3_s3 import S3Client
from mypy_boto3_sqs import SQSClient
from tests.conftest import BUCKET

from reviewbox.events import parse
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import Storage

TABLE = ObjectRef(BUCKET, "incoming/export.csv")
SEGMENT_BYTES = 300


def plenty() -> float:
    return 900.0


def rows(count: int, word: str = "good") -> bytes:
    """A table with some rows of two lines, some without a review, and some that are broken."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "review"])
    for number in range(count):
        review = ("", f"a {word} film", f"a {word} film,\n not bad")[number % 3]
        writer.writerow([number, review, *(["surplus"] if number % 7 == 6 else [])])
    return text.getvalue().encode()


@pytest.fixture
def sqs(s3: S3Client) -> SQSClient:
    return boto3.client("sqs")


@pytest.fixture
def queue_url(sqs: SQSClient) -> str:
    return sqs.create_queue(QueueName="uploads")["QueueUrl"]


@pytest.fixture
def settings(queue_url: str) -> Settings:
    return Settings(segment_bytes=SEGMENT_BYTES, queue_url=queue_url)


@pytest.fixture
def pipeline(storage: Storage, classifier: Classifier, settings: Settings) -> Pipeline:
    return Pipeline(storage, classifier, settings)


def put(s3: S3Client, body: bytes, ref: ObjectRef = TABLE) -> None:
    s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=body)


def read(s3: S3Client, key: str) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def receipt_of(s3: S3Client, ref: ObjectRef = TABLE) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads(read(s3, f"results/{ref.key}.json"))
    return receipt


def keys(s3: S3Client, prefix: str = "") -> list[str]:
    found = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for page in found for item in page.get("Contents", [])]


def results(s3: S3Client) -> dict[str, bytes]:
    return {key: read(s3, key) for key in keys(s3) if not key.startswith("incoming/")}


def deliver(pipeline: Pipeline, sqs: SQSClient) -> list[Outcome]:
    """Process what is in the queue, and what that sends, until nothing is left."""
    outcomes: list[Outcome] = []
    while messages := sqs.receive_message(
        QueueUrl=pipeline.settings.queue_url, MaxNumberOfMessages=10
    ).get("Messages"):
        for message in messages:
            (parsed,) = parse(json.loads(message["Body"]))
            outcomes += [pipeline.process(segment, plenty) for segment in parsed.segments]
            sqs.delete_message(
                QueueUrl=pipeline.settings.queue_url, ReceiptHandle=message["ReceiptHandle"]
            )
    return outcomes


def in_one_piece(pipeline: Pipeline, s3: S3Client, body: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    """What the same table comes to where it is no larger than a segment: its receipt and its rows."""
    whole = replace(pipeline, settings=replace(pipeline.settings, segment_bytes=10**6))
    ref = ObjectRef(BUCKET, f"incoming/whole/{name}")
    put(s3, body, ref)
    assert whole.process(ref, plenty) is Outcome.CLASSIFIED
    receipt = receipt_of(s3, ref)
    (part,) = receipt["parts"]
    return receipt, read(s3, part["key"])


COMPRESSED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "": (bytes, bytes),
    ".gz": (gzip.compress, gzip.decompress),
    ".zst": (zstd.compress, zstd.decompress),
}


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("with_queue", [True, False])
def test_the_parts_of_a_large_table_are_the_rows_of_the_whole(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient, compression: str, with_queue: bool
) -> None:
    compress, decompress = COMPRESSED[compression]
    name, body = f"export.csv{compression}", compress(rows(60))
    ref = ObjectRef(BUCKET, f"incoming/{name}")
    put(s3, body, ref)

    if with_queue:
        assert pipeline.process(ref, plenty) is Outcome.SEGMENTED
        outcomes = deliver(pipeline, sqs)
        assert outcomes[:-1] == [Outcome.PARTIAL] * (len(outcomes) - 1)
        assert outcomes[-1] is Outcome.CLASSIFIED
    else:
        alone = replace(pipeline, settings=replace(pipeline.settings, queue_url=""))
        assert alone.process(ref, plenty) is Outcome.CLASSIFIED

    receipt = receipt_of(s3, ref)
    written = [decompress(read(s3, part["key"])) for part in receipt["parts"]]
    whole, expected = in_one_piece(pipeline, s3, body, name)
    header = expected_header = decompress(expected).splitlines(keepends=True)[0]
    assert len(written) > 3
    assert all(part.startswith(header) for part in written)
    assert header + b"".join(part.removeprefix(expected_header) for part in written) == decompress(expected)
    assert (receipt["counts"], receipt["notes"]) == (whole["counts"], whole["notes"])
    assert [part["key"] for part in receipt["parts"]] == [
        f"results/{ref.key}.classified/part-{number:05}.csv{compression}" for number in range(len(written))
    ]


def test_a_table_of_one_segment_stays_one_object(pipeline: Pipeline, s3: S3Client) -> None:
    body = rows(3)
    assert len(body) <= SEGMENT_BYTES
    put(s3, body)

    assert pipeline.process(TABLE, plenty) is Outcome.CLASSIFIED

    assert keys(s3, "work/") == []
    assert [part["key"] for part in receipt_of(s3)["parts"]] == ["results/incoming/export.csv.classified.csv"]
