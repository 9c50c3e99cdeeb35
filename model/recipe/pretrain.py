"""Stage 2, pretrain: MiniLM-L6 and all texts -> an encoder that has read many reviews.

Masked-language training (Devlin et al. 2019): the model fills in word pieces that are hidden from it.
"""

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
    PAD,
    SEP,
    Example,
    batched,
    collate,
    fit,
    parameter_groups,
    sample,
    shape,
)

MASK, FIRST_WORD = 103, 999  # of the BERT vocabulary; before its words come marks and unused entries


def pretrain(encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Train and write the folder `encoder` to `work`; an interrupted run goes on where it was.

    Args:
        encoder: the folder of the weights to start from and of the tokenizer, as Hugging Face lays it out.
        work: the folder of intermediate files.
        config: the recipe's.
    """
    seed, settings = config["seed"], config["pretraining"]
    torch.set_num_threads(config["threads"])
    torch.manual_seed(seed)  # draws the head over the vocabulary, which the folder lacks
    model = BertForMaskedLM.from_pretrained(encoder, attn_implementation="sdpa", **NO_DROPOUT).to(DEVICE)
    data = TokenizedReviews.load(work / "pretrain.npz")
    windows = settings | {"size": config["windows"]["size"], "short_share": 0}
    order = np.random.default_rng([seed, 1]).permutation(len(data))
    held_back, rows = np.split(order, [settings["validate_reviews"]])
    held_batches = list(enumerate(one_pass(data, held_back, windows, np.random.default_rng([seed, 2]))))
    passes = (one_pass(data, rows, windows, np.random.default_rng([seed, 3, number])) for number in count())

    def loss_of(numbered: tuple[int, list[Example]]) -> Tensor:
        # The same masks whenever a batch is taken up again.
        rng = np.random.default_rng([seed, 4, numbered[0]])
        return masked_loss(model, numbered[1], settings["masked_share"], rng)

    def validation(_over: bool) -> dict[str, float]:  # noqa: FBT001
        with torch.inference_mode():
            return {"loss": round(float(np.mean([loss_of(batch).item() for batch in held_batches])), 4)}

    fit(
        "pretrain",
        model,
        parameter_groups(
            model,
            lambda name: settings["embedding_learning_rate" if ".embeddings." in name else "learning_rate"],
            settings["weight_decay"],
        ),
        list(enumerate(islice(chain.from_iterable(passes), settings["steps"]))),
        loss_of,
        validation,
        work,
        settings,
    )
    model.bert.save_pretrained(work / "encoder")
    for pattern in ("tokenizer*", "special_tokens*", "vocab*"):
        for file in encoder.glob(pattern):
            shutil.copy(file, work / "encoder")


def one_pass(
    data: TokenizedReviews, rows: Iterable[int], config: dict[str, Any], rng: np.random.Generator
) -> list[list[Example]]:
    """Return batches of windows of the texts `rows`, each window an example of its own."""
    texts = sample(data, np.zeros(len(data)), rows, config, rng)
    examples = [Example([window], text.target) for text in texts for window in text.windows]
    return batched(examples, config["tokens_per_batch"], rng, shape)


def masked_loss(
    model: BertForMaskedLM, examples: list[Example], share: float, rng: np.random.Generator
) -> Tensor:
    """Hide `share` of the word pieces and return the mean cross-entropy of the model's guesses."""
    batch = collate(examples)
    input_ids, positions = hide(batch.input_ids.cpu().numpy(), share, rng, model.config.vocab_size)
    chosen = torch.from_numpy(positions).to(DEVICE)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        states = model.bert(
            input_ids=torch.from_numpy(input_ids).to(DEVICE), attention_mask=batch.attention_mask
        ).last_hidden_state
        # The vocabulary is large: guess at the hidden positions only.
        logits = model.cls(states.flatten(0, 1).index_select(0, chosen))
    return cross_entropy(logits.float(), batch.input_ids.flatten().index_select(0, chosen))


def hide(
    input_ids: np.ndarray, share: float, rng: np.random.Generator, vocabulary: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose `share` of the word pieces; put [MASK] for eight in ten, any word for one, leave one.

    Args:
        input_ids: shape (N, T).
        share: from 0 to 1.
        rng: draws.
        vocabulary: how many word pieces there are.

    Returns:
        The new ids, shape (N, T), and the positions chosen, one at least, in the flattened array.
    """
    words = np.flatnonzero(~np.isin(input_ids, (PAD, CLS, SEP)))
    positions = words[rng.random(len(words)) < share]
    if not len(positions):
        positions = words[:1]
    hidden = input_ids.copy()
    others = rng.integers(FIRST_WORD, vocabulary, len(positions))
    kind = rng.choice(3, len(positions), p=[0.8, 0.1, 0.1])
    hidden.flat[positions] = np.choose(kind, [MASK, others, input_ids.flat[positions]])
    return hidden, positions
