"""The console's HTTP server. It listens on the loopback interface only.

Any page in the user's browser can send requests to this machine. So each request must name this server as its
host, which keeps out sites whose names lead here (DNS rebinding), and everything but the empty page must come
from the console's own page (cross-site requests).
"""

import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from email.message import Message
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import parse_qs

from reviewbox.console.board import Board, Changes
from reviewbox.console.inbox import Inbox, NameTakenError, check_name
from reviewbox.errors import ReviewboxError
from reviewbox.storage import describe

logger = logging.getLogger(__name__)

MAX_UPLOAD_BYTES = 100_000_000

_HOST = "127.0.0.1"
_SECONDS_BETWEEN_EVENTS = 0.05  # long enough to send many changes together
_SECONDS_BETWEEN_COUNTS = 1.0  # how often the queues are counted
_SECONDS_TO_WAIT = 60  # how long a browser may neither read nor write
_SECONDS_TO_DRAIN = 2
_MAX_DRAINED_BYTES = 1_000_000
_PAGE = files("reviewbox.console") / "page"
_PARTS = {
    "/report.css": (
        "text/css",
        files("reviewbox.report") / "page" / "report.css",
    ),  # it looks like the report
    "/console.css": ("text/css", _PAGE / "console.css"),
    "/console.js": ("text/javascript", _PAGE / "console.js"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(slots=True)
class Console:
    """What the page is about.

    Attributes:
        title: the heading of the page.
        place: where the files go, in words.
        board: the files on their way.
        inbox: takes the files.
        report: returns the report on all results as HTML, or raises a ReviewboxError.
        count_queues: returns numbers that the queues give, by name; None if there are no queues.
    """

    title: str
    place: str
    board: Board
    inbox: Inbox
    report: Callable[[], str]
    count_queues: Callable[[], Mapping[str, int]] | None = None
    _report_lock: threading.Lock = field(default_factory=threading.Lock)
    _report: str = ""
    _reported: int = -1  # how many of the board's results the report covers

    def current_report(self) -> str:
        """Return the report; recreate it if there are new results.

        Raises:
            ReviewboxError: there are no results.
        """
        with self._report_lock:
            results = self.board.results
            if results != self._reported:
                self._report, self._reported = self.report(), results
            return self._report


@contextmanager
def start_console(console: Console, port: int) -> Iterator[str]:
    """Serve a console on `127.0.0.1:port` (0 for any free port) while the context lasts; yield its address.

    Raises:
        ReviewboxError: the port is taken.
    """
    try:
        server = _Server(console, port)
    except OSError:
        raise ReviewboxError(f"port {port} is taken; choose another with --console-port") from None
    seconds_between_shutdown_checks = 0.02
    thread = threading.Thread(
        target=server.serve_forever, args=[seconds_between_shutdown_checks], daemon=True
    )
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}/"
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, console: Console, port: int) -> None:
        super().__init__((_HOST, port), _Request)
        self.console = console
        self.closing = threading.Event()
        self.hosts = {f"{name}:{self.server_port}" for name in (_HOST, "localhost")}
        self.origins = {f"http://{host}" for host in self.hosts}

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:  # noqa: ARG002 - of the base class
        # A browser may close a connection at any time.
        error = sys.exception()
        if not isinstance(error, OSError) and not self.closing.is_set():
            logger.error("console.failed", exc_info=error)


