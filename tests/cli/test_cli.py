import gzip
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client
from tests import faulty_codec
from tests.cold_start import function_process
from tests.conftest import BUCKET
from tests.documents.formats.binary_tables import panicking_parquet
from tests.tiny import write_model
from typer.testing import CliRunner

from reviewbox.cli import app
from reviewbox.cli.inputs import files_below
from reviewbox.cli.render import verdict_cells

ROWS = [("great film", 1), ("good film", 1), ("awful film", 0), ("not great film", 0)]


def run(*arguments: object, stdin: bytes = b"", status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == status, result.output
    return result.stdout


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_classify_prints_json_lines_in_a_pipe(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "bad"}\n\nbroken\n', encoding="utf-8")
    (tmp_path / ".hidden").write_text("great film", encoding="utf-8")

    output = lines(run("classify", tmp_path, "--model", tiny_model, status=1))

    assert [(Path(o["file"]).name, o["line"], o.get("sentiment"), o.get("error_code")) for o in output] == [
        ("a.txt", 1, "positive", None),
        ("b.jsonl", 1, "negative", None),
        ("b.jsonl", 3, None, "broken_json"),
    ]


@pytest.mark.parametrize("stdin", [b"great film", b'{"text": "great film"}\n'])
def test_classify_reads_stdin(stdin: bytes, tiny_model: Path) -> None:
    (output,) = lines(run("classify", "-", "--model", tiny_model, stdin=stdin))

    assert output["sentiment"] == "positive"


def test_classify_uses_the_given_text_field(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"verbatim": "awful", "text": "great"}\n', encoding="utf-8")

    (output,) = lines(run("classify", tmp_path, "--model", tiny_model, "--text-field", "verbatim"))

    assert output["sentiment"] == "negative"


def test_classify_uses_the_service_s_settings(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9 great")
    (tmp_path / "c.txt").write_text("great film " * 10, encoding="utf-8")
    (tmp_path / "d.jsonl").write_text('{"verbatim": "awful", "text": "great"}\n', encoding="utf-8")
    monkeypatch.setenv("REVIEWBOX_NEEDS_REVIEW_BELOW", "0.9999")
    monkeypatch.setenv("REVIEWBOX_FALLBACK_ENCODING", "")
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "100")
    monkeypatch.setenv("REVIEWBOX_TEXT_FIELD", "verbatim")

    a, b, c, d = lines(run("classify", tmp_path, "--model", tiny_model, status=1))
    (other,) = lines(run("classify", tmp_path / "d.jsonl", "--model", tiny_model, "--text-field", "text"))
    (stdin,) = lines(run("classify", "-", "--model", tiny_model, stdin=b"great " * 100, status=1))

    assert a["needs_review"] is True
    assert (b["error_code"], c["error_code"], stdin["error_code"]) == ("not_text", "too_large", "too_large")
    assert (d["sentiment"], other["sentiment"]) == ("negative", "positive")


TABLE = b"\xef\xbb\xbfreview,stars\n" + b'"a great\nfilm",5\nawful,1\n,2\ngood,3,surplus\n' * 40


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("a.csv", TABLE, id="csv"),
        pytest.param("a.csv.gz", gzip.compress(TABLE, mtime=0), id="csv.gz"),
        pytest.param("truncated.csv.gz", gzip.compress(TABLE, compresslevel=0)[:-300], id="truncated csv.gz"),
        pytest.param("a.jsonl", b'\n{"review": "great film"}\nbroken\n' * 40, id="jsonl"),
        pytest.param("no end.csv", TABLE[:-1], id="csv without a final newline"),
        pytest.param(
            "no end.csv.gz", gzip.compress(TABLE[:-1], mtime=0), id="csv.gz without a final newline"
        ),
    ],
)
def test_classify_streams_tables_that_are_larger_than_the_limit(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: bytes
) -> None:
    (tmp_path / name).write_bytes(body)
    unlimited = run("classify", tmp_path, "--model", tiny_model, status=1)
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "500")

    assert run("classify", tmp_path, "--model", tiny_model, status=1) == unlimited
    assert len(lines(unlimited)) > 70


def test_classify_streams_parquet_files_that_are_larger_than_the_limit(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = [f"the film was {word}, {number}" for number in range(1500) for word in ("great", "awful")]
    pq.write_table(
        pa.table({"id": range(3000), "review": reviews}), tmp_path / "a.parquet", row_group_size=500
    )
    unlimited = run("classify", tmp_path, "--model", tiny_model)
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "9000")

    assert run("classify", tmp_path, "--model", tiny_model) == unlimited
    assert [line["line"] for line in lines(unlimited)] == list(range(1, 3001))


