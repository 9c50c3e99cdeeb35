"""S3 as far as small files need it, in a process of its own: objects in a dictionary, each answer late.

moto takes some milliseconds of a processor for a file. Where processors share a core that slows whoever is
measured, as S3 does not; this takes a tenth of it.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from typing import cast

from tests.benchmarks.apart import CONTEXT, Apart, stay_on

from reviewbox.local.cloud import Cloud

_END = b"\r\n\r\n"


@contextmanager
def s3_apart(cloud: Cloud) -> Iterator[Apart]:
    """Run it while the context lasts; yield the cloud with this as its endpoint, where there is only S3."""
    here, there = CONTEXT.Pipe()
    counters = CONTEXT.Value("d", 0.0), CONTEXT.Value("q", 0), CONTEXT.Value("d", 0.0)
    process = CONTEXT.Process(target=_serve, args=(there, *counters), daemon=True)
    process.start()
    there.close()  # so that a process that dies is the end of the pipe
    try:
        yield Apart(replace(cloud, endpoint=here.recv()), *counters)
    finally:
        process.terminate()
        process.join()


class _Connection(asyncio.Protocol):
    """Answers GET of an object, and PUT of one, on condition that there is none if that is asked for."""

    def __init__(
        self,
        objects: dict[bytes, bytes],
        delay: "Synchronized[float]",
        requests: "Synchronized[int]",
        seconds: "Synchronized[float]",
    ) -> None:
        self._objects = objects
        self._delay, self._requests, self._seconds = delay, requests, seconds
        self._received = b""
        self._told_to_go_on = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take up a request once all of it is there. A client sends the next when it has its answer."""
        self._received += data
        head, found, body = self._received.partition(_END)
        if not found:
            return
        request, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        if len(body) < int(headers.get(b"content-length", b"0")):
            if headers.get(b"expect") == b"100-continue" and not self._told_to_go_on:
                self._told_to_go_on = True
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        self._received, self._told_to_go_on = b"", False
        self._requests.value += 1
        method, target, _ = request.split(b" ")
        asyncio.get_running_loop().call_later(
            self._delay.value, self._answer, method, target.partition(b"?")[0], headers, body
        )

    def _answer(self, method: bytes, key: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        status, content = b"200 OK", b""
        if method == b"GET" and key in self._objects:
            content = self._objects[key]
        elif method == b"GET":
            status, content = b"404 Not Found", _error(b"NoSuchKey")
        elif method == b"PUT" and headers.get(b"if-none-match") == b"*" and key in self._objects:
            status, content = b"412 Precondition Failed", _error(b"PreconditionFailed")
        elif method == b"PUT" and b"if-match" not in headers:
            self._objects[key] = body
        else:
            status, content = b"501 Not Implemented", _error(b"NotImplemented")
        now = formatdate(usegmt=True)
        etag = hashlib.md5(self._objects.get(key, b""), usedforsecurity=False).hexdigest()
        self._transport.write(
            b"HTTP/1.1 %s\r\nDate: %b\r\nLast-Modified: %b\r\n" % (status, now.encode(), now.encode())
            + b'ETag: "%b"\r\nContent-Type: text/plain\r\n' % etag.encode()
            + b"x-amz-request-id: 0\r\nx-amz-id-2: 0\r\nServer: AmazonS3\r\n"
            + b"Content-Length: %d%b%b" % (len(content), _END, content)
        )
        self._seconds.value = time.process_time()


def _error(code: bytes) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>%b</Code></Error>' % code


def _serve(
    pipe: Connection,
    delay: "Synchronized[float]",
    requests: "Synchronized[int]",
    seconds: "Synchronized[float]",
) -> None:
    stay_on(last=False)
    objects: dict[bytes, bytes] = {}

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(objects, delay, requests, seconds), "127.0.0.1", 0, backlog=1000
        )
        pipe.send("http://{}:{}".format(*server.sockets[0].getsockname()))
        await server.serve_forever()

    asyncio.run(serve())
