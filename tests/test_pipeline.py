import gzip
import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests import faulty_codec
from tests.conftest import BUCKET
from tests.documents.work import counted_lines
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.large_tables.work import read, storage_of
from tests.tiny import RecordingBackend

from reviewbox.documents import Step
from reviewbox.documents.compression import COMPRESSIONS
from reviewbox.errors import ContentionError, NativeFaultError, NotStartedError, OutOfTimeError
from reviewbox.folder_storage import FolderStorage
from reviewbox.model.batching import Batcher, Ids, Logits
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

# Nothing is ever sent to it; a pipeline with a queue processes objects concurrently.
QUEUE = Queue("https://queue.example")

REVIEW = ObjectRef(BUCKET, "incoming/2026/my review+é.txt")
TABLE = ObjectRef(BUCKET, "incoming/export.jsonl")

# Two revisions of each source.
REVISIONS = {
    REVIEW: (b"a great film", b"an awful film"),
    TABLE: (b'{"text": "good"}\n{"text": "bad"}\n', b'{"text": "awful"}\n'),
}


def plenty() -> float:
    return 900.0


@pytest.fixture
def hooks() -> "Hooks":
    return Hooks()


@pytest.fixture
def s3(store: S3, hooks: "Hooks") -> Client:
    return Client(store, hooks)


@pytest.fixture
def pipeline(storage: S3Storage, classifier: Classifier) -> Pipeline:
    return Pipeline(storage, classifier, Settings())


def exclusively(pipeline: Pipeline, ref: ObjectRef) -> Outcome:
    return pipeline.process(ref, plenty)


def in_batch(pipeline: Pipeline, *refs: ObjectRef) -> Outcome:
    """Process objects as a batch, one at a time, and return the outcome of the first."""
    settings = replace(pipeline.settings, objects_at_once=1)
    batch = replace(pipeline, settings=settings, queue=QUEUE)
    other = ObjectRef(BUCKET, "elsewhere/ignored")
    outcome = dict(batch.process_all([*refs, other], plenty))[refs[0]]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


Work = Callable[[Pipeline, ObjectRef], Outcome]


def put(s3: Client, ref: ObjectRef, body: bytes) -> str:
    etag: str = s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=body)["ETag"]
    return etag


def receipt_of(s3: Client, ref: ObjectRef) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads(read(s3, f"results/{ref.key}.json"))
    return receipt


def everything(s3: Client) -> dict[str, bytes]:
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return {key: read(s3, key) for key in keys}


@dataclass(slots=True)
class Hooks:
    """A gate that calls functions before a request, with its operation and its parameters."""

    functions: list[Callable[[str, Mapping[str, Any]], object]] = field(default_factory=list)

    def __call__(self, operation: str, params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        for function in self.functions:
            function(operation, params)
        return perform()

    def at_call(self, number: int, action: Callable[[], None]) -> None:
        """Run `action` just before the nth request from now, counted from 1."""
        calls = itertools.count(1)
        self.functions.append(lambda *_: action() if next(calls) == number else None)

    def operations(self) -> list[str]:
        """Return a list that receives the name of the operation of each request from now on."""
        names: list[str] = []
        self.functions.append(lambda operation, _: names.append(operation))
        return names


def test_a_review_gets_a_receipt(pipeline: Pipeline, s3: Client) -> None:
    etag = put(s3, REVIEW, b"the film . great film . not bad .")

    outcome = pipeline.process(REVIEW, plenty)

    receipt = receipt_of(s3, REVIEW)
    assert outcome is Outcome.CLASSIFIED
    assert receipt["sentiment"] == "negative"
    assert receipt["tokens"] == 9
    assert receipt["source"]["etag"] == etag
    assert receipt["source"]["key"] == REVIEW.key


def test_a_table_gets_a_classified_table_and_a_receipt_with_counts(pipeline: Pipeline, s3: Client) -> None:
    put(s3, TABLE, b'{"id":1,"text":"good"}\nnot json\n{"id":3,"text":"bad"}\n{"id":4,"text":" "}\n')

    pipeline.process(TABLE, plenty)

    receipt = receipt_of(s3, TABLE)
    (part,) = receipt["parts"]
    lines = read(s3, part["key"]).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert part["key"].startswith("results/incoming/export.jsonl.classified/")
    assert part["key"].endswith("/part-00000.jsonl")
    assert [row["sentiment"] for row in rows] == ["positive", None, "negative", None]
    assert [row["error_code"] for row in rows] == [None, "broken_json", None, "empty_review"]
    assert rows[3]["error_message"].startswith("line 4: ")
    assert receipt["counts"] == {
        "total": 4,
        "labels": {"negative": 1, "positive": 1},
        "needs_review": 0,
        "other_language": 0,
        "failed": 2,
        "errors": {"broken_json": 1, "empty_review": 1},
    }


@pytest.mark.parametrize("ref", REVISIONS)
def test_a_duplicate_event_changes_nothing(pipeline: Pipeline, s3: Client, ref: ObjectRef) -> None:
    put(s3, ref, REVISIONS[ref][0])
    pipeline.process(ref, plenty)
    before = everything(s3)

    outcome = pipeline.process(ref, plenty)

    assert outcome is Outcome.CURRENT
    assert everything(s3) == before


@pytest.mark.parametrize("name", ["export.xlsx", "export.parquet", "export.xlsx.gz"])
def test_a_binary_table_is_current_once_and_leaves_nothing_behind(
    pipeline: Pipeline, s3: Client, name: str
) -> None:
    ref = ObjectRef(BUCKET, f"incoming/{name}")
    frame, content = pd.DataFrame({"text": ["good", "bad"]}), io.BytesIO()
    (frame.to_parquet if "parquet" in name else frame.to_excel)(content, index=False)
    body = content.getvalue()
    put(s3, ref, gzip.compress(body) if name.endswith(".gz") else body)

    assert pipeline.process(ref, plenty) is Outcome.CLASSIFIED
    assert pipeline.process(ref, plenty) is Outcome.CURRENT
    assert len(tables_of(s3, ref)) == 1
    put(s3, ref, b"")
    pipeline.process(ref, plenty)
    assert not tables_of(s3, ref)


def test_a_parquet_file_does_not_share_an_invocation(pipeline: Pipeline, s3: Client) -> None:
    """A few compressed pages may hold as many reviews as an invocation can classify."""
    content = io.BytesIO()
    pd.DataFrame({"text": ["good", "bad"]}).to_parquet(content, index=False)
    file = ObjectRef(BUCKET, "incoming/a.parquet")
    put(s3, file, content.getvalue())
    put(s3, REVIEW, b"great film")

    outcomes = dict(replace(pipeline, queue=QUEUE).process_all([file, REVIEW], plenty))

    assert isinstance(outcomes[file], NotStartedError)
    assert outcomes[REVIEW] is Outcome.CLASSIFIED


@pytest.mark.parametrize(("ref", "parts"), [(REVIEW, 0), (TABLE, 1)])
def test_an_object_with_a_current_result_costs_one_read(
    pipeline: Pipeline, hooks: Hooks, s3: Client, ref: ObjectRef, parts: int
) -> None:
    """Only the receipt is read. For the source and the parts, the revision is enough."""
    put(s3, ref, REVISIONS[ref][0])
    pipeline.process(ref, plenty)
    requested = hooks.operations()

    pipeline.process(ref, plenty)

    assert requested == ["GetObject", *["HeadObject"] * parts, "HeadObject"]


class PanicException(BaseException):
    """Stands for a panic of a library in Rust, which is not an Exception."""


class PanickingBackend(RecordingBackend):
    """Panics on windows of more than `_LIMIT` tokens."""

    _LIMIT = 8

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids) -> Logits:
        if input_ids.shape[1] > self._LIMIT:
            raise PanicException("called `Option::unwrap()` on a `None` value")
        return super().run(input_ids, attention_mask, token_type_ids)


