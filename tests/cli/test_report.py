from pathlib import Path

import pytest
from tests.report.pages import data_of, texts_of
from typer.testing import CliRunner

from reviewbox.cli import app
from reviewbox.cli.watch import watch_folder
from reviewbox.model.classifier import Classifier
from reviewbox.settings import Settings


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def results(tmp_path: Path, classifier: Classifier) -> Path:
    """The results of a table of five reviews, and of one review in a file."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    rows = ["good film . the film", "great film", "awful film", "bad film .", ""]
    table = "".join(f"{'ab'[n % 2]},{row}\n" for n, row in enumerate(rows))
    (inbox / "reviews.csv").write_text(f"shop,review\n{table}", encoding="utf-8")
    (inbox / "letter.txt").write_text("good good film . bad film .", encoding="utf-8")
    watcher = watch_folder(inbox, None, classifier, Settings(), lambda *_: None)
    watcher.scan()
    watcher.scan()
    return watcher.results


def test_a_page_is_written_and_named_with_its_size(results: Path, tiny_model: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"

    output = run(results, "-o", page, "--model", tiny_model, "--title", "My shop")

    assert "page.html: 5 reviews" in output
    assert "kB" in output
    assert "1 failed" in output
    assert "<h1>My shop</h1>" in page.read_text(encoding="utf-8")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_sentences_are_shown_by_what_they_say(results: Path, tiny_model: Path, tmp_path: Path) -> None:
    run(results / "letter.txt.json", "-o", tmp_path / "page.html", "--model", tiny_model)

    data = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))

    (review,) = data["reviews"]
    assert [
        (segment[0], data["said"][segment[1]]) for segment in review["segments"] if segment[0].strip()
    ] == [
        ("good good film .", "positive"),
        ("bad film .", "negative"),
    ]
    assert "which also made the results" in data["sentencesBy"]


def test_the_page_can_be_shared_without_texts(results: Path, tiny_model: Path, tmp_path: Path) -> None:
    run(results, "-o", tmp_path / "page.html", "--model", tiny_model, "--redact")

    assert set(texts_of((tmp_path / "page.html").read_text(encoding="utf-8"))) == {""}


def test_columns_can_be_chosen(results: Path, tmp_path: Path) -> None:
    run(results, "-o", tmp_path / "page.html", "--by", "shop", "--sentences", "0")

    dimensions = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))["dimensions"]
    assert [dimension["name"] for dimension in dimensions] == ["file", "shop"]


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    assert "no results here" in run(tmp_path, "-o", tmp_path / "page.html", "--sentences", "0", status=2)
    assert not (tmp_path / "page.html").exists()


def test_a_page_under_the_name_of_something_else_is_refused(results: Path, tmp_path: Path) -> None:
    output = run(results, "-o", tmp_path / "report.pdf", status=2)

    assert "report.pdf: the report is an HTML page; choose a name that ends in .html" in output
    assert not (tmp_path / "report.pdf").exists()


def test_a_column_that_no_table_has_is_refused(results: Path, tmp_path: Path) -> None:
    output = run(results, "-o", tmp_path / "page.html", "--by", "colour", "--sentences", "0", status=2)

    assert "no result has the column 'colour'; the columns are 'shop'" in output


def test_a_page_that_cannot_be_written_is_reported(results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    output = run(results, "-o", tmp_path / "file" / "page.html", "--sentences", "0", status=2)

    assert f"reviewbox: {tmp_path / 'file'}" in output.replace("\n", "")


@pytest.mark.parametrize(("option", "kind"), [("--rating", "ratings"), ("--date", "dates")])
def test_a_column_that_cannot_be_what_it_was_named_as_is_refused(
    option: str, kind: str, results: Path, tmp_path: Path
) -> None:
    output = run(results, "-o", tmp_path / "page.html", "--sentences", 0, option, "shop", status=2)

    assert f"the values of 'shop' are not {kind}" in output
