"""Large tables, workers that classify them and may be killed, and what is stored then."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from tests.conftest import BUCKET
from tests.faults.clients import Client, Gate
from tests.faults.s3 import S3

from reviewbox.events import parse
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.storage import S3Storage

QUEUE = "segments"
TABLE = ObjectRef(BUCKET, "incoming/export.csv")
SEGMENT_BYTES = 300


def plenty() -> float:
    return 900.0


def rows(count: int, word: str = "good") -> bytes:
    """Return a table in which some rows have two lines, some have no review, and some are malformed."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "review"])
    for number in range(count):
        review = ("", f"a {word} film", f"a {word} film,\n not bad")[number % 3]
        writer.writerow([number, review, *(["surplus"] if number % 7 == 6 else [])])
    return text.getvalue().encode()


def storage_of(store: S3, gate: Gate = lambda _operation, _params, perform: perform()) -> S3Storage:
    """Return the storage of a worker whose requests to S3 pass a gate."""
    client: Any = Client(store, gate)
    return S3Storage(client)


class WorkerKilledError(BaseException):
    """The end of a process, which nothing in the pipeline may catch."""


@dataclass(slots=True)
class Killer:
    """A gate at which a worker dies, just before or just after one of its requests.

    Attributes:
        number: the number of the request, from 1; 0 for none.
        performs: whether the request is performed.
        operation: the kind of requests that count; "" for all.
        calls: how many requests there were.
    """

    number: int
    performs: bool = False
    operation: str = ""
    calls: int = 0

    def __call__(self, operation: str, _params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        is_counted = self.operation in ("", operation)
        self.calls += is_counted
        if not is_counted or self.calls != self.number:
            return perform()
        if self.performs:
            with suppress(ClientError):  # nobody gets the answer
                perform()
        raise WorkerKilledError


def fails_at_receipt(error: type[BaseException]) -> Gate:
    """Return a gate that raises an error instead of writing the receipt of a CSV file."""

    def gate(operation: str, params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        if operation == "PutObject" and params["Key"].endswith(".csv.json"):
            raise error
        return perform()

    return gate


def put(s3: Any, body: bytes, ref: ObjectRef = TABLE) -> None:
    s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=body)


def read(s3: Any, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return content


def receipt_of(s3: Any, ref: ObjectRef = TABLE) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads(read(s3, f"results/{ref.key}.json"))
    return receipt


def forge_receipt(s3: Any, part: dict[str, str], *, is_current: bool) -> None:
    """Let the receipt name another part, and another model unless it is to stay current."""
    forged = receipt_of(s3)
    forged["parts"] = [part]
    if not is_current:
        forged["model"]["sha256"] = "x"
    s3.put_object(Bucket=BUCKET, Key=f"results/{TABLE.key}.json", Body=json.dumps(forged).encode())


def keys(s3: Any, prefix: str = "") -> list[str]:
    found = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for page in found for item in page.get("Contents", [])]


def results(s3: Any) -> dict[str, bytes]:
    return {key: read(s3, key) for key in keys(s3) if not key.startswith("incoming/")}


def tables(s3: Any, ref: ObjectRef = TABLE) -> list[str]:
    return keys(s3, f"results/{ref.key}.classified")


def recorded(s3: Any, ref: ObjectRef = TABLE) -> list[str]:
    return [part["key"] for part in receipt_of(s3, ref).get("parts", [])]


def assert_consistent(s3: Any, ref: ObjectRef = TABLE) -> None:
    """Assert that a receipt exists, and exactly the parts that it names, as it names them."""
    for part in receipt_of(s3, ref).get("parts", []):
        assert s3.head_object(Bucket=BUCKET, Key=part["key"])["ETag"] == part["etag"]
    assert tables(s3, ref) == recorded(s3, ref)


def segments_sent(pipeline: Pipeline) -> Iterator[SegmentRef]:
    """Yield the segments in the queue, and remove them from it."""
    assert pipeline.queue
    while messages := pipeline.queue.receive(hidden_seconds=60):
        pipeline.queue.delete(messages)
        for message in messages:
            yield from parse(json.loads(message.body))[0].segments


def deliver(pipeline: Pipeline) -> list[Outcome]:
    """Process the queue until it is empty, including what the processing sends."""
    outcomes: list[Outcome] = []
    while segments := list(segments_sent(pipeline)):
        outcomes += [pipeline.process(segment, plenty) for segment in segments]
    return outcomes


def deliver_despite_kills(worker: Pipeline, ref: ObjectRef) -> int:
    """Process an object and the segments that this sends, as a queue does; return how often a worker died.

    A message whose worker died is delivered again.
    """
    waiting: list[ObjectRef | SegmentRef] = [ref]
    kills = 0
    while waiting:
        item = waiting.pop(0)
        try:
            worker.process(item, plenty)
        except WorkerKilledError:
            waiting.append(item)
            kills += 1
        waiting += segments_sent(worker)
    return kills