def test_a_panic_of_native_code_fails_one_object_only(
    storage: S3Storage, classifier: Classifier, s3: Client
) -> None:
    backend = PanickingBackend(classifier.batcher.backend)
    panicking = replace(classifier, batcher=Batcher(backend, pad_token_id=0))
    refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(8)]
    for ref in refs:
        put(s3, ref, b"good film " * (5 if ref is refs[3] else 1))

    outcomes = dict(Pipeline(storage, panicking, Settings(), QUEUE).process_all(refs, plenty))

    failed = outcomes.pop(refs[3])
    assert isinstance(failed, NativeFaultError)
    assert str(failed) == "a library failed with PanicException"
    assert set(outcomes.values()) == {Outcome.CLASSIFIED}


def test_a_new_object_needs_no_head_request(pipeline: Pipeline, hooks: Hooks, s3: Client) -> None:
    put(s3, REVIEW, b"great film")
    requested = hooks.operations()

    pipeline.process(REVIEW, plenty)

    assert requested == ["GetObject", "GetObject", "PutObject"]


def test_a_result_records_the_revision_that_was_read(
    pipeline: Pipeline, hooks: Hooks, store: S3, s3: Client
) -> None:
    put(s3, REVIEW, b"great film")
    pipeline.process(REVIEW, plenty)
    put(s3, REVIEW, b"good film")
    other_client = Client(store)
    etags = []

    hooks.at_call(3, lambda: etags.append(put(other_client, REVIEW, b"awful film")))
    pipeline.process(REVIEW, plenty)

    receipt = receipt_of(other_client, REVIEW)
    assert [receipt["source"]["etag"]] == etags
    assert receipt["sentiment"] == "negative"


@pytest.mark.parametrize("ref", REVISIONS)
def test_a_newer_upload_replaces_the_result(pipeline: Pipeline, s3: Client, ref: ObjectRef) -> None:
    put(s3, ref, REVISIONS[ref][0])
    pipeline.process(ref, plenty)
    etag = put(s3, ref, REVISIONS[ref][1])

    outcome = pipeline.process(ref, plenty)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, ref)["source"]["etag"] == etag


def steps(work: Work, requests: dict[ObjectRef, int]) -> list[tuple[Work, ObjectRef, int]]:
    """Return every request that a worker sends to S3."""
    return [(work, ref, call) for ref, count in requests.items() for call in range(1, count + 1)]


# Read the receipt, read the source, write. In a batch, read the source first, then write the result if the
# source is a review.
STEPS = steps(exclusively, {REVIEW: 3, TABLE: 4}) + steps(in_batch, {REVIEW: 2, TABLE: 5})
# With an older result: read the receipt, get the revisions of the part and the source, read the source, write
# the table, list its parts, write the receipt. In a batch, read the source first; if it is a review, fail to
# write, and do not read it again.
STEPS_OVER_A_RESULT = steps(exclusively, {REVIEW: 5, TABLE: 7}) + steps(in_batch, {REVIEW: 6, TABLE: 8})


@pytest.mark.parametrize(("work", "ref", "call"), STEPS)
def test_the_newer_revision_wins_a_race_of_two_workers(
    pipeline: Pipeline,
    hooks: Hooks,
    store: S3,
    s3: Client,
    classifier: Classifier,
    work: Work,
    ref: ObjectRef,
    call: int,
) -> None:
    """Before a worker's nth request, a newer revision is uploaded, and another worker classifies it."""
    older, newer = REVISIONS[ref]
    put(s3, ref, older)
    other_client = Client(store)
    rival = Pipeline(storage_of(store), classifier, Settings())
    rival_results: dict[str, bytes] = {}

    def overtake() -> None:
        put(other_client, ref, newer)
        rival.process(ref, plenty)
        rival_results.update(everything(other_client))

    hooks.at_call(call, overtake)
    work(pipeline, ref)

    assert rival_results
    # Only a table that the worker had written before it was overtaken is gone.
    remaining = everything(other_client)
    assert remaining.items() <= rival_results.items()
    assert tables_of(other_client, ref) == {
        part["key"] for part in receipt_of(other_client, ref).get("parts", [])
    }
    assert rival.process(ref, plenty) is Outcome.CURRENT


