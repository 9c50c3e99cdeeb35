"""Leftover parts are found by their age: the schedule's clock is six days ahead, so all objects are old."""

import json
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.handlers.conftest import Context
from tests.handlers.test_on_batch_operation import at_operation, receipt, request

from handlers import common, on_batch_operation
from reviewbox.errors import EventError
from reviewbox.leftovers import LeftoverFinder
from reviewbox.objects import ObjectRef
from reviewbox.results.keys import part_key, receipt_key
from reviewbox.results.receipt import Provenance

TABLE = b"id,review\n1,great film\n2,awful film\n"
SOURCE = "incoming/a.csv"
LONG = f"incoming/{'long/' * 200}.csv"


def sweep(days: float = 6, context: Context | None = None, bucket: str = BUCKET) -> dict[str, Any]:
    """Sweep as if it were some days later."""
    now = datetime.now(UTC) + timedelta(days=days)
    event = {"reviewboxSweep": {"bucket": bucket, "time": now.isoformat()}}
    return on_batch_operation.handler(event, context or Context())


def upload(s3: S3Client, key: str = SOURCE, body: bytes = TABLE) -> None:
    """Upload and classify an object."""
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    on_batch_operation.handler(request(key), Context())


def leave(s3: S3Client, key: str = SOURCE, bucket: str = BUCKET) -> str:
    """Put a part where a worker of a source in a bucket may have left it, and return its key."""
    table_id = Provenance(ObjectRef(bucket, key), None, "", "", calibrated=False).table_id("an old receipt")
    part = part_key("results/", key, table_id, 0, "csv")
    s3.put_object(Bucket=BUCKET, Key=part, Body=b"id,review\n")
    return part


def results(s3: S3Client) -> set[str]:
    return {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="results/").get("Contents", [])}


def die_before_the_receipt(key: str = SOURCE) -> None:
    """Have a worker write a part, and die before it writes the receipt."""
    written: list[None] = []

    def fail_at_second() -> None:
        written.append(None)
        if len(written) > 1:
            raise KeyboardInterrupt

    at_operation("PutObject", fail_at_second)
    with pytest.raises(KeyboardInterrupt):
        on_batch_operation.handler(request(key), Context())
    common.pipeline.cache_clear()


@pytest.mark.parametrize("key", [SOURCE, LONG])
def test_a_part_that_the_receipt_does_not_name_is_removed(s3: S3Client, key: str) -> None:
    upload(s3, key)
    before = results(s3)
    leave(s3, key)

    assert sweep()["sources"] == 1
    assert results(s3) == before
    assert sweep() == {"tables": 1, "sources": 0, "is_complete": True}


def test_what_changed_lately_is_left_alone(s3: S3Client) -> None:
    """Its worker, or the next delivery of its message, may still come."""
    upload(s3)
    part = leave(s3)

    assert sweep(days=4)["tables"] == 0
    assert part in results(s3)


def test_without_leftovers_nothing_is_written_and_each_table_costs_one_request(s3: S3Client) -> None:
    for number in range(3):
        upload(s3, f"incoming/{number}.csv")
    upload(s3, "incoming/a.txt", b"great film")
    requests: list[str] = []
    for operation in ("GetObject", "HeadObject", "ListObjectsV2", "PutObject", "DeleteObject"):
        at_operation(operation, lambda name=operation: requests.append(name))  # type: ignore[misc]

    assert sweep() == {"tables": 3, "sources": 0, "is_complete": True}
    # Where to start, the results, and three receipts.
    assert sorted(requests) == [*["GetObject"] * 4, "ListObjectsV2"]


def test_the_table_of_a_deleted_source_stays_if_its_receipt_names_it(s3: S3Client) -> None:
    upload(s3)
    s3.delete_object(Bucket=BUCKET, Key=SOURCE)
    before = results(s3)

    sweep()

    assert results(s3) == before


def test_a_source_whose_worker_died_before_the_first_receipt_has_an_error(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key=SOURCE, Body=TABLE)
    die_before_the_receipt()
    assert len(results(s3)) == 1

    sweep()

    assert results(s3) == {"results/incoming/a.csv.json"}
    error = receipt(s3, SOURCE)["error"]
    assert error["code"] == "not_processed"
    assert "upload it again" in error["message"]
    on_batch_operation.handler(request(SOURCE), Context())
    assert receipt(s3, SOURCE)["counts"]["total"] == 2


def test_no_part_is_left_of_a_source_that_was_deleted_after_its_worker_died(s3: S3Client) -> None:
    """Its worker may only have been slow. It can no longer write the first receipt."""
    s3.put_object(Bucket=BUCKET, Key=SOURCE, Body=TABLE)
    die_before_the_receipt()
    s3.delete_object(Bucket=BUCKET, Key=SOURCE)

    sweep()

    assert results(s3) == {"results/incoming/a.csv.json"}
    error = receipt(s3, SOURCE)["error"]
    assert error["code"] == "not_processed"
    assert "was deleted" in error["message"]


