import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.tiny import RecordingBackend

from reviewbox.errors import ContentionError, OutOfTimeError
from reviewbox.model.batching import Batcher
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import Storage

REVIEW = ObjectRef(BUCKET, "incoming/2026/my review+é.txt")
TABLE = ObjectRef(BUCKET, "incoming/export.jsonl")

# Two revisions of each source, and what tells their results apart.
REVISIONS = {
    REVIEW: (b"a great film", b"an awful film"),
    TABLE: (b'{"text": "good"}\n{"text": "bad"}\n', b'{"text": "awful"}\n'),
}


def plenty() -> float:
    return 900.0


@pytest.fixture
def pipeline(storage: Storage, classifier: Classifier) -> Pipeline:
    return Pipeline(storage, classifier, Settings())


def alone(pipeline: Pipeline, ref: ObjectRef) -> Outcome:
    return pipeline.process(ref, plenty)


def in_batch(pipeline: Pipeline, *refs: ObjectRef) -> Outcome:
    """Process objects, one at a time, as among others; return how the first ended."""
    settings = replace(pipeline.settings, queue_url="https://queue.example", objects_at_once=1)
    other = ObjectRef(BUCKET, "elsewhere/of no interest")
    ends = dict(replace(pipeline, settings=settings).process_all([*refs, other], plenty))
    end = ends[refs[0]]
    if isinstance(end, Exception):
        raise end
    return end


Work = Callable[[Pipeline, ObjectRef], Outcome]


def put(s3: S3Client, ref: ObjectRef, body: bytes) -> str:
    return s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=body)["ETag"]


def read(s3: S3Client, key: str) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def receipt_of(s3: S3Client, ref: ObjectRef) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads(read(s3, f"results/{ref.key}.json"))
    return receipt


def everything(s3: S3Client) -> dict[str, bytes]:
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return {key: read(s3, key) for key in keys}


