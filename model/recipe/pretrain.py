"""Stage 2, pretrain: adapt MiniLM-L6 to reviews by masked-language training (Devlin et al. 2019)."""

import shutil
from collections.abc import Iterable
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertForMaskedLM

from recipe.network import NO_DROPOUT
from recipe.reviews import TokenizedReviews
from recipe.training import (
    CLS,
    DEVICE,
    HAS_BFLOAT16,
    PAD,
    SEP,
    Example,
    collate,
    example_shape,
    fit,
    make_batches,
    parameter_groups,
    sample_windows,
)

# Ids in the BERT vocabulary, which lists special and unused tokens before its words.
MASK, FIRST_WORD = 103, 999


def pretrain(encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Train, and write the folder `encoder` to `work`; an interrupted run resumes.

    Args:
        encoder: the folder of the initial weights and the tokenizer, in Hugging Face's layout.
        work: the folder of intermediate files.
        config: the content of `recipe.toml`.
    """
    seed, settings = config["seed"], config["pretraining"]
    torch.set_num_threads(config["threads"])
    torch.manual_seed(seed)  # initializes the vocabulary head, which the folder lacks
    model = BertForMaskedLM.from_pretrained(encoder, attn_implementation="sdpa", **NO_DROPOUT).to(DEVICE)
    data = TokenizedReviews.load(work / "pretrain.npz")
    windows = settings | {"size": config["windows"]["size"], "short_share": 0}
    order = np.random.default_rng([seed, 1]).permutation(len(data))
    validation_rows, rows = np.split(order, [settings["validate_reviews"]])
    validation_batches = list(
        enumerate(epoch_batches(data, validation_rows, windows, np.random.default_rng([seed, 2])))
    )
    epochs = (
        epoch_batches(data, rows, windows, np.random.default_rng([seed, 3, epoch])) for epoch in count()
    )

    def loss_of(numbered_batch: tuple[int, list[Example]]) -> Tensor:
        number, batch = numbered_batch
        # A resumed run masks the same positions.
        rng = np.random.default_rng([seed, 4, number])
        return masked_loss(model, batch, settings["masked_share"], rng)

    def validate() -> dict[str, float]:
        with torch.inference_mode():
            return {"loss": round(float(np.mean([loss_of(batch).item() for batch in validation_batches])), 4)}

    fit(
        "pretrain",
        model,
        parameter_groups(
            model,
            lambda name: settings["embedding_learning_rate" if ".embeddings." in name else "learning_rate"],
            settings["weight_decay"],
        ),
        list(enumerate(islice(chain.from_iterable(epochs), settings["steps"]))),
        loss_of,
        validate,
        work,
        settings,
    )
    model.bert.save_pretrained(work / "encoder")
    for pattern in ("tokenizer*", "special_tokens*", "vocab*"):
        for file in encoder.glob(pattern):
            shutil.copy(file, work / "encoder")


def epoch_batches(
    data: TokenizedReviews, rows: Iterable[int], config: dict[str, Any], rng: np.random.Generator
) -> list[list[Example]]:
    """Return the batches of one epoch over the texts `rows`, with each window as its own example."""
    texts = sample_windows(data, np.zeros(len(data)), rows, config, rng)
    examples = [Example([window], text.target) for text in texts for window in text.windows]
    return make_batches(examples, config["tokens_per_batch"], rng, example_shape)


def masked_loss(
    model: BertForMaskedLM, examples: list[Example], share: float, rng: np.random.Generator
) -> Tensor:
    """Mask `share` of the word pieces and return the mean cross-entropy of the model's predictions."""
    batch = collate(examples)
    input_ids, positions = mask_tokens(batch.input_ids.cpu().numpy(), share, rng, model.config.vocab_size)
    masked = torch.from_numpy(positions).to(DEVICE)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=HAS_BFLOAT16):
        states = model.bert(
            input_ids=torch.from_numpy(input_ids).to(DEVICE), attention_mask=batch.attention_mask
        ).last_hidden_state
        # The vocabulary is large, so logits are computed at masked positions only.
        logits = model.cls(states.flatten(0, 1).index_select(0, masked))
    return cross_entropy(logits.float(), batch.input_ids.flatten().index_select(0, masked))


def mask_tokens(
    input_ids: np.ndarray, share: float, rng: np.random.Generator, vocabulary_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Select `share` of the word pieces; replace 80% with [MASK] and 10% with random ones.

    Args:
        input_ids: shape (N, T).
        share: from 0 to 1.
        rng: the random generator.
        vocabulary_size: how many word pieces the vocabulary has.

    Returns:
        The new ids, shape (N, T), and the selected positions (at least one) in the flattened array.
    """
    words = np.flatnonzero(~np.isin(input_ids, (PAD, CLS, SEP)))
    positions = words[rng.random(len(words)) < share]
    if not len(positions):
        positions = words[:1]
    masked = input_ids.copy()
    random_words = rng.integers(FIRST_WORD, vocabulary_size, len(positions))
    kind = rng.choice(3, len(positions), p=[0.8, 0.1, 0.1])
    masked.flat[positions] = np.choose(kind, [MASK, random_words, input_ids.flat[positions]])
    return masked, positions
