"""Tables larger than a segment, with a queue and without one."""

import gzip
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from backports import zstd
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3
from tests.faults.sqs import Sqs
from tests.large_tables.work import (
    QUEUE,
    SEGMENT_BYTES,
    TABLE,
    Killer,
    WorkerKilledError,
    deliver,
    deliver_despite_kills,
    keys,
    plenty,
    put,
    read,
    receipt_of,
    results,
    rows,
    segments_sent,
    storage_of,
)

from reviewbox.errors import OutOfTimeError
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue


def in_a_single_segment(
    pipeline: Pipeline, s3: Client, body: bytes, name: str
) -> tuple[dict[str, Any], bytes]:
    """Return the receipt and the classified table for the same table in a single segment."""
    whole = replace(pipeline, settings=replace(pipeline.settings, segment_bytes=10**6))
    ref = ObjectRef(BUCKET, f"incoming/whole/{name}")
    put(s3, body, ref)
    assert whole.process(ref, plenty) is Outcome.CLASSIFIED
    receipt = receipt_of(s3, ref)
    (part,) = receipt["parts"]
    return receipt, read(s3, part["key"])


COMPRESSED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "": (bytes, bytes),
    ".gz": (gzip.compress, gzip.decompress),
    ".zst": (zstd.compress, zstd.decompress),
}


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("way", ["queue", "alone"])
def test_the_parts_of_a_large_table_are_the_rows_of_the_whole(
    pipeline: Pipeline, s3: Client, compression: str, way: str
) -> None:
    compress, decompress = COMPRESSED[compression]
    name, body = f"export.csv{compression}", compress(rows(60))
    ref = ObjectRef(BUCKET, f"incoming/{name}")
    put(s3, body, ref)

    if way == "queue":
        assert pipeline.process(ref, plenty) is Outcome.SEGMENTED
        outcomes = deliver(pipeline)
        assert outcomes[:-1] == [Outcome.PARTIAL] * (len(outcomes) - 1)
        assert outcomes[-1] is Outcome.CLASSIFIED
    else:
        alone = replace(pipeline, queue=None)
        assert alone.process(ref, plenty) is Outcome.CLASSIFIED

    receipt = receipt_of(s3, ref)
    written = [decompress(read(s3, part["key"])) for part in receipt["parts"]]
    whole, expected = in_a_single_segment(pipeline, s3, body, name)
    header = expected_header = decompress(expected).splitlines(keepends=True)[0]
    assert len(written) > 3
    assert all(part.startswith(header) for part in written)
    assert header + b"".join(part.removeprefix(expected_header) for part in written) == decompress(expected)
    assert (receipt["counts"], receipt["notes"]) == (whole["counts"], whole["notes"])
    (folder,) = {part["key"].rpartition("/")[0] for part in receipt["parts"]}
    assert folder.startswith(f"results/{ref.key}.classified/")
    assert [part["key"] for part in receipt["parts"]] == [
        f"{folder}/part-{number:05}.csv{compression}" for number in range(len(written))
    ]


def test_a_table_of_one_segment_stays_one_object(pipeline: Pipeline, s3: Client) -> None:
    body = rows(3)
    assert len(body) <= SEGMENT_BYTES
    put(s3, body)

    assert pipeline.process(TABLE, plenty) is Outcome.CLASSIFIED

    assert keys(s3, "work/") == []
    (part,) = receipt_of(s3)["parts"]
    assert part["key"].endswith("/part-00000.csv")


