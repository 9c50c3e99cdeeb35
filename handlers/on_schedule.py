"""Removes leftovers that no worker has removed for days (ADR 14). A schedule invokes it once a day."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from handlers.common import LambdaContext
from reviewbox.errors import EventError
from reviewbox.pipeline import Pipeline

logger = logging.getLogger("reviewbox.on_schedule")

# The only field of the event that template.yaml defines.
_FIELD = "reviewboxSweep"


def is_sweep(event: Any) -> bool:
    """Return whether an event asks for a sweep."""
    return isinstance(event, Mapping) and _FIELD in event


def handler(event: Mapping[str, Any], context: LambdaContext, worker: Pipeline) -> dict[str, Any]:
    """Sweep the results of one bucket, as far as the invocation's time allows, and return how far it got.

    Raises:
        EventError: the event does not name a bucket and a time.
    """
    match event[_FIELD]:
        case {"bucket": str(bucket), "time": str(time)} if bucket:
            now = _seconds(time)
        case _:
            raise EventError(f"{_FIELD} needs a bucket and a time")
    swept = worker.sweep(bucket, now, lambda: context.get_remaining_time_in_millis() / 1000)
    logger.info("sweep.finished" if swept.is_complete else "sweep.stopped", extra=asdict(swept))
    return asdict(swept)


def _seconds(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        raise EventError(f"the time of {_FIELD} is not in ISO 8601") from None