def test_a_file_at_which_a_library_ends_its_process_does_not_stop_the_others(
    tmp_path: Path, tiny_model: Path
) -> None:
    for name in ("a.parquet", "c.parquet"):
        (tmp_path / name).write_bytes(panicking_parquet())
    pq.write_table(pa.table({"review": ["great film", "awful film"]}), tmp_path / "b.parquet")

    found = lines(run("classify", tmp_path, "--model", tiny_model, status=1))

    assert [(Path(line["file"]).name, line.get("error_code")) for line in found] == [
        ("a.parquet", "corrupt_file"),
        ("b.parquet", None),
        ("b.parquet", None),
        ("c.parquet", "corrupt_file"),
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_classify_streams_objects_that_are_larger_than_the_limit(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Client, name: str
) -> None:
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"review": [f"great film {n}" for n in range(800)]}), tmp_path / name)
    else:
        (tmp_path / name).write_bytes(gzip.compress(TABLE, mtime=0) if name.endswith(".gz") else TABLE)
    s3.put_object(Bucket=BUCKET, Key=name, Body=(tmp_path / name).read_bytes())
    status = 0 if name.endswith(".parquet") else 1
    local = lines(run("classify", tmp_path, "--model", tiny_model, status=status))
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "500")

    stored = lines(run("classify", f"s3://{BUCKET}/{name}", "--model", tiny_model, status=status))

    assert [line | {"file": ""} for line in stored] == [line | {"file": ""} for line in local]
    assert len(local) > 70


