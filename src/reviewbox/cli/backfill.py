"""`reviewbox backfill`: prints an estimate, asks, starts a backfill and shows the progress."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer
from rich.console import Console as Terminal

from reviewbox.cli import render
from reviewbox.cli.command import confirm
from reviewbox.cli.estimate import print_bills
from reviewbox.cli.output import INTERRUPTED, Format, print_summary, terminal_beside
from reviewbox.cli.progress import progress_bar, track
from reviewbox.cli.stacks import named_stack
from reviewbox.errors import ReviewboxError
from reviewbox.objects import Listed, ObjectRef
from reviewbox.queue import Queue
from reviewbox.stack import prices
from reviewbox.stack.aws import connect, is_aws
from reviewbox.stack.backfill import (
    MAX_QUEUED_SECONDS,
    RETENTION_SECONDS,
    backfill_prefix,
    judge,
    needs_job,
    segment_seconds,
    send_uploads,
    watch_queues,
)
from reviewbox.stack.cost import Estimate, Workload, estimate
from reviewbox.stack.discovery import Stack
from reviewbox.stack.jobs import report_uri, start_job, watch_job
from reviewbox.stack.listing import is_receipt, list_objects, parse_uri
from reviewbox.storage import S3Storage
from reviewbox.wording import number_of

if TYPE_CHECKING:
    from mypy_boto3_s3control import S3ControlClient
    from mypy_boto3_sqs import SQSClient


_COMPLETE, _CONTINUES = "Complete", "Continues"
# What the summary says about the objects.
_REPORTED = "objects size compressed large segments too_large archived".split()


@dataclass(frozen=True, slots=True)
class Backfilled:
    """The outcome of a backfill."""

    objects: int  # how many were queued, or belong to the job
    # The number of messages that became dead letters, or of objects of the job that failed, as far as known.
    failed: int
    status: str  # of the job; for a queue, `Complete`, or `Continues` if nobody waited for the end
    job: str = ""  # the id of the S3 Batch Operations job; "" if the objects were queued

    @property
    def is_good(self) -> bool:
        """False if failures are known."""
        return not self.failed and self.status in (_COMPLETE, _CONTINUES)


def run_backfill(uri: str, stack_name: str, format_: Format, *, agreed: bool, dry_run: bool) -> bool:
    """Classify the existing objects under a prefix; return False if failures are known.

    Raises:
        ReviewboxError: the stack does not classify objects under this prefix, or there are none.
    """
    parse_uri(uri)  # a typing error is found without credentials
    stack = named_stack(stack_name)
    storage = S3Storage(connect("s3"))
    endpoint = storage.client.meta.endpoint_url
    in_aws = is_aws(endpoint)
    terminal = terminal_beside(format_)
    backfill = Backfill(terminal, stack, backfill_prefix(stack, uri))
    counted = backfill.count(storage)
    as_job = needs_job(stack, counted, in_aws=in_aws)
    estimated = backfill.estimate(counted, as_job=as_job)
    if not in_aws:
        backfill.print_line(f"The estimate is for AWS, but {endpoint} is not an AWS endpoint.")
    done: Backfilled | None = None
    if not dry_run:
        if not agreed:
            confirm(terminal)
        if as_job:
            account: str = connect("sts").get_caller_identity()["Account"]
            done = backfill.run_job(connect("s3control"), account)
        else:
            objects = list_objects(storage, backfill.prefix)
            done = backfill.run_queue(connect("sqs"), objects, counted.objects)
    summary = {
        "prefix": str(backfill.prefix),
        "way": "job" if as_job else "queue",
        **{name: getattr(counted, name) for name in _REPORTED},
        "dollars": sum(item.dollars for item in estimated.items),
        "seconds": estimated.seconds,
        "done": asdict(done) if done else None,
    }
    print_summary(summary, format_)
    return done is None or done.is_good


@dataclass(frozen=True, slots=True)
class Backfill:
    """The steps of a backfill, each of which prints what it does."""

    terminal: Terminal
    stack: Stack
    prefix: ObjectRef  # of the objects to classify
    poll_seconds: float = 1.0  # between two checks of the progress

    def print_line(self, line: str, style: str = "") -> None:
        """Print a line."""
        render.print_line(self.terminal, line, style)

    def count(self, storage: S3Storage) -> Workload:
        """Count the objects under the prefix, and print their number and size.

        Raises:
            ReviewboxError: there are no objects under the prefix.
        """
        listed = track(list_objects(storage, self.prefix), "Counting objects")
        counted = sum((judge(item, self.stack.read_options) for item in listed), Workload())
        if not counted.objects:
            raise ReviewboxError(f"{self.prefix}: there are no objects under this prefix")
        results = ObjectRef(self.stack.results_bucket, self.stack.results_prefix + self.prefix.key)
        listed = track(list_objects(storage, results), "Counting results")
        # An upper bound: receipts of deleted objects are included.
        receipts = min(sum(is_receipt(result.key) for result in listed), counted.objects)
        tables, segments = number_of(counted.large, "table"), number_of(counted.segments, "segment")
        limit = f"MaxObjectBytes ({self.stack.max_object_bytes:,} bytes)"
        objects, size = number_of(counted.objects, "object"), render.rounded_bytes(counted.size)
        self.print_line(f"{self.prefix}: {objects}, {size}")
        notes = {
            f"{receipts:,} with a result already: current results are checked, not computed again": receipts,
            f"{counted.compressed:,} compressed: priced at ten times the compressed size": counted.compressed,
            f"{tables} to be split into {segments}, which have a separate queue": counted.large,
            f"{counted.too_long:,} may take one invocation too long to split: divide them": counted.too_long,
            f"{counted.too_large:,} larger than {limit}: each gets an error": counted.too_large,
            f"{counted.archived:,} archived: each gets an error until it is restored": counted.archived,
        }
        for note, count in notes.items():
            if count:
                self.print_line(f"  {note}", "yellow" if "gets an error" in note or "divide" in note else "")
        return counted

    def estimate(self, counted: Workload, *, as_job: bool) -> Estimate:
        """Estimate and print the cost and duration of a backfill, as a job or through the queue."""
        estimated = estimate(counted, self.stack, as_job=as_job)
        print_bills(self.terminal, {"": estimated.items}, "if all objects are classified")
        self.print_line(
            f"About {render.rounded_seconds(estimated.seconds)} with {self.stack.max_concurrency} concurrent "
            f"invocations{'; S3 chooses the actual number' if as_job else ''}. "
            f"Prices of {prices.REGION}, {prices.DATE}."
        )
        queued = segment_seconds(self.stack, counted) if as_job else estimated.seconds
        if queued > MAX_QUEUED_SECONDS:
            kept, duration = render.rounded_seconds(RETENTION_SECONDS), render.rounded_seconds(queued)
            self.print_line(
                f"The queue deletes messages after {kept}, and this backfill may take {duration}: raise "
                "MaxConcurrency, or backfill smaller prefixes one after another.",
                "yellow",
            )
        return estimated

    def run_queue(self, sqs: "SQSClient", objects: Iterable[Listed], total: int) -> Backfilled:
        """Send a message for each object, and show the progress until the queues are empty.

        Raises:
            typer.Exit: the user interrupted it before all messages were sent.
        """
        dead_letters = Queue(self.stack.dead_letter_queue_url, sqs)
        earlier = dead_letters.count().total
        sent = self.queue_objects(Queue(self.stack.queue_url, sqs), objects, total)
        queues = [Queue(url, sqs) for url in self.stack.queue_urls]
        status_command = f"`reviewbox status --stack {self.stack.name}`"
        try:
            with progress_bar("Classifying", total) as update:
                for remaining in watch_queues(queues, self.poll_seconds):
                    update(total=max(total, remaining), completed=max(total - remaining, 0))
        except KeyboardInterrupt:
            self.print_line(f"Classification continues. {status_command} shows the progress.")
            return Backfilled(sent, 0, _CONTINUES)
        self.print_line("The queue is empty.")
        dead = max(dead_letters.count().total - earlier, 0)
        if dead:
            letters = number_of(dead, "message")
            self.print_line(f"{letters} became dead letters: {status_command} shows the reasons.", "yellow")
        return Backfilled(sent, dead, _COMPLETE)

    def queue_objects(self, queue: Queue, objects: Iterable[Listed], total: int) -> int:
        """Send a message for each object; return their number.

        Raises:
            typer.Exit: the user interrupted it before all messages were sent.
        """
        sent = 0
        try:
            with progress_bar("Queueing", total) as update:
                for sent in send_uploads(queue, self.prefix.bucket, objects):
                    update(completed=sent)
        except KeyboardInterrupt:
            self.print_line(
                f"Interrupted: queued {sent:,} of {number_of(total, 'object')}. "
                "Run the same command again to queue all; current results are checked, not computed again."
            )
            raise typer.Exit(INTERRUPTED) from None
        self.print_line(f"Queued {number_of(sent, 'object')}.")
        return sent

    def run_job(self, control: "S3ControlClient", account: str) -> Backfilled:
        """Start a job, unless it is running, and show its progress."""
        job_id, is_new = start_job(control, account, self.stack, self.prefix)
        self.print_line(f"S3 Batch Operations job {job_id}{'' if is_new else ' is already running'}")
        try:
            with progress_bar("Preparing") as update:
                for job in watch_job(control, account, job_id, self.poll_seconds):
                    done = job.succeeded + job.failed
                    update(description=job.status, total=job.total or None, completed=done)
        except KeyboardInterrupt:
            self.print_line("The job continues. Run the same command again to follow it.")
            return Backfilled(0, 0, _CONTINUES, job_id)
        self.print_line(
            f"{job.status}: {job.succeeded:,} of {job.total:,} objects succeeded, {job.failed:,} failed."
        )
        for reason in job.reasons:
            self.print_line(reason, "red")
        if job.failed:
            self.print_line(f"{report_uri(self.stack, job)} lists the failed objects.")
        return Backfilled(job.total, job.failed, job.status, job_id)
