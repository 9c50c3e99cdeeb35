"""The files of a model folder, checked before the model is loaded.

Hugging Face Optimum writes `model.onnx`, `tokenizer.json` and `config.json` for text classification. An
optional `bundle.json` adds digests, the window size, the temperature and golden reviews.
"""

import hashlib
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from reviewbox.errors import ModelError

MODEL, TOKENIZER, CONFIG, BUNDLE = "model.onnx", "tokenizer.json", "config.json", "bundle.json"

# Most encoders were trained with inputs of this length. Used if the folder does not state one.
_DEFAULT_WINDOW_TOKENS = 512
# The start of the text files that replace large files in a clone without Git LFS.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# One token of the text and the two special tokens around it.
MIN_WINDOW_TOKENS = 3
# More than any encoder takes.
_MAX_WINDOW_TOKENS = 1_000_000
# A fitted temperature is near 1. Logits that are divided by almost nothing are infinite.
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.001, 1000
# What precedes the file with the values of a tensor in an ONNX graph: an entry with the key "location". The
# length of the file's name comes next (https://protobuf.dev/programming-guides/encoding).
_LOCATION = b"\n\x08location\x12"
_LONG_NAME = 128


@dataclass(frozen=True, slots=True)
class GoldenReview:
    """A text with the label and score that the model gave it when the folder was created."""

    text: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Bundle:
    """A complete model folder. If it carries digests, its files match them."""

    folder: Path  # the folder's path
    labels: tuple[str, ...]  # the name of each column of the logits
    window_tokens: int  # the maximum length of an input in tokens, special tokens included
    pad_token_id: int  # the token that pads the shorter rows of a batch
    temperature: float  # the divisor of the logits before the softmax (Guo et al. 2017)
    calibrated: bool  # whether the temperature was fitted; if not, it is 1
    # SHA-256 of the files' digests (external weights included), the window size and the temperature. Two
    # folders with the same digest return the same verdict for a text.
    digest: str
    golden: tuple[GoldenReview, ...]  # texts whose verdicts must be the same on every machine
    # The languages that the model knows (ISO 639-1); empty if the folder does not state them.
    languages: tuple[str, ...] = ()

    @property
    def model(self) -> Path:
        """The path of the ONNX graph."""
        return self.folder / MODEL

    @property
    def tokenizer(self) -> Path:
        """The path of the tokenizer, in the format of the `tokenizers` library."""
        return self.folder / TOKENIZER

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and check the model folder.

        Raises:
            ModelError: a file is missing or invalid, or does not match its digest in `bundle.json`.
        """
        digests = {name: sha256(folder / name) for name in (MODEL, TOKENIZER, CONFIG)}
        digests |= {name: sha256(folder / name) for name in external_data_names(folder / MODEL)}
        config = _read_json(folder / CONFIG)
        bundle = _read_bundle(folder / BUNDLE)
        expected = bundle.get("sha256", digests)
        for name, digest in digests.items():
            if digest != expected.get(name):
                raise ModelError(
                    f"{folder / name} has changed: its SHA-256 is {digest}, but {BUNDLE} expects "
                    f"{expected.get(name)}; restore the file or export the model again"
                )
        window_tokens = bundle.get("window_tokens") or _max_input_tokens(config, folder)
        temperature = bundle.get("temperature")
        identity = [digests, window_tokens, temperature]
        return cls(
            folder=folder,
            labels=_labels(config, folder),
            window_tokens=window_tokens,
            pad_token_id=_integer(config, "pad_token_id", 0, folder),
            temperature=1.0 if temperature is None else float(temperature),
            calibrated=temperature is not None,
            digest=hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
            golden=tuple(_golden_review(entry, folder / BUNDLE) for entry in bundle.get("golden", ())),
            languages=tuple(bundle.get("languages", ())),
        )


def shipped_model_dir() -> Path:
    """Return the folder of the model that comes with Reviewbox: in the installed package or in the clone.

    Raises:
        ModelError: neither folder has a model.
    """
    package = Path(__file__).parents[1]
    candidates = (package / "_model", package.parents[1] / "model")
    for folder in candidates:
        if (folder / MODEL).is_file():
            return folder
    raise ModelError(
        f"no model was found in {' or '.join(map(str, candidates))}; "
        "install the `reviewbox` wheel, which includes a model, or pass the path of a model folder"
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file of a model folder, in hexadecimal.

    Raises:
        ModelError: the file does not exist, or only a pointer of Git LFS does.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise ModelError(f"{path} is a pointer of Git LFS and not the file; run `git lfs pull`")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing: a model folder needs {MODEL}, {TOKENIZER}, {CONFIG} and the files that hold "
            "weights of the model; create them with `optimum-cli export onnx --task text-classification`"
        ) from None
    except (OSError, ValueError) as error:  # such as ValueError for a name that no file can have
        raise ModelError(f"{path} cannot be read: {error}; restore the file") from None


def external_data_names(path: Path) -> list[str]:
    """Return the files that hold weights of a model, relative to its folder, sorted; usually none.

    A model of more than 2 GB, and many smaller ones, keep their weights in files beside `model.onnx`.

    Raises:
        ModelError: the file is empty, or has weights outside its folder.
    """
    if not path.stat().st_size:
        raise ModelError(f"{path} is empty; copy or export the model again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as graph:
        names, start = set[str](), 0
        while (found := graph.find(_LOCATION, start)) >= 0:
            start = found + len(_LOCATION) + 1
            length = int.from_bytes(graph[start - 1 : start])
            if length >= _LONG_NAME:  # two bytes of seven bits each, the lower ones first
                length = length - _LONG_NAME + (int.from_bytes(graph[start : start + 1]) << 7)
                start += 1
            names.add(graph[start : start + length].decode("utf-8", "replace"))
    for name in names:
        location = Path(name)
        if location.is_absolute() or ".." in location.parts or "\\" in name or not location.parts:
            raise ModelError(
                f"{path} has weights in {name!r}, which is not in its folder; save the model again with its "
                "weights beside it"
            )
    return sorted(names)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}; restore the file") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}; restore the file") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object; restore the file")
    return content


def _read_bundle(path: Path) -> dict[str, Any]:
    bundle = _read_json(path) if path.exists() else {}
    temperature = bundle.get("temperature", 1.0)
    window_tokens = bundle.get("window_tokens", MIN_WINDOW_TOKENS)
    if not _is_number(temperature) or not _MIN_TEMPERATURE <= temperature <= _MAX_TEMPERATURE:
        raise ModelError(
            f"`temperature` in {path} is {temperature!r}, but must be a number from {_MIN_TEMPERATURE} to "
            f"{_MAX_TEMPERATURE:,}"
        )
    if not isinstance(window_tokens, int) or not MIN_WINDOW_TOKENS <= window_tokens <= _MAX_WINDOW_TOKENS:
        raise ModelError(
            f"`window_tokens` in {path} is {window_tokens!r}, but must be an integer from "
            f"{MIN_WINDOW_TOKENS} to {_MAX_WINDOW_TOKENS:,}"
        )
    if not isinstance(bundle.get("golden", []), list):
        raise ModelError(f"`golden` in {path} must be a list")
    languages = bundle.get("languages", [])
    if not isinstance(languages, list) or not all(isinstance(language, str) for language in languages):
        raise ModelError(f'`languages` in {path} must be a list of language codes, such as ["en"]')
    if not isinstance(bundle.get("sha256", {}), dict):
        raise ModelError(f"`sha256` in {path} must be an object that maps file names to digests")
    return bundle


def _is_number(value: Any) -> bool:
    """Return whether a JSON value is a number. `True` is an `int` in Python, but not a number in JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _golden_review(entry: Any, path: Path) -> GoldenReview:
    match entry:
        case {"text": str(text), "label": str(label), "score": score} if (
            _is_number(score) and 0 <= score <= 1
        ):
            return GoldenReview(text, label, float(score))
    raise ModelError(
        f"each entry of `golden` in {path} must be an object with `text`, `label` and `score` (from 0 to 1)"
    )