def test_an_invalid_setting_is_reported_on_one_line(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")
    monkeypatch.setenv("REVIEWBOX_NEEDS_REVIEW_BELOW", "2")

    for command in ("classify", "watch"):
        result = CliRunner().invoke(app, [command, str(tmp_path), "--model", str(tiny_model)])

        assert result.exit_code == 2
        assert result.stderr == "reviewbox: REVIEWBOX_NEEDS_REVIEW_BELOW must be between 0 and 1\n"


@pytest.mark.parametrize(
    ("trigger", "fault"),
    [(faulty_codec.TRIGGER, "RuntimeError"), (faulty_codec.PANIC, "NativeFaultError")],
)
def test_a_fault_at_one_file_does_not_stop_the_others(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, trigger: bytes, fault: str
) -> None:
    faulty_codec.register()
    monkeypatch.setenv("REVIEWBOX_FALLBACK_ENCODING", faulty_codec.ENCODING)
    (tmp_path / "a.txt").write_bytes(b"great film")
    (tmp_path / "b.txt").write_bytes(b"great film " + trigger)
    (tmp_path / "c.txt").write_bytes(b"awful film")

    result = CliRunner().invoke(app, ["classify", str(tmp_path), "--model", str(tiny_model)])

    output = lines(result.stdout)
    assert result.exit_code == 1
    assert [o.get("sentiment") for o in output] == ["positive", None, "negative"]
    assert output[1]["error_code"] == "internal_error"
    assert f"{tmp_path / 'b.txt'}: {fault} is a bug" in result.stderr
    assert "encoding.py" in result.stderr
    assert faulty_codec.SECRET not in result.output + result.stderr


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"great film")
    os.mknod(tmp_path / "b.txt", stat.S_IFSOCK | 0o600)
    (tmp_path / "c.txt").write_bytes(b"awful film")
    paths = [str(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt")]

    result = CliRunner().invoke(app, ["classify", *paths, "--model", str(tiny_model)])

    assert result.exit_code == 2
    assert [o["sentiment"] for o in lines(result.stdout)] == ["positive", "negative"]
    assert result.stderr == f"reviewbox: {paths[1]}: No such device or address\n"


@pytest.mark.parametrize("name", ["_SUCCESS", "~$book.xlsx", "Thumbs.db", "part-0.csv.crc"])
def test_files_that_tools_left_in_a_folder_are_ignored(name: str, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"great film")
    (tmp_path / name).write_bytes(b"awful film")

    (output,) = lines(run("classify", tmp_path, "--model", tiny_model))

    assert output["file"].endswith("a.txt")


def test_a_file_that_cannot_be_read_is_reported_on_one_line(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "a.txt"
    os.mknod(path, stat.S_IFSOCK | 0o600)

    result = CliRunner().invoke(app, ["classify", str(path), "--model", str(tiny_model)])

    assert (result.exit_code, result.stderr) == (2, f"reviewbox: {path}: No such device or address\n")


def test_a_file_in_a_folder_that_cannot_be_examined_is_reported_on_one_line(
    tmp_path: Path, tiny_model: Path
) -> None:
    path = tmp_path / "a.txt"
    path.symlink_to("x" * 300)

    for command in (["classify", "--model", str(tiny_model)], ["demo"]):
        result = CliRunner().invoke(app, [*command, str(tmp_path)])

        assert (result.exit_code, result.stderr) == (2, f"reviewbox: {path}: File name too long\n")


def test_a_file_name_that_is_not_valid_utf_8_can_be_printed(tmp_path: Path, tiny_model: Path) -> None:
    name = os.fsencode(tmp_path) + b"/odd\xff.txt"
    Path(os.fsdecode(name)).write_text("great film", encoding="utf-8")

    (output,) = lines(run("classify", tmp_path, "--model", tiny_model))

    assert output["file"] == f"{tmp_path}/odd?.txt"


def test_a_missing_file_or_model_is_reported_on_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["classify", "no/such/file.txt"])
    other = CliRunner().invoke(app, ["classify", "-", "--model", str(tmp_path)])

    assert (result.exit_code, result.stderr) == (2, "reviewbox: no/such/file.txt: no such file or folder\n")
    assert other.exit_code == 2
    assert "model.onnx is missing" in other.stderr


def write_csv(path: Path, labels: dict[int, str]) -> None:
    rows = [f'"{text}\n",{labels[label]}' for text, label in ROWS]
    path.write_text("\ufefftext,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


def write_json_lines(path: Path, labels: dict[int, str]) -> None:
    rows = [json.dumps({"text": text, "label": labels[label]}) for text, label in ROWS]
    path.write_text("\n".join(rows), encoding="utf-8")


def write_parquet(path: Path, labels: dict[int, str]) -> None:
    columns = {"text": [text for text, _ in ROWS], "label": [labels[label] for _, label in ROWS]}
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    "labels", [{0: "0", 1: "1"}, {0: "neg", 1: "pos"}, {0: "Negative", 1: "positive"}, {0: "0.0", 1: "1.0"}]
)
@pytest.mark.parametrize(
    ("name", "write"), [("a.csv", write_csv), ("a.jsonl", write_json_lines), ("a.parquet", write_parquet)]
)
def test_evaluate_reads_labeled_files(
    tmp_path: Path, tiny_model: Path, name: str, write: Any, labels: dict[int, str]
) -> None:
    write(tmp_path / name, labels)

    metrics = json.loads(run("evaluate", tmp_path / name, "--model", tiny_model, "--json"))

    assert set(metrics) == {"n", "accuracy", "balanced_accuracy", "recall", "ece", "cpu_ms_per_review"}
    assert metrics["n"] == 4
    assert metrics["accuracy"] == 0.75
    assert metrics["cpu_ms_per_review"] > 0


def write_four_answers(path: Path) -> Path:
    labels = ("negative", "neutral", "mixed", "positive")
    return write_model(path, labels=labels)


def test_evaluate_understands_four_labels(tmp_path: Path) -> None:
    rows = "good,positive\nbad,negative\ngreat film,mixed\n"
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    model = write_four_answers(tmp_path / "model")

    metrics = json.loads(run("evaluate", tmp_path / "a.csv", "--model", model, "--json"))

    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["recall"] == {"mixed": 0.0, "negative": 1.0, "positive": 1.0}
    assert metrics["balanced_accuracy"] == pytest.approx(2 / 3)


def test_evaluate_asks_for_two_labels_if_the_reviews_have_only_these(tmp_path: Path) -> None:
    """With four labels, the first of four equal ones would be the verdict on both rows."""
    (tmp_path / "a.csv").write_text("text,label\nfilm,neg\nfilm good,pos\n", encoding="utf-8")
    model = write_four_answers(tmp_path / "model")

    output = run("evaluate", tmp_path / "a.csv", "--model", model)

    assert "accuracy           100.00%" in output
    assert "of positive        100.00%" in output


def test_evaluate_accepts_numbers_as_labels(tmp_path: Path, tiny_model: Path) -> None:
    table = pa.table({"text": ["good", "bad"], "label": pa.array([1, 0], pa.int8())})
    pq.write_table(table, tmp_path / "a.parquet")

    metrics = json.loads(run("evaluate", tmp_path / "a.parquet", "--model", tiny_model, "--json"))

    assert metrics["accuracy"] == 1.0


def test_evaluate_uses_the_test_split_of_an_acl_imdb_folder(tmp_path: Path, tiny_model: Path) -> None:
    for split, (number, (text, label)) in [("train", (9, ("bad", 1)))] + [
        ("test", numbered) for numbered in enumerate(ROWS)
    ]:
        folder = tmp_path / split / ("pos" if label else "neg")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}_7.txt").write_text(text, encoding="utf-8")

    metrics = json.loads(run("evaluate", tmp_path, "--model", tiny_model, "--json"))

    assert (metrics["n"], metrics["accuracy"]) == (4, 0.75)


def test_evaluate_reports_the_row_of_an_unknown_label(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\ngood,1\nbad,maybe\n", encoding="utf-8")

    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "a.csv"), "--model", str(tiny_model)])

    assert result.exit_code == 2
    assert "a.csv, row 2: `label` is 'maybe'" in result.stderr


