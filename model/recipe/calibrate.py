"""Stage 4, calibrate: the exported model, validation reviews, held-out domains -> `bundle.json`.

The scores come through `reviewbox` itself, so what is calibrated is what is served.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recipe.reviews import IMDB
from reviewbox.cli.evaluate import calibration_error
from reviewbox.model.bundle import BUNDLE, CONFIG, MODEL, TOKENIZER
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

SPLITS = ("validation", "unseen")


def calibrate(work: Path, output: Path, config: dict[str, Any]) -> None:
    """Fit the temperature, write `bundle.json`, and print figures for each domain."""
    (output / BUNDLE).unlink(missing_ok=True)
    reviews = score(work, output, config["calibration"]["reviews_per_domain"])
    temperature = fit_temperature(reviews)
    bundle = {
        "sha256": {name: digest(output / name) for name in (MODEL, TOKENIZER, CONFIG)},
        "window_tokens": config["windows"]["size"] + 2,
        "temperature": round(temperature, 4),
    }
    (output / BUNDLE).write_text(json.dumps(bundle, indent=2) + "\n", encoding="utf-8")
    print(f"temperature {temperature:.4f}\n")
    print(figures(reviews, temperature).to_string(float_format="{:.3f}".format))


def score(work: Path, output: Path, limit: int) -> pd.DataFrame:
    """Return up to `limit` reviews of each domain with their `margin`: the logit of "positive"."""
    frames = [pd.read_parquet(work / f"{split}.parquet").assign(split=split) for split in SPLITS]
    reviews = pd.concat(frames).groupby(["split", "domain"]).head(limit).reset_index(drop=True)
    verdicts = list(Classifier.load(output, threads=2).classify_each(reviews.text, explain=False))
    judged = np.array([isinstance(verdict, Verdict) for verdict in verdicts])
    positive = np.array([v.scores["positive"] for v in verdicts if isinstance(v, Verdict)])
    return reviews[judged].assign(margin=np.log(positive) - np.log1p(-positive))


def fit_temperature(reviews: pd.DataFrame) -> float:
    """Return the temperature of the least cross-entropy, each kind of review counting the same.

    The kinds are films, other domains that training saw, and domains that it never saw.
    """
    kind = np.where(reviews.domain == IMDB, IMDB, reviews.split)
    weights = 1 / pd.Series(kind).map(pd.Series(kind).value_counts()).to_numpy()
    signed = np.where(reviews.label == 1, reviews.margin, -reviews.margin)
    candidates = np.geomspace(0.5, 4, 1000)
    losses = [np.sum(weights * np.logaddexp(0, -signed / candidate)) for candidate in candidates]
    return float(candidates[np.argmin(losses)])


def figures(reviews: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """Return size, accuracy, balanced accuracy and calibration error of each domain."""
    rows = []
    for (split, domain), group in reviews.groupby(["split", "domain"]):
        right = (group.margin > 0) == (group.label == 1)
        confidence = 1 / (1 + np.exp(-group.margin.abs() / temperature))
        rows.append(
            {
                "split": split,
                "domain": domain,
                "n": len(group),
                "accuracy": right.mean(),
                "balanced": right.groupby(group.label).mean().mean(),
                "ece": calibration_error(confidence.to_numpy(), right.to_numpy()),
            }
        )
    table = pd.DataFrame(rows).set_index(["split", "domain"])
    for split in SPLITS:
        table.loc[(split, "(mean)"), :] = table.loc[split].mean(numeric_only=True)
    return table.sort_index()


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
