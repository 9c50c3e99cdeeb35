"""The S3 requests that an object takes, counted while it is classified on fakes of S3 and SQS."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import BUCKET
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.faults.sqs import MessageQueue, Sqs
from tests.large_tables.work import QUEUE, plenty, put, segments_sent, storage_of

from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings


@dataclass(slots=True)
class Requests:
    """What was counted.

    Attributes:
        segments: the number of segments.
        calls: the number of calls of S3, by operation and by the first folder of the key.
    """

    segments: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    def under(self, folder: str, *operations: str) -> int:
        """Return the number of calls of these operations for keys below a folder."""
        return sum(
            n for (name, key), n in self.calls.items() if key.startswith(folder) and name in operations
        )


def count_requests(
    classifier: Classifier, body: bytes, segment_bytes: int, name: str = "a.jsonl"
) -> Requests:
    """Drop a file into a bucket, classify it through a queue, and count the requests.

    Args:
        classifier: classifies the rows.
        body: the content of the file.
        segment_bytes: the size of a segment.
        name: the name of the file, which says that it is a table of JSON Lines, or something else.
    """
    store = S3(Clock(), buckets={BUCKET: Bucket()})
    sqs: Any = Client(Sqs(store.clock, queues={QUEUE: MessageQueue()}))
    ref = ObjectRef(BUCKET, f"incoming/{name}")
    put(Client(store), body, ref)
    counted = Requests()

    def count(operation: str, params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        key = params.get("Key") or params["Prefix"]
        counted.calls[operation, f"{key.split('/')[0]}/"] += 1
        return perform()

    settings = Settings(segment_bytes=segment_bytes)
    pipeline = Pipeline(storage_of(store, count), classifier, settings, Queue(QUEUE, sqs))
    pipeline.process(ref, plenty)
    for segment in segments_sent(pipeline):
        pipeline.process(segment, plenty)
        counted.segments += 1
    return counted
