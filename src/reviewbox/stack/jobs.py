"""S3 Batch Operations jobs, which invoke a function for each object under a prefix."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from reviewbox.objects import ObjectRef
from reviewbox.stack.discovery import Stack

if TYPE_CHECKING:
    from mypy_boto3_s3control import S3ControlClient
    from mypy_boto3_s3control.type_defs import CreateJobRequestTypeDef

_FINISHED = frozenset({"Cancelled", "Complete", "Failed"})
_MAX_DESCRIPTION = 256  # characters
_PRIORITY = 10  # among the jobs of an account; jobs with a higher number start first


@dataclass(frozen=True, slots=True)
class Job:
    """The state of a job and its numbers of objects."""

    job_id: str
    status: str  # "Preparing" while S3 lists the objects, then "Active", "Complete" and others
    total: int  # 0 until S3 has listed them
    succeeded: int
    failed: int  # after all retries
    reasons: tuple[str, ...]  # why the job as a whole failed


def start_job(client: "S3ControlClient", account: str, stack: Stack, prefix: ObjectRef) -> tuple[str, bool]:
    """Create a job for all objects under a prefix, unless one is running.

    Returns the ID of the job, and whether it is new.
    """
    earlier = sorted(_jobs(client, account, _description(stack, prefix)), key=itemgetter("CreationTime"))
    for job in earlier:
        if job["Status"] not in _FINISHED:
            return job["JobId"], False
    # A request that is repeated before S3 lists its job has the same token, so S3 does not create a second
    # job. After that job has finished, the token is different.
    token = _digest(stack.name, str(prefix), earlier[-1]["JobId"] if earlier else "")
    return client.create_job(**job_request(account, stack, prefix, token))["JobId"], True


def watch_job(
    client: "S3ControlClient", account: str, job_id: str, poll_seconds: float = 1.0
) -> Iterator[Job]:
    """Yield the state of a job every `poll_seconds`, and for the last time when it is finished."""
    while True:
        job = client.describe_job(AccountId=account, JobId=job_id)["Job"]
        progress: Any = job.get("ProgressSummary", {})
        yield Job(
            job_id=job_id,
            status=job["Status"],
            total=progress.get("TotalNumberOfTasks", 0),
            succeeded=progress.get("NumberOfTasksSucceeded", 0),
            failed=progress.get("NumberOfTasksFailed", 0),
            reasons=tuple(reason.get("FailureReason", "") for reason in job.get("FailureReasons", [])),
        )
        if job["Status"] in _FINISHED:
            return
        time.sleep(poll_seconds)


def job_request(account: str, stack: Stack, prefix: ObjectRef, token: str) -> "CreateJobRequestTypeDef":
    """Return the parameters of a request; S3 creates one job for all requests with the same `token`."""
    operations = stack.batch_operations
    if operations is None:
        raise ValueError(f"the stack {stack.name} cannot run S3 Batch Operations jobs")
    partition = operations.function_arn.split(":")[1]
    return {
        "AccountId": account,
        "ClientRequestToken": token,
        "ConfirmationRequired": False,  # the command has asked for it
        "Description": _description(stack, prefix),
        "Priority": _PRIORITY,
        "RoleArn": operations.role_arn,
        "Operation": {
            "LambdaInvoke": {"FunctionArn": operations.function_arn, "InvocationSchemaVersion": "2.0"}
        },
        "ManifestGenerator": {
            "S3JobManifestGenerator": {
                "SourceBucket": f"arn:{partition}:s3:::{prefix.bucket}",
                "Filter": {"KeyNameConstraint": {"MatchAnyPrefix": [prefix.key]}},
                # A manifest of millions of keys has no use; the report lists the failed objects.
                "EnableManifestOutput": False,
            }
        },
        # Receipts record the outcome of all other objects.
        "Report": {
            "Enabled": True,
            "Format": "Report_CSV_20180820",
            "ReportScope": "FailedTasksOnly",
            "Bucket": f"arn:{partition}:s3:::{stack.results_bucket}",
            "Prefix": operations.prefix.rstrip("/"),
        },
    }


def report_uri(stack: Stack, job: Job) -> str:
    """Return the URI of the report that lists the failed objects of a job."""
    prefix = stack.batch_operations.prefix.rstrip("/") if stack.batch_operations else ""
    return f"s3://{stack.results_bucket}/{prefix}/job-{job.job_id}/"


def _jobs(client: "S3ControlClient", account: str, description: str) -> Iterator[Any]:
    """Yield the jobs with a description that S3 still remembers."""
    page: Any = {}
    while True:
        response = client.list_jobs(AccountId=account, MaxResults=1000, **page)
        for job in response.get("Jobs", []):
            if job.get("Description") == description:
                yield job
        if "NextToken" not in response:
            return
        page = {"NextToken": response["NextToken"]}


def _description(stack: Stack, prefix: ObjectRef) -> str:
    """Return the description that identifies a job; a prefix that is too long is replaced by its digest."""
    text = f"{stack.name}: backfill of {prefix}"
    return text if len(text) <= _MAX_DESCRIPTION else f"{stack.name}: backfill {_digest(str(prefix))}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
