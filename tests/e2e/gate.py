"""A second way to the local cloud, past a gate that can hold one request up and then lose it."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class Gate:
    """The cloud's application, with a gate before it.

    Attributes:
        endpoint: the URL that AWS clients are pointed at.
    """

    endpoint: str

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        self._held: tuple[str, str] | None = None
        self._reached = threading.Event()
        self._lifted = threading.Event()

    def __call__(self, request: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, as WSGI has it."""
        if (request["REQUEST_METHOD"], request["PATH_INFO"]) == self._held:
            self._reached.set()
            self._lifted.wait()
            raise ConnectionAbortedError
        return self._application(request, start_response)

    @contextmanager
    def holding(self, method: str, bucket: str, key: str) -> Iterator[threading.Event]:
        """Let no such request through while the context lasts; yield what tells that one has come."""
        self._held = method, f"/{bucket}/{key}"
        self._reached.clear()
        self._lifted.clear()
        try:
            yield self._reached
        finally:
            self._held = None
            self._lifted.set()


@contextmanager
def gate_to_cloud() -> Iterator[Gate]:
    """Serve the state of moto, which is this process's, at one more port."""
    gate = Gate()
    server = make_server("127.0.0.1", 0, gate, threaded=True)
    gate.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield gate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
