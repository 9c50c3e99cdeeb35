"""AWS for the command line: the stack that is deployed, its queues and objects, and its errors in a line.

The only module of the command line that knows boto3. Endpoint, region, profile and credentials are
the usual ones: what `aws` would use.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, the base of all that cannot reach an endpoint
    NoCredentialsError,
    NoRegionError,
)
from botocore.loaders import create_loader

from reviewbox.documents import ReadOptions
from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef
from reviewbox.results.keys import PART_NAME, parts_prefix, receipt_key
from reviewbox.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Threads that read many small objects share a client.
READERS = 16
# The most that SQS takes or gives at once.
BATCH = 10
# The most bytes that SQS takes at once. It has grown since in AWS; this much is taken everywhere.
_MOST_BYTES = 262_144

_URI = "s3://"
_RECEIPT = receipt_key("", "")  # what the keys of receipts end with, and those of tables do not
_PARTS = parts_prefix("", "")  # what follows the key of a large table in those of its parts
_MOST_SENDS = 5


@dataclass(frozen=True, slots=True)
class BatchOperations:
    """What an S3 Batch Operations job needs of a stack.

    Attributes:
        function_arn: the function that it invokes.
        role_arn: the role that it works in.
        prefix: where in the results' bucket it reports what failed.
    """

    function_arn: str
    role_arn: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed Reviewbox, as its CloudFormation stack tells.

    Attributes:
        name: the stack's.
        bucket: where reviews are dropped.
        source_prefix: what their keys start with.
        results_bucket: where results go.
        results_prefix: what their keys start with.
        queue_url: of the queue of uploads.
        segments_queue_url: of the queue of segments; "" if the stack has none.
        dead_letter_queue_url: of the queue of uploads that failed for good.
        batch_operations: how a job is run; None if the stack has nothing for it.
        max_concurrency: how many copies of the function work at once.
        memory_megabytes: of the function.
        threads: of its inference.
        max_object_bytes: a larger object gets an error, if it is no table of lines.
        segment_bytes: a larger table of lines is classified in segments.
    """

    name: str
    bucket: str
    source_prefix: str
    results_bucket: str
    results_prefix: str
    queue_url: str
    segments_queue_url: str
    dead_letter_queue_url: str
    batch_operations: BatchOperations | None
    max_concurrency: int
    memory_megabytes: int
    threads: int
    max_object_bytes: int
    segment_bytes: int

    @property
    def queue_urls(self) -> tuple[str, ...]:
        """Of all queues that its function takes messages from, in the order in which they are sent on."""
        return tuple(filter(None, (self.queue_url, self.segments_queue_url)))

    @property
    def read_options(self) -> ReadOptions:
        """How its function reads, as far as sizes go."""
        settings = Settings(max_object_bytes=self.max_object_bytes, segment_bytes=self.segment_bytes)
        return settings.read_options


# The outputs of template.yaml that tell it; those of a job only where it can be run.
_OUTPUTS = {
    "bucket": "Bucket",
    "source_prefix": "SourcePrefix",
    "results_bucket": "ResultsBucket",
    "results_prefix": "ResultsPrefix",
    "queue_url": "QueueUrl",
    "dead_letter_queue_url": "DeadLetterQueueUrl",
}
_BATCH_OUTPUTS = {
    "function_arn": "OnBatchOperationArn",
    "role_arn": "BatchOperationsRoleArn",
    "prefix": "BatchOperationsPrefix",
}
# Its parameters that estimates depend on.
_PARAMETERS = {
    "max_concurrency": "MaxConcurrency",
    "memory_megabytes": "MemorySize",
    "threads": "Threads",
    "max_object_bytes": "MaxObjectBytes",
}
# Stacks of older templates have neither.
_SEGMENT_BYTES = "SegmentBytes"
_SEGMENTS_QUEUE_URL = "SegmentsQueueUrl"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing has it; `size` is in bytes."""

    key: str
    size: int
    last_modified: datetime
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many messages a queue holds, as far as SQS knows.

    Attributes:
        queued: waiting to be taken.
        in_flight: taken, and neither deleted nor back yet.
        delayed: not to be taken yet.
    """

    queued: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.queued + self.in_flight + self.delayed


