"""The service on objects in memory: whatever the buckets contain, every object gets the right result."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from tests.fuzz.documents import DroppedFile
from tests.fuzz.memory_store import MemoryStore
from tests.tiny import write_model

from reviewbox.documents import Table, read_document
from reviewbox.documents.compression import decompress
from reviewbox.errors import ErrorCode, NotStartedError
from reviewbox.events import parse
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.results.added_fields import AddedFields
from reviewbox.results.receipt import Receipt
from reviewbox.settings import Settings

BUCKET = "reviewbox"
# Objects of a fuzzer are never larger than a segment of the first, and often larger than one of the second.
WHOLE = Settings(segment_bytes=1024 * 1024)
SEGMENTED = Settings(segment_bytes=100)
# What is found only at the end of a file that is read as a whole, or is a limit of such files.
_ONLY_WHOLE = (ErrorCode.TOO_LARGE, ErrorCode.TRUNCATED_FILE, ErrorCode.TRAILING_GARBAGE)
_MAX_DELIVERIES = 2_000
# The fields of a receipt that depend on what was there before it.
_NAMES_OF_PARTS = ("parts", "replaces")
_SEPARATOR = b"\n---\n"


class MemoryQueue:
    """The request of an SQS client that `Queue.send` makes; the messages stay in memory."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: Iterable[Mapping[str, str]]) -> Mapping[str, Any]:  # noqa: ARG002, N803
        """Take messages."""
        self.bodies += [entry["MessageBody"] for entry in Entries]
        return {}


class Service:
    """A pipeline on objects in memory, and its queue."""

    def __init__(self, objects: Mapping[ObjectRef, bytes], settings: Settings) -> None:
        self.store = MemoryStore(objects)
        self.queue = MemoryQueue()
        client: Any = self.queue
        self._pipeline = Pipeline(self.store, classifier(), settings, Queue("memory", client))

    def receive(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef | SegmentRef, Outcome]:
        """Process objects as one batch, and those that do not fit into it on their own, as on AWS."""
        outcomes: dict[ObjectRef | SegmentRef, Outcome] = {}
        for ref, outcome in self._pipeline.process_all(refs, lambda: 900.0):
            if isinstance(outcome, NotStartedError):
                outcomes[ref] = self._pipeline.process(ref, lambda: 900.0)
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                outcomes[ref] = outcome
        return outcomes

    def fail(self, ref: ObjectRef) -> None:
        """Record that the last delivery of an object has failed."""
        self._pipeline.record_failure(ref, TimeoutError())

    def sweep(self) -> None:
        """Remove the parts that no receipt names. All objects count as old."""
        assert self._pipeline.sweep(BUCKET, 10**9, lambda: 900.0).is_complete

    def settle(self) -> None:
        """Deliver the messages that the service sends to itself, one at a time, until none is left."""
        for _ in range(_MAX_DELIVERIES):
            if not self.queue.bodies:
                return
            self.deliver()
        raise AssertionError("messages are sent without end")

    def deliver(self) -> None:
        """Deliver the oldest message."""
        (message,) = parse(json.loads(self.queue.bodies.pop(0)))
        for target in message.targets:
            self._pipeline.process(target, lambda: 900.0)

    def receipt(self, ref: ObjectRef) -> Mapping[str, Any]:
        """Return the content of an object's receipt; empty if there is none."""
        body = self.store.objects.get(ObjectRef(BUCKET, f"results/{ref.key}.json"))
        return Receipt.decode(body).content if body else {}

    def table(self, ref: ObjectRef, header: bytes) -> bytes:
        """Return the classified table of an object, decompressed, its parts concatenated below one header."""
        parts = [ObjectRef(part["bucket"], part["key"]) for part in self.receipt(ref).get("parts", [])]
        bodies = [decompress(self.store.objects[part], 10**9).data for part in parts]
        assert all(body.startswith(header) for body in bodies)
        return header + b"".join(body.removeprefix(header) for body in bodies)


@cache
def classifier() -> Classifier:
    """Return a classifier that knows a few words."""
    with tempfile.TemporaryDirectory() as folder:
        return Classifier.load(write_model(Path(folder)))


