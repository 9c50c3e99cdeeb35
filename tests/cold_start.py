"""The real function, started in this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handlers import common
from reviewbox.local.cloud import Cloud
from reviewbox.local.function import Handler, load_handler

ROOT = Path(__file__).parent.parent


@contextmanager
def cold_start(cloud: Cloud, model: Path) -> Iterator[Handler]:
    """Yield the handler with another model; this process's environment is put back in the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in cloud.environment:
            patch.setenv(name, os.environ.get(name, ""))
        patch.setenv("REVIEWBOX_MODEL_DIR", str(model))
        patch.syspath_prepend(str(ROOT))
        common.pipeline.cache_clear()
        yield load_handler(cloud, ROOT)
        common.pipeline.cache_clear()
