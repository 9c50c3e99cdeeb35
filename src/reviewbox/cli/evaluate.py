"""`reviewbox evaluate`: a model's accuracy, calibration and processor time on labeled reviews."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewbox.cli.labeled_reviews import LABELS, LABELS_HINT, read_reviews
from reviewbox.cli.loading import load_model
from reviewbox.cli.output import Format, flat, print_report
from reviewbox.cli.progress import progress_bar
from reviewbox.cli.render import print_plain
from reviewbox.errors import Problem, ReviewboxError
from reviewbox.model.verdicts import NEGATIVE, POSITIVE, Verdict

_CALIBRATION_BINS = 15


def evaluate_files(files: Sequence[Path], model: Path | None, threads: int, format_: Format) -> None:
    """Print a model's metrics over all reviews of the files.

    If no review is labeled neutral or mixed, the model answers only positive or negative.

    Raises:
        ReviewboxError: a file cannot be read, a label is missing or unknown, or the model has other labels.
    """
    reviews = read_reviews(files)
    if not reviews:
        raise ReviewboxError("the files hold no labeled reviews")
    unlabeled = next((review for review in reviews if review.label is None), None)
    if unlabeled:
        raise ReviewboxError(f"{unlabeled.file}, row {unlabeled.row}: no `label`; add {LABELS_HINT}")
    labels = [str(review.label) for review in reviews]
    classifier = load_model(model, threads, two_labels=set(labels) <= {NEGATIVE, POSITIVE})
    unknown = [label for label in classifier.answers.labels if label.lower() not in LABELS]
    if unknown:
        raise ReviewboxError(
            f"the model has the labels {unknown}, but only {', '.join(sorted(LABELS))} can be evaluated"
        )

    started = time.process_time()
    with progress_bar("Evaluating", len(reviews)) as update:
        texts = [review.text for review in reviews]
        each = classifier.classify_each(texts, explain=False, before_run=lambda done: update(completed=done))
        outcomes = list(each)
    metrics = _metrics(outcomes, labels, time.process_time() - started)
    if format_ is Format.TABLE:
        _print(metrics)
    else:
        print_report(metrics, [flat(metrics)], format_)


def _metrics(
    outcomes: Sequence[Verdict | Problem], labels: Sequence[str], cpu_seconds: float
) -> dict[str, Any]:
    expected = np.array(labels)
    # A review without a verdict counts as wrong.
    predicted = np.array(["" if isinstance(o, Problem) else LABELS[o.label.lower()] for o in outcomes])
    scores = np.array([0.0 if isinstance(o, Problem) else o.score for o in outcomes])
    correct = predicted == expected
    recalls = {str(label): float(correct[expected == label].mean()) for label in np.unique(expected)}
    return {
        "n": len(labels),
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(np.mean(list(recalls.values()))),
        "recall": recalls,
        "ece": calibration_error(scores[predicted != ""], correct[predicted != ""]),
        "cpu_ms_per_review": 1000 * cpu_seconds / len(labels),
    }


def _print(metrics: Mapping[str, Any]) -> None:
    print_plain(f"{metrics['n']:,} reviews")
    print_plain(f"accuracy           {metrics['accuracy']:.2%}")
    print_plain(f"balanced accuracy  {metrics['balanced_accuracy']:.2%}")
    for label, recall in metrics["recall"].items():
        print_plain(f"  of {label:<14}  {recall:.2%}")
    print_plain(f"calibration error  {metrics['ece']:.4f}")
    print_plain(f"CPU per review     {metrics['cpu_ms_per_review']:.1f} ms")


def calibration_error(scores: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error of scores in `(0, 1]`; both arrays have shape (N,).

    It is the mean of |accuracy - mean score| over 15 bins of equal width, weighted by the number of reviews
    in a bin (Guo et al. 2017).
    """
    if not len(scores):
        return 0.0
    bins = np.ceil(scores * _CALIBRATION_BINS).astype(int)
    gaps = [
        (bins == number).mean() * abs(correct[bins == number].mean() - scores[bins == number].mean())
        for number in np.unique(bins)
    ]
    return float(sum(gaps))
