"""Stage 2, train: MiniLM-L6 and the splits' token ids -> a fine-tuned checkpoint."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from recipe.network import TokenClassifier
from recipe.reviews import TokenizedReviews

CLS, SEP, PAD = 101, 102, 0  # of the BERT vocabulary


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of several reviews, padded to the longest.

    Attributes:
        input_ids: shape (N, T).
        attention_mask: 1 where a position is a token, shape (N, T).
        review: the row in `labels` of each window's review, shape (N,).
        labels: shape (R,), float32.
    """

    input_ids: Tensor
    attention_mask: Tensor
    review: Tensor
    labels: Tensor


def cut(pieces: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut a review's word pieces into windows of `size`, the last one shorter."""
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def collate(reviews: list[list[np.ndarray]], labels: list[int]) -> Batch:
    """Add the special tokens to each review's windows, and pad."""
    windows = [window for review in reviews for window in review]
    input_ids = np.full((len(windows), max(map(len, windows)) + 2), PAD, dtype=np.int64)
    for row, window in zip(input_ids, windows, strict=True):
        row[: len(window) + 2] = [CLS, *window, SEP]
    return Batch(
        torch.from_numpy(input_ids),
        torch.from_numpy((input_ids != PAD).astype(np.int64)),
        torch.repeat_interleave(torch.arange(len(reviews)), torch.tensor([len(r) for r in reviews])),
        torch.tensor(labels, dtype=torch.float32),
    )


def epoch_batches(
    data: TokenizedReviews, config: dict[str, Any], rng: np.random.Generator
) -> list[list[tuple[int, list[np.ndarray]]]]:
    """Sample each review's windows and group reviews of similar length, the groups shuffled."""
    sampled = []
    for index in range(len(data)):
        short = rng.random() < config["short_share"]
        windows = cut(data.review(index), config["short_size"] if short else config["size"])
        if len(windows) > config["per_review"]:
            chosen = np.sort(rng.permutation(len(windows))[: config["per_review"]])
            windows = [windows[i] for i in chosen]
        sampled.append((index, windows))
    # Noise in the key keeps the batches of two epochs different.
    sampled.sort(key=lambda item: max(map(len, item[1])) + rng.random() * 8 + len(item[1]))

    batches: list[list[tuple[int, list[np.ndarray]]]] = [[]]
    longest = count = 0
    for index, windows in sampled:
        longest = max(longest, *(len(window) + 2 for window in windows))
        count += len(windows)
        if batches[-1] and longest * count > config["tokens_per_batch"]:
            batches.append([])
            longest, count = max(len(window) + 2 for window in windows), len(windows)
        batches[-1].append((index, windows))
    rng.shuffle(batches)
    return batches


def review_logits(model: TokenClassifier, batch: Batch) -> Tensor:
    """Return each review's mean token logit over all its windows, shape (R,), float32."""
    _, token_logits = model(batch.input_ids, batch.attention_mask)
    counts = batch.attention_mask.sum(dim=1).float() - 2
    zeros = torch.zeros(len(batch.labels))
    sums = zeros.index_add(0, batch.review, token_logits.float().sum(dim=1))
    return sums / zeros.index_add(0, batch.review, counts)


def score(model: TokenClassifier, data: TokenizedReviews, size: int, rows: np.ndarray) -> np.ndarray:
    """Return the logits of the reviews `rows`, whole, shape (len(rows),)."""
    model.eval()
    logits = np.empty(len(rows), dtype=np.float32)
    order = np.argsort([len(data.review(row)) for row in rows])
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            batch = collate([cut(data.review(rows[i]), size) for i in chosen], [0] * len(chosen))
            logits[chosen] = review_logits(model, batch).numpy()
    model.train()
    return logits


def validate(model: TokenClassifier, work: Path, size: int, limit: int) -> str:
    """Return one line: balanced accuracy per domain over up to `limit` reviews of each."""
    parts = []
    for split in ("validation", "unseen"):
        data = TokenizedReviews.load(work / f"{split}.npz")
        rows = np.concatenate([np.flatnonzero(data.domains == d)[:limit] for d in np.unique(data.domains)])
        positive = score(model, data, size, rows) > 0
        labels, domains = data.labels[rows], data.domains[rows]
        for domain in np.unique(domains):
            recalls = [
                np.mean(positive[(domains == domain) & (labels == label)] == label) for label in (0, 1)
            ]
            parts.append(f"{'' if split == 'validation' else '*'}{domain} {100 * np.mean(recalls):.1f}")
    return ", ".join(parts)


def parameter_groups(model: TokenClassifier, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the head its own learning rate, and biases and layer norms no weight decay."""
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = config["head_learning_rate"] if name.startswith("head") else config["learning_rate"]
            decay = config["weight_decay"] if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def train(encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Train and write `checkpoint.pt` to `work`; an interrupted run goes on where it was."""
    torch.set_num_threads(config["training"]["threads"])
    torch.manual_seed(config["seed"])
    settings, windows = config["training"], config["windows"]
    data = TokenizedReviews.load(work / "train.npz")
    model = TokenClassifier.from_pretrained(encoder)
    optimizer = torch.optim.AdamW(parameter_groups(model, settings), fused=True)

    batches = [
        batch
        for epoch in range(settings["epochs"])
        for batch in epoch_batches(data, windows, np.random.default_rng([config["seed"], epoch]))
    ]
    warmup = settings["warmup_share"] * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (len(batches) - step) / (len(batches) - warmup))
    )

    checkpoint, done = work / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        done = state["step"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])

    started, running = time.monotonic(), math.log(2)
    for step, chosen in enumerate(batches[done:], done + 1):
        batch = collate([windows for _, windows in chosen], [data.labels[index] for index, _ in chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = review_logits(model, batch)
        loss = binary_cross_entropy_with_logits(logits, batch.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        running += 0.02 * (loss.item() - running)

        if step % 20 == 0:
            minutes = (time.monotonic() - started) / (step - done) * (len(batches) - step) / 60
            print(f"step {step}/{len(batches)}  loss {running:.4f}  {minutes:.0f} min left", flush=True)
        if step % settings["checkpoint_every"] == 0 or step == len(batches):
            state = {
                "step": step,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            }
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(checkpoint)
        if step % settings["validate_every"] == 0:
            print(f"step {step}/{len(batches)}  {validate(model, work, windows['size'], 150)}", flush=True)
    print(f"done: {validate(model, work, windows['size'], 10**9)}", flush=True)
