"""The real function, started in this process with a different model."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from handlers import common
from reviewbox.local.cloud import Cloud
from reviewbox.local.function import Handler, load_handler

ROOT = Path(__file__).parent.parent


@contextmanager
def function_process(model: Path) -> Iterator[None]:
    """Make this process one in which a function can start, and restore it when the context ends.

    The function uses `model` instead of the shipped model.
    """
    path = sys.path.copy()
    with mock.patch.dict(os.environ, {"REVIEWBOX_MODEL_DIR": str(model)}):
        common.pipeline.cache_clear()
        try:
            yield
        finally:
            common.pipeline.cache_clear()
            sys.path[:] = path


@contextmanager
def cold_start(cloud: Cloud, model: Path) -> Iterator[Handler]:
    """Yield the handler of the function after a cold start with `model`."""
    with function_process(model):
        yield load_handler(cloud, ROOT)