def check_batch(case: bytes) -> None:
    """Process files each on its own, in segments, and as one batch: the results are the same.

    The files of a case are separated by lines of three dashes. Each is as `DroppedFile.decode` expects it.
    """
    files = [DroppedFile.decode(part) for part in case.split(_SEPARATOR)[:8]]
    sources = {ObjectRef(BUCKET, f"incoming/{i}/{file.name}"): file.data for i, file in enumerate(files)}
    sources = {ref: body for ref, body in sources.items() if len(ref.key.encode()) < 900}
    alone, batch, segments = Service(sources, WHOLE), Service(sources, WHOLE), Service(sources, SEGMENTED)
    for ref in sources:
        alone.receive([ref])
        segments.receive([ref])
    batch.receive(sources)
    for service in (alone, batch, segments):
        service.settle()

    assert batch.store.objects == alone.store.objects
    for ref, body in sources.items():
        one, other = alone.receipt(ref), segments.receipt(ref)
        if one.get("error", {}).get("code") in _ONLY_WHOLE:
            continue
        for name in ("counts", "notes", "error", "sentiment", "scores", "evidence"):
            assert one.get(name) == other.get(name), f"{name} of {ref}"
        if "counts" in one:
            header = _header(ref, body)
            assert alone.table(ref, header) == segments.table(ref, header)


def check_receipt(case: bytes) -> None:
    """Whatever is where a receipt belongs, the object gets the right result, and no other object changes.

    A receipt that claims to be of the right revision, model and settings cannot be distinguished from one of
    ours. The first line of a case is the key of an object below `incoming/`: one of `_SOURCES`. Below is the
    receipt, in which `$etag`, `$model` and `$settings` stand for the right values.
    """
    head, _, content = case.partition(b"\n")
    ref = _source_named(head)
    reference = _reference(ref)
    right = reference.receipt(ref)
    for name, value in (
        (b"$etag", right["source"]["etag"].strip('"')),
        (b"$model", right["model"]["sha256"]),
        (b"$settings", right["settings"]["sha256"]),
    ):
        content = content.replace(name, value.encode())
    planted = ObjectRef(BUCKET, f"results/{ref.key}.json")
    planted_objects = {**_foreign_objects(), ref: _SOURCES[ref], planted: content}
    service, failing = Service(planted_objects, SEGMENTED), Service(planted_objects, SEGMENTED)

    service.receive([ref])
    service.settle()
    failing.fail(ref)
    failing.sweep()

    assert _foreign_objects().items() <= service.store.objects.items()
    assert _foreign_objects().items() <= failing.store.objects.items()
    before = dict(service.store.objects)
    service.sweep()
    assert service.store.objects == before
    claimed = Receipt.decode(content).content
    if any(claimed.get(name) != right[name] for name in ("source", "model", "settings", "format")):
        _check_result(service, reference, ref)


def check_plan(case: bytes) -> None:
    """Whatever is where an object under `work/` belongs, the table gets a result; nothing else changes.

    The first line of a case is the start of a name, such as `plan.json` or `done/00000`; below is what
    replaces each object with such a name, after one segment is done.
    """
    head, _, content = case.partition(b"\n")
    ref = ObjectRef(BUCKET, "incoming/a.csv")
    service = Service({**_foreign_objects(), ref: _SOURCES[ref]}, SEGMENTED)
    service.receive([ref])
    service.deliver()
    plans = {work for work in service.store.objects if work.key.endswith("/plan.json")}
    (plan,) = plans - _foreign_objects().keys()
    start = ObjectRef(BUCKET, plan.key.removesuffix("plan.json") + head.decode("utf-8", "replace"))
    named = [work for work in service.store.objects if work.key.startswith(start.key)]
    service.store.objects |= dict.fromkeys(named or [start], content)

    service.settle()
    service.sweep()
    service.receive([ref])
    service.settle()

    assert _foreign_objects().items() <= service.store.objects.items()
    if _is_json(content):  # nobody could distinguish it from one of ours
        receipt = service.receipt(ref)
        assert "counts" in receipt or receipt["error"]["code"]
    else:
        _check_result(service, _reference(ref), ref)


def _check_result(service: Service, reference: Service, ref: ObjectRef) -> None:
    """A result is the same as that of another service, and nothing else is left of the object."""
    one, other = (
        {name: value for name, value in each.receipt(ref).items() if name not in _NAMES_OF_PARTS}
        for each in (service, reference)
    )
    assert one == other
    if "counts" in one:
        header = _header(ref, _SOURCES[ref])
        assert service.table(ref, header) == reference.table(ref, header)
    parts = {ObjectRef(part["bucket"], part["key"]) for part in service.receipt(ref).get("parts", [])}
    left = {
        each for each in service.store.objects.keys() - _foreign_objects() if each.key.startswith("results/")
    }
    assert left == {*parts, ObjectRef(BUCKET, f"results/{ref.key}.json")}


