"""The console of a local cloud: what it shows of each upload."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cold_start import function_process
from tests.local_cloud import start_cloud

from reviewbox.cli.local import cloud_report
from reviewbox.console import Board, File
from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.console import count_queues, observe, start_service_and_console
from reviewbox.local.function import deliver

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
SECONDS_TO_WAIT = 60
FUNCTION, RESULT = 2, 3


class Visitor:
    """A browser that is on the console's page."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        self._events = http.client.HTTPConnection(self.host, timeout=SECONDS_TO_WAIT)
        self._events.request("GET", "/events")
        self._stream = self._events.getresponse()
        self.stages: dict[str, list[int]] = {}
        self.notes: set[str] = set()

    def close(self) -> None:
        self._events.close()

    def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=SECONDS_TO_WAIT)
        connection.request(method, path, body, {"Origin": f"http://{self.host}"})
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def wait_for(self, *names: str) -> dict[str, dict[str, Any]]:
        """Read events until these files have results, and return the receipts."""
        receipts: dict[str, dict[str, Any]] = {}
        while receipts.keys() < set(names):
            line = self._stream.readline()
            assert line, "the events ended"
            for file in json.loads(line[len(b"data: ") :])["files"] if line.startswith(b"data: ") else ():
                self.stages.setdefault(file["name"], []).append(file["stage"])
                self.notes.add(file["note"])
                if file["stage"] == RESULT:
                    receipts[file["name"]] = file["receipt"]
        return receipts


def test_files_pass_through_the_stages_to_the_report(tiny_model: Path) -> None:
    """It does not matter whether they come through the page or from elsewhere."""
    row = json.dumps({"review": "great film", "note": "x" * 2000}).encode()
    table = (row + b"\n") * 800  # is classified in two segments
    with (
        function_process(tiny_model),
        start_service_and_console(TEMPLATE, 0, 0, cloud_report) as (cloud, address),
    ):
        visitor = Visitor(address)
        assert visitor.send("GET", "/report")[0] == 404
        assert visitor.send("POST", "/files?name=a.txt", b"great film")[0] == 201
        assert visitor.send("POST", "/files?name=a.txt", b"bad film")[0] == 409
        cloud.s3().put_object(Bucket=BUCKET, Key="incoming/2026/b.txt", Body=b"\x00\x02")
        cloud.s3().put_object(Bucket=BUCKET, Key="incoming/2026/", Body=b"")
        receipts = visitor.wait_for("a.txt", "2026/b.txt")
        assert visitor.send("POST", "/files?name=a.txt&replace=1", b"bad film")[0] == 201
        again = visitor.wait_for("a.txt")
        assert visitor.send("POST", "/files?name=large.jsonl", table)[0] == 201
        large = visitor.wait_for("large.jsonl")
        status, report = visitor.send("GET", "/report")
        visitor.close()

    assert receipts["a.txt"]["sentiment"] == "positive"
    assert again["a.txt"]["sentiment"] == "negative"
    assert receipts["2026/b.txt"]["error"]["code"]
    assert large["large.jsonl"]["counts"]["total"] == 800
    assert FUNCTION in visitor.stages["a.txt"]
    assert {f"segment {number} of a large table" for number in (1, 2)} <= visitor.notes
    assert "2026/" not in visitor.stages
    assert status == 200
    assert b"801 reviews" in report


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with start_cloud(TEMPLATE, 0) as running:
        yield running


def files(board: Board) -> list[File]:
    return list(board.changes(0, 0).files)


def test_a_function_that_fails_is_shown_until_the_last_attempt(cloud: Cloud) -> None:
    board = Board(("Upload", "Queue", "Function", "Result"))

    def crash(*_: Any) -> dict[str, Any]:
        raise MemoryError

    handler = observe(board, cloud, crash)
    cloud.s3().put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    seen = []
    while deliver(cloud, handler, seconds_to_retry=0):
        seen += files(board)

    assert [file.note for file in seen[:2]] == [
        "attempt 1 of 5 failed; the next follows",
        "attempt 2 of 5 failed; the next follows",
    ]
    assert [file.stage for file in seen] == [1, 1, 1, 1, RESULT]
    assert seen[-1].receipt is not None
    assert seen[-1].receipt["error"]["code"] == "dead_letter"


def test_files_that_come_in_other_ways_are_counted_while_they_wait(cloud: Cloud) -> None:
    deliver(cloud, lambda *_: {"batchItemFailures": []})  # the test event of the bucket's notification
    for number in range(3):
        cloud.s3().put_object(Bucket=BUCKET, Key=f"incoming/{number}.txt", Body=b"great film")

    assert count_queues(cloud) == {"waiting": 3, "in flight": 0, "dead letters": 0}


def test_a_file_that_is_gone_before_its_turn_is_shown(cloud: Cloud, tiny_model: Path) -> None:
    board = Board(("Upload", "Queue", "Function", "Result"))
    handler = observe(board, cloud, lambda *_: {"batchItemFailures": []})
    cloud.s3().put_object(Bucket=BUCKET, Key="incoming/a.txt", Body=b"great film")
    cloud.s3().delete_object(Bucket=BUCKET, Key="incoming/a.txt")

    deliver(cloud, handler)

    (file,) = files(board)
    assert file.receipt == {
        "error": {"code": "gone", "message": "the file was deleted before it was classified"}
    }
