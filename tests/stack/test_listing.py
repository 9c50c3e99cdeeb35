import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET

from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef
from reviewbox.stack.listing import is_receipt, list_objects, parse_uri
from reviewbox.storage import S3Storage


def test_a_uri_names_a_bucket_and_a_prefix() -> None:
    assert parse_uri("s3://my-reviews/a/b c+d.txt") == ObjectRef("my-reviews", "a/b c+d.txt")
    assert parse_uri("s3://my-reviews") == ObjectRef("my-reviews", "")


@pytest.mark.parametrize("uri", ["s3://", "s3:///a", "my-reviews/a", "/reviews/a"])
def test_a_uri_without_a_bucket_is_an_error(uri: str) -> None:
    with pytest.raises(ReviewboxError, match="expected s3://bucket/prefix"):
        parse_uri(uri)


def test_listings_omit_folder_markers(s3: S3Client) -> None:
    for key in ("a/", "a/empty", "a/b.txt", "z"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" if key == "a/b.txt" else b"")

    found = [(item.key, item.size) for item in list_objects(S3Storage(s3), ObjectRef(BUCKET, "a"))]

    assert found == [("a/b.txt", 1), ("a/empty", 0)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("results/incoming/a.txt.json", True),
        ("results/incoming/a.json.json", True),
        (f"results/incoming/a.jsonl.classified/{'0' * 32}/part-00000.jsonl", False),
    ],
)
def test_receipts_are_recognized_by_their_keys(key: str, expected: object) -> None:
    assert is_receipt(key) is expected
