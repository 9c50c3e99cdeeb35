"""Stage 4, distil: an encoder or an earlier model, all labels and the teachers' scores -> the model."""

from pathlib import Path
from typing import Any

import numpy as np

from recipe.reviews import TokenizedReviews
from recipe.training import Example, batched, fit_classifier, sample, shape


def distil(work: Path, config: dict[str, Any], start: Path | None = None) -> None:
    """Train and write `distil.pt` to `work`; an interrupted run goes on where it was.

    Args:
        work: the folder of intermediate files.
        config: the recipe's.
        start: a checkpoint or `model.onnx` to start from, instead of the pretrained encoder.
    """
    settings, windows = config["distillation"], config["windows"]
    if start:
        settings = settings | settings["further"]
    texts = {split: TokenizedReviews.load(work / f"{split}.npz") for split in settings["repeats"]}
    targets: dict[str, np.ndarray] = {split: reviews.labels for split, reviews in texts.items()}
    targets["passages"] = np.load(work / "soft.npy")
    if len(targets["passages"]) != len(texts["passages"]):
        raise SystemExit("distil: soft.npy is not of these passages; run teach again")
    targets["abstain"] = np.full(len(texts["abstain"]), 0.5)

    batches: list[list[Example]] = []
    for epoch in range(settings["epochs"]):
        rng = np.random.default_rng([config["seed"], epoch])
        examples: list[Example] = []
        for split, repeats in settings["repeats"].items():
            for _ in range(repeats):
                examples += sample(texts[split], targets[split], range(len(texts[split])), windows, rng)
        batches += batched(examples, windows["tokens_per_batch"], rng, shape)
    fit_classifier("distil", work / "encoder", batches, work, config, settings, start)
