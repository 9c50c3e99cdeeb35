"""A second endpoint of the local cloud that can hold a request, and then drop its connection."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class Gate:
    """The cloud's WSGI application behind a gate.

    Attributes:
        port: the port of the endpoint for AWS clients.
        endpoint: its URL on this machine.
    """

    port: int

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        self._held: tuple[str, str] | None = None
        self._reached = threading.Event()
        self._released = threading.Event()

    def __call__(self, request: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a WSGI request."""
        if (request["REQUEST_METHOD"], request["PATH_INFO"]) == self._held:
            self._reached.set()
            self._released.wait()
            raise ConnectionAbortedError
        return self._application(request, start_response)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def holding(self, method: str, bucket: str, key: str) -> Iterator[threading.Event]:
        """Hold the requests for an object while the context lasts, and then drop them.

        Yields an event that is set when such a request has arrived.
        """
        self._held = method, f"/{bucket}/{key}"
        self._reached.clear()
        self._released.clear()
        try:
            yield self._reached
        finally:
            self._held = None
            self._released.set()


@contextmanager
def gate_to_cloud(address: str = "127.0.0.1") -> Iterator[Gate]:
    """Serve this process's moto state on another port of an address of this machine."""
    gate = Gate()
    server = make_server(address, 0, gate, threaded=True)
    gate.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield gate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
