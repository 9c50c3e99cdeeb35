"""Classifies objects for S3 Batch Operations: those that were in the bucket before Reviewbox was deployed.

A schedule invokes the same function to sweep the results (`on_schedule`).

A job that has run 1,000 tasks is stopped if more than half of them have failed. So a task fails only if no
receipt could be written for its object. An invocation that raises makes all its tasks fail permanently, so
errors that a retry may fix are caught and reported as temporary.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from handlers import on_schedule
from handlers.common import LambdaContext, pipeline, process_all
from reviewbox.errors import ContentionError, EventBusError, EventError, OutOfTimeError, QueueError
from reviewbox.events import describe_fields
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.storage import describe, is_transient

logger = logging.getLogger("reviewbox.on_batch_operation")

# The field that names the bucket in each version of the request: an ARN, or the name itself.
_BUCKET_FIELDS = {"1.0": "s3BucketArn", "2.0": "s3Bucket"}


_TEMPORARY = (OutOfTimeError, ContentionError, QueueError, EventBusError)


class ResultCode(StrEnum):
    """What S3 does with a task."""

    SUCCEEDED = "Succeeded"
    TEMPORARY_FAILURE = "TemporaryFailure"  # S3 retries the task a few times
    PERMANENT_FAILURE = "PermanentFailure"  # counts against the job


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one task."""

    code: ResultCode
    text: str


def handler(
    event: Mapping[str, Any], context: LambdaContext, worker: Pipeline | None = None
) -> dict[str, Any]:
    """Classify the object of every task, and report each task's result to S3; or sweep the results.

    `worker` is the pipeline to use; by default, this process's own.

    Raises:
        EventError: the event is not a request of S3 Batch Operations, so there is no task to answer.
    """
    worker = worker or pipeline()
    if on_schedule.is_sweep(event):
        return on_schedule.handler(event, context, worker)
    version, tasks = _parse(event)
    results = [(task["taskId"], _perform(task, version, worker, context)) for task in tasks]
    return {
        "invocationSchemaVersion": version,
        "treatMissingKeysAs": ResultCode.PERMANENT_FAILURE,
        "invocationId": event["invocationId"],
        "results": [
            {"taskId": task_id, "resultCode": result.code, "resultString": result.text}
            for task_id, result in results
        ],
    }


def _parse(event: Any) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the version of the request and its tasks, each of which has an id."""
    try:
        version, tasks = event["invocationSchemaVersion"], list(event["tasks"])
        is_request = isinstance(version, str) and "invocationId" in event
        is_request = is_request and all(isinstance(task["taskId"], str) for task in tasks)
    except (LookupError, TypeError):
        is_request = False
    if not is_request:
        fields = describe_fields(event) if isinstance(event, Mapping) else type(event).__name__
        raise EventError(f"not a request of S3 Batch Operations with tasks that can be answered: {fields}")
    return version, tasks


def _perform(task: Mapping[str, Any], version: str, worker: Pipeline, context: LambdaContext) -> Result:
    try:
        ref = _ref(task, version)
    except EventError as error:
        logger.error("task.unknown", extra={"task_id": task["taskId"], "reason": str(error)})  # noqa: TRY400
        return Result(ResultCode.PERMANENT_FAILURE, str(error))
    ((_, outcome),) = process_all([ref], worker, context, logger)
    try:
        return _failure(outcome) if isinstance(outcome, Exception) else _result(outcome, ref, worker)
    except Exception as error:  # noqa: BLE001 - one task's failure must not affect another
        return _failure(error)


def _ref(task: Mapping[str, Any], version: str) -> ObjectRef:
    """Return the object of a task. Its version is ignored, because the newest version is classified."""
    if version not in _BUCKET_FIELDS:
        raise EventError(
            f"unknown schema version {version!r} of the request; known: {', '.join(_BUCKET_FIELDS)}"
        )
    field = _BUCKET_FIELDS[version]
    bucket, key = task.get(field), task.get("s3Key")
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise EventError(f"the task has no {field} or no s3Key: {describe_fields(task)}")
    # The key is form-encoded, as in a notification. AWS's own example does not decode "+" as a space.
    try:
        return ObjectRef(bucket.rpartition(":")[2], unquote_plus(key, errors="strict"))
    except UnicodeError:
        raise EventError("the task's s3Key is not valid UTF-8 after decoding") from None


def _failure(error: Exception) -> Result:
    is_temporary = isinstance(error, _TEMPORARY) or is_transient(error)
    code = ResultCode.TEMPORARY_FAILURE if is_temporary else ResultCode.PERMANENT_FAILURE
    return Result(code, describe(error))


def _result(outcome: Outcome, ref: ObjectRef, worker: Pipeline) -> Result:
    if outcome is Outcome.GONE:
        # The manifest names a missing object. If most objects are missing, the job should stop.
        return Result(ResultCode.PERMANENT_FAILURE, "gone: no such object")
    if outcome is Outcome.REFUSED:
        # Still a success: the error is recorded, and stays until the object or the settings change.
        receipt = worker.read_receipt(ref)
        error = receipt.content.get("error", {}) if receipt else {}
        return Result(ResultCode.SUCCEEDED, ": ".join(filter(None, [outcome, error.get("code")])))
    return Result(ResultCode.SUCCEEDED, outcome)
