"""`reviewbox local`: run the service on this machine until Ctrl-C."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from rich.console import Console as Terminal
from rich.console import ConsoleRenderable
from rich.logging import RichHandler

from reviewbox.cli.output import Format, print_summary, terminal_beside
from reviewbox.cli.progress import progress_bar
from reviewbox.cli.render import printable
from reviewbox.cli.report import make_report
from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.console import start_service_and_console
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.report import ReportOptions, Summary, render
from reviewbox.settings import Settings
from reviewbox.stack.stored_results import S3Place
from reviewbox.storage import S3Storage

_INSTRUCTIONS = """\
Drop files here and watch their progress: {console}

Or drop a review from another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  echo "A wonderful film." > review.txt
  aws s3 cp review.txt s3://{bucket}/{source_prefix}review.txt
  aws s3 cp s3://{bucket}/{results_prefix}{source_prefix}review.txt.json -
  reviewbox status

Press Ctrl-C to stop. That deletes everything in this cloud.
"""

_SECONDS_TO_NOTICE_CTRL_C = 0.5


def run_local(
    port: int, console_port: int, template: Path, variables: Mapping[str, str], format_: Format
) -> None:
    """Run the service in a local cloud with a console, and print its addresses and its log events."""
    terminal = terminal_beside(format_)
    handler = EventHandler(console=terminal, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    with (
        start_cloud_and_console(template, port, console_port, cloud_report, variables) as (cloud, address),
        until_ctrl_c(terminal),
    ):
        places = {
            "console": address,
            "endpoint": cloud.endpoint,
            "bucket": BUCKET,
            "source_prefix": cloud.environment["REVIEWBOX_SOURCE_PREFIX"],
            "results_prefix": cloud.environment["REVIEWBOX_RESULTS_PREFIX"],
        }
        print_summary(places, format_)
        terminal.print(_INSTRUCTIONS.format_map(places), highlight=False, soft_wrap=True)


@contextmanager
def start_cloud_and_console(
    template: Path, port: int, console_port: int, report: Callable[[Cloud], str], variables: Mapping[str, str]
) -> Iterator[tuple[Cloud, str]]:
    """Do what `start_service_and_console` does, with a progress bar, because it takes some seconds."""
    with ExitStack() as running:
        with progress_bar("Starting the local cloud"):
            started = running.enter_context(
                start_service_and_console(template, port, console_port, report, variables)
            )
        yield started


@contextmanager
def until_ctrl_c(terminal: Terminal) -> Iterator[None]:
    """Wait for Ctrl-C at the end of the context, and say so. It may also come during the context."""
    try:
        yield
        while True:
            # A sleep is not interrupted by a signal that another thread gets, or that comes just before it.
            time.sleep(_SECONDS_TO_NOTICE_CTRL_C)
    except KeyboardInterrupt:
        terminal.print("Stopped.")


def cloud_report(cloud: Cloud, title: str = "Reviews in the local cloud") -> str:
    """Return the report on everything that a cloud has classified, as HTML; raises as `summarize_cloud`."""
    return render(summarize_cloud(cloud, title, quiet=True))


def summarize_cloud(cloud: Cloud, title: str, *, quiet: bool = False) -> Summary:
    """Return the summary of everything that a cloud has classified; shows its progress unless it is `quiet`.

    Raises:
        ReviewboxError: it has classified nothing.
    """
    settings = Settings.from_environ(os.environ)  # the function's, which runs in this process
    place = S3Place(S3Storage(cloud.s3()), ObjectRef(BUCKET, settings.results_prefix))
    return make_report(place, ReportOptions(title), _model(settings.model_dir), settings, quiet=quiet)


@cache
def _model(folder: str) -> Classifier:
    # The function has one of its own, as it has on AWS.
    return Classifier.load(Path(folder) if folder else None, threads=os.cpu_count() or 1)


class EventHandler(RichHandler):
    """Prints log events with the fields that matter to a reader; Lambda's JSON log has all of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop metrics, which are for CloudWatch."""
        return not hasattr(record, "_aws") and bool(super().filter(record))

    def render_message(self, record: logging.LogRecord, message: str) -> ConsoleRenderable:
        """Append the key, and the reason of a failure."""
        details = [str(getattr(record, name)) for name in ("key", "reason") if hasattr(record, name)]
        return super().render_message(record, printable("  ".join([message, *details])))