@pytest.mark.parametrize(("work", "ref", "call"), STEPS_OVER_A_RESULT)
def test_a_worker_that_is_overtaken_while_it_replaces_a_result_keeps_the_newest(
    pipeline: Pipeline,
    hooks: Hooks,
    store: S3,
    s3: Client,
    classifier: Classifier,
    work: Work,
    ref: ObjectRef,
    call: int,
) -> None:
    """As above, but there is a result of an earlier revision whose content the newest revision has, too.

    If such uploads happen within one second, only their versions differ.
    """
    store.buckets[BUCKET].is_versioned = True
    first, second = REVISIONS[ref]
    put(s3, ref, first)
    pipeline.process(ref, plenty)
    put(s3, ref, second)
    other_client = Client(store)
    rival = Pipeline(storage_of(store), classifier, Settings())
    overtaken = []

    def overtake() -> None:
        put(other_client, ref, first)
        overtaken.append(rival.process(ref, plenty))

    hooks.at_call(call, overtake)
    work(pipeline, ref)

    assert overtaken == [Outcome.CLASSIFIED]
    for part in receipt_of(other_client, ref).get("parts", []):
        assert other_client.head_object(Bucket=BUCKET, Key=part["key"])["ETag"] == part["etag"]
    assert rival.process(ref, plenty) is Outcome.CURRENT


class WorkerKilledError(BaseException):
    """No `except Exception` may catch what outcomes a process."""


@pytest.mark.parametrize(("work", "ref", "call"), STEPS)
def test_the_next_delivery_finishes_the_work_of_a_killed_worker(
    pipeline: Pipeline,
    hooks: Hooks,
    store: S3,
    s3: Client,
    classifier: Classifier,
    work: Work,
    ref: ObjectRef,
    call: int,
) -> None:
    put(s3, ref, REVISIONS[ref][0])

    def kill() -> None:
        raise WorkerKilledError

    hooks.at_call(call, kill)
    with pytest.raises(WorkerKilledError):
        work(pipeline, ref)
    next_worker = Pipeline(storage_of(store), classifier, Settings())
    outcome = work(next_worker, ref)

    assert outcome is Outcome.CLASSIFIED
    assert next_worker.process(ref, plenty) is Outcome.CURRENT


# Read the receipt and the source, fail to write the table, read what is there, replace it, write the receipt.
@pytest.mark.parametrize("call", range(1, 7))
def test_a_table_always_matches_its_receipt(
    pipeline: Pipeline, hooks: Hooks, store: S3, s3: Client, classifier: Classifier, call: int
) -> None:
    """Even if something else is in the table's place, and a worker is overtaken and then killed, too."""
    older, newer = REVISIONS[TABLE]
    put(s3, TABLE, older)
    pipeline.process(TABLE, plenty)
    (part,) = receipt_of(s3, TABLE)["parts"]
    put(s3, ObjectRef(BUCKET, part["key"]), b"left behind")
    s3.delete_object(Bucket=BUCKET, Key=f"results/{TABLE.key}.json")
    other_client = Client(store)
    rival = Pipeline(storage_of(store), classifier, Settings())
    overtaken = []

    def overtake() -> None:
        put(other_client, TABLE, newer)
        overtaken.append(rival.process(TABLE, plenty))

    def die(operation: str, params: Mapping[str, Any]) -> None:
        if overtaken and operation == "PutObject" and params["Key"].endswith(".json"):
            raise WorkerKilledError

    hooks.at_call(call, overtake)
    hooks.functions.append(die)
    with suppress(WorkerKilledError):
        pipeline.process(TABLE, plenty)

    (part,) = receipt_of(other_client, TABLE)["parts"]
    assert overtaken == [Outcome.CLASSIFIED]
    assert other_client.head_object(Bucket=BUCKET, Key=part["key"])["ETag"] == part["etag"]
    assert rival.process(TABLE, plenty, redelivered=True) is Outcome.CURRENT
    assert tables_of(other_client, TABLE) == {part["key"]}


def test_a_lost_table_is_restored(pipeline: Pipeline, s3: Client) -> None:
    put(s3, TABLE, REVISIONS[TABLE][0])
    pipeline.process(TABLE, plenty)
    (before,) = receipt_of(s3, TABLE)["parts"]
    table = read(s3, before["key"])
    s3.delete_object(Bucket=BUCKET, Key=before["key"])

    pipeline.process(TABLE, plenty)

    (after,) = receipt_of(s3, TABLE)["parts"]
    assert after["etag"] == before["etag"]
    assert tables_of(s3, TABLE) == {after["key"]}
    assert read(s3, after["key"]) == table


def test_endless_contention_is_an_error(pipeline: Pipeline, hooks: Hooks, store: S3, s3: Client) -> None:
    put(s3, REVIEW, b"good film")
    other_client = Client(store)
    versions = iter(range(1000))

    def interfere(operation: str, _params: Mapping[str, Any]) -> None:
        if operation == "PutObject":
            put(other_client, ObjectRef(BUCKET, f"results/{REVIEW.key}.json"), f"{next(versions)}".encode())

    hooks.functions.append(interfere)

    with pytest.raises(ContentionError, match=r"my review\+é"):
        pipeline.process(REVIEW, plenty)


def test_a_deleted_source_keeps_its_result(pipeline: Pipeline, s3: Client) -> None:
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
        ("incoming/picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "unsupported_format"),
        ("incoming/report.xlsx", b"PK\x03\x04\x14\0", "unsupported_format"),
        ("incoming/header.csv", b"id,review\n", "header_only"),
        ("incoming/blank.jsonl", b"\n \n", "empty_table"),
        ("incoming/numbers.jsonl", b'{"id": 1}\n{"id": 2}\n', "no_text_field"),
        ("incoming/large.txt", b"good " * 100, "too_large"),
    ],
)
def test_a_permanent_error_is_recorded_at_once(
    storage: S3Storage, classifier: Classifier, s3: Client, key: str, body: bytes, code: str
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


@pytest.mark.parametrize("work", [exclusively, in_batch])
@pytest.mark.parametrize("segment_bytes", [10, 1_000_000])
@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("incoming/a.txt", b"good film, %b"),
        ("incoming/a.csv", b"id,review\n1,good film\n2,%b film\n"),
        ("incoming/a.jsonl", b'{"review": "good"}\n' * 2000 + b'{"review": "%b"}\n'),
    ],
)
def test_a_fault_in_a_reader_is_recorded_at_once(
    storage: S3Storage,
    classifier: Classifier,
    s3: Client,
    caplog: pytest.LogCaptureFixture,
    work: Work,
    segment_bytes: int,
    key: str,
    body: bytes,
) -> None:
    """Another delivery would fail in the same way. The log has the traceback, without the message."""
    faulty_codec.register()
    options = {"fallback_encoding": faulty_codec.ENCODING, "segment_bytes": segment_bytes}
    pipeline = Pipeline(storage, classifier, replace(Settings(), **options))  # type: ignore[arg-type]
    ref = ObjectRef(BUCKET, key)
    put(s3, ref, body % faulty_codec.TRIGGER)

    try:
        outcomes = [work(pipeline, ref), work(pipeline, ref)]
    except NotStartedError:
        pytest.skip("a large object is not processed in a batch")

    error = receipt_of(s3, ref)["error"]
    assert outcomes == [Outcome.REFUSED, Outcome.CURRENT]
    assert (error["code"], error["final"]) == ("internal_error", True)
    assert "RuntimeError" in error["message"]
    record = caplog.records[0]
    assert record.getMessage() == "object.unreadable"
    assert vars(record)["reason"] == "RuntimeError"
    assert any("encoding.py" in frame for frame in vars(record)["frames"])
    assert faulty_codec.SECRET not in error["message"] + str(vars(record))


