"""The built artifact in AWS's Runtime Interface Emulator, which runs it as Lambda does.

The emulator starts AWS's runtime client in the artifact's folder and passes events to it. It ends invocations
and restarts runtimes as Lambda does. It does not limit memory, so these tests cannot show what happens to a
function that runs out of memory.
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
    """A running function.

    Attributes:
        emulator: the process of the emulator.
        url: the URL that invokes the function.
    """

    emulator: subprocess.Popen[bytes]
    url: str

    def invoke(self, event: Any) -> Any:
        """Return the handler's response, its error as an object, or Lambda's message as text."""
        response = urllib3.request("POST", self.url, json=event, timeout=120, retries=False)
        try:
            return response.json()
        except ValueError:  # "Task timed out ..."
            return response.data.decode()

    def kill(self) -> None:
        """Kill the runtime."""
        for pid in children(self.emulator):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def emulated(
    handler: str, environment: Mapping[str, str], log: str, timeout_seconds: int = 100
) -> Iterator[Function]:
    """Run the artifact's handler while the context lasts."""
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