def at_call(client: S3Client, number: int, action: Callable[[], None]) -> None:
    """Run `action` just before the client's call with that number, from 1, leaves."""
    calls = 0

    def hook(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            action()

    client.meta.events.register("before-call.s3", hook)


def operations(client: S3Client) -> list[str]:
    """Return a list that grows by the name of each operation that the client asks for."""
    names: list[str] = []
    client.meta.events.register("before-call.s3", lambda model, **_: names.append(model.name))
    return names


def test_a_review_becomes_a_receipt_beside_it(pipeline: Pipeline, s3: S3Client) -> None:
    etag = put(s3, REVIEW, b"the film . great film . not bad .")

    outcome = pipeline.process(REVIEW, plenty)

    receipt = receipt_of(s3, REVIEW)
    assert outcome is Outcome.CLASSIFIED
    assert receipt["sentiment"] == "negative"
    assert receipt["tokens"] == 9
    assert receipt["source"]["etag"] == etag
    assert receipt["source"]["key"] == REVIEW.key


def test_a_table_becomes_a_table_and_a_receipt_that_counts(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, TABLE, b'{"id":1,"text":"good"}\nnot json\n{"id":3,"text":"bad"}\n{"id":4,"text":" "}\n')

    pipeline.process(TABLE, plenty)

    receipt = receipt_of(s3, TABLE)
    (part,) = receipt["parts"]
    lines = read(s3, part["key"]).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert part["key"] == "results/incoming/export.jsonl.classified.jsonl"
    assert [row["sentiment"] for row in rows] == ["positive", None, "negative", None]
    assert [row["error_code"] for row in rows] == [None, "broken_json", None, "empty_review"]
    assert rows[3]["error_message"].startswith("line 4: ")
    assert receipt["counts"] == {
        "total": 4,
        "labels": {"negative": 1, "positive": 1},
        "needs_review": 0,
        "failed": 2,
        "errors": {"broken_json": 1, "empty_review": 1},
    }


@pytest.mark.parametrize("ref", REVISIONS)
def test_the_same_event_twice_changes_nothing(pipeline: Pipeline, s3: S3Client, ref: ObjectRef) -> None:
    put(s3, ref, REVISIONS[ref][0])
    pipeline.process(ref, plenty)
    before = everything(s3)

    outcome = pipeline.process(ref, plenty)

    assert outcome is Outcome.CURRENT
    assert everything(s3) == before


@pytest.mark.parametrize(("ref", "parts"), [(REVIEW, 0), (TABLE, 1)])
def test_what_has_a_current_result_costs_one_read(
    pipeline: Pipeline, s3: S3Client, ref: ObjectRef, parts: int
) -> None:
    """That of the receipt; the source and the parts of its table are only asked for their state."""
    put(s3, ref, REVISIONS[ref][0])
    pipeline.process(ref, plenty)
    asked = operations(s3)

    pipeline.process(ref, plenty)

    assert asked == ["GetObject", *["HeadObject"] * parts, "HeadObject"]


def test_a_first_result_costs_no_look_at_the_source_s_state(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"great film")
    asked = operations(s3)

    pipeline.process(REVIEW, plenty)

    assert asked == ["GetObject", "GetObject", "PutObject"]


def test_a_result_is_of_the_source_that_was_read_and_not_of_the_one_looked_at(
    pipeline: Pipeline, s3: S3Client
) -> None:
    put(s3, REVIEW, b"great film")
    pipeline.process(REVIEW, plenty)
    put(s3, REVIEW, b"good film")
    bystander = boto3.client("s3")
    etags = []

    at_call(s3, 3, lambda: etags.append(put(bystander, REVIEW, b"awful film")))
    pipeline.process(REVIEW, plenty)

    receipt = receipt_of(bystander, REVIEW)
    assert [receipt["source"]["etag"]] == etags
    assert receipt["sentiment"] == "negative"


@pytest.mark.parametrize("ref", REVISIONS)
def test_a_newer_upload_replaces_the_result(pipeline: Pipeline, s3: S3Client, ref: ObjectRef) -> None:
    put(s3, ref, REVISIONS[ref][0])
    pipeline.process(ref, plenty)
    etag = put(s3, ref, REVISIONS[ref][1])

    outcome = pipeline.process(ref, plenty)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, ref)["source"]["etag"] == etag


def steps(work: Work, calls: dict[ObjectRef, int]) -> list[tuple[Work, ObjectRef, int]]:
    """Return each call that a worker makes to S3."""
    return [(work, ref, call) for ref, most in calls.items() for call in range(1, most + 1)]


# Read the receipt, read the source, write. In a batch, read the source first; write, if it is a review.
STEPS = steps(alone, {REVIEW: 3, TABLE: 4}) + steps(in_batch, {REVIEW: 2, TABLE: 5})
# With an older result: read the receipt, look at a table's part and at the source, read it, write; list its
# parts before the receipt. In a batch, read the source first, and fail to write, if it is a review; which is
# not read again.
STEPS_OVER_A_RESULT = steps(alone, {REVIEW: 5, TABLE: 7}) + steps(in_batch, {REVIEW: 6, TABLE: 8})


@pytest.mark.parametrize(("work", "ref", "call"), STEPS)
def test_of_two_racing_workers_the_newer_revision_wins(
    pipeline: Pipeline, s3: S3Client, classifier: Classifier, work: Work, ref: ObjectRef, call: int
) -> None:
    """Just before a worker's nth call, a newer upload is made, and finished by another worker."""
    older, newer = REVISIONS[ref]
    put(s3, ref, older)
    bystander = boto3.client("s3")
    rival = Pipeline(Storage(bystander), classifier, Settings())
    of_the_rival: dict[str, bytes] = {}

    def overtake() -> None:
        put(bystander, ref, newer)
        rival.process(ref, plenty)
        of_the_rival.update(everything(bystander))

    at_call(s3, call, overtake)
    work(pipeline, ref)

    assert of_the_rival
    assert everything(bystander) == of_the_rival
    assert rival.process(ref, plenty) is Outcome.CURRENT