@pytest.mark.parametrize("ref", [TABLE, REVIEW], ids=["table", "review"])
@pytest.mark.parametrize(
    ("seconds", "message"), [([1.0], "to start"), ([900.0, 900.0, 1.0], "more time than the function")]
)
def test_nothing_is_written_if_time_runs_out(
    pipeline: Pipeline, s3: Client, ref: ObjectRef, seconds: list[float], message: str
) -> None:
    """The deadline is checked throughout, because even a single review may take long."""
    words = "good film " * 500
    put(s3, ref, words.encode() if ref is REVIEW else json.dumps({"text": words}).encode())
    clock = iter(seconds)

    with pytest.raises(OutOfTimeError, match=message) as raised:
        pipeline.process(ref, lambda: next(clock))

    assert str(ref) in str(raised.value)
    assert list(everything(s3)) == [ref.key]


def test_a_recorded_failure_is_replaced_by_the_next_delivery(pipeline: Pipeline, s3: Client) -> None:
    put(s3, REVIEW, b"good film")

    pipeline.record_failure(REVIEW, OutOfTimeError("no time"))
    given_up = receipt_of(s3, REVIEW)
    outcome = pipeline.process(REVIEW, plenty)

    assert given_up["error"]["code"] == "out_of_time"
    assert given_up["error"]["final"] is False
    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, REVIEW)["sentiment"] == "positive"


def test_the_last_attempt_is_made_even_if_it_cannot_be_announced(
    pipeline: Pipeline, s3: Client, hooks: Hooks
) -> None:
    put(s3, REVIEW, b"good film")
    refused: list[str] = []

    def refuse_first(operation: str, _params: Mapping[str, Any]) -> None:
        if operation == "HeadObject" and not refused:
            refused.append(operation)
            raise PermissionError

    hooks.functions.append(refuse_first)
    ((_, outcome),) = pipeline.process_all([REVIEW], plenty, redelivered=True, last=[REVIEW])

    assert refused
    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, REVIEW)["sentiment"] == "positive"


def test_recording_a_failure_keeps_a_current_result(pipeline: Pipeline, s3: Client) -> None:
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    before = everything(s3)

    pipeline.record_failure(REVIEW, TimeoutError())

    assert everything(s3) == before


def test_recording_a_failure_of_a_newer_revision_replaces_the_older_result(
    pipeline: Pipeline, s3: Client
) -> None:
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    etag = put(s3, REVIEW, b"awful film")

    pipeline.record_failure(REVIEW, TimeoutError())

    receipt = receipt_of(s3, REVIEW)
    assert receipt["error"]["code"] == "not_processed"
    assert receipt["source"]["etag"] == etag


def test_recording_a_failure_keeps_a_final_error(pipeline: Pipeline, s3: Client) -> None:
    put(s3, REVIEW, b"")
    pipeline.process(REVIEW, plenty)
    before = everything(s3)

    pipeline.record_failure(REVIEW, TimeoutError())

    assert everything(s3) == before


def test_the_failure_of_a_deleted_object_is_not_recorded(pipeline: Pipeline, s3: Client) -> None:
    pipeline.record_failure(REVIEW, TimeoutError())

    assert everything(s3) == {}


@pytest.mark.parametrize("body", [None, b"good film", b""])
def test_recording_a_failure_without_knowing_the_revision(
    pipeline: Pipeline, hooks: Hooks, s3: Client, body: bytes | None
) -> None:
    """An existing receipt stays because it may be current. Without one, an error is better than nothing.

    The receipt may be an error that is final: another worker has just refused the object, and its message is
    gone. Nobody would write that receipt again.
    """
    put(s3, REVIEW, body or b"good film")
    if body is not None:
        put(s3, REVIEW, body)
        pipeline.process(REVIEW, plenty)
    before = everything(s3)

    def refuse(operation: str, _params: Mapping[str, Any]) -> None:
        if operation == "HeadObject":
            raise TimeoutError

    hooks.functions.append(refuse)
    pipeline.record_failure(REVIEW, TimeoutError())

    if body is None:
        assert receipt_of(s3, REVIEW)["error"]["code"] == "not_processed"
    else:
        assert everything(s3) == before


def test_a_recorded_failure_does_not_quote_the_error(pipeline: Pipeline, s3: Client) -> None:
    put(s3, REVIEW, b"good film")

    pipeline.record_failure(REVIEW, ValueError("my secret review"))

    assert "secret" not in read(s3, f"results/{REVIEW.key}.json").decode()


@pytest.mark.parametrize("key", ["results/incoming/a.txt", "elsewhere/a.txt", "incoming"])
def test_only_objects_under_the_source_prefix_are_classified(
    pipeline: Pipeline, s3: Client, key: str
) -> None:
    put(s3, ObjectRef(BUCKET, key), b"good film")

    outcome = pipeline.process(ObjectRef(BUCKET, key), plenty)

    assert outcome is Outcome.IGNORED
    assert list(everything(s3)) == [key]


def test_a_result_is_not_a_source_even_if_every_key_is(
    storage: S3Storage, classifier: Classifier, s3: Client
) -> None:
    """The results bucket is set explicitly to the source bucket, against all advice."""
    pipeline = Pipeline(storage, classifier, Settings(source_prefix="", results_bucket=BUCKET))
    put(s3, ObjectRef(BUCKET, "a.txt"), b"good film")
    pipeline.process(ObjectRef(BUCKET, "a.txt"), plenty)

    outcome = pipeline.process(ObjectRef(BUCKET, "results/a.txt.json"), plenty)

    assert outcome is Outcome.IGNORED


