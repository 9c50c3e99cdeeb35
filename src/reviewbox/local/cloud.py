"""An AWS account in this process: moto's server with the resources that `template.yaml` declares."""

import json
import logging
import re
import socket
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from reviewbox.documents import Step
from reviewbox.errors import ReviewboxError
from reviewbox.queue import Queue

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

BUCKET = "reviewbox"
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})

_HOST = "127.0.0.1"
_FUNCTION = "OnUpload"
_EVENT_SOURCE_MAPPING = "OnUploadUploads"  # SAM joins the function's name and the event's
_REGION = "us-east-1"
_CREDENTIAL = "local"  # moto accepts any
# The server is this process, so a late answer is not a lost one. On a busy machine, creating the stack may
# take more than botocore's minute, and a second request for it would fail because the bucket exists.
_CONFIG = Config(read_timeout=3600)
# Uploading in parts helps only over a network.
_IN_ONE_REQUEST = TransferConfig(multipart_threshold=2**40, use_threads=False)
# Clients may name a bucket before the host.
_OWN_HOST = re.compile(r"(?:127\.0\.0\.1|(?:[^:]+\.)?localhost):\d+", re.IGNORECASE)


@dataclass(slots=True)
class Work:
    """The progress of the function on the message that it is processing.

    Attributes:
        share: the share of the message's object or segment that is classified.
        step: the step in progress before or after the classification; None if there is none.
    """

    share: float = 0.0
    step: Step | None = None

    def show_share(self, share: float) -> None:
        """Set the share, and end the step in progress."""
        self.share, self.step = share, None

    def show_step(self, step: Step) -> None:
        """Set the step in progress."""
        self.step = step


@dataclass(frozen=True, slots=True)
class Cloud:
    """A local cloud: its endpoint, its queues, the properties of its function, and its progress."""

    endpoint: str
    queue_url: str  # the queue of uploads
    segments_queue_url: str  # the queue of messages that get an invocation of their own
    dead_letter_queue_url: str  # the queue of uploads that failed on every attempt
    handler: str  # the dotted name of the function's handler
    environment: Mapping[str, str]  # the function's, including the endpoint and credentials
    batch_size: int  # messages per invocation, at most
    timeout_seconds: int
    work: Work = field(default_factory=Work)

    def s3(self) -> "S3Client":
        """Return the cloud's S3 client."""
        client: S3Client = _client("s3", self.endpoint)
        return client

    def sqs(self) -> "SQSClient":
        """Return the cloud's SQS client."""
        client: SQSClient = _client("sqs", self.endpoint)
        return client

    def upload(self, file: Path, key: str, on_bytes: Callable[[int], object]) -> None:
        """Upload a file, and call `on_bytes` with the size of each chunk that is sent."""
        self.s3().upload_file(str(file), BUCKET, key, Callback=on_bytes, Config=_IN_ONE_REQUEST)

    def remaining(self) -> int:
        """Return the number of uploads and segments that are waiting or in flight."""
        # The order matters: the function moves work from the first queue to the second, and sends the new
        # message before the old one is deleted.
        queue_urls = (self.queue_url, self.segments_queue_url)
        return sum(Queue(url, self.sqs()).count().total for url in queue_urls)


def listen(port: int) -> socket.socket:
    """Return a socket that listens on `127.0.0.1:port` (0 for any free port).

    Clients can connect immediately. Their requests go unanswered until `serve` accepts the connections.

    Raises:
        ReviewboxError: the port is taken.
    """
    try:
        return socket.create_server((_HOST, port))
    except OSError:
        raise ReviewboxError(f"port {port} is taken; choose another with --port") from None


