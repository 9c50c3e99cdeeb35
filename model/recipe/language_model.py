"""A teacher: a small language model, fine-tuned to tell whether a passage of a review is positive.

It was pretrained on a thousand times as much text as the encoder, and classifies most reviews correctly even
before it is fine-tuned. It takes ten times as long as the encoder, too long to serve, so it only produces
soft labels for the `distil` stage.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipe.training import (
    DEVICE,
    HAS_BFLOAT16,
    SPLIT_PREFIXES,
    balanced_accuracy,
    fit,
    make_batches,
    parameter_groups,
)
from reviewbox.model.plain_text import plain_text

PROMPT_PREFIX, PROMPT_SUFFIX = "Review: ", "\nSentiment:"
ANSWERS = (" positive", " negative")

_TEXTS_PER_FILE = 1000


@dataclass(frozen=True, slots=True)
class Prompt:
    """The question about one review.

    Attributes:
        token_ids: the review's tokens between the prompt's prefix and suffix.
        target: P(positive).
    """

    token_ids: list[int]
    target: float


class LanguageModel(nn.Module):
    """A decoder with one output: the logit of the answer "positive" minus that of "negative".

    Args:
        path: a GGUF file, or a folder in Hugging Face's layout.
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

    def prompts(self, reviews: pd.DataFrame, max_tokens: int) -> list[Prompt]:
        """Return a prompt for each review, which is truncated to its first `max_tokens` tokens."""
        prefix, suffix = (
            self.tokenizer(text, add_special_tokens=False).input_ids
            for text in (PROMPT_PREFIX, PROMPT_SUFFIX)
        )
        texts = [plain_text(text).text for text in reviews.text]
        reviews_ids = self.tokenizer(texts, add_special_tokens=False).input_ids
        return [
            Prompt([*prefix, *ids[:max_tokens], *suffix], float(label))
            for ids, label in zip(reviews_ids, reviews.label, strict=True)
        ]

    def forward(self, prompts: Sequence[Prompt]) -> Tensor:
        """Return each prompt's logit of "positive", shape (P,), float32."""
        # A token attends only to those before it, so padding at the end needs no mask.
        last = torch.tensor([len(prompt.token_ids) - 1 for prompt in prompts], device=DEVICE)
        input_ids = torch.zeros(len(prompts), int(last.max()) + 1, dtype=torch.int64)
        for row, prompt in zip(input_ids, prompts, strict=True):
            row[: len(prompt.token_ids)] = torch.tensor(prompt.token_ids)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=HAS_BFLOAT16):
            states = self.decoder(input_ids=input_ids.to(DEVICE), use_cache=False).last_hidden_state
        final = states[torch.arange(len(prompts), device=DEVICE), last]
        return final.float() @ self.direction


def train_language_model(source: Path, work: Path, config: dict[str, Any]) -> None:
    """Fine-tune it on labeled reviews of every domain and on edited ones; write `language.pt` to `work`."""
    settings, seed = config["language_model"], config["seed"]
    torch.set_num_threads(config["threads"])
    model = LanguageModel(source).to(DEVICE)
    train = pd.read_parquet(work / "train.parquet")
    caps = train.domain.map(settings["caps"]).fillna(settings["cap"])
    selected = train[train.groupby(["domain", "label"]).cumcount() < caps / 2]
    prompts = model.prompts(selected, settings["max_tokens"])
    # An edit may be anywhere in a review, so an edited review is used whole or not at all.
    edited = pd.concat([pd.read_parquet(work / f"{split}.parquet") for split in ("contrast", "pairs")])
    max_edited_tokens = settings["max_edited_tokens"]
    prompts += [p for p in model.prompts(edited, 10**6) if len(p.token_ids) <= max_edited_tokens]
    rng = np.random.default_rng([seed, 7])
    batches = make_batches(
        prompts, settings["tokens_per_batch"], rng, lambda prompt: (len(prompt.token_ids), 1)
    )
    validation_prompts = {
        f"{prefix}{domain}": model.prompts(
            reviews.head(settings["validate_reviews"]), 10**6 if prefix == "~" else settings["max_tokens"]
        )
        for split, prefix in SPLIT_PREFIXES.items()
        for domain, reviews in pd.read_parquet(work / f"{split}.parquet").groupby("domain")
    }

    def validate() -> dict[str, float]:
        figures = {}
        for name, domain_prompts in validation_prompts.items():
            labels = np.array([prompt.target for prompt in domain_prompts])
            figures[name] = round(balanced_accuracy(predict_prompts(model, domain_prompts), labels), 1)
        return figures

    def loss_of(batch: list[Prompt]) -> Tensor:
        targets = torch.tensor([prompt.target for prompt in batch], device=DEVICE)
        return binary_cross_entropy_with_logits(model(batch), targets)

    def learning_rate(name: str) -> float:
        return float(settings["head_learning_rate" if name == "direction" else "learning_rate"])

    groups = parameter_groups(model, learning_rate, settings["weight_decay"])
    fit("language", model, groups, batches, loss_of, validate, work, settings)


def load_language_teacher(
    source: Path, work: Path, config: dict[str, Any]
) -> Callable[[Sequence[str]], np.ndarray]:
    """Return the fine-tuned model as a teacher, which caches its slow predictions in `work`."""
    torch.set_num_threads(config["threads"])
    model = LanguageModel(source).to(DEVICE)
    model.load_state_dict(torch.load(work / "language.pt", map_location=DEVICE)["model"])
    # Buffers stay in float32: they hold positions, which bfloat16 would round.
    for parameter in model.decoder.parameters() if HAS_BFLOAT16 else ():
        parameter.data = parameter.data.to(torch.bfloat16)
    max_tokens = config["language_model"]["max_tokens"]
    model_key = model.direction.detach().cpu().numpy().tobytes() + str(max_tokens).encode()
    cache = work / "language"
    cache.mkdir(exist_ok=True)

    def predict(texts: Sequence[str]) -> np.ndarray:
        logits = []
        for start in range(0, len(texts), _TEXTS_PER_FILE):
            chunk = pd.DataFrame({"text": texts[start : start + _TEXTS_PER_FILE], "label": -1})
            path = cache / f"{hashlib.sha256(model_key + ''.join(chunk.text).encode()).hexdigest()}.npy"
            if not path.exists():
                partial = cache / "partial.npy"
                np.save(partial, predict_prompts(model, model.prompts(chunk, max_tokens)))
                partial.replace(path)
                print(f"language model: {start + len(chunk)} of {len(texts)} passages", flush=True)
            logits.append(np.load(path))
        return np.concatenate(logits)

    return predict


@torch.inference_mode()
def predict_prompts(model: LanguageModel, prompts: Sequence[Prompt]) -> np.ndarray:
    """Return each prompt's logit of "positive", shape (P,), float32."""
    model.eval()
    logits = np.empty(len(prompts), dtype=np.float32)
    by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index].token_ids))
    for start in range(0, len(by_length), 32):
        indices = by_length[start : start + 32]
        logits[indices] = model([prompts[index] for index in indices]).cpu().numpy()
    model.train()
    return logits
