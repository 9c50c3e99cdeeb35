"""S3 Batch Operations, which moto lacks: botocore checks the requests against AWS's own model."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from mypy_boto3_s3control import S3ControlClient
from rich.console import Console
from tests.cli.stacks import STACK

from reviewbox.cli.backfill import MOST_QUEUED, SECONDS_KEPT, Backfill, needs_job
from reviewbox.objects import ObjectRef
from reviewbox.stack.cost import Workload, estimate
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


def listed(job_id: str, status: str, *, days: int = 0, description: str = DESCRIPTION) -> dict[str, Any]:
    created = MONDAY + timedelta(days=days)
    return {"JobId": job_id, "Status": status, "Description": description, "CreationTime": created}


def described(
    status: str, total: int = 0, succeeded: int = 0, failed: int = 0, **more: Any
) -> dict[str, Any]:
    counts = {
        "TotalNumberOfTasks": total,
        "NumberOfTasksSucceeded": succeeded,
        "NumberOfTasksFailed": failed,
    }
    return {"Job": {"JobId": "job-1", "Status": status, "ProgressSummary": counts, **more}}


def creation(s3_control: Stubber, control: S3ControlClient, *earlier: dict[str, Any]) -> str:
    """Return the token of the job that is created after earlier ones."""
    tokens = []
    s3_control.add_response("list_jobs", {"Jobs": list(earlier)})
    s3_control.add_response("create_job", {"JobId": "job-1"})
    control.meta.events.register(
        "before-parameter-build.s3-control.CreateJob",
        lambda params, **_: tokens.append(params["ClientRequestToken"]),
    )
    assert start_job(control, ACCOUNT, STACK, PREFIX) == ("job-1", True)
    return str(tokens[-1])


def test_a_job_asks_s3_for_the_objects_and_invokes_the_function_on_each(
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


def test_a_prefix_may_be_as_long_as_keys_are(control: S3ControlClient, s3_control: Stubber) -> None:
    s3_control.add_response("create_job", {"JobId": "job-1"})
    prefix = ObjectRef("reviewbox", "incoming/" + "x" * 1015)

    request = job_request(ACCOUNT, STACK, prefix, "token")
    control.create_job(**request)

    assert len(request["Description"]) <= 256


def test_an_unfinished_job_is_gone_on_with(control: S3ControlClient, s3_control: Stubber) -> None:
    others = [listed("job-0", "Complete"), listed("job-3", "Active", description="someone else's")]
    s3_control.add_response("list_jobs", {"Jobs": others, "NextToken": "more"})
    s3_control.add_response(
        "list_jobs",
        {"Jobs": [listed("job-2", "Preparing")]},
        {"AccountId": ACCOUNT, "MaxResults": 1000, "NextToken": "more"},
    )

    assert start_job(control, ACCOUNT, STACK, PREFIX) == ("job-2", False)


def test_a_request_that_is_repeated_before_its_job_is_listed_has_the_same_token(
    control: S3ControlClient, s3_control: Stubber
) -> None:
    first = creation(s3_control, control)
    again = creation(s3_control, control)

    assert first == again
    assert len(first) <= 64


def test_a_finished_job_can_be_followed_by_another(control: S3ControlClient, s3_control: Stubber) -> None:
    """As after a new model; the latest job counts, in whatever order they are listed."""
    first = creation(s3_control, control)
    second = creation(s3_control, control, listed("job-a", "Complete"))
    third = creation(s3_control, control, listed("job-b", "Failed", days=7), listed("job-a", "Complete"))

    assert len({first, second, third}) == 3
    assert third == creation(
        s3_control, control, listed("job-a", "Complete"), listed("job-b", "Failed", days=7)
    )


def test_how_long_a_job_lasts_is_for_s3_to_decide() -> None:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, PREFIX)

    backfill.print_estimate(estimate(Workload(objects=200_000), STACK, as_job=True), as_job=True)

    assert "1 job, 200,000 objects" in output.getvalue()
    assert "About 33 minutes with 10 at once; S3 decides how many there are." in output.getvalue()


def watched(control: S3ControlClient) -> tuple[bool, str]:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, PREFIX, seconds_between_looks=0)
    return backfill.run_job(control, ACCOUNT), output.getvalue()


def test_a_job_is_watched_until_it_is_complete(control: S3ControlClient, s3_control: Stubber) -> None:
    s3_control.add_response("list_jobs", {})
    s3_control.add_response("create_job", {"JobId": "job-1"})
    for response in (
        {"Job": {"JobId": "job-1", "Status": "New"}},
        described("Preparing"),
        described("Active", 200_000, 1000),
        described("Complete", 200_000, 200_000),
    ):
        s3_control.add_response("describe_job", response, {"AccountId": ACCOUNT, "JobId": "job-1"})

    all_well, output = watched(control)

    assert all_well
    assert "Complete: 200,000 of 200,000 objects done, 0 failed." in output


def test_what_failed_in_a_job_is_in_its_report(control: S3ControlClient, s3_control: Stubber) -> None:
    s3_control.add_response("list_jobs", {"Jobs": [listed("job-1", "Active")]})
    s3_control.add_response("describe_job", described("Complete", 10, 8, 2))

    all_well, output = watched(control)

    assert not all_well
    assert "job-1, which is at it already" in output
    assert "s3://my-results/batch-operations/job-job-1/ lists what failed" in output


def test_a_job_that_fails_as_a_whole_tells_why(control: S3ControlClient, s3_control: Stubber) -> None:
    reasons = [{"FailureCode": "AccessDenied", "FailureReason": "the role may not list the bucket"}]
    s3_control.add_response("list_jobs", {})
    s3_control.add_response("create_job", {"JobId": "job-1"})
    s3_control.add_response("describe_job", described("Failed", FailureReasons=reasons))

    all_well, output = watched(control)

    assert not all_well
    assert "the role may not list the bucket" in output


def test_an_interruption_ends_the_watching_and_not_the_job(
    control: S3ControlClient, s3_control: Stubber
) -> None:
    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    s3_control.add_response("list_jobs", {"Jobs": [listed("job-1", "Active")]})
    s3_control.add_response("describe_job", described("Active"))
    control.meta.events.register("after-call.s3-control.DescribeJob", interrupt)

    all_well, output = watched(control)

    assert all_well
    assert "The job goes on." in output


def test_a_job_is_for_much_in_aws_and_a_stack_that_runs_them() -> None:
    many = Workload(objects=MOST_QUEUED + 1)
    # Three days for ten functions that take 18.5 ms a kilobyte.
    long = Workload(objects=1000, work=140_000_000_000, largest=140_000_000)

    for much in (many, long):
        assert needs_job(STACK, much, in_aws=True)
        assert not needs_job(STACK, much, in_aws=False)
        assert not needs_job(replace(STACK, batch_operations=None), much, in_aws=True)
    assert not needs_job(STACK, Workload(objects=MOST_QUEUED), in_aws=True)


@pytest.mark.parametrize(
    ("megabytes", "as_job", "is_told"),
    [(140_000, False, True), (140_000, True, False), (85_000, False, False)],
)
def test_work_that_may_outlast_the_queue_is_told(megabytes: int, as_job: object, is_told: object) -> None:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, PREFIX)
    counted = Workload(objects=1000, work=megabytes * 1_000_000)

    backfill.print_estimate(estimate(counted, STACK, as_job=bool(as_job)), as_job=bool(as_job))

    told = "The queue drops for good what it has held for 4 days, and this may take 3 days:"
    assert (told in output.getvalue()) is is_told


def large_tables(count: int, gigabytes: int) -> Workload:
    counted = Workload(objects=count, tables=count)
    for _ in range(count):
        size = gigabytes * 10**9
        counted.add_work(size, size, STACK.read_options, is_compressed=False)
    return counted


def test_segments_go_through_the_queue_and_a_job_would_not_help() -> None:
    counted = large_tables(140, gigabytes=1)
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, PREFIX)

    backfill.print_estimate(estimate(counted, STACK, as_job=True), as_job=True)

    assert not needs_job(STACK, counted, in_aws=True)
    assert "The queue drops for good what it has held for 4 days" in output.getvalue()
    assert "The largest table is cut in one invocation" not in output.getvalue()


def test_a_table_that_is_too_large_to_be_cut_in_time_is_told() -> None:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, PREFIX)

    backfill.print_estimate(estimate(large_tables(1, gigabytes=20), STACK, as_job=False), as_job=False)

    told = "The largest table is cut in one invocation, and that may take"
    assert told in output.getvalue()


def test_how_long_the_queue_keeps_is_the_template_s() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8")

    assert f"MessageRetentionPeriod: {SECONDS_KEPT}" in template
