"""Run the local cloud and the measured code in separate processes, on separate processors.

The cloud counts requests to S3, and can delay each of them to simulate network latency.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import ROOT
from tests.local_cloud import start_cloud

from reviewbox.local.cloud import Cloud

# A forked process would start with its parent's memory, which would then also be measured.
_SPAWN = get_context("spawn")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests to S3.

    Attributes:
        requests: how many there were.
        seconds: the time that the server worked on them, without the added delay. The local cloud measures
            wall time, the S3 stub processor time.
    """

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Meter:
    """Values that a server process and the measuring process share.

    Attributes:
        delay: seconds to wait before each request to S3 is answered.
        requests: how many requests to S3 there have been.
        seconds: the time that the server has worked on them.
    """

    delay: "Synchronized[float]" = field(default_factory=lambda: _SPAWN.Value("d", 0.0))
    requests: "Synchronized[int]" = field(default_factory=lambda: _SPAWN.Value("q", 0))
    seconds: "Synchronized[float]" = field(default_factory=lambda: _SPAWN.Value("d", 0.0))


@dataclass(frozen=True, slots=True)
class Server:
    """A local cloud, or an S3 stub, in another process."""

    cloud: Cloud
    meter: Meter

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[Callable[[], Traffic]]:
        """Delay each request to S3; yield a function that returns the traffic since then."""
        requests, server_seconds = self.meter.requests.value, self.meter.seconds.value
        self.meter.delay.value = seconds
        try:
            yield lambda: Traffic(
                self.meter.requests.value - requests, self.meter.seconds.value - server_seconds
            )
        finally:
            self.meter.delay.value = 0.0


@contextmanager
def cloud_process() -> Iterator[Server]:
    """Run a local cloud in another process."""
    meter = Meter()
    with server_process(_serve_cloud, meter) as cloud:
        yield Server(cloud, meter)


@contextmanager
def server_process(serve: Callable[[Connection, Meter], None], meter: Meter) -> Iterator[Any]:
    """Run `serve` in another process; yield the object that it sends when it is ready.

    `serve` returns when it can no longer receive from its end of the connection.
    """
    parent_end, child_end = _SPAWN.Pipe()
    process = _SPAWN.Process(target=serve, args=(child_end, meter), daemon=True)
    process.start()
    child_end.close()  # receiving fails once the process has died, instead of waiting forever
    try:
        yield parent_end.recv()
    finally:
        parent_end.close()
        process.join()


@contextmanager
def worker_process(initialize: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Yield an executor with one process, which has run `initialize`, on a processor of its own."""
    with ProcessPoolExecutor(1, _SPAWN, _initialize, (initialize, *arguments)) as worker:
        worker.submit(int).result()  # wait until the process is initialized
        yield worker


def peak_megabytes(process: int | str = "self") -> float:
    """Return the peak resident memory of a process, from Linux's procfs."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024 / 1e6


def pin_worker() -> None:
    """Restrict this process to the last of its processors; `pin_server` leaves that one free."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[-1:])


def pin_server() -> None:
    """Restrict this process to all but the last of its processors, if it has several."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:-1] or processors)


def _initialize(initialize: Callable[..., None], *arguments: Any) -> None:
    pin_worker()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # they would override the local cloud's settings
    initialize(*arguments)


def _serve_cloud(connection: Connection, meter: Meter) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    from werkzeug.serving import WSGIRequestHandler

    # Keep connections open, as S3 does. Otherwise the measurement includes a new connection for each request.
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    pin_server()
    respond = DomainDispatcherApplication.__call__

    def metered(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        if "/s3/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return respond(self, environ, start_response)
        time.sleep(meter.delay.value)
        started = time.perf_counter()
        body = respond(self, environ, start_response)
        with meter.requests.get_lock(), meter.seconds.get_lock():
            meter.requests.value += 1
            meter.seconds.value += time.perf_counter() - started
        return body

    DomainDispatcherApplication.__call__ = metered  # type: ignore[method-assign]
    with start_cloud(ROOT / "template.yaml", 0) as cloud:
        connection.send(cloud)
        with suppress(EOFError):  # the measuring process has closed its end
            connection.recv()