def connect(service: Any) -> Any:
    """Return the client of a service, as the environment says.

    Raises:
        ReviewboxError: the environment names an endpoint that is no URL.
    """
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=READERS)
    try:
        return boto3.client(service, config=config)
    except BotoCoreError:  # some of which are ValueErrors, too
        raise
    except ValueError as error:
        raise ReviewboxError(f"{error}: AWS_ENDPOINT_URL takes a URL like http://127.0.0.1:5000") from None


def find_stack(client: "CloudFormationClient", name: str) -> Stack:
    """Return what is deployed as the stack `name`.

    Raises:
        ReviewboxError: there is no such stack, or it is none of ours or of another version.
    """
    try:
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise ReviewboxError(
            f"there is no stack {name!r} in {client.meta.region_name} at {client.meta.endpoint_url}: "
            "deploy it (sam deploy), name another by --stack, or set AWS_ENDPOINT_URL to that of "
            "`reviewbox local`"
        ) from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    parameters = {p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])}
    missing = [
        *(f"output {output}" for output in _OUTPUTS.values() if output not in outputs),
        *(f"parameter {parameter}" for parameter in _PARAMETERS.values() if parameter not in parameters),
    ]
    if missing:
        raise ReviewboxError(
            f"the stack {name!r} has no {', no '.join(missing)}: it was made from another template, or "
            "from an older one; deploy this version's"
        )
    batch_operations = None
    if all(output in outputs for output in _BATCH_OUTPUTS.values()):
        told = {field: outputs[output] for field, output in _BATCH_OUTPUTS.items()}
        batch_operations = BatchOperations(**told)
    texts = {field: outputs[output] for field, output in _OUTPUTS.items()}
    texts["segments_queue_url"] = outputs.get(_SEGMENTS_QUEUE_URL, "")
    numbers = {field: int(parameters[parameter]) for field, parameter in _PARAMETERS.items()}
    numbers["segment_bytes"] = int(parameters.get(_SEGMENT_BYTES, Settings().segment_bytes))
    return Stack(name=name, batch_operations=batch_operations, **texts, **numbers)  # type: ignore[arg-type]


def is_receipt(key: str) -> bool:
    """Return whether a key under a results prefix is a receipt's, and no table's."""
    return key.endswith(_RECEIPT)


def table_of_part(key: str) -> str:
    """Return the key of the receipt beside a part of a large table; "" for what is no part."""
    table, _, name = key.rpartition(_PARTS)
    return f"{table}{_RECEIPT}" if table and PART_NAME.fullmatch(name) else ""


def is_aws(endpoint_url: str) -> bool:
    """Return whether an endpoint is AWS's own, and not that of a local cloud or another store."""
    host = urlsplit(endpoint_url).hostname or ""
    partitions: Any = create_loader().load_data("partitions")
    return any(
        host.endswith(f".{partition['outputs'][name]}")
        for partition in partitions["partitions"]
        for name in ("dnsSuffix", "dualStackDnsSuffix")
    )


def is_uri(text: str) -> bool:
    """Return whether a text is meant to name something in S3."""
    return text.startswith(_URI)


def parse_uri(uri: str) -> ObjectRef:
    """Return the bucket and the key or prefix that `s3://bucket/...` names.

    Raises:
        ReviewboxError: it names no bucket.
    """
    bucket, _, key = uri.removeprefix(_URI).partition("/")
    if not is_uri(uri) or not bucket:
        raise ReviewboxError(f"{uri}: expected s3://bucket/prefix")
    return ObjectRef(bucket, key)


