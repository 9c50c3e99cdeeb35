"""What all commands have in common: formats, files, progress, Ctrl-C, help and completion."""

import csv
import gzip
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import typer
from tests.commands import running
from typer.testing import CliRunner, Result

from reviewbox.cli import app
from reviewbox.cli.inputs import Input, track_inputs
from reviewbox.cli.labeled_reviews import read_reviews
from reviewbox.cli.output import Format, complete_file, write_rows
from reviewbox.cli.progress import progress_bar, track
from reviewbox.documents import Step
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.settings import Settings

ROOT = Path(__file__).parents[2]
ROWS = 1000  # of a table that takes a while
COLOR = re.compile(r"\x1b\[(?:\d+;)*[349]\d(?:;\d+)*m")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command with its name, those of groups included."""
    group: Any = typer.main.get_command(app)
    stack = [("", group)]
    while stack:
        prefix, command = stack.pop()
        for name, child in getattr(command, "commands", {}).items():
            stack.append((f"{prefix}{name} ", child))
        if not hasattr(command, "commands"):
            yield prefix.strip(), command


COMMANDS = dict(commands())


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text('id,review\n1,"great film"\n2,\n3,"awful, bad"\n', encoding="utf-8")
    return path


def test_classify_prints_rows_in_each_format(reviews: Path, tiny_model: Path) -> None:
    outputs = {
        format_: run("classify", reviews, "--model", tiny_model, "--format", format_).stdout
        for format_ in Format
    }

    lines = [json.loads(line) for line in outputs[Format.JSONL].splitlines()]
    assert json.loads(outputs[Format.JSON]) == lines
    rows = list(csv.DictReader(io.StringIO(outputs[Format.CSV])))
    assert [(row["line"], row["sentiment"], row["error_code"]) for row in rows] == [
        ("2", "positive", ""),
        ("3", "", "empty_review"),
        ("4", "negative", ""),
    ]
    assert [row["needs_review"] for row in rows] == ["false", "", "false"]
    assert "because" in outputs[Format.TABLE]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_the_name_of_the_output_decides_the_format(
    name: str, reviews: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = run("classify", reviews, "--model", tiny_model, "-o", tmp_path / name)

    printed = run("classify", reviews, "--model", tiny_model, "--format", name.partition(".")[2])
    assert (result.exit_code, result.stdout) == (1, "")
    assert (tmp_path / name).read_text(encoding="utf-8") == printed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.txt"], "reviewbox: a.txt: add --format, or a name that ends in .json,"),
        (["-o", "a.csv", "--format", "table"], "reviewbox: a table is for the terminal; for a file, choose"),
        (["-o", "no/such/a.csv"], "reviewbox: no/such/a.csv: No such file or directory"),
        (["-o", "/etc/passwd/a.csv"], "reviewbox: /etc/passwd/a.csv: Not a directory"),
    ],
)
def test_an_output_that_cannot_be_written_is_reported_on_one_line(
    arguments: list[str], message: str, reviews: Path, tiny_model: Path
) -> None:
    result = run("classify", reviews, "--model", tiny_model, *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("argument", ["file", "folder"])
def test_an_output_does_not_replace_what_is_read(argument: str, reviews: Path, tiny_model: Path) -> None:
    before = reviews.read_bytes()
    path = reviews if argument == "file" else reviews.parent

    result = run("classify", path, "--model", tiny_model, "-o", reviews, "--format", "csv")

    assert result.exit_code == 2
    assert "would replace the file that is read" in result.stderr
    assert reviews.read_bytes() == before


def test_rows_without_any_are_still_valid() -> None:
    outputs = {}
    for format_ in (Format.JSON, Format.JSONL, Format.CSV):
        file = io.StringIO()
        write_rows([], file, format_, ["a", "b"])
        outputs[format_] = file.getvalue()

    assert outputs == {Format.JSON: "[]\n", Format.JSONL: "", Format.CSV: "a,b\n"}


def test_a_table_for_the_terminal_names_the_field_that_was_inferred(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Q8;Q7_open\n5;a great film\n1;awful and bad\n", encoding="utf-8")

    arguments = ["classify", path, "--model", tiny_model, "--format", "table"]
    output = run(*arguments).stdout
    chosen = run(*arguments, "--text-field", "Q7_open").stdout

    assert "the reviews are in `Q7_open`; --text-field selects another field." in " ".join(output.split())
    assert "--text-field" not in chosen


def test_watch_can_classify_once_and_stop(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.txt").write_text("great film", encoding="utf-8")

    result = run("watch", tmp_path / "inbox", "--model", tiny_model, "--once")

    assert result.exit_code == 0
    assert "Results are in" in result.stdout
    assert (tmp_path / "inbox-results" / "a.txt.json").is_file()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_prints_in_each_format(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert re.search(r"--format +\S?table\|json\|jsonl\|csv", run(*name.split(), "--help").stdout)


def test_watch_prints_a_row_for_each_file(tmp_path: Path, reviews: Path, tiny_model: Path) -> None:
    """Rows go to the standard output, and everything else to the standard error."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.txt").write_text("great film", encoding="utf-8")
    (inbox / "b.csv").write_bytes(reviews.read_bytes())
    (inbox / "c.txt").write_bytes(b"\x00\x02")
    outputs = {}
    for format_ in (Format.JSON, Format.JSONL, Format.CSV):
        results = tmp_path / f"results-{format_}"
        done = run("watch", inbox, "--once", "--model", tiny_model, "--results", results, "--format", format_)
        assert done.stderr == f"Results are in {results}.\n"
        outputs[format_] = done.stdout

    text, table, refused = json.loads(outputs[Format.JSON])
    assert (text["file"], text["outcome"], text["reviews"]) == ("a.txt", "classified", 1)
    assert (text["sentiment"], text["labels"]) == ("positive", {"positive": 1})
    assert Path(text["result"]).is_file()
    assert (table["reviews"], table["failed"], table["sentiment"]) == (3, 1, None)
    assert (refused["outcome"], refused["error_code"]) == ("refused", "binary_file")
    lines = [json.loads(line) for line in outputs[Format.JSONL].splitlines()]
    assert [line["file"] for line in lines] == ["a.txt", "b.csv", "c.txt"]
    rows = list(csv.DictReader(io.StringIO(outputs[Format.CSV])))
    assert [(row["file"], row["reviews"], row["error_code"]) for row in rows] == [
        ("a.txt", "1", ""),
        ("b.csv", "3", ""),
        ("c.txt", "0", "binary_file"),
    ]


