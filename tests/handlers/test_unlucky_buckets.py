"""What people and tools do to a bucket, through the real handlers: odd names, versions, copies, deletions."""

import json
from typing import Any
from unicodedata import normalize
from urllib.parse import quote_plus

import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.handlers.conftest import Context
from tests.handlers.test_on_schedule import sweep
from tests.handlers.test_on_upload import failures, notification, receipt, sqs

from handlers import on_upload
from reviewbox.results.keys import receipt_key

TABLE = b"id,review\n1,great film\n2,awful film\n"
KEY = "incoming/a.csv"
CAFE = "incoming/caf\u00e9.txt"
ODD_KEYS = [
    "incoming/a%2Bb.txt",
    "incoming/a+b c.txt",
    "incoming/a b c.txt",
    "incoming/two\nlines.txt",
    "incoming/tab\tand \x7f.txt",
    CAFE,
    normalize("NFD", CAFE),
    "incoming/\U0001f600.txt",
    f"incoming/{'x' * 1015}",
    "incoming/a.csv.json",
    f"incoming/a.csv.classified/{'0123456789abcdef' * 2}/part-00000",
    "incoming/results/incoming/a.csv.json",
    "incoming//a.txt",
    "incoming/./a.txt",
    "incoming/../a.txt",
    "incoming/a?b=c&d#e.txt",
]


def deliver(*keys: str) -> None:
    """Deliver the events of objects in one batch."""
    events = [notification(quote_plus(key, safe="/")) for key in keys]
    assert on_upload.handler(sqs(*events), Context()) == failures()


def upload(s3: S3Client, key: str = KEY, body: bytes = TABLE) -> str:
    """Upload an object, deliver its event, and return its version if the bucket has versions."""
    version = s3.put_object(Bucket=BUCKET, Key=key, Body=body).get("VersionId", "")
    deliver(key)
    return version


def results(s3: S3Client, prefix: str = "results/") -> dict[str, str]:
    """Return the ETags of all results."""
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {item["Key"]: item["ETag"] for item in listed}


def assert_complete(s3: S3Client) -> None:
    """Assert that a table has its receipt, and exactly the parts that the receipt names."""
    content = receipt(s3, KEY)
    named = {part["key"]: part["etag"] for part in content["parts"]}
    assert content["counts"]["total"] == 2
    assert {key: etag for key, etag in results(s3).items() if not key.endswith(".json")} == named


def test_objects_of_any_names_have_a_result_each_and_duplicates_days_later_change_nothing(
    s3: S3Client,
) -> None:
    for number, key in enumerate(ODD_KEYS):
        text = f"{('great', 'awful')[number % 2]} film"
        body = json.dumps({"review": text}) if key.endswith(".json") else text
        s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())
    deliver(*ODD_KEYS)
    found = results(s3)
    deliver(*reversed(ODD_KEYS))

    assert results(s3) == found
    assert len(found) == len(ODD_KEYS)
    for number, key in enumerate(ODD_KEYS):
        stored = s3.get_object(Bucket=BUCKET, Key=receipt_key("results/", key))
        content: Any = json.loads(stored["Body"].read())
        assert content["source"]["key"] == key
        assert content["sentiment"] == ("positive", "negative")[number % 2]


def test_the_event_of_a_version_that_is_deleted_keeps_the_older_result(s3: S3Client) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    upload(s3)
    before = results(s3)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"id,review\n1,bad film\n")
    s3.delete_object(Bucket=BUCKET, Key=KEY)  # a delete marker

    deliver(KEY)

    assert results(s3) == before


def test_an_older_version_that_is_current_again_has_its_result_at_the_next_event(s3: S3Client) -> None:
    """S3 announces no upload when the newest version is deleted."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = upload(s3)
    second = upload(s3, body=b"id,review\n1,bad film\n")
    s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=second)

    deliver(KEY)

    assert receipt(s3, KEY)["source"]["version"] == first
    assert_complete(s3)


def test_versioning_may_be_switched_on_and_suspended_at_any_time(s3: S3Client) -> None:
    """Whatever is uploaded in the meantime, even the same bytes again, an event finds the current result."""
    upload(s3)
    for status in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": status})
        before = results(s3)
        deliver(KEY)
        assert results(s3) == before

        upload(s3)
        assert_complete(s3)
        head = s3.head_object(Bucket=BUCKET, Key=KEY)
        if status == "Enabled":
            assert receipt(s3, KEY)["source"]["version"] == head["VersionId"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_receipt_that_somebody_deletes_is_made_again_and_a_sweep_finds_its_parts(
    s3: S3Client, times: int
) -> None:
    upload(s3, body=b"id,review\n1,bad film\n")
    for _ in range(times):
        upload(s3)
        s3.delete_object(Bucket=BUCKET, Key=f"results/{KEY}.json")

    deliver(KEY)
    sweep()

    assert_complete(s3)


def test_results_that_were_copied_from_another_bucket_are_made_again(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their receipts name parts in the old bucket, which are not touched."""
    s3.create_bucket(Bucket="old")
    upload(s3)
    for key in results(s3):
        s3.copy_object(Bucket="old", Key=key, CopySource={"Bucket": BUCKET, "Key": key})
    content = receipt(s3, KEY)
    (part,) = content["parts"]
    moved = {**content, "parts": [{**part, "bucket": "old"}]}
    s3.put_object(Bucket=BUCKET, Key=f"results/{KEY}.json", Body=json.dumps(moved).encode())

    deliver(KEY)

    assert_complete(s3)
    assert receipt(s3, KEY)["parts"][0]["bucket"] == BUCKET
    assert s3.head_object(Bucket="old", Key=part["key"])["ETag"] == part["etag"]
