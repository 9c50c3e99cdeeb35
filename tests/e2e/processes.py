"""Servers that tests start: on a free port, their output in a log, and gone afterwards."""

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
    """Run a server in `cwd` while the context lasts; it has all of its environment from here.

    Args:
        command: the program and its arguments.
        environment: its variables. None is inherited, for a CI variable, say, switches off what is
            switched on in Lambda.
        port: where it will listen.
        log: the name of the file in `LOGS` that takes its output.
        cwd: the folder it runs in.
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
        _end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that a process has started and not yet ended."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")  # a list for each of its threads
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


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, by force if it waits for its clients, and what it started in its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