@pytest.mark.parametrize(("work", "ref", "call"), STEPS_OVER_A_RESULT)
def test_a_worker_overtaken_over_an_older_result_leaves_the_newest(
    pipeline: Pipeline, s3: S3Client, classifier: Classifier, work: Work, ref: ObjectRef, call: int
) -> None:
    """As above, but a result of a first revision is there, and the newest has that one's content.

    Only versions tell such uploads of one second apart.
    """
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first, second = REVISIONS[ref]
    put(s3, ref, first)
    pipeline.process(ref, plenty)
    put(s3, ref, second)
    bystander = boto3.client("s3")
    rival = Pipeline(Storage(bystander), classifier, Settings())
    overtaken = []

    def overtake() -> None:
        put(bystander, ref, first)
        overtaken.append(rival.process(ref, plenty))

    at_call(s3, call, overtake)
    work(pipeline, ref)

    assert overtaken == [Outcome.CLASSIFIED]
    for part in receipt_of(bystander, ref).get("parts", []):
        assert bystander.head_object(Bucket=BUCKET, Key=part["key"])["ETag"] == part["etag"]
    assert rival.process(ref, plenty) is Outcome.CURRENT


class WorkerKilledError(BaseException):
    """No `except Exception` may catch what ends a process."""


@pytest.mark.parametrize(("work", "ref", "call"), STEPS)
def test_what_a_killed_worker_left_is_finished_by_the_next_delivery(
    pipeline: Pipeline, s3: S3Client, classifier: Classifier, work: Work, ref: ObjectRef, call: int
) -> None:
    put(s3, ref, REVISIONS[ref][0])

    def kill() -> None:
        raise WorkerKilledError

    at_call(s3, call, kill)
    with pytest.raises(WorkerKilledError):
        work(pipeline, ref)
    next_worker = Pipeline(Storage(boto3.client("s3")), classifier, Settings())
    outcome = work(next_worker, ref)

    assert outcome is Outcome.CLASSIFIED
    assert next_worker.process(ref, plenty) is Outcome.CURRENT


@pytest.mark.parametrize("call", range(1, 9))
def test_a_table_never_differs_from_its_receipt(
    pipeline: Pipeline, s3: S3Client, classifier: Classifier, call: int
) -> None:
    """Even if a dead worker left a table, and the one that meets it is overtaken and then dies, too."""
    older, newer = REVISIONS[TABLE]
    put(s3, TABLE, older)
    put(s3, ObjectRef(BUCKET, f"results/{TABLE.key}.classified.jsonl"), b"left behind")
    bystander = boto3.client("s3")
    rival = Pipeline(Storage(bystander), classifier, Settings())
    overtaken = []

    def overtake() -> None:
        put(bystander, TABLE, newer)
        overtaken.append(rival.process(TABLE, plenty))

    def die(params: dict[str, Any], **_: Any) -> None:
        if overtaken and params["url_path"].endswith(".json"):
            raise WorkerKilledError

    at_call(s3, call, overtake)
    s3.meta.events.register("before-call.s3.PutObject", die)
    with suppress(WorkerKilledError):
        pipeline.process(TABLE, plenty)

    (part,) = receipt_of(bystander, TABLE)["parts"]
    assert overtaken == [Outcome.CLASSIFIED]
    assert bystander.head_object(Bucket=BUCKET, Key=part["key"])["ETag"] == part["etag"]
    assert rival.process(TABLE, plenty) is Outcome.CURRENT


def test_a_lost_table_is_made_again(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, TABLE, REVISIONS[TABLE][0])
    pipeline.process(TABLE, plenty)
    before = everything(s3)
    s3.delete_object(Bucket=BUCKET, Key=receipt_of(s3, TABLE)["parts"][0]["key"])

    pipeline.process(TABLE, plenty)

    assert everything(s3) == before


