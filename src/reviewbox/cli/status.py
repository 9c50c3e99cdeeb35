"""`reviewbox status`: what waits, what is done, what failed and why."""

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reviewbox.cli.render import console, number_of, progress_bar, rounded_bytes
from reviewbox.events import Message, parse
from reviewbox.objects import ObjectRef
from reviewbox.results.keys import receipt_key
from reviewbox.results.receipt import LARGEST_RECEIPT, Receipt
from reviewbox.stack import discovery as aws
from reviewbox.stack.discovery import Stack
from reviewbox.storage import Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_MOST_DEAD_LETTERS = 100  # that are looked into
_MOST_SHOWN = 20  # of either kind; JSON has all
# Long enough to look into them, and they come back before that.
_HIDDEN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an object has no result.

    Attributes:
        object: its URI; "" if a message names none.
        code: as `error_code` has it; "" if there is none.
        message: for people.
    """

    object: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Status:
    """How a stack is doing. Queues count approximately, as SQS does.

    Attributes:
        stack: its name.
        source: where reviews are dropped.
        results: where results go.
        queued: messages that wait.
        segments_queued: those of them that are to have an invocation to themselves: segments, mostly.
        in_flight: messages that are being worked on, or wait to be tried again.
        delayed: messages that may not be taken yet.
        dead_lettered: messages that failed for good.
        objects: how many lie under the source prefix.
        bytes: their size.
        receipts: how many lie under the results prefix, those of sources that are gone included.
        tables_in_work: large tables of which there are parts, and no receipt yet.
        parts_in_work: parts of them.
        receipts_read: how many of them, the newest, the following is about. It counts those, too, that
            another version made, which are neither done nor failed.
        done: those with a verdict or a table.
        failed: those with an error.
        reviews: reviews in what is done.
        failed_reviews: those of them that got an error in their place.
        failures: why those in `failed` did.
        dead_letters: why the dead letters are; of the first hundred messages.
    """

    stack: str
    source: str
    results: str
    queued: int
    segments_queued: int
    in_flight: int
    delayed: int
    dead_lettered: int
    objects: int
    bytes: int
    receipts: int
    tables_in_work: int
    parts_in_work: int
    receipts_read: int
    done: int
    failed: int
    reviews: int
    failed_reviews: int
    failures: tuple[Reason, ...]
    dead_letters: tuple[Reason, ...]


def show_status(stack_name: str, newest: int, *, as_json: bool) -> None:
    """Print how a stack is doing.

    Args:
        stack_name: of the deployed stack.
        newest: how many receipts to read.
        as_json: whether to print one JSON object.
    """
    stack = aws.find_stack(aws.connect("cloudformation"), stack_name)
    terminal = Console(stderr=True) if as_json else console()
    status = look(stack, aws.connect("s3"), aws.connect("sqs"), newest, terminal)
    if as_json:
        print(json.dumps(asdict(status), ensure_ascii=False, indent=2))
    else:
        _print(status, terminal)


def look(stack: Stack, s3: "S3Client", sqs: "SQSClient", newest: int, terminal: Console) -> Status:
    """Gather a stack's status. The dead letters are looked at and left where they are."""
    source = ObjectRef(stack.bucket, stack.source_prefix)
    results = ObjectRef(stack.results_bucket, stack.results_prefix)
    queues = [aws.count_messages(sqs, url) for url in stack.queue_urls]
    dead_lettered = aws.count_messages(sqs, stack.dead_letter_queue_url).total
    objects = size = receipts = 0
    latest: list[tuple[datetime, str]] = []  # a heap, the oldest first
    in_work: Counter[str] = Counter()  # by the receipts to come
    with progress_bar(terminal, "Listing") as update:
        for listed in aws.list_objects(s3, source):
            objects += 1
            size += listed.size
            update(advance=1)
        for listed in aws.list_objects(s3, results):
            if aws.is_receipt(listed.key):
                receipts += 1
                del in_work[listed.key]  # S3 lists the parts before it
                heapq.heappush(latest, (listed.last_modified, listed.key))
                if len(latest) > newest:
                    heapq.heappop(latest)
            elif table := aws.table_of_part(listed.key):
                in_work[table] += 1
            update(advance=1)
    storage = Storage(s3)
    refs = [ObjectRef(stack.results_bucket, key) for _, key in latest]
    with progress_bar(terminal, "Reading results", len(refs)) as update:
        contents = []
        for content in _contents(storage, refs):
            contents.append(content)
            update(advance=1)
    done = [content for content in contents if content and "error" not in content]
    tables = [content["counts"] for content in done if "counts" in content]
    failures = [_failure(content) for content in contents if "error" in content]
    return Status(
        stack=stack.name,
        source=str(source),
        results=str(results),
        queued=sum(queue.queued for queue in queues),
        segments_queued=sum(queue.queued for queue in queues[1:]),
        in_flight=sum(queue.in_flight for queue in queues),
        delayed=sum(queue.delayed for queue in queues),
        dead_lettered=dead_lettered,
        objects=objects,
        bytes=size,
        receipts=receipts,
        tables_in_work=len(in_work),
        parts_in_work=in_work.total(),
        receipts_read=len(refs),
        done=len(done),
        failed=len(failures),
        reviews=len(done) - len(tables) + sum(counts["total"] for counts in tables),
        failed_reviews=sum(counts["failed"] for counts in tables),
        failures=tuple(sorted(failures, key=attrgetter("object"))),
        dead_letters=tuple(_dead_letters(stack, sqs, storage, min(dead_lettered, _MOST_DEAD_LETTERS))),
    )


