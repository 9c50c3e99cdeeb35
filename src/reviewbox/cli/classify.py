"""`reviewbox classify`: the service's own reading and judging, on local files."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reviewbox.cli.tables import console, outcome_cells, outcome_table
from reviewbox.documents import ReadOptions, read_document
from reviewbox.errors import Problem, ReviewboxError, SourceError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.pipeline import classify_rows
from reviewbox.results import problem_fields, verdict_fields
from reviewbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Classified:
    """One review of one file, and what became of it.

    Attributes:
        file: its path as given.
        line: where it starts there, from 1.
        text: the review; "" if it could not be read.
        outcome: its verdict, or why it has none.
    """

    file: str
    line: int
    text: str
    outcome: Verdict | Problem


def classify_paths(paths: Sequence[str], model: Path, threads: int, text_field: str) -> bool:
    """Classify and print every review of the files; return whether each has a verdict.

    Raises:
        ReviewboxError: a path does not exist, or the model cannot be loaded.
    """
    files = [file for path in paths for file in _files(path)]
    settings = Settings(text_field=text_field)
    reviews = _classify(files, Classifier.load(model, threads=threads), settings)
    return (_print_table if sys.stdout.isatty() else _print_json_lines)(reviews, settings)


def _files(path: str) -> list[str]:
    if path == "-":
        return [path]
    if Path(path).is_dir():
        return [str(file) for file in files_below(Path(path))]
    if not Path(path).exists():
        raise ReviewboxError(f"{path}: no such file or folder")
    return [path]


def files_below(folder: Path) -> list[Path]:
    """Return the files below a folder in order, hidden ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _classify(files: Iterable[str], classifier: Classifier, settings: Settings) -> Iterator[Classified]:
    options = ReadOptions(settings.text_field, settings.fallback_encoding)
    for file in files:
        name, content = (file, Path(file).read_bytes()) if file != "-" else _stdin()
        try:
            document = read_document(name, "", content, options)
        except SourceError as error:
            yield Classified(file, 1, "", error.problem)
            continue
        for row, outcome in classify_rows(document, classifier):
            yield Classified(file, row.line, row.text, outcome)


def _stdin() -> tuple[str, bytes]:
    """Read stdin; nothing names its format, but JSON Lines begin with a brace and reviews do not."""
    content = sys.stdin.buffer.read()
    return "stdin.jsonl" if content.lstrip().startswith(b"{") else "stdin.txt", content


def _fields(outcome: Verdict | Problem, settings: Settings) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return problem_fields(outcome)
    return verdict_fields(outcome, settings.needs_review_below)


def _print_json_lines(reviews: Iterable[Classified], settings: Settings) -> bool:
    failed = 0
    for review in reviews:
        failed += isinstance(review.outcome, Problem)
        place = {"file": review.file, "line": review.line}
        print(json.dumps(place | _fields(review.outcome, settings), ensure_ascii=False), flush=True)
    return not failed


def _print_table(reviews: Iterable[Classified], settings: Settings) -> bool:
    table = outcome_table("file", "line")
    failed = 0
    for review in reviews:
        failed += isinstance(review.outcome, Problem)
        cells = outcome_cells(_fields(review.outcome, settings), review.text)
        table.add_row(review.file, str(review.line), *cells)
    console().print(table)
    return not failed
