"""What a large table takes of S3, counted while it is classified in moto."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import boto3
from tests.conftest import BUCKET

from reviewbox.events import parse
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage


@dataclass(slots=True)
class Requests:
    """What was counted.

    Attributes:
        segments: how many there were.
        calls: of S3, by their names and the first folders of the keys.
    """

    segments: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    def under(self, folder: str, *operations: str) -> int:
        """Return how many calls of some kinds there were of keys that start so."""
        return sum(
            n for (name, key), n in self.calls.items() if key.startswith(folder) and name in operations
        )


def count_requests(classifier: Classifier, body: bytes, segment_bytes: int) -> Requests:
    """Drop a table into moto's bucket, classify it by way of a queue, and count.

    Args:
        classifier: what judges.
        body: JSON Lines.
        segment_bytes: smaller than that.
    """
    sqs, dropping, working = boto3.client("sqs"), boto3.client("s3"), boto3.client("s3")
    queue = Queue(sqs.create_queue(QueueName="uploads")["QueueUrl"], sqs)
    ref = ObjectRef(BUCKET, "incoming/a.jsonl")
    dropping.put_object(Bucket=ref.bucket, Key=ref.key, Body=body)
    counted = Requests()

    def count(params: Any, model: Any, **_: Any) -> None:
        key = params.get("Key") or params["Prefix"]
        counted.calls[model.name, f"{key.split('/')[0]}/"] += 1

    working.meta.events.register("before-parameter-build.s3", count)
    pipeline = Pipeline(S3Storage(working), classifier, Settings(segment_bytes=segment_bytes), queue)
    pipeline.process(ref, lambda: 900.0)
    while messages := queue.receive(hidden_seconds=60):
        for message in messages:
            (parsed,) = parse(json.loads(message.body))
            for segment in parsed.segments:
                pipeline.process(segment, lambda: 900.0)
                counted.segments += 1
        queue.delete(messages)
    return counted
