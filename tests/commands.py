"""Runs commands of Reviewbox in processes of their own, which start within milliseconds.

They are forked from a process that has imported everything, `python -m tests.commands SOCKET`. It gets each
command as JSON, with the files for its standard input, output and error, and with a socket for the id of its
process and its exit status.
"""

import atexit
import gc
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from threading import Lock
from typing import Any

ROOT = Path(__file__).parents[1]
SECONDS_TO_WAIT = 60

_MESSAGE_BYTES = 100_000
_LOCK = Lock()
_LOCAL_CLOUD = ["moto.cloudformation.models", "moto.s3.models", "moto.server", "moto.sqs.models"]
_LOCAL_CLOUD += ["samtranslator.translator.translator"]


class Command:
    """A command that is running, or has ended. `pid` is its process."""

    def __init__(self, output: int, status: socket.socket) -> None:
        self._output = output
        self._status = status
        self.pid = self.wait()

    def read(self, end: str | None = None) -> str:
        """Return what it prints until that matches the pattern `end`, or until it ends."""
        printed = b""
        while not (end and re.search(end, printed.decode(errors="replace"))):
            chunk = b""
            with suppress(OSError):  # the other side of a terminal is closed
                chunk = os.read(self._output, 4096)
            if not chunk:
                break
            printed += chunk
        return printed.decode(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not select.select([self._status], [], [], 0)[0]

    def interrupt(self, thread: int | None = None) -> None:
        """Press Ctrl-C. The system gives the signal to this thread, or to one that it chooses."""
        os.kill(thread or self.pid, signal.SIGINT)

    def wait(self) -> int:
        """Return its exit status. It is negative if a signal has ended the command."""
        return int(self._status.recv(_MESSAGE_BYTES))


@contextmanager
def running(
    *words: object, terminal: bool = False, stdout: int = -1, variables: Mapping[str, str] | None = None
) -> Iterator[Command]:
    """Run a command while the context lasts, in a terminal or with a pipe for everything that it prints.

    Its standard output can be another file. `variables` are added to its environment.
    """
    ours, theirs = pty.openpty() if terminal else os.pipe()
    status, reply = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    status.settimeout(SECONDS_TO_WAIT)
    call = {"words": [*map(str, words)], "variables": {**os.environ, **(variables or {})}}
    with Path(os.devnull).open() as nothing:
        files = [theirs if terminal else nothing.fileno(), theirs if stdout < 0 else stdout, theirs]
        with _LOCK:
            parent = _parent()
        socket.send_fds(parent, [json.dumps(call).encode()], [*files, reply.fileno()])
    os.close(theirs)
    reply.close()
    with closing(status):
        command = Command(ours, status)
        try:
            yield command
        finally:
            with suppress(ProcessLookupError):
                os.kill(command.pid, signal.SIGKILL)
            os.close(ours)


@cache
def _parent() -> socket.socket:
    """Start the process that starts commands, and return its socket. It ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.commands", str(theirs.fileno())],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads do not survive a fork
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    atexit.register(process.wait)
    atexit.register(ours.close)  # which comes first
    return ours


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Fork a process for each request, and return the request in that process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, files, *_ = socket.recv_fds(requests, _MESSAGE_BYTES, 4)
        if not message:
            sys.exit()
        call: dict[str, Any] = json.loads(message)
        if call["words"][0] in {"demo", "local"}:  # the others would end later
            for name in _LOCAL_CLOUD:
                import_module(name)
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
    requests.close()
    *streams, reply = files
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if pid := os.fork():
        for file in streams:
            os.close(file)
        with socket.socket(fileno=reply) as status, suppress(BrokenPipeError):  # nobody may wait for it
            status.send(b"%d" % pid)
            status.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    os.close(reply)
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    return call


def _run(call: dict[str, Any]) -> None:
    """Run a command in this process, as its entry point does."""
    from reviewbox.__main__ import main

    os.setsid()
    os.environ.clear()
    os.environ.update(call["variables"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["reviewbox", *call["words"]]
    main()


if __name__ == "__main__":
    import reviewbox.cli

    # onnxruntime and pyarrow start threads.
    modules = [f"reviewbox.cli.{module.name}" for module in iter_modules(reviewbox.cli.__path__)]
    for name in ("boto3", "handlers.on_upload", "tokenizers", *modules):
        import_module(name)
    gc.freeze()
    _run(_serve(socket.socket(fileno=int(sys.argv[1]))))
