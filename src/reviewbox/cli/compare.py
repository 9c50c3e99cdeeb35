"""`reviewbox compare`: which verdicts another model would change, and what each model costs."""

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

from reviewbox.cli.evaluate import LABELS, Review, read_reviews
from reviewbox.cli.render import console, printable
from reviewbox.errors import Problem, ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

_NEGATIVE, _POSITIVE = "negative", "positive"

# The models take turns every few seconds, so that what else the machine does slows both alike. Enough
# reviews for full runs of the graph.
_REVIEWS_PER_TURN = 32

# A graph's first runs set up what later ones find there.
_WARM_UP_REVIEWS = 4


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a model says of a review.

    Attributes:
        label: under the name that both models' labels are mapped to.
        score: its probability.
        positive: the probability of "positive".
    """

    label: str
    score: float
    positive: float


@dataclass(frozen=True, slots=True)
class Run:
    """What a model said of all reviews, and what that took.

    Attributes:
        opinions: one for each review, in order; None where it gave no verdict.
        tokens: how many tokens those with a verdict have, by the model's own tokenizer.
        cpu_seconds: processor time, all threads together.
    """

    opinions: Sequence[Opinion | None]
    tokens: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One model's part of a comparison.

    Attributes:
        model: its folder, as given.
        without_verdict: how many reviews it gave no verdict.
        accuracy: the share of right verdicts, where none counts as wrong; None unless every review
            has a label.
        cpu_ms_per_review: processor time, all threads together, in milliseconds.
        cpu_ms_per_1000_tokens: the same for each 1,000 tokens of its own tokenizer.
    """

    model: str
    without_verdict: int
    accuracy: float | None
    cpu_ms_per_review: float
    cpu_ms_per_1000_tokens: float


@dataclass(frozen=True, slots=True)
class Direction:
    """How many reviews model A gives the label `a`, and model B the label `b`."""

    a: str
    b: str
    reviews: int


@dataclass(frozen=True, slots=True)
class Flip:
    """A review that the models give different labels, and what each says of it."""

    review: Review
    a: Opinion
    b: Opinion


@dataclass(frozen=True, slots=True)
class Comparison:
    """How model B differs from model A.

    Attributes:
        reviews: how many there are.
        compared: how many of them have a verdict from both; the figures below are over these.
        agreement: the share that both give the same label.
        mean_difference: the mean of |P_B(positive) - P_A(positive)|.
        largest_difference: the largest of them.
        a: model A by itself.
        b: model B by itself.
        cpu_ratio_per_review: model B's processor time over model A's.
        cpu_ratio_per_1000_tokens: the same, each by its own tokens.
        directions: each pair of different labels, and how many reviews flip so.
        flips: the flipped reviews, those first of which both models are surest.
    """

    reviews: int
    compared: int
    agreement: float
    mean_difference: float
    largest_difference: float
    a: ModelFigures
    b: ModelFigures
    cpu_ratio_per_review: float
    cpu_ratio_per_1000_tokens: float
    directions: tuple[Direction, ...]
    flips: tuple[Flip, ...]


def compare_models(model_a: Path, model_b: Path, files: Sequence[Path], threads: int) -> Comparison:
    """Return how two models differ over all reviews of the files.

    Args:
        model_a: a model folder.
        model_b: another.
        files: as `evaluate.read_reviews` takes them; labels are optional.
        threads: how many inference uses.

    Raises:
        ReviewboxError: a file or model cannot be read, the models' labels differ, or no review has a
            verdict from both.
    """
    classifiers = [Classifier.load(model, threads=threads) for model in (model_a, model_b)]
    names = common_names(*classifiers)
    reviews = [review for file in files for review in read_reviews(file)]
    a, b = run_in_turns([review.text for review in reviews], classifiers, names)
    pairs = zip(reviews, a.opinions, b.opinions, strict=True)
    both = [Flip(review, of_a, of_b) for review, of_a, of_b in pairs if of_a and of_b]
    if not both:
        raise ReviewboxError(f"of {len(reviews):,} reviews, not one has a verdict from both models")
    differences = np.array([abs(each.b.positive - each.a.positive) for each in both])
    flips = [each for each in both if each.a.label != each.b.label]
    counts = Counter((flip.a.label, flip.b.label) for flip in flips)
    figures_a, figures_b = _figures(model_a, a, reviews), _figures(model_b, b, reviews)
    return Comparison(
        reviews=len(reviews),
        compared=len(both),
        agreement=1 - len(flips) / len(both),
        mean_difference=float(differences.mean()),
        largest_difference=float(differences.max()),
        a=figures_a,
        b=figures_b,
        cpu_ratio_per_review=figures_b.cpu_ms_per_review / figures_a.cpu_ms_per_review,
        cpu_ratio_per_1000_tokens=figures_b.cpu_ms_per_1000_tokens / figures_a.cpu_ms_per_1000_tokens,
        directions=tuple(Direction(*pair, counts[pair]) for pair in permutations(names[0].values(), 2)),
        flips=tuple(sorted(flips, key=lambda flip: -(flip.a.score + flip.b.score))),
    )


def print_comparison(found: Comparison, most_flips: int, *, show_text: bool, as_json: bool) -> None:
    """Print a comparison.

    Args:
        found: the comparison.
        most_flips: how many flipped reviews to list.
        show_text: whether to print their texts.
        as_json: whether to print one JSON object.
    """
    flips = found.flips[:most_flips]
    if as_json:
        listed = [_flip_fields(flip, show_text=show_text) for flip in flips]
        print(json.dumps(asdict(replace(found, flips=())) | {"flips": listed}, ensure_ascii=False))
        return
    _print_figures(found)
    if flips:
        console().print(_flip_table(flips, show_text=show_text))
    if len(flips) < len(found.flips):
        print(f"{len(found.flips):,} flips, {len(flips):,} listed: --flips {len(found.flips)} lists all")


