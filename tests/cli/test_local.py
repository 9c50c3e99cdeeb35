import http.client
import json
import re
import time
from pathlib import Path

import boto3
from tests.cold_start import function_process
from tests.commands import SECONDS_TO_WAIT, Command, running
from typer.testing import CliRunner

from reviewbox.cli import app


def other_thread(process: Command) -> int:
    """Return the id of the oldest thread that is not the main thread."""
    return min(
        int(path.name)
        for path in Path(f"/proc/{process.pid}/task").iterdir()
        if path.name != str(process.pid)
    )


def test_the_demo_stays_until_ctrl_c(tiny_model: Path, tmp_path: Path) -> None:
    """Its console shows what the demo uploaded, and takes more."""
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "a.txt").write_bytes(b"great film")
    page = tmp_path / "report.html"
    command = ("demo", str(tmp_path / "reviews"), "--stay", "--report", str(page))
    with running(*command, variables={"REVIEWBOX_MODEL_DIR": str(tiny_model)}) as process:
        printed = process.read("Press Ctrl-C to stop")
        address = re.search(r"Drop more files at http://([0-9.:]+)/", printed)
        assert address is not None
        connection = http.client.HTTPConnection(address[1], timeout=SECONDS_TO_WAIT)
        connection.request("GET", "/report")
        report = connection.getresponse().read()
        connection.close()
        process.interrupt()
        rest, status = process.read(), process.wait()

    assert f"Watch their progress, until Ctrl-C: http://{address[1]}/" in printed
    assert b"1 review " in page.read_bytes()
    assert b"1 review " in report
    assert rest.splitlines()[-1] == "Stopped."
    assert status == 0


def test_the_local_cloud_runs_until_ctrl_c(tiny_model: Path) -> None:
    """It prints its endpoint and how to upload a file, classifies uploads, and stops without an error.

    That holds whichever thread the system gives the signal of Ctrl-C.
    """
    command = ("local", "--port", "0", "--format", "jsonl")
    with running(*command, variables={"REVIEWBOX_MODEL_DIR": str(tiny_model)}) as process:
        printed = process.read("Press Ctrl-C to stop")
        places = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
        endpoint = re.search(r"AWS_ENDPOINT_URL=(\S+)", printed)
        assert endpoint is not None
        s3 = boto3.client(
            "s3",
            endpoint_url=endpoint[1],
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        s3.put_object(Bucket="reviewbox", Key="incoming/review.txt", Body=b"great film")
        end = time.monotonic() + SECONDS_TO_WAIT
        while not s3.list_objects_v2(Bucket="reviewbox", Prefix="results/")["KeyCount"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        process.interrupt(other_thread(process))
        rest, status = process.read(), process.wait()

    assert places["endpoint"] == endpoint[1]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", places["console"])
    assert f"Drop files here and watch their progress: {places['console']}\n" in printed
    assert "aws s3 cp review.txt s3://reviewbox/incoming/review.txt" in printed
    assert "object.classified" in rest
    assert "invocation.measured" not in rest  # metrics are for CloudWatch
    assert "Stopped." in rest
    assert status == 0


def test_the_demo_prints_a_row_for_each_file(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "a.txt").write_bytes(b"great film")
    (tmp_path / "reviews" / "b.jsonl").write_bytes(b'{"review":"good film"}\n{"review":"bad"}\n')
    page = tmp_path / "report.html"
    with function_process(tiny_model):
        command = ["demo", str(tmp_path / "reviews"), "--report", str(page), "--format", "json"]
        result = CliRunner().invoke(app, command)

    content = json.loads(result.stdout)
    text, table = content["files"]
    assert (text["file"], text["sentiment"], text["reviews"]) == ("a.txt", "positive", 1)
    assert text["result"] == "s3://reviewbox/results/incoming/a.txt.json"
    assert (table["file"], table["labels"]) == ("b.jsonl", {"negative": 1, "positive": 1})
    assert (content["report"]["report"], content["report"]["reviews"]) == (str(page), 3)
    assert "Uploaded 2 files" in result.stderr


def test_the_demo_reads_the_column_that_it_is_told(tiny_model: Path, tmp_path: Path) -> None:
    """Settings of the command line reach the function, which otherwise has those of the template."""
    (tmp_path / "reviews").mkdir()
    rows = [{"mine": "great film", "yours": "bad film"}, {"mine": "bad film", "yours": "great film"}]
    (tmp_path / "reviews" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    command = ["demo", str(tmp_path / "reviews"), "--report", str(tmp_path / "report.html")]
    with function_process(tiny_model):
        refused = CliRunner().invoke(app, command).output
    with function_process(tiny_model):
        classified = CliRunner().invoke(app, [*command, "--text-field", "mine"]).output

    assert "no_text_field" in refused
    assert "--text-field" in refused
    assert "TextField" not in refused
    assert "a table: 2 rows" in classified
