"""`reviewbox catalog`: all results as Parquet, in a folder or in S3."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mypy_boto3_s3 import S3Client
from tests import faulty_codec
from tests.catalog.service import Service
from tests.cli.test_results import classify
from tests.cold_start import ROOT
from tests.conftest import BUCKET
from typer.testing import CliRunner, Result

from reviewbox.catalog import CopyOutcome
from reviewbox.cli import app
from reviewbox.model.classifier import Classifier
from reviewbox.results.receipt import Receipt
from reviewbox.settings import Settings
from reviewbox.stack.catalog_copies import Copying, FolderResults, date_of
from reviewbox.stack.stored_results import FolderPlace

CATALOG = "s3://reviewbox/catalog/results/"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["catalog", *(str(argument) for argument in arguments)])


def query(folder: Path, columns: str) -> list[tuple[Any, ...]]:
    results = duckdb.read_parquet(f"{folder}/*/*.parquet", hive_partitioning=True)
    return results.order("source_key, source_line").project(columns).fetchall()


@pytest.fixture
def results(tmp_path: Path, classifier: Classifier) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.txt").write_text("great film", encoding="utf-8")
    (inbox / "b.csv").write_text("id,review\n1,a great film\n2,\n3,awful\n", encoding="utf-8")
    return classify(inbox, classifier)


def test_a_folder_of_results_becomes_a_catalog(results: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"

    printed = run(results, "--output", catalog)

    assert (printed.exit_code, printed.stdout) == (
        0,
        f"{catalog}: 2 results copied, 0 already up to date, 0 removed.\n",
    )
    assert query(catalog, "source_key, source_line, sentiment, error_code, fields['id'], review") == [
        ("a.txt", 1, "positive", None, None, None),
        ("b.csv", 2, "positive", None, "1", "a great film"),
        ("b.csv", 3, None, "empty_review", "2", None),
        ("b.csv", 4, "negative", None, "3", "awful"),
    ]


def test_a_second_run_follows_what_has_changed(results: Path, tmp_path: Path, classifier: Classifier) -> None:
    inbox, catalog = tmp_path / "inbox", tmp_path / "catalog"
    run(results, "--output", catalog)
    assert "0 results copied, 2 already up to date, 0 removed" in run(results, "--output", catalog).stdout

    (inbox / "b.csv").write_text("id,review\n1,a bad film\n", encoding="utf-8")
    classify(inbox, classifier)
    (results / "a.txt.json").unlink()

    assert "1 result copied, 0 already up to date, 1 removed" in run(results, "--output", catalog).stdout
    assert query(catalog, "review, sentiment") == [("a bad film", "negative")]


def test_removed_copies_are_counted_beside_the_others(results: Path, tmp_path: Path) -> None:
    """So that the bar moves while they are removed."""
    catalog, advances = tmp_path / "catalog", list[float]()
    run(results, "--output", catalog)
    (results / "a.txt.json").unlink()
    copying = Copying.between(str(results), str(catalog), Settings())

    receipts = list(copying.list_receipts())
    gone = list(copying.list_gone(receipts))
    outcomes = list(copying.copy([*receipts, *gone], advances.append))

    assert (receipts, gone) == (["b.csv.json"], ["a.txt.json"])
    assert outcomes == [CopyOutcome.CURRENT, CopyOutcome.REMOVED]
    assert sum(advances) == pytest.approx(2)


def test_results_from_before_the_catalog_are_copied_once(s3: S3Client, classifier: Classifier) -> None:
    service = Service(s3, classifier)
    for key in ("incoming/a.txt", "incoming/b.txt"):
        service.upload(key, b"good film")
    service.copy("incoming/a.txt")

    printed = run("s3://reviewbox/results/", "--output", CATALOG)

    assert (printed.exit_code, printed.stdout) == (
        0,
        f"{CATALOG}: 1 result copied, 1 already up to date, 0 removed.\n",
    )
    assert service.query("SELECT source_key FROM results ORDER BY source_key") == [
        ("incoming/a.txt",),
        ("incoming/b.txt",),
    ]


def test_results_in_s3_become_a_catalog_in_a_folder(
    s3: S3Client, classifier: Classifier, tmp_path: Path
) -> None:
    Service(s3, classifier).upload("incoming/a.csv", b"id,review\n1,good film\n")

    assert run("s3://reviewbox/results/", "--output", tmp_path / "catalog").exit_code == 0

    assert query(tmp_path / "catalog", "source_bucket, source_key, review") == [
        (BUCKET, "incoming/a.csv", "good film")
    ]


@pytest.mark.parametrize(
    ("path", "output", "message"),
    [
        ("nowhere", "catalog", "no such file"),
        ("inbox-results", "inbox-results/catalog", "choose another place"),
        ("inbox-results/a.txt.json", "catalog", "not a folder"),
        ("s3://reviewbox/results", CATALOG, "ends with a slash"),
        ("s3://reviewbox/results/", "s3://reviewbox/results/catalog/", "choose another place"),
    ],
)
def test_places_that_cannot_work_are_refused(
    results: Path, s3: S3Client, monkeypatch: pytest.MonkeyPatch, path: str, output: str, message: str
) -> None:
    monkeypatch.chdir(results.parent)

    printed = run(path, "--output", output)

    assert printed.exit_code == 2
    assert message in printed.stderr


def test_the_queries_of_the_guide_merge_small_files(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They run as they stand: a view, a count, and one file per date instead of one per result."""
    monkeypatch.chdir(tmp_path)
    assert run(results, "--output", "inbox-catalog").exit_code == 0
    guide = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)

    with duckdb.connect() as database:
        for text in queries:
            database.execute(text)

    before, after = (query(tmp_path / folder, "*") for folder in ("inbox-catalog", "merged"))
    assert len(queries) == 2
    assert len(list(Path("inbox-catalog").rglob("*.parquet"))) == 2
    assert len(list(Path("merged").rglob("*.parquet"))) == 1
    assert before == after


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root can write to")
def test_the_reason_of_a_failure_is_named(results: Path) -> None:
    result = run(results, "--output", "/proc/catalog")

    assert result.exit_code == 1
    assert "2 results failed: No such file or directory" in result.stderr


def test_a_file_of_any_time_has_a_date() -> None:
    """Some file systems store times that the calendar does not have, and some copies have no time."""
    assert [date_of(seconds) for seconds in (0, 1_798_761_599.9, 253_402_300_800, 1e18, -1, -1e18)] == [
        *("1970-01-01", "2026-12-31", "9999-12-31", "9999-12-31", "1970-01-01", "1970-01-01")
    ]


def test_a_library_that_panics_at_a_result_does_not_stop_the_others(results: Path, tmp_path: Path) -> None:
    class Panicking(FolderResults):
        def uploaded(self, key: str, receipt: Receipt) -> str:
            if key == "a.txt.json":
                raise faulty_codec.PanicException(faulty_codec.SECRET)
            return super().uploaded(key, receipt)

    copying = Copying.between(str(results), str(tmp_path / "catalog"), Settings())
    place = copying.place
    assert isinstance(place, FolderPlace)
    copying = replace(copying, catalog=replace(copying.catalog, results=Panicking(place)))

    failed, copied = copying.copy(["a.txt.json", "b.csv.json"], lambda _: None)

    assert (str(failed), copied) == ("a library failed with PanicException", CopyOutcome.COPIED)
