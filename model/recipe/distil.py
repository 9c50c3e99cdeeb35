"""Stage 4, distil: the pretrained encoder, all labels and the teachers' scores -> the model."""

from pathlib import Path
from typing import Any

import numpy as np

from recipe.reviews import TokenizedReviews
from recipe.training import Example, batched, fit_classifier, sample


def distil(work: Path, config: dict[str, Any]) -> None:
    """Train and write `distil.pt` to `work`; an interrupted run goes on where it was."""
    settings, windows = config["distillation"], config["windows"]
    labelled = TokenizedReviews.load(work / "train.npz")
    contrast = [TokenizedReviews.load(work / f"{name}.npz") for name in ("contrast", "pairs")]
    unlabelled = TokenizedReviews.load(work / "unlabelled.npz")
    soft = np.load(work / "soft.npy")
    unjudgeable = TokenizedReviews.load(work / "abstain.npz")
    unsure = np.full(len(unjudgeable), 0.5)

    batches: list[list[Example]] = []
    for epoch in range(settings["epochs"]):
        rng = np.random.default_rng([config["seed"], epoch])
        examples = sample(labelled, labelled.labels, range(len(labelled)), windows, rng)
        for _ in range(settings["contrast_repeats"]):
            for edited in contrast:
                examples += sample(edited, edited.labels, range(len(edited)), windows, rng)
        examples += sample(unjudgeable, unsure, range(len(unjudgeable)), windows, rng)
        # Another part of the unlabelled reviews in each epoch.
        examples += sample(unlabelled, soft, range(epoch, len(unlabelled), settings["epochs"]), windows, rng)
        batches += batched(examples, windows["tokens_per_batch"], rng)
    fit_classifier("distil", work / "encoder", batches, work, config, settings)
