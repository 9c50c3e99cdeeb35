"""The template, deployed with `sam deploy` into ministack, a local cloud that runs functions.

ministack checks policies (`AUTH`) and serves TLS, which the template's policies require. So a function that
reads and writes objects does so with the permissions of its own role, and events reach the queue through its
policy. ministack does not check two permissions, so these tests cannot show that they are granted: the event
source's permission to receive messages, and `s3:ListBucket`, without which AWS answers 403 for a missing
object. Nor does it know `events:source`, the condition for sending events.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from emulator import ARTIFACT
from processes import LOGS, ROOT, children, free_port, server
from samtranslator.yaml_helper import yaml_parse

# The minimum that AWS accepts, and enough for two cores.
_CONCURRENCY = 2

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",  # ministack's root user
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account in ministack.

    Attributes:
        process: the server.
        endpoint: the URL for AWS clients.
        certificate: the file with the certificate to trust.
    """

    process: subprocess.Popen[bytes]
    endpoint: str
    certificate: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make AWS's tools use this account."""
        return {
            **_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.certificate),
        }

    def client(self, service: str) -> Any:
        return _client(service, self.endpoint, self.certificate)

    def functions(self) -> list[int]:
        """Return the process IDs of running functions."""
        return children(self.process)


@cache
def _client(service: Any, endpoint: str, certificate: Path) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        verify=str(certificate),
        region_name=_CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def local_account() -> Iterator[Account]:
    """Run ministack for the duration of the context, then delete its files."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="reviewbox-e2e-") as folder:
        environment = {
            **_CREDENTIALS,
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "HOME": folder,
            "IOT_MTLS_ENABLED": "false",  # would listen on another port
            "MINISTACK_ACCOUNT_ID": "123456789012",
            "MINISTACK_HOST": "127.0.0.1",
            "PATH": os.environ["PATH"],
            "S3_DATA_DIR": f"{folder}/s3",
            "STATE_DIR": f"{folder}/state",
            "TMPDIR": folder,
            "USE_SSL": "true",
        }
        command = [ROOT / ".venv-ministack/bin/python", "-m", "ministack"]
        with server(command, environment, port, "ministack.log", cwd=Path(folder)) as process:
            certificate = Path(folder) / "ministack-tls/server.crt"
            yield Account(process, f"https://127.0.0.1:{port}", certificate)


def deploy(account: Account, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Deploy the template with the built artifact as the stack `name`, and return the stack's outputs."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.json"
        template.write_text(json.dumps(adapt_template(ROOT / "template.yaml")), encoding="utf-8")
        command = [
            *(ROOT / ".venv-sam/bin/sam", "deploy", "--template-file", template, "--stack-name", name),
            *("--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
            *("--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())),
        ]
        environment = {
            **account.environment,
            "HOME": folder,
            "PATH": os.environ["PATH"],
            "SAM_CLI_TELEMETRY": "0",
        }
        with (LOGS / f"deploy-{name}.log").open("wb") as log:
            subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=True)  # noqa: S603
    (stack,) = account.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def adapt_template(template: Path) -> dict[str, Any]:
    """Return the template with the changes that `sam build` makes, and those that ministack needs."""
    content = yaml_parse(template.read_text(encoding="utf-8"))
    functions = [
        resource["Properties"]
        for resource in content["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    for function in functions:
        function["CodeUri"] = str(ARTIFACT)
        for event in function.get("Events", {}).values():
            # A parameter's value is a string, and ministack compares it with a number.
            if "ScalingConfig" in event["Properties"]:
                event["Properties"]["ScalingConfig"]["MaximumConcurrency"] = _CONCURRENCY
    # It does not know the key of this condition, and would deny every event.
    for statement in content["Resources"]["ObjectsPolicy"]["Properties"]["PolicyDocument"]["Statement"]:
        if statement.get("Fn::If", [""])[0] == "SendsEvents":
            del statement["Fn::If"][1]["Condition"]
    # It has no saved queries.
    for name, resource in list(content["Resources"].items()):
        if resource["Type"] == "AWS::Athena::NamedQuery":
            del content["Resources"][name]
    # ministack sets its own endpoint only if the template does not set one.
    for function in (*functions, content.get("Globals", {}).get("Function", {})):
        function.get("Environment", {}).get("Variables", {}).pop("AWS_ENDPOINT_URL", None)
    return content
