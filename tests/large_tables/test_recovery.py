"""What dead, late and competing workers leave, and what others write over their objects: all of it heals."""

import gzip
import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3, Bucket
from tests.large_tables.work import (
    TABLE,
    Killer,
    WorkerKilledError,
    assert_consistent,
    deliver,
    deliver_despite_kills,
    fails_at_receipt,
    forge_receipt,
    keys,
    plenty,
    put,
    read,
    receipt_of,
    recorded,
    rows,
    segments_sent,
    storage_of,
    tables,
)

from reviewbox.large_tables.plan import Plan
from reviewbox.leftovers import ABANDONED_SECONDS
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome

JSON_FILE = ObjectRef(BUCKET, "incoming/b.json")
JSON_TABLE = b'[{"text":"good"},{"text":"bad"}]'
ONE_REVIEW = b'{"text":"a great film"}'


def test_old_parts_outlive_a_receipt_that_cannot_be_written(
    pipeline: Pipeline, store: S3, s3: Client
) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    deliver(pipeline)
    old = recorded(s3)
    put(s3, rows(2, "bad"))
    denied = replace(pipeline, store=storage_of(store, fails_at_receipt(PermissionError)))
    for _ in range(3):
        with pytest.raises(PermissionError):
            denied.process(TABLE, plenty)

    assert recorded(s3) == old
    assert set(old) <= set(tables(s3))
    pipeline.process(TABLE, plenty, redelivered=True)
    assert_consistent(s3)
    assert receipt_of(s3)["counts"]["total"] == 2