def provision(template: Path, listener: socket.socket, variables: Mapping[str, str] = NO_VARIABLES) -> Cloud:
    """Create the resources of a template, and return the cloud that `serve(listener)` then serves.

    A bucket exists in moto before its notification does. Only after both exist may a client see the bucket,
    or an upload between the two would be lost. So the resources are created through a private port.
    `variables` replace those of the function's environment in the template.

    Raises:
        ReviewboxError: the template does not exist.
    """
    if not template.is_file():
        raise ReviewboxError(f"{template}: no such template; run this in a clone, or pass --template")
    # moto logs each request, and warns about each type of resource that it does not support (policies).
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    logging.getLogger("moto").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="moto.cloudformation")
    _relieve_moto()
    _skip_ec2()
    with listen(0) as private, serve(private):
        # moto keeps its state per process; an earlier cloud's resources would still be there.
        urllib.request.urlopen(f"{_endpoint(private)}/moto-api/reset", data=b"").close()  # noqa: S310 - our own server
        cloud = _create_resources(_expand(template), _endpoint(private), _endpoint(listener))
        return replace(cloud, environment={**cloud.environment, **variables})


@contextmanager
def serve(listener: socket.socket) -> Iterator[None]:
    """Serve this process's moto state on a listening socket while the context lasts."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    options: Any = {"threaded": True, "request_handler": MotoRequestHandler, "fd": listener.fileno()}
    host, port = listener.getsockname()
    server = make_server(host, port, _application(), **options)
    seconds_between_shutdown_checks = 0.05
    thread = threading.Thread(
        target=server.serve_forever, args=[seconds_between_shutdown_checks], daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@cache
def _application() -> Any:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return _refuse_other_sites(DomainDispatcherApplication(create_backend_app))


def _refuse_other_sites(application: Callable[..., Any]) -> Callable[..., Any]:
    """Return a WSGI application that refuses what other sites in the user's browser send.

    moto takes any signature, and allows every site to read the answers.
    """

    def guarded(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Any:
        host = environ.get("HTTP_HOST", "")
        origin = environ.get("HTTP_ORIGIN", f"http://{host}")
        is_same_site = environ.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")
        if _OWN_HOST.fullmatch(host) and origin == f"http://{host}" and is_same_site:
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"the request comes from a different site\n"]

    return guarded


def _relieve_moto() -> None:
    """Replace functions of moto that take too long or too much memory for a cloud that runs for days."""
    backends: Any = import_module("moto.backends")
    sqs: Any = import_module("moto.sqs.models")
    # It lists moto's package folder for each request, and holds a lock while it does.
    modules = list(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    # It is called for each message of a queue whenever a message is sent or received, and is much slower than
    # the system clock.
    sqs.unix_time_millis = lambda: time.time() * 1000
    # It counts all messages of the queue for each message that is received. No message gets older than the
    # retention period of days while a local cloud runs.
    sqs.SQSBackend.is_message_valid_based_on_retention_period = lambda *_: True
    # It keeps every object and message that there has ever been, including those that were deleted. At a
    # reset, it closes the objects' files, which would otherwise warn.
    models: Any = import_module("moto.core.common_models")
    models.BaseModel.__new__ = lambda cls, *_, **__: object.__new__(cls)
    s3: Any = import_module("moto.s3.models")
    s3.FakeKey.__del__ = s3.FakeKey.dispose


def _skip_ec2() -> None:
    """Import moto's EC2 without its data: megabytes of regions and instance types.

    moto's CloudFormation imports it, whatever a template contains. Nothing here uses it.
    """
    utilities: Any = import_module("moto.utilities.utils")
    session: Any = boto3.Session
    load, regions = utilities.load_resource, session.get_available_regions
    utilities.load_resource = lambda path: {} if path.endswith("instance_types.json") else []
    session.get_available_regions = lambda *_, **__: []
    try:
        import_module("moto.ec2")
    finally:
        utilities.load_resource, session.get_available_regions = load, regions


def _endpoint(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


@cache
def _client(service: Any, endpoint: str) -> Any:
    # Cached because creating a client takes a long time, and the queues are polled many times a second.
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=_REGION,
        aws_access_key_id=_CREDENTIAL,
        aws_secret_access_key=_CREDENTIAL,
        config=_CONFIG,
    )


def _expand(template: Path) -> dict[str, Any]:
    """Return the template after CloudFormation's SAM transform, without `AWS::Serverless::*` resources."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    fragment = yaml_parse(template.read_text(encoding="utf-8"))
    # The functions' code stays on disk, but the transform requires an S3 location.
    fragment["Globals"]["Function"]["CodeUri"] = "s3://unused/unused"
    session = boto3.Session(region_name=_REGION)
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    expanded: dict[str, Any] = translator.translate(fragment, parameter_values={"BucketName": BUCKET})
    return expanded


