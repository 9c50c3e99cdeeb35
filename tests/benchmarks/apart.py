"""Processes of their own: for the cloud, whose work is not the handler's, and for whoever is measured.

The cloud counts S3's requests, and can keep each waiting, as a network would.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import ROOT

from reviewbox.local.cloud import Cloud, start_cloud

# A fresh interpreter each: a fork would begin with this process's memory.
CONTEXT = get_context("spawn")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests to S3, and what the cloud took for them: seconds beside the delay, or of its processor."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Apart:
    """A local cloud in another process."""

    cloud: Cloud
    _delay: "Synchronized[float]"
    _requests: "Synchronized[int]"
    _seconds: "Synchronized[float]"

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[Callable[[], Traffic]]:
        """Have each request to S3 wait so long; yield what tells of those that have come since."""
        requests, taken = self._requests.value, self._seconds.value
        self._delay.value = seconds
        try:
            yield lambda: Traffic(self._requests.value - requests, self._seconds.value - taken)
        finally:
            self._delay.value = 0.0


@contextmanager
def cloud_apart() -> Iterator[Apart]:
    """Run a cloud in a process of its own while the context lasts."""
    here, there = CONTEXT.Pipe()
    counters = CONTEXT.Value("d", 0.0), CONTEXT.Value("q", 0), CONTEXT.Value("d", 0.0)
    process = CONTEXT.Process(target=_serve, args=(there, *counters), daemon=True)
    process.start()
    there.close()  # so that a process that dies is the end of the pipe
    try:
        yield Apart(here.recv(), *counters)
    finally:
        here.close()
        process.join()


@contextmanager
def process_apart(prepare: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Yield a process that has run `prepare`, for one task at a time; it has one processor to itself."""
    with ProcessPoolExecutor(1, CONTEXT, _prepare, (prepare, *arguments)) as process:
        process.submit(int).result()  # its first task has it prepare
        yield process


def peak_megabytes(process: int | str = "self") -> float:
    """Return the most memory that a process has held at once, as Linux counts it."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024 / 1e6


def _prepare(prepare: Callable[..., None], *arguments: Any) -> None:
    stay_on(last=True)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # the cloud's are what counts
    prepare(*arguments)


def stay_on(*, last: bool) -> None:
    """Keep this process to the last of the processors that it may use, or to the others."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[-1:] if last else processors[:-1])


def _serve(
    pipe: Connection,
    delay: "Synchronized[float]",
    requests: "Synchronized[int]",
    seconds: "Synchronized[float]",
) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    from werkzeug.serving import WSGIRequestHandler

    # Connections last, as they do with S3; else a new one for each request is part of what is measured.
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    stay_on(last=False)
    answer = DomainDispatcherApplication.__call__

    def late(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        if "/s3/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return answer(self, environ, start_response)
        time.sleep(delay.value)
        started = time.perf_counter()
        body = answer(self, environ, start_response)
        with requests.get_lock(), seconds.get_lock():
            requests.value += 1
            seconds.value += time.perf_counter() - started
        return body

    DomainDispatcherApplication.__call__ = late  # type: ignore[method-assign]
    with start_cloud(ROOT / "template.yaml", 0) as cloud:
        pipe.send(cloud)
        with suppress(EOFError):  # whoever started it has ended
            pipe.recv()
