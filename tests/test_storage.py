import io
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    FlexibleChecksumError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET

from reviewbox.errors import ConflictError
from reviewbox.objects import ObjectRef, Revision
from reviewbox.storage import S3Storage, describe, is_transient, list_etags

REF = ObjectRef(BUCKET, "a key")


def test_an_object_is_read_with_its_revision(storage: S3Storage, s3: S3Client) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key=REF.key, Body=b"text", ContentType="text/plain")["ETag"]

    source = storage.read(REF, max_bytes=4)

    assert source is not None
    assert (source.body, source.size, source.content_type) == (b"text", 4, "text/plain")
    assert source.revision.etag == etag
    assert source.revision.version.startswith("20")


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
def test_the_version_of_a_revision_is_the_version_id_if_there_is_one(
    storage: S3Storage, s3: S3Client, versioning: Literal["Enabled", "Suspended"]
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


def test_the_body_of_a_large_object_is_not_read(storage: S3Storage, s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key=REF.key, Body=b"text")

    source = storage.read(REF, max_bytes=3)

    assert source is not None
    assert (source.body, source.size) == (None, 4)


def test_a_missing_object_is_none(storage: S3Storage) -> None:
    assert storage.read(REF, max_bytes=1) is None
    assert storage.revision(REF) is None


def test_a_truncated_body_is_a_transient_error_and_not_a_shorter_object(
    storage: S3Storage, s3: S3Client
) -> None:
    """Half a review must not be classified as if it were the whole."""
    body = StreamingBody(io.BytesIO(b"the film was"), 24)
    answer = {"Body": body, "ContentLength": 24, "ETag": '"e"', "LastModified": datetime.now(UTC)}
    stubber = Stubber(s3)
    stubber.add_response("get_object", answer)
    with stubber, pytest.raises(IncompleteReadError) as raised:
        storage.read(REF, max_bytes=100)

    assert is_transient(raised.value)


def test_other_errors_pass_through(storage: S3Storage) -> None:
    absent = ObjectRef("no-such-bucket", "key")

    with pytest.raises(ClientError) as raised:
        storage.read(absent, max_bytes=1)

    assert describe(raised.value) == "AWS returned NoSuchBucket for GetObject"


def test_the_first_writer_creates_an_object(storage: S3Storage) -> None:
    etag = storage.write(REF, b"mine", "text/plain", replaces=None)

    with pytest.raises(ConflictError):
        storage.write(REF, b"yours", "text/plain", replaces=None)

    revision = storage.revision(REF)
    assert revision is not None
    assert revision.etag == etag


def test_a_writer_replaces_only_the_content_that_it_has_seen(storage: S3Storage) -> None:
    seen = storage.write(REF, b"first", "text/plain", replaces=None)
    storage.write(REF, b"second", "text/plain", replaces=seen)

    with pytest.raises(ConflictError):
        storage.write(REF, b"third", "text/plain", replaces=seen)

    source = storage.read(REF, max_bytes=100)
    assert source is not None
    assert source.body == b"second"


def test_a_deleted_object_cannot_be_replaced(storage: S3Storage, s3: S3Client) -> None:
    seen = storage.write(REF, b"first", "text/plain", replaces=None)
    s3.delete_object(Bucket=BUCKET, Key=REF.key)

    with pytest.raises(ConflictError):
        storage.write(REF, b"second", "text/plain", replaces=seen)


def test_retries_are_the_standard_ones_of_botocore(s3: S3Client) -> None:
    retries = S3Storage.connect().client.meta.config.retries  # type: ignore[attr-defined]

    assert retries["mode"] == "standard"


def test_a_dead_connection_is_noticed_well_before_the_shortest_timeout(s3: S3Client) -> None:
    config = S3Storage.connect().client.meta.config

    assert config.connect_timeout + config.read_timeout < 60 / 2  # type: ignore[attr-defined]


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
        FlexibleChecksumError(error_msg="the body was damaged on its way"),
        ResponseParserError("a listing was damaged on its way"),
    ],
    ids=str,
)
def test_errors_that_a_later_request_may_avoid_are_transient(error: Exception) -> None:
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
def test_other_errors_are_not_transient(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.parametrize(
    ("message", "added"),
    [
        (
            "User: arn:aws:sts::1:assumed-role/a is not authorized to perform: kms:Decrypt on the resource",
            ": kms:Decrypt is not allowed",
        ),
        ("Access Denied", ""),
        ("a is not authorized to perform: a secret", ""),
        (None, ""),
    ],
)
def test_an_action_that_is_not_allowed_is_named_and_nothing_else_of_the_message(
    message: str | None, added: str
) -> None:
    error: Any = {"Error": {"Code": "AccessDenied", "Message": message}}

    assert describe(ClientError(error, "GetObject")) == f"AWS returned AccessDenied for GetObject{added}"


def test_a_write_sends_its_body_at_once(s3: S3Client) -> None:
    """Asking S3 first would cost another round trip per result."""
    sent: list[Any] = []
    storage = S3Storage.connect()
    storage.client.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(request))

    storage.write(REF, b"text", "text/plain", replaces=None)

    assert "Expect" not in sent[0].headers


def test_timestamps_are_parsed_as_botocore_parses_them(s3: S3Client) -> None:
    """Receipts record them. Listings and headers have different formats."""
    s3.put_object(Bucket=BUCKET, Key="a key", Body=b"good")

    (ours, listed), (expected, expected_listed) = (
        (
            client.head_object(Bucket=BUCKET, Key="a key")["LastModified"],
            client.list_objects_v2(Bucket=BUCKET)["Contents"][0]["LastModified"],
        )
        for client in (S3Storage.connect().client, s3)
    )

    assert ours.isoformat() == expected.isoformat()
    assert listed == expected_listed


