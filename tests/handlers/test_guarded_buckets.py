"""Buckets with Object Lock, a KMS key, Requester Pays or a policy. S3 answers as its documentation says."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.handlers.conftest import Context
from tests.handlers.test_on_upload import failures, notification, receipt, sqs

from handlers import common, on_upload
from reviewbox.storage import S3Storage

KEY = "incoming/a.txt"
RESULT = f"results/{KEY}.json"
TABLE = "incoming/a.csv"
ROLE = "User: arn:aws:sts::123456789012:assumed-role/function/function is not authorized to perform"
KMS_KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def refuse(
    operation: str, code: str, status: int, message: str = "", *, of: str = "", times: int = 1000
) -> list[str]:
    """Make S3 refuse the function's requests, or only those for the object `of`; return their paths."""
    storage = common.pipeline().store
    assert isinstance(storage, S3Storage)
    refused: list[str] = []

    def answer(params: Any, **_: Any) -> tuple[Any, Any] | None:
        if len(refused) == times or not params["url_path"].endswith(of):
            return None
        refused.append(params["url_path"])
        error = {"Code": code, "Message": message}
        parsed = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
        return SimpleNamespace(status_code=status), parsed

    events: Any = storage.client.meta.events
    events.register_first(f"before-call.s3.{operation}", answer)
    return refused


def deliver(key: str = KEY, receive_count: int = 1) -> dict[str, Any]:
    return on_upload.handler(sqs(notification(key), receive_count=receive_count), Context())


