"""Stage 5, calibrate: fit the scores to validation reviews, and write `calibration.json`.

One number is fitted, so it hardly overfits: a scale that makes the two-sided score ("positive rather than
negative") as large as the share of correct verdicts. It does not change any verdict.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recipe.export import CALIBRATION, UNCALIBRATED, write_model
from recipe.reviews import IMDB, read_splits
from reviewbox.cli.evaluate import calibration_error
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

# The accepted calibration error on films, the largest training set, and on other reviews.
ACCEPTED_ERROR_FILMS, ACCEPTED_ERROR = 0.01, 0.03


def calibrate(checkpoint: Path, work: Path, config: dict[str, Any]) -> None:
    """Export the model without calibration to `work`, and fit its scores.

    Args:
        checkpoint: the checkpoint of the `distil` stage.
        work: the folder of intermediate files.
        config: the content of `recipe.toml`.
    """
    folder = work / "uncalibrated"
    write_model(checkpoint, work / "tokenizer.json", folder, config, UNCALIBRATED)
    classifier = Classifier.load(folder, threads=config["threads"])
    limit = config["evaluation"]["calibration_reviews"]
    reviews = read_splits(work)
    reviews = reviews[reviews.label >= 0].groupby(["split", "domain"]).head(limit).reset_index(drop=True)
    scale = fit_scale(reviews, side_margins(classifier, reviews))
    calibration = {"scale": round(scale, 4)}
    (work / CALIBRATION).write_text(json.dumps(calibration) + "\n", encoding="utf-8")
    print(f"calibration: {calibration}")


def side_margins(classifier: Classifier, texts: pd.DataFrame) -> np.ndarray:
    """Return the logit of "positive rather than negative", shape (R,), before the language lowers it.

    It is NaN for a text without a verdict.
    """
    margins = np.full(len(texts), np.nan)
    for row, verdict in enumerate(classifier.classify_each(texts.text, explain=False)):
        if isinstance(verdict, Verdict):
            ratio = verdict.scores["positive"] / verdict.scores["negative"]
            margins[row] = np.log(ratio) / (verdict.known_language or 1)
    return margins


def fit_scale(reviews: pd.DataFrame, margins: np.ndarray) -> float:
    """Return the scale that minimizes the largest ratio of calibration error to accepted error.

    The ratio is taken for each of three groups: films, other seen domains, and held-out domains. Minimizing
    the overall cross-entropy would favor the groups in which the model is least confident.
    """
    correct = (margins > 0) == (reviews.label == 1)
    group = np.where(reviews.domain == IMDB, IMDB, reviews.split)

    def largest_ratio(scale: float) -> float:
        confidence = 1 / (1 + np.exp(-np.abs(margins) * scale))
        return max(
            calibration_error(confidence[group == name], correct[group == name].to_numpy())
            / (ACCEPTED_ERROR_FILMS if name == IMDB else ACCEPTED_ERROR)
            for name in np.unique(group)
        )

    return float(min(np.geomspace(0.25, 2, 200), key=largest_ratio))
