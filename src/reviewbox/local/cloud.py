"""An AWS account in this process: moto's server, holding what `template.yaml` declares."""

import json
import logging
import re
import socket
import time
import urllib.request
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from reviewbox.errors import ReviewboxError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

BUCKET = "reviewbox"

_FUNCTION = "OnUpload"
_EVENT_SOURCE_MAPPING = "OnUploadUploads"  # as the name of the event becomes that of a resource
_REGION = "us-east-1"
_CREDENTIAL = "local"  # any will do


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running local cloud.

    Attributes:
        endpoint: the URL that AWS clients are pointed at.
        queue_url: of the queue of uploads.
        segments_queue_url: of the queue of what has an invocation to itself.
        dead_letter_queue_url: of the queue of uploads that failed for good.
        handler: the dotted name of the Lambda function's handler.
        environment: the function's variables, the endpoint and credentials among them.
        batch_size: how many messages the function gets at once.
        timeout_seconds: how long the function may run.
    """

    endpoint: str
    queue_url: str
    segments_queue_url: str
    dead_letter_queue_url: str
    handler: str
    environment: Mapping[str, str]
    batch_size: int
    timeout_seconds: int

    def s3(self) -> "S3Client":
        """Return the client of the cloud's S3."""
        client: S3Client = _client("s3", self.endpoint)
        return client

    def sqs(self) -> "SQSClient":
        """Return the client of the cloud's SQS."""
        client: SQSClient = _client("sqs", self.endpoint)
        return client

    def is_idle(self) -> bool:
        """Return whether no upload, or segment of one, waits or is being worked on."""
        # In this order: what is sent on is first in the one queue, and then in both.
        for queue_url in (self.queue_url, self.segments_queue_url):
            attributes = self.sqs().get_queue_attributes(
                QueueUrl=queue_url,
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            if any(int(count) for count in attributes.values()):
                return False
        return True


@contextmanager
def start_cloud(template: Path, port: int) -> Iterator[Cloud]:
    """Run a cloud on `127.0.0.1:port` (0 for any free port) while the context lasts.

    Raises:
        ReviewboxError: the port is taken, or there is no such template.
    """
    if not template.is_file():
        raise ReviewboxError(f"{template}: no such template; run this in a clone, or name one by --template")
    from moto.server import ThreadedMotoServer

    # A line for each request, and a warning for each kind of resource that means nothing here
    # (policies), would bury what is worth reading.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    logging.getLogger("moto").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="moto.cloudformation")
    _hasten_moto()
    _check_free(port)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        # moto's state is this process's, and would outlive a cloud that ran before.
        urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"").close()  # noqa: S310 - our own server
        yield _provision(_expand(template), endpoint)
    finally:
        server.stop()