def test_a_folder_marker_is_not_a_review(pipeline: Pipeline, s3: Client) -> None:
    folder = ObjectRef(BUCKET, "incoming/2026/")
    put(s3, folder, b"")

    assert pipeline.process(folder, plenty) is Outcome.IGNORED


@pytest.mark.parametrize("name", ["_SUCCESS", ".DS_Store", "a_$folder$", "part-0.csv.crc", "~$book.xlsx"])
@pytest.mark.parametrize("work", [exclusively, in_batch])
def test_a_file_that_a_tool_left_is_not_a_review(
    pipeline: Pipeline, s3: Client, work: Work, name: str
) -> None:
    """It gets no receipt, even if it is not empty."""
    ref = ObjectRef(BUCKET, f"incoming/2026/{name}")
    put(s3, ref, b"good film")

    assert work(pipeline, ref) is Outcome.IGNORED
    assert list(everything(s3)) == [ref.key]


def test_results_may_go_to_another_bucket(
    store: S3, storage: S3Storage, classifier: Classifier, s3: Client
) -> None:
    store.buckets["verdicts"] = Bucket()
    pipeline = Pipeline(storage, classifier, Settings(results_bucket="verdicts"))
    put(s3, TABLE, REVISIONS[TABLE][0])

    outcomes = [pipeline.process(TABLE, plenty), pipeline.process(TABLE, plenty)]

    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="verdicts")["Contents"]]
    assert outcomes == [Outcome.CLASSIFIED, Outcome.CURRENT]
    receipt = json.loads(s3.get_object(Bucket="verdicts", Key=keys[-1])["Body"].read())
    assert keys == [*(part["key"] for part in receipt["parts"]), "results/incoming/export.jsonl.json"]


def test_other_settings_give_another_result(storage: S3Storage, classifier: Classifier, s3: Client) -> None:
    put(s3, REVIEW, b"good film")
    Pipeline(storage, classifier, Settings(needs_review_below=0.5)).process(REVIEW, plenty)

    Pipeline(storage, classifier, Settings(needs_review_below=0.99)).process(REVIEW, plenty)

    assert receipt_of(s3, REVIEW)["needs_review"] is True


def test_the_version_in_a_versioned_bucket_is_recorded(pipeline: Pipeline, store: S3, s3: Client) -> None:
    store.buckets[BUCKET].is_versioned = True
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    again = s3.put_object(Bucket=BUCKET, Key=REVIEW.key, Body=b"good film")

    outcome = pipeline.process(REVIEW, plenty)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, REVIEW)["source"]["version"] == again["VersionId"]


def test_objects_of_a_batch_get_the_same_results_as_alone(
    storage: S3Storage, classifier: Classifier, s3: Client
) -> None:
    pipeline = Pipeline(storage, classifier, Settings(), QUEUE)
    refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(40)]
    for number, ref in enumerate(refs):
        put(s3, ref, b"great film . " * (number % 7) + b"awful")
    gone = ObjectRef(BUCKET, "incoming/gone.txt")
    elsewhere = ObjectRef("no-such-bucket", "incoming/a.txt")
    put(s3, TABLE, REVISIONS[TABLE][0])

    outcomes = dict(pipeline.process_all([*refs, gone, TABLE, elsewhere, *refs], plenty))

    together = everything(s3)
    failed = outcomes.pop(elsewhere)
    assert isinstance(failed, Exception)
    assert outcomes.pop(gone) is Outcome.GONE
    assert outcomes == dict.fromkeys([*refs, TABLE], Outcome.CLASSIFIED)
    for ref in (*refs, TABLE):
        s3.delete_object(Bucket=BUCKET, Key=f"results/{ref.key}.json")
        pipeline.process(ref, plenty)
    assert everything(s3) == together


def test_a_new_review_of_a_batch_costs_one_read(pipeline: Pipeline, hooks: Hooks, s3: Client) -> None:
    """Only the source is read. If there is a receipt, writing another one fails."""
    put(s3, REVIEW, b"great film")
    requested = hooks.operations()

    outcome = in_batch(pipeline, REVIEW)

    assert outcome is Outcome.CLASSIFIED
    assert requested == ["GetObject", "PutObject"]


def test_an_unreadable_review_of_a_batch_gets_its_error(pipeline: Pipeline, hooks: Hooks, s3: Client) -> None:
    put(s3, REVIEW, b" ")
    requested = hooks.operations()

    outcome = in_batch(pipeline, REVIEW)

    assert outcome is Outcome.REFUSED
    assert receipt_of(s3, REVIEW)["error"]["code"] == "empty_review"
    assert requested[:-1] == ["GetObject", "PutObject"]


def test_a_current_result_stays_in_a_batch(pipeline: Pipeline, hooks: Hooks, s3: Client) -> None:
    """After the first one, the other objects of the batch do not take the fast path."""
    others = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(3)]
    for ref in (REVIEW, *others):
        put(s3, ref, b"great film")
        pipeline.process(ref, plenty)
    before = everything(s3)
    requested = hooks.operations()

    outcome = in_batch(pipeline, REVIEW, *others)

    assert outcome is Outcome.CURRENT
    assert requested == ["GetObject", "PutObject", *["GetObject", "HeadObject"] * 4]
    assert everything(s3) == before


def test_an_overwritten_review_of_a_batch_is_classified_once(pipeline: Pipeline, s3: Client) -> None:
    recording = RecordingBackend(pipeline.classifier.batcher.backend)
    classifier = replace(pipeline.classifier, batcher=Batcher(recording, pad_token_id=0))
    put(s3, REVIEW, REVISIONS[REVIEW][0])
    pipeline.process(REVIEW, plenty)
    etag = put(s3, REVIEW, REVISIONS[REVIEW][1])

    outcome = in_batch(replace(pipeline, classifier=classifier), REVIEW)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, REVIEW)["source"]["etag"] == etag
    assert len(recording.batches) == 1


