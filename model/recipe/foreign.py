"""Reviews in other languages, from which the model learns what it does not know."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recipe.reviews import deduplicate, digest_fraction

FOREIGN = "languages/reviews_21_languages.parquet"
_MAX_WORDS = 40
_MAX_CHARACTERS = 240  # for languages without spaces


def read_foreign(data: Path, settings: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training and validation texts: at most `foreign_cap` beginnings of reviews of each language.

    The languages in `held_out_languages` are only for validation.
    """
    columns = ["text", "label", "domain", "answer"]
    if not (data / FOREIGN).exists():
        empty = pd.DataFrame(columns=columns).astype({"label": int})
        return empty, empty
    reviews = pd.read_parquet(data / FOREIGN)
    rng = np.random.default_rng(0)
    words = rng.integers(3, _MAX_WORDS, len(reviews))
    text = [
        " ".join(text.split()[:count])[:_MAX_CHARACTERS]
        for text, count in zip(reviews.text, words, strict=True)
    ]
    reviews = deduplicate(reviews.assign(text=text, label=-1, domain=reviews.lang, answer="other language"))
    for_validation = digest_fraction(reviews) < settings["validation_share"]
    for_validation |= reviews.domain.isin(settings["held_out_languages"])
    reviews = reviews.assign(for_validation=for_validation).sort_values("digest")
    reviews = reviews.groupby(["domain", "for_validation"]).head(settings["foreign_cap"])
    return reviews[~reviews.for_validation][columns], reviews[reviews.for_validation][columns]
