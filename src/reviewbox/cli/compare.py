"""`reviewbox compare`: the reviews on which two models disagree, and the cost of each model."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

from reviewbox.cli.labeled_reviews import LABELS, Review, read_reviews
from reviewbox.cli.loading import load_model
from reviewbox.cli.output import Format, flat, print_report
from reviewbox.cli.progress import progress_bar
from reviewbox.cli.render import cell, new_table, new_terminal, print_plain, printable
from reviewbox.errors import Problem, ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import POSITIVE
from reviewbox.settings import Settings

# The models alternate every few seconds, so that other load on the machine slows both equally. A turn has
# enough reviews to fill the batches of inference.
_REVIEWS_PER_TURN = 32

# The first runs of a graph are slower because they allocate memory.
_WARM_UP_REVIEWS = 4


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's label for a review, the label's probability, and the probability of "positive"."""

    label: str
    score: float
    positive: float


@dataclass(slots=True)
class ModelRun:
    """A model, its predictions so far (None for a review without a verdict), and their cost."""

    classifier: Classifier
    names: Mapping[str, str]  # the shared name of each label
    predictions: list[Prediction | None] = field(default_factory=list)
    tokens: int = 0  # of the reviews with a verdict, from the model's own tokenizer
    cpu_seconds: float = 0.0  # of all threads

    def classify(self, texts: Sequence[str], before_run: Callable[[float], object]) -> None:
        """Classify texts and measure the processor time; `before_run` is that of the classifier."""
        started = time.process_time()
        outcomes = list(self.classifier.classify_each(texts, explain=False, before_run=before_run))
        self.cpu_seconds += time.process_time() - started
        for outcome in outcomes:
            if isinstance(outcome, Problem):
                self.predictions.append(None)
                continue
            scores = {self.names[label]: score for label, score in outcome.scores.items()}
            prediction = Prediction(self.names[outcome.label], outcome.score, scores[POSITIVE])
            self.predictions.append(prediction)
            self.tokens += outcome.tokens

    def report(self, model: Path, reviews: Sequence[Review]) -> dict[str, Any]:
        """Return the model's metrics. A missing verdict counts as wrong."""
        correct = [
            prediction is not None and prediction.label == review.label
            for review, prediction in zip(reviews, self.predictions, strict=True)
            if review.label is not None
        ]
        return {
            "model": printable(str(model)),
            "without_verdict": self.predictions.count(None),
            "accuracy": sum(correct) / len(correct) if len(correct) == len(reviews) else None,
            "cpu_ms_per_review": 1000 * self.cpu_seconds / len(reviews),
            "cpu_ms_per_1000_tokens": 1e6 * self.cpu_seconds / self.tokens,
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """The predictions of both models for a review."""

    review: Review
    a: Prediction
    b: Prediction


def compare_models(
    model_a: Path, model_b: Path, files: Sequence[Path], threads: int, settings: Settings
) -> dict[str, Any]:
    """Return the differences between two models over all reviews of the files, as JSON data.

    "flips" has all reviews that the models label differently, with the highest scores first. If one model has
    more labels than the other, both answer only positive or negative. The settings say how files without the
    columns `text` and `label` are read.

    Raises:
        ReviewboxError: a file or model cannot be read, the models' labels differ, or no review has a
            verdict from both models.
    """
    run_a, run_b = _load([model_a, model_b], threads)
    reviews = read_reviews(files, settings)
    _classify_alternately([review.text for review in reviews], [run_a, run_b])
    rows = zip(reviews, run_a.predictions, run_b.predictions, strict=True)
    pairs = [Pair(review, a, b) for review, a, b in rows if a and b]
    if not pairs:
        raise ReviewboxError(f"none of the {len(reviews):,} reviews has a verdict from both models")
    differences = [abs(pair.b.positive - pair.a.positive) for pair in pairs]
    flips = [pair for pair in pairs if pair.a.label != pair.b.label]
    flips.sort(key=lambda flip: -(flip.a.score + flip.b.score))
    counts = Counter((flip.a.label, flip.b.label) for flip in flips)
    a, b = run_a.report(model_a, reviews), run_b.report(model_b, reviews)
    return {
        "reviews": len(reviews),
        "compared": len(pairs),
        "agreement": 1 - len(flips) / len(pairs),
        "mean_difference": sum(differences) / len(differences),
        "largest_difference": max(differences),
        "a": a,
        "b": b,
        "cpu_ratio_per_review": b["cpu_ms_per_review"] / a["cpu_ms_per_review"],
        "cpu_ratio_per_1000_tokens": b["cpu_ms_per_1000_tokens"] / a["cpu_ms_per_1000_tokens"],
        "directions": [
            {"a": before, "b": after, "reviews": counts[before, after]}
            for before, after in permutations(run_a.names.values(), 2)
        ],
        "flips": list(map(_flip, flips)),
    }


def print_comparison(comparison: dict[str, Any], max_flips: int, format_: Format, *, show_text: bool) -> None:
    """Print a comparison with some of its flips: as tables, as one JSON object, or only the flips as rows."""
    flips = comparison["flips"][:max_flips]
    if format_ is not Format.TABLE:
        listed = [{name: flip[name] for name in flip if show_text or name != "text"} for flip in flips]
        print_report(comparison | {"flips": listed}, map(flat, listed), format_)
        return
    a, b = comparison["a"], comparison["b"]
    print_plain(f"A  {a['model']}")
    print_plain(f"B  {b['model']}")
    print_plain(f"{comparison['reviews']:,} reviews, {comparison['compared']:,} with a verdict from both")
    print_plain(f"agreement             {comparison['agreement']:.2%}")
    mean, largest = comparison["mean_difference"], comparison["largest_difference"]
    print_plain(f"positive probability  differs by {mean:.4f} on average, by {largest:.4f} at most")
    rows = [["without a verdict", f"{a['without_verdict']:,}", f"{b['without_verdict']:,}"]]
    if a["accuracy"] is not None:
        rows.append(["accuracy", f"{a['accuracy']:.2%}", f"{b['accuracy']:.2%}"])
    for name, key in (("review", "per_review"), ("1,000 tokens", "per_1000_tokens")):
        milliseconds = [f"{model[f'cpu_ms_{key}']:.1f}" for model in (a, b)]
        rows.append([f"CPU ms per {name}", *milliseconds, f"{comparison[f'cpu_ratio_{key}']:.2f}"])
    _print_table(["", "A", "B", "B / A"], rows)
    directions = [[d["a"], d["b"], f"{d['reviews']:,}"] for d in comparison["directions"] if d["reviews"]]
    if directions:
        _print_table(["A says", "B says", "reviews"], directions)
    else:
        print_plain("No verdict changes.")
    if flips:
        headers = ["file", "row", "A says", "score", "B says", "score", *["review"] * show_text]
        _print_table(headers, [_cells(flip)[: len(headers)] for flip in flips])
    if len(flips) < len(comparison["flips"]):
        total = len(comparison["flips"])
        print_plain(f"{total:,} flips, {len(flips):,} listed; pass --flips {total} to list all")


def _label_names(classifier: Classifier) -> Mapping[str, str]:
    """Return the name of each label that models share: "negative", "positive" or the label in lower case.

    Among three labels "1" need not be positive, so either all labels get names from `LABELS` or none.
    """
    labels = {label: label.lower() for label in classifier.answers.labels}
    if not all(name in LABELS for name in labels.values()):
        return labels
    return {label: LABELS[name] for label, name in labels.items()}


def _load(models: Sequence[Path], threads: int) -> list[ModelRun]:
    """Load two models. They must have the same labels, and one of these must be positive."""
    classifiers = [load_model(model, threads) for model in models]
    if len({frozenset(_label_names(classifier).values()) for classifier in classifiers}) > 1:
        classifiers = [classifier.two_sided() for classifier in classifiers]
    runs = [ModelRun(classifier, _label_names(classifier)) for classifier in classifiers]
    bundles = [classifier.bundle for classifier in classifiers]
    if len({frozenset(run.names.values()) for run in runs}) > 1:
        labels = (f"{bundle.folder} has {', '.join(bundle.labels)}" for bundle in bundles)
        raise ReviewboxError(f"the models' labels differ: {', '.join(labels)}")
    if POSITIVE not in runs[0].names.values():
        raise ReviewboxError(f"none of the models' labels {', '.join(bundles[0].labels)} is positive")
    return runs


def _classify_alternately(texts: Sequence[str], runs: list[ModelRun]) -> None:
    """Classify all texts with each model, a few texts at a time."""
    for run in runs:
        list(run.classifier.classify_each(texts[:_WARM_UP_REVIEWS], explain=False))
    with progress_bar("Comparing", len(texts)) as update:

        def show(earlier: float, done: float) -> None:
            update(completed=earlier + done / len(runs))

        for start in range(0, len(texts), _REVIEWS_PER_TURN):
            turn = texts[start : start + _REVIEWS_PER_TURN]
            for number, run in enumerate(runs):
                run.classify(turn, partial(show, start + number * len(turn) / len(runs)))
            runs.reverse()  # so that neither model always finds the caches filled by the other


def _flip(pair: Pair) -> dict[str, Any]:
    review = pair.review
    return {
        "file": printable(review.file),
        "row": review.row,
        "a": asdict(pair.a),
        "b": asdict(pair.b),
        "text": printable(review.text),
    }


def _cells(flip: Mapping[str, Any]) -> list[str]:
    verdicts = [[flip[model]["label"], f"{flip[model]['score']:.4f}"] for model in ("a", "b")]
    return [flip["file"], str(flip["row"]), *verdicts[0], *verdicts[1], " ".join(flip["text"].split())]


def _print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = new_table(*headers)
    for row in rows:
        table.add_row(*map(cell, row))
    new_terminal().print(table)