@pytest.mark.parametrize("performs", [False, True])
@pytest.mark.parametrize("compression", ["", ".gz"])
def test_redelivery_after_a_kill_at_any_request_gives_the_same_objects(
    pipeline: Pipeline, store: S3, s3: Client, compression: str, *, performs: bool
) -> None:
    """The kill happens at every S3 request, in the worker that splits and in the workers that classify.

    A worker dies just before a request, or just after it.
    """
    ref = ObjectRef(BUCKET, f"incoming/export.csv{compression}")
    put(s3, COMPRESSED[compression][0](rows(25)), ref)
    version = pipeline.store.revision(ref)
    counter = Killer(0)
    uninterrupted_pipeline = replace(pipeline, store=storage_of(store, counter))
    uninterrupted_pipeline.process(ref, plenty)
    deliver(uninterrupted_pipeline)
    uninterrupted, steps = results(s3), counter.calls
    assert len(receipt_of(s3, ref)["parts"]) == 2

    for step in range(1, steps + 1):
        for key in uninterrupted:
            s3.delete_object(Bucket=BUCKET, Key=key)
        interrupted = replace(pipeline, store=storage_of(store, Killer(step, performs)))
        assert deliver_despite_kills(interrupted, ref) == 1
        assert results(s3) == uninterrupted, f"killed at call {step} of {steps}"
    assert pipeline.store.revision(ref) == version


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_a_worker_may_be_killed_while_it_sends(
    pipeline: Pipeline, s3: Client, messages: Sqs, sent: int
) -> None:
    """Before the first request, between two requests, and after all but before that is recorded."""
    put(s3, rows(250))
    killer = Killer((1, 2, 2)[sent], performs=sent == 2)
    client: Any = Client(messages, killer)

    with pytest.raises(WorkerKilledError):
        replace(pipeline, queue=Queue(QUEUE, client)).process(TABLE, plenty)
    deliver(pipeline)
    pipeline.process(TABLE, plenty)
    deliver(pipeline)

    assert receipt_of(s3)["counts"]["total"] == 250


def test_duplicate_events_and_segments_change_nothing(pipeline: Pipeline, s3: Client) -> None:
    put(s3, rows(30))
    pipeline.process(TABLE, plenty)
    segments = list(segments_sent(pipeline))
    for segment in segments:
        pipeline.process(segment, plenty)
    before = results(s3)

    again = [pipeline.process(segment, plenty) for segment in segments]

    assert set(again) == {Outcome.CLASSIFIED}
    assert pipeline.process(TABLE, plenty) is Outcome.CURRENT
    assert results(s3) == before
    assert list(segments_sent(pipeline)) == []


def test_a_second_event_sends_the_unfinished_segments_again(pipeline: Pipeline, s3: Client) -> None:
    """Queues keep messages for some days only. An event restores what was lost."""
    put(s3, rows(30))
    pipeline.process(TABLE, plenty)
    first, *lost = segments_sent(pipeline)
    pipeline.process(first, plenty)

    assert pipeline.process(TABLE, plenty) is Outcome.SEGMENTED

    assert list(segments_sent(pipeline)) == lost


def test_a_source_that_is_replaced_during_the_work_gets_its_own_result(
    pipeline: Pipeline, store: S3, s3: Client
) -> None:
    """The replacement may happen after any number of segments. Work on the older revision stops."""
    store.buckets[BUCKET].is_versioned = True
    for done_before in range(4):
        put(s3, rows(40, "good"))
        pipeline.process(TABLE, plenty)
        older = list(segments_sent(pipeline))
        for segment in older[:done_before]:
            pipeline.process(segment, plenty)
        put(s3, rows(20, "bad"))

        pipeline.process(TABLE, plenty)
        newer = list(segments_sent(pipeline))
        for old, new in itertools.zip_longest(older[done_before:], newer):
            for segment in filter(None, (old, new)):
                pipeline.process(segment, plenty)

        receipt = receipt_of(s3)
        written = b"".join(read(s3, part["key"]) for part in receipt["parts"])
        assert receipt["counts"]["total"] == 20
        assert b"bad" in written
        assert b"good" not in written
        # Readers of the whole folder find nothing else.
        assert keys(s3, "results/incoming/export.csv.classified/") == [
            part["key"] for part in receipt["parts"]
        ]


def test_stale_segments_do_not_send_all_messages_again(pipeline: Pipeline, s3: Client) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    older = list(segments_sent(pipeline))
    put(s3, rows(20))

    assert {pipeline.process(segment, plenty) for segment in older} == {Outcome.SEGMENTED}

    assert len(list(segments_sent(pipeline))) < len(older)