def test_endless_contention_is_an_error_and_not_a_loop(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"good film")
    bystander = boto3.client("s3")
    versions = iter(range(1000))

    def meddle(**_: Any) -> None:
        put(bystander, ObjectRef(BUCKET, f"results/{REVIEW.key}.json"), f"{next(versions)}".encode())

    s3.meta.events.register("before-call.s3.PutObject", meddle)

    with pytest.raises(ContentionError, match=r"my review\+é"):
        pipeline.process(REVIEW, plenty)


def test_a_source_that_is_gone_keeps_its_old_result(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    s3.delete_object(Bucket=BUCKET, Key=REVIEW.key)
    before = everything(s3)

    outcome = pipeline.process(REVIEW, plenty)

    assert outcome is Outcome.GONE
    assert everything(s3) == before


@pytest.mark.parametrize(
    ("key", "body", "code"),
    [
        ("incoming/empty.txt", b"", "empty_file"),
        ("incoming/blank.txt", b" <br /> \n", "empty_review"),
        ("incoming/picture.txt", bytes(range(256)), "binary_file"),
        ("incoming/picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary_file"),
        ("incoming/report.xlsx", b"PK\x03\x04\x14\0", "unsupported_format"),
        ("incoming/header.csv", b"id,review\n", "header_only"),
        ("incoming/blank.jsonl", b"\n \n", "empty_table"),
        ("incoming/numbers.jsonl", b'{"id": 1}\n{"id": 2}\n', "no_text_field"),
        ("incoming/large.txt", b"good " * 100, "too_large"),
    ],
)
def test_what_retrying_cannot_mend_is_written_at_once(
    storage: Storage, classifier: Classifier, s3: S3Client, key: str, body: bytes, code: str
) -> None:
    pipeline = Pipeline(storage, classifier, Settings(max_object_bytes=400))
    ref = ObjectRef(BUCKET, key)
    put(s3, ref, body)

    outcomes = [pipeline.process(ref, plenty), pipeline.process(ref, plenty)]

    error = receipt_of(s3, ref)["error"]
    assert outcomes == [Outcome.REFUSED, Outcome.CURRENT]
    assert error["code"] == code
    assert error["final"] is True
    assert error["message"]


@pytest.mark.parametrize("ref", [TABLE, REVIEW], ids=["table", "review"])
@pytest.mark.parametrize(
    ("seconds", "complaint"), [([1.0], "to begin with"), ([900.0, 900.0, 1.0], "more time than the function")]
)
def test_too_little_time_writes_nothing(
    pipeline: Pipeline, s3: S3Client, ref: ObjectRef, seconds: list[float], complaint: str
) -> None:
    """Time is looked at all along: one review of a thousand words may take longer than is left."""
    words = "good film " * 500
    put(s3, ref, words.encode() if ref is REVIEW else json.dumps({"text": words}).encode())
    clock = iter(seconds)

    with pytest.raises(OutOfTimeError, match=complaint) as raised:
        pipeline.process(ref, lambda: next(clock))

    assert str(ref) in str(raised.value)
    assert list(everything(s3)) == [ref.key]


@pytest.mark.parametrize("work", [alone, in_batch])
def test_what_is_archived_is_an_error_until_it_is_restored(
    pipeline: Pipeline, s3: S3Client, work: Work
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"good film", StorageClass="GLACIER")

    outcomes = [work(pipeline, REVIEW), work(pipeline, REVIEW)]
    error = receipt_of(s3, REVIEW)["error"]
    s3.restore_object(Bucket=BUCKET, Key=REVIEW.key, RestoreRequest={"Days": 1})
    outcomes.append(work(pipeline, REVIEW))

    assert outcomes == [Outcome.REFUSED, Outcome.REFUSED, Outcome.CLASSIFIED]
    assert (error["code"], error["final"]) == ("archived", False)
    assert "restore it" in error["message"]
    assert receipt_of(s3, REVIEW)["sentiment"] == "positive"


def test_giving_up_leaves_an_error_that_the_next_delivery_mends(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"good film")

    pipeline.give_up(REVIEW, OutOfTimeError("no time"))
    given_up = receipt_of(s3, REVIEW)
    outcome = pipeline.process(REVIEW, plenty)

    assert given_up["error"]["code"] == "out_of_time"
    assert given_up["error"]["final"] is False
    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, REVIEW)["sentiment"] == "positive"


