"""The status of a deployed stack: its queues, its results and the reasons for its failures."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from reviewbox.errors import ErrorCode
from reviewbox.events import parse
from reviewbox.objects import Listed, ObjectRef
from reviewbox.queue import Queue, ReceivedMessage
from reviewbox.results.keys import receipt_key, receipt_key_of_part
from reviewbox.results.receipt import Receipt
from reviewbox.results.receipt_store import read_receipt
from reviewbox.stack.aws import MAX_CONNECTIONS
from reviewbox.stack.discovery import Stack
from reviewbox.stack.listing import is_receipt, list_objects
from reviewbox.storage import S3Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# Passes items through, and reports the progress of the loop over them under a description.
Tracker = Callable[..., Iterable[Any]]

_MAX_DEAD_LETTERS = 100
# Long enough to receive all dead letters. They are released as soon as that is done.
_HIDDEN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class FailureReason:
    """Why an object does not have a result."""

    object: str  # its URI; "" if the message does not name an object
    code: str  # the error code of its receipt; "" if there is none
    message: str  # an explanation for people


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a stack. The numbers of messages are approximate, as they are in SQS."""

    stack: str
    source: str  # the URI of the prefix for reviews
    results: str  # the URI of the prefix for results
    queued: int  # messages that wait in all queues
    segments_queued: int  # how many of them wait in the queue for segments
    in_flight: int  # messages that are being processed or wait for a retry
    delayed: int  # messages that SQS does not deliver yet
    dead_lettered: int
    objects: int  # under the source prefix
    bytes: int  # the size of these objects
    receipts: int  # including those of deleted objects
    tables_in_work: int  # large tables that have parts but no receipt yet
    parts_in_work: int  # the parts of these tables
    receipts_read: int  # the newest ones
    # The numbers below are about these. Receipts from other versions count neither as done nor as failed.
    done: int  # with a verdict or a table
    failed: int  # with an error
    reviews: int  # reviews in the results that are done
    failed_reviews: int  # how many of these reviews have an error instead of a verdict
    failures: tuple[FailureReason, ...]  # the reasons in the `failed` receipts
    dead_letters: tuple[FailureReason, ...]  # the reasons for the first 100 dead letters


@dataclass(frozen=True, slots=True)
class _Results:
    """What a listing says about results."""

    receipts: int  # how many there are
    newest: Sequence[str]  # the keys of the newest of them
    parts: Counter[str]  # the number of parts of each table without a receipt, by the key of the receipt


def collect_status(stack: Stack, s3: "S3Client", sqs: "SQSClient", newest: int, track: Tracker) -> Status:
    """Return the status of a stack, with the contents of at most `newest` receipts.

    Dead letters are received and then released.
    """
    source = ObjectRef(stack.bucket, stack.source_prefix)
    results = ObjectRef(stack.results_bucket, stack.results_prefix)
    urls = stack.queue_urls
    queues = [Queue(url, sqs).count() for url in track(urls, "Counting messages", len(urls))]
    dead_letter_queue = Queue(stack.dead_letter_queue_url, sqs)
    dead_lettered = dead_letter_queue.count().total
    storage = S3Storage(s3)
    objects = size = 0
    for item in track(list_objects(storage, source), "Listing objects"):
        objects += 1
        size += item.size
    listed = _list_results(track(list_objects(storage, results), "Listing results"), newest)
    refs = [ObjectRef(results.bucket, key) for key in listed.newest]
    contents = list(track(_read_receipts(storage, refs), "Reading results", len(refs)))
    dead_letters = _receive(dead_letter_queue, min(dead_lettered, _MAX_DEAD_LETTERS), track)
    return Status(
        stack=stack.name,
        source=str(source),
        results=str(results),
        queued=sum(counts.queued for counts in queues),
        segments_queued=sum(counts.queued for counts in queues[1:]),
        in_flight=sum(counts.in_flight for counts in queues),
        delayed=sum(counts.delayed for counts in queues),
        dead_lettered=dead_lettered,
        objects=objects,
        bytes=size,
        receipts=listed.receipts,
        tables_in_work=len(listed.parts),
        parts_in_work=listed.parts.total(),
        receipts_read=len(refs),
        **_outcomes(contents),
        dead_letters=tuple(_dead_letter_reasons(dead_letters, stack, storage, track)),
    )