def check_keys(case: bytes) -> None:
    """Objects of any keys, one per line, each get a result of their own and keep it."""
    keys = {f"incoming/{line}" for line in case.decode("utf-8", "replace").split("\n")[:20]}
    keys = {key for key in keys if len(key.encode()) <= 1024}
    csv = b"id,review\n1,the film is good\n2,awful\n3,not bad\n"
    sources = {ObjectRef(BUCKET, key): csv if len(key) % 2 else b"the film is good" for key in sorted(keys)}
    for ref in sources:
        _check_event(ref)
    service = Service(sources, SEGMENTED)

    outcomes = service.receive(sources)
    service.settle()

    objects = service.store.objects
    receipts = {ref: found for ref, body in objects.items() if (found := Receipt.decode(body)).content}
    named = [ObjectRef(BUCKET, found.content["source"]["key"]) for found in receipts.values()]
    assert sorted(named, key=str) == sorted(
        (ref for ref in sources if outcomes[ref] is not Outcome.IGNORED), key=str
    )
    parts = [part.ref for found in receipts.values() for part in found.parts]
    assert len(parts) == len(set(parts))
    results = {ref for ref in objects if ref.key.startswith("results/")}
    assert results == {*receipts, *parts}
    before = dict(objects)
    again = service.receive(sources)
    service.settle()
    assert set(again.values()) <= {Outcome.CURRENT, Outcome.IGNORED}
    service.sweep()
    assert service.store.objects == before
    _check_sweep(service, receipts)


def _check_sweep(service: Service, receipts: Mapping[ObjectRef, Receipt]) -> None:
    """A sweep removes a part of another table of each source, and nothing else."""
    before = dict(service.store.objects)
    leftovers = {_leftover(part.ref): ref for ref, found in receipts.items() for part in found.parts}
    service.store.objects |= dict.fromkeys(leftovers, b"id,review")
    service.sweep()
    # If a key is very long, its parts may have a digest although the receipt has none. Then nobody knows
    # whose they are.
    known = {part for part, ref in leftovers.items() if part.key.startswith(ref.key.removesuffix("json"))}
    assert {**before, **dict.fromkeys(leftovers.keys() - known, b"id,review")} == service.store.objects


def _leftover(part: ObjectRef) -> ObjectRef:
    """Return a part of another table of the same source."""
    folder, _, name = part.key.rpartition("/")
    return ObjectRef(BUCKET, f"{folder.rpartition('/')[0]}/{'0' * 32}/{name}")


def _check_event(ref: ObjectRef) -> None:
    """A notification of S3 names exactly this object."""
    named = {"bucket": {"name": ref.bucket}, "object": {"key": quote_plus(ref.key)}}
    event = {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": named}]}
    assert [message.refs for message in parse(event)] == [(ref,)]


_SOURCES = {
    ObjectRef(BUCKET, "incoming/a.txt"): b"the film is good",
    ObjectRef(BUCKET, "incoming/a.csv"): b"id,review\n"
    + b"1,the film is good\n2,awful film\n3,not bad\n" * 3,
    ObjectRef(BUCKET, "incoming/a.json"): b'[{"review": "the film is good"}, {"review": "awful"}]',
    ObjectRef(BUCKET, "incoming/broken.csv"): b"\0\1\2\3",
}


def _source_named(name: bytes) -> ObjectRef:
    ref = ObjectRef(BUCKET, f"incoming/{name.decode('utf-8', 'replace')}")
    return ref if ref in _SOURCES else next(iter(_SOURCES))


@cache
def _reference(ref: ObjectRef) -> Service:
    """Return a service that has processed one of `_SOURCES` on its own."""
    service = Service({ref: _SOURCES[ref]}, SEGMENTED)
    service.receive([ref])
    service.settle()
    return service


@cache
def _foreign_objects() -> Mapping[ObjectRef, bytes]:
    """Return objects that belong to others: other sources and their results, and what is not ours at all."""
    other = ObjectRef(BUCKET, "incoming/other.csv")
    service = Service({other: _SOURCES[ObjectRef(BUCKET, "incoming/a.csv")]}, SEGMENTED)
    service.receive([other])
    service.settle()
    strange = {ObjectRef("elsewhere", "a"): b"a"}
    for name in (
        "a.csv.notes",
        "a.csv.classified.notes",
        "a.csv.classified/part-1.csv",
        "a.csv.classified/a.csv",
    ):
        strange[ObjectRef(BUCKET, f"results/incoming/{name}")] = b"b"
    return {**service.store.objects, **strange}


def _header(ref: ObjectRef, body: bytes) -> bytes:
    table = read_document(ref.key, "", body, WHOLE.read_options).table
    if not isinstance(table, Table):
        return b""
    header = table.render_header(AddedFields(table, WHOLE.needs_review_below).names)
    return header.encode("utf-8", "backslashreplace")


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
