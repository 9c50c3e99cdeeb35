"""Stage 3, export: a checkpoint -> the model folder's graph, its weights stored as 8-bit integers.

Only the storage is 8-bit: the graph turns each weight back into a float before it computes, with one
scale per output channel (per row for the embeddings). So it is as exact and as independent of batch
neighbours as a float model, at a quarter of the size.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from recipe.network import TokenClassifier

LABELS = ["negative", "positive"]
_SMALLEST_WEIGHT = 10_000  # elements; smaller ones stay as they are


class ExportedClassifier(nn.Module):
    """The graph's interface: two labels, as Hugging Face's text classifiers have."""

    def __init__(self, model: TokenClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, shape (N, 2), and token logits, shape (N, T, 2).

        The softmax of (-z/2, z/2) is (1 - p, p) with p the sigmoid of z.
        """
        logits, token_logits = self.model(input_ids, attention_mask)
        halves = torch.tensor([-0.5, 0.5])
        return logits.unsqueeze(-1) * halves, token_logits.unsqueeze(-1) * halves


def export(encoder: Path, work: Path, output: Path, config: dict[str, Any]) -> None:
    """Write `model.onnx`, `tokenizer.json` and `config.json` to `output`."""
    window_tokens = config["windows"]["size"] + 2
    model = TokenClassifier.from_pretrained(encoder)
    model.load_state_dict(torch.load(work / "checkpoint.pt")["model"])
    model.eval()
    # No window is longer, so no further position is ever looked up.
    embeddings = model.encoder.embeddings
    embeddings.position_embeddings.weight.data = embeddings.position_embeddings.weight.data[:window_tokens]

    ids = torch.randint(1000, 2000, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=window_tokens)}
    program = torch.onnx.export(
        ExportedClassifier(model),
        (ids, mask),
        dynamo=True,
        input_names=["input_ids", "attention_mask"],
        output_names=["logits", "token_logits"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
        opset_version=20,
    )
    graph = program.model_proto
    store_weights_as_int8(graph)
    strip_notes(graph)
    onnx.checker.check_model(graph)
    output.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, output / "model.onnx")
    shutil.copyfile(encoder / "tokenizer.json", output / "tokenizer.json")
    description = {
        "architectures": ["BertForTokenMeanClassification"],
        "model_type": "bert",
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "max_position_embeddings": window_tokens,
        "pad_token_id": 0,
    }
    (output / "config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    print(f"{output / 'model.onnx'}: {(output / 'model.onnx').stat().st_size / 1e6:.1f} MB")


def store_weights_as_int8(model: onnx.ModelProto) -> None:
    """Replace each large weight matrix by 8-bit integers, a scale, and the node that multiplies them."""
    weights = {w.name: w for w in model.graph.initializer if np.prod(w.dims) >= _SMALLEST_WEIGHT}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name not in weights:
                continue
            values = numpy_helper.to_array(weights[name])
            if node.op_type == "Gather" and position == 0:
                # Look up rows of integers, then scale just those.
                integers, scales = quantize(values, axis=0)
                add(model, f"{name}_int8", integers)
                add(model, f"{name}_scale", scales)
                rows, row_scales, floats = (
                    f"{node.output[0]}_{part}" for part in ("rows", "scales", "floats")
                )
                nodes += [
                    helper.make_node("Gather", [f"{name}_int8", node.input[1]], [rows]),
                    helper.make_node("Gather", [f"{name}_scale", node.input[1]], [row_scales]),
                    helper.make_node("Cast", [rows], [floats], to=TensorProto.FLOAT),
                    helper.make_node("Mul", [floats, row_scales], [node.output[0]]),
                ]
                break
            # Weights of a MatMul have their output channels last, those of a transposed Gemm first.
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            axis = 0 if transposed else values.ndim - 1
            integers, scales = quantize(values, axis=axis)
            add(model, f"{name}_int8", integers)
            add(model, f"{name}_scale", scales.reshape(-1))
            nodes.append(
                helper.make_node(
                    "DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [f"{name}_float"], axis=axis
                )
            )
            node.input[position] = f"{name}_float"
            nodes.append(node)
            break
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [w for w in model.graph.initializer if w.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def quantize(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the symmetric 8-bit integers of a matrix and their scales, one per index of `axis`.

    The scales keep `values`' number of dimensions.
    """
    others = tuple(dimension for dimension in range(values.ndim) if dimension != axis)
    scales = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12) / 127
    return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)


def add(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    """Add an initializer, unless two nodes share it and the first has added it."""
    if all(weight.name != name for weight in model.graph.initializer):
        model.graph.initializer.append(numpy_helper.from_array(values, name))


def strip_notes(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes for debugging: it holds paths of the machine, and space."""
    model.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
