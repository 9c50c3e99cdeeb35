"""A deployed stack for tests, and work for it."""

from reviewbox.stack.cost import Workload, split_work
from reviewbox.stack.discovery import BatchOperations, Stack

STACK = Stack(
    name="reviewbox",
    bucket="reviewbox",
    source_prefix="incoming/",
    results_bucket="my-results",
    results_prefix="results/",
    queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/uploads",
    segments_queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/segments",
    dead_letter_queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/failed-uploads",
    batch_operations=BatchOperations(
        function_arn="arn:aws:lambda:us-east-1:123456789012:function:on-batch-operation",
        role_arn="arn:aws:iam::123456789012:role/batch-operations",
        prefix="batch-operations/",
    ),
    max_concurrency=10,
    memory_megabytes=1769,
    threads=1,
    max_object_bytes=1_000_000,
    segment_bytes=100_000,
)


def large_tables(count: int, gigabytes: int) -> Workload:
    size = gigabytes * 10**9
    table = Workload(objects=1, tables=1, work=size) + split_work(size, STACK.read_options)
    return sum([table] * count, Workload())
