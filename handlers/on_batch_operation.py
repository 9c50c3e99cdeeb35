"""S3 Batch Operations: the objects of a bucket that held reviews before Reviewbox came.

A job that has run 1,000 tasks ends when more than half of them have failed, so a task fails only
where nothing could be written for its object. An invocation that raises fails its tasks for good, so
what another try may mend is caught and answered as such.
"""

import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from handlers.common import LambdaContext, pipeline, process_all
from reviewbox.errors import ContentionError, EventError, OutOfTimeError, QueueError
from reviewbox.events import fields_of
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Outcome, Pipeline
from reviewbox.storage import describe, is_transient

logger = logging.getLogger("reviewbox.on_batch_operation")

# What names the bucket in each version of the request: an ARN, or the name itself.
_BUCKET_FIELDS = {"1.0": "s3BucketArn", "2.0": "s3Bucket"}


class ResultCode(StrEnum):
    """What S3 does with a task."""

    SUCCEEDED = "Succeeded"
    TEMPORARY_FAILURE = "TemporaryFailure"  # S3 tries it again, a few times
    PERMANENT_FAILURE = "PermanentFailure"  # counts against the job


Result = tuple[ResultCode, str]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Classify the object of every task; tell S3 of each what became of it and whether to try again.

    Raises:
        EventError: the event is no request of S3 Batch Operations, so there is no task to answer.
    """
    worker = pipeline()
    version, invocation_id, tasks = _read(event)
    results = []
    for task in tasks:
        code, text = _perform(task, version, worker, context)
        results.append({"taskId": task["taskId"], "resultCode": code, "resultString": text})
    return {
        "invocationSchemaVersion": version,
        "treatMissingKeysAs": ResultCode.PERMANENT_FAILURE,
        "invocationId": invocation_id,
        "results": results,
    }


def _read(event: Any) -> tuple[str, str, list[Mapping[str, Any]]]:
    """Return the version of the request, its id, and its tasks, each of which has an id."""
    try:
        version, invocation_id = event["invocationSchemaVersion"], event["invocationId"]
        tasks = [task for task in event["tasks"] if isinstance(task["taskId"], str)]
        complete = isinstance(version, str) and len(tasks) == len(event["tasks"])
    except (LookupError, TypeError):
        complete = False
    if not complete:
        seen = fields_of(event) if isinstance(event, Mapping) else type(event).__name__
        raise EventError(f"no request of S3 Batch Operations whose tasks could be answered: {seen}")
    return version, invocation_id, tasks


def _perform(task: Mapping[str, Any], version: str, worker: Pipeline, context: LambdaContext) -> Result:
    """Do one task, whatever becomes of the others."""
    try:
        ref = _ref(task, version)
    except EventError as error:
        logger.error("task.unknown", extra={"task_id": task["taskId"], "reason": str(error)})  # noqa: TRY400
        return ResultCode.PERMANENT_FAILURE, str(error)
    ((_, end),) = process_all([ref], worker, context, logger)
    try:
        return _failure(end) if isinstance(end, Exception) else _result(end, ref, worker)
    except Exception as error:  # noqa: BLE001 - one task's failure must not become another's
        return _failure(error)


def _failure(error: Exception) -> Result:
    passes = isinstance(error, (OutOfTimeError, ContentionError, QueueError)) or is_transient(error)
    return ResultCode.TEMPORARY_FAILURE if passes else ResultCode.PERMANENT_FAILURE, describe(error)


def _ref(task: Mapping[str, Any], version: str) -> ObjectRef:
    """Return the object of a task. A version of it is not looked at: work is done on the newest."""
    if version not in _BUCKET_FIELDS:
        raise EventError(f"the request has schema version {version!r}; known are {', '.join(_BUCKET_FIELDS)}")
    field = _BUCKET_FIELDS[version]
    bucket, key = task.get(field), task.get("s3Key")
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise EventError(f"the task names no {field} and s3Key: {fields_of(task)}")
    # Form-encoded, as in a notification: a space arrives as a plus sign, which AWS's own example misses.
    try:
        return ObjectRef(bucket.rpartition(":")[2], unquote_plus(key, errors="strict"))
    except UnicodeError:
        raise EventError("the task's s3Key is no UTF-8 when decoded") from None


def _result(outcome: Outcome, ref: ObjectRef, worker: Pipeline) -> Result:
    if outcome is Outcome.GONE:
        # The manifest names what is not there. Should that be the rule, the job had better end.
        return ResultCode.PERMANENT_FAILURE, "gone: no such object"
    if outcome is Outcome.REFUSED:
        # Done all the same: its error is recorded, and stays until the object or the settings change.
        receipt = worker.read_receipt(ref)
        error = receipt.content.get("error", {}) if receipt else {}
        return ResultCode.SUCCEEDED, ": ".join(filter(None, [outcome, error.get("code")]))
    return ResultCode.SUCCEEDED, outcome