def test_a_range_of_one_revision_is_read(storage: S3Storage, s3: S3Client) -> None:
    s3.put_object(Bucket=REF.bucket, Key=REF.key, Body=b"one\ntwo\nthree\n")
    revision = storage.revision(REF)
    assert revision is not None

    with storage.stream(REF, revision) as whole, storage.stream(REF, revision, 4, 8) as part:
        assert list(whole) == [b"one\n", b"two\n", b"three\n"]
        assert part.read() == b"two\n"
    with storage.stream(REF, revision, 8) as rest:
        assert rest.read() == b"three\n"


@pytest.mark.parametrize("change", ["replaced", "uploaded again", "deleted"])
def test_another_revision_is_not_streamed(storage: S3Storage, s3: S3Client, change: str) -> None:
    s3.put_bucket_versioning(Bucket=REF.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=REF.bucket, Key=REF.key, Body=b"one")
    revision = storage.revision(REF)
    assert revision is not None
    if change == "deleted":
        s3.delete_object(Bucket=REF.bucket, Key=REF.key)
    else:
        s3.put_object(Bucket=REF.bucket, Key=REF.key, Body=b"two" if change == "replaced" else b"one")

    with pytest.raises(ConflictError):
        storage.stream(REF, revision)


def test_all_keys_under_a_prefix_are_listed(
    storage: S3Storage, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers of S3 are pages: of a thousand keys, and here of ten."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    keys = [f"results/a/{number:04}" for number in range(21)]
    for key in [*keys, "results/b"]:
        s3.put_object(Bucket=REF.bucket, Key=key, Body=b"x")

    etags = list_etags(storage, REF.bucket, "results/a/")

    assert list(etags) == keys
    assert set(etags.values()) == {s3.head_object(Bucket=REF.bucket, Key="results/b")["ETag"]}


def test_an_object_is_removed(storage: S3Storage, s3: S3Client) -> None:
    etag = storage.write(REF, b"text", "text/plain", replaces=None)

    storage.remove(REF, etag)
    storage.remove(REF, etag)

    assert storage.revision(REF) is None


def test_a_changed_object_is_not_removed(storage: S3Storage, s3: S3Client) -> None:
    etag = storage.write(REF, b"text", "text/plain", replaces=None)
    storage.write(REF, b"newer", "text/plain", replaces=etag)

    storage.remove(REF, etag)

    assert s3.get_object(Bucket=REF.bucket, Key=REF.key)["Body"].read() == b"newer"


def test_a_removal_that_meets_another_request_is_not_taken_for_done(storage: S3Storage, s3: S3Client) -> None:
    """The object may still be there. Its caller has to try again."""
    with Stubber(s3) as stub:
        stub.add_client_error(
            "delete_object", service_error_code="ConditionalRequestConflict", http_status_code=409
        )

        with pytest.raises(ClientError, match="ConditionalRequestConflict") as raised:
            storage.remove(REF, '"etag"')
    assert is_transient(raised.value)


HEAD_DENIED: dict[str, Any] = {"service_error_code": "403", "http_status_code": 403}
GET_DENIED: dict[str, Any] = {"service_error_code": "AccessDenied", "http_status_code": 403}
LISTING: dict[str, Any] = {"Bucket": BUCKET, "Prefix": REF.key, "MaxKeys": 1}


@pytest.mark.parametrize("listed", [[], [{"Key": f"{REF.key}.json"}]])
def test_a_missing_object_is_none_for_a_role_that_may_not_list_the_whole_bucket(
    storage: S3Storage, s3: S3Client, listed: list[Any]
) -> None:
    """S3 then returns 403, and a listing of the key shows that it is missing."""
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", **GET_DENIED)
        stub.add_response("list_objects_v2", {"Contents": listed}, LISTING)
        stub.add_client_error("head_object", **HEAD_DENIED)
        stub.add_response("list_objects_v2", {"Contents": listed}, LISTING)

        assert storage.read(REF, max_bytes=1) is None
        assert storage.revision(REF) is None


def test_an_object_that_is_deleted_before_it_is_streamed_has_changed(
    storage: S3Storage, s3: S3Client
) -> None:
    """Otherwise, a source that is deleted during the work would be a failure, and an alarm."""
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", **GET_DENIED)
        stub.add_response("list_objects_v2", {"Contents": []}, LISTING)

        with pytest.raises(ConflictError):
            storage.stream(REF, Revision('"etag"', "1"))


def test_an_object_that_exists_but_may_not_be_read_is_an_error(storage: S3Storage, s3: S3Client) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", **GET_DENIED)
        stub.add_response("list_objects_v2", {"Contents": [{"Key": REF.key}]}, LISTING)

        with pytest.raises(ClientError, match="AccessDenied"):
            storage.read(REF, max_bytes=1)


def test_without_permission_to_list_an_object_is_not_taken_for_missing(
    storage: S3Storage, s3: S3Client
) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error("head_object", **HEAD_DENIED)
        stub.add_client_error("list_objects_v2", **GET_DENIED)

        with pytest.raises(ClientError, match="403"):
            storage.revision(REF)


def test_a_listing_that_fails_temporarily_is_the_error(storage: S3Storage, s3: S3Client) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", **GET_DENIED)
        stub.add_client_error("list_objects_v2", service_error_code="SlowDown", http_status_code=503)

        with pytest.raises(ClientError, match="SlowDown"):
            storage.read(REF, max_bytes=1)
