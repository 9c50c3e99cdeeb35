"""Stage 4, distil: the pretrained encoder, all labels and the teachers' scores -> the model."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from recipe.network import TokenClassifier
from recipe.reviews import TokenizedReviews
from recipe.training import DEVICE, batched, classification_loss, fit, parameter_groups, sample, validate


def distil(work: Path, config: dict[str, Any]) -> None:
    """Train and write `distil.pt` to `work`; an interrupted run goes on where it was."""
    torch.set_num_threads(config["threads"])
    torch.manual_seed(config["seed"])
    settings, windows = config["distillation"], config["windows"]
    labelled = TokenizedReviews.load(work / "train.npz")
    contrast = [TokenizedReviews.load(work / f"{name}.npz") for name in ("contrast", "pairs")]
    unlabelled = TokenizedReviews.load(work / "unlabelled.npz")
    soft = np.load(work / "soft.npy")
    unjudgeable = TokenizedReviews.load(work / "abstain.npz")
    unsure = np.full(len(unjudgeable), 0.5)
    model = TokenClassifier.from_pretrained(work / "encoder").to(DEVICE)
    rates = {"head": settings["head_learning_rate"], "encoder": settings["learning_rate"]}

    batches = []
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
    fit(
        "distil",
        model,
        parameter_groups(model, lambda name: rates[name.partition(".")[0]], settings["weight_decay"]),
        batches,
        lambda batch: classification_loss(model, batch),
        lambda over: validate(model, work, windows["size"], 10**9 if over else settings["validate_reviews"]),
        work,
        settings,
    )
