import gzip
import http.client
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests import faulty_codec
from tests.commands import SECONDS_TO_WAIT, running
from typer.testing import CliRunner

from reviewbox.cli import app
from reviewbox.cli.watch import FolderWatcher, serve_watcher, watch_folder
from reviewbox.errors import ReviewboxError
from reviewbox.folder_storage import FolderStorage
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.settings import Settings


class WatchedFolder:
    """A watched folder, the reports about it, and its results."""

    def __init__(self, folder: Path, classifier: Classifier, settings: Settings) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.reports: list[tuple[str, str]] = []
        self.results = folder.with_name(f"{folder.name}-results")
        self._classifier, self._settings = classifier, settings
        self.restart()

    def _report(self, key: str, outcome: str, _receipt: Mapping[str, Any]) -> None:
        self.reports.append((key, outcome))

    def restart(self) -> None:
        self.watcher: FolderWatcher = watch_folder(
            self.folder, None, self._classifier, self._settings, self._report
        )

    def write(self, key: str, body: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def scan(self, times: int) -> list[tuple[str, str]]:
        """Scan the folder repeatedly, and return the reports."""
        self.reports.clear()
        for _ in range(times):
            self.watcher.scan()
        return list(self.reports)

    def receipt(self, key: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.results / f"{key}.json").read_bytes())
        return content

    def names(self) -> list[str]:
        """Return the names of all results; the id of a table is replaced by "ID"."""
        paths = (path for path in self.results.rglob("*") if path.is_file())
        return sorted(
            re.sub("/[0-9a-f]{32}/", "/ID/", path.relative_to(self.results).as_posix()) for path in paths
        )


@pytest.fixture
def watched(tmp_path: Path, classifier: Classifier) -> WatchedFolder:
    return WatchedFolder(tmp_path / "reviews", classifier, Settings(max_object_bytes=200))


def test_results_are_the_same_as_the_service_s(watched: WatchedFolder) -> None:
    watched.write("films/a.txt", b"great film")
    watched.write("t.jsonl", b'{"review":"good"}\nbroken\n')
    watched.write("picture.txt", b"\x00\x02")
    watched.write("long.txt", b"good " * 100)
    watched.write(".hidden", b"great film")

    reports = watched.scan(2)

    assert reports == [
        ("films/a.txt", "classified"),
        ("long.txt", "refused"),
        ("picture.txt", "refused"),
        ("t.jsonl", "classified"),
    ]
    assert watched.names() == [
        "films/a.txt.json",
        "long.txt.json",
        "picture.txt.json",
        "t.jsonl.classified/ID/part-00000.jsonl",
        "t.jsonl.json",
    ]
    assert watched.receipt("films/a.txt")["sentiment"] == "positive"
    assert watched.receipt("films/a.txt")["source"]["bucket"] == "reviews"
    assert watched.receipt("films/a.txt")["source"]["key"] == "films/a.txt"
    assert watched.receipt("long.txt")["error"]["code"] == "too_large"
    assert watched.receipt("t.jsonl")["counts"]["failed"] == 1
    (part,) = watched.receipt("t.jsonl")["parts"]
    assert (watched.results / part["key"]).is_file()


ROWS = b'{"review":"good film"}\n' * 9 + b'{"review":"bad"}\n'


