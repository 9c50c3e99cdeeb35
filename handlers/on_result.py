"""Copies results into the catalog; events about their receipts come from S3 via EventBridge and SQS."""

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from handlers.common import LambdaContext, delay_redelivery, log_failure
from reviewbox.catalog import BucketResults, Catalog, CopyOutcome
from reviewbox.deadline import Deadline
from reviewbox.errors import EventError, contain
from reviewbox.events import Message, parse
from reviewbox.objects import ObjectRef
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

logger = logging.getLogger("reviewbox.on_result")


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    logging.getLogger("reviewbox").setLevel(logging.INFO)
    return Settings.from_environ(os.environ)


@cache
def storage() -> S3Storage:
    """Return the connection of this process."""
    return S3Storage.connect()


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Bring the copy of every result that the event names up to date; report the messages to deliver again.

    Raises:
        EventError: the event did not come through SQS.
    """
    messages = parse(event)
    if any(message.message_id is None and (message.errors or _receipts(message)) for message in messages):
        raise EventError("results are announced through a queue, which delivers again what fails")
    deadline = Deadline(lambda: context.get_remaining_time_in_millis() / 1000)
    receipts = dict.fromkeys(ref for message in messages for ref in _receipts(message))
    failures = {ref for ref in receipts if not _update(ref, deadline)}
    failed = [message for message in messages if message.errors or failures.intersection(_receipts(message))]
    for message in failed:
        for error in message.errors:
            logger.error("message.unknown", extra={"message_id": message.message_id, "reason": str(error)})
    delay_redelivery(failed, settings().max_receives, context, logger)
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}


def _receipts(message: Message) -> tuple[ObjectRef, ...]:
    """Return what a message names, written or removed: an event is only a hint."""
    return (*message.refs, *message.removed)


def _update(ref: ObjectRef, deadline: Deadline) -> bool:
    """Bring the copy of one result up to date, and log what became of it; return whether that worked."""
    try:
        deadline.check_start(ref)
        outcome = _catalog(ref.bucket).update(ref.key, deadline) if _is_receipt(ref) else CopyOutcome.IGNORED
    except BaseException as error:  # noqa: BLE001 - one result's failure must not affect another
        log_failure("object.failed", ref, contain(error), logger)
        return False
    logger.info("object.%s", outcome, extra={"bucket": ref.bucket, "key": ref.key})
    return True


def _is_receipt(ref: ObjectRef) -> bool:
    """Return whether an object may be a receipt of this stack."""
    is_own_bucket = ref.bucket == (settings().results_bucket or ref.bucket)
    return is_own_bucket and ref.key.startswith(settings().results_prefix) and ref.key.endswith(".json")


def _catalog(bucket: str) -> Catalog:
    place = ObjectRef(bucket, settings().catalog_prefix + settings().results_prefix)
    return Catalog(BucketResults(storage(), bucket, settings()), storage(), place, settings())