def _hasten_moto() -> None:
    """Keep moto from finding out again and again what it could know."""
    backends: Any = import_module("moto.backends")
    sqs: Any = import_module("moto.sqs.models")
    # It looks through its own folder for each request, and no other request goes on meanwhile.
    modules = list(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    # It counts a queue's messages anew for each that is sent or received, and for each of them asks a clock
    # that is far slower than the system's.
    sqs.unix_time_millis = lambda: time.time() * 1000


def _check_free(port: int) -> None:
    # moto's thread would end silently, and its starter wait for it forever.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ReviewboxError(f"port {port} is taken; choose another by --port") from None


def _account(endpoint: str) -> Any:
    return {
        "endpoint_url": endpoint,
        "region_name": _REGION,
        "aws_access_key_id": _CREDENTIAL,
        "aws_secret_access_key": _CREDENTIAL,
    }


@cache
def _client(service: Any, endpoint: str) -> Any:
    # Once for each: the queue is asked many times a second, and a client takes a while to make.
    return boto3.client(service, **_account(endpoint))


def _expand(template: Path) -> dict[str, Any]:
    """Return the template with `AWS::Serverless::*` expanded, which CloudFormation does by a macro."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    fragment = yaml_parse(template.read_text(encoding="utf-8"))
    # The functions' code is on disk; where S3 would hold it does not matter here.
    fragment["Globals"]["Function"]["CodeUri"] = "s3://unused/unused"
    session = boto3.Session(region_name=_REGION)
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    expanded: dict[str, Any] = translator.translate(fragment, parameter_values={"BucketName": BUCKET})
    return expanded


def _provision(template: dict[str, Any], endpoint: str) -> Cloud:
    """Create what an expanded template declares, and return how to reach it."""
    # moto would run functions in Docker. This process runs the one for uploads itself, and has
    # CloudFormation tell what its properties come to. Others get no events here.
    function = template["Resources"][_FUNCTION]["Properties"]
    mapping = template["Resources"][_EVENT_SOURCE_MAPPING]["Properties"]
    questions = {
        "Handler": function["Handler"],
        "Timeout": function["Timeout"],
        "BatchSize": mapping["BatchSize"],
        "QueueUrl": template["Outputs"]["QueueUrl"]["Value"],
        "SegmentsQueueUrl": template["Outputs"]["SegmentsQueueUrl"]["Value"],
        "DeadLetterQueueUrl": template["Outputs"]["DeadLetterQueueUrl"]["Value"],
        **{_output_of(name): value for name, value in function["Environment"]["Variables"].items()},
    }
    # Roles, logs and alarms mean nothing here.
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"].startswith(("AWS::S3::", "AWS::SQS::"))
    }
    # The template's own outputs, as in AWS, but for those that tell of what is not here.
    absent = template["Resources"].keys() - resources.keys()
    outputs = {
        name: output for name, output in template["Outputs"].items() if not _refers(output["Value"], absent)
    }
    # moto takes a reference or text for an output's value.
    outputs |= {
        name: {"Value": value if isinstance(value, dict) else str(value)} for name, value in questions.items()
    }
    account = _account(endpoint)
    stack = boto3.resource("cloudformation", **account).create_stack(
        StackName="reviewbox",
        TemplateBody=json.dumps({**template, "Resources": resources, "Outputs": outputs}),
        Parameters=[{"ParameterKey": "BucketName", "ParameterValue": BUCKET}],
        Capabilities=["CAPABILITY_IAM"],
    )
    answers = {output["OutputKey"]: str(output["OutputValue"]) for output in stack.outputs}
    variables = {name: answers[_output_of(name)] for name in function["Environment"]["Variables"]}
    _notify(answers["QueueUrl"], variables["REVIEWBOX_SOURCE_PREFIX"], account)
    return Cloud(
        endpoint=endpoint,
        queue_url=answers["QueueUrl"],
        segments_queue_url=answers["SegmentsQueueUrl"],
        dead_letter_queue_url=answers["DeadLetterQueueUrl"],
        handler=answers["Handler"],
        environment={
            **variables,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": _CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": _CREDENTIAL,
            "AWS_DEFAULT_REGION": _REGION,
        },
        batch_size=int(answers["BatchSize"]),
        timeout_seconds=int(answers["Timeout"]),
    )


def _refers(value: Any, names: Collection[str]) -> bool:
    """Return whether a value in a template refers to a resource of one of these names."""
    if isinstance(value, dict):
        return any(_refers(item, names) for item in value.values())
    if isinstance(value, list):
        return any(_refers(item, names) for item in value)
    # In Ref and Fn::GetAtt a name is all there is, or comes before a dot; in Fn::Sub it stands in braces.
    return any(name in names for name in re.findall(r"(?:^|\$\{)(\w+)", str(value)))


def _output_of(variable: str) -> str:
    """Return the name of the output that holds a variable; outputs are letters and digits."""
    return "Variable" + variable.replace("_", "")


def _notify(queue_url: str, prefix: str, account: Any) -> None:
    """Set the bucket's notification, the one thing that moto's CloudFormation drops."""
    attributes = boto3.client("sqs", **account).get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["QueueArn"]
    )["Attributes"]
    boto3.client("s3", **account).put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": attributes["QueueArn"],
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
                }
            ]
        },
    )
