"""Reviews and their labels from the files that `evaluate` and `compare` take."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from reviewbox.cli.inputs import Input, file_input, files_below, open_document, track_inputs
from reviewbox.cli.progress import SECONDS_BEFORE
from reviewbox.errors import ReviewboxError, SourceError
from reviewbox.model.verdicts import MIXED, NEGATIVE, NEUTRAL, POSITIVE
from reviewbox.settings import Settings
from reviewbox.wording import for_command_line

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


# Yields the rows of a file, and reports the progress to the input.
_Rows = Callable[[Path, Input], Iterator[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class _File:
    """A file, and what yields its rows."""

    path: Path
    rows: _Rows


def read_reviews(
    paths: Iterable[Path], settings: Settings | None = None, *, seconds_before: float = SECONDS_BEFORE
) -> list[Review]:
    """Return the reviews of CSV, JSON Lines and Parquet files and of aclImdb folders; show the progress.

    With settings, other files and folders are read as `classify` does.

    Raises:
        ReviewboxError: a row cannot be read; the message names the file and the row.
    """
    files = [file for path in paths for file in _find_files(path, settings)]
    found = [file_input(file.path) for file in files]
    reviews: list[Review] = []
    # If there is an error, the bar is closed before the error is printed.
    with closing(track_inputs(found, "Reading", seconds_before=seconds_before)) as inputs:
        for file, item in zip(files, inputs, strict=True):
            reviews += _read(file, item)
    return reviews


def _find_files(path: Path, settings: Settings | None) -> Iterator[_File]:
    """Yield a file, or the files of a folder."""
    rows = _READERS.get(path.suffix.lower())
    if path.is_dir() and (settings is None or any((path / part / "neg").is_dir() for part in ("", "test"))):
        yield from _find_acl_imdb(path)
    elif path.is_dir():
        for file in files_below(path):
            yield from _find_files(file, settings)
    elif settings and not (rows and _has_named_columns(path, rows)):
        yield _File(path, partial(_any_rows, settings))
    elif rows:
        yield _File(path, rows)
    else:
        raise ReviewboxError(f"{path}: expected one of {', '.join(_READERS)} or an aclImdb folder")


def _find_acl_imdb(path: Path) -> Iterator[_File]:
    split = path / "test" if (path / "test").is_dir() else path
    for folder in (split / "neg", split / "pos"):
        texts = sorted(folder.glob("*.txt"))
        if not texts:
            raise ReviewboxError(f"{folder} holds no .txt files: expected an aclImdb folder")
        yield from (_File(text, _text_rows) for text in texts)


def _has_named_columns(path: Path, rows: _Rows) -> bool:
    """Return whether the first row has a text, or what looks like a label, as `evaluate` needs them."""
    with suppress(TypeError, ValueError, LookupError, OSError, csv.Error):
        first = next(rows(path, file_input(path)), {})
        return "text" in first or any("label" in str(name) for name in first)
    return False


def _read(file: _File, item: Input) -> Iterator[Review]:
    path, number = file.path, 0
    try:
        for number, row in enumerate(file.rows(path, item), 1):
            text, place = row.get("text"), f"{path}, row {number}"
            if not isinstance(text, str):
                columns = ", ".join(repr(name) for name in row if name is not None)
                raise ReviewboxError(f"{place}: no `text`; {_COLUMNS_HINT}; the columns are {columns}")
            yield Review(str(path), number, text, _parse_label(row.get("label"), place))
    except SourceError as error:
        raise ReviewboxError(f"{path}: {for_command_line(str(error))}") from None
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


def _csv_rows(path: Path, item: Input) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    return iter(csv.DictReader(_lines(path, item)))


def _json_rows(path: Path, item: Input) -> Iterator[Mapping[str, Any]]:
    return (dict(json.loads(line)) for line in _lines(path, item) if line.strip())


def _lines(path: Path, item: Input) -> Iterator[str]:
    with path.open("rb") as stored, TextIOWrapper(stored, encoding="utf-8-sig", newline="") as text:
        size = max(path.stat().st_size, 1)
        for line in text:
            yield line
            item.on_share(stored.tell() / size)


def _parquet_rows(path: Path, item: Input) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet

    file, done = pyarrow.parquet.ParquetFile(path), 0
    for batch in file.iter_batches(columns=["text", "label"]):
        yield from batch.to_pylist()
        done += batch.num_rows
        item.on_share(done / file.metadata.num_rows)


def _any_rows(settings: Settings, _path: Path, item: Input) -> Iterator[Mapping[str, Any]]:
    with open_document(item, settings) as opened:
        for row, share in opened.document.rows_with_shares():
            if not row.is_passthrough:
                yield {"text": row.text}
            item.on_share(share)


def _text_rows(path: Path, _item: Input) -> Iterator[Mapping[str, Any]]:
    yield {"text": path.read_text(encoding="utf-8"), "label": path.parent.name}


_READERS: Mapping[str, _Rows] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".parquet": _parquet_rows,
}
