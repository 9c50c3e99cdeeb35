"""`reviewbox local`: run the service on this machine until Ctrl-C."""

import logging
import threading
from pathlib import Path

from rich.console import Console, ConsoleRenderable
from rich.logging import RichHandler

from reviewbox.cli.render import printable
from reviewbox.local.cloud import BUCKET
from reviewbox.local.function import start_service

_INSTRUCTIONS = """\
Drop a review from another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  echo "A wonderful film." > review.txt
  aws s3 cp review.txt s3://{bucket}/{source_prefix}review.txt
  aws s3 cp s3://{bucket}/{results_prefix}{source_prefix}review.txt.json -
  reviewbox status

Press Ctrl-C to stop. Everything in this cloud is deleted then.
"""


def run_local(port: int, template: Path) -> None:
    """Run the service in a local cloud, and print its log events."""
    console = Console()
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[EventHandler(console=console, show_path=False)]
    )
    with start_service(template, port) as cloud:
        try:
            console.print(
                _INSTRUCTIONS.format(
                    endpoint=cloud.endpoint,
                    bucket=BUCKET,
                    source_prefix=cloud.environment["REVIEWBOX_SOURCE_PREFIX"],
                    results_prefix=cloud.environment["REVIEWBOX_RESULTS_PREFIX"],
                ),
                highlight=False,
                soft_wrap=True,
            )
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print("Stopped.")


class EventHandler(RichHandler):
    """Prints log events with the fields that matter to a reader; Lambda's JSON log has all of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop metrics, which are for CloudWatch."""
        return not hasattr(record, "_aws") and bool(super().filter(record))

    def render_message(self, record: logging.LogRecord, message: str) -> ConsoleRenderable:
        """Append the key, and the reason of a failure."""
        details = [str(getattr(record, name)) for name in ("key", "reason") if hasattr(record, name)]
        return super().render_message(record, printable("  ".join([message, *details])))
