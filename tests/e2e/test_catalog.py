"""A deployed stack with a catalog: from an upload to the rows that a query finds, with its permissions."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deployment import Account, deploy, local_account
from stored_results import read, receipt_of

BUCKET = "cataloged-reviews"
KEY = "incoming/à la carte+/rooms.csv"
TABLE = b"""comment,room
"A wonderful stay from start to finish. Spotless, and lovely staff. Highly recommended.",1
"The worst stay of my life. Dirty, loud, and rude staff.",2
"""
SECONDS = 120


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with local_account() as account:
        yield account


def test_results_are_copied_replaced_and_removed(account: Account, tmp_path: Path) -> None:
    s3, glue, sqs = (account.client(name) for name in ("s3", "glue", "sqs"))
    outputs = deploy(account, "my-stays", {"BucketName": BUCKET, "Catalog": "true", "TimeoutSeconds": "60"})

    s3.put_object(Bucket=BUCKET, Key=KEY, Body=TABLE)
    wait_until(lambda: rows(s3, tmp_path) == [("1", "positive"), ("2", "negative")])
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"comment,room\nLovely staff.,3\n")
    wait_until(lambda: rows(s3, tmp_path) == [("3", "positive")])
    s3.delete_object(Bucket=BUCKET, Key=receipt_of(KEY))
    wait_until(lambda: files(s3) == [])

    table = glue.get_table(DatabaseName="my_stays", Name="results")["Table"]
    assert outputs["CatalogDatabase"] == "my_stays"
    assert table["StorageDescriptor"]["Location"] == outputs["Catalog"] == f"s3://{BUCKET}/catalog/results/"
    assert table["Parameters"]["projection.uploaded.range"] == "2020-01-01,NOW"
    letters = [url for url in sqs.list_queues()["QueueUrls"] if "FailedCopies" in url]
    (attributes,) = [
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        for url in letters
    ]
    assert attributes["ApproximateNumberOfMessages"] == "0"


def files(s3: Any) -> list[str]:
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="catalog/results/uploaded=").get("Contents", [])
    return [item["Key"] for item in listed]


def rows(s3: Any, folder: Path) -> list[tuple[str, str]]:
    """Return the room and the answer of each row."""
    paths = []
    for number, key in enumerate(files(s3)):
        paths.append(str(folder / f"{number}.parquet"))
        Path(paths[-1]).write_bytes(read(s3, BUCKET, key))
    if not paths:
        return []
    return duckdb.read_parquet(paths).project("fields['room'], sentiment").order("ALL").fetchall()


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(2)
