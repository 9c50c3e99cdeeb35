"""The template, deployed by `sam deploy` into ministack, a local cloud that executes what it is given.

It checks policies (`AUTH`), and speaks TLS, which the template's policies demand. So the function reads
and writes objects, if it does, with the permissions of its own role, and events reach the queue by its
policy. Two permissions it does not ask for, and so they are not shown to be there: the event source's
to take messages, and `s3:ListBucket`, without which AWS answers 403 for an object that is not there.
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

# Two copies of the function are enough for two cores, and the fewest that may be asked for.
_CONCURRENCY = 2

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",  # of ministack's root
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account in ministack.

    Attributes:
        process: the server.
        endpoint: the URL that AWS clients are pointed at.
        certificate: the file of the certificate to trust.
    """

    process: subprocess.Popen[bytes]
    endpoint: str
    certificate: Path

    @property
    def environment(self) -> dict[str, str]:
        """What leads AWS's own programs here."""
        return {
            **_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.certificate),
        }

    def client(self, service: str) -> Any:
        return _client(service, self.endpoint, self.certificate)

    def functions(self) -> list[int]:
        """Return the processes that execute functions."""
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
    """Run ministack while the context lasts. What it writes, functions' code above all, goes with it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="reviewbox-e2e-") as folder:
        environment = {
            **_CREDENTIALS,
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "HOME": folder,
            "IOT_MTLS_ENABLED": "false",  # it would listen at one more port
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
    """Deploy the template and what `make build` made as the stack `name`, and return its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.json"
        template.write_text(json.dumps(adapted(ROOT / "template.yaml")), encoding="utf-8")
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


def adapted(template: Path) -> dict[str, Any]:
    """Return the template with what `sam build` would change in it, and with what ministack needs."""
    content = yaml_parse(template.read_text(encoding="utf-8"))
    functions = [
        resource["Properties"]
        for resource in content["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    for function in functions:
        function["CodeUri"] = str(ARTIFACT)
        for event in function.get("Events", {}).values():
            # A parameter's value comes as text, which ministack then compares with a number.
            if "ScalingConfig" in event["Properties"]:
                event["Properties"]["ScalingConfig"]["MaximumConcurrency"] = _CONCURRENCY
    # ministack tells functions where it is only if the template does not.
    for function in (*functions, content.get("Globals", {}).get("Function", {})):
        function.get("Environment", {}).get("Variables", {}).pop("AWS_ENDPOINT_URL", None)
    return content