def test_an_empty_folder_is_still_a_table_of_no_rows(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "inbox").mkdir()

    watch = ("watch", tmp_path / "inbox", "--once", "--model", tiny_model, "--format")

    assert run(*watch, "json").stdout == "[]\n"
    assert run(*watch, "csv").stdout.startswith("file,outcome,reviews,")


def test_reports_and_catalogs_are_summarized(tmp_path: Path, reviews: Path, tiny_model: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "b.csv").write_bytes(reviews.read_bytes())
    run("watch", tmp_path / "inbox", "--once", "--model", tiny_model)
    results, page = tmp_path / "inbox-results", tmp_path / "report.html"

    report = run("report", results, "-o", page, "--model", tiny_model, "--format", "json")
    catalog = run("catalog", results, "--output", tmp_path / "catalog", "--format", "csv")

    summary = json.loads(report.stdout)
    assert (summary["report"], summary["reviews"], summary["failed"]) == (str(page), 2, 1)
    assert summary["labels"] == {"negative": 1, "positive": 1}
    assert summary["bytes"] == page.stat().st_size
    assert report.stderr.startswith(f"{page}: 2 reviews, ")
    (row,) = csv.DictReader(io.StringIO(catalog.stdout))
    assert (row["copied"], row["current"], row["failed"]) == ("1", "0", "0")
    assert "1 result copied" in catalog.stderr


def test_json_is_an_alias_of_the_format(reviews: Path) -> None:
    alias, name = run("estimate", reviews, "--json"), run("estimate", reviews, "--format", "json")
    both = run("estimate", reviews, "--json", "--format", "csv")

    assert json.loads(alias.stdout) == json.loads(name.stdout)
    assert (both.exit_code, both.stdout) == (2, "")
    assert both.stderr.startswith("reviewbox: --json and --format csv cannot be combined")


def test_an_estimate_has_a_row_for_each_item_of_its_bills(reviews: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("estimate", reviews, "--format", "csv").stdout)))

    assert {row["way"] for row in rows} == {"queue", "job", "comprehend"}
    assert all(float(row["dollars"]) >= 0 for row in rows)