def failed(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the errors in the log, with their reasons."""
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    return [(record.getMessage(), vars(record)["reason"]) for record in errors]


DECRYPT = f"{ROLE}: kms:Decrypt on resource: {KMS_KEY} because no identity-based policy allows it"
ENCRYPT = DECRYPT.replace("kms:Decrypt", "kms:GenerateDataKey")
REFUSALS = [
    ("AccessDenied", 403, DECRYPT, ": kms:Decrypt is not allowed"),
    ("AccessDenied", 403, "Access Denied", ""),
    ("KMS.DisabledException", 400, f"{KMS_KEY} is disabled.", ""),
    ("KMS.NotFoundException", 400, f"Key '{KMS_KEY}' does not exist", ""),
    ("KMS.KMSInvalidStateException", 400, f"{KMS_KEY} is pending deletion.", ""),
]


@pytest.mark.parametrize(("code", "status", "message", "detail"), REFUSALS)
@pytest.mark.parametrize("denied", ["body", "everything"])
def test_a_source_that_cannot_be_decrypted_gets_a_receipt_that_says_why_and_its_result_later(
    s3: S3Client,
    caplog: pytest.LogCaptureFixture,
    code: str,
    status: int,
    message: str,
    detail: str,
    denied: str,
) -> None:
    reason = f"AWS returned {code} for GetObject{detail}"
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"great film")
    refuse("GetObject", code, status, message, of=KEY)
    if denied == "everything":
        refuse("HeadObject", str(status), status, of=KEY)

    assert deliver(receive_count=4) == failures(1)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")
    assert deliver(receive_count=5) == failures(1)
    error = receipt(s3, KEY)["error"]
    common.pipeline.cache_clear()  # the key can be used again
    assert deliver() == failures()

    assert failed(caplog) == [("object.failed", reason)] * 2
    assert error["code"] == "not_processed"
    assert error["message"].endswith(f"was tried 5 times: {reason}")
    assert receipt(s3, KEY)["sentiment"] == "positive"


def test_a_source_that_cannot_be_decrypted_takes_no_other_down(s3: S3Client) -> None:
    keys = [KEY, "incoming/b.txt", "incoming/c.txt"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"great film")
    refuse("GetObject", "KMS.DisabledException", 400, of="incoming/b.txt")

    assert on_upload.handler(sqs(*map(notification, keys)), Context()) == failures(2)

    assert receipt(s3, KEY)["sentiment"] == receipt(s3, keys[2])["sentiment"] == "positive"


def test_a_result_that_may_not_be_encrypted_is_an_error_in_the_log_that_names_the_action(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    reason = "AWS returned AccessDenied for PutObject: kms:GenerateDataKey is not allowed"
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"great film")
    refuse("PutObject", "AccessDenied", 403, ENCRYPT, of=RESULT)

    assert deliver(receive_count=5) == failures(1)

    assert failed(caplog) == [("object.failed", reason), ("object.not_recorded", reason)]


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
@pytest.mark.parametrize("code", ["ThrottlingException", "KMS.ThrottlingException"])
def test_a_key_that_is_busy_is_asked_again_at_once(
    s3: S3Client, waits: list[float], operation: str, code: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"great film")
    refused = refuse(
        operation, code, 400, "Rate exceeded", of=KEY if operation == "GetObject" else RESULT, times=2
    )

    assert deliver() == failures()

    assert len(refused) == 2
    assert sum(waits) < 30
    assert receipt(s3, KEY)["sentiment"] == "positive"


def test_a_result_that_replaces_another_is_there_even_if_nothing_may_be_deleted(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A bucket policy may deny deletion. The leftovers are removed after the policy allows it."""
    reason = "AWS returned AccessDenied for DeleteObject: s3:DeleteObject is not allowed"
    s3.put_object(Bucket=BUCKET, Key=TABLE, Body=b"id,review\n1,great film\n")
    deliver(TABLE)
    s3.put_object(Bucket=BUCKET, Key=TABLE, Body=b"id,review\n1,awful film\n2,great film\n")
    denied = f"{ROLE}: s3:DeleteObject on resource: arn with an explicit deny in a resource-based policy"
    refuse("DeleteObject", "AccessDenied", 403, denied)

    for count in range(1, 6):
        assert deliver(TABLE, count) == failures(1)
    content = receipt(s3, TABLE)
    assert content["counts"]["total"] == 2
    assert failed(caplog) == [("object.failed", reason)] * 5
    common.pipeline.cache_clear()
    assert deliver(TABLE, 2) == failures()

    assert parts(s3, BUCKET) == {part["key"] for part in content["parts"]}


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_results_may_be_locked(s3: S3Client, monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    """S3 keeps their versions. Unlike moto, it also refuses writes without a checksum."""
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    retention: Any = {"Mode": mode, "Days": 30}
    s3.put_object_lock_configuration(
        Bucket="locked",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )
    monkeypatch.setenv("REVIEWBOX_RESULTS_BUCKET", "locked")
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "100")
    storage = common.pipeline().store
    assert isinstance(storage, S3Storage)
    checksums: list[str | None] = []
    storage.client.meta.events.register(
        "before-send.s3.PutObject",
        lambda request, **_: checksums.append(request.headers.get("x-amz-sdk-checksum-algorithm")),
    )
    totals = []
    for rows in (1, 2, 30, 3):  # also a large table
        table = b"id,review\n" + b"1,great film\n" * rows
        s3.put_object(Bucket=BUCKET, Key=TABLE, Body=table)
        assert deliver(TABLE) == failures()
        content: Any = json.loads(s3.get_object(Bucket="locked", Key=f"results/{TABLE}.json")["Body"].read())
        totals.append(content["counts"]["total"])
        assert parts(s3, "locked") == {part["key"] for part in content["parts"]}

    assert totals == [1, 2, 30, 3]
    assert None not in checksums
    version = s3.list_object_versions(Bucket="locked", Prefix="results/")["Versions"][-1]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket="locked", Key=version["Key"], VersionId=version["VersionId"])


def test_a_bucket_whose_owner_lets_the_requester_pay_is_refused(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    """S3 refuses other accounts that do not agree to pay. Reviewbox never agrees."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"great film")
    sent = [
        refuse(operation, "AccessDenied", 403) for operation in ("GetObject", "HeadObject", "ListObjectsV2")
    ]

    assert deliver(receive_count=1) == failures(1)

    assert failed(caplog) == [("object.failed", "AWS returned AccessDenied for GetObject")]
    assert sum(map(len, sent)) < 6


def parts(s3: S3Client, bucket: str) -> set[str]:
    """Return the keys of the parts of the table."""
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"results/{TABLE}.classified/")
    return {item["Key"] for item in listed.get("Contents", [])}
