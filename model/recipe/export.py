"""Stage 5, export: turn a checkpoint into the model folder's graph, tokenizer and configuration.

The checkpoint comes from the `distil` stage, or is an exported graph: `--from model/model.onnx` reads its
weights back and writes the same bytes, so the graph can be rebuilt without training.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from recipe.graph import LABELS, Weights, classifier_graph, read_weights
from reviewbox.model.bundle import CONFIG, MODEL, TOKENIZER

HEADS = 12  # of MiniLM-L6-H384


def export(checkpoint: Path, tokenizer: Path, output: Path, config: dict[str, Any]) -> None:
    """Write `model.onnx`, `tokenizer.json` and `config.json` to `output`.

    Args:
        checkpoint: a checkpoint of `training.fit`, or an exported `model.onnx`.
        tokenizer: the encoder's `tokenizer.json`.
        output: the model folder.
        config: the content of `recipe.toml`.
    """
    window_tokens = config["windows"]["size"] + 2
    weights = dict(read_checkpoint(checkpoint))
    # Windows are no longer than this, so the embeddings of later positions are never used.
    positions = "encoder.embeddings.position_embeddings.weight"
    weights[positions] = weights[positions][:window_tokens]
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
    onnx.save(classifier_graph(weights, HEADS), output / MODEL)
    (output / CONFIG).write_text(json.dumps(model_config, indent=2) + "\n", encoding="utf-8")
    print(f"{output / MODEL}: {(output / MODEL).stat().st_size / 1e6:.1f} MB")


def read_checkpoint(path: Path) -> Weights:
    """Return the weights in a training checkpoint or in an exported `model.onnx`."""
    if path.suffix == ".onnx":
        return read_weights(onnx.load(path))
    import torch

    state: dict[str, np.ndarray] = {
        name: tensor.float().numpy() for name, tensor in torch.load(path, map_location="cpu")["model"].items()
    }
    return state