class _Request(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "reviewbox"
    sys_version = ""
    timeout = _SECONDS_TO_WAIT
    _is_read = False  # the body of the request

    def do_GET(self) -> None:
        """Send the page, a part of it, the events or the report."""
        path = self.path.partition("?")[0]
        if not self._is_to_us():
            return
        if path == "/":
            self._send(HTTPStatus.OK, "text/html", _page(self.server.console))
        elif path in _PARTS:
            kind, part = _PARTS[path]
            self._send(HTTPStatus.OK, kind, part.read_text(encoding="utf-8"))
        elif path not in ("/events", "/report"):
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
        elif self._is_from_us():
            self._send_events() if path == "/events" else self._send_report()

    def do_POST(self) -> None:
        """Take a file: `POST /files?name=NAME`, `&replace=1` to replace a file with that name."""
        self._is_read = False
        path, _, parameters = self.path.partition("?")
        if not self._is_to_us() or not self._is_from_us():
            return
        if path != "/files":
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
            return
        try:
            query = parse_qs(parameters, keep_blank_values=True, errors="strict")
            name = query.get("name", [""])[0]
            check_name(name)
        except UnicodeDecodeError:
            self._refuse(HTTPStatus.BAD_REQUEST, "the name is not valid UTF-8; rename the file")
        except ReviewboxError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._take(name, replace="replace" in query)

    def _take(self, name: str, *, replace: bool) -> None:
        length = _content_length(self.headers)
        if length is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the request does not say how long the file is")
            return
        if length > MAX_UPLOAD_BYTES:
            limit = f"{MAX_UPLOAD_BYTES // 1_000_000} MB"
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the page takes files of up to {limit}; copy the file to its place instead",
            )
            return
        body = self.rfile.read(length)
        self._is_read = True
        if len(body) < length:  # the browser has stopped
            self.close_connection = True
            return
        console = self.server.console
        before = console.board.version
        try:
            console.inbox.add(name, body, replace=replace)
        except NameTakenError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except Exception as error:  # noqa: BLE001 - the page shows why the storage fails
            reason = getattr(error, "strerror", None) or describe(error)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, reason)
        else:
            console.board.arrive(name, 1, before)
            self._send_json(HTTPStatus.CREATED, {"name": name})

    def _send_events(self) -> None:
        """Send the board's changes as server-sent events until the browser leaves."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self._end_headers()
        for event in _events(self.server.console, self.server.closing):
            self.wfile.write(event)

    def _send_report(self) -> None:
        try:
            page = self.server.console.current_report()
        except ReviewboxError as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))
        except Exception as error:
            logger.exception("report.failed")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"the report failed: {describe(error)}")
        else:
            # The page forbids everything else itself.
            self._send(HTTPStatus.OK, "text/html", page, policy="frame-ancestors 'none'")

    def _is_to_us(self) -> bool:
        """Return whether the request names this server as its host; refuse it otherwise."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) == 1 and hosts[0].lower() in self.server.hosts:
            return True
        self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this server has a different name")
        return False

    def _is_from_us(self) -> bool:
        """Return whether the request comes from the console's page; refuse it otherwise.

        Browsers send the origin with each POST. With a GET they only say whether it comes from the same site.
        Other programs send neither.
        """
        origins = self.headers.get_all("Origin", [])
        if origins or self.command == "POST":
            is_same = len(origins) == 1 and origins[0].lower() in self.server.origins
        else:
            is_same = self.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
        if not is_same:
            self._refuse(HTTPStatus.FORBIDDEN, "the request comes from a different site")
        return is_same

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer with a message, and close the connection."""
        self.close_connection = True
        self._send_json(status, {"message": message})
        # A browser that is still sending would not see the answer if the connection broke.
        self.connection.settimeout(_SECONDS_TO_DRAIN)
        with suppress(OSError):
            self.rfile.read(
                0 if self._is_read else min(_content_length(self.headers) or 0, _MAX_DRAINED_BYTES)
            )

    def _send_json(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(content))

    def _send(self, status: HTTPStatus, kind: str, text: str, policy: str = _POLICY) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self._end_headers(policy)
        self.wfile.write(body)

    def _end_headers(self, policy: str = _POLICY) -> None:
        for name, value in ({"Content-Security-Policy": policy} | _HEADERS).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing: the page shows what happens, and names of files stay private."""


def _content_length(headers: Message) -> int | None:
    """Return how long the body of a request is; None if that is not known."""
    lengths = headers.get_all("Content-Length", [])
    is_known = len(lengths) == 1 and re.fullmatch(r"[0-9]{1,18}", lengths[0])
    return int(lengths[0]) if is_known and "Transfer-Encoding" not in headers else None


def _page(console: Console) -> str:
    return Template((_PAGE / "console.html").read_text(encoding="utf-8")).substitute(
        title=escape(console.title),
        place=escape(console.place),
        stages=escape(json.dumps(list(console.board.stages))),
        max_bytes=MAX_UPLOAD_BYTES,
    )


def _events(console: Console, closing: threading.Event) -> Iterator[bytes]:
    """Yield the board's changes as server-sent events; or comments, which fail if the browser has left."""
    version, is_first = 0, True
    queues, counted = _count_queues(console), time.monotonic()
    while not closing.wait(_SECONDS_BETWEEN_EVENTS):
        changes = console.board.changes(version, 0 if is_first else _SECONDS_BETWEEN_COUNTS)
        before = queues
        if time.monotonic() - counted >= _SECONDS_BETWEEN_COUNTS:
            queues, counted = _count_queues(console), time.monotonic()
        if is_first or changes.version > version or queues != before:
            event = _event(changes, queues, is_first=is_first)
            yield f"data: {json.dumps(event)}\n\n".encode()
        else:
            yield b":\n\n"
        version, is_first = changes.version, False


def _count_queues(console: Console) -> Mapping[str, int] | None:
    return console.count_queues() if console.count_queues else None


def _event(changes: Changes, queues: Mapping[str, int] | None, *, is_first: bool) -> dict[str, Any]:
    return {
        "isFirst": is_first,
        "files": [asdict(file) for file in changes.files],
        "counts": list(changes.counts),
        "queues": dict(queues) if queues is not None else None,
    }
