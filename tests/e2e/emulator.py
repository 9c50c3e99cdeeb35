"""The built artifact, run as Lambda runs it: AWS's Runtime Interface Emulator starts AWS's runtime
client in the artifact's folder and hands it events.

It ends invocations and restarts runtimes as Lambda does. It does not limit memory, so nothing here can
show what happens to a function that runs out of it.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3
from processes import ROOT, children, free_port, server

ARTIFACT = ROOT / "build/OnUpload"

_PYTHON = ROOT / ".venv-e2e/bin/python"
_EMULATOR = "lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"


@dataclass(frozen=True, slots=True)
class Function:
    """A function that waits to be invoked."""

    emulator: subprocess.Popen[bytes]
    address: str

    def invoke(self, event: Any) -> Any:
        """Return what the handler does, its error's `errorType` and `errorMessage`, or Lambda's own words."""
        reply = urllib3.request("POST", self.address, json=event, timeout=120, retries=False)
        try:
            return reply.json()
        except ValueError:  # "Task timed out ..."
            return reply.data.decode()

    def kill(self) -> None:
        """Kill the runtime, whatever it is doing."""
        for pid in children(self.emulator):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def emulated(
    handler: str, environment: Mapping[str, str], log: str, timeout_seconds: int = 100
) -> Iterator[Function]:
    """Run the artifact's `handler` while the context lasts."""
    (emulator,) = (ROOT / ".venv-sam").glob(_EMULATOR)
    port, api_port = free_port(), free_port()
    command = [
        *(emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{api_port}"),
        *(_PYTHON, "-m", "awslambdaric", handler),
    ]
    environment = {
        **environment,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "LAMBDA_TASK_ROOT": str(ARTIFACT),
        "PATH": os.defpath,
    }
    with server(command, environment, port, log, cwd=ARTIFACT) as process:
        yield Function(process, f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations")
