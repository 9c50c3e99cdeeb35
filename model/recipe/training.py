"""The training loop that all stages share: batches of windows, checkpoints, progress and curves."""

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

from recipe.curve import draw_curve
from recipe.export import question_head, read_checkpoint
from recipe.graph import ROUNDING, Weights
from recipe.network import HEADS, TokenClassifier
from recipe.reviews import CLS, PAD, SEP, TokenizedReviews
from recipe.targets import BLAME, COLUMNS, PRAISE

Item = TypeVar("Item")

# The first character of a figure's name in a training curve, for the figures of each split.
SPLIT_PREFIXES = {
    "validation": "",
    "unseen": "*",
    "contrast_validation": "~",
    "ours_validation": "+",
    "short_validation": "!",
}

# The weight of each of the four columns of a target.
LOSS_WEIGHTS = (0.5, 0.5, 1.0, 0.25)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# A processor without AVX-512 emulates bfloat16, which takes thirty times as long as float32.
HAS_BFLOAT16 = DEVICE.type == "cuda" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")


@dataclass(frozen=True, slots=True)
class Example:
    """The sampled windows of one review, as arrays of word pieces, and its target (see `targets.py`)."""

    windows: list[np.ndarray]
    target: np.ndarray


@dataclass(frozen=True, slots=True)
class Batch:
    """The windows of several reviews, padded to the longest.

    Attributes:
        input_ids: shape (N, T).
        attention_mask: 1 for tokens, 0 for padding, shape (N, T).
        review: the index in `targets` of each window's review, shape (N,).
        targets: the target of each review, shape (R, 4), float32.
    """

    input_ids: Tensor
    attention_mask: Tensor
    review: Tensor
    targets: Tensor


def split_into_windows(pieces: np.ndarray, size: int) -> list[np.ndarray]:
    """Split a review's word pieces into windows of `size`; the last one may be shorter."""
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def sample_windows(
    data: TokenizedReviews,
    targets: np.ndarray,
    rows: Iterable[int],
    config: dict[str, Any],
    rng: np.random.Generator,
) -> list[Example]:
    """Return an example for each review in `rows`.

    A share of the reviews is split into short windows. At most `per_review` windows of a review are kept.
    """
    examples = []
    for index in rows:
        is_short = rng.random() < config["short_share"]
        windows = split_into_windows(data.review(index), config["short_size"] if is_short else config["size"])
        if len(windows) > config["per_review"]:
            selected = np.sort(rng.permutation(len(windows))[: config["per_review"]])
            windows = [windows[i] for i in selected]
        examples.append(Example(windows, targets[index]))
    return examples


def example_shape(example: Example) -> tuple[int, int]:
    """Return the length of an example's longest window with special tokens, and how many windows it has."""
    return max(map(len, example.windows)) + 2, len(example.windows)


def make_batches(
    examples: Sequence[Item],
    tokens_per_batch: int,
    rng: np.random.Generator,
    shape_of: Callable[[Item], tuple[int, int]],
) -> list[list[Item]]:
    """Group examples of similar length into batches, in random order.

    A batch has at most `tokens_per_batch` tokens, padding included. `shape_of` returns the length and the
    number of rows that an example takes in a batch.
    """

    def noisy_length(example: Item) -> float:
        # The noise makes the batches of each epoch different.
        return sum(shape_of(example)) + rng.random() * 8

    batches: list[list[Item]] = [[]]
    batch_length = batch_rows = 0
    for example in sorted(examples, key=noisy_length):
        length, rows = shape_of(example)
        batch_length, batch_rows = max(batch_length, length), batch_rows + rows
        if batches[-1] and batch_length * batch_rows > tokens_per_batch:
            batches.append([])
            batch_length, batch_rows = length, rows
        batches[-1].append(example)
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(examples: Sequence[Example]) -> Batch:
    """Return the examples' windows as one batch, with special tokens and padding."""
    windows = [window for example in examples for window in example.windows]
    input_ids = np.full((len(windows), max(map(len, windows)) + 2), PAD, dtype=np.int64)
    for row, window in zip(input_ids, windows, strict=True):
        row[: len(window) + 2] = [CLS, *window, SEP]
    counts = torch.tensor([len(example.windows) for example in examples])
    return Batch(
        torch.from_numpy(input_ids).to(DEVICE),
        torch.from_numpy((input_ids != PAD).astype(np.int64)).to(DEVICE),
        torch.repeat_interleave(torch.arange(len(examples)), counts).to(DEVICE),
        torch.from_numpy(np.array([example.target for example in examples], dtype=np.float32)).to(DEVICE),
    )


