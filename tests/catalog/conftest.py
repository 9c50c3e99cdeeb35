"""A client of the fake S3, whose clock ticks."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.clients import Client
from tests.faults.s3 import S3


@pytest.fixture
def s3(store: S3) -> Client:
    def tick(_operation: str, _params: Any, perform: Callable[[], Any]) -> Any:
        store.clock.now += 1  # without versions, uploads within a second may look the same
        return perform()

    return Client(store, tick)
