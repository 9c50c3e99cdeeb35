"""A deployed stack in memory, on which random things happen, and what must hold once it is at rest."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from tests.faults import uploads
from tests.faults.choices import Choices
from tests.faults.policy import Policy
from tests.faults.s3 import S3, Bucket, Clock, S3Client, StoredObject
from tests.faults.sqs import MessageQueue, Sqs, SqsClient
from tests.faults.uploads import BUCKET, KEYS, KINDS, VARIANTS, Deployment
from tests.faults.workers import KILLS, Fault, KilledError, Worker

from handlers import on_batch_operation, on_upload
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.storage import S3Storage

_UPLOADS, _SEGMENTS, _DEAD = "https://sqs/uploads", "https://sqs/segments", "https://sqs/dead"
_TIMEOUT_SECONDS = 60.0
_VISIBILITY_SECONDS = 6 * _TIMEOUT_SECONDS
_MAX_RECEIVES = 5
_MAX_WORKERS = 4
_MAX_BATCH = 10
_MAX_ROUNDS = 600
_DAY = 86_400.0
_WORK_DAYS = 5  # as the lifecycle rule of template.yaml says

# Every fault but none, and some of them twice.
_FAULTS = (*(fault for fault in Fault if fault), *KILLS)


class Failure(Exception):  # noqa: N818 - it is what a run looks for
    """Something that must hold does not."""


@dataclass(frozen=True, slots=True)
class Revision:
    """An upload that happened."""

    etag: str
    version: str
    body: bytes


@dataclass(slots=True)
class Delivery:
    """A worker, and the messages that it was invoked with."""

    worker: Worker
    queue: str = ""
    messages: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True)
class Totals:
    """What happened in one sequence, or in many."""

    sequences: int = 0
    uploads: int = 0
    deliveries: int = 0
    requests: int = 0  # of workers, to S3
    messages: int = 0  # sent by workers
    faults: int = 0

    def add(self, other: "Totals") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class World:
    """One sequence of events, as the choices have it."""

    def __init__(self, choices: Choices, deployments: Sequence[Deployment], policy: Policy, *, threads: bool) -> None:
        self.choices = choices
        self.threads = threads
        self.log: list[str] = []
        self.totals = Totals(sequences=1)
        self.clock = Clock()
        self._policy = policy
        self._deployments = deployments
        self._deployment = choices.one_of(deployments)
        self._used = {self._deployment.name: self._deployment}
        self._results = choices.one_of([BUCKET, "verdicts"])
        self._fault_percent = choices.one_of([0, 3, 12])
        self._keys = KEYS[: 1 + choices.below(len(KEYS))] if choices.chance(50) else [choices.one_of(KEYS)]
        is_versioned = choices.chance(40)
        self.s3 = S3(
            self.clock,
            page_size=choices.one_of([1000, 3]),
            buckets={BUCKET: Bucket(is_versioned), self._results: Bucket(is_versioned)},
        )
        dead = MessageQueue()
        self.sqs = Sqs(
            self.clock,
            queues={
                _UPLOADS: MessageQueue(_VISIBILITY_SECONDS, _MAX_RECEIVES, dead),
                _SEGMENTS: MessageQueue(_VISIBILITY_SECONDS, _MAX_RECEIVES, dead),
                _DEAD: dead,
            },
        )
        self._history: dict[str, list[Revision]] = {}
        self._running: list[Delivery] = []
        self._forbidden: list[str] = []
        self._torn = ""
        self._is_calm = False

    def run(self) -> None:
        """Let random things happen, then let everything come to rest, and check it.

        Raises:
            Failure: something that must hold does not.
        """
        self._upload()
        for _ in range(10 + self.choices.below(60)):
            self._act()
            self._collect()
        self._is_calm = True
        self._note("--- no more faults and uploads")
        self._settle()
        self._check()

    # What can happen

    def _act(self) -> None:
        actions: list[tuple[int, Callable[[], None]]] = [
            (6, self._deliver_uploads),
            (6, self._deliver_segment),
            (3, self._upload),
            (1, self._delete),
            (1, self._duplicate),
            (1, self._deploy),
            (1, self._batch_operation),
            (1, self._wait),
            (1, self._redrive),
        ]
        if self._running:
            actions.insert(0, (12, self._step))
        number = self.choices.below(sum(weight for weight, _ in actions))
        for weight, action in actions:
            if number < weight:
                action()
                return
            number -= weight

    def _upload(self) -> None:
        key = f"incoming/{self.choices.one_of(self._keys)}"
        kind = self.choices.one_of(list(KINDS))
        body = uploads.body_of(kind, self.choices.below(VARIANTS))
        # Without versions, uploads within a second may look the same (ADR 2).
        self.clock.now += 1.0
        self.s3.perform("PutObject", {"Bucket": BUCKET, "Key": key, "Body": body})
        stored = self.s3.buckets[BUCKET].objects[key]
        self._history.setdefault(key, []).append(Revision(stored.etag, _version(stored), body))
        self.totals.uploads += 1
        self._note(f"upload {key}: {kind}, {len(body)} bytes")
        self._send(key)

    def _send(self, key: str) -> None:
        body = json.dumps({"Records": [_record(key)]})
        self.sqs.perform(
            "SendMessageBatch", {"QueueUrl": _UPLOADS, "Entries": [{"Id": "0", "MessageBody": body}]}
        )

    def _delete(self) -> None:
        key = self.choices.one_of(sorted(self._history))
        self._note(f"delete {key}")
        self.s3.perform("DeleteObject", {"Bucket": BUCKET, "Key": key})

    def _duplicate(self) -> None:
        key = self.choices.one_of(sorted(self._history))
        self._note(f"the event for {key} comes again")
        self._send(key)

    def _deploy(self) -> None:
        self._deployment = self.choices.one_of(self._deployments)
        self._used[self._deployment.name] = self._deployment
        self._note(f"deploy {self._deployment.name}")

    def _wait(self) -> None:
        seconds = self.choices.one_of([20.0, 70.0, _VISIBILITY_SECONDS, 2 * _DAY])
        self._note(f"{seconds:.0f} seconds pass")
        self.clock.now += seconds
        self.s3.expire(self._results, "work/", _WORK_DAYS * _DAY)

    def _redrive(self) -> None:
        dead = self.sqs.queues[_DEAD].messages
        if dead:
            self._note(f"redrive {len(dead)} dead letters")
            entries = [{"Id": "0", "MessageBody": message.body} for message in dead]
            dead.clear()
            for entry in entries:
                self.sqs.perform("SendMessageBatch", {"QueueUrl": _UPLOADS, "Entries": [entry]})

    def _deliver_uploads(self) -> None:
        self._deliver(_UPLOADS, 1 + self.choices.below(_MAX_BATCH))

    def _deliver_segment(self) -> None:
        self._deliver(_SEGMENTS, 1)

    def _deliver(self, queue: str, size: int) -> None:
        if len(self._running) >= _MAX_WORKERS:
            return
        self.sqs.order = self.choices.shuffled if not self._is_calm or self.choices.chance(50) else list
        messages = self.sqs.perform(
            "ReceiveMessage",
            {"QueueUrl": queue, "MaxNumberOfMessages": size, "MessageSystemAttributeNames": ["All"]},
        ).get("Messages", [])
        if not messages:
            return
        event = {
            "Records": [
                {
                    "eventSource": "aws:sqs",
                    "messageId": message["MessageId"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                }
                for message in messages
            ]
        }
        received = ", ".join(f"{m['MessageId']} #{m['Attributes']['ApproximateReceiveCount']}" for m in messages)
        self._invoke(on_upload.handler, event, f"of {queue.rpartition('/')[2]}: {received}", queue, messages)

    def _batch_operation(self) -> None:
        if len(self._running) >= _MAX_WORKERS:
            return
        key = self.choices.one_of(sorted(self._history))
        task = {"taskId": "task", "s3Key": key, "s3BucketArn": f"arn:aws:s3:::{BUCKET}"}
        event = {"invocationSchemaVersion": "1.0", "invocationId": "id", "tasks": [task]}
        self._invoke(on_batch_operation.handler, event, f"of a job: {key}")

    def _invoke(
        self,
        handler: Callable[..., Any],
        event: Mapping[str, Any],
        what: str,
        queue: str = "",
        messages: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.totals.deliveries += max(1, len(messages))
        worker = Worker(f"worker {self.totals.deliveries}", self.clock, _TIMEOUT_SECONDS, self._observe)
        if self.threads:
            worker.choose_fault = self._faults_of_a_thread()
        self._note(f"{worker.name} starts with {self._deployment.name} on messages {what}")
        s3: Any = S3Client(self.s3, self._guarded(worker))
        sqs: Any = SqsClient(self.sqs, worker.gate)
        settings = replace(
            self._deployment.settings,
            results_bucket="" if self._results == BUCKET else self._results,
            queue_url=_SEGMENTS,
            max_receives=_MAX_RECEIVES,
        )
        pipeline = Pipeline(
            S3Storage(s3), self._deployment.classifier, settings, Queue(_SEGMENTS, sqs, self._sleep)
        )
        self._running.append(Delivery(worker, queue, messages))
        worker.start(lambda: handler(event, worker.context, pipeline))

    def _step(self) -> None:
        worker = self.choices.one_of(self._running).worker
        for _ in range(1 + self.choices.below(12)):
            if worker.is_done:
                return
            fault = self.choices.one_of(_FAULTS) if self.choices.chance(self._fault_percent) else Fault.NONE
            self._note(f"{worker.name}: {worker.waits_for}{f': {fault}' if fault else ''}")
            worker.step(fault)
            if self._torn:
                raise Failure(self._torn)

    def _collect(self) -> None:
        """Delete the messages of workers that are done."""
        for delivery in [d for d in self._running if d.worker.is_done]:
            self._running.remove(delivery)
            worker = delivery.worker
            self.totals.requests += sum(n for name, n in worker.requests.items() if not name.endswith("Batch"))
            self.totals.messages += worker.messages_sent
            self.totals.faults += sum(worker.faults.values())
            if worker.is_dead:
                if not isinstance(worker.error, KilledError):
                    raise Failure(f"{worker.name} was killed and went on: {worker.error!r}")
                continue
            if worker.error:
                raise Failure(f"the handler raised {worker.error!r}") from worker.error
            if delivery.queue:
                failed = {item["itemIdentifier"] for item in worker.response["batchItemFailures"]}
                self._note(f"{worker.name} ends; failed: {', '.join(failed) or 'none'}")
                done = [m for m in delivery.messages if m["MessageId"] not in failed]
                entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(done)]
                if entries:
                    self.sqs.perform("DeleteMessageBatch", {"QueueUrl": delivery.queue, "Entries": entries})
        if self._forbidden:
            raise Failure(f"the policy does not allow {self._forbidden[0]}")

    # Rest

    def _settle(self) -> None:
        """Deliver everything, also dead letters, until nothing is left to do."""
        for _ in range(_MAX_ROUNDS):
            self._collect()
            if self._running:
                self._step()
                continue
            queues = self.sqs.queues
            waiting = [m for queue in (_UPLOADS, _SEGMENTS) for m in queues[queue].messages]
            if not waiting and not queues[_DEAD].messages:
                return
            if not waiting:
                self._redrive()
                continue
            if not any(message.visible_at < self.clock.now for message in waiting):
                self.clock.now = min(message.visible_at for message in waiting) + 1.0
            self._deliver(_SEGMENTS, 1)
            self._deliver(_UPLOADS, _MAX_BATCH)
        raise Failure(f"no rest after {_MAX_ROUNDS} rounds")

    def _check(self) -> None:
        """Fail unless every live object has the result of its newest revision, and nothing else is left."""
        objects = self.s3.buckets[self._results].objects
        allowed: set[str] = set()
        for key, revisions in self._history.items():
            current = self.s3.buckets[BUCKET].objects.get(key)
            receipt_key = f"results/{key}.json"
            if current is None and receipt_key not in objects:
                continue  # it was deleted before it was classified
            if receipt_key not in objects:
                raise Failure(f"{key} has no receipt")
            if current and current.body != revisions[-1].body:
                raise Failure(f"{key} was changed")
            receipt = json.loads(objects[receipt_key].body)
            possible = revisions[-1:] if current else revisions
            allowed |= {receipt_key, *self._check_receipt(key, receipt, possible, is_live=current is not None)}
        left = sorted(key for key in objects if key.startswith("results/") and key not in allowed)
        if left:
            raise Failure(f"left under results/: {', '.join(left)}")
        strange = [key for key in objects if not key.startswith(("results/", "work/", "incoming/"))]
        if strange:
            raise Failure(f"strange objects: {', '.join(strange)}")

    def _check_receipt(
        self, key: str, receipt: Mapping[str, Any], possible: Sequence[Revision], *, is_live: bool
    ) -> Iterator[str]:
        """Yield the keys of a receipt's parts; fail unless it is the result of one of these revisions."""
        source = receipt["source"]
        revision = next(
            (r for r in possible if (r.etag, r.version) == (source.get("etag"), source.get("version"))), None
        )
        error = receipt.get("error")
        if error and not error["final"] and not is_live:
            return
        if revision is None or (error and not error["final"]):
            raise Failure(f"{key} has the receipt of another revision, or no final one: {source}, {error}")
        digests = (receipt["model"]["sha256"], receipt["settings"]["sha256"])
        deployment = next(
            (
                d
                for d in self._used.values()
                if (d.classifier.bundle.digest, replace(d.settings).digest) == digests
            ),
            None,
        )
        if deployment is None:
            raise Failure(f"{key} has a receipt of an unknown deployment")
        wanted = uploads.expected(key, revision.body, deployment)
        if uploads.without_provenance(receipt) != wanted.content:
            raise Failure(f"{key} has {uploads.without_provenance(receipt)} instead of {wanted.content}")
        bodies = []
        for part in receipt.get("parts", []):
            stored = self.s3.buckets[part["bucket"]].objects.get(part["key"])
            if stored is None or stored.etag != part["etag"]:
                raise Failure(f"{part['key']} is missing, or is not what its receipt names")
            bodies.append(uploads.decompressed(stored.body))
            yield part["key"]
        if (uploads.joined(bodies) if bodies else None) != wanted.table:
            raise Failure(f"the rows of {key} are not those of its revision")

    # Helpers

    def _observe(self, operation: str) -> None:
        """Look at the results after a request that may have changed them."""

    def _guarded(self, worker: Worker) -> Callable[..., Any]:
        def gate(operation: str, params: dict[str, Any], perform: Callable[[], Any]) -> Any:
            if not self._policy.allows(operation, params):
                self._forbidden.append(f"{operation} of {params}")
            return worker.gate(operation, params, perform)

        return gate

    def _faults_of_a_thread(self) -> Callable[[str, dict[str, Any]], Fault]:
        if self._is_calm:
            return lambda _operation, _params: Fault.NONE
        own = Choices(self.choices.below(1_000_000))
        lock = threading.Lock()

        def choose(_operation: str, _params: dict[str, Any]) -> Fault:
            with lock:
                return own.one_of(_FAULTS) if own.chance(self._fault_percent) else Fault.NONE

        return choose

    def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds

    def _note(self, text: str) -> None:
        self.log.append(text)


@contextmanager
def inline_pools() -> Iterator[None]:
    """Let thread pools run their tasks at once in the calling thread, so that runs can be repeated."""

    def submit(_pool: Any, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as the pool does
            future.set_exception(error)
        return future

    with patch.object(ThreadPoolExecutor, "submit", submit):
        yield


def _record(key: str) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}},
    }


def _version(stored: StoredObject) -> str:
    from tests.faults.s3 import time_of

    return stored.version or time_of(stored.modified).isoformat()
