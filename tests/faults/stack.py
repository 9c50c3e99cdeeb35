"""A deployed stack in memory: buckets, queues, deployments, and workers that run the real handlers."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError
from handlers.on_upload import UploadError
from tests.faults import uploads
from tests.faults.clients import Client, Clock, Gate, client_error
from tests.faults.events import Events
from tests.faults.policy import Policy
from tests.faults.s3 import S3, Bucket, time_of
from tests.faults.sqs import MessageQueue, Sqs, StoredMessage
from tests.faults.uploads import BUCKET, Deployment
from tests.faults.workers import Fault, Worker

from handlers import on_batch_operation, on_result, on_upload
from reviewbox.event_bus import EventBus
from reviewbox.events import parse, upload_message
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.stack.redrive import move_messages
from reviewbox.storage import S3Storage

UPLOADS, SEGMENTS, DEAD_LETTERS = "https://sqs/uploads", "https://sqs/segments", "https://sqs/dead-letters"
COPIES, FAILED_COPIES = "https://sqs/copies", "https://sqs/failed-copies"
MAX_BATCH = 10
MAX_RECEIVES = 5
VISIBILITY_SECONDS = 360.0  # six times the timeout, as in template.yaml
DAY_SECONDS = 86_400.0

_TIMEOUT_SECONDS = 60.0
_WORK_DAYS = 5  # as the lifecycle rule of template.yaml says
# As template.yaml says.
_RETENTION_DAYS = {UPLOADS: 4, SEGMENTS: 4, DEAD_LETTERS: 14, COPIES: 4, FAILED_COPIES: 14}
_MAX_ROUNDS = 1000
MANY = [Fault.NONE] * 1000  # more requests than a worker makes


class BrokenPromiseError(Exception):
    """Something that must hold does not.

    Attributes:
        promise: what must hold.
    """

    def __init__(self, promise: str, details: str) -> None:
        super().__init__(f"{promise}: {details}")
        self.promise = promise


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A revision of a source."""

    etag: str
    version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A worker, and the messages that it was invoked with."""

    worker: Worker
    task: str  # the key that a task of S3 Batch Operations names
    queue: str
    messages: Sequence[Mapping[str, Any]]
    direct: Sequence[str] = ()  # the keys that an event names which does not come from a queue

    @property
    def is_sweep(self) -> bool:
        """Whether a schedule invoked the worker. Lambda does so again if it fails."""
        return not self.task and not self.queue and not self.direct


@dataclass(slots=True)
class Totals:
    """What happened in one sequence, or in several."""

    sequences: int = 0
    uploads: int = 0
    deliveries: int = 0  # deliveries of events and tasks
    segment_deliveries: int = 0
    copy_deliveries: int = 0  # deliveries of events about receipts
    requests: int = 0  # requests of workers to S3, except for these
    copy_requests: int = 0
    messages: int = 0  # sent by workers
    sweeps: int = 0
    sweep_requests: int = 0
    faults: int = 0
    lost_races: int = 0  # conditional requests that failed

    def add(self, other: "Totals") -> None:
        """Add the totals of other sequences."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True)
