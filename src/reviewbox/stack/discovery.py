"""The resources of a deployed stack, found through CloudFormation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from reviewbox.documents import ReadOptions
from reviewbox.errors import ReviewboxError
from reviewbox.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

# What every version of template.yaml declares, in the order of the fields of `Stack`.
_OUTPUTS = ("Bucket", "SourcePrefix", "ResultsBucket", "ResultsPrefix", "QueueUrl", "DeadLetterQueueUrl")
_PARAMETERS = ("MaxConcurrency", "MemorySize", "Threads", "MaxObjectBytes")
# Only stacks that can run S3 Batch Operations jobs have these outputs.
_BATCH_OUTPUTS = ("OnBatchOperationArn", "BatchOperationsRoleArn", "BatchOperationsPrefix")


@dataclass(frozen=True, slots=True)
class BatchOperations:
    """The resources of a stack that an S3 Batch Operations job needs."""

    function_arn: str  # the function that the job invokes for each object
    role_arn: str  # the role that the job assumes
    prefix: str  # where the job's report goes in the results bucket


@dataclass(frozen=True, slots=True)
class Stack:
    """The resources and parameters of a deployed Reviewbox stack."""

    name: str
    bucket: str  # the bucket for reviews
    source_prefix: str
    results_bucket: str
    results_prefix: str
    queue_url: str  # the queue for uploads
    dead_letter_queue_url: str
    max_concurrency: int  # concurrent invocations for messages
    memory_megabytes: int
    threads: int
    max_object_bytes: int
    segment_bytes: int
    segments_queue_url: str  # "" if the stack does not have one
    batch_operations: BatchOperations | None  # None if the stack cannot run jobs
    status: str = ""  # the state in CloudFormation
    outputs: Mapping[str, str] = field(default_factory=dict)  # all of them

    @property
    def queue_urls(self) -> tuple[str, ...]:
        """The queues that the function consumes; a message moves only from an earlier one to a later one."""
        return tuple(filter(None, (self.queue_url, self.segments_queue_url)))

    @property
    def read_options(self) -> ReadOptions:
        """The default read options, with the size limits of this stack."""
        settings = Settings(max_object_bytes=self.max_object_bytes, segment_bytes=self.segment_bytes)
        return settings.read_options


def find_stack(client: "CloudFormationClient", name: str) -> Stack:
    """Return the deployed stack with the name `name`.

    Raises:
        ReviewboxError: the stack does not exist, or an output or parameter is missing.
    """
    try:
        (description,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise ReviewboxError(
            f"there is no stack {name!r} in {client.meta.region_name} at {client.meta.endpoint_url}: "
            "deploy it with `sam deploy`, select another stack with --stack, or set AWS_ENDPOINT_URL to the "
            "endpoint of `reviewbox local`"
        ) from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}
    parameters = {p["ParameterKey"]: p.get("ParameterValue", "") for p in description.get("Parameters", [])}
    missing = [f"output {output}" for output in _OUTPUTS if output not in outputs]
    missing += [f"parameter {parameter}" for parameter in _PARAMETERS if parameter not in parameters]
    if missing:
        raise ReviewboxError(
            f"the stack {name!r} has no {', no '.join(missing)}: it was deployed from another template or an "
            "older version; deploy the current template"
        )
    batch = [outputs[output] for output in _BATCH_OUTPUTS if output in outputs]
    values: list[Any] = [name, *(outputs[output] for output in _OUTPUTS)]
    values += [int(parameters[parameter]) for parameter in _PARAMETERS]
    # Stacks of older versions have neither of the next two.
    values += [
        int(parameters.get("SegmentBytes", Settings().segment_bytes)),
        outputs.get("SegmentsQueueUrl", ""),
    ]
    values.append(BatchOperations(*batch) if len(batch) == len(_BATCH_OUTPUTS) else None)
    values += [description["StackStatus"], outputs]
    return Stack(*values)
