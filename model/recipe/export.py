"""Stage 6, export: turn a checkpoint into the model folder's graph, tokenizer and configuration.

The checkpoint comes from the `distil` stage, or is an exported graph: `--from model/model.onnx` reads its
weights back and writes the same bytes, so the graph can be rebuilt without training.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from recipe.graph import LABELS, Weights, classifier_graph, read_weights
from recipe.rounding import fit_rounding, sample_windows
from reviewbox.model.bundle import BUNDLE, CONFIG, MODEL, TOKENIZER, sha256
from reviewbox.model.classifier import Classifier

ATTENTION_HEADS = 12  # as MiniLM-L6-H384 has
CALIBRATION = "calibration.json"
UNCALIBRATED = {"difference_scale": 1.0, "sum_scale": 1.0, "sum_offset": 0.0}
LANGUAGES = ["en"]
HEADS = 3  # a `TokenClassifier` has praise, blame and language


# The reviews that every cold start classifies to check the model: short and long, clear and ambiguous.
GOLDEN = (
    "Lovely little place, we will be back.",
    "Stopped working after a week and nobody answers my mails. 👎",
    "Comfortable seats and a friendly crew, but we left four hours late and my bag never arrived.",
    "ARRIVED LATE, BOX CRUSHED, BUT THE LAMP ITSELF IS FINE",
    "Does it come in blue?",
)


def export(checkpoint: Path, tokenizer: Path, work: Path, output: Path, config: dict[str, Any]) -> None:
    """Write the model folder to `output`, with `bundle.json`.

    Args:
        checkpoint: a checkpoint of `training.fit`, or an exported `model.onnx`.
        tokenizer: the `tokenizer.json` with emoji.
        work: the folder of intermediate files, with the calibration of a checkpoint.
        output: the model folder.
        config: the content of `recipe.toml`.
    """
    calibration = UNCALIBRATED
    if checkpoint.suffix != ".onnx":
        calibration = json.loads((work / CALIBRATION).read_text(encoding="utf-8"))
    write_model(checkpoint, tokenizer, work, output, config, calibration)
    write_bundle(output, config)
    print(f"{output / MODEL}: {(output / MODEL).stat().st_size / 1e6:.1f} MB")


def write_model(
    checkpoint: Path,
    tokenizer: Path,
    work: Path,
    output: Path,
    config: dict[str, Any],
    calibration: Mapping[str, float],
) -> None:
    """Write `model.onnx`, `tokenizer.json` and `config.json` to `output`.

    A graph that is read from a `model.onnx` has its calibration and rounding already.
    """
    window_tokens = config["windows"]["size"] + 2
    weights = dict(read_checkpoint(checkpoint))
    # Windows are no longer than this, so the embeddings of later positions are never used.
    positions = "encoder.embeddings.position_embeddings.weight"
    weights[positions] = weights[positions][:window_tokens]
    if len(weights["head.bias"]) == HEADS:
        weights |= label_head(weights["head.weight"], weights["head.bias"], calibration)
        weights = fit_rounding(weights, ATTENTION_HEADS, sample_windows(work, config))
    model_config = {
        "architectures": ["BertForTokenMeanClassification"],
        "model_type": "bert",
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "max_position_embeddings": window_tokens,
        "pad_token_id": 0,
    }
    output.mkdir(parents=True, exist_ok=True)
    (output / TOKENIZER).write_bytes(tokenizer.read_bytes())
    onnx.save(classifier_graph(weights, ATTENTION_HEADS), output / MODEL)
    (output / CONFIG).write_text(json.dumps(model_config, indent=2) + "\n", encoding="utf-8")
    (output / BUNDLE).unlink(missing_ok=True)


def write_bundle(output: Path, config: dict[str, Any]) -> None:
    """Write `bundle.json`: first without the golden reviews, then with the scores that it gives them."""
    bundle: dict[str, Any] = {
        "sha256": {name: sha256(output / name) for name in (MODEL, TOKENIZER, CONFIG)},
        "window_tokens": config["windows"]["size"] + 2,
        # The calibration is part of the graph.
        "temperature": 1.0,
        "languages": LANGUAGES,
    }
    path = output / BUNDLE
    path.write_text(json.dumps(bundle), encoding="utf-8")
    verdicts = Classifier.load(output).classify(GOLDEN)
    bundle["golden"] = [
        {"text": text, "label": verdict.label, "score": round(verdict.score, 6)}
        for text, verdict in zip(GOLDEN, verdicts, strict=True)
    ]
    path.write_text(json.dumps(bundle, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def label_head(weight: np.ndarray, bias: np.ndarray, calibration: Mapping[str, float]) -> Weights:
    """Return the head of a graph, shape (5, H) and (5,), from that of a `TokenClassifier`, (3, H) and (3,).

    If a text praises and blames independently of each other, the softmax of (blame, 0, praise + blame,
    praise) gives exactly the probabilities of the four combinations. `calibration` says how to change the
    difference and the sum of both logits (see `calibrate.py`).
    """
    same, other = (calibration["sum_scale"] + sign * calibration["difference_scale"] for sign in (1, -1))
    calibrated = np.array([[same, other], [other, same]]) / 2
    offsets = np.full(2, calibration["sum_offset"] / 2)
    to_labels = np.array([[0, 1], [0, 0], [1, 1], [1, 0]])
    questions, language = weight[:2], weight[2]
    return {
        "head.weight": np.vstack([to_labels @ calibrated @ questions, language]).astype(np.float32),
        "head.bias": np.append(to_labels @ (calibrated @ bias[:2] + offsets), bias[2]).astype(np.float32),
    }


def question_head(weight: np.ndarray, bias: np.ndarray) -> Weights:
    """Return the head of a `TokenClassifier` from that of a graph, so that training can continue.

    Its logits have the graph's calibration.
    """
    rows = [LABELS.index("positive"), LABELS.index("negative")]
    neutral = LABELS.index("neutral")
    return {
        "head.weight": np.vstack([weight[rows] - weight[neutral], weight[-1:]]),
        "head.bias": np.append(bias[rows] - bias[neutral], bias[-1:]),
    }


def read_checkpoint(path: Path) -> Weights:
    """Return the weights in a training checkpoint or in an exported `model.onnx`."""
    if path.suffix == ".onnx":
        return read_weights(onnx.load(path))
    import torch

    state: dict[str, np.ndarray] = {
        name: tensor.float().numpy() for name, tensor in torch.load(path, map_location="cpu")["model"].items()
    }
    return state
