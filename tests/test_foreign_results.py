"""Two deployments with different source buckets that write to one results bucket, under the same prefix."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.faults.clients import Client
from tests.faults.s3 import S3, Bucket
from tests.large_tables.work import storage_of

from reviewbox.errors import ForeignResultError
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

RESULTS = "verdicts"
QUEUE = Queue("https://queue.example")  # a pipeline with a queue uses the fast path; nothing is sent

REVIEW, TABLE = "incoming/a.txt", "incoming/a.jsonl"
CONTENT = {
    "shop": {REVIEW: b"great film", TABLE: b'{"text": "good"}\n{"text": "great"}\n'},
    "hotel": {REVIEW: b"awful film", TABLE: b'{"text": "bad"}\n{"text": "awful"}\n'},
}
SENTIMENT = {"shop": "positive", "hotel": "negative"}


def plenty() -> float:
    return 900.0


@pytest.fixture
def s3(store: S3) -> Client:
    return Client(store)


@pytest.fixture
def deployments(store: S3, s3: Client, classifier: Classifier) -> dict[str, Pipeline]:
    """A pipeline for each source bucket."""
    store.buckets = {bucket: Bucket() for bucket in (RESULTS, *CONTENT)}
    for bucket, objects in CONTENT.items():
        for key, body in objects.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body)
    settings = Settings(results_bucket=RESULTS)
    return {bucket: Pipeline(storage_of(store), classifier, settings, QUEUE) for bucket in CONTENT}


def alone(pipeline: Pipeline, ref: ObjectRef) -> Outcome | Exception:
    (outcome,) = dict(pipeline.process_all([ref], plenty)).values()
    return outcome


def in_batch(pipeline: Pipeline, ref: ObjectRef) -> Outcome | Exception:
    other = ObjectRef(ref.bucket, "elsewhere/ignored")
    return dict(pipeline.process_all([ref, other], plenty))[ref]


def results(s3: Client) -> dict[str, bytes]:
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=RESULTS).get("Contents", [])]
    return {key: s3.get_object(Bucket=RESULTS, Key=key)["Body"].read() for key in keys}


def receipt(s3: Client, key: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(results(s3)[f"results/{key}.json"])
    return content


@pytest.mark.parametrize("key", [REVIEW, TABLE])
@pytest.mark.parametrize("work", [alone, in_batch])
def test_the_first_deployment_keeps_its_results_and_the_other_gets_an_error(
    deployments: dict[str, Pipeline], s3: Client, work: Any, key: str
) -> None:
    assert work(deployments["shop"], ObjectRef("shop", key)) is Outcome.CLASSIFIED
    before = results(s3)

    outcome = work(deployments["hotel"], ObjectRef("hotel", key))

    assert isinstance(outcome, ForeignResultError)
    assert results(s3) == before
    for expected in ("foreign_result", f"s3://shop/{key}", f"s3://hotel/{key}", "ResultsPrefix"):
        assert expected in str(outcome)


def test_the_owner_is_not_affected(deployments: dict[str, Pipeline], s3: Client) -> None:
    alone(deployments["shop"], ObjectRef("shop", REVIEW))
    alone(deployments["hotel"], ObjectRef("hotel", REVIEW))
    s3.put_object(Bucket="shop", Key=REVIEW, Body=b"bad film")

    assert alone(deployments["shop"], ObjectRef("shop", REVIEW)) is Outcome.CLASSIFIED
    assert receipt(s3, REVIEW)["sentiment"] == "negative"


def test_the_last_attempt_leaves_the_receipt_of_the_owner(
    deployments: dict[str, Pipeline], s3: Client
) -> None:
    alone(deployments["shop"], ObjectRef("shop", REVIEW))
    before = results(s3)

    with pytest.raises(ForeignResultError):
        deployments["hotel"].record_failure(ObjectRef("hotel", REVIEW), TimeoutError())

    assert results(s3) == before


def test_nested_results_prefixes_are_told_apart(
    s3: Client, storage: S3Storage, classifier: Classifier, deployments: dict[str, Pipeline]
) -> None:
    """`results/` + `nested/a.txt` and `results/nested/` + `a.txt` give the same key."""
    s3.put_object(Bucket="shop", Key="nested/a.txt", Body=b"good")
    s3.put_object(Bucket="shop", Key="a.txt", Body=b"bad")
    outer, nested = (
        Pipeline(storage, classifier, Settings(results_bucket=RESULTS, source_prefix="", results_prefix=p))
        for p in ("results/", "results/nested/")
    )
    alone(outer, ObjectRef("shop", "nested/a.txt"))

    assert isinstance(alone(nested, ObjectRef("shop", "a.txt")), ForeignResultError)


def test_a_corrupt_receipt_has_no_owner(deployments: dict[str, Pipeline], s3: Client) -> None:
    s3.put_object(Bucket=RESULTS, Key=f"results/{REVIEW}.json", Body=b'{"source": "shop"')

    assert alone(deployments["hotel"], ObjectRef("hotel", REVIEW)) is Outcome.CLASSIFIED


@pytest.mark.parametrize("key", ["k", "a.txt.json", "b/a.txt", "xincoming/a.txt", "", "\ud800"])
def test_a_receipt_that_names_a_source_which_cannot_have_it_has_no_owner(
    deployments: dict[str, Pipeline], s3: Client, key: str
) -> None:
    """Whoever may write results could stop a source with it forever."""
    alone(deployments["hotel"], ObjectRef("hotel", REVIEW))
    content = {**receipt(s3, REVIEW), "source": {"bucket": "shop", "key": key}}
    s3.put_object(Bucket=RESULTS, Key=f"results/{REVIEW}.json", Body=json.dumps(content).encode())

    assert alone(deployments["hotel"], ObjectRef("hotel", REVIEW)) is Outcome.CLASSIFIED
    assert receipt(s3, REVIEW)["source"]["key"] == REVIEW


def test_a_source_whose_key_has_been_hashed_may_own_a_receipt(
    deployments: dict[str, Pipeline], s3: Client
) -> None:
    key = f"incoming/{'long/' * 202}"
    for bucket in CONTENT:
        s3.put_object(Bucket=bucket, Key=key, Body=b"great film")
    alone(deployments["shop"], ObjectRef("shop", key))

    assert isinstance(alone(deployments["hotel"], ObjectRef("hotel", key)), ForeignResultError)


def test_results_are_free_for_another_source_once_they_are_deleted(
    deployments: dict[str, Pipeline], s3: Client
) -> None:
    alone(deployments["shop"], ObjectRef("shop", REVIEW))
    s3.delete_object(Bucket=RESULTS, Key=f"results/{REVIEW}.json")

    assert alone(deployments["hotel"], ObjectRef("hotel", REVIEW)) is Outcome.CLASSIFIED


@pytest.mark.parametrize("key", [REVIEW, TABLE])
@pytest.mark.parametrize("work", [alone, in_batch])
@pytest.mark.parametrize("call", range(1, 6))
def test_a_race_has_one_winner_and_the_loser_gets_an_error(
    deployments: dict[str, Pipeline], store: S3, s3: Client, work: Any, key: str, call: int
) -> None:
    """The other deployment does all of its work just before a request of the first."""
    first, rival = ObjectRef("shop", key), ObjectRef("hotel", key)
    outcomes: dict[str, Any] = {}
    calls = itertools.count(1)

    def interfere(_operation: str, _params: Any, perform: Callable[[], Any]) -> Any:
        if next(calls) == call:
            outcomes["hotel"] = work(deployments["hotel"], rival)
        return perform()

    outcomes["shop"] = work(replace(deployments["shop"], store=storage_of(store, interfere)), first)
    if "hotel" not in outcomes:
        pytest.skip("there are fewer requests")

    (winner,) = (bucket for bucket, outcome in outcomes.items() if outcome is Outcome.CLASSIFIED)
    (loser,) = outcomes.keys() - {winner}
    assert isinstance(outcomes[loser], ForeignResultError)
    assert receipt(s3, key)["source"]["bucket"] == winner
    if key == REVIEW:
        assert receipt(s3, key)["sentiment"] == SENTIMENT[winner]
        return
    (part,) = receipt(s3, key)["parts"]
    table = s3.get_object(Bucket=RESULTS, Key=part["key"])
    rows = [json.loads(line) for line in table["Body"].read().splitlines()]
    assert table["ETag"] == part["etag"]
    assert {row["sentiment"] for row in rows} == {SENTIMENT[winner]}
