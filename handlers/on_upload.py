"""Classifies uploaded objects; events come from S3 or a compatible store, or via EventBridge, SNS or SQS."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from handlers.common import LambdaContext, delay_redelivery, log_failure, log_unknown, pipeline, process_all
from reviewbox.errors import NotStartedError
from reviewbox.events import Message, parse, retry_message
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome

logger = logging.getLogger("reviewbox.on_upload")

Outcomes = Mapping[ObjectRef | SegmentRef, Outcome | Exception]


class UploadError(Exception):
    """Something in a direct invocation failed; the log has the details."""


def handler(
    event: Mapping[str, Any], context: LambdaContext, worker: Pipeline | None = None
) -> dict[str, Any]:
    """Classify every object that the event names, and report the messages to deliver again.

    `worker` is the pipeline to use; by default, this process's own.

    Raises:
        UploadError: the event came directly, and something in it failed.
    """
    worker = worker or pipeline()
    messages = _requeue_redelivered(parse(event), worker)
    outcomes = _process(messages, worker, context)
    requeued = _requeue_deferred(messages, outcomes, worker)
    failed = [m for m in messages if m not in requeued and (m.errors or _failures(m, outcomes))]
    log_unknown(failed, logger)
    for message in failed:
        _record_failure(message, outcomes, worker)
    delay_redelivery(failed, worker.settings.max_receives, context, logger)
    return _respond(failed)


def _requeue_redelivered(messages: Sequence[Message], worker: Pipeline) -> Sequence[Message]:
    """Send each object of redelivered messages to the queue of exclusive invocations.

    One of them may have exhausted the memory of its invocation, and would take the others down again. Return
    the messages that are left to process. What could not be parsed in a message stays.
    """
    redelivered = [m for m in messages if m.receive_count > 1 and (len(messages) > 1 or len(m.targets) > 1)]
    bodies = [retry_message(body) for message in redelivered for body in message.split()]
    if not bodies or not worker.requeue(bodies):
        return messages
    unknown = [replace(m, refs=(), segments=()) for m in redelivered if m.errors]
    return [*(m for m in messages if m not in redelivered), *unknown]


def _process(messages: Sequence[Message], worker: Pipeline, context: LambdaContext) -> Outcomes:
    # Redelivered ones come last, because they may have exhausted the memory.
    refs = [ref for m in sorted(messages, key=lambda m: m.receive_count) for ref in m.targets]
    redelivered = any(message.is_redelivered and message.targets for message in messages)
    # A message that arrives alone gets the whole invocation for its objects, regardless of their size.
    exclusive = len(messages) == 1 or redelivered
    last = {ref for m in messages if m.is_last_delivery(worker.settings.max_receives) for ref in m.targets}
    sent_at = {ref: m.sent_at for m in messages if m.sent_at for ref in m.targets}
    return dict(
        process_all(
            refs,
            worker,
            context,
            logger,
            exclusive=exclusive,
            redelivered=redelivered,
            last=last,
            sent_at=sent_at,
        )
    )


def _requeue_deferred(messages: Sequence[Message], outcomes: Outcomes, worker: Pipeline) -> list[Message]:
    """Send messages whose objects were not started to the queue of exclusive invocations; return them.

    Nothing was tried, so this does not count as a failed attempt.
    """
    if len(messages) == 1:
        return []
    deferred = [
        message
        for message in messages
        if (failures := _failures(message, outcomes))
        and not message.errors
        and all(isinstance(error, NotStartedError) for error in failures.values())
    ]
    return deferred if deferred and worker.requeue([message.body for message in deferred]) else []


def _failures(message: Message, outcomes: Outcomes) -> dict[ObjectRef | SegmentRef, Exception]:
    return {ref: outcome for ref in message.targets if isinstance(outcome := outcomes[ref], Exception)}


def _record_failure(message: Message, outcomes: Outcomes, worker: Pipeline) -> None:
    """Leave error receipts for the objects of a message that will not be delivered again."""
    if not message.is_last_delivery(worker.settings.max_receives):
        return
    for ref, failure in _failures(message, outcomes).items():
        try:
            worker.record_failure(ref, failure)
        except Exception as second:  # noqa: BLE001 - the message goes to the dead-letter queue anyway
            log_failure("object.not_recorded", ref, second, logger)


def _respond(failed: Sequence[Message]) -> dict[str, Any]:
    if any(message.message_id is None for message in failed):
        items = [str(item) for message in failed for item in (*message.targets, *message.errors)]
        raise UploadError(f"the invocation failed for {', '.join(items)}; see the log for details")
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}