def common_names(a: Classifier, b: Classifier) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return for each model the common name of each of its labels.

    Where all of a model's labels are names of negative or positive, as in `evaluate`, they are called
    that. Others go by their own names, lowercased: of three labels, "1" is not the positive one.

    Raises:
        ReviewboxError: the models' labels differ, or none is "positive".
    """
    names = _names(a.bundle.labels), _names(b.bundle.labels)
    if set(names[0].values()) != set(names[1].values()):
        raise ReviewboxError(
            f"the models' labels differ: {a.bundle.folder} has {', '.join(a.bundle.labels)}, "
            f"{b.bundle.folder} has {', '.join(b.bundle.labels)}"
        )
    if _POSITIVE not in names[0].values():
        raise ReviewboxError(f"none of the models' labels {', '.join(a.bundle.labels)} is positive")
    return names


def _names(labels: Sequence[str]) -> Mapping[str, str]:
    known = all(label.lower() in LABELS for label in labels)
    return {
        label: (_NEGATIVE, _POSITIVE)[LABELS[label.lower()]] if known else label.lower() for label in labels
    }


def run_in_turns(
    texts: Sequence[str], classifiers: Sequence[Classifier], names: Sequence[Mapping[str, str]]
) -> list[Run]:
    """Have each model judge all texts, a few at a time, and take its processor time.

    Args:
        texts: the reviews.
        classifiers: the models.
        names: the common names of each model's labels.
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
        order.reverse()  # lest one always finds what the other has left in the processor's caches
    return [
        Run(
            [None if isinstance(outcome, Problem) else _opinion(outcome, of_model) for outcome in found],
            sum(outcome.tokens for outcome in found if not isinstance(outcome, Problem)),
            spent,
        )
        for found, of_model, spent in zip(outcomes, names, seconds, strict=True)
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


def _opinion(verdict: Verdict, names: Mapping[str, str]) -> Opinion:
    scores = {names[label]: score for label, score in verdict.scores.items()}
    return Opinion(names[verdict.label], verdict.score, scores[_POSITIVE])


def _figures(model: Path, run: Run, reviews: Sequence[Review]) -> ModelFigures:
    right = [
        opinion is not None and opinion.label == (_NEGATIVE, _POSITIVE)[review.label]
        for review, opinion in zip(reviews, run.opinions, strict=True)
        if review.label is not None
    ]
    milliseconds = 1000 * run.cpu_seconds
    return ModelFigures(
        model=printable(str(model)),
        without_verdict=sum(opinion is None for opinion in run.opinions),
        accuracy=sum(right) / len(right) if len(right) == len(reviews) else None,
        cpu_ms_per_review=milliseconds / len(reviews),
        cpu_ms_per_1000_tokens=1000 * milliseconds / run.tokens,
    )


def _flip_fields(flip: Flip, *, show_text: bool) -> dict[str, Any]:
    place = {"file": printable(flip.review.file), "row": flip.review.row}
    text = {"text": printable(flip.review.text)} if show_text else {}
    return place | {"a": asdict(flip.a), "b": asdict(flip.b)} | text


def _print_figures(found: Comparison) -> None:
    a, b = found.a, found.b
    print(f"A  {a.model}")
    print(f"B  {b.model}")
    print(f"{found.reviews:,} reviews, {found.compared:,} with a verdict from both")
    print(f"agreement             {found.agreement:.2%}")
    differs = f"{found.mean_difference:.4f} on average, by {found.largest_difference:.4f} at most"
    print(f"positive probability  differs by {differs}")

    table = _table("", "A", "B", "B / A")
    table.add_row("without a verdict", f"{a.without_verdict:,}", f"{b.without_verdict:,}")
    if a.accuracy is not None and b.accuracy is not None:
        table.add_row("accuracy", f"{a.accuracy:.2%}", f"{b.accuracy:.2%}")
    per_review = a.cpu_ms_per_review, b.cpu_ms_per_review, found.cpu_ratio_per_review
    per_token = a.cpu_ms_per_1000_tokens, b.cpu_ms_per_1000_tokens, found.cpu_ratio_per_1000_tokens
    for what, figures in (("CPU ms per review", per_review), ("CPU ms per 1,000 tokens", per_token)):
        of_a, of_b, ratio = figures
        table.add_row(what, f"{of_a:.1f}", f"{of_b:.1f}", f"{ratio:.2f}")
    console().print(table)

    table = _table("A says", "B says", "reviews")
    for direction in found.directions:
        table.add_row(Text(direction.a), Text(direction.b), f"{direction.reviews:,}")
    console().print(table)


def _flip_table(flips: Sequence[Flip], *, show_text: bool) -> Table:
    table = _table("file", "row", "A says", "score", "B says", "score", *(["review"] if show_text else []))
    for flip in flips:
        cells = [printable(flip.review.file), str(flip.review.row)]
        for opinion in (flip.a, flip.b):
            cells += [opinion.label, f"{opinion.score:.4f}"]
        if show_text:
            cells.append(printable(" ".join(flip.review.text.split())))
        table.add_row(*map(Text, cells))  # as Text, for brackets are markup in a str
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
