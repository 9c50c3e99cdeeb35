"""A teacher: a small language model, asked whether a passage of a review is positive.

It has read a thousand times what the encoder has, and already answers most reviews untaught. It is too
slow to serve (ten times the encoder's time), so it only labels what the `distil` stage learns from.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipe.training import DEVICE, MARKS, balanced_accuracy, batched, fit, parameter_groups
from reviewbox.model.plain_text import plain_text

BEFORE, AFTER = "Review: ", "\nSentiment:"
ANSWERS = (" positive", " negative")

_TEXTS_AT_A_TIME = 1000

# Its token ids with the question around them, and P(positive).
Passage = tuple[list[int], float]


class LanguageModel(nn.Module):
    """A decoder and one direction of its output: the logit of one answer less that of the other.

    Args:
        path: a GGUF file, or a folder as Hugging Face lays it out.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        folder, file = (path, None) if path.is_dir() else (path.parent, path.name)
        source: dict[str, Any] = {"pretrained_model_name_or_path": folder, "gguf_file": file}
        self.tokenizer = AutoTokenizer.from_pretrained(**source)
        model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        self.decoder = model.model
        self.decoder.embed_tokens.requires_grad_(requires_grad=False)
        positive, negative = (
            self.tokenizer(answer, add_special_tokens=False).input_ids[0] for answer in ANSWERS
        )
        answers = model.lm_head.weight.detach()
        self.direction = nn.Parameter(answers[positive] - answers[negative])

    def within_question(self, reviews: pd.DataFrame, longest: int) -> list[Passage]:
        """Return each review's beginning, `longest` tokens at most, within the question."""
        before, after = (self.tokenizer(text, add_special_tokens=False).input_ids for text in (BEFORE, AFTER))
        texts = [plain_text(text).text for text in reviews.text]
        ids = self.tokenizer(texts, add_special_tokens=False).input_ids
        return [
            ([*before, *tokens[:longest], *after], float(label))
            for tokens, label in zip(ids, reviews.label, strict=True)
        ]

    def forward(self, passages: Sequence[Passage]) -> Tensor:
        """Return the passages' logits of "positive", shape (P,), float32."""
        # Each token sees only those before it, so padding behind needs no mask.
        last = torch.tensor([len(ids) - 1 for ids, _ in passages], device=DEVICE)
        input_ids = torch.zeros(len(passages), int(last.max()) + 1, dtype=torch.int64)
        for row, (ids, _) in zip(input_ids, passages, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
            states = self.decoder(input_ids=input_ids.to(DEVICE), use_cache=False).last_hidden_state
        final = states[torch.arange(len(passages), device=DEVICE), last]
        return final.float() @ self.direction


def train_language_model(source: Path, work: Path, config: dict[str, Any]) -> None:
    """Teach it some labelled reviews of every domain, and the edited ones; write `language.pt` to `work`."""
    settings, seed = config["language_model"], config["seed"]
    torch.set_num_threads(config["threads"])
    model = LanguageModel(source).to(DEVICE)
    train = pd.read_parquet(work / "train.parquet")
    caps = train.domain.map(settings["caps"]).fillna(settings["cap"])
    chosen = train[train.groupby(["domain", "label"]).cumcount() < caps / 2]
    edited = pd.concat([pd.read_parquet(work / f"{name}.parquet") for name in ("contrast", "pairs")])
    passages = model.within_question(chosen, settings["longest"])
    # An edit may be anywhere, so edited reviews are whole or not there.
    passages += [p for p in model.within_question(edited, 10**6) if len(p[0]) <= settings["longest_edited"]]
    rng = np.random.default_rng([seed, 7])
    batches = batched(passages, settings["tokens_per_batch"], rng, lambda passage: (len(passage[0]), 1))
    held_back = {
        f"{mark}{name}": model.within_question(
            group.head(settings["validate_reviews"]), 10**6 if mark == "~" else settings["longest"]
        )
        for split, mark in MARKS.items()
        for name, group in pd.read_parquet(work / f"{split}.parquet").groupby("domain")
    }

    def validation(_over: bool) -> dict[str, float]:  # noqa: FBT001
        found = {}
        for name, asked in held_back.items():
            labels = np.array([label for _, label in asked])
            found[name] = round(balanced_accuracy(language_logits(model, asked), labels), 1)
        return found

    def loss(batch: list[Passage]) -> Tensor:
        targets = torch.tensor([target for _, target in batch], device=DEVICE)
        return binary_cross_entropy_with_logits(model(batch), targets)

    def rate(name: str) -> float:
        return float(settings["head_learning_rate" if name == "direction" else "learning_rate"])

    groups = parameter_groups(model, rate, settings["weight_decay"])
    fit("language", model, groups, batches, loss, validation, work, settings)


def trained_language_model(
    source: Path, work: Path, config: dict[str, Any]
) -> Callable[[Sequence[str]], np.ndarray]:
    """Return the trained model as a teacher, which keeps its answers in `work`: they take long."""
    torch.set_num_threads(config["threads"])
    model = LanguageModel(source).to(DEVICE)
    model.load_state_dict(torch.load(work / "language.pt", map_location=DEVICE)["model"])
    for parameter in model.decoder.parameters():  # its buffers hold positions, which bfloat16 would blur
        parameter.data = parameter.data.to(torch.bfloat16)
    longest = config["language_model"]["longest"]
    teacher = model.direction.detach().cpu().numpy().tobytes() + str(longest).encode()
    kept = work / "language"
    kept.mkdir(exist_ok=True)

    def logits(texts: Sequence[str]) -> np.ndarray:
        answers = []
        for start in range(0, len(texts), _TEXTS_AT_A_TIME):
            part = pd.DataFrame({"text": texts[start : start + _TEXTS_AT_A_TIME], "label": -1})
            path = kept / f"{hashlib.sha256(teacher + ''.join(part.text).encode()).hexdigest()}.npy"
            if not path.exists():
                partial = kept / "partial.npy"
                np.save(partial, language_logits(model, model.within_question(part, longest)))
                partial.replace(path)
                print(f"language model: {start + len(part)} of {len(texts)} passages", flush=True)
            answers.append(np.load(path))
        return np.concatenate(answers)

    return logits


@torch.inference_mode()
def language_logits(model: LanguageModel, passages: Sequence[Passage]) -> np.ndarray:
    """Return the logits of all passages, shape (P,), float32."""
    model.eval()
    logits = np.empty(len(passages), dtype=np.float32)
    order = sorted(range(len(passages)), key=lambda i: len(passages[i][0]))
    for start in range(0, len(order), 32):
        chosen = order[start : start + 32]
        logits[chosen] = model([passages[i] for i in chosen]).cpu().numpy()
    model.train()
    return logits
