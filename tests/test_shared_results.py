"""Two deployments with different source buckets share a results bucket, and both have a file of one name.

The receipt is that of the first (`tests/test_foreign_results.py`). Until there is one, both may have parts.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.faults.stack import inline_pools
from tests.large_tables.work import storage_of

from reviewbox.errors import ForeignResultError
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.settings import Settings

RESULTS, KEY = "verdicts", "incoming/a.csv"
SHOP, HOTEL = ObjectRef("shop", KEY), ObjectRef("hotel", KEY)
LATER = 1_800_000_000.0 + 30 * 86_400


def table(rows: int) -> bytes:
    lines = (f"{number},the good film\n" for number in range(rows))
    return f"id,review\n{''.join(lines)}".encode()


@pytest.fixture
def store() -> S3:
    return S3(Clock(), buckets={name: Bucket() for name in (RESULTS, SHOP.bucket, HOTEL.bucket)})


@pytest.fixture
def pipeline(store: S3, classifier: Classifier) -> Iterator[Pipeline]:
    """Both deployments have the same model and settings. Without a queue, one worker does all segments."""
    with inline_pools():
        yield Pipeline(storage_of(store), classifier, Settings(results_bucket=RESULTS, segment_bytes=300))


@dataclass(slots=True)
class BeforeRequest:
    """Does something before the request of a worker with this number, from 1."""

    number: int
    action: Callable[[], object]
    requests: int = 0

    def __call__(self, _operation: str, _params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        self.requests += 1
        if self.requests == self.number:
            self.action()
        return perform()


def process(pipeline: Pipeline, ref: ObjectRef, *, redelivered: bool = False) -> None:
    with suppress(ForeignResultError):  # the other deployment has the receipt
        pipeline.process(ref, lambda: 900.0, redelivered=redelivered)


def results(store: S3) -> dict[str, bytes]:
    objects = store.buckets[RESULTS].objects
    return {key: objects[key].body for key in objects if key.startswith("results/")}


def assert_complete(store: S3) -> str:
    """Assert that there is one receipt and only the parts that it names; return its bucket."""
    found = results(store)
    receipt = json.loads(found.pop(f"results/{KEY}.json"))
    assert "error" not in receipt
    assert sorted(part["key"] for part in receipt["parts"]) == sorted(found)
    bucket: str = receipt["source"]["bucket"]
    return bucket


@pytest.mark.parametrize("rows", [3, 24])
def test_nothing_is_left_of_the_deployment_that_loses_a_race(
    store: S3, pipeline: Pipeline, rows: int
) -> None:
    """The shop's worker does all of its work before each request of the hotel's."""
    for number in itertools.count(1):
        store.buckets[RESULTS].objects.clear()
        for bucket in (SHOP.bucket, HOTEL.bucket):
            Client(store).put_object(Bucket=bucket, Key=KEY, Body=table(rows))
        gate = BeforeRequest(number, lambda: process(pipeline, SHOP))

        process(replace(pipeline, store=storage_of(store, gate)), HOTEL)
        pipeline.sweep(SHOP.bucket, LATER, lambda: 900.0)

        if assert_complete(store) == HOTEL.bucket:
            break
    assert number > 3


@pytest.mark.parametrize("what", ["redelivery", "sweep"])
@pytest.mark.parametrize("rows", [3, 24])
@pytest.mark.parametrize("damaged", [None, b"{"])
def test_a_deleted_file_of_one_deployment_does_not_harm_that_of_the_other(
    store: S3, pipeline: Pipeline, rows: int, what: str, damaged: bytes | None
) -> None:
    """The hotel looks for what is left of its deleted file before each request of the shop's worker."""

    def look_for_leftovers() -> None:
        if what == "redelivery":
            process(pipeline, HOTEL, redelivered=True)
        else:
            pipeline.sweep(HOTEL.bucket, LATER, lambda: 900.0)

    for number in itertools.count(1):
        store.buckets[RESULTS].objects.clear()
        if damaged:
            Client(store).put_object(Bucket=RESULTS, Key=f"results/{KEY}.json", Body=damaged)
        Client(store).put_object(Bucket=SHOP.bucket, Key=KEY, Body=table(rows))
        gate = BeforeRequest(number, look_for_leftovers)

        process(replace(pipeline, store=storage_of(store, gate)), SHOP)

        assert assert_complete(store) == SHOP.bucket
        if gate.requests < number:
            break
    assert number > 4