def _labels(config: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    problem_type = config.get("problem_type")
    if problem_type not in (None, "single_label_classification"):
        raise ModelError(
            f"`problem_type` in {folder / CONFIG} is {problem_type!r}, but a review gets exactly one label; "
            "use a model for single-label classification"
        )
    # Hugging Face omits default values from `config.json`. The default labels are LABEL_0 and LABEL_1.
    id2label = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    if not isinstance(id2label, dict) or len(id2label) < 2:  # noqa: PLR2004 - one label is a regression
        raise ModelError(f"`id2label` in {folder / CONFIG} must be an object with at least two labels")
    try:
        labels = [id2label[str(index)] for index in range(len(id2label))]
    except KeyError:
        raise ModelError(
            f"the keys of `id2label` in {folder / CONFIG} must be 0 to {len(id2label) - 1}"
        ) from None
    if not all(isinstance(label, str) and label.strip() for label in labels):
        raise ModelError(f"the labels of `id2label` in {folder / CONFIG} must be texts; give each a name")
    if len(set(labels)) < len(labels):
        raise ModelError(
            f"`id2label` in {folder / CONFIG} has the same label twice: {', '.join(labels)}; rename one"
        )
    return tuple(labels)


def _max_input_tokens(config: Mapping[str, Any], folder: Path) -> int:
    positions = _integer(config, "max_position_embeddings", _DEFAULT_WINDOW_TOKENS, folder)
    # RoBERTa models number positions from pad_token_id + 1: 514 positions hold 512 tokens.
    is_roberta = "roberta" in str(config.get("model_type"))
    offset = _integer(config, "pad_token_id", 0, folder) + 1 if is_roberta else 0
    if positions - offset < MIN_WINDOW_TOKENS:
        raise ModelError(
            f"`max_position_embeddings` in {folder / CONFIG} is {positions}, which leaves no room for a "
            f"text; correct it, or set `window_tokens` in {BUNDLE}"
        )
    return min(positions - offset, _DEFAULT_WINDOW_TOKENS)


def _integer(config: Mapping[str, Any], name: str, default: int, folder: Path) -> int:
    """Return an integer of `config.json` that is not negative; the default if it is missing, null or 0."""
    value = config.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ModelError(
            f"`{name}` in {folder / CONFIG} is {value!r}, but must be an integer that is not negative; "
            "restore the file that was exported with the model"
        )
    return value or default