def test_giving_up_keeps_a_result(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    before = everything(s3)

    pipeline.give_up(REVIEW, TimeoutError())

    assert everything(s3) == before


def test_giving_up_on_a_newer_upload_replaces_the_older_result(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    etag = put(s3, REVIEW, b"awful film")

    pipeline.give_up(REVIEW, TimeoutError())

    receipt = receipt_of(s3, REVIEW)
    assert receipt["error"]["code"] == "not_processed"
    assert receipt["source"]["etag"] == etag


def test_giving_up_keeps_a_final_error(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"")
    pipeline.process(REVIEW, plenty)
    before = everything(s3)

    pipeline.give_up(REVIEW, TimeoutError())

    assert everything(s3) == before


def test_giving_up_on_what_was_deleted_writes_nothing(pipeline: Pipeline, s3: S3Client) -> None:
    pipeline.give_up(REVIEW, TimeoutError())

    assert everything(s3) == {}


@pytest.mark.parametrize("has_result", [False, True])
def test_giving_up_where_not_even_the_state_is_known(
    pipeline: Pipeline, s3: S3Client, *, has_result: bool
) -> None:
    """A result may be the current one and stays; an error in its place is better than nothing."""
    put(s3, REVIEW, b"good film")
    if has_result:
        pipeline.process(REVIEW, plenty)

    def refuse(**_: Any) -> None:
        raise TimeoutError

    s3.meta.events.register("before-call.s3.HeadObject", refuse)
    pipeline.give_up(REVIEW, TimeoutError())

    assert receipt_of(s3, REVIEW).get("error", {}).get("code") == (None if has_result else "not_processed")


def test_giving_up_does_not_quote_an_unknown_error(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"good film")

    pipeline.give_up(REVIEW, ValueError("my secret review"))

    assert "secret" not in read(s3, f"results/{REVIEW.key}.json").decode()


@pytest.mark.parametrize("key", ["results/incoming/a.txt", "elsewhere/a.txt", "incoming"])
def test_only_objects_under_the_source_prefix_are_classified(
    pipeline: Pipeline, s3: S3Client, key: str
) -> None:
    put(s3, ObjectRef(BUCKET, key), b"good film")

    outcome = pipeline.process(ObjectRef(BUCKET, key), plenty)

    assert outcome is Outcome.IGNORED
    assert list(everything(s3)) == [key]


def test_a_result_is_no_source_even_where_every_key_is(
    storage: Storage, classifier: Classifier, s3: S3Client
) -> None:
    """A results bucket of its own that is, against all advice, the source's bucket."""
    pipeline = Pipeline(storage, classifier, Settings(source_prefix="", results_bucket=BUCKET))
    put(s3, ObjectRef(BUCKET, "a.txt"), b"good film")
    pipeline.process(ObjectRef(BUCKET, "a.txt"), plenty)

    outcome = pipeline.process(ObjectRef(BUCKET, "results/a.txt.json"), plenty)

    assert outcome is Outcome.IGNORED


def test_the_marker_of_an_empty_folder_is_no_review(pipeline: Pipeline, s3: S3Client) -> None:
    folder = ObjectRef(BUCKET, "incoming/2026/")
    put(s3, folder, b"")

    assert pipeline.process(folder, plenty) is Outcome.IGNORED


def test_results_may_go_to_a_bucket_of_their_own(
    storage: Storage, classifier: Classifier, s3: S3Client
) -> None:
    s3.create_bucket(Bucket="verdicts")
    pipeline = Pipeline(storage, classifier, Settings(results_bucket="verdicts"))
    put(s3, TABLE, REVISIONS[TABLE][0])

    outcomes = [pipeline.process(TABLE, plenty), pipeline.process(TABLE, plenty)]

    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="verdicts")["Contents"]]
    assert outcomes == [Outcome.CLASSIFIED, Outcome.CURRENT]
    assert keys == [
        "results/incoming/export.jsonl.classified.jsonl",
        "results/incoming/export.jsonl.json",
    ]


