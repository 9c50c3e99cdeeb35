"""The console's server: who may use it, what it accepts, and what it reveals."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from reviewbox.console import Board, Console, Inbox, start_console
from reviewbox.console.server import MAX_UPLOAD_BYTES
from reviewbox.errors import ReviewboxError
from reviewbox.folder_storage import FolderStorage

STAGES = ("Upload", "Saved", "Classifying", "Result")
SECONDS_TO_WAIT = 30
POSITIVE = {"sentiment": "positive", "score": 0.9, "needs_review": False, "evidence": [{"start": 0}]}


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


@dataclass
class Site:
    """A console that runs, its folder, and the reports it was asked for."""

    address: str
    folder: Path
    board: Board
    reports: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    def request(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> Answer:
        """Send a request with these headers, and with a browser's own unless they are given."""
        own = {"Host": f"127.0.0.1:{self.port}"}
        if method == "POST":
            own |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Length": str(len(body))}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_TO_WAIT)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (own | given).items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def upload(self, name: str, body: bytes = b"great film", **query: str) -> Answer:
        return self.request("POST", f"/files?{urlencode({'name': name, **query})}", body)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.parent.rglob("*") if path.is_file())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "inbox"
    folder.mkdir()
    board = Board(STAGES)
    reports: list[str] = []

    def report() -> str:
        if not board.results:
            raise ReviewboxError("no results here")
        reports.append(f"<!doctype html>{board.results} results")
        return reports[-1]

    inbox = Inbox(FolderStorage({"inbox": folder}), "inbox")
    console = Console("<b>Inbox</b>", str(folder), board, inbox, report, lambda: {"waiting": 3})
    with start_console(console, 0) as address:
        yield Site(address, folder, board, reports)


