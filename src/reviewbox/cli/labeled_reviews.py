"""Reviews and their labels from the files that `evaluate` and `compare` take."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reviewbox.errors import ReviewboxError
from reviewbox.model.verdicts import MIXED, NEGATIVE, NEUTRAL, POSITIVE

# The labels by their accepted names, in lower case.
LABELS = {
    "0": NEGATIVE, "neg": NEGATIVE, "negative": NEGATIVE, "label_0": NEGATIVE,
    "1": POSITIVE, "pos": POSITIVE, "positive": POSITIVE, "label_1": POSITIVE,
    "mixed": MIXED, "neutral": NEUTRAL,
}  # fmt: skip

_COLUMNS_HINT = "a CSV file needs commas, and a column `text` with the reviews"
LABELS_HINT = "0/1, neg/pos, or negative, neutral, mixed and positive"


@dataclass(frozen=True, slots=True)
class Review:
    """A review of a file, with its label if it has one."""

    file: str
    row: int  # from 1; a header row does not count
    text: str
    label: str | None  # a value of `LABELS`


def read_reviews(path: Path) -> Iterator[Review]:
    """Yield the reviews of a CSV, JSON Lines or Parquet file, or of an aclImdb folder.

    Raises:
        ReviewboxError: a row cannot be read; the message names the file and the row.
    """
    if path.is_dir():
        yield from _read_acl_imdb(path)
        return
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ReviewboxError(f"{path}: expected one of {', '.join(readers)} or an aclImdb folder")
    number = 0
    try:
        for number, row in enumerate(reader(path), 1):
            text, place = row.get("text"), f"{path}, row {number}"
            if not isinstance(text, str):
                columns = ", ".join(repr(name) for name in row if name is not None)
                raise ReviewboxError(f"{place}: no `text`; {_COLUMNS_HINT}; the columns are {columns}")
            yield Review(str(path), number, text, _parse_label(row.get("label"), place))
    except (TypeError, ValueError, LookupError, OSError, csv.Error) as error:  # includes pyarrow's errors
        raise ReviewboxError(f"{path}, after row {number}: {error}") from None


def _parse_label(label: Any, place: str) -> str | None:
    name = "" if label is None else str(label).strip().lower()
    if not name:
        return None
    with suppress(TypeError, ValueError):
        name = f"{float(label):g}"  # 1, 1.0, true, "1" and "1.0" are the same label
    if name not in LABELS:
        raise ReviewboxError(f"{place}: `label` is {label!r}, not {LABELS_HINT}")
    return LABELS[name]


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _json_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        yield from (dict(json.loads(line)) for line in file if line.strip())


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(columns=["text", "label"]):
        yield from batch.to_pylist()


def _read_acl_imdb(folder: Path) -> Iterator[Review]:
    split = folder / "test" if (folder / "test").is_dir() else folder
    for name, label in (("neg", NEGATIVE), ("pos", POSITIVE)):
        files = sorted((split / name).glob("*.txt"))
        if not files:
            raise ReviewboxError(f"{split / name} holds no .txt files: expected an aclImdb folder")
        yield from (Review(str(file), 1, file.read_text(encoding="utf-8"), label) for file in files)