class Stack:
    """Buckets and queues, what was uploaded and deployed, and the workers that are running.

    Attributes:
        deployment: what workers start with.
        policy: what workers may do.
        copying: what workers may do that copy results into the catalog; None if there is no catalog.
        announces: whether results are announced to an event bus.
        threads: whether workers run freely.
        results: the bucket for results.
        log: what happened so far, for the person who reads about a failure.
    """

    deployment: Deployment
    policy: Policy
    copying: Policy | None = None
    announces: bool = False
    threads: bool = False
    results: str = BUCKET
    is_versioned: bool = False
    uses_kms: bool = False
    page_size: int = 1000
    clock: Clock = field(default_factory=Clock)
    log: list[str] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    history: dict[str, list[Uploaded]] = field(default_factory=dict)  # by key
    deployed: list[Deployment] = field(default_factory=list)
    failed_tasks: set[str] = field(default_factory=set)  # the keys of tasks that failed or whose worker died
    lost: set[str] = field(default_factory=set)  # the keys of sources whose messages are gone
    lost_copies: set[str] = field(default_factory=set)  # the keys of receipts whose events are gone
    running: list[Delivery] = field(default_factory=list)
    loses_deletion: Callable[[], bool] = lambda: False  # whether done messages are delivered again
    choose_fault: Callable[[], Callable[[], Fault]] = lambda: lambda: Fault.NONE  # of each thread
    s3: S3 = field(init=False)
    sqs: Sqs = field(init=False)
    events: Events = field(init=False)
    outage: str = ""  # the operation that AWS refuses at the moment
    is_damaged: bool = False  # whether someone else has changed results
    _workers: int = 0
    _broken: BrokenPromiseError | None = None  # found while a worker runs

    def __post_init__(self) -> None:
        self.deployed.append(self.deployment)
        buckets = {name: Bucket(self.is_versioned, self.uses_kms) for name in (BUCKET, self.results)}
        self.s3 = S3(self.clock, self.page_size, buckets=buckets)
        dead, failed = MessageQueue(), MessageQueue()
        queues = {
            url: MessageQueue(VISIBILITY_SECONDS, MAX_RECEIVES, letters)
            for url, letters in ((UPLOADS, dead), (SEGMENTS, dead), (COPIES, failed))
        }
        self.sqs = Sqs(self.clock, queues={**queues, DEAD_LETTERS: dead, FAILED_COPIES: failed})
        self.events = Events(self.clock)
        if self.copying:
            self.s3.on_change = self._announce_receipt

    def copy(self) -> "Stack":
        """Return a copy of the stack, with the same history. No worker may be running."""
        assert not self.running
        # What never changes needs no copy, and a lock cannot have one.
        shared: list[Any] = [self.policy, self.copying, *self.deployed]
        shared += [service.lock for service in (self.s3, self.sqs, self.events)]
        shared += [each for bucket in self.s3.buckets.values() for each in bucket.objects.values()]
        shared += [each for revisions in self.history.values() for each in revisions]
        return deepcopy(self, {id(each): each for each in shared})

    # What users and operators do

    def upload(self, key: str, kind: str, variant: int) -> None:
        """Upload an object, and announce it."""
        body = uploads.body_of(kind, variant)
        # Without versions, uploads within a second may look the same (ADR 2).
        self.clock.now += 1.0
        self.s3.perform("PutObject", {"Bucket": BUCKET, "Key": key, "Body": body})
        stored = self.s3.buckets[BUCKET].objects[key]
        version = stored.version or time_of(stored.modified).isoformat()
        self.history.setdefault(key, []).append(Uploaded(stored.etag, version, body))
        self.totals.uploads += 1
        self.note(f"upload {key}: {kind}, {len(body)} bytes")
        self.announce(key)

    def announce(self, *keys: str) -> None:
        """Send a message that names objects. S3 names one, but others may send several."""
        self.lost -= set(keys)
        self._send(json.dumps(_notification(keys)))

    def delete(self, key: str) -> None:
        """Delete a source."""
        self.note(f"delete {key}")
        self.s3.perform("DeleteObject", {"Bucket": BUCKET, "Key": key})

    def archive(self, key: str) -> None:
        """Move a source to an archive storage class, if it exists, as a lifecycle rule does."""
        objects = self.s3.buckets[BUCKET].objects
        if key in objects:
            self.note(f"archive {key}")
            objects[key] = replace(objects[key], is_archived=True)

    def restore(self) -> None:
        """Restore all archived sources, and announce them."""
        objects = self.s3.buckets[BUCKET].objects
        for key in [key for key in objects if objects[key].is_archived]:
            self.note(f"restore {key}")
            objects[key] = replace(objects[key], is_archived=False)
            self.announce(key)

    def deploy(self, deployment: Deployment) -> None:
        """Start new workers with a different model or settings from now on."""
        self.note(f"deploy {deployment.name}")
        self.deployment = deployment
        self.deployed.append(deployment)

    def wait(self, seconds: float) -> None:
        """Let time pass, and lifecycle rules take effect."""
        self.note(f"{seconds:.0f} seconds pass")
        self.clock.now += seconds
        self.s3.expire(self.results, "work/", _WORK_DAYS * DAY_SECONDS)
        for queue, days in _RETENTION_DAYS.items():
            expired = self.sqs.expire(queue, days * DAY_SECONDS)
            if expired:
                self.note(f"{len(expired)} messages expire")
                lost = self.lost_copies if queue in (COPIES, FAILED_COPIES) else self.lost
                lost |= _keys_named(expired)

    def redrive(self) -> None:
        """Move the dead letters back to the queue for uploads."""
        self.note(f"redrive {len(self.sqs.queues[DEAD_LETTERS].messages)} dead letters")
        client: Any = Client(self.sqs)
        for _ in move_messages(Queue(DEAD_LETTERS, client), Queue(UPLOADS, client)):
            pass

    def redrive_copies(self) -> None:
        """Move the dead letters of the catalog back to its queue."""
        self.note(f"redrive {len(self.sqs.queues[FAILED_COPIES].messages)} events of receipts")
        client: Any = Client(self.sqs)
        for _ in move_messages(Queue(FAILED_COPIES, client), Queue(COPIES, client)):
            pass

    def lose(self) -> None:
        """Delete the dead letters as SQS does, because nobody moved them back in time."""
        self.note(f"{len(self.sqs.queues[DEAD_LETTERS].messages)} dead letters are deleted")
        self.lost |= self.keys_of_dead_letters()
        self.sqs.queues[DEAD_LETTERS].messages.clear()

    # What AWS does

    def sweep(self, seconds_ahead: float = 0.0) -> None:
        """Invoke a worker as the schedule does, whose clock may be ahead.

        Then it mistakes work in progress for abandoned work.
        """
        now = time_of(self.clock.now + seconds_ahead).isoformat()
        event = {"reviewboxSweep": {"bucket": BUCKET, "time": now}}
        # It may disturb the work on each object.
        self.totals.faults += len(self.history) if seconds_ahead else 0
        self.totals.sweeps += 1
        self._invoke(on_batch_operation.handler, event, f"a sweep of what was left before {now}")

    def deliver(self, queue: str, size: int = MAX_BATCH) -> None:
        """Invoke a worker with messages of a queue, if there are any."""
        messages = self.sqs.perform(
            "ReceiveMessage",
            {"QueueUrl": queue, "MaxNumberOfMessages": size, "MessageSystemAttributeNames": ["All"]},
        ).get("Messages", [])
        if not messages:
            return
        records = [
            {
                "eventSource": "aws:sqs",
                "messageId": message["MessageId"],
                "body": message["Body"],
                "attributes": message["Attributes"],
            }
            for message in messages
        ]
        received = (
            f"{m['MessageId']} (receive {m['Attributes']['ApproximateReceiveCount']})" for m in messages
        )
        what = f"{queue.rpartition('/')[2]}: {', '.join(received)}"
        handler = on_result.handler if queue == COPIES else on_upload.handler
        self._invoke(handler, {"Records": records}, what, queue=queue, messages=messages)

    def perform_task(self, key: str) -> None:
        """Invoke a worker for S3 Batch Operations."""
        task = {"taskId": "task", "s3Key": key, "s3BucketArn": f"arn:aws:s3:::{BUCKET}"}
        event = {"invocationSchemaVersion": "1.0", "invocationId": "id", "tasks": [task]}
        self._invoke(on_batch_operation.handler, event, f"a task: {key}", key)

    def invoke_directly(self, *keys: str) -> None:
        """Invoke a worker with an event that does not come from a queue, as SNS or an operator does."""
        what = f"an event that names {', '.join(keys)}"
        self._invoke(on_upload.handler, _notification(keys), what, direct=keys)

    def deliver_again(self) -> None:
        """Make SQS deliver messages again that workers are working on. It promises "at least once"."""
        self.note("SQS delivers messages again")
        for queue in (UPLOADS, SEGMENTS, COPIES):
            for message in self.sqs.queues[queue].messages:
                message.visible_at = self.clock.now - 1.0

    def collect(self) -> None:
        """Delete the messages of workers that are done.

        Raises:
            BrokenPromiseError: a worker did what none may do.
        """
        for delivery in [delivery for delivery in self.running if delivery.worker.is_done]:
            self.running.remove(delivery)
            worker = delivery.worker
            if delivery.is_sweep:
                self.totals.sweep_requests += worker.s3_requests
            elif delivery.queue == COPIES:
                self.totals.copy_requests += worker.s3_requests
            else:
                self.totals.requests += worker.s3_requests
            self.totals.messages += worker.messages_sent
            self.totals.faults += worker.faults
            self.totals.lost_races += worker.lost_races
            may_fail = delivery.is_sweep and isinstance(worker.error, (ClientError, BotoCoreError))
            may_fail |= bool(delivery.direct) and isinstance(worker.error, UploadError)
            if worker.error and not worker.is_dead and not may_fail:
                raise BrokenPromiseError("a handler answers", repr(worker.error)) from worker.error
            if delivery.task and not _has_succeeded(worker):
                self.failed_tasks.add(delivery.task)
            if worker.is_dead or worker.error:
                self.failed_tasks |= set(delivery.direct)
            if delivery.queue and not worker.is_dead:
                self._acknowledge(delivery)
        if self._broken:
            raise self._broken

    def settle(self, step: Callable[[], None]) -> None:
        """Deliver everything until nothing is left to do, except what dead letters name.

        `step` lets some of the running workers continue.

        Raises:
            BrokenPromiseError: there is always more to do.
        """
        for _ in range(_MAX_ROUNDS):
            self.collect()
            if self.running:
                step()
                continue
            waiting = [m for name in (UPLOADS, SEGMENTS, COPIES) for m in self.sqs.queues[name].messages]
            if not waiting:
                return
            if not self.has_visible():
                self.clock.now = min(message.visible_at for message in waiting) + 1.0
            self.deliver(SEGMENTS, 1)
            self.deliver(UPLOADS)
            self.deliver(COPIES, 1)
        raise BrokenPromiseError("work ends", f"not within {_MAX_ROUNDS} rounds")

    def has_visible(self) -> bool:
        """Return whether a message can be delivered now."""
        queues = (self.sqs.queues[url] for url in (UPLOADS, SEGMENTS, COPIES))
        return any(message.visible_at < self.clock.now for queue in queues for message in queue.messages)

    def receipts_not_copied(self) -> set[str]:
        """Return the keys of the receipts whose events are dead letters, or are gone."""
        return self.lost_copies | _keys_named(self.sqs.queues[FAILED_COPIES].messages)

    def keys_of_dead_letters(self) -> set[str]:
        """Return the keys of the sources that dead letters name, whether by object or by segment."""
        return _keys_named(self.sqs.queues[DEAD_LETTERS].messages)

    def damage(self, key: str, body: bytes | None) -> None:
        """Replace a result, or delete it, as someone else might."""
        self.note(f"somebody else {'deletes' if body is None else 'replaces'} {key}")
        self.is_damaged = True
        self.totals.faults += 1
        operation, content = ("DeleteObject", {}) if body is None else ("PutObject", {"Body": body})
        self.s3.perform(operation, {"Bucket": self.results, "Key": key, **content})

    def note(self, text: str) -> None:
        """Log what happens."""
        self.log.append(text)

    def _send(self, body: str, queue: str = UPLOADS) -> None:
        entries = [{"Id": "0", "MessageBody": body}]
        self.sqs.perform("SendMessageBatch", {"QueueUrl": queue, "Entries": entries})

    def _announce_receipt(self, bucket: str, key: str) -> None:
        """Send an event to the queue of the catalog, as a rule does for each receipt that changes."""
        if key.startswith("results/") and key.endswith(".json"):
            self.lost_copies.discard(key)
            self._send(upload_message(ObjectRef(bucket, key)), COPIES)

    def _invoke(
        self,
        handler: Callable[..., Any],
        event: Mapping[str, Any],
        what: str,
        task: str = "",
        queue: str = "",
        messages: Sequence[Mapping[str, Any]] = (),
        direct: Sequence[str] = (),
    ) -> None:
        segments = sum("reviewboxSegment" in message["Body"] for message in messages)
        self.totals.segment_deliveries += segments
        objects = sum(message["Body"].count("eventName") for message in messages)
        if queue == COPIES:
            self.totals.copy_deliveries += objects
        else:
            self.totals.deliveries += objects + bool(task) + len(direct)
        self._workers += 1
        worker = Worker(f"worker {self._workers}", self.clock, _TIMEOUT_SECONDS, self.note)
        if self.threads:
            worker.choose_fault = self.choose_fault()
        self.note(f"{worker.name} starts with {self.deployment.name} and {what}")
        policy = self.copying if queue == COPIES and self.copying else self.policy
        s3: Any = Client(self.s3, self._watched(worker, policy))
        sqs: Any = Client(self.sqs, self._refused(worker))
        events: Any = Client(self.events, self._refused(worker))
        settings = _settings(self.deployment, "" if self.results == BUCKET else self.results)
        pipeline = Pipeline(
            S3Storage(s3),
            self.deployment.classifier,
            settings,
            Queue(SEGMENTS, sqs, self._sleep),
            EventBus("default", events, self._sleep) if self.announces else None,
            wait=self._sleep,
        )
        uses = on_result.Copier(S3Storage(s3), settings) if queue == COPIES else pipeline
        self.running.append(Delivery(worker, task, queue, messages, direct))
        worker.start(lambda: handler(event, worker.context, uses))

    def _acknowledge(self, delivery: Delivery) -> None:
        failed = {item["itemIdentifier"] for item in delivery.worker.response["batchItemFailures"]}
        self.note(f"{delivery.worker.name} ends; failed: {', '.join(sorted(failed)) or 'none'}")
        done = [message for message in delivery.messages if message["MessageId"] not in failed]
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(done)]
        if entries and self.loses_deletion():
            self.note("Lambda does not get to delete the messages")
        elif entries:
            self.sqs.perform("DeleteMessageBatch", {"QueueUrl": delivery.queue, "Entries": entries})

    def _refused(self, worker: Worker) -> Gate:
        """Return a gate for a worker's requests during an outage."""

        def gate(operation: str, params: dict[str, Any], perform: Callable[[], Any]) -> Any:
            def answer() -> Any:
                if operation == self.outage:
                    raise client_error(operation, "AccessDenied", 403)
                return perform()

            worker.faults += operation == self.outage
            return worker.gate(operation, params, answer)

        return gate

    def _watched(self, worker: Worker, policy: Policy) -> Gate:
        """Return the gate of a worker's S3 client."""
        refused = self._refused(worker)

        def gate(operation: str, params: dict[str, Any], perform: Callable[[], Any]) -> Any:
            if not policy.allows(operation, params):
                self._broken = BrokenPromiseError("the policy allows every request", f"{operation} {params}")

            def answer() -> Any:
                try:
                    return perform()
                except ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    if operation in ("GetObject", "HeadObject") and status == 404 and policy.hides_absence:
                        code = "AccessDenied" if operation == "GetObject" else "403"
                        raise client_error(operation, code, 403) from None
                    raise

            try:
                return refused(operation, params, answer)
            finally:
                if operation in ("PutObject", "DeleteObject") and not (self.threads or self.is_damaged):
                    self._look_at(params["Key"])

        return gate

    def _look_at(self, changed: str) -> None:
        """Notice a receipt that names a part which does not exist, now that an object has changed."""
        objects = self.s3.buckets[self.results].objects
        for key in self.history:
            receipt = uploads.receipt_key(key)
            if not changed.startswith((receipt, uploads.tables_prefix(key))) or receipt not in objects:
                continue
            content = json.loads(objects[receipt].body)
            for part in content.get("parts", []):
                found = objects.get(part["key"])
                if found is None or found.etag != part["etag"]:
                    promise = "at every moment, the parts that a receipt names exist"
                    self._broken = self._broken or BrokenPromiseError(promise, part["key"])

    def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds


@cache
def _settings(deployment: Deployment, results_bucket: str) -> Settings:
    return replace(
        deployment.settings,
        results_bucket=results_bucket,
        queue_url=SEGMENTS,
        max_receives=MAX_RECEIVES,
        catalog_prefix="catalog/",
    )


def _keys_named(messages: Iterable[StoredMessage]) -> set[str]:
    """Return the keys of the sources that messages name, whether by object or by segment."""
    parsed = [message for stored in messages for message in parse(json.loads(stored.body))]
    refs = {ref.key for message in parsed for ref in message.refs}
    return refs | {ref.source.key for message in parsed for ref in message.segments}


def _notification(keys: Sequence[str]) -> dict[str, Any]:
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}},
        }
        for key in keys
    ]
    return {"Records": records}


def _has_succeeded(worker: Worker) -> bool:
    return not worker.is_dead and worker.response["results"][0]["resultCode"] == "Succeeded"


@contextmanager
def inline_pools() -> Iterator[None]:
    """Make thread pools run each task immediately, in the submitting thread, so that runs can be repeated."""

    def submit(_pool: Any, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as a pool does
            future.set_exception(error)
        return future

    with patch.object(ThreadPoolExecutor, "submit", submit):
        yield
