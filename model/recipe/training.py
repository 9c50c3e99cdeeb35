"""One loop for every stage that trains: batches of windows, checkpoints, progress, curves."""

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from recipe.curve import draw
from recipe.export import read_checkpoint
from recipe.graph import Weights
from recipe.network import TokenClassifier
from recipe.reviews import TokenizedReviews

Item = TypeVar("Item")

# How figures of each split are marked in a training curve.
MARKS = {"validation": "", "unseen": "*", "contrast_validation": "~", "ours_validation": "+"}

CLS, SEP, PAD = 101, 102, 0  # of the BERT vocabulary

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, slots=True)
class Example:
    """A review as it is trained on: some of its windows of word pieces, and P(positive)."""

    windows: list[np.ndarray]
    target: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of several reviews, padded to the longest.

    Attributes:
        input_ids: shape (N, T).
        attention_mask: 1 where a position is a token, shape (N, T).
        review: the row in `targets` of each window's review, shape (N,).
        targets: P(positive) of each review, shape (R,), float32.
    """

    input_ids: Tensor
    attention_mask: Tensor
    review: Tensor
    targets: Tensor


def cut(pieces: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut a review's word pieces into windows of `size`, the last one shorter."""
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def sample(
    data: TokenizedReviews,
    targets: np.ndarray,
    rows: Iterable[int],
    config: dict[str, Any],
    rng: np.random.Generator,
) -> list[Example]:
    """Draw the windows of the reviews `rows`: a few of a long one, finer ones now and then."""
    examples = []
    for index in rows:
        short = rng.random() < config["short_share"]
        windows = cut(data.review(index), config["short_size"] if short else config["size"])
        if len(windows) > config["per_review"]:
            chosen = np.sort(rng.permutation(len(windows))[: config["per_review"]])
            windows = [windows[i] for i in chosen]
        examples.append(Example(windows, float(targets[index])))
    return examples


def shape(example: Example) -> tuple[int, int]:
    """Return the width of an example's longest window, special tokens included, and how many it has."""
    return max(map(len, example.windows)) + 2, len(example.windows)


def batched(
    examples: Sequence[Item],
    tokens_per_batch: int,
    rng: np.random.Generator,
    shape_of: Callable[[Item], tuple[int, int]],
) -> list[list[Item]]:
    """Group examples of similar length, `tokens_per_batch` with padding at most; shuffle the groups.

    `shape_of` tells an example's width and rows in a batch, as `shape` does.
    """

    # Noise in the key keeps the batches of two epochs different.
    def length(example: Item) -> float:
        return sum(shape_of(example)) + rng.random() * 8

    batches: list[list[Item]] = [[]]
    longest = count = 0
    for example in sorted(examples, key=length):
        width, rows = shape_of(example)
        longest, count = max(longest, width), count + rows
        if batches[-1] and longest * count > tokens_per_batch:
            batches.append([])
            longest, count = width, rows
        batches[-1].append(example)
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(examples: Sequence[Example]) -> Batch:
    """Add the special tokens to each review's windows, and pad."""
    windows = [window for example in examples for window in example.windows]
    input_ids = np.full((len(windows), max(map(len, windows)) + 2), PAD, dtype=np.int64)
    for row, window in zip(input_ids, windows, strict=True):
        row[: len(window) + 2] = [CLS, *window, SEP]
    counts = torch.tensor([len(example.windows) for example in examples])
    return Batch(
        torch.from_numpy(input_ids).to(DEVICE),
        torch.from_numpy((input_ids != PAD).astype(np.int64)).to(DEVICE),
        torch.repeat_interleave(torch.arange(len(examples)), counts).to(DEVICE),
        torch.tensor([example.target for example in examples], dtype=torch.float32, device=DEVICE),
    )


def review_logits(model: TokenClassifier, batch: Batch) -> Tensor:
    """Return each review's mean token logit over all its windows, shape (R,), float32."""
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        token_logits = model(batch.input_ids, batch.attention_mask)
    counts = batch.attention_mask.sum(dim=1).float() - 2
    zeros = torch.zeros(len(batch.targets), device=DEVICE)
    sums = zeros.index_add(0, batch.review, token_logits.float().sum(dim=1))
    return sums / zeros.index_add(0, batch.review, counts)


def classification_loss(model: TokenClassifier, examples: Sequence[Example]) -> Tensor:
    """Return the binary cross-entropy between the reviews' logits and their targets."""
    batch = collate(examples)
    return binary_cross_entropy_with_logits(review_logits(model, batch), batch.targets)


@torch.inference_mode()
def score(model: TokenClassifier, data: TokenizedReviews, size: int, rows: np.ndarray) -> np.ndarray:
    """Return the logits of the reviews `rows`, whole, shape (len(rows),)."""
    model.eval()
    logits = np.empty(len(rows), dtype=np.float32)
    order = np.argsort([len(data.review(row)) for row in rows])
    for start in range(0, len(order), 32):
        chosen = order[start : start + 32]
        batch = collate([Example(cut(data.review(rows[i]), size), 0) for i in chosen])
        logits[chosen] = review_logits(model, batch).cpu().numpy()
    model.train()
    return logits


