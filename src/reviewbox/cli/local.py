"""`reviewbox local`: the cloud in miniature, until Ctrl-C."""

import logging
import threading
from pathlib import Path

from rich.console import Console, ConsoleRenderable
from rich.logging import RichHandler

from reviewbox.local.cloud import BUCKET, start_cloud
from reviewbox.local.function import deliveries, load_handler

_HOW_TO = """\
Drop a review, from another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  echo "A wonderful film." > review.txt
  aws s3 cp review.txt s3://{bucket}/{source_prefix}review.txt
  aws s3 cp s3://{bucket}/{results_prefix}{source_prefix}review.txt.json -
  reviewbox status

Ctrl-C ends it, and everything in it.
"""


def run_local(port: int, template: Path) -> None:
    """Run a local cloud and tell what happens in it."""
    console = Console()
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[EventHandler(console=console, show_path=False)]
    )
    with start_cloud(template, port) as cloud:
        handler = load_handler(cloud, template.parent)
        with deliveries(cloud, handler):
            console.print(
                _HOW_TO.format(
                    endpoint=cloud.endpoint,
                    bucket=BUCKET,
                    source_prefix=cloud.environment["REVIEWBOX_SOURCE_PREFIX"],
                    results_prefix=cloud.environment["REVIEWBOX_RESULTS_PREFIX"],
                ),
                highlight=False,
                soft_wrap=True,
            )
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                console.print("Stopped.")


class EventHandler(RichHandler):
    """Shows a log event's fields behind its name, as Lambda's JSON log has them."""

    def render_message(self, record: logging.LogRecord, message: str) -> ConsoleRenderable:
        """Append the key, and for a failure the reason."""
        details = [str(getattr(record, name)) for name in ("key", "reason") if hasattr(record, name)]
        return super().render_message(record, "  ".join([message, *details]))