def _list_results(listed: Iterable[Listed], newest: int) -> _Results:
    receipts = 0
    heap: list[tuple[float, str]] = []  # the oldest of the newest receipts comes first
    parts: Counter[str] = Counter()
    for item in listed:
        if is_receipt(item.key):
            receipts += 1
            del parts[item.key]  # S3 lists the parts of a table before its receipt
            heapq.heappush(heap, (item.modified, item.key))
            if len(heap) > newest:
                heapq.heappop(heap)
        elif receipt := receipt_key_of_part(item.key):
            parts[receipt] += 1
    return _Results(receipts, [key for _, key in heap], parts)


def _read_receipts(storage: S3Storage, receipts: Iterable[ObjectRef]) -> Iterator[Mapping[str, Any]]:
    """Yield the content of each receipt; it is empty if the receipt is absent or from a different version."""

    def read(ref: ObjectRef) -> Mapping[str, Any]:
        stored = read_receipt(storage, ref)
        return stored.receipt.content if stored else {}

    with ThreadPoolExecutor(MAX_CONNECTIONS) as threads:
        yield from threads.map(read, receipts)


def _outcomes(receipts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part of a status that describes the content of receipts."""
    done = [receipt for receipt in receipts if receipt and "error" not in receipt]
    tables = [receipt["counts"] for receipt in done if "counts" in receipt]
    failures = [
        FailureReason(str(Receipt(receipt).source), receipt["error"]["code"], receipt["error"]["message"])
        for receipt in receipts
        if "error" in receipt
    ]
    return {
        "done": len(done),
        "failed": len(failures),
        "reviews": len(done) - len(tables) + sum(counts["total"] for counts in tables),
        "failed_reviews": sum(counts["failed"] for counts in tables),
        "failures": tuple(sorted(failures, key=attrgetter("object"))),
    }


def _receive(queue: Queue, max_messages: int, track: Tracker) -> Sequence[ReceivedMessage]:
    """Return messages of a queue, and leave them in the queue."""
    messages: list[ReceivedMessage] = []

    def receive() -> Iterator[ReceivedMessage]:
        while len(messages) < max_messages and (received := queue.receive(_HIDDEN_SECONDS)):
            messages.extend(received)
            yield from received

    try:
        for _ in track(receive(), "Receiving dead letters", max_messages):
            pass
    finally:
        queue.release(messages)
    return messages


def _dead_letter_reasons(
    messages: Sequence[ReceivedMessage], stack: Stack, storage: S3Storage, track: Tracker
) -> Iterator[FailureReason]:
    records = [
        {"eventSource": "aws:sqs", "messageId": message.message_id, "body": message.body}
        for message in messages
    ]
    parsed = parse({"Records": records}) if records else []
    for message in track(parsed, "Explaining dead letters", len(records)):
        for error in message.errors:
            yield FailureReason("", "", f"the message is not an event: {error}")
        sources = [target.source for target in message.targets]
        keys = (receipt_key(stack.results_prefix, ref.key) for ref in sources)
        receipts = _read_receipts(storage, [ObjectRef(stack.results_bucket, key) for key in keys])
        for ref, content in zip(sources, receipts, strict=True):
            owner = Receipt(content).source
            if owner and owner != ref:
                reason = f"its result would replace the result of {owner}"
                yield FailureReason(str(ref), ErrorCode.FOREIGN_RESULT, reason)
            elif "error" in content:
                yield FailureReason(str(ref), content["error"]["code"], content["error"]["message"])
            elif content:
                yield FailureReason(str(ref), "", "the object has a result, possibly from an earlier upload")
            else:
                # The last attempt writes a receipt, unless the invocation dies.
                hint = "look for timeouts and memory errors in the function's log"
                yield FailureReason(str(ref), "", f"the object has no receipt: {hint}")
        if not (sources or message.errors):
            yield FailureReason("", "", "the message does not name an object")