@pytest.mark.parametrize("name", [".csv", ".jsonl.gz", "/part-00012.csv"])
@pytest.mark.parametrize("source", ["without a receipt", "with a receipt", "deleted"])
def test_a_part_of_an_older_version_is_removed(s3: S3Client, source: str, name: str) -> None:
    """Its key has no id. Its worker died before it wrote the receipt, or long after another one did."""
    if source == "with a receipt":
        upload(s3)
    elif source == "without a receipt":
        s3.put_object(Bucket=BUCKET, Key=SOURCE, Body=TABLE)
    before = results(s3)
    s3.put_object(Bucket=BUCKET, Key=f"results/{SOURCE}.classified{name}", Body=b"id,review,sentiment\n")

    assert sweep()["sources"] == 1
    assert results(s3) == before | {"results/incoming/a.csv.json"}
    assert ("error" in receipt(s3, SOURCE)) == (source != "with a receipt")
    assert sweep()["sources"] == 0


def test_the_table_of_an_older_version_stays_with_its_receipt(s3: S3Client) -> None:
    """Its receipt is not valid any more. It is the result all the same, until the next event."""
    s3.put_object(Bucket=BUCKET, Key=SOURCE, Body=TABLE)
    for key in (f"{SOURCE}.classified.csv", f"{SOURCE}.json"):
        s3.put_object(Bucket=BUCKET, Key=f"results/{key}", Body=b'{"format": 3}')
    before = results(s3)

    sweep()

    assert results(s3) == before


def test_a_source_that_was_replaced_and_whose_work_was_lost_has_an_error(s3: S3Client) -> None:
    """The old result would say nothing about the newest upload."""
    upload(s3)
    s3.put_object(Bucket=BUCKET, Key=SOURCE, Body=TABLE + b"3,good film\n")
    die_before_the_receipt()

    sweep()

    assert results(s3) == {"results/incoming/a.csv.json"}
    assert receipt(s3, SOURCE)["error"]["code"] == "not_processed"


def test_a_result_of_the_current_revision_is_kept_when_work_on_another_model_was_lost(s3: S3Client) -> None:
    upload(s3)
    before = results(s3)
    older = receipt(s3, SOURCE)
    older["model"]["sha256"] = "another"
    s3.put_object(Bucket=BUCKET, Key=receipt_key("results/", SOURCE), Body=json.dumps(older).encode())
    die_before_the_receipt()
    assert len(results(s3)) == len(before) + 1

    sweep()

    assert results(s3) == before
    assert receipt(s3, SOURCE)["counts"]["total"] == 2


@pytest.mark.parametrize("body", [b"", b"{}", b"not JSON", b'{"format": 99, "parts": []}'])
def test_the_table_of_a_receipt_that_cannot_be_read_is_left_alone(s3: S3Client, body: bytes) -> None:
    """After a rollback, the results of the newer version are not lost."""
    upload(s3)
    before = results(s3)
    s3.put_object(Bucket=BUCKET, Key="results/incoming/a.csv.json", Body=body)

    sweep()

    assert results(s3) == before


@pytest.mark.parametrize(
    ("key", "source"),
    [
        ("other/a.csv", None),  # below the results of this deployment, but not one of its sources
        (SOURCE, {"bucket": "another", "key": SOURCE}),
        (SOURCE, {"bucket": BUCKET, "key": "incoming/b.csv"}),
        ("0123456789abcdef" * 4, None),  # a digest, or a source with a strange name
    ],
)
def test_parts_of_other_deployments_are_left_alone(
    s3: S3Client, key: str, source: dict[str, str] | None
) -> None:
    upload(s3)
    part = leave(s3, key)
    if source:
        content = {**receipt(s3, SOURCE), "source": source}
        s3.put_object(Bucket=BUCKET, Key=receipt_key("results/", key), Body=json.dumps(content).encode())

    sweep()

    assert part in results(s3)


def test_parts_without_a_receipt_are_left_alone_if_they_may_be_of_a_source_in_another_bucket(
    s3: S3Client,
) -> None:
    """It is not known yet whose receipt comes first."""
    part = leave(s3, bucket="another")

    assert sweep()["sources"] == 0
    assert part in results(s3)


