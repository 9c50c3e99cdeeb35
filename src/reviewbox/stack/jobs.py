"""S3 Batch Operations: the job that invokes a function on everything under a prefix."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from reviewbox.objects import ObjectRef
from reviewbox.stack.discovery import BatchOperations, Stack

if TYPE_CHECKING:
    from mypy_boto3_s3control import S3ControlClient
    from mypy_boto3_s3control.type_defs import CreateJobRequestTypeDef

_FINISHED = frozenset({"Cancelled", "Complete", "Failed"})
_LONGEST_DESCRIPTION = 256
_PRIORITY = 10  # among an account's jobs; the higher the sooner


@dataclass(frozen=True, slots=True)
class Job:
    """A job as S3 describes it.

    Attributes:
        job_id: S3's name for it.
        status: "Preparing" while S3 lists the objects, then "Active", "Complete" and others.
        total: how many objects it has; 0 until they are listed.
        succeeded: how many of them are done.
        failed: how many of them are not, for good.
        reasons: why the job as a whole failed.
    """

    job_id: str
    status: str
    total: int
    succeeded: int
    failed: int
    reasons: tuple[str, ...]

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in _FINISHED


def start_job(client: "S3ControlClient", account: str, stack: Stack, prefix: ObjectRef) -> tuple[str, bool]:
    """Create the job for all objects under a prefix, or find the one that is at it.

    Returns its id, and whether it is new.
    """
    earlier = sorted(_jobs(client, account, _description(stack, prefix)), key=itemgetter("CreationTime"))
    for job in earlier:
        if job["Status"] not in _FINISHED:
            return job["JobId"], False
    # The same for a request that is repeated before S3 lists its job, and another one after that.
    token = _digest(stack.name, str(prefix), earlier[-1]["JobId"] if earlier else "")
    return client.create_job(**job_request(account, stack, prefix, token))["JobId"], True


def describe_job(client: "S3ControlClient", account: str, job_id: str) -> Job:
    """Return how far a job has come."""
    told = client.describe_job(AccountId=account, JobId=job_id)["Job"]
    progress: Any = told.get("ProgressSummary", {})
    return Job(
        job_id=job_id,
        status=told["Status"],
        total=progress.get("TotalNumberOfTasks", 0),
        succeeded=progress.get("NumberOfTasksSucceeded", 0),
        failed=progress.get("NumberOfTasksFailed", 0),
        reasons=tuple(reason.get("FailureReason", "") for reason in told.get("FailureReasons", [])),
    )


def job_request(account: str, stack: Stack, prefix: ObjectRef, token: str) -> "CreateJobRequestTypeDef":
    """Return what `CreateJob` is asked for.

    Args:
        account: the id of the account that the job runs in.
        stack: what is deployed; it has to have `batch_operations`.
        prefix: whose objects to classify.
        token: what tells S3 that a request is the same as an earlier one.
    """
    operations = _operations(stack)
    partition = operations.function_arn.split(":")[1]
    return {
        "AccountId": account,
        "ClientRequestToken": token,
        "ConfirmationRequired": False,  # the command has asked already
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
                # A list of millions of keys that nobody reads; what failed is in the report.
                "EnableManifestOutput": False,
            }
        },
        # Whatever else became of an object is in its receipt.
        "Report": {
            "Enabled": True,
            "Format": "Report_CSV_20180820",
            "ReportScope": "FailedTasksOnly",
            "Bucket": f"arn:{partition}:s3:::{stack.results_bucket}",
            "Prefix": operations.prefix.rstrip("/"),
        },
    }


def report_uri(stack: Stack, job: Job) -> str:
    """Return where a job reports what failed."""
    return f"s3://{stack.results_bucket}/{_operations(stack).prefix.rstrip('/')}/job-{job.job_id}/"


def _operations(stack: Stack) -> BatchOperations:
    if stack.batch_operations is None:
        raise ValueError(f"the stack {stack.name} runs no jobs")
    return stack.batch_operations


def _jobs(client: "S3ControlClient", account: str, description: str) -> Iterator[Any]:
    """Yield each job of that description which S3 still knows of."""
    more: Any = {}
    while True:
        response = client.list_jobs(AccountId=account, MaxResults=1000, **more)
        for job in response.get("Jobs", []):
            if job.get("Description") == description:
                yield job
        if "NextToken" not in response:
            return
        more = {"NextToken": response["NextToken"]}


def _description(stack: Stack, prefix: ObjectRef) -> str:
    """Return what a job is known by; a prefix that is too long for it becomes a digest."""
    text = f"{stack.name}: backfill of {prefix}"
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{stack.name}: backfill {_digest(str(prefix))}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
