"""Stage 5, export: a checkpoint -> the model folder's graph, tokenizer and configuration.

The checkpoint is the `distil` stage's, or a graph that this wrote: `--from model/model.onnx` reads the
weights back and gives the same bytes again, so the graph can be rebuilt without any training.
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
        checkpoint: what `fit` wrote, or a `model.onnx` that this wrote.
        tokenizer: the encoder's `tokenizer.json`.
        output: the model folder.
        config: the recipe's.
    """
    window_tokens = config["windows"]["size"] + 2
    weights = dict(read_checkpoint(checkpoint))
    # No window is longer, so no further position is ever looked up.
    positions = "encoder.embeddings.position_embeddings.weight"
    weights[positions] = weights[positions][:window_tokens]
    description = {
        "architectures": ["BertForTokenMeanClassification"],
        "model_type": "bert",
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "max_position_embeddings": window_tokens,
        "pad_token_id": 0,
    }
    content = tokenizer.read_bytes()
    output.mkdir(parents=True, exist_ok=True)
    onnx.save(classifier_graph(weights, HEADS), output / MODEL)
    (output / TOKENIZER).write_bytes(content)
    (output / CONFIG).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    print(f"{output / MODEL}: {(output / MODEL).stat().st_size / 1e6:.1f} MB")


def read_checkpoint(path: Path) -> Weights:
    """Return the weights that a training stage wrote, or those of a `model.onnx` that `export` wrote."""
    if path.suffix == ".onnx":
        return read_weights(onnx.load(path))
    import torch

    state: dict[str, np.ndarray] = {
        name: tensor.float().numpy() for name, tensor in torch.load(path, map_location="cpu")["model"].items()
    }
    return state
