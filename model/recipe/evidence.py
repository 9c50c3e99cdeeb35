"""Does the sentence that a verdict names really carry it?

Each sentence of a review is left out in turn, and the verdict's margin compared. That is what a
reader would call its weight; the evidence names the sentence that says most by itself.
"""

from typing import Any

import numpy as np
import pandas as pd

from recipe.reviews import IMDB
from reviewbox.model.classifier import Classifier
from reviewbox.model.plain_text import plain_text
from reviewbox.model.verdicts import Verdict, sentences

_FEWEST_SENTENCES, _MOST_SENTENCES = 4, 30


def evidence(classifier: Classifier, reviews: pd.DataFrame, config: dict[str, Any]) -> None:
    """Print how the strongest sentence fares against a random one and the truly strongest."""
    rng = np.random.default_rng(config["seed"])
    films = reviews.text[reviews.domain == IMDB]
    rows: list[tuple[float, float, float, bool]] = []
    for text in films:
        spans = list(sentences(plain_text(text).text))
        if not _FEWEST_SENTENCES <= len(spans) <= _MOST_SENTENCES:
            continue
        rows.append(_drops(text, classifier, rng))
        if len(rows) == config["evaluation"]["evidence_reviews"]:
            break
    if not rows:
        print(f"evidence: no film review of {_FEWEST_SENTENCES} to {_MOST_SENTENCES} sentences")
        return
    named, other, best = (np.array(column, dtype=float) for column in list(zip(*rows, strict=True))[:3])
    hits = np.array([row[3] for row in rows])
    print(f"{len(rows)} film reviews; drop of the verdict's margin when a sentence is left out:")
    print(f"  the one named        {named.mean():.2f}")
    print(f"  a random other one   {other.mean():.2f}")
    print(f"  the truly strongest  {best.mean():.2f}")
    print(f"the one named weighs more than a random other one in {np.mean(named > other):.0%}")
    print(f"the one named is the truly strongest in {hits.mean():.0%}")


def _drops(text: str, classifier: Classifier, rng: np.random.Generator) -> tuple[float, float, float, bool]:
    (verdict,) = classifier.classify([text])
    strongest = verdict.evidence[0]
    plain = plain_text(text)
    spans = [plain.original_span(start, end) for start, end in sentences(plain.text)]
    named = spans.index((strongest.start, strongest.end))
    without = classifier.classify_each(
        (f"{text[:start]} {text[end:]}" for start, end in spans), explain=False
    )
    margins = [_margin(v.scores[verdict.label]) for v in without if isinstance(v, Verdict)]
    drops = _margin(verdict.score) - np.array(margins)
    other = rng.choice([index for index in range(len(spans)) if index != named])
    return drops[named], drops[other], drops.max(), int(drops.argmax()) == named


def _margin(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))
