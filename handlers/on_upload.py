"""Objects arriving: events of S3 and of stores like it, directly or through EventBridge, SNS and SQS."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from handlers.common import LambdaContext, log_failure, pipeline, process_all
from reviewbox.errors import NotBegunError
from reviewbox.events import Message, parse
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.queue import Queue
from reviewbox.storage import describe

logger = logging.getLogger("reviewbox.on_upload")

Ends = Mapping[ObjectRef | SegmentRef, Outcome | Exception]


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
    # What is large in a message that came alone has no other place to go.
    alone = len(messages) == 1
    again = any(message.receive_count > 1 for message in messages)
    ends = dict(process_all(named, worker, context, logger, in_turn=alone, again=again))
    sent = _sent_on(messages, ends, worker)
    left = [message for message in messages if message not in sent]
    failed = [message for message in left if not _succeeded(message, ends, worker)]
    if any(message.message_id is None for message in failed):
        asked = [str(item) for message in failed for item in (*_named(message), *message.errors)]
        raise UploadError(f"not all of this could be done, and the log says what: {', '.join(asked)}")
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}


def _named(message: Message) -> tuple[ObjectRef | SegmentRef, ...]:
    return (*message.refs, *message.segments)


def _failures(message: Message, ends: Ends) -> dict[ObjectRef | SegmentRef, Exception]:
    return {ref: end for ref in _named(message) if isinstance(end := ends[ref], Exception)}


def _sent_on(messages: Sequence[Message], ends: Ends, worker: Pipeline) -> list[Message]:
    """Send what others of its batch left no time or memory for to a queue where it is alone; return that.

    It was not tried, so that is no failed try.
    """
    queue_url = worker.settings.queue_url
    if not queue_url or len(messages) == 1:
        return []
    found = []
    for message in messages:
        failures = _failures(message, ends).values()
        if failures and all(isinstance(error, NotBegunError) for error in failures) and not message.errors:
            found.append(message)
    if not found:
        return []
    try:
        Queue(queue_url).send(message.body for message in found)
    except Exception as error:  # noqa: BLE001 - then they are failed tries, and come back all the same
        logger.warning("message.not_sent", extra={"reason": describe(error)})
        return []
    return found


def _succeeded(message: Message, ends: Ends, worker: Pipeline) -> bool:
    """Return whether all went well that a message asked for; record what failed for the last time."""
    for unknown in message.errors:
        logger.error("message.unknown", extra={"message_id": message.message_id, "reason": str(unknown)})
    failures = _failures(message, ends)
    if message.receive_count >= worker.settings.max_receives:
        for ref, failure in failures.items():
            _record(ref.source if isinstance(ref, SegmentRef) else ref, failure, worker)
    return not (failures or message.errors)


def _record(ref: ObjectRef, error: Exception, worker: Pipeline) -> None:
    """Leave an error receipt: the queue will not deliver this message again."""
    try:
        worker.give_up(ref, error)
    except Exception as second:  # noqa: BLE001 - the message goes to the dead letters all the same
        log_failure("object.not_recorded", ref, second, logger)
