"""Stage 5, calibrate: fit the scores to held-out texts, and write `calibration.json`.

Three numbers are fitted, so they hardly overfit. They change the logits of praise and blame through their
difference and their sum:

- `difference_scale` makes the two-sided score ("positive rather than negative") of validation reviews as
  large as the share of correct verdicts. It does not change any verdict with two answers.
- `sum_scale` and `sum_offset` then minimize the cross-entropy of the four answers to our own texts for
  calibration, which no training has seen.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recipe.export import CALIBRATION, UNCALIBRATED, label_head, write_model
from recipe.graph import LABELS
from recipe.reviews import IMDB, read_splits
from reviewbox.cli.evaluate import calibration_error
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import NEGATIVE, NEUTRAL, POSITIVE, Verdict

SIDES = (POSITIVE, NEGATIVE)  # the labels of praise and of blame

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
    write_model(checkpoint, work / "tokenizer.json", work, folder, config, UNCALIBRATED)
    classifier = Classifier.load(folder, threads=config["threads"])
    limit = config["evaluation"]["calibration_reviews"]
    reviews = read_splits(work)
    reviews = reviews[reviews.label >= 0]
    # All films, because in a few of them, chance makes the error larger than the accepted one.
    rank = reviews.groupby(["split", "domain"]).cumcount()
    reviews = reviews[(rank < limit) | (reviews.domain == IMDB)].reset_index(drop=True)
    scale = fit_difference(reviews, np.subtract(*question_logits(classifier, reviews)))
    answers = pd.read_parquet(work / "four_calibration.parquet")
    sum_scale, sum_offset = fit_sum(answers, question_logits(classifier, answers), scale)
    values = {"difference_scale": scale, "sum_scale": sum_scale, "sum_offset": sum_offset}
    calibration = {name: round(value, 4) for name, value in values.items()}
    (work / CALIBRATION).write_text(json.dumps(calibration) + "\n", encoding="utf-8")
    print(f"calibration: {calibration}")


def question_logits(classifier: Classifier, texts: pd.DataFrame) -> np.ndarray:
    """Return the logits of praise and of blame, shape (2, R), before the language lowers them.

    They are NaN for a text without a verdict.
    """
    logits = np.full((2, len(texts)), np.nan)
    for row, verdict in enumerate(classifier.classify_each(texts.text, explain=False)):
        if isinstance(verdict, Verdict):
            praise, blame = (np.log(verdict.scores[side] / verdict.scores[NEUTRAL]) for side in SIDES)
            logits[:, row] = np.array([praise, blame]) / (verdict.known_language or 1)
    return logits


def fit_difference(reviews: pd.DataFrame, margins: np.ndarray) -> float:
    """Return the scale of praise minus blame that brings the calibration errors closest to the accepted ones.

    It minimizes the largest ratio of error to accepted error in three groups: films, other seen domains, and
    held-out domains. Minimizing the overall cross-entropy would favor the groups in which the model is least
    confident.
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


def fit_sum(texts: pd.DataFrame, logits: np.ndarray, difference_scale: float) -> tuple[float, float]:
    """Return the scale and the offset of praise plus blame that minimize the cross-entropy of four answers.

    Args:
        texts: texts with the column answer, one of `LABELS`.
        logits: of praise and of blame, shape (2, R).
        difference_scale: the scale of praise minus blame.
    """
    columns = texts.answer.map(LABELS.index).to_numpy()
    is_known = ~np.isnan(logits[0])
    praise, blame = logits[:, is_known]

    def cross_entropy(scale_and_offset: tuple[float, float]) -> float:
        scale, offset = scale_and_offset
        calibration = {"difference_scale": difference_scale, "sum_scale": scale, "sum_offset": offset}
        head = label_head(np.eye(3), np.zeros(3), calibration)
        label_logits = head["head.weight"][:4, :2] @ [praise, blame] + head["head.bias"][:4, None]
        log_total = np.logaddexp.reduce(label_logits, axis=0)
        return float(np.mean(log_total - label_logits[columns[is_known], np.arange(len(praise))]))

    grid = itertools.product(np.geomspace(0.25, 4, 65), np.linspace(-3, 3, 61))
    scale, offset = min(grid, key=cross_entropy)
    return float(scale), float(offset)