def test_other_settings_make_another_result(storage: Storage, classifier: Classifier, s3: S3Client) -> None:
    put(s3, REVIEW, b"good film")
    Pipeline(storage, classifier, Settings(needs_review_below=0.5)).process(REVIEW, plenty)

    Pipeline(storage, classifier, Settings(needs_review_below=0.99)).process(REVIEW, plenty)

    assert receipt_of(s3, REVIEW)["needs_review"] is True


def test_in_a_versioned_bucket_the_version_is_recorded(pipeline: Pipeline, s3: S3Client) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    again = s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"good film")

    outcome = pipeline.process(REVIEW, plenty)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, REVIEW)["source"]["version"] == again["VersionId"]


def test_many_objects_end_as_each_alone(storage: Storage, classifier: Classifier, s3: S3Client) -> None:
    pipeline = Pipeline(storage, classifier, Settings(queue_url="https://queue.example"))
    refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(40)]
    for number, ref in enumerate(refs):
        put(s3, ref, b"great film . " * (number % 7) + b"awful")
    gone = ObjectRef(BUCKET, "incoming/gone.txt")
    elsewhere = ObjectRef("no-such-bucket", "incoming/a.txt")
    put(s3, TABLE, REVISIONS[TABLE][0])

    ends = dict(pipeline.process_all([*refs, gone, TABLE, elsewhere, *refs], plenty))

    together = everything(s3)
    failed = ends.pop(elsewhere)
    assert isinstance(failed, Exception)
    assert ends.pop(gone) is Outcome.GONE
    assert ends == dict.fromkeys([*refs, TABLE], Outcome.CLASSIFIED)
    for ref in (*refs, TABLE):
        s3.delete_object(Bucket=BUCKET, Key=f"results/{ref.key}.json")
        pipeline.process(ref, plenty)
    assert everything(s3) == together


def test_a_new_review_of_a_batch_costs_one_read(pipeline: Pipeline, s3: S3Client) -> None:
    """That of the source: where there is a receipt, writing another fails."""
    put(s3, REVIEW, b"great film")
    asked = operations(s3)

    outcome = in_batch(pipeline, REVIEW)

    assert outcome is Outcome.CLASSIFIED
    assert asked == ["GetObject", "PutObject"]


def test_a_review_of_a_batch_that_cannot_be_read_gets_its_error(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b" ")
    asked = operations(s3)

    outcome = in_batch(pipeline, REVIEW)

    assert outcome is Outcome.REFUSED
    assert receipt_of(s3, REVIEW)["error"]["code"] == "empty_review"
    assert asked[:-1] == ["GetObject", "PutObject"]


def test_in_a_batch_too_a_current_result_stays(pipeline: Pipeline, s3: S3Client) -> None:
    """And once one was found, others of the batch are not taken for new."""
    others = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(3)]
    for ref in (REVIEW, *others):
        put(s3, ref, b"great film")
        pipeline.process(ref, plenty)
    before = everything(s3)
    asked = operations(s3)

    outcome = in_batch(pipeline, REVIEW, *others)

    assert outcome is Outcome.CURRENT
    assert asked == ["GetObject", "PutObject", *["GetObject", "HeadObject"] * 4]
    assert everything(s3) == before


