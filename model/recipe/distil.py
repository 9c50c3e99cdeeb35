"""Stage 4, distil: train the model on all labels and on the teachers' soft labels."""

from pathlib import Path
from typing import Any

import numpy as np

from recipe.reviews import TokenizedReviews
from recipe.targets import COLUMNS, POSITIVE
from recipe.training import Example, example_shape, fit_classifier, make_batches, sample_windows


def distil(work: Path, config: dict[str, Any], checkpoint: Path | None = None) -> None:
    """Train, and write `distil.pt` to `work`; an interrupted run resumes.

    Args:
        work: the folder of intermediate files.
        config: the content of `recipe.toml`.
        checkpoint: a checkpoint or `model.onnx` to start from, instead of the pretrained encoder.
    """
    settings, windows = config["distillation"], config["windows"]
    if checkpoint:
        settings = settings | settings["from_model"]
    texts = {split: TokenizedReviews.load(work / f"{split}.npz") for split in settings["repeats"]}
    targets: dict[str, np.ndarray] = {split: reviews.targets for split, reviews in texts.items()}
    if "passages" in texts:
        soft = np.load(work / "soft.npy")
        if len(soft) != len(texts["passages"]):
            raise SystemExit("distil: soft.npy does not match the passages; run teach again")
        targets["passages"] = np.full((len(soft), COLUMNS), np.nan, dtype=np.float32)
        targets["passages"][:, POSITIVE] = soft

    batches: list[list[Example]] = []
    for epoch in range(settings["epochs"]):
        rng = np.random.default_rng([config["seed"], epoch])
        examples: list[Example] = []
        for split, repeats in settings["repeats"].items():
            for _ in range(repeats):
                rows = range(len(texts[split]))
                examples += sample_windows(texts[split], targets[split], rows, windows, rng)
        batches += make_batches(examples, windows["tokens_per_batch"], rng, example_shape)
    fit_classifier("distil", work / "encoder", batches, work, config, settings, checkpoint)