def test_a_new_model_or_setting_starts_over(pipeline: Pipeline, s3: Client) -> None:
    """No event announces a deployment in the middle of a table, so the segments must detect it."""
    put(s3, rows(30))
    pipeline.process(TABLE, plenty)
    (first, *others) = segments_sent(pipeline)
    pipeline.process(first, plenty)
    deployed = replace(pipeline, settings=replace(pipeline.settings, needs_review_below=1.0))

    for segment in others:
        deployed.process(segment, plenty)
    deliver(deployed)

    counts = receipt_of(s3)["counts"]
    assert counts["needs_review"] == counts["total"] - counts["failed"]


def test_rolling_a_deployment_back_loses_nothing(pipeline: Pipeline, s3: Client) -> None:
    put(s3, rows(30))
    newer = replace(pipeline, settings=replace(pipeline.settings, needs_review_below=1.0))
    pipeline.process(TABLE, plenty)
    (first, *others) = segments_sent(pipeline)
    pipeline.process(first, plenty)
    for segment in others:
        newer.process(segment, plenty)
    (first, *others) = segments_sent(pipeline)
    newer.process(first, plenty)

    for segment in others:
        pipeline.process(segment, plenty)
    deliver(pipeline)

    receipt = receipt_of(s3)
    assert receipt["counts"]["total"] == 30
    assert receipt["settings"]["sha256"] == pipeline.settings.digest


@pytest.mark.parametrize("gone", ["plan.json", "input/00001"])
def test_expired_work_objects_are_restored(pipeline: Pipeline, s3: Client, gone: str) -> None:
    """A lifecycle rule counts in days, so it may remove only some of the objects."""
    ref = ObjectRef(BUCKET, "incoming/export.csv.gz")
    put(s3, gzip.compress(rows(40)), ref)
    pipeline.process(ref, plenty)
    (key,) = [key for key in keys(s3, "work/") if key.endswith(gone)]
    s3.delete_object(Bucket=BUCKET, Key=key)

    deliver(pipeline)

    assert receipt_of(s3, ref)["counts"]["total"] == 40


def test_a_part_that_is_lost_during_the_work_is_restored(pipeline: Pipeline, s3: Client) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    (first, *others) = segments_sent(pipeline)
    pipeline.process(first, plenty)
    (part,) = keys(s3, "results/")
    s3.delete_object(Bucket=BUCKET, Key=part)

    for segment in others:
        pipeline.process(segment, plenty)
    deliver(pipeline)

    assert receipt_of(s3)["counts"]["total"] == 40


def test_parts_of_an_older_table_are_removed_although_no_receipt_names_them(
    pipeline: Pipeline, s3: Client
) -> None:
    """The table was replaced before it was done, by a file that is refused, and then by a smaller table."""
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    (first, *_) = segments_sent(pipeline)
    pipeline.process(first, plenty)
    put(s3, b"id,price\n1,2\n")
    assert pipeline.process(TABLE, plenty) is Outcome.REFUSED
    put(s3, rows(2))

    pipeline.process(TABLE, plenty)

    parts = [part["key"] for part in receipt_of(s3)["parts"]]
    assert [key for key in keys(s3, "results/") if ".classified" in key] == parts


def test_only_parts_are_removed(pipeline: Pipeline, s3: Client) -> None:
    """A source may be in a folder with the same name as the folder of the parts."""
    neighbour = ObjectRef(BUCKET, f"{TABLE.key}.classified/part-00009.csv")
    put(s3, rows(2), neighbour)
    pipeline.process(neighbour, plenty)
    before = results(s3)
    put(s3, rows(40))

    pipeline.process(TABLE, plenty)
    deliver(pipeline)

    assert before.items() <= results(s3).items()