def test_an_overwritten_review_of_a_batch_is_classified_once(pipeline: Pipeline, s3: S3Client) -> None:
    recording = RecordingBackend(pipeline.classifier.batcher.backend)
    classifier = replace(pipeline.classifier, batcher=Batcher(recording, pad_token_id=0))
    put(s3, REVIEW, REVISIONS[REVIEW][0])
    pipeline.process(REVIEW, plenty)
    etag = put(s3, REVIEW, REVISIONS[REVIEW][1])

    outcome = in_batch(replace(pipeline, classifier=classifier), REVIEW)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, REVIEW)["source"]["etag"] == etag
    assert len(recording.batches) == 1


def test_what_was_made_of_an_older_state_is_not_written(pipeline: Pipeline, s3: S3Client) -> None:
    """The source is read, found to have a result, and replaced; no one else works on it yet."""
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    put(s3, REVIEW, b"great film")
    bystander = boto3.client("s3")
    etags = []

    at_call(s3, 3, lambda: etags.append(put(bystander, REVIEW, b"awful film")))
    outcome = in_batch(pipeline, REVIEW)

    assert outcome is Outcome.CLASSIFIED
    assert [receipt_of(bystander, REVIEW)["source"]["etag"]] == etags
    assert receipt_of(bystander, REVIEW)["sentiment"] == "negative"


def test_of_a_batch_delivered_again_nothing_is_taken_for_new(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"great film")
    settings = replace(pipeline.settings, queue_url="https://queue.example")
    asked = operations(s3)

    ends = dict(replace(pipeline, settings=settings).process_all([REVIEW, TABLE], plenty, again=True))

    assert ends == {REVIEW: Outcome.CLASSIFIED, TABLE: Outcome.GONE}
    assert sorted(asked) == [*["GetObject"] * 4, "PutObject"]


def test_a_current_result_needs_no_time(pipeline: Pipeline, s3: S3Client) -> None:
    put(s3, REVIEW, b"great film")
    pipeline.process(REVIEW, plenty)
    times = iter([900.0])
    settings = replace(pipeline.settings, queue_url="https://queue.example", objects_at_once=1)
    other = ObjectRef(BUCKET, "elsewhere")

    ends = dict(replace(pipeline, settings=settings).process_all([REVIEW, other], lambda: next(times, 0.0)))

    assert ends[REVIEW] is Outcome.CURRENT


def test_a_review_of_a_batch_takes_the_place_of_a_table(pipeline: Pipeline, s3: S3Client) -> None:
    """Of the same key; nothing of the table stays."""
    source = ObjectRef(BUCKET, "incoming/reviews.json")
    put(s3, source, b'[{"text": "good"}, {"text": "bad"}]')
    pipeline.process(source, plenty)
    (part,) = receipt_of(s3, source)["parts"]
    put(s3, source, b'{"text": "a great film"}')

    outcome = in_batch(pipeline, source)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, source)["sentiment"] == "positive"
    assert part["key"] not in everything(s3)


def test_large_objects_take_turns(pipeline: Pipeline, s3: S3Client) -> None:
    """Where time is short, some are finished, rather than all begun."""
    first, *refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(7)]
    for ref in (first, *refs):
        put(s3, ref, b"great film . " * 8000)
    looks = itertools.count(1)
    pipeline.process(first, lambda: 900.0 if next(looks) else 0.0)
    for_one = next(looks) - 1
    assert for_one > 50

    enough_for_two_and_a_half = iter([900.0] * (len(refs) + for_one * 5 // 2))
    ends = dict(pipeline.process_all(refs, lambda: next(enough_for_two_and_a_half, 0.0)))

    assert list(ends.values()).count(Outcome.CLASSIFIED) == 2
    assert sum(isinstance(end, OutOfTimeError) for end in ends.values()) == 4
