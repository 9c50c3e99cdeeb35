"""`reviewbox compare`: the reviews on which two models disagree, and the cost of each model."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from reviewbox.cli.labeled_reviews import LABELS, Review, read_reviews
from reviewbox.cli.render import console, printable
from reviewbox.errors import Problem, ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

_NEGATIVE, _POSITIVE = "negative", "positive"

# The models alternate every few seconds, so that other load on the machine slows both equally. A turn has
# enough reviews to fill the batches of inference.
_REVIEWS_PER_TURN = 32

# The first runs of a graph are slower because they allocate memory.
_WARM_UP_REVIEWS = 4


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's verdict on a review.

    Attributes:
        label: the label, under the name that both models share.
        score: the probability of the label.
        positive: the probability of "positive".
    """

    label: str
    score: float
    positive: float


@dataclass(frozen=True, slots=True)
class ModelRun:
    """A model's predictions for all reviews, and their cost.

    Attributes:
        predictions: one per review, in order; None for a review without a verdict.
        tokens: the number of tokens of the reviews with a verdict, from the model's own tokenizer.
        cpu_seconds: processor time of all threads.
    """

    predictions: Sequence[Prediction | None]
    tokens: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """One model's part of a comparison.

    Attributes:
        model: the model's folder, as given.
        without_verdict: the number of reviews without a verdict.
        accuracy: the share of correct verdicts, where a missing verdict counts as wrong; None unless every
            review has a label.
        cpu_ms_per_review: processor time of all threads, in milliseconds.
        cpu_ms_per_1000_tokens: the same per 1,000 tokens of the model's own tokenizer.
    """

    model: str
    without_verdict: int
    accuracy: float | None
    cpu_ms_per_review: float
    cpu_ms_per_1000_tokens: float


@dataclass(frozen=True, slots=True)
class Direction:
    """The number of reviews that model A labels `a` and model B labels `b`."""

    a: str
    b: str
    reviews: int


