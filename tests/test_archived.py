"""Objects in archive storage classes, which cannot be read until they are restored."""

import json
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET

from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

REVIEW = ObjectRef(BUCKET, "incoming/review.txt")
TABLE = ObjectRef(BUCKET, "incoming/export.csv")


def plenty() -> float:
    return 900.0


def receipt_of(s3: S3Client, ref: ObjectRef) -> dict[str, Any]:
    body = s3.get_object(Bucket=BUCKET, Key=f"results/{ref.key}.json")["Body"].read()
    receipt: dict[str, Any] = json.loads(body)
    return receipt


@pytest.mark.parametrize("is_batch", [False, True])
def test_an_archived_object_has_an_error_until_it_is_restored(
    storage: S3Storage, classifier: Classifier, s3: S3Client, *, is_batch: bool
) -> None:
    """Processed alone, or in a batch, where reading it is the first request."""
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"good film", StorageClass="GLACIER")
    # Nothing is sent to the queue; a pipeline that has one processes objects as a batch.
    queue = Queue("https://queue.example") if is_batch else None
    pipeline = Pipeline(storage, classifier, Settings(objects_at_once=1), queue)

    def process() -> Any:
        other = ObjectRef(BUCKET, "elsewhere/ignored")
        return dict(pipeline.process_all([REVIEW, other] if is_batch else [REVIEW], plenty))[REVIEW]

    outcomes = [process(), process()]
    error = receipt_of(s3, REVIEW)["error"]
    s3.restore_object(Bucket=BUCKET, Key=REVIEW.key, RestoreRequest={"Days": 1})
    outcomes.append(process())

    assert outcomes == [Outcome.REFUSED, Outcome.REFUSED, Outcome.CLASSIFIED]
    assert (error["code"], error["final"]) == ("archived", False)
    assert "restore it" in error["message"]
    assert receipt_of(s3, REVIEW)["sentiment"] == "positive"


def test_an_archived_revision_removes_the_older_table(
    storage: S3Storage, classifier: Classifier, s3: S3Client
) -> None:
    pipeline = Pipeline(storage, classifier, Settings())
    s3.put_object(Bucket=BUCKET, Key=TABLE.key, Body=b"id,review\n1,good\n")
    pipeline.process(TABLE, plenty)
    s3.put_object(Bucket=BUCKET, Key=TABLE.key, Body=b"id,review\n1,bad\n", StorageClass="GLACIER")
    pipeline.process(TABLE, plenty)

    assert receipt_of(s3, TABLE)["error"]["final"] is False
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"results/{TABLE.key}.classified")
    assert "Contents" not in listed