def review_logits(model: TokenClassifier, batch: Batch) -> Tensor:
    """Return each review's mean token logits over all its windows, shape (R, 3), float32."""
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=HAS_BFLOAT16):
        token_logits = model(batch.input_ids, batch.attention_mask)
    counts = batch.attention_mask.sum(dim=1).float() - 2
    zeros = torch.zeros(len(batch.targets), HEADS, device=DEVICE)
    sums = zeros.index_add(0, batch.review, token_logits.float().sum(dim=1))
    return sums / zeros[:, 0].index_add(0, batch.review, counts).unsqueeze(-1)


def classification_loss(model: TokenClassifier, examples: Sequence[Example]) -> Tensor:
    """Return the mean binary cross-entropy between the reviews' logits and what they teach.

    The logit of "positive rather than negative" is the logit of praise minus the logit of blame: with two
    independent sigmoids, that is exactly the log-odds of the two one-sided answers.
    """
    batch = collate(examples)
    praise, blame, known = review_logits(model, batch).unbind(dim=1)
    logits = torch.stack([praise, blame, praise - blame, known], dim=1)
    is_taught = ~torch.isnan(batch.targets)
    losses = binary_cross_entropy_with_logits(logits, batch.targets.nan_to_num(0.5), reduction="none")
    weights = torch.tensor(LOSS_WEIGHTS, device=DEVICE)
    return (losses * is_taught * weights).sum() / len(examples)


@torch.inference_mode()
def predict(model: TokenClassifier, data: TokenizedReviews, size: int, rows: np.ndarray) -> np.ndarray:
    """Return the logits of the reviews `rows`, over all their windows, shape (len(rows), 3)."""
    model.eval()
    logits = np.empty((len(rows), HEADS), dtype=np.float32)
    by_length = np.argsort([len(data.review(row)) for row in rows])
    for start in range(0, len(by_length), 32):
        indices = by_length[start : start + 32]
        batch = collate(
            [Example(split_into_windows(data.review(rows[i]), size), np.zeros(COLUMNS)) for i in indices]
        )
        logits[indices] = review_logits(model, batch).cpu().numpy()
    model.train()
    return logits


def validate(model: TokenClassifier, work: Path, size: int, limit: int) -> dict[str, float]:
    """Return the balanced accuracy of each domain, in percent, over at most `limit` reviews of each.

    A domain's name starts with the prefix of its split in `SPLIT_PREFIXES`.
    """
    figures = {}
    for split, prefix in SPLIT_PREFIXES.items():
        data = TokenizedReviews.load(work / f"{split}.npz")
        for domain in np.unique(data.domains):
            rows = np.flatnonzero((data.domains == domain) & (data.labels >= 0))[:limit]
            if len(rows):
                logits = predict(model, data, size, rows)
                accuracy = balanced_accuracy(logits[:, PRAISE] - logits[:, BLAME], data.labels[rows])
                figures[f"{prefix}{domain}"] = round(accuracy, 2)
    return figures


def balanced_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of the labels' recalls, in percent."""
    correct = (logits > 0) == labels
    return 100 * float(np.mean([np.mean(correct[labels == label]) for label in np.unique(labels)]))


