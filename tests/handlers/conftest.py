import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from handlers import common


class Context:
    """What the runtime passes along with the event: a time that stands still."""

    def __init__(self, milliseconds: int = 900_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that anything waited, without having waited."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture(autouse=True)
def function(
    s3: S3Client,
    tiny_model: Path,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """A cold start in an environment with the tiny model."""
    monkeypatch.setenv("REVIEWBOX_MODEL_DIR", str(tiny_model))
    common.pipeline.cache_clear()
    common.source_queue.cache_clear()
    yield
    common.pipeline.cache_clear()
    common.source_queue.cache_clear()
