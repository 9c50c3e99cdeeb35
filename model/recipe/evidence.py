"""Check that the sentence named as evidence really carries the verdict.

The evidence is the sentence with the strongest score on its own. Readers would rather call a sentence
important if the verdict depends on it, so this measures how much the verdict's margin drops without it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recipe.reviews import IMDB
from reviewbox.model.classifier import Classifier
from reviewbox.model.plain_text import plain_text
from reviewbox.model.verdicts import Verdict, sentences

_MIN_SENTENCES, _MAX_SENTENCES = 4, 30


@dataclass(frozen=True, slots=True)
class MarginDrops:
    """How much a verdict's margin drops when one sentence of the review is left out.

    Attributes:
        evidence: the drop without the sentence named as evidence.
        random: the drop without another sentence, chosen at random.
        largest: the largest drop of all sentences.
        evidence_is_largest: whether the evidence is the sentence with the largest drop.
    """

    evidence: float
    random: float
    largest: float
    evidence_is_largest: bool


def evaluate_evidence(classifier: Classifier, reviews: pd.DataFrame, config: dict[str, Any]) -> None:
    """Print how the evidence compares with a random sentence and with the most influential one."""
    rng = np.random.default_rng(config["seed"])
    drops: list[MarginDrops] = []
    for text in reviews.text[reviews.domain == IMDB]:
        if not _MIN_SENTENCES <= len(list(sentences(plain_text(text).text))) <= _MAX_SENTENCES:
            continue
        drops.append(_measure_drops(text, classifier, rng))
        if len(drops) == config["evaluation"]["evidence_reviews"]:
            break
    if not drops:
        print(f"evidence: no film review has {_MIN_SENTENCES} to {_MAX_SENTENCES} sentences")
        return
    print(f"{len(drops)} film reviews; drop of the verdict's margin when a sentence is left out:")
    print(f"  the evidence                   {np.mean([drop.evidence for drop in drops]):.2f}")
    print(f"  another sentence, at random    {np.mean([drop.random for drop in drops]):.2f}")
    print(f"  the most influential sentence  {np.mean([drop.largest for drop in drops]):.2f}")
    beats_random = np.mean([drop.evidence > drop.random for drop in drops])
    print(f"the evidence outweighs the random sentence in {beats_random:.0%}")
    is_largest = np.mean([drop.evidence_is_largest for drop in drops])
    print(f"the evidence is the most influential sentence in {is_largest:.0%}")


def _measure_drops(text: str, classifier: Classifier, rng: np.random.Generator) -> MarginDrops:
    (verdict,) = classifier.classify([text])
    strongest = verdict.evidence[0]
    plain = plain_text(text)
    spans = [plain.original_span(start, end) for start, end in sentences(plain.text)]
    evidence = spans.index((strongest.start, strongest.end))
    shortened = [f"{text[:start]} {text[end:]}" for start, end in spans]
    verdicts = classifier.classify_each(shortened, explain=False)
    margins = [_margin(v.scores[verdict.label]) for v in verdicts if isinstance(v, Verdict)]
    drops = _margin(verdict.score) - np.array(margins)
    other = rng.choice([index for index in range(len(spans)) if index != evidence])
    return MarginDrops(drops[evidence], drops[other], drops.max(), int(drops.argmax()) == evidence)


def _margin(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))