def _create_resources(template: dict[str, Any], private: str, endpoint: str) -> Cloud:
    """Create the bucket and the queues of an expanded template through the endpoint `private`."""
    # moto would run functions in Docker. Instead this process runs the function for uploads, and reads the
    # function's resolved properties from the stack's outputs. The other functions get no events here.
    function = template["Resources"][_FUNCTION]["Properties"]
    variables = function["Environment"]["Variables"]
    mapping = template["Resources"][_EVENT_SOURCE_MAPPING]["Properties"]
    properties = {_output_name(name): value for name, value in variables.items()}
    properties |= {name: function[name] for name in ("Handler", "Timeout")}
    resolved = _create_stack(template, {**properties, "BatchSize": mapping["BatchSize"]}, private)
    environment = {name: resolved[_output_name(name)] for name in variables}
    _set_notification(resolved["QueueUrl"], environment["REVIEWBOX_SOURCE_PREFIX"], private)
    return Cloud(
        endpoint=endpoint,
        queue_url=resolved["QueueUrl"],
        segments_queue_url=resolved["SegmentsQueueUrl"],
        dead_letter_queue_url=resolved["DeadLetterQueueUrl"],
        handler=resolved["Handler"],
        environment={
            **environment,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": _CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": _CREDENTIAL,
            "AWS_DEFAULT_REGION": _REGION,
        },
        batch_size=int(resolved["BatchSize"]),
        timeout_seconds=int(resolved["Timeout"]),
    )


def _create_stack(template: dict[str, Any], properties: Mapping[str, Any], endpoint: str) -> dict[str, str]:
    """Create the stack of a template. Return its outputs, and the resolved values of some properties."""
    # Roles, log groups and alarms have no effect here.
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"].startswith(("AWS::S3::", "AWS::SQS::"))
    }
    # Keep the template's own outputs, except those that refer to a resource that is not created.
    absent = template["Resources"].keys() - resources.keys()
    outputs = {
        name: output for name, output in template["Outputs"].items() if not _refers(output["Value"], absent)
    }
    # In moto an output's value is a reference or a string.
    for name, value in properties.items():
        outputs[name] = {"Value": value if isinstance(value, dict) else str(value)}
    cloudformation = _client("cloudformation", endpoint)
    cloudformation.create_stack(
        StackName="reviewbox",
        TemplateBody=json.dumps({**template, "Resources": resources, "Outputs": outputs}),
        Parameters=[{"ParameterKey": "BucketName", "ParameterValue": BUCKET}],
        Capabilities=["CAPABILITY_IAM"],
    )
    (stack,) = cloudformation.describe_stacks(StackName="reviewbox")["Stacks"]
    return {output["OutputKey"]: str(output["OutputValue"]) for output in stack["Outputs"]}


def _refers(value: Any, names: Collection[str]) -> bool:
    """Return whether a value in a template refers to a resource with one of these names."""
    # A name is the whole string (Ref), precedes a dot (Fn::GetAtt), or is in braces (Fn::Sub).
    return any(name in names for name in re.findall(r'(?:"|\$\{)(\w+)', json.dumps(value)))


def _output_name(variable: str) -> str:
    """Return the name of the output that holds a variable; only letters and digits are allowed."""
    return "Variable" + variable.replace("_", "")


def _set_notification(queue_url: str, prefix: str, endpoint: str) -> None:
    """Set the bucket's notification, which moto's CloudFormation ignores."""
    attributes = _client("sqs", endpoint).get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["QueueArn"]
    )["Attributes"]
    notification = {
        "QueueArn": attributes["QueueArn"],
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
    }
    _client("s3", endpoint).put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [notification]}
    )
