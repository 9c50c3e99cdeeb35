"""Runs docs/recipes.md as it stands, from top to bottom, in a folder with sample results."""

import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.docs.sandbox import ROOT, Sandbox, blocks, sandbox, upload_results

PAGE = ROOT / "docs" / "recipes.md"
NOTEBOOK = ROOT / "docs" / "recipes.ipynb"
PARQUET = ("results.parquet", "answers.parquet")
SCRIPT = re.compile(r"# (\w+\.py)\n")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder after all recipes have run, and the standard output of each command."""
    folder = tmp_path_factory.mktemp("recipes")
    with sandbox(folder) as box:
        upload_results(folder)
        yield folder, run_page(box)


def run_page(box: Sandbox) -> dict[str, str]:
    printed = {}
    for language, text in blocks(PAGE):
        if language == "python":
            match = SCRIPT.match(text)
            assert match, "the first line of a script is a comment with its name"
            (box.folder / match[1]).write_text(text, encoding="utf-8")
            continue
        assert language == "sh"
        for command in text.splitlines():
            if command == "python answers.py":
                answer_queue(box.folder)
            result = box.run(command)
            assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
            printed[command] = result.stdout
    return printed


def answer_queue(folder: Path) -> None:
    """Do what the page asks a person to do."""
    with (folder / "queue.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["answer"] = "neutral"
    with (folder / "queue.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def query(sql: str) -> Any:
    return duckdb.sql(sql)


Outputs = tuple[Path, dict[str, str]]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_daily_share_has_a_row_for_each_day_and_product(outputs: Outputs) -> None:
    rows = read_csv(outputs[0] / "daily_share.csv")

    assert len(rows) == 60
    last = rows[-1]
    assert (last["day"], last["product"]) == ("2026-10-30", "lamp")
    assert float(last["negative"]) > 0.8
    assert float(rows[-2]["negative"]) < 0.5


def test_the_alert_tells_of_the_product_whose_negatives_jump(outputs: Outputs) -> None:
    (line,) = (outputs[0] / "alert.txt").read_text(encoding="utf-8").splitlines()
    (printed,) = (text for command, text in outputs[1].items() if "aws sns publish" in command)

    assert re.fullmatch(r"lamp: \d+% of \d+ reviews are negative, after \d+% in four weeks", line)
    assert "MessageId" in printed


def test_the_alert_is_silent_on_other_days(outputs: Outputs, tmp_path: Path) -> None:
    (tmp_path / "alert.py").write_text(
        (outputs[0] / "alert.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    source, target = outputs[0] / "results.parquet", tmp_path / "results.parquet"
    query(f"SELECT * FROM '{source}' WHERE created_at < '2026-10-30'").write_parquet(str(target))

    result = Sandbox(tmp_path, {"PATH": f"{outputs[0] / '.bin'}:/usr/bin:/bin"}).run("python alert.py")

    assert (result.returncode, result.stdout) == (0, "")


def test_the_answers_of_a_person_take_precedence(outputs: Outputs) -> None:
    folder = outputs[0]
    queue = read_csv(folder / "queue.csv")
    path = folder / "answers.parquet"
    by_person = query(f"SELECT source_line, sentiment FROM '{path}' WHERE by_person").fetchall()
    counts = [query(f"SELECT count(*) FROM '{folder / name}'").fetchall() for name in PARQUET]

    assert [float(row["score"]) for row in queue] == sorted(float(row["score"]) for row in queue)
    assert by_person == [(int(queue[0]["source_line"]), "neutral")]
    assert counts[0] == counts[1]


def test_the_catalog_names_the_product_with_the_most_negative_reviews(outputs: Outputs) -> None:
    rows = read_csv(outputs[0] / "worst.csv")

    assert [row["product"] for row in rows[:2]] == ["lamp", "kettle"]
    assert int(rows[0]["negative"]) > int(rows[1]["negative"]) > 0


def test_each_order_gets_its_verdict(outputs: Outputs) -> None:
    with closing(sqlite3.connect(outputs[0] / "orders.db")) as database:
        rows = database.execute("SELECT count(*), count(DISTINCT order_id) FROM order_sentiment").fetchone()

    assert rows == (83, 83)  # all but the one without a comment


def test_the_cells_of_the_notebook_run_in_order(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(outputs[0])
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    names: dict[str, object] = {}

    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        exec("".join(cell["source"]), names)  # noqa: S102 - our own notebook

    assert len(cells) == 5
    assert not any(cell["outputs"] for cell in cells)
    assert len(names["failed"]) == 1  # type: ignore[arg-type]
    assert {"kettle", "lamp"} <= set(names["answers"].index)  # type: ignore[attr-defined]
