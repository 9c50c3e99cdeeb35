"""A minimal S3 for small files, in another process: it keeps objects in memory and delays each response.

moto takes several milliseconds of processor time per file. If the processors share a physical core, that
slows down the measured code, which the real S3 would not do. The stub takes a tenth of that time.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.utils import formatdate
from multiprocessing.connection import Connection
from typing import cast

from tests.benchmarks.processes import Meter, Server, pin_server, server_process

from reviewbox.local.cloud import Cloud

_HEAD_END = b"\r\n\r\n"


@contextmanager
def s3_stub(cloud: Cloud) -> Iterator[Server]:
    """Run the stub; yield it as a server: a copy of `cloud` whose endpoint is the stub, with S3 only."""
    meter = Meter()
    with server_process(_serve, meter) as endpoint:
        yield Server(replace(cloud, endpoint=endpoint), meter)


class _S3Protocol(asyncio.Protocol):
    """A connection that handles GetObject and PutObject, including PutObject with If-None-Match."""

    def __init__(self, objects: dict[bytes, bytes], meter: Meter) -> None:
        self._objects = objects
        self._meter = meter
        self._received = b""
        self._sent_continue = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for responses."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Schedule the response to a complete request; a client sends its next request only after it."""
        self._received += data
        head, head_end, body = self._received.partition(_HEAD_END)
        if not head_end:
            return
        request, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        if len(body) < int(headers.get(b"content-length", b"0")):
            if headers.get(b"expect") == b"100-continue" and not self._sent_continue:
                self._sent_continue = True
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        self._received, self._sent_continue = b"", False
        self._meter.requests.value += 1
        method, target, _ = request.split(b" ")
        asyncio.get_running_loop().call_later(
            self._meter.delay.value, self._respond, method, target.partition(b"?")[0], headers, body
        )

    def _respond(self, method: bytes, key: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
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
            + b"Content-Length: %d%b%b" % (len(content), _HEAD_END, content)
        )
        self._meter.seconds.value = time.process_time()


def _error(code: bytes) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>%b</Code></Error>' % code


def _serve(connection: Connection, meter: Meter) -> None:
    pin_server()
    objects: dict[bytes, bytes] = {}

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: _S3Protocol(objects, meter), "127.0.0.1", 0, backlog=1000
        )
        connection.send("http://{}:{}".format(*server.sockets[0].getsockname()))
        with suppress(EOFError):  # the measuring process has closed its end
            await asyncio.to_thread(connection.recv)

    asyncio.run(serve())
