"""`reviewbox results`: the rows of many results as one table."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from typer.testing import CliRunner, Result

from reviewbox.cli import app
from reviewbox.cli.watch import watch_folder
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

ROOT = Path(__file__).parents[2]
OURS = "source_key source_line sentiment score needs_review other_language error_code error_message".split()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["results", *(str(argument) for argument in arguments)])


def rows(path: object) -> list[dict[str, Any]]:
    result = run(path, "--format", "jsonl")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def classify(folder: Path, classifier: Classifier, settings: Settings | None = None) -> Path:
    """Classify a folder as `reviewbox watch` does; return the folder of results."""
    watcher = watch_folder(folder, None, classifier, settings or Settings(), lambda *_: None)
    watcher.scan()
    watcher.scan()
    return watcher.results


@pytest.fixture
def results(tmp_path: Path, classifier: Classifier) -> Path:
    inbox = tmp_path / "inbox"
    (inbox / "shop").mkdir(parents=True)
    (inbox / "a.txt").write_text("great film", encoding="utf-8")
    (inbox / "b.csv").write_text('id,review\n1,"a great\nfilm"\n2,\n3,awful\n', encoding="utf-8")
    (inbox / "shop" / "c.jsonl").write_text('{"text": "bad film", "stars": 2}\n', encoding="utf-8")
    (inbox / "d.bin").write_bytes(b"\x00\x01\x02\x03" * 100)
    return classify(inbox, classifier)


def test_each_row_has_its_source_line_verdict_and_columns(results: Path) -> None:
    found = {(row["source_key"], row["source_line"]): row for row in rows(results)}

    assert {place: row["sentiment"] or row["error_code"] for place, row in found.items()} == {
        ("a.txt", 1): "positive",
        ("b.csv", 2): "positive",
        ("b.csv", 4): "empty_review",
        ("b.csv", 5): "negative",
        ("d.bin", None): "binary_file",
        ("shop/c.jsonl", 1): "negative",
    }
    assert all(list(row)[: len(OURS)] == OURS for row in found.values())
    assert found["b.csv", 2]["review"] == "a great\nfilm"
    assert found["b.csv", 2]["needs_review"] is False
    assert isinstance(found["b.csv", 2]["score"], float)
    assert found["shop/c.jsonl", 1]["stars"] == "2"


def test_the_table_of_csv_and_parquet_has_the_columns_of_all_rows(results: Path, tmp_path: Path) -> None:
    printed = run(results).stdout
    assert run(results, "-o", tmp_path / "a.csv").exit_code == 0
    assert run(results, "-o", tmp_path / "a.parquet").exit_code == 0

    table = pq.read_table(tmp_path / "a.parquet")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == printed
    records = list(csv.DictReader(io.StringIO(printed)))
    assert list(records[0]) == table.column_names == [*OURS, "id", "review", "text", "stars"]
    assert table.num_rows == len(records) == 6
    assert [str(table.schema.field(name).type) for name in OURS[:5]] == [
        *("string", "int64", "string", "double", "bool")
    ]


def test_a_terminal_gets_a_table(results: Path) -> None:
    output = run(results, "--format", "table").stdout

    assert "source_key" in output
    assert "shop/c.jsonl" in output


def test_a_table_has_the_columns_that_fit(tmp_path: Path, classifier: Classifier) -> None:
    """Each row is a line that can be read; the others are named. A pipe is 200 characters wide."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    answers = [f"answer {number}" for number in range(12)]
    row = {**dict.fromkeys(answers, "x" * 40), "review": "great film " * 5}
    (inbox / "a.jsonl").write_text(f"{json.dumps(row)}\n" * 3, encoding="utf-8")

    output = run(classify(inbox, classifier), "--format", "table").stdout

    lines = output.splitlines()
    assert len([line for line in lines if "a.jsonl" in line and "positive" in line]) == 3
    assert "great film great film great film great film great film" in output
    assert "error_code" not in output  # no row has one
    (left_out,) = (line for line in lines if line.startswith("Not shown for lack of space: "))
    assert "answer 0" not in left_out
    assert "answer 11" in left_out
    assert max(map(len, (line for line in lines if line != left_out))) <= 200


@pytest.mark.parametrize("name", ["b.csv.json", "b.csv.classified.csv"])
def test_one_result_can_be_named(name: str, results: Path) -> None:
    """The second is the name of a table; with its receipt's path, its rows are the same."""
    path = next(iter(results.rglob(name)), None)
    if path is None:
        pytest.skip("tables have other names")

    assert [row["source_line"] for row in rows(path)] == [2, 4, 5]


@pytest.mark.parametrize(
    "body",
    [
        b"review\n" + b"good\nbad\n" * 200,
        b'id,review\n1,"good\nfilm"\n2,bad\n' * 1 + b'3,"good\n\nfilm"\n4,bad\n' * 100,
        b'{"review": "good"}\n{"review": "bad"}\nbroken\n' * 60,
    ],
)
def test_the_lines_of_a_table_in_parts_are_those_of_the_source(
    body: bytes, s3: S3Client, storage: S3Storage, classifier: Classifier, tmp_path: Path
) -> None:
    name = "a.jsonl" if body.startswith(b"{") else "a.csv"
    (tmp_path / name).write_bytes(body)
    s3.put_object(Bucket=BUCKET, Key=f"incoming/{name}", Body=body)
    settings = Settings(segment_bytes=500)
    Pipeline(storage, classifier, settings).process(ObjectRef(BUCKET, f"incoming/{name}"), lambda: 900.0)

    found = rows(f"s3://{BUCKET}/results/")

    assert len(s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["Contents"]) > 3
    whole = classified_rows(tmp_path, classifier)[name]
    assert [(row["source_line"], row["sentiment"], row["error_code"]) for row in found] == whole