@pytest.mark.parametrize("performs", [False, True])
@pytest.mark.parametrize(("size", "lost"), [(2, [0]), (40, [1]), (40, [0, -1])])
def test_restored_parts_are_announced_once_by_a_new_receipt(
    pipeline: Pipeline,
    store: S3,
    s3: Client,
    size: int,
    lost: list[int],
    performs: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Followers may have read the result while parts were lost. A worker dies at any of its requests."""

    def lose_parts() -> dict[str, Any]:
        for index in lost:
            s3.delete_object(Bucket=BUCKET, Key=recorded(s3)[index])
        return receipt_of(s3)

    def restore(killer: Killer) -> int:
        return deliver_despite_kills(replace(pipeline, store=storage_of(store, killer)), TABLE)

    put(s3, rows(size))
    restore(Killer(0))
    counter = Killer(0)
    lose_parts()
    restore(counter)

    for number in range(1, counter.calls + 1):
        before = lose_parts()
        assert restore(Killer(number, performs)) == 1
        after = receipt_of(s3)
        assert after["replaces"] != before.get("replaces")
        assert [part["etag"] for part in after["parts"]] == [part["etag"] for part in before["parts"]]
        assert_consistent(s3)
        restore(Killer(0))
        assert receipt_of(s3) == after


def test_a_reader_never_finds_parts_of_two_revisions_in_a_receipt(pipeline: Pipeline, s3: Client) -> None:
    """While the second revision is classified, the first one is still there completely."""
    put(s3, rows(40, "good"))
    pipeline.process(TABLE, plenty)
    deliver(pipeline)
    old = {part["key"]: part["etag"] for part in receipt_of(s3)["parts"]}
    put(s3, rows(40, "dire"))
    pipeline.process(TABLE, plenty)

    for segment in segments_sent(pipeline):
        assert set(recorded(s3)) == set(old)
        for key, etag in old.items():
            assert s3.head_object(Bucket=BUCKET, Key=key)["ETag"] == etag
        pipeline.process(segment, plenty)

    assert not set(recorded(s3)) & set(old)
    assert_consistent(s3)


def test_a_rollback_keeps_its_parts_although_those_of_the_same_table_are_removed_late(
    pipeline: Pipeline, store: S3, s3: Client
) -> None:
    """A worker of the newer deployment has replaced the receipt, and is about to remove the old parts.

    The older deployment then makes the same table again. Its parts must not have the keys of the old ones.
    """

    def gate(operation: str, _params: Any, perform: Callable[[], Any]) -> Any:
        if operation == "DeleteObject":
            pipeline.process(TABLE, plenty)
        return perform()

    put(s3, rows(2))
    pipeline.process(TABLE, plenty)
    first = receipt_of(s3)
    settings = replace(pipeline.settings, needs_review_below=1.0)
    replace(pipeline, settings=settings, store=storage_of(store, gate)).process(TABLE, plenty)

    assert receipt_of(s3)["settings"] == first["settings"]
    assert_consistent(s3)


@pytest.mark.parametrize("last", [0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_a_slow_worker_cannot_record_parts_that_were_removed_as_leftovers(
    pipeline: Pipeline, store: S3, s3: Client, last: int
) -> None:
    """Before it writes its receipt, the source is deleted, and another worker removes the leftovers.

    The other worker may die after any of its requests; 0 if it does not.
    """
    killer = Killer(last, performs=True)

    def gate(operation: str, params: Any, perform: Callable[[], Any]) -> Any:
        if operation == "PutObject" and params["Key"].endswith(".csv.json") and not killer.calls:
            s3.delete_object(Bucket=BUCKET, Key=TABLE.key)
            with suppress(WorkerKilledError):
                replace(pipeline, store=storage_of(store, killer)).process(TABLE, plenty, redelivered=True)
        return perform()

    put(s3, rows(2, "bad"))
    pipeline.process(TABLE, plenty)
    put(s3, rows(3))
    replace(pipeline, store=storage_of(store, gate)).process(TABLE, plenty)

    assert killer.calls == (last or 8)
    for part in receipt_of(s3)["parts"]:
        assert s3.head_object(Bucket=BUCKET, Key=part["key"])["ETag"] == part["etag"]
    pipeline.process(TABLE, plenty, redelivered=True)
    assert_consistent(s3)


def test_a_table_that_is_replaced_before_its_first_receipt_leaves_nothing(
    pipeline: Pipeline, s3: Client
) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    first, *others = segments_sent(pipeline)
    pipeline.process(first, plenty)
    put(s3, rows(2, "bad"))
    pipeline.process(TABLE, plenty)
    for segment in others:
        pipeline.process(segment, plenty)

    assert receipt_of(s3)["counts"]["total"] == 2
    assert_consistent(s3)


@pytest.mark.parametrize("has_old_result", [False, True])
def test_a_source_that_is_deleted_during_the_work_leaves_only_its_old_result_or_an_error(
    pipeline: Pipeline, s3: Client, *, has_old_result: bool
) -> None:
    if has_old_result:
        put(s3, rows(2, "bad"))
        pipeline.process(TABLE, plenty)
    before = keys(s3, "results/")
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    first, *others = segments_sent(pipeline)
    pipeline.process(first, plenty)
    s3.delete_object(Bucket=BUCKET, Key=TABLE.key)
    for segment in others:
        pipeline.process(segment, plenty)

    if has_old_result:
        assert keys(s3, "results/") == before
        assert_consistent(s3)
    else:
        assert_says_that_it_was_deleted(s3)


def assert_says_that_it_was_deleted(s3: Client) -> None:
    """Assert that nothing but an error is left of the table."""
    assert keys(s3, "results/") == [f"results/{TABLE.key}.json"]
    error = receipt_of(s3)["error"]
    assert error["code"] == "not_processed"
    assert "was deleted" in error["message"]


def delete_before_the_receipt(pipeline: Pipeline, store: S3, s3: Client) -> SegmentRef:
    """Classify all segments of a table, and delete its source when the worker of the last one is killed.

    Returns the last segment.
    """
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    *others, last = segments_sent(pipeline)
    for segment in others:
        pipeline.process(segment, plenty)
    worker = storage_of(store, fails_at_receipt(WorkerKilledError))
    with pytest.raises(WorkerKilledError):
        replace(pipeline, store=worker).process(last, plenty)
    s3.delete_object(Bucket=BUCKET, Key=TABLE.key)
    return last


def test_a_table_that_is_deleted_once_all_its_segments_are_done_still_gets_its_result(
    pipeline: Pipeline, store: S3, s3: Client
) -> None:
    last = delete_before_the_receipt(pipeline, store, s3)

    assert pipeline.process(last, plenty, redelivered=True) is Outcome.CLASSIFIED
    assert receipt_of(s3)["counts"]["total"] == 40
    assert_consistent(s3)


@pytest.mark.parametrize("lost", ["the first part", "the last part", "all parts, by a sweep"])
def test_a_table_that_is_deleted_and_has_lost_a_part_is_withdrawn(
    pipeline: Pipeline, store: S3, s3: Client, lost: str
) -> None:
    """Nobody can make the part again, so no message asks for it."""
    last = delete_before_the_receipt(pipeline, store, s3)
    if lost == "all parts, by a sweep":
        pipeline.sweep(BUCKET, store.clock.now + 2 * ABANDONED_SECONDS, plenty)
    else:
        s3.delete_object(Bucket=BUCKET, Key=tables(s3)[0 if lost == "the first part" else -1])

    assert pipeline.process(last, plenty, redelivered=True) is Outcome.GONE
    assert list(segments_sent(pipeline)) == []
    assert_says_that_it_was_deleted(s3)


@pytest.mark.parametrize("replacement", [b"", ONE_REVIEW, b'[{"text":"bad"}]'])
@pytest.mark.parametrize("redelivered", [False, True])
def test_a_worker_that_is_killed_between_a_table_and_its_first_receipt_leaves_nothing(
    pipeline: Pipeline, store: S3, s3: Client, replacement: bytes, *, redelivered: bool
) -> None:
    """The source is then replaced. The message of the killed worker is delivered again, first or last."""
    put(s3, JSON_TABLE, JSON_FILE)
    worker = storage_of(store, Killer(2, operation="PutObject"))
    with pytest.raises(WorkerKilledError):
        replace(pipeline, store=worker).process(JSON_FILE, plenty)
    assert len(tables(s3, JSON_FILE)) == 1
    put(s3, replacement, JSON_FILE)

    pipeline.process(JSON_FILE, plenty, redelivered=redelivered)
    pipeline.process(JSON_FILE, plenty, redelivered=not redelivered)

    assert_consistent(s3, JSON_FILE)


CORRUPT = [
    b"",
    b"{",
    b"{}",
    b"null",
    b"\xff\x00",
    b"[" * 100_000,
    b'{"sha256": "", "content": {}}',
    b"1" * 5000,
]


def begun(pipeline: Pipeline, s3: Client, what: str) -> tuple[str, list[SegmentRef]]:
    """Process one segment of a table. Return the key of an object of the work, and the other segments."""
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    first, *others = segments_sent(pipeline)
    pipeline.process(first, plenty)
    (key,) = [key for key in keys(s3) if what in key]
    return key, others


def assert_heals(pipeline: Pipeline, s3: Client, others: list[SegmentRef]) -> None:
    """Process the other segments, and check that the table is complete."""
    for segment in others:
        pipeline.process(segment, plenty)
    deliver(pipeline)

    assert receipt_of(s3)["counts"]["total"] == 40
    assert_consistent(s3)


@pytest.mark.parametrize("what", ["plan.json", "done/00000", "sent", "/part-00000.csv"])
@pytest.mark.parametrize("body", [*CORRUPT, None], ids=[*map(str, range(len(CORRUPT))), "mutated"])
def test_what_others_write_over_the_objects_of_the_work_heals(
    pipeline: Pipeline, s3: Client, what: str, body: bytes | None
) -> None:
    key, others = begun(pipeline, s3, what)
    mutated = read(s3, key).replace(b"1", b"true").replace(b"0", b'"x"') + b" "
    s3.put_object(Bucket=BUCKET, Key=key, Body=mutated if body is None else body)

    assert_heals(pipeline, s3, others)


@pytest.mark.parametrize("what", ["plan.json", "done/00000"])
def test_numbers_that_others_have_changed_in_the_objects_of_the_work_are_not_used(
    pipeline: Pipeline, s3: Client, what: str
) -> None:
    """Each object has all fields of the right types. Only its digest shows that a worker did not write it."""
    key, others = begun(pipeline, s3, what)
    number = rb'("(?:positive|negative)": |"segments": \[\[[^]]+\], \[)(\d+)'  # of rows, or a position
    changed = re.sub(number, rb"\g<1>1\2", read(s3, key))
    assert changed != read(s3, key)
    s3.put_object(Bucket=BUCKET, Key=key, Body=changed)

    assert_heals(pipeline, s3, others)


@pytest.mark.parametrize("what", ["plan.json", "done/00000", "sent"])
@pytest.mark.parametrize("content", [b'{"version": 2}', b"[]"])
def test_what_another_version_of_reviewbox_has_written_heals(
    pipeline: Pipeline, s3: Client, what: str, content: bytes
) -> None:
    """A deployment in the middle of a table may come with other fields. Their digest is right."""
    key, others = begun(pipeline, s3, what)
    digest = hashlib.sha256(content).hexdigest().encode()
    s3.put_object(Bucket=BUCKET, Key=key, Body=b'{"sha256": "%b", "content": %b}' % (digest, content))

    assert_heals(pipeline, s3, others)


@pytest.mark.parametrize("has_own_id", [False, True])
def test_the_plan_of_another_table_is_not_used(pipeline: Pipeline, s3: Client, *, has_own_id: bool) -> None:
    """Its segments are those of the other table, whose rows would come back as rows of this one."""
    key, others = begun(pipeline, s3, "plan.json")
    secret = ObjectRef(BUCKET, "incoming/secret.csv")
    put(s3, rows(40, "awful"), secret)
    pipeline.process(secret, plenty)
    (theirs,) = [found for found in keys(s3) if "plan.json" in found and found != key]
    plan = Plan.decode(read(s3, theirs))
    assert plan is not None
    forged = replace(plan, id=others[0].plan) if has_own_id else plan
    s3.put_object(Bucket=BUCKET, Key=key, Body=forged.encode())

    assert_heals(pipeline, s3, others)

    returned = b"".join(read(s3, key) for key in recorded(s3, TABLE))
    assert b"awful" not in returned


def test_a_segment_that_others_have_written_over_is_split_again(pipeline: Pipeline, s3: Client) -> None:
    """Segments of a compressed table are stored, and their rows would be those that somebody else wrote."""
    ref = ObjectRef(BUCKET, "incoming/a.csv.gz")
    put(s3, gzip.compress(rows(40)), ref)
    pipeline.process(ref, plenty)
    key = next(key for key in keys(s3, "work/") if key.endswith("/input/00001"))
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"id,text\n1,forged film\n")

    deliver(pipeline)

    assert receipt_of(s3, ref)["counts"]["total"] == 40
    returned = b"".join(gzip.decompress(read(s3, key)) for key in recorded(s3, ref))
    assert b"forged" not in returned


FORGED_PARTS = [
    {"bucket": "no such bucket!", "key": "k", "etag": "e"},
    {"bucket": "", "key": "k", "etag": "e"},
    {"bucket": BUCKET, "key": "", "etag": "e"},
    {"bucket": BUCKET, "key": "k" * 2000, "etag": "e"},
    {"bucket": BUCKET, "key": "\ud800", "etag": "e"},
    {"bucket": BUCKET, "key": "results/gone", "etag": "e\r\nX-Injected: 1"},
    {"bucket": BUCKET, "key": f"results/{TABLE.key}.classified/{'0' * 32}/part-00000.csv", "etag": "\r\n"},
    {"bucket": BUCKET, "key": "a\nb\x00", "etag": ""},
    {"bucket": "absent-bucket", "key": "k", "etag": "e"},
]


@pytest.mark.parametrize("part", FORGED_PARTS)
@pytest.mark.parametrize("size", [2, 40])
@pytest.mark.parametrize("is_current", [False, True])
def test_a_receipt_with_a_strange_part_is_made_anew(
    pipeline: Pipeline, s3: Client, part: dict[str, str], size: int, *, is_current: bool
) -> None:
    put(s3, rows(size))
    pipeline.process(TABLE, plenty)
    deliver(pipeline)
    forge_receipt(s3, part, is_current=is_current)

    pipeline.process(TABLE, plenty)
    deliver(pipeline)

    assert receipt_of(s3)["counts"]["total"] == size
    assert_consistent(s3)


@pytest.mark.parametrize("named", ["a table of another source", "a source", "an object in another bucket"])
@pytest.mark.parametrize("work", ["a result", "the record of a failure"])
def test_what_a_receipt_names_is_not_removed_for_that(
    pipeline: Pipeline, store: S3, s3: Client, named: str, work: str
) -> None:
    other = ObjectRef(BUCKET, "incoming/other.csv")
    for ref in (other, TABLE):
        put(s3, rows(2), ref)
        pipeline.process(ref, plenty)
    store.buckets["elsewhere"] = Bucket()
    etag = s3.put_object(Bucket="elsewhere", Key=recorded(s3)[0], Body=b"text")["ETag"]
    part = {
        "a table of another source": receipt_of(s3, other)["parts"][0],
        "a source": {"bucket": BUCKET, "key": other.key, "etag": receipt_of(s3, other)["source"]["etag"]},
        "an object in another bucket": {"bucket": "elsewhere", "key": recorded(s3)[0], "etag": etag},
    }[named]
    forge_receipt(s3, part, is_current=False)

    if work == "a result":
        pipeline.process(TABLE, plenty)
    else:
        pipeline.record_failure(TABLE, TimeoutError())

    assert s3.head_object(Bucket=part["bucket"], Key=part["key"])["ETag"] == part["etag"]


def test_parts_in_another_bucket_are_not_those_of_a_result(pipeline: Pipeline, store: S3, s3: Client) -> None:
    """The keys and the content are right, but others may change such parts at any time."""
    put(s3, rows(2))
    pipeline.process(TABLE, plenty)
    (part,) = receipt_of(s3)["parts"]
    store.buckets["elsewhere"] = Bucket()
    s3.put_object(Bucket="elsewhere", Key=part["key"], Body=read(s3, part["key"]))
    forge_receipt(s3, {**part, "bucket": "elsewhere"}, is_current=True)

    pipeline.process(TABLE, plenty)

    (after,) = receipt_of(s3)["parts"]
    assert (after["bucket"], after["etag"]) == (BUCKET, part["etag"])
    assert_consistent(s3)


@pytest.mark.parametrize(
    "body", [*CORRUPT, b'{"format": 4, "source": {}}', b'{"format": NaN}', b'{"format": 2e0}']
)
@pytest.mark.parametrize("content", [b"a good film", rows(2), rows(40)], ids=["review", "small", "large"])
def test_a_corrupt_receipt_is_made_anew(pipeline: Pipeline, s3: Client, body: bytes, content: bytes) -> None:
    ref = ObjectRef(BUCKET, "incoming/a.txt") if content == b"a good film" else TABLE
    put(s3, content, ref)
    s3.put_object(Bucket=BUCKET, Key=f"results/{ref.key}.json", Body=body)

    pipeline.process(ref, plenty)
    deliver(pipeline)

    assert "error" not in receipt_of(s3, ref)
    assert receipt_of(s3, ref)["source"]["etag"]
    assert pipeline.process(ref, plenty) is Outcome.CURRENT
