"""What the functions share: one pipeline, and one way to process objects and log their ends."""

import gc
import logging
import os
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from reviewbox.errors import NotBegunError
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import Storage, describe

SHIPPED_MODEL = Path(__file__).parent.parent / "model"


class LambdaContext(Protocol):
    """What is used of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still run."""


@cache
def pipeline() -> Pipeline:
    """Compose the pipeline, once for all invocations of this process."""
    logging.getLogger("reviewbox").setLevel(logging.INFO)
    # Each request makes thousands of objects, and hardly one of them is in a cycle.
    gc.set_threshold(10_000)
    settings = Settings.from_environ(os.environ)
    model_dir = Path(settings.model_dir) if settings.model_dir else SHIPPED_MODEL
    return Pipeline(Storage.connect(), Classifier.load(model_dir, threads=settings.threads), settings)


def process_all(  # noqa: PLR0913 - the last two are passed on
    refs: Iterable[ObjectRef | SegmentRef],
    worker: Pipeline,
    context: LambdaContext,
    logger: logging.Logger,
    *,
    in_turn: bool = False,
    again: bool = False,
) -> Iterator[tuple[ObjectRef | SegmentRef, Outcome | Exception]]:
    """Bring results up to date in the invocation's time; yield how each ended, when it is logged."""

    def remaining_seconds() -> float:
        return context.get_remaining_time_in_millis() / 1000

    for ref, end in worker.process_all(refs, remaining_seconds, in_turn=in_turn, again=again):
        if isinstance(end, NotBegunError):
            logger.info("object.deferred", extra={**_where(ref), "reason": str(end)})
        elif isinstance(end, Exception):
            log_failure("object.failed", ref, end, logger)
            # What it was raised from holds the object, and there may be many.
            end.__traceback__ = end.__context__ = end.__cause__ = None
        else:
            logger.info("object.%s", end, extra=_where(ref))
        yield ref, end


def log_failure(event: str, ref: ObjectRef | SegmentRef, error: Exception, logger: logging.Logger) -> None:
    """Log an error by its type and the lines of its traceback; its message might quote a review."""
    frames = traceback.format_tb(error.__traceback__)
    logger.error(event, extra={**_where(ref), "reason": describe(error), "frames": frames})


def _where(ref: ObjectRef | SegmentRef) -> dict[str, Any]:
    if isinstance(ref, SegmentRef):
        return {"bucket": ref.source.bucket, "key": ref.source.key, "segment": ref.index}
    return {"bucket": ref.bucket, "key": ref.key}
