"""A deployed stack, and questions to AWS about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
