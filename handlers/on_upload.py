"""Objects arriving: events of S3 and of stores like it, directly or through EventBridge, SNS and SQS."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from handlers.common import LambdaContext, log_failure, pipeline, process_all
from reviewbox.errors import NotBegunError
from reviewbox.events import Message, parse
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.storage import describe

logger = logging.getLogger("reviewbox.on_upload")


class UploadError(Exception):
    """Something that a direct invocation asked for could not be done; the log has the details."""


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Classify every object that the event names; report the messages to deliver again.

    Raises:
        UploadError: the event came directly, and something in it failed.
    """
    worker = pipeline()
    messages = parse(event)
    named = [ref for message in messages for ref in _named(message)]
    ends = dict(process_all(named, worker, context, logger))
    failed = [message for message in messages if not _succeeded(message, ends, worker)]
    if any(message.message_id is None for message in failed):
        asked = [str(item) for message in failed for item in (*_named(message), *message.errors)]
        raise UploadError(f"not all of this could be done, and the log says what: {', '.join(asked)}")
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}


def _named(message: Message) -> tuple[ObjectRef | SegmentRef, ...]:
    return (*message.refs, *message.segments)


def _succeeded(
    message: Message, ends: Mapping[ObjectRef | SegmentRef, Outcome | Exception], worker: Pipeline
) -> bool:
    """Return whether all went well that a message asked for; record what failed for the last time."""
    for unknown in message.errors:
        logger.error("message.unknown", extra={"message_id": message.message_id, "reason": str(unknown)})
    failures = {ref: end for ref in _named(message) if isinstance(end := ends[ref], Exception)}
    if failures and not message.errors and _sent_anew(message, failures.values(), worker):
        return True
    if message.receive_count >= worker.settings.max_receives:
        for ref, failure in failures.items():
            _record(ref.source if isinstance(ref, SegmentRef) else ref, failure, worker)
    return not (failures or message.errors)


def _sent_anew(message: Message, failures: Iterable[Exception], worker: Pipeline) -> bool:
    """Send a message again that others of its batch left no time for: that is no failed try of its own.

    It was in an invocation that others began in, so this comes to an end.
    """
    queue_url = worker.settings.queue_url
    if not (queue_url and message.body and all(isinstance(error, NotBegunError) for error in failures)):
        return False
    try:
        worker.storage.send(queue_url, [message.body])
    except Exception as error:  # noqa: BLE001 - then it is a failed try, and comes back all the same
        logger.warning(
            "message.not_sent", extra={"message_id": message.message_id, "reason": describe(error)}
        )
        return False
    return True


def _record(ref: ObjectRef, error: Exception, worker: Pipeline) -> None:
    """Leave an error receipt: the queue will not deliver this message again."""
    try:
        worker.give_up(ref, error)
    except Exception as second:  # noqa: BLE001 - the message goes to the dead letters all the same
        log_failure("object.not_recorded", ref, second, logger)
