"""A deployed stack, and questions to AWS about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from reviewbox.stack.discovery import Stack, find_stack

# Returns a client for an AWS service.
Connect = Callable[[str], Any]


@dataclass(frozen=True)
class Deployment:
    """A deployed stack, and questions to AWS about it. They raise botocore's errors."""

    stack: Stack  # its resources and parameters
    connect: Connect  # returns a client for an AWS service
    now: Callable[[], float]  # returns the time in seconds since 1970

    @classmethod
    def find(cls, name: str, connect: Connect, now: Callable[[], float]) -> "Deployment":
        """Return the deployment with a name.

        Raises:
            ReviewboxError: see `find_stack`.
        """
        return cls(find_stack(connect("cloudformation"), name), connect, now)

    @property
    def function(self) -> str:
        """The name of the function; "" in the local cloud, which runs it itself."""
        return self.stack.outputs.get("FunctionName", "")

    @cached_property
    def configuration(self) -> Mapping[str, Any]:
        """The function's configuration."""
        configuration: Mapping[str, Any] = self.connect("lambda").get_function_configuration(
            FunctionName=self.function
        )
        return configuration

    def queue(self, url: str) -> Mapping[str, str]:
        """Return the attributes of a queue."""
        response = self.connect("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: Mapping[str, str] = response["Attributes"]
        return attributes

    def notification(self, bucket: str) -> Mapping[str, Any]:
        """Return what a bucket announces to whom."""
        found: Mapping[str, Any] = self.connect("s3").get_bucket_notification_configuration(Bucket=bucket)
        return found

    def key(self, bucket: str) -> Mapping[str, Any] | None:
        """Return the ARN and the state of the KMS key with which a bucket encrypts new objects.

        Returns None if AWS manages the key, or if you are not allowed to look it up. The ARN of a key that is
        missing is what the bucket calls it, which may be an alias or an id.
        """
        try:
            answer = self.connect("s3").get_bucket_encryption(Bucket=bucket)
        except ClientError:  # other implementations of S3 may have no encryption
            return None
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
        defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
        key = next((default["KMSMasterKeyID"] for default in defaults if "KMSMasterKeyID" in default), None)
        if key is None:
            return None
        try:
            metadata: Mapping[str, Any] = self.connect("kms").describe_key(KeyId=key)["KeyMetadata"]
        except ClientError as error:
            is_missing = error.response["Error"]["Code"] == "NotFoundException"
            return {"Arn": key, "KeyState": "missing"} if is_missing else None
        return metadata if metadata.get("KeyManager") != "AWS" else None
