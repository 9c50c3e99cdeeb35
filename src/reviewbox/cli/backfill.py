"""`reviewbox backfill`: what lay in the bucket before Reviewbox did."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reviewbox.cli.render import (
    console,
    number_of,
    progress_bar,
    rounded_bytes,
    rounded_dollars,
    rounded_seconds,
)
from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef
from reviewbox.stack import discovery as aws
from reviewbox.stack import prices
from reviewbox.stack.cost import MAX_SPLIT_SECONDS, Estimate, Workload, count_listed, estimate
from reviewbox.stack.discovery import Listed, Stack
from reviewbox.stack.jobs import describe_job, report_uri, start_job

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3control import S3ControlClient
    from mypy_boto3_sqs import SQSClient

# Above it S3's own engine takes over: a job has a price of its own, but lists and retries by itself.
MOST_QUEUED = 100_000
# The queue of the template drops what it has held so long, and drops it for good: such a message
# becomes no dead letter. Half of it is left for an estimate that is too low and for second tries.
SECONDS_KEPT = 4 * 86_400
MOST_SECONDS_QUEUED = SECONDS_KEPT / 2

# SQS counts approximately. A queue that looked empty so often in a row is taken to be.
_LOOKS_TO_BELIEVE = 3
_INTERRUPTED = 130  # as shells have it


def run_backfill(uri: str, stack_name: str, *, agreed: bool, dry_run: bool) -> bool:
    """Count and price what lies under a prefix, ask, have it classified, and show how far it is.

    Args:
        uri: `s3://bucket/prefix`, within what the stack classifies.
        stack_name: of the deployed stack.
        agreed: whether not to ask.
        dry_run: whether to stop behind the estimate.

    Returns whether nothing is known to have failed.

    Raises:
        ReviewboxError: the prefix is not the stack's, or nothing lies under it.
    """
    stack = aws.find_stack(aws.connect("cloudformation"), stack_name)
    backfill = Backfill(console(), stack, _within(stack, uri))
    s3: S3Client = aws.connect("s3")
    in_aws = aws.is_aws(s3.meta.endpoint_url)
    counted = backfill.count(s3)
    as_job = needs_job(stack, counted, in_aws=in_aws)
    backfill.print_estimate(estimate(counted, stack, as_job=as_job), as_job=as_job)
    if not in_aws:
        backfill.tell(f"That is for AWS, which {s3.meta.endpoint_url} is not.")
    if dry_run:
        return True
    if not agreed:
        typer.confirm("Go on?", abort=True)
    if as_job:
        account: str = aws.connect("sts").get_caller_identity()["Account"]
        return backfill.run_job(aws.connect("s3control"), account)
    sqs: SQSClient = aws.connect("sqs")
    dead = aws.count_messages(sqs, stack.dead_letter_queue_url).total
    backfill.queue(sqs, aws.list_objects(s3, backfill.prefix), counted.objects)
    return backfill.watch_queue(sqs, counted.objects, dead)


def needs_job(stack: Stack, counted: Workload, *, in_aws: bool) -> bool:
    """Return whether so much is better left to S3 Batch Operations, and can be."""
    estimated = estimate(counted, stack, as_job=False)
    # Segments of large tables go through the queue in any case.
    others = estimated.seconds - estimated.segment_seconds
    is_much = counted.objects > MOST_QUEUED or others > MOST_SECONDS_QUEUED
    return is_much and in_aws and stack.batch_operations is not None


def messages(bucket: str, listed: Iterable[Listed]) -> Iterator[str]:
    """Yield a message for each object, in the shape of S3's own notification.

    One object a message, although a message could name many: a message is the unit of retrying. Ten
    objects in it would share their five tries and come back together for the sake of one, and they
    could outlast an invocation. That costs $1.20 a million.
    """
    for item in listed:
        place = {"bucket": {"name": bucket}, "object": {"key": quote_plus(item.key, safe="/")}}
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": place,
        }
        yield json.dumps({"Records": [record]})


@dataclass(frozen=True, slots=True)
class Backfill:
    """One backfill, as the terminal sees it.

    Attributes:
        terminal: where it is told.
        stack: what classifies.
        prefix: whose objects.
        seconds_between_looks: at how far it is.
    """

    terminal: Console
    stack: Stack
    prefix: ObjectRef
    seconds_between_looks: float = 1.0

    def tell(self, line: str, style: str = "") -> None:
        """Print a line as it is."""
        self.terminal.print(Text(line, style), soft_wrap=True)

    def count(self, s3: "S3Client") -> Workload:
        """Count what lies under the prefix, and tell how much it is.

        Raises:
            ReviewboxError: it is nothing.
        """
        results = ObjectRef(self.stack.results_bucket, self.stack.results_prefix + self.prefix.key)
        with progress_bar(self.terminal, "Counting") as update:
            counted = count_listed(_shown(aws.list_objects(s3, self.prefix), update), self.stack.read_options)
            receipts = sum(aws.is_receipt(result.key) for result in aws.list_objects(s3, results))
        if not counted.objects:
            raise ReviewboxError(f"{self.prefix}: nothing lies under it")
        self.tell(f"{self.prefix}: {number_of(counted.objects, 'object')}, {rounded_bytes(counted.size)}")
        if receipts:
            # Approximately: it counts what is left of sources that are gone, too.
            receipts = min(receipts, counted.objects)
            self.tell(
                f"  {receipts:,} with a result already: a current one costs one read and a look at its state"
            )
        if counted.compressed:
            self.tell(f"  {counted.compressed:,} compressed: priced at ten times the bytes")
        if counted.large:
            tables, segments = number_of(counted.large, "table"), number_of(counted.segments, "segment")
            self.tell(f"  {tables} to be cut into {segments}, which go through a queue of their own")
        if counted.too_large:
            most = f"{self.stack.max_object_bytes:,} bytes"
            self.tell(f"  {counted.too_large:,} larger than MaxObjectBytes ({most}): an error each", "yellow")
        if counted.archived:
            self.tell(f"  {counted.archived:,} archived: an error each until restored", "yellow")
        return counted

    def print_estimate(self, estimated: Estimate, *, as_job: bool) -> None:
        """Tell what it takes, as a job or through the queue."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
        table.add_column("if all are classified", "together")
        table.add_column("", justify="right")
        table.add_column("", rounded_dollars(estimated.dollars), justify="right")
        for item in estimated.items:
            table.add_row(item.name, item.quantity, rounded_dollars(item.dollars))
        self.terminal.print(table)
        lasts, at_once = rounded_seconds(estimated.seconds), self.stack.max_concurrency
        self.tell(
            f"About {lasts} with {at_once} at once{'; S3 decides how many there are' if as_job else ''}. "
            f"Prices of {prices.REGION}, {prices.DATE}."
        )
        if estimated.longest_split > MAX_SPLIT_SECONDS:
            self.tell(
                f"The largest table is cut in one invocation, and that may take "
                f"{rounded_seconds(estimated.longest_split)}: split it.",
                "yellow",
            )
        queued = estimated.segment_seconds if as_job else estimated.seconds
        if queued > MOST_SECONDS_QUEUED:
            self.tell(
                f"The queue drops for good what it has held for {rounded_seconds(SECONDS_KEPT)}, and this "
                f"may take {rounded_seconds(queued)}: raise MaxConcurrency, or go on prefix by prefix.",
                "yellow",
            )

    def queue(self, sqs: "SQSClient", listed: Iterable[Listed], total: int) -> None:
        """Send a message for each object.

        Raises:
            typer.Exit: it was interrupted.
        """
        sent = 0
        bodies = messages(self.prefix.bucket, listed)
        try:
            with progress_bar(self.terminal, "Queueing", total) as update:
                while batch := list(islice(bodies, aws.BATCH)):
                    aws.send(sqs, self.stack.queue_url, batch)
                    sent += len(batch)
                    update(completed=sent)
        except KeyboardInterrupt:
            self.tell(
                f"Interrupted: queued {sent:,} of {number_of(total, 'object')}. Run it again to queue all; "
                "what is done by then costs one read and a look at its state."
            )
            raise typer.Exit(_INTERRUPTED) from None
        self.tell(f"Queued {number_of(sent, 'object')}.")

    def watch_queue(self, sqs: "SQSClient", total: int, dead_before: int) -> bool:
        """Show the queues going down until they are empty; return whether no dead letters have come."""
        looks = 0
        try:
            with progress_bar(self.terminal, "Classifying", total) as update:
                while True:
                    left = sum(aws.count_messages(sqs, url).total for url in self.stack.queue_urls)
                    update(total=max(total, left), completed=max(total - left, 0))
                    looks = 0 if left else looks + 1
                    if looks == _LOOKS_TO_BELIEVE:
                        break
                    time.sleep(self.seconds_between_looks)
        except KeyboardInterrupt:
            self.tell(f"The work goes on; `reviewbox status --stack {self.stack.name}` tells how far it is.")
            return True
        dead = aws.count_messages(sqs, self.stack.dead_letter_queue_url).total - dead_before
        self.tell("The queue is empty.")
        if dead > 0:
            why = f"`reviewbox status --stack {self.stack.name}` tells why"
            self.tell(f"{number_of(dead, 'message')} became dead letters: {why}.", "yellow")
        return dead <= 0

    def run_job(self, control: "S3ControlClient", account: str) -> bool:
        """Create the job, or find it, and show how far it is; return whether all went well."""
        job_id, is_new = start_job(control, account, self.stack, self.prefix)
        self.tell(f"S3 Batch Operations job {job_id}{'' if is_new else ', which is at it already'}")
        try:
            with progress_bar(self.terminal, "Preparing") as update:
                while not (job := describe_job(control, account, job_id)).is_finished:
                    update(
                        description=job.status, total=job.total or None, completed=job.succeeded + job.failed
                    )
                    time.sleep(self.seconds_between_looks)
        except KeyboardInterrupt:
            self.tell("The job goes on. Run the same command again to look at it.")
            return True
        self.tell(f"{job.status}: {job.succeeded:,} of {job.total:,} objects done, {job.failed:,} failed.")
        for reason in job.reasons:
            self.tell(reason, "red")
        if job.failed:
            self.tell(f"{report_uri(self.stack, job)} lists what failed.")
        return job.status == "Complete" and not job.failed


def _within(stack: Stack, uri: str) -> ObjectRef:
    prefix = aws.parse_uri(uri)
    if prefix.bucket != stack.bucket or not prefix.key.startswith(stack.source_prefix):
        raise ReviewboxError(
            f"{uri}: the stack {stack.name!r} classifies what lies under "
            f"s3://{stack.bucket}/{stack.source_prefix}, and nothing else"
        )
    return prefix


def _shown(listed: Iterable[Listed], update: Callable[..., None]) -> Iterator[Listed]:
    for item in listed:
        update(advance=1)
        yield item