def test_an_evaluation_is_one_row(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\ngood film,pos\nbad film,neg\n", encoding="utf-8")

    output = run("evaluate", tmp_path / "a.csv", "--model", tiny_model, "--format", "csv").stdout

    (row,) = csv.DictReader(io.StringIO(output))
    assert (row["n"], row["accuracy"], row["recall.positive"]) == ("2", "1.0", "1.0")


# --- files and Ctrl-C ---


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old", encoding="utf-8")

    def interrupted() -> None:
        with complete_file(path) as new:
            new.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [
        ("a.csv", "old")
    ]


def test_ctrl_c_leaves_no_half_written_file(tmp_path: Path, tiny_model: Path) -> None:
    """The status is that of a shell's command that Ctrl-C has ended."""
    table, output = tmp_path / "a.csv", tmp_path / "verdicts.csv"
    with table.open("w", encoding="utf-8") as file:
        file.write("review\n")
        for _ in range(300_000):
            file.write("a great film that is not bad at all\n")
    with running("classify", table, "-o", output, "--model", tiny_model) as command:
        while command.is_running and not list(tmp_path.glob(".reviewbox-*")):
            time.sleep(0.01)
        command.interrupt()
        assert (command.read(), command.wait()) == ("reviewbox: interrupted\n", 130)

    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


class Interrupter:
    """A process that runs commands, which Ctrl-C interrupts."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, command: str, folder: Path, seconds: float = 0) -> tuple[int, float]:
        """Run a command, and interrupt it after some seconds; return its exit status and its seconds."""
        assert self._process.stdin
        assert self._process.stdout
        call = {"words": command.split(), "folder": str(folder), "seconds": seconds}
        print(json.dumps(call), file=self._process.stdin, flush=True)
        status, took = json.loads(self._process.stdout.readline())
        return status, took


@pytest.fixture(scope="module")
def interrupter(tiny_model: Path) -> Iterator[Interrupter]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.interrupted"],
        cwd=ROOT,
        env={**os.environ, "REVIEWBOX_MODEL_DIR": str(tiny_model)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Interrupter(process)


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a file, its results, and another folder with the same file."""
    folder = tmp_path_factory.mktemp("classified")
    lines = "".join(f"{number},a great film that is not bad at all\n" for number in range(ROWS))
    for name in ("inbox", "other"):
        (folder / name).mkdir()
        (folder / name / "a.csv").write_text(f"id,review\n{lines}", encoding="utf-8")
    run("watch", folder / "inbox", "--once", "--model", tiny_model)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "results inbox-results -o new.csv",
        "results inbox-results -o new.parquet",
        "report inbox-results -o new.html --sentences 0",
        "catalog inbox-results -o catalog",
        "watch other --once",
    ],
)
def test_whenever_ctrl_c_comes_a_file_is_complete_or_not_there(
    command: str, interrupter: Interrupter, classified: Path, tmp_path: Path, tiny_model: Path
) -> None:
    """This includes the file that a catalog or a watched folder gets for a table."""
    if "watch" in command:
        command += f" --model {tiny_model}"
    interrupter.run(command, shutil.copytree(classified, tmp_path / "first"))  # imports what it needs
    status, seconds = interrupter.run(command, shutil.copytree(classified, tmp_path / "whole"))
    assert status == 0
    new = files_in(tmp_path / "whole") - files_in(classified)
    assert new
    for name in new:
        assert_complete(tmp_path / "whole" / name)

    for quarter in (1, 2, 3):
        folder = shutil.copytree(classified, tmp_path / f"interrupted {quarter}")
        status, _ = interrupter.run(command, folder, seconds * quarter / 4)

        assert status in {0, 130}  # a busy machine may be faster than it was before
        for name in files_in(folder) - files_in(classified):
            assert ".reviewbox-" not in name
            assert_complete(folder / name)