@dataclass(frozen=True, slots=True)
class Flip:
    """A review that the models label differently, with both predictions."""

    review: Review
    a: Prediction
    b: Prediction


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between model A and model B.

    Attributes:
        reviews: the number of reviews.
        compared: the number of reviews with a verdict from both models, which the following figures cover.
        agreement: the share of reviews that both models label equally.
        mean_difference: the mean of |P_B(positive) - P_A(positive)|.
        largest_difference: the maximum of |P_B(positive) - P_A(positive)|.
        a: the metrics of model A.
        b: the metrics of model B.
        cpu_ratio_per_review: model B's processor time divided by model A's.
        cpu_ratio_per_1000_tokens: the same per 1,000 tokens of each model's own tokenizer.
        directions: the number of flips for each pair of different labels.
        flips: the flipped reviews, in descending order of the sum of both scores.
    """

    reviews: int
    compared: int
    agreement: float
    mean_difference: float
    largest_difference: float
    a: ModelMetrics
    b: ModelMetrics
    cpu_ratio_per_review: float
    cpu_ratio_per_1000_tokens: float
    directions: tuple[Direction, ...]
    flips: tuple[Flip, ...]


def compare_models(model_a: Path, model_b: Path, files: Sequence[Path], threads: int) -> Comparison:
    """Return the differences between two models over all reviews of the files.

    Args:
        model_a: a model folder.
        model_b: another model folder.
        files: as `read_reviews` takes them; labels are optional.
        threads: the number of threads for inference.

    Raises:
        ReviewboxError: a file or model cannot be read, the models' labels differ, or no review has a
            verdict from both models.
    """
    classifiers = [Classifier.load(model, threads=threads) for model in (model_a, model_b)]
    names = shared_label_names(*classifiers)
    reviews = [review for file in files for review in read_reviews(file)]
    run_a, run_b = classify_alternately([review.text for review in reviews], classifiers, names)
    rows = zip(reviews, run_a.predictions, run_b.predictions, strict=True)
    pairs = [Flip(review, a, b) for review, a, b in rows if a and b]
    if not pairs:
        raise ReviewboxError(f"none of the {len(reviews):,} reviews has a verdict from both models")
    differences = np.array([abs(pair.b.positive - pair.a.positive) for pair in pairs])
    flips = [pair for pair in pairs if pair.a.label != pair.b.label]
    counts = Counter((flip.a.label, flip.b.label) for flip in flips)
    a, b = _metrics(model_a, run_a, reviews), _metrics(model_b, run_b, reviews)
    return Comparison(
        reviews=len(reviews),
        compared=len(pairs),
        agreement=1 - len(flips) / len(pairs),
        mean_difference=float(differences.mean()),
        largest_difference=float(differences.max()),
        a=a,
        b=b,
        cpu_ratio_per_review=b.cpu_ms_per_review / a.cpu_ms_per_review,
        cpu_ratio_per_1000_tokens=b.cpu_ms_per_1000_tokens / a.cpu_ms_per_1000_tokens,
        directions=tuple(Direction(*pair, counts[pair]) for pair in permutations(names[0].values(), 2)),
        flips=tuple(sorted(flips, key=lambda flip: -(flip.a.score + flip.b.score))),
    )


def print_comparison(comparison: Comparison, max_flips: int, *, show_text: bool, as_json: bool) -> None:
    """Print a comparison.

    Args:
        comparison: the comparison.
        max_flips: the maximum number of flipped reviews to list.
        show_text: whether to print the reviews' texts.
        as_json: whether to print one JSON object.
    """
    flips = comparison.flips[:max_flips]
    if as_json:
        listed = [_flip_fields(flip, show_text=show_text) for flip in flips]
        print(json.dumps(asdict(replace(comparison, flips=())) | {"flips": listed}, ensure_ascii=False))
        return
    _print_metrics(comparison)
    if flips:
        console().print(_flips_table(flips, show_text=show_text))
    if len(flips) < len(comparison.flips):
        total = len(comparison.flips)
        print(f"{total:,} flips, {len(flips):,} listed; pass --flips {total} to list all")


def shared_label_names(a: Classifier, b: Classifier) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return for each model a mapping of its labels to the names that both models share.

    If all labels of a model mean negative or positive (see `LABELS`), the names are "negative" and
    "positive". Otherwise the names are the labels in lower case, because among three labels "1" need not be
    positive.

    Raises:
        ReviewboxError: the models' labels differ, or none is "positive".
    """
    names = _label_names(a.bundle.labels), _label_names(b.bundle.labels)
    if set(names[0].values()) != set(names[1].values()):
        raise ReviewboxError(
            f"the models' labels differ: {a.bundle.folder} has {', '.join(a.bundle.labels)}, "
            f"{b.bundle.folder} has {', '.join(b.bundle.labels)}"
        )
    if _POSITIVE not in names[0].values():
        raise ReviewboxError(f"none of the models' labels {', '.join(a.bundle.labels)} is positive")
    return names


def _label_names(labels: Sequence[str]) -> Mapping[str, str]:
    known = all(label.lower() in LABELS for label in labels)
    return {
        label: (_NEGATIVE, _POSITIVE)[LABELS[label.lower()]] if known else label.lower() for label in labels
    }