def list_objects(client: "S3Client", prefix: ObjectRef) -> Iterator[Listed]:
    """Yield the objects whose keys start with that of `prefix`, without the markers of folders."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key):
        for item in page.get("Contents", []):
            if item["Size"] or not item["Key"].endswith("/"):
                storage_class = item.get("StorageClass", "STANDARD")
                yield Listed(item["Key"], item["Size"], item["LastModified"], storage_class)


def count_messages(client: "SQSClient", queue_url: str) -> QueueCounts:
    """Return how many messages a queue holds."""
    names = {
        "queued": "ApproximateNumberOfMessages",
        "in_flight": "ApproximateNumberOfMessagesNotVisible",
        "delayed": "ApproximateNumberOfMessagesDelayed",
    }
    told: Any = client.get_queue_attributes(
        QueueUrl=queue_url,
        AttributeNames=list(names.values()),  # type: ignore[arg-type] # names of attributes they are
    )["Attributes"]
    return QueueCounts(**{field: int(told[name]) for field, name in names.items()})


def send(client: "SQSClient", queue_url: str, bodies: Sequence[str]) -> None:
    """Send up to `BATCH` messages; what SQS does not take at first is sent again.

    Raises:
        ReviewboxError: SQS took some of them, but not all, however often they were sent.
    """
    request: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if request and size + length > _MOST_BYTES:
            _send_at_once(client, queue_url, request)
            request, size = [], 0
        request.append(body)
        size += length
    if request:
        _send_at_once(client, queue_url, request)


def _send_at_once(client: "SQSClient", queue_url: str, bodies: Sequence[str]) -> None:
    left = {str(number): body for number, body in enumerate(bodies)}
    for attempt in range(_MOST_SENDS):
        time.sleep(0.1 * (2**attempt - 1))  # not before the first
        entries = [{"Id": number, "MessageBody": body} for number, body in left.items()]
        response = client.send_message_batch(QueueUrl=queue_url, Entries=entries)  # type: ignore[arg-type]
        failed = response.get("Failed", [])
        if not failed:
            return
        left = {entry["Id"]: left[entry["Id"]] for entry in failed}
    raise ReviewboxError(
        f"the queue did not take {len(left)} of {len(bodies)} messages: {failed[0]['Code']}; run this again"
    )


def receive(client: "SQSClient", queue_url: str, hidden_seconds: int) -> list["MessageTypeDef"]:
    """Take up to `BATCH` messages, which nobody else gets for `hidden_seconds`."""
    return client.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=BATCH,
        VisibilityTimeout=hidden_seconds,
        WaitTimeSeconds=1,  # asks all of SQS's servers, where 0 asks some
        MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
    ).get("Messages", [])


def release(client: "SQSClient", queue_url: str, messages: Sequence["MessageTypeDef"]) -> None:
    """Give messages that were taken back to the queue, at once."""
    for start in range(0, len(messages), BATCH):
        client.change_message_visibility_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, message in enumerate(messages[start : start + BATCH])
            ],
        )


def delete(client: "SQSClient", queue_url: str, messages: Sequence["MessageTypeDef"]) -> int:
    """Delete up to `BATCH` messages that were taken; return how many are gone."""
    response = client.delete_message_batch(
        QueueUrl=queue_url,
        Entries=[
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ],
    )
    return len(response.get("Successful", []))


@contextmanager
def errors_at(place: str) -> Iterator[None]:
    """Raise AWS's errors as ours, with the place that they are about."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise ReviewboxError(f"{place}: {explain(error)}") from None


def explain(error: Exception) -> str | None:
    """Return an error of AWS, or of the way there, in a line; None for any other."""
    match error:
        case NoCredentialsError():
            return (
                "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                "(for `reviewbox local` any will do)"
            )
        case NoRegionError():
            return "no AWS region: set AWS_DEFAULT_REGION, or the profile's region"
        case ConnectionError():
            return f"{error} (AWS_ENDPOINT_URL decides where AWS is looked for)"
        case ClientError():
            told = error.response.get("Error", {})
            line = f"AWS answered {told.get('Code', 'an error')} to {error.operation_name}"
            return " ".join(f"{line}: {told['Message']}".split()) if told.get("Message") else line
        case BotoCoreError():
            return " ".join(str(error).split())
    return None
