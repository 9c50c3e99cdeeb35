"""A local cloud whose function does not run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reviewbox.local.cloud import Cloud, listen, provision, serve


@contextmanager
def start_cloud(template: Path, port: int) -> Iterator[Cloud]:
    """Run a cloud on `127.0.0.1:port` (0 for any free port) while the context lasts."""
    with listen(port) as listener:
        cloud = provision(template, listener)
        with serve(listener):
            yield cloud