def classified_rows(folder: Path, classifier: Classifier) -> dict[str, list[Any]]:
    """Return line, sentiment and error code of each review, as `reviewbox classify` prints them, by file."""
    command = ["classify", str(folder), "--model", str(classifier.bundle.folder), "--format", "jsonl"]
    reviews: dict[str, list[Any]] = {}
    for line in map(json.loads, CliRunner().invoke(app, command).stdout.splitlines()):
        place = (line["line"], line.get("sentiment"), line.get("error_code"))
        reviews.setdefault(Path(line["file"]).name, []).append(place)
    return reviews


def test_the_rows_of_exports_are_those_that_classify_finds(tmp_path: Path, classifier: Classifier) -> None:
    """In every format in which a row has a line of its own."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    exports = sorted((ROOT / "tests" / "exports").glob("*"))
    for path in exports:
        if path.suffix in (".csv", ".tsv", ".jsonl", ".ndjson", ".xlsx"):
            shutil.copy(path, inbox)
    results = classify(inbox, classifier)

    found: dict[str, list[Any]] = {}
    for row in rows(results):
        place = (row["source_line"], row["sentiment"], row["error_code"])
        found.setdefault(row["source_key"], []).append(place)

    assert len(found) > 50
    reviews = classified_rows(inbox, classifier)
    for name, places in found.items():
        expected = reviews[name]
        if places[0][0] is None:  # the file failed as a whole, which `classify` shows at line 1
            expected = [(None, *expected[0][1:])]
        assert places == expected, name


def test_a_column_of_the_user_with_one_of_our_names_is_kept(tmp_path: Path, classifier: Classifier) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.csv").write_text("review,sentiment\ngreat film,5 of 5\n", encoding="utf-8")

    (row,) = rows(classify(tmp_path / "inbox", classifier))

    assert (row["sentiment"], row["original_sentiment"]) == ("positive", "5 of 5")


def test_a_missing_table_is_a_row_with_an_error(results: Path) -> None:
    receipt = json.loads((results / "b.csv.json").read_text(encoding="utf-8"))
    (results / receipt["parts"][0]["key"]).unlink()

    (row,) = (row for row in rows(results) if row["source_key"] == "b.csv")

    assert (row["error_code"], row["source_line"]) == ("missing_table", None)


def test_a_receipt_cannot_lead_to_files_of_others(results: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("sentiment,score,review\npositive,1,secret\n", encoding="utf-8")
    path = results / "b.csv.json"
    receipt = json.loads(path.read_text(encoding="utf-8"))
    receipt["parts"][0]["key"] = "../secret.csv"
    path.write_text(json.dumps(receipt), encoding="utf-8")

    (row,) = (row for row in rows(results) if row["source_key"] == "b.csv")

    assert (row["error_code"], row["sentiment"]) == ("missing_table", None)


def test_results_of_another_version_are_named(results: Path) -> None:
    path = results / "a.txt.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format": ', '"format": 99'), encoding="utf-8")

    result = run(results, "--format", "jsonl")

    assert result.exit_code == 0
    assert "a.txt" not in result.stdout
    assert result.stderr == "reviewbox: skipped 1 JSON file: not receipts of this version\n"


def test_results_that_do_not_fit_into_the_table_are_not_called_skipped(results: Path) -> None:
    receipt = json.loads((results / "a.txt.json").read_text(encoding="utf-8"))
    for number in range(1100):
        receipt["source"]["key"] = f"{number}.txt"
        (results / f"{number}.txt.json").write_text(json.dumps(receipt), encoding="utf-8")

    result = run(results, "--format", "table")

    assert "The first 1,000 rows" in result.stdout
    assert not result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no results here"),
        (("--format", "parquet"), "Parquet is written to a file only"),
        (("-o", "a.csv", "--format", "table"), "a table is for the terminal"),
        (
            ("-o", "a.html"),
            "a.html: add --format, or a name that ends in .json, .jsonl, .ndjson, .csv, .parquet",
        ),
    ],
)
def test_what_cannot_be_done_is_said_on_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    result = run(tmp_path, *arguments)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_table_that_was_not_classified_is_refused(results: Path) -> None:
    source = results.with_name("inbox") / "b.csv"

    refused = run(source)

    assert refused.exit_code == 2
    assert "b.csv: the table has no column `sentiment`" in refused.stderr


def test_an_export_does_not_replace_the_table_that_it_reads(results: Path) -> None:
    (table,) = results.rglob("part-00000.csv")
    before = table.read_bytes()

    result = run(table, "-o", table)

    assert result.exit_code == 2
    assert "would replace the file that is read" in result.stderr
    assert table.read_bytes() == before


def test_half_a_character_stays_legible_in_parquet(tmp_path: Path) -> None:
    """JSON can hold it, and UTF-8 cannot."""
    row = {"text": "good \ud83d", "sh\ud83dop": "Oslo", "sentiment": "positive", "score": 0.9}
    (tmp_path / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")

    assert run(tmp_path / "a.jsonl", "-o", tmp_path / "a.parquet").exit_code == 0

    (found,) = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (found["text"], found["sh\\ud83dop"]) == ("good \\ud83d", "Oslo")
