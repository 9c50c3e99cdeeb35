"""Generated reviews, from seeded generators."""

import json
import random

WORDS = (
    "the a this that room film staff screen battery story food and but with for very quite really never "
    "again good bad lovely awful clean dirty slow quick cheap expensive boring moving broken perfect was"
).split()

# Minimum and maximum number of sentences in each kind of review.
KINDS = {"a sentence": (1, 2), "a paragraph": (4, 8), "a page": (25, 40)}

# How many of twenty reviews are of each kind: most online reviews are a sentence, and few are long.
MIX = {"a sentence": 10, "a paragraph": 8, "a page": 2}


def generate_review(generator: random.Random, sentences: tuple[int, int]) -> str:
    """Return a review with a random number of sentences in the range `sentences`."""
    return " ".join(
        " ".join(generator.choices(WORDS, k=generator.randint(6, 20))).capitalize() + "."
        for _ in range(generator.randint(*sentences))
    )


def generate_mix(count: int, seed: str) -> list[str]:
    """Return reviews of mixed length; each block of twenty has the kinds of `MIX`, in random order."""
    generator = random.Random(seed)  # noqa: S311 - texts, not secrets
    texts: list[str] = []
    while len(texts) < count:
        block = [kind for kind, number in MIX.items() for _ in range(number)]
        generator.shuffle(block)
        texts += (generate_review(generator, KINDS[kind]) for kind in block)
    return texts[:count]


def json_lines(texts: list[str]) -> bytes:
    """Return a table of reviews in JSON Lines."""
    return "".join(json.dumps({"id": row, "text": text}) + "\n" for row, text in enumerate(texts)).encode()
