"""Copies results into the catalog; events about their receipts come from S3 via EventBridge and SQS."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers.common import LambdaContext, delay_redelivery, log_failure, log_unknown
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


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies the results of one stack."""

    storage: S3Storage
    settings: Settings

    def update(self, ref: ObjectRef, deadline: Deadline) -> CopyOutcome:
        """Bring the copy of the result whose receipt this may be up to date."""
        is_own_bucket = ref.bucket == (self.settings.results_bucket or ref.bucket)
        is_receipt = ref.key.startswith(self.settings.results_prefix) and ref.key.endswith(".json")
        if not (is_own_bucket and is_receipt):
            return CopyOutcome.IGNORED
        place = ObjectRef(ref.bucket, self.settings.catalog_prefix + self.settings.results_prefix)
        results = BucketResults(self.storage, ref.bucket, self.settings)
        return Catalog(results, self.storage, place, self.settings).update(ref.key, deadline)


def handler(event: Mapping[str, Any], context: LambdaContext, copier: Copier | None = None) -> dict[str, Any]:
    """Bring the copy of every result that the event names up to date; report the messages to deliver again.

    `copier` is what copies; by default, with this process's own connection and settings.

    Raises:
        EventError: the event did not come through SQS.
    """
    copier = copier or Copier(storage(), settings())
    messages = parse(event)
    if any(message.message_id is None and (message.errors or _receipts(message)) for message in messages):
        raise EventError("results are announced through a queue, which delivers again what fails")
    deadline = Deadline(lambda: context.get_remaining_time_in_millis() / 1000)
    receipts = dict.fromkeys(ref for message in messages for ref in _receipts(message))
    failures = {ref for ref in receipts if not _update(ref, copier, deadline)}
    failed = [message for message in messages if message.errors or failures.intersection(_receipts(message))]
    log_unknown(failed, logger)
    delay_redelivery(failed, copier.settings.max_receives, context, logger)
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}


def _receipts(message: Message) -> tuple[ObjectRef, ...]:
    """Return what a message names, written or removed: an event is only a hint."""
    return (*message.refs, *message.removed)


def _update(ref: ObjectRef, copier: Copier, deadline: Deadline) -> bool:
    """Bring the copy of one result up to date, and log the outcome; return whether that worked."""
    try:
        deadline.check_start(ref)
        outcome = copier.update(ref, deadline)
    except BaseException as error:  # noqa: BLE001 - one result's failure must not affect another
        log_failure("object.failed", ref, contain(error), logger)
        return False
    logger.info("object.%s", outcome, extra={"bucket": ref.bucket, "key": ref.key})
    return True
