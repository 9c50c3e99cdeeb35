"""S3 Batch Operations, which moto does not implement. Botocore validates the requests against AWS's model."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from mypy_boto3_s3control import S3ControlClient
from rich.console import Console
from tests.cli.stacks import STACK

from reviewbox.cli.backfill import Backfill
from reviewbox.objects import ObjectRef
from reviewbox.stack.jobs import job_request, start_job

ACCOUNT = "123456789012"
PREFIX = ObjectRef("reviewbox", "incoming/2019/")
DESCRIPTION = "reviewbox: backfill of s3://reviewbox/incoming/2019/"
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
def control() -> S3ControlClient:
    return boto3.client(
        "s3control", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
    )


@pytest.fixture
def s3_control(control: S3ControlClient) -> Iterator[Stubber]:
    with Stubber(control) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def job_listing(job_id: str, status: str, *, days: int = 0, description: str = DESCRIPTION) -> dict[str, Any]:
    created = MONDAY + timedelta(days=days)
    return {"JobId": job_id, "Status": status, "Description": description, "CreationTime": created}


def job_description(
    status: str, total: int = 0, succeeded: int = 0, failed: int = 0, **fields: Any
) -> dict[str, Any]:
    counts = {
        "TotalNumberOfTasks": total,
        "NumberOfTasksSucceeded": succeeded,
        "NumberOfTasksFailed": failed,
    }
    return {"Job": {"JobId": "job-1", "Status": status, "ProgressSummary": counts, **fields}}


def create_job(s3_control: Stubber, control: S3ControlClient, *earlier: dict[str, Any]) -> str:
    """Start a job after `earlier` ones, and return the token of the request."""
    tokens = []
    s3_control.add_response("list_jobs", {"Jobs": list(earlier)})
    s3_control.add_response("create_job", {"JobId": "job-1"})
    control.meta.events.register(
        "before-parameter-build.s3-control.CreateJob",
        lambda params, **_: tokens.append(params["ClientRequestToken"]),
    )
    assert start_job(control, ACCOUNT, STACK, PREFIX) == ("job-1", True)
    return str(tokens[-1])


def test_a_job_has_s3_list_the_objects_and_invoke_the_function_for_each(
    control: S3ControlClient, s3_control: Stubber
) -> None:
    expected = {
        "AccountId": ACCOUNT,
        "ClientRequestToken": "token",
        "ConfirmationRequired": False,
        "Description": DESCRIPTION,
        "Priority": 10,
        "RoleArn": "arn:aws:iam::123456789012:role/batch-operations",
        "Operation": {
            "LambdaInvoke": {
                "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:on-batch-operation",
                "InvocationSchemaVersion": "2.0",
            }
        },
        "ManifestGenerator": {
            "S3JobManifestGenerator": {
                "SourceBucket": "arn:aws:s3:::reviewbox",
                "Filter": {"KeyNameConstraint": {"MatchAnyPrefix": ["incoming/2019/"]}},
                "EnableManifestOutput": False,
            }
        },
        "Report": {
            "Enabled": True,
            "Format": "Report_CSV_20180820",
            "ReportScope": "FailedTasksOnly",
            "Bucket": "arn:aws:s3:::my-results",
            "Prefix": "batch-operations",
        },
    }
    s3_control.add_response("create_job", {"JobId": "job-1"}, expected)

    control.create_job(**job_request(ACCOUNT, STACK, PREFIX, "token"))


def test_a_prefix_may_be_as_long_as_a_key(control: S3ControlClient, s3_control: Stubber) -> None:
    s3_control.add_response("create_job", {"JobId": "job-1"})
    prefix = ObjectRef("reviewbox", "incoming/" + "x" * 1015)

    request = job_request(ACCOUNT, STACK, prefix, "token")
    control.create_job(**request)

    assert len(request["Description"]) <= 256


def test_an_unfinished_job_is_resumed(control: S3ControlClient, s3_control: Stubber) -> None:
    earlier = [job_listing("job-0", "Complete"), job_listing("job-3", "Active", description="someone else's")]
    s3_control.add_response("list_jobs", {"Jobs": earlier, "NextToken": "more"})
    s3_control.add_response(
        "list_jobs",
        {"Jobs": [job_listing("job-2", "Preparing")]},
        {"AccountId": ACCOUNT, "MaxResults": 1000, "NextToken": "more"},
    )

    assert start_job(control, ACCOUNT, STACK, PREFIX) == ("job-2", False)


def test_a_request_repeated_before_its_job_is_listed_has_the_same_token(
    control: S3ControlClient, s3_control: Stubber
) -> None:
    first = create_job(s3_control, control)
    second = create_job(s3_control, control)

    assert first == second
    assert len(first) <= 64


def test_a_finished_job_can_be_followed_by_another(control: S3ControlClient, s3_control: Stubber) -> None:
    """For example after a new model. The token depends on the latest job, in whatever order S3 lists them."""
    first = create_job(s3_control, control)
    second = create_job(s3_control, control, job_listing("job-a", "Complete"))
    third = create_job(
        s3_control, control, job_listing("job-b", "Failed", days=7), job_listing("job-a", "Complete")
    )

    assert len({first, second, third}) == 3
    assert third == create_job(
        s3_control, control, job_listing("job-a", "Complete"), job_listing("job-b", "Failed", days=7)
    )


def run_job(control: S3ControlClient) -> tuple[bool, str]:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, PREFIX, poll_seconds=0)
    return backfill.run_job(control, ACCOUNT).is_good, output.getvalue()


def test_a_job_is_watched_until_it_is_complete(control: S3ControlClient, s3_control: Stubber) -> None:
    s3_control.add_response("list_jobs", {})
    s3_control.add_response("create_job", {"JobId": "job-1"})
    for response in (
        {"Job": {"JobId": "job-1", "Status": "New"}},
        job_description("Preparing"),
        job_description("Active", 200_000, 1000),
        job_description("Complete", 200_000, 200_000),
    ):
        s3_control.add_response("describe_job", response, {"AccountId": ACCOUNT, "JobId": "job-1"})

    succeeded, output = run_job(control)

    assert succeeded
    assert "Complete: 200,000 of 200,000 objects succeeded, 0 failed." in output


def test_failed_objects_are_listed_in_the_report(control: S3ControlClient, s3_control: Stubber) -> None:
    s3_control.add_response("list_jobs", {"Jobs": [job_listing("job-1", "Active")]})
    s3_control.add_response("describe_job", job_description("Complete", 10, 8, 2))

    succeeded, output = run_job(control)

    assert not succeeded
    assert "job-1 is already running" in output
    assert "s3://my-results/batch-operations/job-job-1/ lists the failed objects" in output


def test_the_reason_is_printed_if_a_whole_job_fails(control: S3ControlClient, s3_control: Stubber) -> None:
    reasons = [{"FailureCode": "AccessDenied", "FailureReason": "the role may not list the bucket"}]
    s3_control.add_response("list_jobs", {})
    s3_control.add_response("create_job", {"JobId": "job-1"})
    s3_control.add_response("describe_job", job_description("Failed", FailureReasons=reasons))

    succeeded, output = run_job(control)

    assert not succeeded
    assert "the role may not list the bucket" in output


def test_an_interruption_does_not_stop_the_job(control: S3ControlClient, s3_control: Stubber) -> None:
    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    s3_control.add_response("list_jobs", {"Jobs": [job_listing("job-1", "Active")]})
    s3_control.add_response("describe_job", job_description("Active"))
    control.meta.events.register("after-call.s3-control.DescribeJob", interrupt)

    succeeded, output = run_job(control)

    assert succeeded
    assert "The job continues." in output
