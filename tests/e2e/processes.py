"""Servers that tests start on a free port, with their output in a log, and stop at the end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build/e2e"


@contextmanager
def server(
    command: Sequence[str | Path], environment: Mapping[str, str], port: int, log: str, cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the context lasts, once it listens on its port.

    Args:
        command: the program and its arguments.
        environment: all of the server's variables. None is inherited, because variables such as `CI` can
            change the behavior of a program.
        port: the port on which the server will listen.
        log: the name of the file in `LOGS` for the server's output.
        cwd: the working directory.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / log).open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=cwd, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_for(port, process)
        yield process
    finally:
        _stop(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the IDs of the running child processes of a process."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")  # one list per thread
    return [int(child) for task in tasks for child in task.read_text().split()]


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and its process group, by force if it does not stop within 5 seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
