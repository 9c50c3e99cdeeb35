import json

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from mypy_boto3_s3 import S3Client
from tests.cli.stacks import STACK
from tests.conftest import BUCKET

from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef
from reviewbox.settings import Settings
from reviewbox.stack import discovery as aws

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/uploads"
OUTPUTS = {
    "Bucket": "my-reviews",
    "SourcePrefix": "incoming/",
    "ResultsBucket": "my-results",
    "ResultsPrefix": "results/",
    "QueueUrl": QUEUE,
    "DeadLetterQueueUrl": f"{QUEUE}-failed",
    "SegmentsQueueUrl": f"{QUEUE}-segments",
}
BATCH_OUTPUTS = {
    "OnBatchOperationArn": "arn:aws:lambda:us-east-1:123456789012:function:on-batch-operation",
    "BatchOperationsRoleArn": "arn:aws:iam::123456789012:role/batch-operations",
    "BatchOperationsPrefix": "batch-operations/",
}
PARAMETERS = {
    "MaxConcurrency": 10,
    "MemorySize": 1769,
    "Threads": 1,
    "MaxObjectBytes": 16_777_216,
    "SegmentBytes": 1_048_576,
}


def deploy(outputs: dict[str, str], parameters: dict[str, int]) -> None:
    template = {
        "Parameters": {name: {"Type": "Number", "Default": value} for name, value in parameters.items()},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    client = boto3.client("cloudformation")
    client.create_stack(StackName="reviewbox", TemplateBody=json.dumps(template))


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "ListObjectsV2")


@pytest.mark.usefixtures("s3")
def test_a_stack_is_found_by_its_outputs_and_parameters() -> None:
    deploy(OUTPUTS | BATCH_OUTPUTS, PARAMETERS)

    stack = aws.find_stack(aws.connect("cloudformation"), "reviewbox")

    assert (stack.bucket, stack.source_prefix) == ("my-reviews", "incoming/")
    assert (stack.results_bucket, stack.results_prefix) == ("my-results", "results/")
    assert (stack.queue_url, stack.dead_letter_queue_url) == (QUEUE, f"{QUEUE}-failed")
    assert (stack.max_concurrency, stack.memory_megabytes, stack.threads) == (10, 1769, 1)
    assert stack.max_object_bytes == 16_777_216
    assert stack.queue_urls == (QUEUE, f"{QUEUE}-segments")
    assert stack.segment_bytes == 1_048_576
    assert stack.batch_operations == STACK.batch_operations


@pytest.mark.usefixtures("s3")
def test_a_stack_of_an_older_template_is_taken_to_cut_as_ours_does() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "SegmentsQueueUrl"}
    deploy(outputs, {name: value for name, value in PARAMETERS.items() if name != "SegmentBytes"})

    stack = aws.find_stack(aws.connect("cloudformation"), "reviewbox")

    assert stack.segment_bytes == Settings().segment_bytes
    assert stack.queue_urls == (QUEUE,)


@pytest.mark.usefixtures("s3")
def test_a_stack_need_not_run_jobs() -> None:
    deploy(OUTPUTS, PARAMETERS)

    assert aws.find_stack(aws.connect("cloudformation"), "reviewbox").batch_operations is None


@pytest.mark.usefixtures("s3")
def test_a_stack_that_is_not_there_is_told_with_its_region() -> None:
    with pytest.raises(ReviewboxError, match=r"no stack 'other' in us-east-1 .*--stack"):
        aws.find_stack(aws.connect("cloudformation"), "other")


@pytest.mark.usefixtures("s3")
def test_outputs_that_are_missing_are_all_named() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name not in ("QueueUrl", "ResultsBucket")}
    deploy(outputs, {"MaxConcurrency": 10, "MemorySize": 1769, "Threads": 1})

    with pytest.raises(
        ReviewboxError, match="no output ResultsBucket, no output QueueUrl, no parameter MaxObjectBytes"
    ):
        aws.find_stack(aws.connect("cloudformation"), "reviewbox")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", True),
        ("https://s3.dualstack.eu-central-1.api.aws", True),
        ("https://s3.eusc-de-east-1.amazonaws.eu", True),
        ("https://s3.us-iso-east-1.c2s.ic.gov", True),
        ("https://s3.us-isob-east-1.sc2s.sgov.gov", True),
        ("http://127.0.0.1:5000", False),
        ("http://localhost:4566", False),
        ("https://s3.amazonaws.com.example.org", False),
    ],
)
def test_aws_is_told_from_its_imitations(endpoint: str, expected: object) -> None:
    assert aws.is_aws(endpoint) is expected


def test_a_uri_names_a_bucket_and_a_prefix() -> None:
    assert aws.parse_uri("s3://my-reviews/a/b c+d.txt") == ObjectRef("my-reviews", "a/b c+d.txt")
    assert aws.parse_uri("s3://my-reviews") == ObjectRef("my-reviews", "")


@pytest.mark.parametrize("uri", ["s3://", "s3:///a", "my-reviews/a", "/reviews/a"])
def test_what_names_no_bucket_is_an_error(uri: str) -> None:
    with pytest.raises(ReviewboxError, match="expected s3://bucket/prefix"):
        aws.parse_uri(uri)


def test_listings_leave_out_the_markers_of_folders(s3: S3Client) -> None:
    for key in ("a/", "a/empty", "a/b.txt", "z"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" if key == "a/b.txt" else b"")

    found = [(item.key, item.size) for item in aws.list_objects(s3, ObjectRef(BUCKET, "a"))]

    assert found == [("a/b.txt", 1), ("a/empty", 0)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("results/incoming/a.txt.json", True),
        ("results/incoming/a.json.json", True),
        ("results/incoming/a.jsonl.classified.jsonl", False),
    ],
)
def test_receipts_are_told_from_tables_by_their_keys(key: str, expected: object) -> None:
    assert aws.is_receipt(key) is expected


@pytest.mark.parametrize(
    ("key", "receipt"),
    [
        ("results/incoming/a.csv.gz.classified/part-00012.csv.gz", "results/incoming/a.csv.gz.json"),
        ("results/incoming/a.csv.classified.csv", ""),
        ("results/incoming/a.csv.classified/other.txt.json", ""),
        ("results/incoming/part-00012.csv.json", ""),
    ],
)
def test_parts_are_told_from_other_results_by_their_keys(key: str, receipt: str) -> None:
    assert aws.table_of_part(key) == receipt


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal("AccessDenied", "not\nyours"), "AWS answered AccessDenied to ListObjectsV2: not yours"),
        (refusal("SlowDown", ""), "AWS answered SlowDown to ListObjectsV2"),
        (NoCredentialsError(), "no AWS credentials: set AWS_PROFILE"),
        (NoRegionError(), "no AWS region: set AWS_DEFAULT_REGION"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), 'endpoint URL: "http://127.0.0.1:1"'),
    ],
)
def test_aws_s_errors_are_told_in_a_line(error: Exception, expected: str) -> None:
    line = aws.explain(error)

    assert line is not None
    assert expected in line
    assert "\n" not in line


def test_other_errors_are_bugs() -> None:
    assert aws.explain(KeyError("x")) is None
