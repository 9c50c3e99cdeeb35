"""`reviewbox evaluate`: how right a model is, how well its scores are calibrated, what it costs."""

import csv
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from reviewbox.errors import Problem, ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

# What a label may be called, lowercased: 0 is negative, 1 positive.
LABELS = {
    "0": 0, "neg": 0, "negative": 0, "label_0": 0,
    "1": 1, "pos": 1, "positive": 1, "label_1": 1,
}  # fmt: skip

_CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True)
class Review:
    """A review of a file.

    Attributes:
        file: its path.
        row: which of the file's rows it is, from 1; a header is none.
        text: the review.
        label: whether it is positive (1) or negative (0); None if the row does not say.
    """

    file: str
    row: int
    text: str
    label: int | None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A review and whether it is positive (1) or negative (0)."""

    text: str
    label: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What an evaluation found.

    Attributes:
        n: how many reviews; one without a verdict counts as wrong.
        accuracy: the share of right verdicts.
        balanced_accuracy: the mean over the labels of the share of right verdicts among theirs.
        ece: expected calibration error: the mean, over 15 bins of equal width weighted by their
            reviews, of |accuracy - mean score| (Guo et al. 2017).
        cpu_ms_per_review: processor time, all threads together, in milliseconds.
    """

    n: int
    accuracy: float
    balanced_accuracy: float
    ece: float
    cpu_ms_per_review: float


def evaluate_files(files: Sequence[Path], model: Path, threads: int, *, as_json: bool) -> None:
    """Print the figures over all reviews of the files.

    Raises:
        ReviewboxError: a file cannot be read, a label is unknown, or the model has other labels.
    """
    reviews = [review for file in files for review in read_labelled(file)]
    if not reviews:
        raise ReviewboxError("there is not one labelled review")
    classifier = Classifier.load(model, threads=threads)
    unknown = [label for label in classifier.bundle.labels if label.lower() not in LABELS]
    if unknown:
        raise ReviewboxError(f"the model's labels {unknown} are neither negative nor positive")

    started = time.process_time()
    outcomes = list(
        track(
            classifier.classify_each((review.text for review in reviews), explain=False),
            description="evaluating",
            total=len(reviews),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
    )
    found = figures([review.label for review in reviews], outcomes, time.process_time() - started)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    print(f"{found.n:,} reviews")
    print(f"accuracy           {found.accuracy:.2%}")
    print(f"balanced accuracy  {found.balanced_accuracy:.2%}")
    print(f"calibration error  {found.ece:.4f}")
    print(f"CPU per review     {found.cpu_ms_per_review:.1f} ms")


def figures(labels: Sequence[int], outcomes: Sequence[Verdict | Problem], cpu_seconds: float) -> Figures:
    """Compare verdicts with labels, which are 0 or 1, in the same order."""
    expected = np.array(labels)
    predicted = np.array([-1 if isinstance(o, Problem) else LABELS[o.label.lower()] for o in outcomes])
    scores = np.array([0.0 if isinstance(o, Problem) else o.score for o in outcomes])
    right = predicted == expected
    return Figures(
        n=len(labels),
        accuracy=float(right.mean()),
        balanced_accuracy=float(np.mean([right[expected == label].mean() for label in np.unique(expected)])),
        ece=calibration_error(scores[predicted >= 0], right[predicted >= 0]),
        cpu_ms_per_review=1000 * cpu_seconds / len(labels),
    )


def calibration_error(scores: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error of `scores`, shape (N,), in `(0, 1]`."""
    if not len(scores):
        return 0.0
    bins = np.ceil(scores * _CALIBRATION_BINS).astype(int)
    gaps = [
        (bins == number).mean() * abs(right[bins == number].mean() - scores[bins == number].mean())
        for number in np.unique(bins)
    ]
    return float(sum(gaps))


def read_labelled(path: Path) -> Iterator[Labelled]:
    """Yield the reviews of a file or folder that `read_reviews` takes.

    Raises:
        ReviewboxError: names the file and row that cannot be read, or has no label.
    """
    for review in read_reviews(path):
        if review.label is None:
            raise ReviewboxError(
                f"{review.file}, row {review.row}: no `label`; 0/1, neg/pos or negative/positive is needed"
            )
        yield Labelled(review.text, review.label)


def read_reviews(path: Path) -> Iterator[Review]:
    """Yield the reviews of a CSV, JSON Lines or Parquet file, or of an aclImdb folder.

    Raises:
        ReviewboxError: names the file and row that cannot be read.
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
            yield _review(row, str(path), number)
    except (ValueError, LookupError, OSError, csv.Error) as error:  # pyarrow's errors are among them
        raise ReviewboxError(f"{path}, after row {number}: {error}") from None


def _review(row: Mapping[str, Any], file: str, number: int) -> Review:
    text = row.get("text")
    if not isinstance(text, str):
        raise ReviewboxError(f"{file}, row {number}: no `text`; the columns are {', '.join(map(str, row))}")
    return Review(file, number, text, _label(row.get("label"), f"{file}, row {number}"))


def _label(label: Any, where: str) -> int | None:
    name = "" if label is None else str(label).strip().lower()
    if not name:
        return None
    with suppress(TypeError, ValueError):
        name = f"{float(label):g}"  # 1, 1.0, true, "1" and "1.0" are one label
    if name not in LABELS:
        raise ReviewboxError(f"{where}: `label` is {label!r}, not 0/1, neg/pos or negative/positive")
    return LABELS[name]


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _json_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield dict(json.loads(line))
            except (TypeError, ValueError):
                raise ReviewboxError(f"{path}, line {number}: not a JSON object") from None


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(columns=["text", "label"]):
        yield from batch.to_pylist()


def _read_acl_imdb(folder: Path) -> Iterator[Review]:
    split = folder / "test" if (folder / "test").is_dir() else folder
    for name, label in (("neg", 0), ("pos", 1)):
        files = sorted((split / name).glob("*.txt"))
        if not files:
            raise ReviewboxError(f"{split / name} holds no .txt files: expected an aclImdb folder")
        yield from (Review(str(file), 1, file.read_text(encoding="utf-8"), label) for file in files)