def events(site: Site, number: int, **headers: str) -> Iterator[dict[str, Any]]:
    """Yield the first events of a connection."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS_TO_WAIT)
    try:
        connection.request("GET", "/events", headers=headers)
        response = connection.getresponse()
        while number:
            line = response.readline()
            assert line, "the server ended the events"
            if line.startswith(b"data: "):
                number -= 1
                yield json.loads(line.removeprefix(b"data: "))
    finally:
        connection.close()


def test_the_page_comes_with_its_parts_and_without_anything_from_outside(site: Site) -> None:
    page = site.request("GET", "/")
    parts = [site.request("GET", f"/{name}") for name in ("report.css", "console.css", "console.js")]

    assert [answer.status for answer in (page, *parts)] == [200] * 4
    assert b"&lt;b&gt;Inbox&lt;/b&gt;" in page.body
    assert b"<b>Inbox" not in page.body
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "frame-ancestors 'none'" in policy
    assert b"://" not in page.body
    assert page.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.allow_hosts(["127.0.0.2"])
def test_it_listens_on_one_loopback_address_only(site: Site) -> None:
    """A server that listens on all addresses would answer on this one."""
    with pytest.raises(OSError, match=r"refused|timed out|unreachable|assign"):
        socket.create_connection(("127.0.0.2", site.port), timeout=2)


@pytest.mark.parametrize("path", ["/", "/console.js", "/events", "/report", "/nothing"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""],
)
def test_a_site_whose_name_leads_here_gets_nothing(site: Site, path: str, host: str) -> None:
    """DNS rebinding: the browser takes this server for another site, and names that site as the host."""
    answer = site.request("GET", path, Host=host.format(port=site.port))

    assert answer.status == 421
    assert answer.message == "this server has a different name"


def test_a_host_in_the_request_line_does_not_help(site: Site) -> None:
    answer = site.request("GET", "http://evil.example/report", Host="evil.example")

    assert answer.status == 421


@pytest.mark.parametrize(
    "path", ["http://[", "//[", "/../console.js", "/console.html", "*", "/%2e%2e/server.py"]
)
def test_there_are_no_other_pages(site: Site, path: str) -> None:
    assert site.request("GET", path).status == 404


def test_it_has_two_names(site: Site) -> None:
    host = f"localhost:{site.port}"

    answer = site.request("POST", "/files?name=a.txt", b"great", Host=host, Origin=f"http://{host}")

    assert answer.status == 201
    assert site.request("GET", "/", Host=host.upper()).status == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://127.0.0.1", ""],
)
def test_other_sites_cannot_upload(site: Site, origin: str) -> None:
    answer = site.request("POST", "/files?name=a.txt", b"great", Origin=origin.format(port=site.port))

    assert (answer.status, answer.message) == (403, "the request comes from a different site")
    assert site.names() == []


@pytest.mark.parametrize("path", ["/events", "/report"])
@pytest.mark.parametrize(
    "header",
    [{"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}],
)
def test_other_sites_cannot_read(site: Site, path: str, header: dict[str, str]) -> None:
    site.board.finish("a.txt", POSITIVE)

    answer = site.request("GET", path, **header)

    assert answer.status == 403
    assert site.reports == []
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"])
def test_other_methods_do_nothing(site: Site, method: str) -> None:
    answer = site.request(method, "/files?name=a.txt", Origin="http://evil.example")

    assert answer.status == 501
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_upload_is_a_file_in_the_folder(site: Site) -> None:
    answer = site.upload("Bewertungen & más (1).csv", b"review\ngreat\n")

    assert (answer.status, json.loads(answer.body)) == (201, {"name": "Bewertungen & más (1).csv"})
    assert (site.folder / "Bewertungen & más (1).csv").read_bytes() == b"review\ngreat\n"
    assert site.names() == ["Bewertungen & más (1).csv"]
    (event,) = events(site, 1)
    assert [(file["name"], file["stage"]) for file in event["files"]] == [("Bewertungen & más (1).csv", 1)]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("name=../a.txt", "slashes"),
        ("name=%2e%2e%2fa.txt", "slashes"),
        ("name=..", "dot"),
        ("name=/etc/passwd", "slashes"),
        ("name=folder%2Fa.txt", "slashes"),
        ("name=folder%5Ca.txt", "slashes"),
        ("name=.bashrc", "dot"),
        ("name=", "dot"),
        ("", "dot"),
        ("name=a%00.txt", "control"),
        ("name=a%0A.txt", "control"),
        ("name=%ff.txt", "UTF-8"),
        (f"name={'a' * 197}.txt", "longer than 200 bytes"),
        ("name=Thumbs.db", "a tool made this file"),
    ],
)
def test_a_name_cannot_lead_elsewhere(site: Site, query: str, reason: str) -> None:
    answer = site.request("POST", f"/files?{query}", b"great")

    assert answer.status == 400
    assert reason in answer.message
    assert site.names() == []


def test_a_file_is_replaced_only_on_purpose(site: Site) -> None:
    site.upload("a.txt", b"great")

    refused = site.upload("a.txt", b"bad")
    before = (site.folder / "a.txt").read_bytes()
    replaced = site.upload("a.txt", b"bad", replace="1")

    assert (refused.status, refused.message) == (409, "there is already a file 'a.txt'")
    assert (before, replaced.status) == (b"great", 201)
    assert (site.folder / "a.txt").read_bytes() == b"bad"


def test_a_link_in_the_folder_is_replaced_and_not_followed(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.txt"
    target.write_bytes(b"untouched")
    (site.folder / "a.txt").symlink_to(target)

    assert site.upload("a.txt").status == 409
    assert site.upload("a.txt", b"great", replace="1").status == 201
    assert target.read_bytes() == b"untouched"
    assert (site.folder / "a.txt").read_bytes() == b"great"


def test_uploads_at_the_same_time_do_not_mix(site: Site) -> None:
    bodies = {f"{number}.txt": bytes([65 + number]) * 200_000 for number in range(8)}
    threads = [threading.Thread(target=site.upload, args=item) for item in bodies.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {name: (site.folder / name).read_bytes() for name in site.names()} == bodies


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(site: Site) -> None:
    answer = site.request("POST", "/files?name=a.txt", Content_Length=str(MAX_UPLOAD_BYTES + 1))

    assert answer.status == 413
    assert "up to 100 MB" in answer.message
    assert site.names() == []


@pytest.mark.parametrize("length", ["", "-1", "abc", "1_0", "٣", "9" * 5000])
def test_a_file_without_a_length_is_refused(site: Site, length: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS_TO_WAIT)
    connection.putrequest("POST", "/files?name=a.txt")
    connection.putheader("Origin", f"http://127.0.0.1:{site.port}")
    if length:
        connection.putheader("Content-Length", length.encode())
    connection.endheaders()

    assert connection.getresponse().status == 411
    connection.close()


def test_a_chunked_upload_is_refused(site: Site) -> None:
    answer = site.request(
        "POST", "/files?name=a.txt", b"5\r\ngreat\r\n0\r\n\r\n", Transfer_Encoding="chunked"
    )

    assert answer.status == 411
    assert site.names() == []


def test_an_upload_that_breaks_off_leaves_nothing(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS_TO_WAIT)
    connection.putrequest("POST", "/files?name=a.txt")
    connection.putheader("Origin", f"http://127.0.0.1:{site.port}")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"half of")
    connection.close()

    assert site.upload("b.txt").status == 201
    assert site.names() == ["b.txt"]


def test_a_folder_that_cannot_be_written_is_named(site: Site) -> None:
    site.folder.rmdir()
    site.folder.write_bytes(b"in the way")

    answer = site.upload("a.txt")

    assert (answer.status, answer.message) == (500, "File exists")


def test_events_follow_a_file(site: Site) -> None:
    site.upload("a.txt")
    stream = events(site, 3)

    first = next(stream)
    site.board.move("a.txt", 2, "it takes its time")
    second = next(stream)
    site.board.finish("a.txt", POSITIVE)
    third = next(stream)

    assert first["isFirst"]
    assert (first["counts"], first["queues"]) == ([0, 1, 0, 0], {"waiting": 3})
    assert not second["isFirst"]
    assert [(file["stage"], file["note"]) for file in second["files"]] == [(2, "it takes its time")]
    (file,) = third["files"]
    # The evidence would need the text.
    assert file["receipt"] == {"sentiment": "positive", "score": 0.9, "needs_review": False}
    assert third["counts"] == [0, 0, 0, 1]


def test_many_results_are_counted_and_the_newest_listed(site: Site) -> None:
    for number in range(1200):
        site.board.finish(f"{number}.txt", POSITIVE)

    (event,) = events(site, 1)

    assert event["counts"] == [0, 0, 0, 1200]
    assert len(event["files"]) == 500
    assert event["files"][-1]["name"] == "1199.txt"


def test_a_file_that_was_moved_meanwhile_does_not_go_back(site: Site) -> None:
    """The function may be done with a file before the upload has been answered."""
    before = site.board.version
    site.board.finish("a.txt", POSITIVE)
    site.board.arrive("a.txt", 1, before)

    (event,) = events(site, 1)

    assert [file["stage"] for file in event["files"]] == [3]


def test_the_report_is_made_once_for_the_same_results(site: Site) -> None:
    site.board.finish("a.txt", POSITIVE)
    first = [site.request("GET", "/report") for _ in range(2)]
    site.board.finish("b.txt", POSITIVE)
    second = site.request("GET", "/report")

    assert [answer.body for answer in (*first, second)] == [
        b"<!doctype html>1 results",
        b"<!doctype html>1 results",
        b"<!doctype html>2 results",
    ]
    assert len(site.reports) == 2


def test_without_results_the_report_says_so(site: Site) -> None:
    answer = site.request("GET", "/report")

    assert (answer.status, answer.message) == (404, "no results here")


def test_a_taken_port_is_named(site: Site) -> None:
    console = Console("", "", site.board, Inbox(FolderStorage({}), ""), lambda: "")

    with pytest.raises(ReviewboxError, match=f"port {site.port} is taken"), start_console(console, site.port):
        pass


def test_it_stops_while_a_browser_listens(tmp_path: Path) -> None:
    console = Console("", "", Board(STAGES), Inbox(FolderStorage({"": tmp_path}), ""), lambda: "")
    with start_console(console, 0) as address:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(address).port, timeout=SECONDS_TO_WAIT)
        connection.request("GET", "/events")
        response = connection.getresponse()
        response.readline()

    assert response.read() is not None
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", urlsplit(address).port, timeout=SECONDS_TO_WAIT).connect()


def test_the_field_of_a_table_is_shown_if_it_was_inferred(site: Site) -> None:
    notes = {"text_field": "comment", "text_field_by": "score"}
    site.board.finish("a.csv", {"counts": {}, "notes": notes})
    site.board.finish("b.csv", {"counts": {}, "notes": {**notes, "text_field_by": "setting"}})

    (event,) = events(site, 1)

    assert [file["receipt"].get("field") for file in event["files"]] == ["comment", None]


def test_a_message_names_the_option_of_the_command_that_serves_the_page(site: Site) -> None:
    error = {"code": "no_text_field", "message": "set TextField to the field that contains the reviews"}
    site.board.finish("a.csv", {"error": error})

    (event,) = events(site, 1)

    (file,) = event["files"]
    assert file["receipt"]["error"]["message"] == "set --text-field to the field that contains the reviews"
