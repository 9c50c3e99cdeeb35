"""Reviewbox as its users meet it: objects are dropped, messages delivered, and results lie in the bucket."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.apart import peak_megabytes
from tests.benchmarks.figures import ROOT

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import Handler, deliver, load_handler
from reviewbox.results.keys import receipt_key


@dataclass(frozen=True, slots=True)
class Spent:
    """What a queue of uploads took.

    Attributes:
        processor: seconds of processor time within invocations, of all threads.
        wall: seconds within invocations, which is what is billed.
        invocations: how many there were.
        peak_megabytes: the most memory that the process has held.
    """

    processor: float
    wall: float
    invocations: int
    peak_megabytes: float


class _Stopwatch:
    """A handler, and what its invocations take."""

    def __init__(self, handler: Handler) -> None:
        self.processor = self.wall = 0.0
        self.invocations = 0
        self._handler = handler

    def __call__(self, event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
        processor, wall = time.process_time(), time.perf_counter()
        response = self._handler(event, context)
        self.processor += time.process_time() - processor
        self.wall += time.perf_counter() - wall
        self.invocations += 1
        if response["batchItemFailures"]:
            # `deliver` would try again, so it must end here.
            os.write(2, f"the handler failed: {response}\n".encode())
            os._exit(1)
        return response


_handlers: list[Handler] = []


def start(cloud: Cloud, model: Path | None = None) -> None:
    """Start the function in this process, with another model than the shipped one if it is given."""
    environment = {**cloud.environment, **({"REVIEWBOX_MODEL_DIR": str(model)} if model else {})}
    _handlers[:] = [load_handler(replace(cloud, environment=environment), ROOT)]
    drain(cloud)  # what S3 sends when a notification is set


def drain(cloud: Cloud) -> Spent:
    """Deliver what the queue holds, and what that puts there, as an event source mapping does."""
    (handler,) = _handlers
    stopwatch = _Stopwatch(handler)
    while deliver(cloud, stopwatch) or not cloud.is_idle():
        pass
    return Spent(stopwatch.processor, stopwatch.wall, stopwatch.invocations, peak_megabytes())


def drop(cloud: Cloud, bodies: Mapping[str, bytes]) -> list[str]:
    """Drop objects under these names; return their keys."""
    prefix = cloud.environment["REVIEWBOX_SOURCE_PREFIX"]
    for name, body in bodies.items():
        cloud.s3().put_object(Bucket=BUCKET, Key=prefix + name, Body=body)
    return [prefix + name for name in bodies]


def files(texts: Iterable[str], folder: str) -> dict[str, bytes]:
    """Return text files of a review each, by name."""
    return {f"{folder}/{number:05}.txt": text.encode() for number, text in enumerate(texts)}


def receipt(cloud: Cloud, key: str) -> dict[str, Any]:
    """Return the receipt of the object `key`."""
    results = receipt_key(cloud.environment["REVIEWBOX_RESULTS_PREFIX"], key)
    content: dict[str, Any] = json.loads(cloud.s3().get_object(Bucket=BUCKET, Key=results)["Body"].read())
    return content


def check(cloud: Cloud, keys: Iterable[str], reviews: int) -> None:
    """Make sure that so many reviews came back from these objects, and none without a verdict.

    Raises:
        RuntimeError: what was measured was not the work.
    """
    found = 0
    for key in keys:
        content = receipt(cloud, key)
        counts = content.get("counts", {"total": int("sentiment" in content), "failed": 0})
        found += counts["total"] - counts["failed"]
    if found != reviews:
        raise RuntimeError(f"{found} of {reviews} reviews have a verdict")
