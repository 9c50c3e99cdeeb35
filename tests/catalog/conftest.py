"""A bucket in the fake S3, which gives the same answers as moto in a hundredth of the time."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import BUCKET
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket


@pytest.fixture
def store() -> S3:
    """The state of S3: an empty bucket."""
    return S3(Clock(), buckets={BUCKET: Bucket()})


@pytest.fixture
def s3(store: S3) -> Client:
    def tick(_operation: str, _params: Any, perform: Callable[[], Any]) -> Any:
        store.clock.now += 1  # without versions, uploads within a second may look the same
        return perform()

    return Client(store, tick)
