"""Receipts that name parts with invalid keys: botocore refuses some before it sends anything."""

import pytest
from mypy_boto3_s3 import S3Client
from tests.large_tables.test_recovery import FORGED_PARTS
from tests.large_tables.work import (
    TABLE,
    assert_consistent,
    forge_receipt,
    plenty,
    put,
    receipt_of,
    rows,
)

from reviewbox.model.classifier import Classifier
from reviewbox.pipeline import Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage


@pytest.fixture
def pipeline(storage: S3Storage, classifier: Classifier) -> Pipeline:
    return Pipeline(storage, classifier, Settings())


@pytest.mark.parametrize("is_current", [False, True])
def test_botocore_may_refuse_to_ask_for_a_strange_part(
    pipeline: Pipeline, s3: S3Client, *, is_current: bool
) -> None:
    """The receipt is recreated, as `tests/large_tables/test_recovery.py` shows for larger tables."""
    put(s3, rows(2))
    pipeline.process(TABLE, plenty)
    for part in FORGED_PARTS:
        forge_receipt(s3, part, is_current=is_current)

        pipeline.process(TABLE, plenty)

        assert receipt_of(s3)["counts"]["total"] == 2, part
        assert_consistent(s3)
