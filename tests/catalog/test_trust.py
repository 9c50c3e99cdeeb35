"""Others may write receipts and pointers. Nothing that they name is read, copied or removed for that."""

import json
from typing import Any

import pytest
from tests.catalog.service import PREFIX, Service
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3, Bucket

from reviewbox.catalog import CopyOutcome
from reviewbox.catalog.keys import pointer_key
from reviewbox.model.classifier import Classifier
from reviewbox.settings import Settings

TABLE, OTHER = "incoming/a.csv", "incoming/b.csv"


@pytest.fixture
def service(s3: Client, classifier: Classifier) -> Service:
    service = Service(s3, classifier)
    service.upload(TABLE, b"id,comment\n1,good film\n")
    service.upload(OTHER, b"id,comment\n2,awful zanzibar\n")
    return service


def receipt(service: Service, key: str) -> Any:
    return json.loads(service.s3.get_object(Bucket=BUCKET, Key=f"results/{key}.json")["Body"].read())


def put(service: Service, key: str, content: Any) -> None:
    service.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(content).encode())


@pytest.mark.parametrize("foreign", ["part of another source", "source itself", "another bucket"])
def test_a_part_that_cannot_be_the_sources_own_is_not_read(service: Service, store: S3, foreign: str) -> None:
    content = receipt(service, TABLE)
    (part,) = receipt(service, OTHER)["parts"]
    match foreign:
        case "source itself":
            part = {**part, "key": OTHER, "etag": receipt(service, OTHER)["source"]["etag"]}
        case "another bucket":
            store.buckets["elsewhere"] = Bucket()
            own = content["parts"][0]
            etag = service.s3.put_object(
                Bucket="elsewhere", Key=own["key"], Body=b"comment,sentiment,score\nzanzibar,negative,1\n"
            )["ETag"]
            part = {**own, "bucket": "elsewhere", "etag": etag}
    put(service, f"results/{TABLE}.json", {**content, "parts": [part]})

    service.copy(TABLE)

    assert service.query("SELECT source_key, review, error_code FROM results") == [
        (TABLE, None, "missing_table")
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"bucket": BUCKET, "key": OTHER}},
        {"source": {"bucket": "other", "key": TABLE}},
        {"format": 0},
    ],
)
def test_a_receipt_of_something_else_counts_as_none(service: Service, change: dict[str, Any]) -> None:
    service.copy(TABLE)
    put(service, f"results/{TABLE}.json", receipt(service, TABLE) | change)

    assert service.copy(TABLE) is CopyOutcome.REMOVED
    assert service.files() == []


@pytest.mark.parametrize("score", ["1", [2], 10**400, -1, float("nan")])
def test_values_of_a_receipt_may_be_anything(service: Service, score: Any) -> None:
    content = receipt(service, TABLE)
    odd = {name: content[name] for name in ("source", "format")}
    odd |= {"sentiment": ["x"], "score": score, "scores": {"x": score}}
    odd |= {"needs_review": 3, "model": 4, "notes": 5}
    put(service, f"results/{TABLE}.json", odd)

    assert service.copy(TABLE) is CopyOutcome.COPIED
    assert service.query("SELECT source_key, sentiment, score, needs_review, model FROM results") == [
        (TABLE, None, None, None, None)
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"format": 1, "result": "x", "receipt": 1, "date": "", "dates": [], "replaces": null}',
        b'{"format": 1, "result": "x", "receipt": null, "date": "", "dates": ["../../x"], "replaces": null}',
        json.dumps(
            {"format": 1, "result": f"results/{TABLE}.json", "receipt": None, "replaces": None}
            | {"date": "", "dates": ["2026-11-01"] * 20}
        ).encode(),
        b'{"format": 0, "result": "x", "receipt": null, "date": "", "dates": [], "replaces": null}',
    ],
)
def test_a_pointer_that_is_not_ours_is_replaced(service: Service, body: bytes) -> None:
    key = pointer_key(PREFIX, f"results/{TABLE}.json")
    service.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    assert service.copy(TABLE) is CopyOutcome.COPIED
    assert service.query("SELECT review FROM results") == [("good film",)]


def test_a_pointer_leads_to_no_files_of_other_results(service: Service) -> None:
    """Someone copies the pointer of one result over that of another."""
    service.copy(OTHER)
    theirs = service.s3.get_object(Bucket=BUCKET, Key=pointer_key(PREFIX, f"results/{OTHER}.json"))
    key = pointer_key(PREFIX, f"results/{TABLE}.json")
    service.s3.put_object(Bucket=BUCKET, Key=key, Body=theirs["Body"].read())

    service.copy(TABLE)

    found = service.query("SELECT source_key FROM results ORDER BY source_key")
    assert found == [(TABLE,), (OTHER,)]


def test_a_pointer_that_declares_this_result_and_names_another_removes_nothing(service: Service) -> None:
    """The pointer is forged so that it is the current one."""
    service.copy(OTHER)
    etag = service.s3.head_object(Bucket=BUCKET, Key=f"results/{TABLE}.json")["ETag"]
    theirs = service.s3.get_object(Bucket=BUCKET, Key=pointer_key(PREFIX, f"results/{OTHER}.json"))
    forged = json.loads(theirs["Body"].read()) | {"receipt": etag}
    put(service, pointer_key(PREFIX, f"results/{TABLE}.json"), forged)

    service.copy(TABLE)

    found = service.query("SELECT source_key FROM results ORDER BY source_key")
    assert found == [(TABLE,), (OTHER,)]


def test_a_pointer_of_another_version_still_tells_where_old_copies_are(service: Service) -> None:
    """A version with other columns has made a copy on another day, which is replaced."""
    service.copy(TABLE, "2026-11-01")
    key = pointer_key(PREFIX, f"results/{TABLE}.json")
    older = json.loads(service.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) | {"format": 0}
    put(service, key, older)

    assert service.copy(TABLE, "2026-11-02") is CopyOutcome.COPIED

    assert service.query("SELECT uploaded, review FROM results") == [("2026-11-02", "good film")]


def test_two_deployments_with_other_settings_share_one_copy(service: Service) -> None:
    """They write their results to one place, and each copies all results."""
    rival = Service(service.s3, service.classifier, Settings(max_object_bytes=1))
    for number in range(12):
        service.upload(TABLE, f"id,comment\n{number},good film\n".encode())
        with rival.before_request(number, lambda: service.copy(TABLE)):
            rival.copy(TABLE)
        rival.copy(TABLE)

        assert len(service.files()) == 1
