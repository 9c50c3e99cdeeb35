"""Stage 3, export: a checkpoint -> the model folder's graph, its weights stored as 8-bit integers.

Only the storage is 8-bit: the graph turns each weight back into a float before it computes, with one
scale for 64 weights of an output channel (for each row of the embeddings). So a score is as independent
of batch neighbours and processors as a float model's, at a quarter of the size.
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
_BLOCK = 64  # weights of an output channel that share a scale


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
    """Replace each large weight by 8-bit integers, their scales, and the nodes that multiply them."""
    weights = {w.name: w for w in model.graph.initializer if np.prod(w.dims) >= _SMALLEST_WEIGHT}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        name = next((name for name in node.input if name in weights), "")
        if not name:
            nodes.append(node)
            continue
        values = numpy_helper.to_array(weights[name])
        integers, scales = f"{name}_int8", f"{name}_scale"
        if node.op_type == "Gather":
            # Look up rows of integers, then scale just those.
            rows, row_scales, floats = (f"{node.output[0]}_{part}" for part in ("rows", "scales", "floats"))
            add(model, integers, scales, *quantize(values, axis=1))
            nodes += [
                helper.make_node("Gather", [integers, node.input[1]], [rows]),
                helper.make_node("Gather", [scales, node.input[1]], [row_scales]),
                helper.make_node("Cast", [rows], [floats], to=TensorProto.FLOAT),
                helper.make_node("Mul", [floats, row_scales], [node.output[0]]),
            ]
            continue
        if node.op_type != "MatMul" or node.input[1] != name or values.shape[0] % _BLOCK:
            raise ValueError(f"cannot store the weight {name} of a {node.op_type} as integers")
        blocks = values.reshape(-1, _BLOCK, values.shape[1])
        cast, floats, shape = f"{name}_cast", f"{name}_float", f"{name}_shape"
        add(model, integers, scales, *quantize(blocks, axis=1))
        model.graph.initializer.append(numpy_helper.from_array(np.array(values.shape), shape))
        # Not DequantizeLinear: onnxruntime would fuse it with the product into a kernel that rounds
        # activations, differently on other processors. These nodes it computes once, at load.
        nodes += [
            helper.make_node("Cast", [integers], [cast], to=TensorProto.FLOAT),
            helper.make_node("Mul", [cast, scales], [floats]),
            helper.make_node("Reshape", [floats, shape], [name]),
            node,
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    kept = [w for w in model.graph.initializer if w.name not in weights]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def quantize(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return symmetric 8-bit integers for `values`, and their scales: one for all along `axis`."""
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-12) / 127
    return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)


def add(model: onnx.ModelProto, name: str, scale_name: str, integers: np.ndarray, scales: np.ndarray) -> None:
    """Add a quantized weight's two initializers."""
    model.graph.initializer.append(numpy_helper.from_array(integers, name))
    model.graph.initializer.append(numpy_helper.from_array(scales, scale_name))


def strip_notes(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes for debugging: it holds paths of the machine, and space."""
    model.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
