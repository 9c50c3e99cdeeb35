"""Run Reviewbox the way its users do: drop objects, deliver their messages, and read the results."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import ROOT
from tests.benchmarks.processes import peak_megabytes

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import Handler, deliver, load_handler
from reviewbox.results.keys import receipt_key


@dataclass(frozen=True, slots=True)
class Usage:
    """The time and memory that processing the queue took.

    Attributes:
        processor: seconds of processor time during invocations, of all threads.
        wall: seconds of wall time during invocations, which Lambda bills.
        invocations: how many there were.
        peak_megabytes: the peak memory of the process since its start.
    """

    processor: float
    wall: float
    invocations: int
    peak_megabytes: float


class _Stopwatch:
    """A handler whose invocations are timed."""

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
            # End the process immediately, because `deliver` would retry.
            os.write(2, f"the handler failed: {response}\n".encode())
            os._exit(1)
        return response


_handlers: list[Handler] = []


def start(cloud: Cloud, model: Path | None = None) -> None:
    """Load the function in this process, with the model in the folder `model` or the shipped one."""
    environment = {**cloud.environment, **({"REVIEWBOX_MODEL_DIR": str(model)} if model else {})}
    _handlers[:] = [load_handler(replace(cloud, environment=environment), ROOT)]
    drain(cloud)  # the test event that S3 sends when a notification is configured


def drain(cloud: Cloud) -> Usage:
    """Process the queue until it is empty, including messages that the function itself sends."""
    (handler,) = _handlers
    stopwatch = _Stopwatch(handler)
    while deliver(cloud, stopwatch) or cloud.remaining():
        pass
    return Usage(stopwatch.processor, stopwatch.wall, stopwatch.invocations, peak_megabytes())


def drop(cloud: Cloud, bodies: Mapping[str, bytes]) -> list[str]:
    """Upload objects, given by name, under the source prefix; return their keys."""
    prefix = cloud.environment["REVIEWBOX_SOURCE_PREFIX"]
    for name, body in bodies.items():
        cloud.s3().put_object(Bucket=BUCKET, Key=prefix + name, Body=body)
    return [prefix + name for name in bodies]


def text_files(texts: Iterable[str], folder: str) -> dict[str, bytes]:
    """Return text files of one review each, by name."""
    return {f"{folder}/{number:05}.txt": text.encode() for number, text in enumerate(texts)}


def read_receipt(cloud: Cloud, key: str) -> dict[str, Any]:
    """Return the receipt of the object `key`."""
    results = receipt_key(cloud.environment["REVIEWBOX_RESULTS_PREFIX"], key)
    receipt: dict[str, Any] = json.loads(cloud.s3().get_object(Bucket=BUCKET, Key=results)["Body"].read())
    return receipt


def check(cloud: Cloud, keys: Iterable[str], reviews: int) -> None:
    """Check that these objects hold `reviews` reviews and that all of them were classified.

    Raises:
        RuntimeError: the counts differ, so the measurement is invalid.
    """
    classified = 0
    for key in keys:
        receipt = read_receipt(cloud, key)
        counts = receipt.get("counts", {"total": int("sentiment" in receipt), "failed": 0})
        classified += counts["total"] - counts["failed"]
    if classified != reviews:
        raise RuntimeError(f"{classified} of {reviews} reviews have a verdict")