def validate(model: TokenClassifier, work: Path, size: int, limit: int) -> dict[str, float]:
    """Return the balanced accuracy of each domain, in percent, over up to `limit` reviews of each.

    Domains that training never saw have a star before their name, edited reviews a tilde, ours a plus.
    """
    found = {}
    for split, mark in MARKS.items():
        data = TokenizedReviews.load(work / f"{split}.npz")
        for domain in np.unique(data.domains):
            rows = np.flatnonzero(data.domains == domain)[:limit]
            accuracy = balanced_accuracy(score(model, data, size, rows), data.labels[rows])
            found[f"{mark}{domain}"] = round(accuracy, 2)
    return found


def balanced_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of the labels' recalls, in percent."""
    right = (logits > 0) == labels
    return 100 * float(np.mean([np.mean(right[labels == label]) for label in np.unique(labels)]))


def parameter_groups(
    model: nn.Module, rate_of: Callable[[str], float], weight_decay: float
) -> list[dict[str, Any]]:
    """Give each parameter the learning rate of its name, and biases and layer norms no weight decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate_of(name), decay), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def fit_classifier(
    name: str,
    encoder: Path,
    batches: Sequence[list[Example]],
    work: Path,
    config: dict[str, Any],
    settings: dict[str, Any],
    start: Path | None = None,
) -> None:
    """`fit` a classifier with a stage's `settings`, from an encoder's folder or the weights of `start`."""
    torch.set_num_threads(config["threads"])
    size = config["windows"]["size"]
    model = TokenClassifier.from_pretrained(encoder).to(DEVICE)
    if start:
        load_weights(model, read_checkpoint(start))
    rates = {"head": settings["head_learning_rate"], "encoder": settings["learning_rate"]}
    fit(
        name,
        model,
        parameter_groups(
            model, lambda parameter: rates[parameter.partition(".")[0]], settings["weight_decay"]
        ),
        batches,
        lambda batch: classification_loss(model, batch),
        lambda over: validate(model, work, size, 10**9 if over else settings["validate_reviews"]),
        work,
        settings,
    )


def load_weights(model: nn.Module, weights: Weights) -> None:
    """Copy weights into a model.

    An exported one has fewer positions and types of token; what it lacks is never looked up.
    """
    state = model.state_dict()
    if state.keys() != weights.keys():
        raise SystemExit(f"weights of another model: {sorted(state.keys() ^ weights.keys())}")
    for name, values in weights.items():
        state[name][: len(values)] = torch.from_numpy(np.array(values))


def fit(
    name: str,
    model: nn.Module,
    groups: list[dict[str, Any]],
    batches: Sequence[Item],
    loss_of: Callable[[Item], Tensor],
    validation: Callable[[bool], dict[str, float]],
    work: Path,
    settings: dict[str, Any],
) -> None:
    """Take one step for each of `batches`; an interrupted run goes on from its last checkpoint.

    Writes `<name>.pt` (weights, optimizer, step), `<name>.jsonl` (the curve) and `<name>.png` (the
    curve drawn) to `work`.

    Args:
        name: the stage.
        model: what is trained, on `DEVICE`.
        groups: its parameters, as `parameter_groups` returns them.
        batches: one for each step, the same whenever the run is taken up again.
        loss_of: a batch's loss.
        validation: figures by name; it is told whether the run is over, and may take longer then.
        work: the folder of intermediate files.
        settings: `warmup_share`, `checkpoint_every` and `validate_every` (steps); with `stop_after`,
            the run is over at that step of the schedule.
    """
    model.train()
    optimizer = torch.optim.AdamW(groups, fused=True)
    warmup = settings["warmup_share"] * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (len(batches) - step) / (len(batches) - warmup))
    )
    checkpoint, curve, done = work / f"{name}.pt", work / f"{name}.jsonl", 0
    running, last = math.nan, settings.get("stop_after", len(batches))
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=DEVICE)
        done, running = state["step"], state["loss"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        print(f"{name}: resumed at step {done}", flush=True)

    started = time.monotonic()
    for step, batch in enumerate(batches[done:last], done + 1):
        loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        value = loss.item()
        if not math.isfinite(value):
            raise SystemExit(f"{name}: the loss at step {step} is {value}; the last checkpoint stands")
        running = value if math.isnan(running) else running + 0.02 * (value - running)

        over = step == last
        if step % 20 == 0 or over:
            minutes = (time.monotonic() - started) / (step - done) * (last - step) / 60
            print(
                f"{time.strftime('%H:%M')}  {name} {step}/{last}  loss {running:.4f}  {minutes:.0f} min left",
                flush=True,
            )
            note(curve, {"step": step, "loss": round(running, 4)})
        if step % settings["checkpoint_every"] == 0 or over:
            state = {
                "step": step,
                "loss": running,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            }
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(checkpoint)
        if step % settings["validate_every"] == 0 or over:
            figures = validation(over)
            note(curve, {"step": step, "validation": figures})
            print(f"{name} {step}: " + ", ".join(f"{k} {v:g}" for k, v in figures.items()), flush=True)
    draw(curve)


def note(curve: Path, point: dict[str, Any]) -> None:
    """Add a point to a training curve."""
    with curve.open("a", encoding="utf-8") as file:
        file.write(json.dumps(point) + "\n")