def files_in(folder: Path) -> set[str]:
    """Return the names of all files below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def assert_complete(path: Path) -> None:
    """Check the end of a file in each format that commands write."""
    end = path.read_bytes()[-64:]
    match path.suffix:
        case ".csv":
            assert end.endswith(b"\n")
            assert f"{ROWS - 1},".encode() in end
        case ".parquet":
            assert end.endswith(b"PAR1")
        case ".html":
            assert end.rstrip().endswith(b"</html>")
        case _:
            assert end.rstrip().endswith(b"}"), path


# --- progress and color ---


class Terminal(io.StringIO):
    """What a program takes for a terminal."""

    def isatty(self) -> bool:
        return True


def test_slow_work_shows_its_rate_and_the_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with progress_bar("Reading", 10, seconds_before=0) as update:
        for _ in range(4):
            update(advance=1)
            time.sleep(0.2)  # the bar is drawn ten times a second

    shown = terminal.getvalue()
    assert "Reading" in shown
    assert "4/10" in shown
    assert re.search(r"\d\.\d/s", shown)
    assert re.search(r"\d:\d\d:\d\d", shown)


def test_the_rate_is_that_of_all_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that come at once, as those of a batch do, count with the time that it took."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with progress_bar("Reading", 10_000, seconds_before=0) as update:
        time.sleep(0.5)
        for _ in range(2000):
            update(advance=1)
        time.sleep(0.2)

    rates = [float(rate.replace(",", "")) for rate in re.findall(r"([\d.,]+)/s", terminal.getvalue())]
    assert rates
    assert max(rates) <= 2000 / 0.5


def inputs_of_sizes(*sizes: int, overhead: int = 0) -> list[Input]:
    """Return inputs that nobody reads."""
    source = Source(ObjectRef("", ""), Revision("", ""), 0, "", b"")
    return [
        Input(str(number), lambda *_: source, size=size, overhead=overhead)
        for number, size in enumerate(sizes)
    ]


def test_a_slow_step_of_a_file_has_a_bar_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as its download. Nothing of the file is classified meanwhile."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    for item in track_inputs(inputs_of_sizes(5000), "Classifying", seconds_before=0):
        item.on_step(Step("Downloading (kB)", 1, 5))
        time.sleep(0.3)
        during = terminal.getvalue()
        item.on_share(0.1)
        time.sleep(0.2)
        terminal.truncate(terminal.seek(0))
        time.sleep(0.2)
        after = terminal.getvalue()

    assert re.search(r"Downloading \(kB\)[^\r\n]*1/5[^\r\n]*/s[^\r\n]*\d:\d\d:\d\d", during)
    assert "Classifying (kB)" in after
    assert "Downloading" not in after


def test_a_step_without_a_known_total_shows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as reading the standard input."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    for item in track_inputs(inputs_of_sizes(1000), "Classifying", seconds_before=0):
        time.sleep(0.1)
        item.on_step(Step("Reading (kB)", 1234, None))
        time.sleep(0.3)

    assert re.search(r"Reading \(kB\)[^\r\n]*1,234[^\r\n]*/s", terminal.getvalue())


def test_the_remaining_time_counts_files_as_well_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes time whatever its size. After a small one, bytes alone would say hours."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    inputs = inputs_of_sizes(1, 9999, overhead=10_000)
    for number, _ in enumerate(track_inputs(inputs, "Classifying", seconds_before=0)):
        if number:
            time.sleep(0.3)
            break
        time.sleep(0.5)

    hours, minutes, _ = re.findall(r"(\d+):(\d\d):(\d\d)", terminal.getvalue())[-1]
    assert (int(hours), int(minutes)) == (0, 0)


def test_quick_work_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    assert list(track([1, 2, 3], "Reading", 3)) == [1, 2, 3]

    assert terminal.getvalue() == ""


def test_a_pipe_gets_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if colors are forced."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)

    with progress_bar("Reading", 10, seconds_before=0) as update:
        update(advance=1)
        time.sleep(0.2)

    assert pipe.getvalue() == ""


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color(no_color: str, reviews: Path, tiny_model: Path) -> None:
    """A terminal gets colors unless NO_COLOR is set (https://no-color.org)."""
    with running(
        "classify", reviews, "--model", tiny_model, terminal=True, variables={"NO_COLOR": no_color}
    ) as command:
        output = command.read()
        assert command.wait() == 1

    assert "positive" in output
    assert bool(COLOR.search(output)) is not bool(no_color)


def test_a_person_who_writes_a_file_is_told_which_field_was_read(
    reviews: Path, tmp_path: Path, tiny_model: Path
) -> None:
    """It is inferred."""
    words = ("classify", reviews, "--model", tiny_model, "--output", tmp_path / "a.csv")
    with running(*words, terminal=True, variables={"NO_COLOR": "1"}) as command:
        output = " ".join(command.read().split())

    assert output.endswith("the reviews are in `review`; --text-field selects another field.")


class SlowBucket(BaseHTTPRequestHandler):
    """Any bucket, in which each object is large and takes long to download."""

    SIZE = 100_000_000

    def do_HEAD(self) -> None:
        """Answer with the size."""
        self.send_response(200)
        self.send_header("Content-Length", str(self.SIZE))
        self.send_header("ETag", '"etag"')
        self.send_header("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
        self.end_headers()

    def do_GET(self) -> None:
        """Send bytes until nobody reads them any more."""
        self.do_HEAD()
        with suppress(OSError):
            for _ in range(0, self.SIZE, 100_000):
                self.wfile.write(b"good film\n" * 10_000)
                time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


PROGRESS = r"[1-9][\d,]*/[\d,]+ +[\d.,]+/(?:s|min) +\d:\d\d:\d\d"
LARGE_FILES = [
    (command, max_bytes) for command in ("classify", "watch") for max_bytes in ("16777216", "100000")
]
DOWNLOADING = rf"Downloading \(kB\)[^\r\n]* {PROGRESS}"
LONG_TEXT_PROGRESS = r"[1-9]\d*/860 +[\d.,]+/(?:s|min) +\d:\d\d:\d\d"
LABELED = ["a.csv", "a.jsonl"]
READING = r"Reading \(kB\)[^\r]* [1-9][\d,]*/[\d,]+ +[\d.,]+/s +\d:\d\d:\d\d"


def show(end: str, *words: object, **variables: str) -> str:
    """Return what a command prints to a terminal until that matches `end`."""
    with running(*words, terminal=True, variables={"NO_COLOR": "1", **variables}) as command:
        return command.read(end)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[object, str]:
    """The output of commands that read a large file or object, up to their first progress.

    They run at the same time, because each of them waits for a second.
    """
    folder = tmp_path_factory.mktemp("large")
    row = "a great film that is not bad at all"
    table, text = folder / "tables" / "a.csv.gz", folder / "a.txt"
    table.parent.mkdir()
    lines = "".join(f"{number},{row}\n" for number in range(200_000))
    table.write_bytes(gzip.compress(f"id,review\n{lines}".encode(), compresslevel=1))
    text.write_text("The seats are soft, but the soup was cold. " * 20_000, encoding="utf-8")
    (folder / "a.csv").write_text("text,label\n" + f"{row},1\n" * 1_000_000, encoding="utf-8")
    (folder / "a.jsonl").write_text(f'{{"text": "{row}", "label": 1}}\n' * 1_000_000, encoding="utf-8")
    model = ("--model", tiny_model)

    def show_large(command: str, max_bytes: str) -> str:
        target = folder / f"{command}-{max_bytes}.csv"
        options = ("--output", target) if command == "classify" else ("--once", "--results", target)
        variables = {"REVIEWBOX_MAX_OBJECT_BYTES": max_bytes}
        return show(PROGRESS, command, table.parent, *options, *model, **variables)

    with ThreadingHTTPServer(("127.0.0.1", 0), SlowBucket) as server, ThreadPoolExecutor(16) as pool:
        pool.submit(server.serve_forever)
        bucket = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "REVIEWBOX_MAX_OBJECT_BYTES": str(SlowBucket.SIZE),
        }
        started: dict[object, Future[str]] = {file: pool.submit(show_large, *file) for file in LARGE_FILES}
        for name in LABELED:
            started[name] = pool.submit(show, READING, "evaluate", folder / name, *model)
        started["text"] = pool.submit(show, LONG_TEXT_PROGRESS, "classify", text)
        started["object"] = pool.submit(show, DOWNLOADING, "classify", "s3://bucket/a.txt", *model, **bucket)
        outputs = {name: output.result() for name, output in started.items()}
        server.shutdown()
    return outputs


@pytest.mark.parametrize("file", LARGE_FILES, ids="-".join)
def test_one_large_file_shows_the_rate_and_the_remaining_time(
    file: tuple[str, str], shown: dict[object, str]
) -> None:
    """Even if it is compressed, and if it is read or split while it is classified."""
    assert "Classifying (kB)" in shown[file]
    assert re.search(PROGRESS, shown[file])


def test_one_large_object_shows_the_rate_and_the_remaining_time_of_its_download(
    shown: dict[object, str],
) -> None:
    """It is classified only after that."""
    assert re.search(DOWNLOADING, shown["object"])


def test_one_long_text_shows_the_rate_and_the_remaining_time(shown: dict[object, str]) -> None:
    """Its windows are classified in many runs of the model, and each of them is progress."""
    assert "Classifying (kB)" in shown["text"]
    assert re.search(LONG_TEXT_PROGRESS, shown["text"])


@pytest.mark.parametrize("name", LABELED)
def test_reading_labeled_reviews_shows_the_remaining_time(name: str, shown: dict[object, str]) -> None:
    """With the remaining time, because the size of the files is known."""
    assert re.search(READING, shown[name])


def test_parsing_a_workbook_to_compare_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    for row in [("id", "review"), *((number, "not bad at all") for number in range(20_000))]:
        sheet.append(row)
    workbook.save(tmp_path / "a.xlsx")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    read_reviews([tmp_path / "a.xlsx"], Settings(), seconds_before=0)

    assert re.search(r"Parsing \(kB\)[^\r\n]*[1-9][\d,]*/[\d,]+", terminal.getvalue())


def test_the_demo_shows_how_far_the_function_is_with_one_file(tmp_path: Path, tiny_model: Path) -> None:
    """Its bar also advances within a file."""
    (tmp_path / "reviews").mkdir()
    rows = [{"id": number, "review": "a great film that is not bad"} for number in range(250_000)]
    (tmp_path / "reviews" / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    words = ("demo", tmp_path / "reviews", "--report", tmp_path / "a.html")
    progress = r"Waiting for results[^\r\n]* 0/1 +[\d.,]+/(?:s|min) +\d:\d\d:\d\d"

    output = show(progress, *words, REVIEWBOX_MODEL_DIR=str(tiny_model))

    assert re.search(progress, output)


def test_work_without_a_known_total_shows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A remaining time would be invented."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with progress_bar("Listing", seconds_before=0) as update:
        time.sleep(0.2)
        update(advance=1234)
        time.sleep(0.2)

    shown = terminal.getvalue()
    assert "1,234" in shown
    assert "/s" in shown
    assert "?" not in shown.replace("\x1b[?", "")
    assert ":" not in shown


def test_ctrl_c_shows_no_traceback_while_the_code_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt", encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))

    process = subprocess.run(
        [sys.executable, "-m", "reviewbox", "--help"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (process.returncode, process.stderr) == (130, "reviewbox: interrupted\n")


def test_a_full_disk_is_named(reviews: Path, tiny_model: Path) -> None:
    words = ("classify", reviews, "--model", tiny_model, "--format", "jsonl")
    with Path("/dev/full").open("w") as full, running(*words, stdout=full.fileno()) as command:
        assert (command.read(), command.wait()) == ("reviewbox: No space left on device\n", 2)


# --- help and completion ---


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_ends_with_examples_that_it_accepts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    help_text = run(*name.split(), "--help").stdout
    command = COMMANDS[name]
    examples = re.findall(r"`([^`]+)`", command.epilog or "")

    assert examples
    assert "Examples:" in help_text
    for example in examples:
        words = shlex.split(example.partition(" | ")[2] or example)
        assert words[: 1 + len(name.split())] == ["reviewbox", *name.split()]
        arguments = words[1 + len(name.split()) :]
        for folder in ("reviews", "inbox", "model", "candidate", "inbox-results"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for file in ("reviews.csv", "labeled.csv"):
            (tmp_path / file).touch()
        command.make_context(name, arguments)  # raises an error at an unknown option


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_line_of_help_is_short_and_in_the_imperative(name: str) -> None:
    first = (COMMANDS[name].help or "").partition("\n")[0]

    assert re.fullmatch(r"[A-Z][a-z]+ .{5,70}\.", first), first
    assert not first.split()[0].endswith("s")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands_and_their_values(shell: str) -> None:
    def complete(*words: str) -> str:
        line = " ".join(("reviewbox", *words))
        environment = {
            "_REVIEWBOX_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words)),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        return CliRunner().invoke(app, env=environment, prog_name="reviewbox").stdout

    assert "classify" in complete("cl")
    assert "jsonl" in complete("classify", "--format", "j")