def classify_alternately(
    texts: Sequence[str], classifiers: Sequence[Classifier], names: Sequence[Mapping[str, str]]
) -> list[ModelRun]:
    """Classify all texts with each model, a few texts at a time, and measure the processor time.

    Args:
        texts: the reviews.
        classifiers: the models.
        names: the shared label names of each model.
    """
    for classifier in classifiers:
        list(classifier.classify_each(texts[:_WARM_UP_REVIEWS], explain=False))
    outcomes: list[list[Verdict | Problem]] = [[] for _ in classifiers]
    seconds = [0.0 for _ in classifiers]
    order = list(range(len(classifiers)))
    for chunk in _chunks(texts):
        for model in order:
            started = time.process_time()
            outcomes[model] += classifiers[model].classify_each(chunk, explain=False)
            seconds[model] += time.process_time() - started
        order.reverse()  # so that neither model always runs with the caches that the other has filled
    return [
        ModelRun(
            [None if isinstance(outcome, Problem) else _prediction(outcome, labels) for outcome in of_model],
            sum(outcome.tokens for outcome in of_model if not isinstance(outcome, Problem)),
            cpu_seconds,
        )
        for of_model, labels, cpu_seconds in zip(outcomes, names, seconds, strict=True)
    ]


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    starts = track(
        range(0, len(texts), _REVIEWS_PER_TURN),
        description="comparing",
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    for start in starts:
        yield texts[start : start + _REVIEWS_PER_TURN]


def _prediction(verdict: Verdict, names: Mapping[str, str]) -> Prediction:
    scores = {names[label]: score for label, score in verdict.scores.items()}
    return Prediction(names[verdict.label], verdict.score, scores[_POSITIVE])


def _metrics(model: Path, run: ModelRun, reviews: Sequence[Review]) -> ModelMetrics:
    correct = [
        prediction is not None and prediction.label == (_NEGATIVE, _POSITIVE)[review.label]
        for review, prediction in zip(reviews, run.predictions, strict=True)
        if review.label is not None
    ]
    milliseconds = 1000 * run.cpu_seconds
    return ModelMetrics(
        model=printable(str(model)),
        without_verdict=sum(prediction is None for prediction in run.predictions),
        accuracy=sum(correct) / len(correct) if len(correct) == len(reviews) else None,
        cpu_ms_per_review=milliseconds / len(reviews),
        cpu_ms_per_1000_tokens=1000 * milliseconds / run.tokens,
    )


def _flip_fields(flip: Flip, *, show_text: bool) -> dict[str, Any]:
    place = {"file": printable(flip.review.file), "row": flip.review.row}
    text = {"text": printable(flip.review.text)} if show_text else {}
    return place | {"a": asdict(flip.a), "b": asdict(flip.b)} | text


def _print_metrics(comparison: Comparison) -> None:
    a, b = comparison.a, comparison.b
    print(f"A  {a.model}")
    print(f"B  {b.model}")
    print(f"{comparison.reviews:,} reviews, {comparison.compared:,} with a verdict from both")
    print(f"agreement             {comparison.agreement:.2%}")
    mean, largest = comparison.mean_difference, comparison.largest_difference
    print(f"positive probability  differs by {mean:.4f} on average, by {largest:.4f} at most")

    table = _empty_table("", "A", "B", "B / A")
    table.add_row("without a verdict", f"{a.without_verdict:,}", f"{b.without_verdict:,}")
    if a.accuracy is not None and b.accuracy is not None:
        table.add_row("accuracy", f"{a.accuracy:.2%}", f"{b.accuracy:.2%}")
    table.add_row(
        "CPU ms per review",
        f"{a.cpu_ms_per_review:.1f}",
        f"{b.cpu_ms_per_review:.1f}",
        f"{comparison.cpu_ratio_per_review:.2f}",
    )
    table.add_row(
        "CPU ms per 1,000 tokens",
        f"{a.cpu_ms_per_1000_tokens:.1f}",
        f"{b.cpu_ms_per_1000_tokens:.1f}",
        f"{comparison.cpu_ratio_per_1000_tokens:.2f}",
    )
    console().print(table)

    table = _empty_table("A says", "B says", "reviews")
    for direction in comparison.directions:
        table.add_row(Text(direction.a), Text(direction.b), f"{direction.reviews:,}")
    console().print(table)


def _flips_table(flips: Sequence[Flip], *, show_text: bool) -> Table:
    columns = ["file", "row", "A says", "score", "B says", "score", *(["review"] if show_text else [])]
    table = _empty_table(*columns)
    for flip in flips:
        cells = [printable(flip.review.file), str(flip.review.row)]
        for prediction in (flip.a, flip.b):
            cells += [prediction.label, f"{prediction.score:.4f}"]
        if show_text:
            cells.append(printable(" ".join(flip.review.text.split())))
        table.add_row(*map(Text, cells))  # as Text, because rich reads brackets in a str as markup
    return table


def _empty_table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
