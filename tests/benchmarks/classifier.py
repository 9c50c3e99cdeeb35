"""Measure the shipped model's processor time: pooled batches against one review at a time.

It uses one thread and generated texts. It prints ratios, which carry over to other machines, and writes no
figures.
"""

import random
import statistics
import time
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table
from tests.benchmarks.figures import MODEL
from tests.benchmarks.texts import KINDS, generate_review

from reviewbox.model.classifier import Classifier
from reviewbox.model.plain_text import plain_text

ROUNDS = 3
REVIEWS = {"a sentence": 200, "a paragraph": 60, "a page": 12}


def main() -> None:
    """Print a table of milliseconds per review, and of the relative cost of other ways to classify."""
    classifier = Classifier.load(MODEL, threads=1)
    table = Table(
        *("length", "tokens", "pooled, ms per review", "one by one / pooled"),
        *("with evidence / pooled", "tokenizing, share of pooled"),
    )
    for kind, sentences in KINDS.items():
        generator = random.Random(kind)  # noqa: S311 - texts, not secrets
        texts = [generate_review(generator, sentences) for _ in range(REVIEWS[kind])]
        plain = [plain_text(text).text for text in texts]
        tokens = statistics.mean(verdict.tokens for verdict in classifier.classify(texts))
        variants: tuple[Callable[[], object], ...] = (
            partial(classify_pooled, classifier, texts),
            partial(classify_one_by_one, classifier, texts),
            partial(classify_pooled, classifier, texts, explain=True),
            partial(classifier.windows.split, plain),
        )
        # The variants alternate, so that other load on the machine affects all of them equally.
        rounds = [[processor_seconds(variant) for variant in variants] for _ in range(ROUNDS)]
        pooled, one_by_one, explained, tokenizing = map(statistics.median, zip(*rounds, strict=True))
        table.add_row(
            kind,
            f"{tokens:.0f}",
            f"{1000 * pooled / len(texts):.1f}",
            f"{one_by_one / pooled:.2f}",
            f"{explained / pooled:.2f}",
            f"{tokenizing / pooled:.0%}",
        )
    Console(width=110).print(table)


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time that `work` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def classify_one_by_one(classifier: Classifier, texts: list[str]) -> None:
    """Classify each text separately."""
    for text in texts:
        classify_pooled(classifier, [text])


def classify_pooled(classifier: Classifier, texts: list[str], *, explain: bool = False) -> None:
    """Classify all texts together."""
    for _ in classifier.classify_each(texts, explain=explain):
        pass


if __name__ == "__main__":
    main()