def test_a_pending_receipt_of_an_older_revision_is_not_written(
    pipeline: Pipeline, hooks: Hooks, store: S3, s3: Client
) -> None:
    """The source is replaced after it was read, and before its receipt is."""
    put(s3, REVIEW, b"good film")
    pipeline.process(REVIEW, plenty)
    put(s3, REVIEW, b"great film")
    other_client = Client(store)
    etags = []

    hooks.at_call(3, lambda: etags.append(put(other_client, REVIEW, b"awful film")))
    outcome = in_batch(pipeline, REVIEW)

    assert outcome is Outcome.CLASSIFIED
    assert [receipt_of(other_client, REVIEW)["source"]["etag"]] == etags
    assert receipt_of(other_client, REVIEW)["sentiment"] == "negative"


def test_a_redelivered_batch_does_not_take_the_fast_path(
    pipeline: Pipeline, hooks: Hooks, s3: Client
) -> None:
    put(s3, REVIEW, b"great film")
    batch = replace(pipeline, queue=QUEUE)
    requested = hooks.operations()

    outcomes = dict(batch.process_all([REVIEW, TABLE], plenty, redelivered=True))

    assert outcomes == {REVIEW: Outcome.CLASSIFIED, TABLE: Outcome.GONE}
    # The lists look for the leftovers of a worker that died.
    assert sorted(requested) == [*["GetObject"] * 4, *["ListObjectsV2"] * 2, "PutObject"]


def test_a_current_result_is_found_without_time_to_classify(pipeline: Pipeline, s3: Client) -> None:
    put(s3, REVIEW, b"great film")
    pipeline.process(REVIEW, plenty)
    times = iter([900.0])
    batch = replace(pipeline, settings=replace(pipeline.settings, objects_at_once=1), queue=QUEUE)
    other = ObjectRef(BUCKET, "elsewhere")

    def remaining_seconds() -> float:
        """Return time enough to one check of a worker, and to who waits for the workers."""
        return 900.0 if threading.current_thread() is threading.main_thread() else next(times, 0.0)

    outcomes = dict(batch.process_all([REVIEW, other], remaining_seconds))

    assert outcomes[REVIEW] is Outcome.CURRENT


def test_a_review_of_a_batch_replaces_a_table_with_the_same_key(pipeline: Pipeline, s3: Client) -> None:
    """Nothing of the table remains."""
    source = ObjectRef(BUCKET, "incoming/reviews.json")
    put(s3, source, b'[{"text": "good"}, {"text": "bad"}]')
    pipeline.process(source, plenty)
    (part,) = receipt_of(s3, source)["parts"]
    put(s3, source, b'{"text": "a great film"}')

    outcome = in_batch(pipeline, source)

    assert outcome is Outcome.CLASSIFIED
    assert receipt_of(s3, source)["sentiment"] == "positive"
    assert part["key"] not in everything(s3)


# A key whose content decides its format, so that any revision may be a table, a review, or refused.
ANY = ObjectRef(BUCKET, "incoming/export")
CSV_TABLE = b"id,review\n" + b"1,good film\n" * 20
REPLACEMENTS = {
    "refused": b"%PDF-1.7\n",
    "review": b"a great film",
    "empty": b"",
    "other extension": b'{"text": "good"}\n{"text": "bad"}\n',
    "compressed": gzip.compress(CSV_TABLE, mtime=0),
}


def tables_of(s3: Client, ref: ObjectRef) -> set[str]:
    """Return the keys of all objects of a source's classified tables."""
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"results/{ref.key}.classified")
    return {item["Key"] for item in listed.get("Contents", [])}


def in_parts(pipeline: Pipeline) -> Pipeline:
    return replace(pipeline, settings=replace(pipeline.settings, segment_bytes=100))


@pytest.mark.parametrize("work", [exclusively, in_batch])
@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_nothing_of_a_replaced_table_remains(
    pipeline: Pipeline, s3: Client, work: Work, replacement: str, *, parts: bool
) -> None:
    first = in_parts(pipeline) if parts else pipeline
    put(s3, ANY, CSV_TABLE)
    first.process(ANY, plenty)
    old = tables_of(s3, ANY)
    assert len(old) == (3 if parts else 1)
    put(s3, ANY, REPLACEMENTS[replacement])

    # A compressed object may be large, so it is not processed in a batch.
    (exclusively if replacement == "compressed" else work)(pipeline, ANY)

    recorded = {part["key"] for part in receipt_of(s3, ANY).get("parts", [])}
    assert tables_of(s3, ANY) == recorded
    assert not recorded & old
    assert pipeline.process(ANY, plenty) is Outcome.CURRENT


def test_a_table_in_parts_replaces_one_of_another_extension(pipeline: Pipeline, s3: Client) -> None:
    put(s3, ANY, REPLACEMENTS["other extension"])
    pipeline.process(ANY, plenty)
    put(s3, ANY, CSV_TABLE)

    in_parts(pipeline).process(ANY, plenty)

    assert tables_of(s3, ANY) == {part["key"] for part in receipt_of(s3, ANY)["parts"]}


@pytest.mark.parametrize("name", [".csv", ".jsonl.gz", "/part-00000.csv"])
def test_a_table_of_an_earlier_version_is_removed(pipeline: Pipeline, s3: Client, name: str) -> None:
    """Its key did not contain an id, and the receipt that recorded it is not valid any more."""
    old = f"results/{ANY.key}.classified{name}"
    put(s3, ANY, CSV_TABLE)
    put(s3, ObjectRef(BUCKET, old), b"id,review,sentiment\n")
    put(s3, ObjectRef(BUCKET, f"results/{ANY.key}.json"), b'{"format": 3}')

    assert pipeline.process(ANY, plenty) is Outcome.CLASSIFIED

    assert tables_of(s3, ANY) == {part["key"] for part in receipt_of(s3, ANY)["parts"]}


def test_a_failure_removes_the_older_table(pipeline: Pipeline, s3: Client) -> None:
    put(s3, ANY, CSV_TABLE)
    pipeline.process(ANY, plenty)
    put(s3, ANY, CSV_TABLE * 2)
    pipeline.record_failure(ANY, TimeoutError())

    assert receipt_of(s3, ANY)["error"]["final"] is False
    assert not tables_of(s3, ANY)