def test_a_table_up_to_the_maximum_object_size_is_not_split(
    watched: WatchedFolder, classifier: Classifier
) -> None:
    settings = Settings(max_object_bytes=len(ROWS), segment_bytes=40)
    watch = WatchedFolder(watched.folder, classifier, settings)
    watch.write("t.jsonl", ROWS)

    assert watch.scan(2) == [("t.jsonl", "classified")]

    assert watch.names() == ["t.jsonl.classified/ID/part-00000.jsonl", "t.jsonl.json"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_larger_table_comes_back_in_parts_without_leftover_files(
    watched: WatchedFolder, classifier: Classifier, compress: Callable[[bytes], bytes]
) -> None:
    watch = WatchedFolder(watched.folder, classifier, Settings(max_object_bytes=100))
    watch.write("t.jsonl", compress(ROWS))
    watch.write("z.txt", b"great film")

    assert watch.scan(2) == [("t.jsonl", "classified"), ("z.txt", "classified")]

    ending = ".gz" if compress is gzip.compress else ""
    parts = [f"t.jsonl.classified/ID/part-0000{number}.jsonl{ending}" for number in range(2)]
    assert watch.names() == [*parts, "t.jsonl.json", "z.txt.json"]
    assert list(watch.results.glob(".*")) == []
    assert watch.receipt("t.jsonl")["counts"]["labels"] == {"negative": 1, "positive": 9}
    watch.restart()
    assert watch.scan(2) == []


def test_an_interrupted_large_table_resumes_where_it_stopped(
    watched: WatchedFolder, classifier: Classifier
) -> None:
    watch = WatchedFolder(watched.folder, classifier, Settings(max_object_bytes=100))
    watch.write("t.jsonl", ROWS)
    written: list[str] = []

    @dataclass(frozen=True, slots=True)
    class Interrupted(FolderStorage):
        def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
            written.append(ref.key.rpartition("/")[2])
            if ref.key.endswith("part-00001.jsonl") and written.count("part-00001.jsonl") == 1:
                raise KeyboardInterrupt
            return FolderStorage.write(self, ref, body, content_type, replaces=replaces)

    def scan_until_interrupted() -> list[tuple[str, str]]:
        pipeline = watch.watcher.pipeline
        assert isinstance(pipeline.store, FolderStorage)
        storage = Interrupted(pipeline.store.folders)
        watch.watcher = replace(watch.watcher, pipeline=replace(pipeline, store=storage))
        return watch.scan(2)

    with pytest.raises(KeyboardInterrupt):
        scan_until_interrupted()
    watch.restart()
    watch.write("a.txt", b"great film")  # before the table in a scan

    assert scan_until_interrupted() == [("a.txt", "classified"), ("t.jsonl", "classified")]
    assert (written.count("plan.json"), written.count("part-00000.jsonl")) == (1, 1)
    assert list(watch.results.glob(".*")) == []


def test_a_large_table_that_changes_while_it_is_classified_is_restarted(
    watched: WatchedFolder, classifier: Classifier
) -> None:
    watch = WatchedFolder(watched.folder, classifier, Settings(max_object_bytes=100))
    watch.write("t.jsonl", ROWS)
    pipeline = watch.watcher.pipeline

    @dataclass(frozen=True, slots=True)
    class Disturbed(FolderStorage):
        def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
            if ref.key.endswith("part-00001.jsonl"):
                (self.folders["reviews"] / "t.jsonl").write_bytes(ROWS.replace(b"good", b"awful"))
            return FolderStorage.write(self, ref, body, content_type, replaces=replaces)

    assert isinstance(pipeline.store, FolderStorage)
    watch.watcher = replace(
        watch.watcher, pipeline=replace(pipeline, store=Disturbed(pipeline.store.folders))
    )

    assert watch.scan(2) == [("t.jsonl", "classified")]
    assert watch.receipt("t.jsonl")["counts"]["labels"] == {"negative": 10}


def test_a_file_that_is_being_written_is_left_alone(watched: WatchedFolder) -> None:
    reports = []
    for length in range(5, 10):
        watched.write("a.txt", b"great film"[:length])
        reports += watched.scan(1)

    assert reports == []
    assert watched.scan(1) == [("a.txt", "classified")]


def test_a_file_is_classified_once_and_again_when_it_changes(watched: WatchedFolder) -> None:
    watched.write("a.txt", b"great film")
    assert watched.scan(4) == [("a.txt", "classified")]

    watched.write("a.txt", b"awful film .")

    assert watched.scan(4) == [("a.txt", "classified")]
    assert watched.receipt("a.txt")["sentiment"] == "negative"


def test_files_with_a_current_result_are_not_classified_after_a_restart(watched: WatchedFolder) -> None:
    watched.write("a.txt", b"great film")
    watched.write("t.jsonl", b'{"review":"good"}\n')
    watched.write("picture.txt", b"\x00\x02")
    watched.scan(2)

    watched.restart()
    (watched.folder / "a.txt").touch()

    assert watched.scan(3) == []


@pytest.mark.parametrize("lost", ["t.jsonl.json", "t.jsonl.classified/*/part-00000.jsonl"])
def test_a_lost_result_is_restored_after_a_restart(watched: WatchedFolder, lost: str) -> None:
    watched.write("t.jsonl", b'{"review":"good"}\n')
    watched.scan(2)
    names = watched.names()
    (path,) = watched.results.glob(lost)
    path.unlink()

    watched.restart()

    assert watched.scan(2) == [("t.jsonl", "classified")]
    assert watched.names() == names


def test_results_stay_current_when_their_folder_is_moved(
    watched: WatchedFolder, classifier: Classifier, tmp_path: Path
) -> None:
    watched.write("t.jsonl", b'{"review":"good"}\n')
    watched.scan(2)
    moved = watched.results.rename(tmp_path / "elsewhere")
    reports: list[str] = []

    watcher = watch_folder(
        watched.folder,
        moved,
        classifier,
        watched.watcher.pipeline.settings,
        lambda key, *_: reports.append(key),
    )
    watcher.scan()
    watcher.scan()

    assert reports == []


def test_a_file_without_a_place_for_its_result_does_not_affect_other_files(watched: WatchedFolder) -> None:
    watched.write("a.txt", b"great film")
    watched.write("b.txt", b"great film")
    watched.results.mkdir()
    (watched.results / "a.txt.json").mkdir()

    assert watched.scan(3) == [("a.txt", "failed"), ("b.txt", "classified")]


def test_a_file_that_cannot_be_examined_is_reported_once_and_does_not_affect_other_files(
    watched: WatchedFolder,
) -> None:
    (watched.folder / "link.txt").symlink_to("x" * 300)
    watched.write("a.txt", b"great film")

    assert watched.scan(3) == [("link.txt", "failed"), ("a.txt", "classified")]

    (watched.folder / "link.txt").unlink()
    watched.write("link.txt", b"great film")
    assert watched.scan(2) == [("link.txt", "classified")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read any folder")
def test_a_folder_that_cannot_be_read_is_reported_once(watched: WatchedFolder) -> None:
    for mode in (0, 0o600):
        (watched.folder / f"{mode}").mkdir()
        watched.write(f"{mode}/b.txt", b"great film")
        (watched.folder / f"{mode}").chmod(mode)
    watched.write("a.txt", b"great film")

    reports = watched.scan(3)

    assert sorted(reports) == [("0", "failed"), ("384/b.txt", "failed"), ("a.txt", "classified")]


def test_a_deleted_watched_folder_is_reported_once(watched: WatchedFolder) -> None:
    watched.folder.rmdir()

    assert watched.scan(2) == [(".", "failed")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("c.txt", "c.txt.json/x.txt"),
        ("c.txt", "c.txt.json/d/x.txt"),
        ("c.txt.json/x.txt", "c.txt"),
    ],
)
def test_a_report_names_the_path_that_two_results_need(
    watched: WatchedFolder, first: str, second: str
) -> None:
    watched.write(first, b'{"review":"good"}\n')
    watched.scan(2)
    folder, slash, _ = first.partition("/")
    blocking = watched.results / (folder if slash else f"{first}.json")
    reports: list[Mapping[str, Any]] = []
    watcher = replace(watched.watcher, report=lambda _key, _outcome, receipt: reports.append(receipt))

    watched.write(second, b'{"review":"good"}\n')
    watcher.scan()
    watcher.scan()

    (receipt,) = reports
    assert receipt["error"]["message"].startswith(f"{blocking} is in the way")


def test_a_deleted_file_keeps_its_result(watched: WatchedFolder) -> None:
    watched.write("a.txt", b"great film")
    watched.scan(2)

    (watched.folder / "a.txt").unlink()

    assert watched.scan(2) == []
    assert watched.names() == ["a.txt.json"]


@pytest.mark.parametrize("results", ["reviews", "reviews/results", "."])
def test_the_results_folder_and_the_watched_folder_must_not_overlap(
    tmp_path: Path, classifier: Classifier, results: str
) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()

    with pytest.raises(ReviewboxError, match="overlap"):
        watch_folder(folder, tmp_path / results, classifier, Settings(), print)


def test_results_of_another_folder_are_not_overwritten(
    watched: WatchedFolder, tmp_path: Path, classifier: Classifier
) -> None:
    watched.write("t.jsonl", b'{"review":"good"}\n')
    watched.scan(2)
    names, before = watched.names(), watched.receipt("t.jsonl")
    other = tmp_path / "others"
    other.mkdir()
    (other / "t.jsonl").write_bytes(b'{"review":"bad"}\n')
    watcher = watch_folder(other, watched.results, classifier, Settings(), lambda *_: None)

    watcher.scan()
    with pytest.raises(ReviewboxError, match=r"t\.jsonl belongs to the folder 'reviews', and 'others' would"):
        watcher.scan()

    assert (watched.names(), watched.receipt("t.jsonl")) == (names, before)


def test_the_root_cannot_be_watched(tmp_path: Path, tiny_model: Path) -> None:
    for arguments in ([], ["--results", str(tmp_path)]):
        result = CliRunner().invoke(app, ["watch", "/", "--model", str(tiny_model), *arguments])

        assert (result.exit_code, result.stderr) == (
            2,
            "reviewbox: /: this folder has no name; watch a folder in it\n",
        )


def test_a_watched_folder_has_a_console(tmp_path: Path, tiny_model: Path) -> None:
    """Files that are sent to it come into the folder, and it shows their results and the report."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "before.txt").write_bytes(b"bad film")
    classifier = Classifier.load(tiny_model)
    watcher = watch_folder(folder, None, classifier, Settings(), lambda *_: None)
    with serve_watcher(watcher, 0) as address:
        host = urlsplit(address).netloc

        def send(method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(host, timeout=SECONDS_TO_WAIT)
            connection.request(method, path, body, {"Origin": f"http://{host}"})
            response = connection.getresponse()
            answer = response.status, b"" if path == "/events" else response.read()
            if path == "/events":
                answer = response.status, response.readline()
            connection.close()
            return answer

        def results() -> dict[str, Any]:
            event = json.loads(send("GET", "/events")[1].removeprefix(b"data: "))
            return {file["name"]: file["receipt"] for file in event["files"]}

        without_results = send("GET", "/report")
        accepted = send("POST", "/files?name=sent.txt", b"great film")
        saved = results()
        for _ in range(2):
            watcher.scan()
        classified = results()
        report = send("GET", "/report")
        send("POST", "/files?name=sent.txt&replace=1", b"great film")  # its result is current
        for _ in range(2):
            watcher.scan()
        again = results()

    assert without_results[0] == 404
    assert accepted[0] == 201
    assert saved == {"sent.txt": None}
    verdicts = {name: receipt["sentiment"] for name, receipt in classified.items()}
    assert verdicts == {"before.txt": "negative", "sent.txt": "positive"}
    assert report[0] == 200
    assert b"2 reviews" in report[1]
    assert again == classified


def test_watching_stops_at_ctrl_c(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"great film")
    (folder / "t.jsonl").write_bytes(b'{"review":"good"}\n{"review":"bad"}\n')
    with running("watch", folder, "--model", tiny_model, "--interval", "0.1", "--serve") as command:
        lines = command.read("t.jsonl .*\n").splitlines()
        command.interrupt()
        rest, status = command.read(), command.wait()

    assert f"results go to {folder}-results" in lines[0]
    assert re.fullmatch(r"Drop files here and watch their progress: http://127\.0\.0\.1:\d+/", lines[1])
    assert lines[2].split()[:3] == ["classified", "a.txt", "positive"]
    assert (
        lines[3]
        == "classified  t.jsonl  1 negative, 1 positive (2 rows, 0 need review, 0 failed) from `review`"
    )
    assert rest == "Stopped.\n"
    assert status == 0


def test_a_folder_without_files_is_not_silently_done(tmp_path: Path, tiny_model: Path) -> None:
    result = CliRunner().invoke(app, ["watch", str(tmp_path), "--once", "--model", str(tiny_model)])

    assert result.stdout == f"There are no files in {tmp_path}.\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root can write to")
def test_results_that_cannot_be_written_are_a_failure(tmp_path: Path, tiny_model: Path) -> None:
    """The message names the folder of the results, and a script sees that there are none."""
    (tmp_path / "a.txt").write_bytes(b"great film")
    command = ["watch", str(tmp_path), "--once", "--model", str(tiny_model), "--results", "/proc/results"]

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 1
    assert re.search(
        r"failed +a\.txt +/proc/results cannot be written: .*; pass another --results", result.stdout
    )
    assert "Results are in" not in result.stdout


def test_a_file_that_is_refused_has_a_result(tmp_path: Path, tiny_model: Path) -> None:
    """Its receipt says why, so that a script can continue with the report."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "picture.txt").write_bytes(b"\x00\x02")

    result = CliRunner().invoke(app, ["watch", str(tmp_path / "inbox"), "--once", "--model", str(tiny_model)])

    assert result.exit_code == 0
    assert "refused" in result.stdout


def test_a_library_that_panics_at_a_file_does_not_stop_the_watch(
    tmp_path: Path, classifier: Classifier
) -> None:
    faulty_codec.register()
    settings = Settings(source_prefix="", fallback_encoding=faulty_codec.ENCODING)
    watched = WatchedFolder(tmp_path / "inbox", classifier, settings)
    watched.write("a.txt", b"great film " + faulty_codec.PANIC)
    watched.write("b.txt", b"great film")

    reports = watched.scan(2)

    assert ("b.txt", "classified") in reports
    assert watched.watcher.failures == 1
    assert not any(faulty_codec.SECRET in outcome for _, outcome in reports)
