"""The functions in containers of `sam local`, which have the memory limit of the template.

The containers reach the local cloud through a gate that listens on all addresses of this machine.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from emulator import Function
from gate import Gate
from processes import LOGS, ROOT, free_port, server

from reviewbox.local.cloud import BUCKET, Cloud

_SAM = ROOT / ".venv-sam/bin/sam"
_HOST = "host.docker.internal"  # the name by which a container reaches its host


@dataclass(frozen=True, slots=True)
class Sam:
    """`sam local`, set up for the built functions.

    Attributes:
        image: the name of the image in which functions run.
        cloud: the cloud whose S3 and SQS they use.
        gate: the endpoint of the cloud for containers.
        folder: a folder for files of SAM.
    """

    image: str
    cloud: Cloud
    gate: Gate
    folder: Path

    def invoke_once(self, function: str, event: Any) -> Any:
        """Return the response of a function in a container of its own, as `sam local invoke` prints it."""
        command = [*self._command("invoke"), "--event", "-", function]
        with (LOGS / f"sam-invoke-{function}.log").open("wb") as log:
            output = subprocess.run(  # noqa: S603
                command,
                cwd=ROOT,
                env=self._environment,
                input=json.dumps(event).encode(),
                stdout=subprocess.PIPE,
                stderr=log,
                check=True,
            ).stdout
        return json.loads(output)

    @contextmanager
    def running(self, function: str, log: str, **parameters: int) -> Iterator[Function]:
        """Run a function while the context lasts. One container serves all invocations.

        Args:
            function: the function's name in the template.
            log: the name of the file in `LOGS` for the output of SAM and of the function.
            parameters: parameters of the template, by name.
        """
        port = free_port()
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        command = [
            *self._command("start-lambda"),
            *("--port", str(port), "--warm-containers", "LAZY", "--no-watch"),
            *("--parameter-overrides", f"BucketName={BUCKET}", *overrides),
        ]
        with server(command, self._environment, port, log, cwd=ROOT) as process:
            yield Function(process, f"http://127.0.0.1:{port}/2015-03-31/functions/{function}/invocations")

    def _command(self, name: str) -> list[str | Path]:
        variables = self.folder / "variables.json"
        endpoint = f"http://{_HOST}:{self.gate.port}"
        queue = urlsplit(self.cloud.segments_queue_url).path
        parameters = {"AWS_ENDPOINT_URL": endpoint, "REVIEWBOX_QUEUE_URL": f"{endpoint}{queue}"}
        variables.write_text(json.dumps({"Parameters": parameters}), encoding="utf-8")
        return [
            *(_SAM, "local", name, "--template", ROOT / ".aws-sam/build/template.yaml"),
            *("--invoke-image", self.image, "--skip-pull-image"),
            *("--env-vars", variables, "--add-host", f"{_HOST}:host-gateway"),
        ]

    @property
    def _environment(self) -> dict[str, str]:
        credentials = {name: value for name, value in self.cloud.environment.items() if "_KEY" in name}
        inherited = {name: os.environ[name] for name in ("DOCKER_HOST", "PATH") if name in os.environ}
        return {
            **inherited,
            **credentials,
            "AWS_DEFAULT_REGION": self.cloud.environment["AWS_DEFAULT_REGION"],
            "HOME": str(self.folder),
            "SAM_CLI_TELEMETRY": "0",
        }