@pytest.mark.parametrize(
    "key",
    [
        "incoming/other.csv",
        "results/incoming/export.txt.json",
        "results/incoming/export.classified.txt",
        "results/incoming/export.classified/notes/part-00000.csv",
        "results/incoming/export2.classified.csv",
    ],
)
def test_an_object_that_only_a_receipt_names_is_not_removed(pipeline: Pipeline, s3: Client, key: str) -> None:
    """Other principals may be able to write receipts."""
    put(s3, ANY, CSV_TABLE)
    pipeline.process(ANY, plenty)
    etag = put(s3, ObjectRef(BUCKET, key), b"precious")
    forged = receipt_of(s3, ANY)
    forged["parts"].append({"bucket": BUCKET, "key": key, "etag": etag})
    put(s3, ObjectRef(BUCKET, f"results/{ANY.key}.json"), json.dumps(forged).encode())
    put(s3, ANY, REPLACEMENTS["refused"])

    pipeline.process(ANY, plenty)
    pipeline.record_failure(ANY, TimeoutError())

    assert everything(s3)[key] == b"precious"
    assert not tables_of(s3, ANY) - {key}


def test_a_receipt_that_names_a_foreign_object_is_not_current(pipeline: Pipeline, s3: Client) -> None:
    put(s3, ANY, CSV_TABLE)
    pipeline.process(ANY, plenty)
    etag = put(s3, ObjectRef(BUCKET, "incoming/other.csv"), b"precious")
    forged = receipt_of(s3, ANY)
    forged["parts"] = [{"bucket": BUCKET, "key": "incoming/other.csv", "etag": etag}]
    put(s3, ObjectRef(BUCKET, f"results/{ANY.key}.json"), json.dumps(forged).encode())

    assert pipeline.process(ANY, plenty) is Outcome.CLASSIFIED
    assert tables_of(s3, ANY) == {part["key"] for part in receipt_of(s3, ANY)["parts"]}
    assert everything(s3)["incoming/other.csv"] == b"precious"
    assert pipeline.process(ANY, plenty) is Outcome.CURRENT


# Read the receipt, get the revisions of the part and the source, read the source, list the tables, write the
# receipt, delete the table.
@pytest.mark.parametrize("call", range(1, 8))
def test_a_worker_that_is_overtaken_while_it_refuses_a_source_keeps_the_newer_table(
    pipeline: Pipeline, hooks: Hooks, store: S3, s3: Client, classifier: Classifier, call: int
) -> None:
    """The newest revision is a table again, with the same content as the first."""
    store.buckets[BUCKET].is_versioned = True
    put(s3, ANY, CSV_TABLE)
    pipeline.process(ANY, plenty)
    put(s3, ANY, REPLACEMENTS["refused"])
    other_client = Client(store)
    rival = Pipeline(storage_of(store), classifier, Settings())
    overtaken = []

    def overtake() -> None:
        put(other_client, ANY, CSV_TABLE)
        overtaken.append(rival.process(ANY, plenty))

    hooks.at_call(call, overtake)
    pipeline.process(ANY, plenty)
    rival.process(ANY, plenty)

    assert overtaken == [Outcome.CLASSIFIED]
    (part,) = receipt_of(other_client, ANY)["parts"]
    assert tables_of(other_client, ANY) == {part["key"]}
    assert other_client.head_object(Bucket=BUCKET, Key=part["key"])["ETag"] == part["etag"]


def test_large_objects_are_processed_one_after_the_other(
    storage: S3Storage, classifier: Classifier, s3: Client
) -> None:
    """If there is time for half of the work, some objects are finished, instead of all being started."""
    first, *refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(7)]
    for ref in (first, *refs):
        put(s3, ref, b"great film . " * 2000)
    recording = RecordingBackend(classifier.batcher.backend)
    batcher = Batcher(recording, pad_token_id=classifier.bundle.pad_token_id)
    pipeline = Pipeline(storage, replace(classifier, batcher=batcher), Settings())
    pipeline.process(first, plenty)
    for_one = len(recording.batches)
    assert for_one > 10

    enough_for_two_and_a_half = for_one + for_one * 5 // 2
    outcomes = dict(
        pipeline.process_all(
            refs, lambda: 900.0 if len(recording.batches) < enough_for_two_and_a_half else 10.0
        )
    )

    assert list(outcomes.values()).count(Outcome.CLASSIFIED) == 2
    assert sum(isinstance(outcome, OutOfTimeError) for outcome in outcomes.values()) == 4


def test_an_object_that_is_read_slowly_runs_out_of_time_alone(
    storage: S3Storage, classifier: Classifier, hooks: Hooks, s3: Client
) -> None:
    """S3 answers when the time is over. The other objects of the batch have got their results by then.

    The object holds no review, so that nothing but reading it can notice the time.
    """
    slow = ObjectRef(BUCKET, "incoming/slow.json")
    others = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(8)]
    put(s3, slow, b"[" + b"1," * 9000 + b"]")
    for ref in others:
        put(s3, ref, b"great film")
    others_are_done = threading.Event()
    clock = Clock(now=0.0)

    def answer_late(operation: str, params: Mapping[str, Any]) -> None:
        if operation == "GetObject" and params["Key"] == slow.key:
            others_are_done.wait(timeout=60)
            clock.now = 890.0

    hooks.functions.append(answer_late)
    pipeline = Pipeline(storage, classifier, Settings(objects_at_once=9), QUEUE)
    outcomes: dict[Any, Any] = {}
    for target, outcome in pipeline.process_all([slow, *others], lambda: 900.0 - clock.now):
        outcomes[target] = outcome
        if len(outcomes) == len(others):
            others_are_done.set()

    assert isinstance(outcomes.pop(slow), OutOfTimeError)
    assert outcomes == dict.fromkeys(others, Outcome.CLASSIFIED)