def test_evaluate_reports_the_row_of_a_missing_label(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\ngood,1\nbad,\n", encoding="utf-8")

    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "a.csv"), "--model", str(tiny_model)])

    assert result.exit_code == 2
    assert "a.csv, row 2: no `label`" in result.stderr


@pytest.fixture
def _function_process(tiny_model: Path) -> Iterator[None]:
    with function_process(tiny_model):
        yield


@pytest.mark.usefixtures("_function_process")
def test_the_demo_shows_every_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.txt").write_text("The film . Great film .", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "bad"}\nbroken\n', encoding="utf-8")
    (tmp_path / "c.txt").write_bytes(b"\x00\x02")

    page = tmp_path / "pages" / "report.html"

    output = run("demo", tmp_path, "--report", page)

    assert "positive" in output
    assert "Great film ." in output
    assert "s3://reviewbox/results/incoming/films/a.txt.json" in output
    assert "1 negative" in output
    assert "1 failed" in output
    assert "binary_file" in output
    assert str(page) in output
    assert "2 reviews" in page.read_text(encoding="utf-8")


def test_the_demo_needs_files(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", str(tmp_path)])

    assert result.exit_code == 2
    assert "no files to upload" in result.stderr


def test_files_below_a_folder_are_sorted_and_visible(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a.txt", ".git/config", "b/.DS_Store", "b/1.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    names = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]

    assert names == ["a.txt", "b/1.txt", "b/2.txt"]


def test_a_lone_surrogate_in_a_quote_is_replaced() -> None:
    evidence = [{"start": 0, "end": 6, "support": 2.0}]
    fields = {"sentiment": "positive", "score": 0.9, "needs_review": False, "evidence": evidence}

    cells = verdict_cells(fields, "good \ud83d")

    assert cells[2].plain == "good ?"


@pytest.mark.usefixtures("_function_process")
def test_the_demo_reports_a_function_that_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")
    monkeypatch.setenv("REVIEWBOX_MODEL_DIR", str(tmp_path))

    result = CliRunner().invoke(app, ["demo", str(tmp_path)])

    assert result.exit_code == 2
    assert "model.onnx is missing" in result.stderr


def test_a_verdict_is_shown_with_its_strongest_sentence() -> None:
    evidence = [{"start": 5, "end": 10, "support": 2.0}, {"start": 0, "end": 4, "support": -3.0}]
    fields = {"sentiment": "positive", "score": 0.7, "needs_review": True, "evidence": evidence}

    cells = verdict_cells(fields, "Bad. Good.")

    assert [cell.plain for cell in cells] == ["positive", "0.7000 ?", "Good."]


def test_a_verdict_on_one_sentence_is_shown_with_that_sentence() -> None:
    """Result files have no evidence for it, but a list of bare numbers would mean nothing to a person."""
    fields = {"sentiment": "negative", "score": 0.9, "needs_review": False, "evidence": []}

    assert verdict_cells(fields, "The lid\n leaks.")[2].plain == "The lid leaks."


def test_the_table_explains_its_question_marks(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")
    (tmp_path / "b.txt").write_text("the", encoding="utf-8")
    classify = ("classify", "--model", tiny_model, "--format", "table")

    assert "?" not in run(*classify, tmp_path / "a.txt")
    output = run(*classify, tmp_path / "b.txt")

    assert " ? " in output
    assert "?: needs review, because the score is below 0.7" in output


def test_a_table_names_options_as_the_command_line_does(tmp_path: Path, tiny_model: Path) -> None:
    """The service calls its settings by other names, which a user of the command line has never seen."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    classify = ("classify", tmp_path, "--model", tiny_model)

    output = " ".join(run(*classify, "--format", "table", status=1).split())

    assert "--text-field" in output
    assert "TextField" not in output
    assert "TextField" in run(*classify, status=1)


def test_a_folder_without_files_is_reported_and_does_not_stop_the_others(
    tmp_path: Path, tiny_model: Path
) -> None:
    """Without a message, a wrong path would look like success."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")

    arguments = ["classify", str(tmp_path / "empty"), str(tmp_path / "a.txt"), "--model", str(tiny_model)]
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert result.stderr == f"reviewbox: {tmp_path / 'empty'}: there are no files in this folder\n"
    assert [output["sentiment"] for output in lines(result.stdout)] == ["positive"]


def test_it_runs_as_a_module() -> None:
    """For those whose scripts are not on the path."""
    command = [sys.executable, "-m", "reviewbox", "--help"]

    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own

    assert "Usage: reviewbox [OPTIONS] COMMAND" in help_text
