"""Tables larger than a segment, by way of a queue and without one."""

import csv
import gzip
import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from backports import zstd
from mypy_boto3_s3 import S3Client
from mypy_boto3_sqs import SQSClient
from tests.conftest import BUCKET

from reviewbox.errors import OutOfTimeError
from reviewbox.events import parse, segment_message
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import Storage

TABLE = ObjectRef(BUCKET, "incoming/export.csv")
SEGMENT_BYTES = 300


def plenty() -> float:
    return 900.0


def rows(count: int, word: str = "good") -> bytes:
    """A table with some rows of two lines, some without a review, and some that are broken."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "review"])
    for number in range(count):
        review = ("", f"a {word} film", f"a {word} film,\n not bad")[number % 3]
        writer.writerow([number, review, *(["surplus"] if number % 7 == 6 else [])])
    return text.getvalue().encode()


@pytest.fixture
def sqs(s3: S3Client) -> SQSClient:
    return boto3.client("sqs")


@pytest.fixture
def queue_url(sqs: SQSClient) -> str:
    return sqs.create_queue(QueueName="uploads")["QueueUrl"]


@pytest.fixture
def settings(queue_url: str) -> Settings:
    return Settings(segment_bytes=SEGMENT_BYTES, queue_url=queue_url)


@pytest.fixture
def pipeline(storage: Storage, classifier: Classifier, settings: Settings) -> Pipeline:
    return Pipeline(storage, classifier, settings)


def put(s3: S3Client, body: bytes, ref: ObjectRef = TABLE) -> None:
    s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=body)


def read(s3: S3Client, key: str) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def receipt_of(s3: S3Client, ref: ObjectRef = TABLE) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads(read(s3, f"results/{ref.key}.json"))
    return receipt


def keys(s3: S3Client, prefix: str = "") -> list[str]:
    found = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for page in found for item in page.get("Contents", [])]


def results(s3: S3Client) -> dict[str, bytes]:
    return {key: read(s3, key) for key in keys(s3) if not key.startswith("incoming/")}


def deliver(pipeline: Pipeline, sqs: SQSClient) -> list[Outcome]:
    """Process what is in the queue, and what that sends, until nothing is left."""
    outcomes: list[Outcome] = []
    while messages := sqs.receive_message(QueueUrl=pipeline.settings.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        for message in messages:
            (parsed,) = parse(json.loads(message["Body"]))
            outcomes += [pipeline.process(segment, plenty) for segment in parsed.segments]
            sqs.delete_message(QueueUrl=pipeline.settings.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return outcomes


def in_one_piece(pipeline: Pipeline, s3: S3Client, body: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    """What the same table comes to where it is no larger than a segment: its receipt and its rows."""
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
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient, compression: str, way: str
) -> None:
    compress, decompress = COMPRESSED[compression]
    name, body = f"export.csv{compression}", compress(rows(60))
    ref = ObjectRef(BUCKET, f"incoming/{name}")
    put(s3, body, ref)

    if way == "queue":
        assert pipeline.process(ref, plenty) is Outcome.SEGMENTED
        outcomes = deliver(pipeline, sqs)
        assert outcomes[:-1] == [Outcome.PARTIAL] * (len(outcomes) - 1)
        assert outcomes[-1] is Outcome.CLASSIFIED
    else:
        alone = replace(pipeline, settings=replace(pipeline.settings, queue_url=""))
        assert alone.process(ref, plenty) is Outcome.CLASSIFIED

    receipt = receipt_of(s3, ref)
    written = [decompress(read(s3, part["key"])) for part in receipt["parts"]]
    whole, expected = in_one_piece(pipeline, s3, body, name)
    header = expected_header = decompress(expected).splitlines(keepends=True)[0]
    assert len(written) > 3
    assert all(part.startswith(header) for part in written)
    assert header + b"".join(part.removeprefix(expected_header) for part in written) == decompress(expected)
    assert (receipt["counts"], receipt["notes"]) == (whole["counts"], whole["notes"])
    assert [part["key"] for part in receipt["parts"]] == [
        f"results/{ref.key}.classified/part-{number:05}.csv{compression}" for number in range(len(written))
    ]


def test_a_table_of_one_segment_stays_one_object(pipeline: Pipeline, s3: S3Client) -> None:
    body = rows(3)
    assert len(body) <= SEGMENT_BYTES
    put(s3, body)

    assert pipeline.process(TABLE, plenty) is Outcome.CLASSIFIED

    assert keys(s3, "work/") == []
    assert [part["key"] for part in receipt_of(s3)["parts"]] == ["results/incoming/export.csv.classified.csv"]


class WorkerKilledError(BaseException):
    """As when Lambda ends a process: nothing in the pipeline may catch it."""


def killed_at(client: S3Client, number: int, when: str) -> Callable[[], int]:
    """Die just before, or after, the client's call with that number; return what counts the calls."""
    calls = 0

    def hook(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise WorkerKilledError

    client.meta.events.register(when, hook, unique_id="killer")
    return lambda: calls


@pytest.mark.parametrize("when", ["before-call.s3", "after-call.s3"])
@pytest.mark.parametrize("compression", ["", ".gz"])
def test_whenever_a_worker_is_killed_the_next_delivery_leaves_the_same_objects(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient, compression: str, when: str
) -> None:
    """At every call of S3 on the way, in the worker that cuts and in those that classify."""
    ref = ObjectRef(BUCKET, f"incoming/export.csv{compression}")
    put(s3, COMPRESSED[compression][0](rows(25)), ref)
    version = pipeline.storage.revision(ref)
    worker = boto3.client("s3")
    steady = replace(pipeline, storage=Storage(worker))
    calls = killed_at(worker, 0, when)
    steady.process(ref, plenty)
    deliver(steady, sqs)
    undisturbed, steps = results(s3), calls()
    assert len(receipt_of(s3, ref)["parts"]) == 2

    for step in range(1, steps + 1):
        for key in undisturbed:
            s3.delete_object(Bucket=BUCKET, Key=key)
        worker = boto3.client("s3")
        killed_at(worker, step, when)
        disturbed = replace(pipeline, storage=Storage(worker))
        waiting: list[Any] = [ref]
        deaths = 0
        while waiting:  # as a queue does: what failed comes again, and what was sent comes, too
            item = waiting.pop(0)
            try:
                disturbed.process(item, plenty)
            except WorkerKilledError:
                waiting.append(item)
                deaths += 1
            waiting += segments_sent(pipeline, sqs)
        assert deaths == 1
        assert results(s3) == undisturbed, f"killed at call {step} of {steps}"
    assert pipeline.storage.revision(ref) == version


@pytest.mark.parametrize("sent", [0, 2, None])
def test_a_worker_killed_while_it_sends_is_made_good(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient, sent: int | None
) -> None:
    """Before any message is sent, between two messages, and after all were sent but before it is recorded."""
    put(s3, rows(40))

    class Dying(Storage):
        def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
            if ref.key.endswith("/sent"):
                raise WorkerKilledError
            return super().write(ref, body, content_type, replaces=replaces)

    with pytest.raises(WorkerKilledError):
        replace(pipeline, storage=Dying(s3)).process(TABLE, plenty)
    for segment in list(segments_sent(pipeline, sqs))[:sent]:
        sqs.send_message(QueueUrl=pipeline.settings.queue_url, MessageBody=segment_message(segment))
    deliver(pipeline, sqs)
    pipeline.process(TABLE, plenty)
    deliver(pipeline, sqs)

    assert receipt_of(s3)["counts"]["total"] == 40


def segments_sent(pipeline: Pipeline, sqs: SQSClient) -> Iterator[Any]:
    """Take everything that is in the queue."""
    url = pipeline.settings.queue_url
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield from parse(json.loads(message["Body"]))[0].segments


def test_events_and_segments_may_come_twice(pipeline: Pipeline, s3: S3Client, sqs: SQSClient) -> None:
    put(s3, rows(30))
    pipeline.process(TABLE, plenty)
    segments = list(segments_sent(pipeline, sqs))
    for segment in segments:
        pipeline.process(segment, plenty)
    before = results(s3)

    again = [pipeline.process(segment, plenty) for segment in segments]

    assert set(again) == {Outcome.CLASSIFIED}
    assert pipeline.process(TABLE, plenty) is Outcome.CURRENT
    assert results(s3) == before
    assert list(segments_sent(pipeline, sqs)) == []


def test_a_second_event_sends_what_is_not_done(pipeline: Pipeline, s3: S3Client, sqs: SQSClient) -> None:
    """Messages are kept for some days only; and nothing is lost that an event can bring back."""
    put(s3, rows(30))
    pipeline.process(TABLE, plenty)
    first, *lost = segments_sent(pipeline, sqs)
    pipeline.process(first, plenty)

    assert pipeline.process(TABLE, plenty) is Outcome.SEGMENTED

    assert list(segments_sent(pipeline, sqs)) == lost


def test_a_source_replaced_meanwhile_gets_its_own_result(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient
) -> None:
    """At every point between two segments; what was begun for the older one is not gone on with."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for done_before in range(4):
        put(s3, rows(40, "good"))
        pipeline.process(TABLE, plenty)
        older = list(segments_sent(pipeline, sqs))
        for segment in older[:done_before]:
            pipeline.process(segment, plenty)
        put(s3, rows(20, "bad"))

        pipeline.process(TABLE, plenty)
        newer = list(segments_sent(pipeline, sqs))
        for old, new in itertools.zip_longest(older[done_before:], newer):
            for segment in filter(None, (old, new)):
                pipeline.process(segment, plenty)

        receipt = receipt_of(s3)
        written = b"".join(read(s3, part["key"]) for part in receipt["parts"])
        assert receipt["counts"]["total"] == 20
        assert b"bad" in written
        assert b"good" not in written
        # Who reads the folder reads nothing else.
        assert keys(s3, "results/incoming/export.csv.classified/") == [
            part["key"] for part in receipt["parts"]
        ]


def test_a_stale_segment_does_not_send_everything_again(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient
) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    older = list(segments_sent(pipeline, sqs))
    put(s3, rows(20))

    assert {pipeline.process(segment, plenty) for segment in older} == {Outcome.SEGMENTED}

    assert len(list(segments_sent(pipeline, sqs))) < len(older)


def test_another_model_or_setting_begins_anew(pipeline: Pipeline, s3: S3Client, sqs: SQSClient) -> None:
    """A deployment in the middle of a table: no event comes for it, so its segments have to do."""
    put(s3, rows(30))
    pipeline.process(TABLE, plenty)
    (first, *others) = segments_sent(pipeline, sqs)
    pipeline.process(first, plenty)
    deployed = replace(pipeline, settings=replace(pipeline.settings, needs_review_below=1.0))

    for segment in others:
        deployed.process(segment, plenty)
    deliver(deployed, sqs)

    counts = receipt_of(s3)["counts"]
    assert counts["needs_review"] == counts["total"] - counts["failed"]


def test_a_deployment_that_is_rolled_back_loses_nothing(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient
) -> None:
    put(s3, rows(30))
    newer = replace(pipeline, settings=replace(pipeline.settings, needs_review_below=1.0))
    pipeline.process(TABLE, plenty)
    (first, *others) = segments_sent(pipeline, sqs)
    pipeline.process(first, plenty)
    for segment in others:
        newer.process(segment, plenty)
    (first, *others) = segments_sent(pipeline, sqs)
    newer.process(first, plenty)

    for segment in others:
        pipeline.process(segment, plenty)
    deliver(pipeline, sqs)

    receipt = receipt_of(s3)
    assert receipt["counts"]["total"] == 30
    assert receipt["settings"]["sha256"] == pipeline.settings.digest


@pytest.mark.parametrize("gone", ["plan.json", "input/00001"])
def test_what_is_gone_from_the_work_is_made_again(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient, gone: str
) -> None:
    """A lifecycle rule goes by days, and removes what was written before midnight a day earlier."""
    ref = ObjectRef(BUCKET, "incoming/export.csv.gz")
    put(s3, gzip.compress(rows(40)), ref)
    pipeline.process(ref, plenty)
    (key,) = [key for key in keys(s3, "work/") if key.endswith(gone)]
    s3.delete_object(Bucket=BUCKET, Key=key)

    deliver(pipeline, sqs)

    assert receipt_of(s3, ref)["counts"]["total"] == 40


def test_a_part_lost_meanwhile_is_made_again(pipeline: Pipeline, s3: S3Client, sqs: SQSClient) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    (first, *others) = segments_sent(pipeline, sqs)
    pipeline.process(first, plenty)
    (part,) = keys(s3, "results/")
    s3.delete_object(Bucket=BUCKET, Key=part)

    for segment in others:
        pipeline.process(segment, plenty)
    deliver(pipeline, sqs)

    assert receipt_of(s3)["counts"]["total"] == 40


def test_an_older_table_s_parts_are_found_where_no_receipt_names_them(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient
) -> None:
    """It was replaced before it was done, by what is no table, and that by a smaller one."""
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    (first, *_) = segments_sent(pipeline, sqs)
    pipeline.process(first, plenty)
    put(s3, b"id,price\n1,2\n")
    assert pipeline.process(TABLE, plenty) is Outcome.REFUSED
    put(s3, rows(2))

    pipeline.process(TABLE, plenty)

    parts = [part["key"] for part in receipt_of(s3)["parts"]]
    assert [key for key in keys(s3, "results/") if ".classified" in key] == parts


def test_nothing_but_parts_is_removed(pipeline: Pipeline, s3: S3Client, sqs: SQSClient) -> None:
    """A source can lie in a folder that is called as that of the parts is."""
    neighbour = ObjectRef(BUCKET, f"{TABLE.key}.classified/part-00009.csv")
    put(s3, rows(2), neighbour)
    pipeline.process(neighbour, plenty)
    before = results(s3)
    put(s3, rows(40))

    pipeline.process(TABLE, plenty)
    deliver(pipeline, sqs)

    assert before.items() <= results(s3).items()


def test_a_worker_of_an_older_table_leaves_no_part_that_nobody_knows(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient
) -> None:
    """It is overtaken while it classifies: by a table that is done, and has fewer parts."""
    put(s3, rows(60))
    pipeline.process(TABLE, plenty)
    *_, last = segments_sent(pipeline, sqs)

    def overtake() -> None:
        put(s3, rows(30))
        pipeline.process(TABLE, plenty)
        deliver(pipeline, sqs)

    worker = boto3.client("s3")
    calls = 0

    def hook(model: Any, **_: Any) -> None:
        nonlocal calls
        calls += model.name == "PutObject"
        if calls == 1:
            calls += 1
            overtake()

    worker.meta.events.register("before-call.s3", hook)
    replace(pipeline, storage=Storage(worker)).process(last, plenty)

    parts = [part["key"] for part in receipt_of(s3)["parts"]]
    assert receipt_of(s3)["counts"]["total"] == 30
    assert keys(s3, f"results/{TABLE.key}.classified/") == parts


@pytest.mark.parametrize("size", [20, 2])
def test_a_smaller_table_leaves_no_part_of_the_larger(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient, size: int
) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    deliver(pipeline, sqs)
    put(s3, rows(size))

    pipeline.process(TABLE, plenty)
    deliver(pipeline, sqs)

    parts = [part["key"] for part in receipt_of(s3)["parts"]]
    assert [key for key in keys(s3, "results/") if ".classified" in key] == parts


def test_a_lost_part_is_made_again(pipeline: Pipeline, s3: S3Client, sqs: SQSClient) -> None:
    put(s3, rows(40))
    pipeline.process(TABLE, plenty)
    deliver(pipeline, sqs)
    before = results(s3)
    s3.delete_object(Bucket=BUCKET, Key=receipt_of(s3)["parts"][2]["key"])

    assert pipeline.process(TABLE, plenty) is Outcome.SEGMENTED
    deliver(pipeline, sqs)

    assert results(s3) == before


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(rows(200), id="tidy"),
        pytest.param(rows(100) + b'100,"a film without end\n' + rows(100)[11:], id="quote left open"),
    ],
)
def test_a_table_that_ends_in_the_middle_says_so_at_its_end(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient, content: bytes
) -> None:
    ref = ObjectRef(BUCKET, "incoming/export.csv.gz")
    body = gzip.compress(content)[:-40]
    put(s3, body, ref)

    pipeline.process(ref, plenty)
    deliver(pipeline, sqs)

    receipt = receipt_of(s3, ref)
    written = b"".join(gzip.decompress(read(s3, part["key"])) for part in receipt["parts"])
    whole, expected = in_one_piece(pipeline, s3, body, "export.csv.gz")
    header = gzip.decompress(expected).splitlines(keepends=True)[0]
    assert receipt["counts"] == whole["counts"]
    assert receipt["counts"]["errors"]["truncated_file"] >= 1
    assert header + written.replace(header, b"") == gzip.decompress(expected)


def test_a_large_table_without_reviews_is_refused(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, b"id,price\n" + b"1,2\n" * 200)

    assert pipeline.process(TABLE, plenty) is Outcome.REFUSED

    assert receipt_of(s3)["error"]["code"] == "no_text_field"


def test_what_is_no_table_of_lines_is_read_whole(pipeline: Pipeline, s3: S3Client) -> None:
    ref = ObjectRef(BUCKET, "incoming/review.txt")
    put(s3, b"good film\n" * 100, ref)

    assert pipeline.process(ref, plenty) is Outcome.CLASSIFIED

    assert receipt_of(s3, ref)["sentiment"] == "positive"


def test_without_a_queue_a_table_goes_on_where_time_ran_out(
    pipeline: Pipeline, s3: S3Client, sqs: SQSClient
) -> None:
    alone = replace(pipeline, settings=replace(pipeline.settings, queue_url=""))
    put(s3, rows(40))
    seconds = iter([900.0] * 6 + [0.0] * 100)

    with pytest.raises(OutOfTimeError):
        alone.process(TABLE, lambda: next(seconds))
    done = keys(s3, "results/")
    assert 0 < len(done) < 5
    assert alone.process(TABLE, plenty) is Outcome.CLASSIFIED

    assert receipt_of(s3)["counts"]["total"] == 40