def test_a_worker_of_an_older_table_leaves_no_unrecorded_part(
    pipeline: Pipeline, store: S3, s3: Client
) -> None:
    """A newer table with fewer parts is finished while the worker classifies."""
    put(s3, rows(60))
    pipeline.process(TABLE, plenty)
    *_, last = segments_sent(pipeline)

    def overtake() -> None:
        put(s3, rows(30))
        pipeline.process(TABLE, plenty)
        deliver(pipeline)

    writes = 0

    def gate(operation: str, _params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        nonlocal writes
        writes += operation == "PutObject"
        if writes == 1:
            writes += 1
            overtake()
        return perform()

    replace(pipeline, store=storage_of(store, gate)).process(last, plenty)

    parts = [part["key"] for part in receipt_of(s3)["parts"]]
    assert receipt_of(s3)["counts"]["total"] == 30
    assert keys(s3, f"results/{TABLE.key}.classified/") == parts


@pytest.mark.parametrize("size", [20, 2])
def test_a_smaller_table_leaves_no_part_of_the_larger(pipeline: Pipeline, s3: Client, size: int) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    deliver(pipeline)
    put(s3, rows(size))

    pipeline.process(TABLE, plenty)
    deliver(pipeline)

    parts = [part["key"] for part in receipt_of(s3)["parts"]]
    assert [key for key in keys(s3, "results/") if ".classified" in key] == parts


def test_a_lost_part_is_restored(pipeline: Pipeline, s3: Client) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    deliver(pipeline)
    before = results(s3)
    s3.delete_object(Bucket=BUCKET, Key=receipt_of(s3)["parts"][2]["key"])

    assert pipeline.process(TABLE, plenty) is Outcome.SEGMENTED
    deliver(pipeline)

    restored = results(s3)
    changed = {key for key in before if restored.get(key) != before[key]}
    assert changed == {key for key in before if key.endswith(".csv.json")}
    assert restored.keys() == before.keys()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(rows(200), id="tidy"),
        pytest.param(rows(100) + b'100,"a film without end\n' + rows(100)[11:], id="quote left open"),
    ],
)
def test_a_truncated_table_ends_with_an_error_row(pipeline: Pipeline, s3: Client, content: bytes) -> None:
    ref = ObjectRef(BUCKET, "incoming/export.csv.gz")
    body = gzip.compress(content)[:-40]
    put(s3, body, ref)

    pipeline.process(ref, plenty)
    deliver(pipeline)

    receipt = receipt_of(s3, ref)
    written = b"".join(gzip.decompress(read(s3, part["key"])) for part in receipt["parts"])
    whole, expected = in_a_single_segment(pipeline, s3, body, "export.csv.gz")
    header = gzip.decompress(expected).splitlines(keepends=True)[0]
    assert receipt["counts"] == whole["counts"]
    assert receipt["counts"]["errors"]["truncated_file"] >= 1
    assert header + written.replace(header, b"") == gzip.decompress(expected)


def test_a_large_table_without_reviews_is_refused(pipeline: Pipeline, s3: Client) -> None:
    put(s3, b"id,price\n" + b"1,2\n" * 200)

    assert pipeline.process(TABLE, plenty) is Outcome.REFUSED

    assert receipt_of(s3)["error"]["code"] == "no_text_field"


def test_a_file_that_is_not_a_table_of_lines_is_read_as_a_whole(pipeline: Pipeline, s3: Client) -> None:
    ref = ObjectRef(BUCKET, "incoming/review.txt")
    put(s3, b"good film\n" * 100, ref)

    assert pipeline.process(ref, plenty) is Outcome.CLASSIFIED

    assert receipt_of(s3, ref)["sentiment"] == "positive"


def test_without_a_queue_work_resumes_where_time_ran_out(pipeline: Pipeline, s3: Client) -> None:
    alone = replace(pipeline, queue=None)
    put(s3, rows(40))

    with pytest.raises(OutOfTimeError):
        alone.process(TABLE, lambda: 0.0 if keys(s3, "results/") else 900.0)
    done = keys(s3, "results/")
    assert 0 < len(done) < 5
    assert alone.process(TABLE, plenty) is Outcome.CLASSIFIED

    assert receipt_of(s3)["counts"]["total"] == 40
