"""Objects arriving: S3 notifications, directly or in the messages of an SQS queue."""

import logging
import os
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from reviewbox.events import Message, parse
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import Storage, describe

logger = logging.getLogger("reviewbox.on_upload")

SHIPPED_MODEL = Path(__file__).parent.parent / "model"


class LambdaContext(Protocol):
    """What is used of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still run."""


class UploadError(Exception):
    """Something that a direct invocation asked for could not be done; the log has the details."""


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Classify every object that the event names; report the messages to deliver again.

    Raises:
        UploadError: the event came directly, and something in it failed.
    """
    worker = pipeline()
    failed = [message for message in parse(event) if not _succeeds(message, worker, context)]
    if any(message.message_id is None for message in failed):
        asked = [str(item) for message in failed for item in (*message.refs, *message.errors)]
        raise UploadError(f"not all of this could be done, and the log says what: {', '.join(asked)}")
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}


@cache
def pipeline() -> Pipeline:
    """Compose the pipeline, once for all invocations of this process."""
    logging.getLogger("reviewbox").setLevel(logging.INFO)
    settings = Settings.from_environ(os.environ)
    model_dir = Path(settings.model_dir) if settings.model_dir else SHIPPED_MODEL
    return Pipeline(Storage.connect(), Classifier.load(model_dir, threads=settings.threads), settings)


def _succeeds(message: Message, worker: Pipeline, context: LambdaContext) -> bool:
    """Process each object of a message, whatever becomes of the others; return whether all went well."""
    for unknown in message.errors:
        logger.error("message.unknown", extra={"message_id": message.message_id, "reason": str(unknown)})
    failures: dict[ObjectRef, Exception] = {}
    for ref in message.refs:
        try:
            outcome = worker.process(ref, lambda: context.get_remaining_time_in_millis() / 1000)
            logger.info("object.%s", outcome, extra={"bucket": ref.bucket, "key": ref.key})
        except Exception as error:  # noqa: BLE001 - one object's failure must not become another's
            failures[ref] = error
            _log("object.failed", ref, error)
    if message.receive_count >= worker.settings.max_receives:
        for ref, failure in failures.items():
            _record(ref, failure, worker)
    return not (failures or message.errors)


def _record(ref: ObjectRef, error: Exception, worker: Pipeline) -> None:
    """Leave an error receipt: the queue will not deliver this message again."""
    try:
        worker.give_up(ref, error)
    except Exception as second:  # noqa: BLE001 - the message goes to the dead letters all the same
        _log("object.not_recorded", ref, second)


def _log(event: str, ref: ObjectRef, error: Exception) -> None:
    # The traceback's lines without its message, which might quote a review.
    frames = traceback.format_tb(error.__traceback__)
    where = {"bucket": ref.bucket, "key": ref.key}
    logger.error(event, extra={**where, "reason": describe(error), "frames": frames})
