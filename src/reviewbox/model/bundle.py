"""The frozen layout of a model folder, checked before anything is run.

The layout is what Hugging Face Optimum exports for text classification (`model.onnx`, `tokenizer.json`,
`config.json`). `bundle.json` may add what an export does not know: digests, window size, temperature, and
golden reviews.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from reviewbox.errors import ModelError

MODEL, TOKENIZER, CONFIG, BUNDLE = "model.onnx", "tokenizer.json", "config.json", "bundle.json"

# What most encoders were trained with, where a folder does not say.
_DEFAULT_WINDOW_TOKENS = 512
# A token of the text, and those that models put before and behind it.
_SHORTEST_WINDOW = 3


@dataclass(frozen=True, slots=True)
class Golden:
    """A text, and what the model said of it where it was made."""

    text: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model folder that is complete and, if it carries digests, unaltered.

    Attributes:
        folder: where it is.
        labels: the name of each column of the logits.
        window_tokens: the longest input in tokens, special tokens included.
        pad_token_id: what fills a short row of a batch.
        temperature: what logits are divided by before the softmax (Guo et al. 2017).
        calibrated: whether that temperature was fitted; else it is 1.
        digest: SHA-256 over the files' digests and the two numbers above: two folders with the
            same digest give a text the same verdict.
        golden: texts whose verdicts must come out here as they did there.
    """

    folder: Path
    labels: tuple[str, ...]
    window_tokens: int
    pad_token_id: int
    temperature: float
    calibrated: bool
    digest: str
    golden: tuple[Golden, ...]

    @property
    def model(self) -> Path:
        """The ONNX graph."""
        return self.folder / MODEL

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, in the format of the `tokenizers` library."""
        return self.folder / TOKENIZER

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and check the model folder.

        Raises:
            ModelError: a file is missing, unreadable or not what `bundle.json` says it is.
        """
        digests = {name: sha256(folder / name) for name in (MODEL, TOKENIZER, CONFIG)}
        config = _read_json(folder / CONFIG)
        bundle = _read_bundle(folder / BUNDLE)
        expected = bundle.get("sha256", digests)
        for name, digest in digests.items():
            if digest != expected.get(name):
                raise ModelError(
                    f"{folder / name} is not the file that {BUNDLE} describes: its SHA-256 is {digest}, "
                    f"expected {expected.get(name)}. Restore it or export the model again."
                )
        window_tokens = bundle.get("window_tokens") or _longest_input(config)
        temperature = bundle.get("temperature")
        identity = [digests, window_tokens, temperature]
        return cls(
            folder=folder,
            labels=_labels(config, folder),
            window_tokens=window_tokens,
            pad_token_id=config.get("pad_token_id") or 0,
            temperature=1.0 if temperature is None else float(temperature),
            calibrated=temperature is not None,
            digest=hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
            golden=tuple(_golden(entry, folder / BUNDLE) for entry in bundle.get("golden", ())),
        )


def shipped_model_dir() -> Path:
    """Return the folder of Reviewbox's own model: in the installed package or at the top of a clone."""
    package = Path(__file__).parents[1]
    installed = package / "_model"
    return installed if installed.is_dir() else package.parents[1] / "model"


def sha256(path: Path) -> str:
    """Return the digest of a file of a model folder.

    Raises:
        ModelError: there is no such file.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing: a model folder holds {MODEL}, {TOKENIZER} and {CONFIG}, as "
            "`optimum-cli export onnx --task text-classification` writes them"
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object")
    return content


def _read_bundle(path: Path) -> dict[str, Any]:
    bundle = _read_json(path) if path.exists() else {}
    temperature, window_tokens = bundle.get("temperature", 1.0), bundle.get("window_tokens", _SHORTEST_WINDOW)
    if not isinstance(temperature, int | float) or not temperature > 0:
        raise ModelError(f"`temperature` in {path} is {temperature!r}, not a number above 0")
    if not isinstance(window_tokens, int) or window_tokens < _SHORTEST_WINDOW:
        raise ModelError(
            f"`window_tokens` in {path} is {window_tokens!r}, not a number from {_SHORTEST_WINDOW} on"
        )
    if not isinstance(bundle.get("golden", []), list):
        raise ModelError(f"`golden` in {path} is not a list")
    if not isinstance(bundle.get("sha256", {}), dict):
        raise ModelError(f"`sha256` in {path} is not an object of file names and digests")
    return bundle


def _golden(entry: Any, path: Path) -> Golden:
    match entry:
        case {"text": str(text), "label": str(label), "score": int(score) | float(score)}:
            return Golden(text, label, float(score))
    raise ModelError(f"an entry of `golden` in {path} is not an object with `text`, `label` and `score`")


def _labels(config: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    # Hugging Face leaves out of `config.json` what its default is: LABEL_0 and LABEL_1.
    id2label = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    if not isinstance(id2label, dict) or len(id2label) < 2:  # noqa: PLR2004 - one label is a regression
        raise ModelError(f"{folder / CONFIG} has no `id2label` with two labels or more")
    try:
        return tuple(str(id2label[str(index)]) for index in range(len(id2label)))
    except KeyError:
        raise ModelError(
            f"the keys of `id2label` in {folder / CONFIG} are not 0 to {len(id2label) - 1}"
        ) from None


def _longest_input(config: Mapping[str, Any]) -> int:
    positions = int(config.get("max_position_embeddings") or _DEFAULT_WINDOW_TOKENS)
    # RoBERTa and its kin count positions from the padding token's id + 1 on: 514 hold 512 tokens.
    offset = int(config.get("pad_token_id") or 0) + 1 if "roberta" in str(config.get("model_type")) else 0
    return min(positions - offset, _DEFAULT_WINDOW_TOKENS)
