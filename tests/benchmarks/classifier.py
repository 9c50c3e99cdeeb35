"""The shipped model's processor time, pooled against one review at a time.

One run, one thread, texts from a seeded generator; the ratios are what to look at. It prints them, and
leaves no figures.
"""

import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from reviewbox.model.classifier import Classifier
from reviewbox.model.plain_text import plain_text

MODEL = Path(__file__).parents[2] / "model"
ROUNDS = 3

WORDS = (
    "the a this that room film staff screen battery story food and but with for very quite really never "
    "again good bad lovely awful clean dirty slow quick cheap expensive boring moving broken perfect was"
).split()
KINDS = {"a sentence": (1, 2), "a paragraph": (4, 8), "a page": (25, 40)}  # sentences of a review
REVIEWS = {"a sentence": 200, "a paragraph": 60, "a page": 12}


def review(generator: random.Random, sentences: tuple[int, int]) -> str:
    """Return a made-up review of so many sentences."""
    return " ".join(
        " ".join(generator.choices(WORDS, k=generator.randint(6, 20))).capitalize() + "."
        for _ in range(generator.randint(*sentences))
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time that `work` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def one_by_one(classifier: Classifier, texts: list[str]) -> None:
    """Classify each text by itself."""
    for text in texts:
        pooled(classifier, [text])


def pooled(classifier: Classifier, texts: list[str], *, explain: bool = False) -> None:
    """Classify all texts together."""
    for _ in classifier.classify_each(texts, explain=explain):
        pass


def main() -> None:
    """Print a table: milliseconds a review, and what the other ways cost against that."""
    classifier = Classifier.load(MODEL, threads=1)
    columns = ("a review is", "tokens", "pooled, ms", "alone / pooled", "explained / not", "cutting windows")
    table = Table(*columns)
    for kind, sentences in KINDS.items():
        generator = random.Random(kind)  # noqa: S311 - texts, not secrets
        texts = [review(generator, sentences) for _ in range(REVIEWS[kind])]
        plain = [plain_text(text).text for text in texts]
        tokens = statistics.mean(verdict.tokens for verdict in classifier.classify(texts))
        ways: tuple[Callable[[], object], ...] = (
            partial(pooled, classifier, texts),
            partial(one_by_one, classifier, texts),
            partial(pooled, classifier, texts, explain=True),
            partial(classifier.windows.split, plain),
        )
        # The ways take turns, so that what else the machine does hits all alike.
        rounds = [[cpu_seconds(way) for way in ways] for _ in range(ROUNDS)]
        base, alone, explained, cutting = (statistics.median(way) for way in zip(*rounds, strict=True))
        table.add_row(
            kind,
            f"{tokens:.0f}",
            f"{1000 * base / len(texts):.1f}",
            f"{alone / base:.2f}",
            f"{explained / base:.2f}",
            f"{cutting / base:.0%}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