@pytest.mark.parametrize(("exclusive", "others"), [(False, Outcome.CLASSIFIED), (True, NotStartedError)])
def test_a_request_without_an_answer_fails_its_object_alone(
    storage: S3Storage, classifier: Classifier, hooks: Hooks, s3: Client, *, exclusive: bool, others: Any
) -> None:
    """The invocation answers before its end. Otherwise all messages of the batch would come back."""
    silent, *rest = refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(4)]
    for ref in refs:
        put(s3, ref, b"great film")
    is_over, are_done = threading.Event(), threading.Event()
    receipts: list[Any] = []

    def leave_without_answer(_operation: str, params: Mapping[str, Any]) -> None:
        if params["Key"] == silent.key:
            is_over.wait(timeout=60)

    def note(receipt: Any) -> None:
        receipts.append(receipt)
        if len(receipts) == len(rest):
            are_done.set()

    def remaining_seconds() -> float:
        """Return plenty of time to the workers, which start early, and hardly any to who waits for them."""
        if threading.current_thread() is not threading.main_thread():
            return 900.0
        if not exclusive:
            are_done.wait(timeout=60)
        return 6.0

    hooks.functions.append(leave_without_answer)
    pipeline = Pipeline(storage, classifier, Settings(objects_at_once=4), QUEUE, on_write=note)

    outcomes = dict(pipeline.process_all(refs, remaining_seconds, exclusive=exclusive))
    is_over.set()

    assert type(outcomes.pop(silent)) is OutOfTimeError
    assert len(outcomes) == len(rest)
    assert all(others in (outcome, type(outcome)) for outcome in outcomes.values())


def test_an_object_that_is_done_counts_although_the_time_is_over(
    storage: S3Storage, classifier: Classifier, s3: Client
) -> None:
    """To send the events of other objects may take the time that was left."""
    refs = [ObjectRef(BUCKET, f"incoming/{number}.txt") for number in range(2)]
    for ref in refs:
        put(s3, ref, b"great film")
    are_written = threading.Semaphore(0)
    pipeline = Pipeline(storage, classifier, Settings(), on_write=lambda _: are_written.release())

    def remaining_seconds() -> float:
        return 0.0 if threading.current_thread() is threading.main_thread() else 900.0

    outcomes = pipeline.process_all(refs, remaining_seconds)
    found = [next(outcomes)]
    for _ in refs:
        assert are_written.acquire(timeout=60)
    time.sleep(1.5)  # longer than anyone waits who should have answered already
    found += outcomes

    assert dict(found) == dict.fromkeys(refs, Outcome.CLASSIFIED)


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("incoming/a.json", b"[" + b"1," * 50_000 + b"]"),
        ("incoming/a.csv", b"id,review\n" + b"1,\n" * 20_000),
        ("incoming/a.csv.gz", gzip.compress(b"id,review\n" + b"1,\n" * 20_000)),
        ("incoming/a.html", b"<p><br>" * 50_000),
    ],
)
def test_reading_ends_with_the_time(pipeline: Pipeline, s3: Client, key: str, body: bytes) -> None:
    """On a slow machine, which takes seconds for a hundred lines. None of these objects needs the model."""
    ref = ObjectRef(BUCKET, key)
    put(s3, ref, body)

    with (
        counted_lines() as lines,
        pytest.raises(OutOfTimeError, match="needs more time"),
    ):
        pipeline.process(ref, lambda: 900.0 - lines() / 40)

    assert set(everything(s3)) == {key}


@pytest.mark.parametrize("compress", [way.compress for way in COMPRESSIONS], ids=["gzip", "zstd"])
@pytest.mark.parametrize("content", [b"", b"id,review\n1,good\n"])
@pytest.mark.parametrize("name", ["a.csv", "a"])
def test_a_truncated_file_has_one_result_whatever_the_path(
    classifier: Classifier, compress: Callable[[bytes], bytes], content: bytes, name: str
) -> None:
    """Truncated at each byte, and read as a whole, in segments or from a batch."""
    data = compress(content)
    ref = ObjectRef(BUCKET, f"incoming/{name}")

    def result(data: bytes, settings: Settings, *, batch: bool) -> Any:
        store = S3(Clock(), buckets={BUCKET: Bucket()})
        put(Client(store), ref, data)
        pipeline = Pipeline(storage_of(store), classifier, settings, QUEUE if batch else None)
        outcome = dict(pipeline.process_all([ref, ObjectRef(BUCKET, "elsewhere/a")], plenty))[ref]
        if isinstance(outcome, NotStartedError):
            replace(pipeline, queue=None).process(ref, plenty)
        receipt = json.loads(store.buckets[BUCKET].objects[f"results/{ref.key}.json"].body)
        return receipt.get("error") or receipt.get("counts") or receipt.get("sentiment")

    for size in range(1, len(data) + 1):
        cut = data[:size]
        whole = result(cut, Settings(), batch=False)
        segments = result(cut, Settings(segment_bytes=1), batch=False)
        batch = result(cut, Settings(), batch=True)

        assert whole == segments == batch, f"{size} of {len(data)} bytes"


def reported_steps(folder: Path, classifier: Classifier, settings: Settings) -> dict[str, list[Step]]:
    """Return the steps that are reported while a folder's only file is classified, by their names."""
    reported: dict[str, list[Step]] = {}
    storage = FolderStorage({BUCKET: folder})
    (name,) = (path.name for path in folder.iterdir())
    pipeline = Pipeline(
        storage, classifier, settings, on_step=lambda step: reported.setdefault(step.name, []).append(step)
    )
    assert pipeline.process(ObjectRef(BUCKET, name), plenty) is Outcome.CLASSIFIED
    return reported


@pytest.mark.parametrize(
    ("name", "max_bytes", "steps"),
    [
        ("a.xlsx", 10_000_000, ["Parsing (kB)", "Writing (kB)"]),
        ("a.parquet", 10_000_000, ["Writing (rows)"]),
        ("a.parquet", 8_000, ["Splitting (rows)"]),
        ("a.csv", 20_000, ["Splitting (kB)"]),
    ],
)
def test_steps_before_and_after_classification_are_reported(
    name: str, max_bytes: int, steps: list[str], tmp_path: Path, classifier: Classifier
) -> None:
    """They may take long, so whoever waits for a large table sees how far they are."""
    table = pd.DataFrame({"review": [f"a great film, number {number}" for number in range(2000)]})
    path = tmp_path / name
    write = {".xlsx": table.to_excel, ".parquet": table.to_parquet, ".csv": table.to_csv}[path.suffix]
    write(path, index=False)
    settings = Settings(source_prefix="", max_object_bytes=max_bytes, segment_bytes=max_bytes)

    reported = reported_steps(tmp_path, classifier, settings)

    assert list(reported) == steps
    for found in reported.values():
        done, (total,) = [step.done for step in found], {step.total for step in found}
        assert total
        assert len(set(done)) > 2
        assert done == sorted(done)
        assert done[0] < 0.6 * total < done[-1] <= total