@pytest.mark.parametrize("number", range(3))
def test_a_receipt_that_cannot_be_read_stops_no_sweep(
    s3: S3Client, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    """Someone may have encrypted it with their own key, for example."""
    keys = [f"incoming/{name}.csv" for name in "abc"]
    parts = {key: leave(s3, key) for key in keys}
    denied = receipt_key("results/", keys[number])
    s3.put_object(Bucket=BUCKET, Key=denied, Body=b"secret")
    storage: Any = common.pipeline().store
    deny(storage, denied)
    three_at_a_time(storage, pages_of=1)

    swept = sweep()

    assert swept == {"tables": 3, "sources": 2, "is_complete": True}
    assert results(s3) == {parts[keys[number]], denied}
    (record,) = [record for record in caplog.records if record.message == "sweep.skipped"]
    assert record.key == denied  # type: ignore[attr-defined]


def deny(storage: Any, key: str) -> None:
    """Make S3 deny access to one object."""

    def refuse(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == key:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    storage.client.meta.events.register("provide-client-params.s3.GetObject", refuse)


@pytest.mark.parametrize("other", [{"bucket": "other"}, {"results_prefix": "results/other/"}])
def test_each_deployment_goes_on_from_its_own_place(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    """Two deployments share a results bucket. A complete sweep of one does not end the sweep of the other."""
    monkeypatch.setenv("REVIEWBOX_RESULTS_BUCKET", BUCKET)
    monkeypatch.setenv("REVIEWBOX_OBJECTS_AT_ONCE", "1")
    for number in range(8):
        leave(s3, f"incoming/{number:02}.csv")
    three_at_a_time(common.pipeline().store)
    stopped = sweep(context=TickingContext(20_000))
    assert not stopped["is_complete"]

    neighbor = replace(common.pipeline().settings, results_prefix=other.get("results_prefix", "results/"))
    pipeline = replace(common.pipeline(), settings=neighbor)
    pipeline.sweep(other.get("bucket", BUCKET), datetime.now(UTC).timestamp(), lambda: 900.0)
    rest = sweep()

    assert stopped["tables"] + rest["tables"] == 8
    assert rest["is_complete"]


def test_objects_that_are_no_parts_are_left_alone(s3: S3Client) -> None:
    upload(s3)
    keys = {f"results/{SOURCE}.classified/{name}" for name in ("notes.csv", "x/part-00000.csv")}
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"text")

    sweep()

    assert keys <= results(s3)


class TickingContext(Context):
    """An invocation in which a second passes each time that the remaining time is requested."""

    def get_remaining_time_in_millis(self) -> int:
        self._milliseconds -= 1000
        return self._milliseconds


def test_the_next_run_goes_on_where_time_ran_out(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        leave(s3, f"incoming/{number:02}.csv")
    monkeypatch.setenv("REVIEWBOX_OBJECTS_AT_ONCE", "1")
    storage = common.pipeline().store
    three_at_a_time(storage)

    runs = [sweep(context=TickingContext(20_000)) for _ in range(9)]

    assert not results(s3)
    assert sum(run["sources"] for run in runs) == 8
    assert not runs[0]["is_complete"]
    assert runs[-1] == {"tables": 0, "sources": 0, "is_complete": True}


def three_at_a_time(storage: Any, pages_of: int = 3) -> None:
    """Make S3 return pages of three keys or fewer."""

    def shorten(params: dict[str, Any], **_: Any) -> None:
        params.setdefault("MaxKeys", pages_of)

    storage.client.meta.events.register("provide-client-params.s3.ListObjectsV2", shorten)


@pytest.mark.parametrize("place", [b"", b"\xff", b"zzz", "results/\0\U0001f600".encode(), b"x" * 2000])
def test_a_strange_place_to_go_on_from_does_not_stop_sweeps(s3: S3Client, place: bytes) -> None:
    """Others may be able to write it. S3 may refuse it."""
    part = leave(s3)
    key = LeftoverFinder(common.pipeline().store, common.pipeline().settings, BUCKET, 0.0).place.key
    s3.put_object(Bucket=BUCKET, Key=key, Body=place)

    with suppress(ClientError):
        sweep()
    sweep()

    assert part not in results(s3)


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {},
        {"bucket": BUCKET},
        {"bucket": "", "time": "2026-11-30T04:00:00Z"},
        {"bucket": BUCKET, "time": "yesterday"},
        {"bucket": BUCKET, "time": 1_800_000_000},
    ],
)
def test_a_sweep_needs_a_bucket_and_a_time(fields: Any) -> None:
    with pytest.raises(EventError, match="reviewboxSweep"):
        on_batch_operation.handler({"reviewboxSweep": fields}, Context())


def test_the_log_says_how_far_a_sweep_came(s3: S3Client, caplog: pytest.LogCaptureFixture) -> None:
    leave(s3)

    with caplog.at_level(logging.INFO):
        sweep()

    (record,) = [record for record in caplog.records if record.name == "reviewbox.on_schedule"]
    assert record.message == "sweep.finished"
    assert record.sources == 1  # type: ignore[attr-defined]
