import json

import boto3
import pytest
from tests.cli.stacks import STACK

from reviewbox.errors import ReviewboxError
from reviewbox.settings import Settings
from reviewbox.stack.aws import connect
from reviewbox.stack.discovery import find_stack

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


@pytest.mark.usefixtures("s3")
def test_a_stack_is_found_by_its_outputs_and_parameters() -> None:
    deploy(OUTPUTS | BATCH_OUTPUTS, PARAMETERS)

    stack = find_stack(connect("cloudformation"), "reviewbox")

    assert (stack.bucket, stack.source_prefix) == ("my-reviews", "incoming/")
    assert (stack.results_bucket, stack.results_prefix) == ("my-results", "results/")
    assert (stack.queue_url, stack.dead_letter_queue_url) == (QUEUE, f"{QUEUE}-failed")
    assert (stack.max_concurrency, stack.memory_megabytes, stack.threads) == (10, 1769, 1)
    assert stack.max_object_bytes == 16_777_216
    assert stack.queue_urls == (QUEUE, f"{QUEUE}-segments")
    assert stack.segment_bytes == 1_048_576
    assert stack.batch_operations == STACK.batch_operations


@pytest.mark.usefixtures("s3")
def test_a_stack_of_an_older_template_has_the_default_segment_size() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "SegmentsQueueUrl"}
    deploy(outputs, {name: value for name, value in PARAMETERS.items() if name != "SegmentBytes"})

    stack = find_stack(connect("cloudformation"), "reviewbox")

    assert stack.segment_bytes == Settings().segment_bytes
    assert stack.queue_urls == (QUEUE,)


@pytest.mark.usefixtures("s3")
def test_a_stack_may_lack_the_resources_for_jobs() -> None:
    deploy(OUTPUTS, PARAMETERS)

    assert find_stack(connect("cloudformation"), "reviewbox").batch_operations is None


@pytest.mark.usefixtures("s3")
def test_the_error_for_an_absent_stack_names_the_region() -> None:
    with pytest.raises(ReviewboxError, match=r"no stack 'other' in us-east-1 .*--stack"):
        find_stack(connect("cloudformation"), "other")


@pytest.mark.usefixtures("s3")
def test_all_missing_outputs_and_parameters_are_named() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name not in ("QueueUrl", "ResultsBucket")}
    deploy(outputs, {"MaxConcurrency": 10, "MemorySize": 1769, "Threads": 1})

    with pytest.raises(
        ReviewboxError, match="no output ResultsBucket, no output QueueUrl, no parameter MaxObjectBytes"
    ):
        find_stack(connect("cloudformation"), "reviewbox")
