"""Made-up reviews in a mix of lengths, from a seeded generator."""

import json
import random

from tests.benchmarks.classifier import KINDS, review

# Of each twenty: half of what is written online is a sentence, and long ones are few.
MIX = {"a sentence": 10, "a paragraph": 8, "a page": 2}


def mixed(count: int, seed: str) -> list[str]:
    """Return reviews of which each twenty are the mix, shuffled: the first few hundred are a fair sample."""
    generator = random.Random(seed)  # noqa: S311 - texts, not secrets
    texts: list[str] = []
    while len(texts) < count:
        block = [kind for kind, number in MIX.items() for _ in range(number)]
        generator.shuffle(block)
        texts += (review(generator, KINDS[kind]) for kind in block)
    return texts[:count]


def table(texts: list[str]) -> bytes:
    """Return a table of reviews in JSON Lines."""
    return "".join(json.dumps({"id": row, "text": text}) + "\n" for row, text in enumerate(texts)).encode()
