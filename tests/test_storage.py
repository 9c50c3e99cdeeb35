from typing import Any, Literal

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
)
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET

from reviewbox.errors import ConflictError
from reviewbox.objects import ObjectRef
from reviewbox.storage import Storage, describe, is_transient

REF = ObjectRef(BUCKET, "a key")


def test_an_object_is_read_with_its_revision(storage: Storage, s3: S3Client) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key=REF.key, Body=b"text", ContentType="text/plain")["ETag"]

    source = storage.read(REF, max_bytes=4)

    assert source is not None
    assert (source.body, source.size, source.content_type) == (b"text", 4, "text/plain")
    assert source.revision.etag == etag
    assert source.revision.version.startswith("20")


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
def test_versions_tell_revisions_apart_where_there_are_any(
    storage: Storage, s3: S3Client, versioning: Literal["Enabled", "Suspended"]
) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": versioning})
    written = s3.put_object(Bucket=BUCKET, Key=REF.key, Body=b"text")

    source = storage.read(REF, max_bytes=4)

    assert source is not None
    if versioning == "Enabled":
        assert source.revision.version == written["VersionId"]
    else:
        assert source.revision.version.startswith("20")


def test_an_object_too_large_is_left_unread(storage: Storage, s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key=REF.key, Body=b"text")

    source = storage.read(REF, max_bytes=3)

    assert source is not None
    assert (source.body, source.size) == (None, 4)


def test_no_object_is_none(storage: Storage) -> None:
    assert storage.read(REF, max_bytes=1) is None
    assert storage.revision(REF) is None


def test_other_errors_pass_through(storage: Storage) -> None:
    absent = ObjectRef("no-such-bucket", "key")

    with pytest.raises(ClientError) as raised:
        storage.read(absent, max_bytes=1)

    assert describe(raised.value) == "AWS answered NoSuchBucket to GetObject"


def test_the_first_writer_creates(storage: Storage) -> None:
    etag = storage.write(REF, b"mine", "text/plain", replaces=None)

    with pytest.raises(ConflictError):
        storage.write(REF, b"yours", "text/plain", replaces=None)

    revision = storage.revision(REF)
    assert revision is not None
    assert revision.etag == etag


def test_a_writer_replaces_only_what_it_has_seen(storage: Storage) -> None:
    seen = storage.write(REF, b"first", "text/plain", replaces=None)
    storage.write(REF, b"second", "text/plain", replaces=seen)

    with pytest.raises(ConflictError):
        storage.write(REF, b"third", "text/plain", replaces=seen)

    source = storage.read(REF, max_bytes=100)
    assert source is not None
    assert source.body == b"second"


def test_what_was_deleted_meanwhile_cannot_be_replaced(storage: Storage, s3: S3Client) -> None:
    seen = storage.write(REF, b"first", "text/plain", replaces=None)
    s3.delete_object(Bucket=BUCKET, Key=REF.key)

    with pytest.raises(ConflictError):
        storage.write(REF, b"second", "text/plain", replaces=seen)


def test_retries_are_botocore_s_standard_ones(s3: S3Client) -> None:
    retries = Storage.connect().client.meta.config.retries  # type: ignore[attr-defined]

    assert retries["mode"] == "standard"


def answer(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "GetObject",
    )


@pytest.mark.parametrize(
    "error",
    [
        answer("SlowDown", 503),
        answer("503", 503),
        answer("InternalError", 500),
        answer("RequestTimeout", 400),
        answer("ThrottlingException", 400),
        answer("ExpiredToken", 400),
        EndpointConnectionError(endpoint_url="https://s3"),
        ReadTimeoutError(endpoint_url="https://s3"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
    ids=str,
)
def test_what_passes_is_told_from_what_stays(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        answer("AccessDenied", 403),
        answer("403", 403),
        answer("NoSuchBucket", 404),
        answer("KMS.DisabledException", 400),
        ParamValidationError(report="Key"),
        ValueError("a bug"),
    ],
    ids=str,
)
def test_what_stays_is_told_from_what_passes(error: Exception) -> None:
    assert not is_transient(error)


def test_a_write_does_not_ask_first(s3: S3Client) -> None:
    """That would be another round trip for every result."""
    sent: list[Any] = []
    storage = Storage.connect()
    storage.client.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(request))

    storage.write(REF, b"text", "text/plain", replaces=None)

    assert "Expect" not in sent[0].headers


def test_times_are_those_that_botocore_reads(s3: S3Client) -> None:
    """Receipts hold them. In lists they have another form than in headers."""
    s3.put_object(Bucket=BUCKET, Key="a key", Body=b"good")

    (ours, listed), (botocore_s, listed_by_botocore) = (
        (
            client.head_object(Bucket=BUCKET, Key="a key")["LastModified"],
            client.list_objects_v2(Bucket=BUCKET)["Contents"][0]["LastModified"],
        )
        for client in (Storage.connect().client, s3)
    )

    assert ours.isoformat() == botocore_s.isoformat()
    assert listed == listed_by_botocore


def test_a_part_of_an_object_is_read_in_the_state_that_is_asked_for(storage: Storage, s3: S3Client) -> None:
    s3.put_object(Bucket=REF.bucket, Key=REF.key, Body=b"one\ntwo\nthree\n")
    revision = storage.revision(REF)
    assert revision is not None

    with storage.stream(REF, revision) as whole, storage.stream(REF, revision, 4, 8) as part:
        assert list(whole) == [b"one\n", b"two\n", b"three\n"]
        assert part.read() == b"two\n"
    with storage.stream(REF, revision, 8) as rest:
        assert rest.read() == b"three\n"


@pytest.mark.parametrize("change", ["replaced", "uploaded again", "gone"])
def test_an_object_in_another_state_is_not_read(storage: Storage, s3: S3Client, change: str) -> None:
    s3.put_bucket_versioning(Bucket=REF.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=REF.bucket, Key=REF.key, Body=b"one")
    revision = storage.revision(REF)
    assert revision is not None
    if change == "gone":
        s3.delete_object(Bucket=REF.bucket, Key=REF.key)
    else:
        s3.put_object(Bucket=REF.bucket, Key=REF.key, Body=b"two" if change == "replaced" else b"one")

    with pytest.raises(ConflictError):
        storage.stream(REF, revision)


def test_all_keys_under_a_prefix_are_listed(storage: Storage, s3: S3Client) -> None:
    keys = [f"results/a/{number:04}" for number in range(1001)]
    for key in [*keys, "results/b"]:
        s3.put_object(Bucket=REF.bucket, Key=key, Body=b"x")

    found = storage.etags(REF.bucket, "results/a/")

    assert list(found) == keys
    assert set(found.values()) == {s3.head_object(Bucket=REF.bucket, Key="results/b")["ETag"]}


def test_an_object_is_removed(storage: Storage, s3: S3Client) -> None:
    etag = storage.write(REF, b"text", "text/plain", replaces=None)

    storage.remove(REF, etag)
    storage.remove(REF, etag)

    assert storage.revision(REF) is None


def test_what_has_changed_is_not_removed(storage: Storage, s3: S3Client) -> None:
    etag = storage.write(REF, b"text", "text/plain", replaces=None)
    storage.write(REF, b"newer", "text/plain", replaces=etag)

    storage.remove(REF, etag)

    assert s3.get_object(Bucket=REF.bucket, Key=REF.key)["Body"].read() == b"newer"