def parameter_groups(
    model: nn.Module, learning_rate_of: Callable[[str], float], weight_decay: float
) -> list[dict[str, Any]]:
    """Return optimizer groups: learning rates by parameter name, no weight decay for biases and norms."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # Most rows of the word embeddings are frozen, but decay would still change them.
            decay = weight_decay if parameter.ndim > 1 and "word_embeddings" not in name else 0.0
            groups.setdefault((learning_rate_of(name), decay), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def fit_classifier(
    name: str,
    encoder: Path,
    batches: Sequence[list[Example]],
    work: Path,
    config: dict[str, Any],
    settings: dict[str, Any],
    checkpoint: Path | None = None,
) -> None:
    """Train a classifier with a stage's `settings`, from the encoder's weights or from `checkpoint`."""
    torch.set_num_threads(config["threads"])
    size = config["windows"]["size"]
    model = TokenClassifier.from_pretrained(encoder).to(DEVICE)
    if checkpoint:
        read = read_checkpoint(checkpoint)
        weights = {name: values for name, values in read.items() if not name.endswith(ROUNDING)}
        if len(weights["head.bias"]) != HEADS:
            weights |= question_head(weights["head.weight"], weights["head.bias"])
        load_weights(model, weights)

    def rate_of(parameter: str) -> float:
        if "word_embeddings" in parameter:
            return float(settings["emoji_learning_rate"])
        return float(settings["head_learning_rate" if parameter.startswith("head.") else "learning_rate"])

    fit(
        name,
        model,
        parameter_groups(model, rate_of, settings["weight_decay"]),
        batches,
        lambda batch: classification_loss(model, batch),
        lambda: validate(model, work, size, settings["validate_reviews"]),
        work,
        settings,
    )


def load_weights(model: nn.Module, weights: Weights) -> None:
    """Copy weights into a model.

    Exported weights have embeddings for fewer positions and token types; training never uses the missing
    ones.
    """
    state = model.state_dict()
    if state.keys() != weights.keys():
        different = ", ".join(sorted(state.keys() ^ weights.keys()))
        raise SystemExit(f"the checkpoint does not fit the model; these weights are in only one: {different}")
    for name, values in weights.items():
        state[name][: len(values)] = torch.from_numpy(np.array(values))


def fit(
    name: str,
    model: nn.Module,
    groups: list[dict[str, Any]],
    batches: Sequence[Item],
    loss_of: Callable[[Item], Tensor],
    validate: Callable[[], dict[str, float]],
    work: Path,
    settings: dict[str, Any],
) -> None:
    """Train for one step per batch; an interrupted run resumes from its last checkpoint.

    Writes `<name>.pt` (weights, optimizer, step), `<name>.jsonl` (the training curve) and `<name>.png` (its
    plot) to `work`.

    Args:
        name: the stage.
        model: the model to train, on `DEVICE`.
        groups: the result of `parameter_groups`.
        batches: one batch for each step; a resumed run must pass the same ones.
        loss_of: returns a batch's loss.
        validate: returns the validation figures by name.
        work: the folder of intermediate files.
        settings: `warmup_share`, `checkpoint_every` and `validate_every` (steps); the optional `stop_after`
            ends the run at that step of the schedule.
    """
    model.train()
    optimizer = torch.optim.AdamW(groups, fused=True)
    warmup = settings["warmup_share"] * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (len(batches) - step) / (len(batches) - warmup))
    )
    checkpoint, curve = work / f"{name}.pt", work / f"{name}.jsonl"
    first_step, last_step = 0, min(settings.get("stop_after", len(batches)), len(batches))
    running_loss = math.nan
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=DEVICE)
        first_step, running_loss = state["step"], state["loss"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        print(f"{name}: resumed at step {first_step}", flush=True)

    started = time.monotonic()
    for step, batch in enumerate(batches[first_step:last_step], first_step + 1):
        loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        value = loss.item()
        if not math.isfinite(value):
            raise SystemExit(f"{name}: the loss at step {step} is {value}; the last checkpoint is kept")
        running_loss = value if math.isnan(running_loss) else running_loss + 0.02 * (value - running_loss)

        final = step == last_step
        if step % 20 == 0 or final:
            minutes = (time.monotonic() - started) / (step - first_step) * (last_step - step) / 60
            print(
                f"{time.strftime('%H:%M')}  {name} {step}/{last_step}  loss {running_loss:.4f}  "
                f"{minutes:.0f} min left",
                flush=True,
            )
            append_point(curve, {"step": step, "loss": round(running_loss, 4)})
        if step % settings["checkpoint_every"] == 0 or final:
            state = {
                "step": step,
                "loss": running_loss,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            }
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(checkpoint)
        if step % settings["validate_every"] == 0 or final:
            figures = validate()
            append_point(curve, {"step": step, "validation": figures})
            print(f"{name} {step}: " + ", ".join(f"{k} {v:g}" for k, v in figures.items()), flush=True)
    draw_curve(curve)


def append_point(curve: Path, point: dict[str, Any]) -> None:
    """Append a point to a training curve."""
    with curve.open("a", encoding="utf-8") as file:
        file.write(json.dumps(point) + "\n")