def _contents(storage: Storage, receipts: Sequence[ObjectRef]) -> Iterator[Mapping[str, Any]]:
    """Yield what each receipt says; nothing for one that is gone or none of ours."""

    def content(ref: ObjectRef) -> Mapping[str, Any]:
        found = storage.read(ref, LARGEST_RECEIPT)
        return Receipt.decode(found.revision.etag, found.body or b"").content if found else {}

    with ThreadPoolExecutor(aws.READERS) as threads:
        yield from threads.map(content, receipts)


def _failure(content: Mapping[str, Any]) -> Reason:
    source = ObjectRef(content["source"]["bucket"], content["source"]["key"])
    return Reason(str(source), content["error"]["code"], content["error"]["message"])


def _dead_letters(stack: Stack, sqs: "SQSClient", storage: Storage, most: int) -> Iterator[Reason]:
    letters: list[MessageTypeDef] = []
    try:
        while len(letters) < most:
            received = aws.receive(sqs, stack.dead_letter_queue_url, _HIDDEN_SECONDS)
            if not received:
                break
            letters += received
    finally:
        aws.release(sqs, stack.dead_letter_queue_url, letters)
    for message in parse({"Records": [_record(letter) for letter in letters]}) if letters else []:
        yield from _reasons(message, stack, storage)


def _record(letter: "MessageTypeDef") -> dict[str, Any]:
    """Return a message as a function gets it."""
    return {"eventSource": "aws:sqs", "messageId": letter["MessageId"], "body": letter["Body"]}


def _reasons(message: Message, stack: Stack, storage: Storage) -> Iterator[Reason]:
    for error in message.errors:
        yield Reason("", "", f"a message that is no event: {error}")
    sources = (*message.refs, *(segment.source for segment in message.segments))
    receipts = [
        ObjectRef(stack.results_bucket, receipt_key(stack.results_prefix, ref.key)) for ref in sources
    ]
    for ref, content in zip(sources, _contents(storage, receipts), strict=True):
        if "error" in content:
            yield Reason(str(ref), content["error"]["code"], content["error"]["message"])
        elif content:
            yield Reason(str(ref), "", "it has a result, which may be of an earlier upload")
        else:
            # The last try leaves a receipt, unless the function dies in it.
            yield Reason(str(ref), "", "it left no result: the function's log may tell of timeouts or memory")
    if not (sources or message.errors):
        yield Reason("", "", "a message that names no object")


def _print(status: Status, terminal: Console) -> None:
    terminal.print(Text(f"{status.source} -> {status.results}"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("more")
    for name, count, more in _lines(status):
        table.add_row(name, f"{count:,}", more)
    terminal.print(table)
    for name, reasons in (("failed", status.failures), ("dead letter", status.dead_letters)):
        if reasons:
            print_reasons(name, reasons, terminal)


def _lines(status: Status) -> Iterator[tuple[str, int, str]]:
    segments = f"{number_of(status.segments_queued, 'segment')} of them" if status.segments_queued else ""
    delayed = f"and {status.delayed:,} delayed" if status.delayed else ""
    yield "queued", status.queued, " ".join(filter(None, (segments, delayed)))
    yield "in flight", status.in_flight, ""
    yield (
        "dead letters",
        status.dead_lettered,
        "`reviewbox redrive` tries again" if status.dead_lettered else "",
    )
    yield "objects", status.objects, rounded_bytes(status.bytes)
    if status.tables_in_work:
        tables = f"large table{'' if status.tables_in_work == 1 else 's'}"
        yield "in work", status.tables_in_work, f"{tables}, {number_of(status.parts_in_work, 'part')} so far"
    unread = status.receipts - status.receipts_read
    only = f"the newest {status.receipts_read:,} were read:" if unread else ""
    yield "results", status.receipts, only
    bad = f", {status.failed_reviews:,} of them failed" if status.failed_reviews else ""
    yield "  done", status.done, f"{number_of(status.reviews, 'review')}{bad}"
    codes = Counter(reason.code for reason in status.failures).most_common()
    yield "  failed", status.failed, ", ".join(f"{count:,} {code}" for code, count in codes)
    others = status.receipts_read - status.done - status.failed
    if others:
        yield "  others", others, "made by another version; a backfill renews them"


def print_reasons(name: str, reasons: Sequence[Reason], terminal: Console) -> None:
    """Print a table of reasons, whose first column is called `name`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(name, overflow="fold")
    table.add_column("why", overflow="fold")
    for reason in reasons[:_MOST_SHOWN]:
        why = Text(reason.code, "red").append(" " if reason.code else "")
        table.add_row(Text(reason.object or "-"), why.append(reason.message, "default"))
    terminal.print(table)
    more = len(reasons) - _MOST_SHOWN
    if more > 0:
        terminal.print(f"{more:,} more; --json has them all.", highlight=False)
