"""The ONNX graph of a BERT encoder whose head gives one logit to each token, node by node.

Matrix products run on 8-bit integers, at about the price of dynamic quantization, but each token's
states have a scale of their own, so no score depends on the texts beside it. The integers are exact on
any processor: weights take seven bits, because products of two unsigned and signed bytes are added in
pairs to sixteen bits where a processor has AVX2 and no more, and eight bits could overflow there
(microsoft/onnxruntime issue 6004). The rest is float32, from operators whose results do not depend on
the vector width: see `_attention`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, np.ndarray]

MICROSOFT = "com.microsoft"
OPSET, IR_VERSION = 20, 10
LABELS = ("negative", "positive")

_LARGEST_WEIGHT = 63  # seven bits
# GELU is never lower: shifted by it, its output uses all eight bits of an unsigned byte.
_GELU_FLOOR = 0.17
_LAYER_NORM_EPSILON = 1e-12
_ATTENDING = ("query", "key", "value")


@dataclass
class Graph:
    """Nodes and constants in the making; every method returns the name of its output.

    Attributes:
        weights: by the names of `TokenClassifier.state_dict()`.
        integers: whether products run on 8-bit integers; else all is float32.
    """

    weights: Weights
    integers: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant, once for each name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name)
        return name

    def node(
        self,
        operator: str,
        *inputs: str,
        domain: str = "",
        outputs: int = 1,
        name: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node; with several outputs they are named `<name>:0`, `<name>:1` and so on."""
        name = name or f"{operator}_{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}:{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, domain=domain, **attributes))
        return name


def classifier_graph(weights: Weights, heads: int, *, integers: bool = True) -> onnx.ModelProto:
    """Return the graph of a token classifier.

    Inputs: `input_ids` and `attention_mask`, int64, shape (N, T), padded behind. Outputs, float32:
    `logits`, shape (N, 2), the softmax of which is (1 - p, p); and `token_logits`, shape (N, T, 2),
    zero for special tokens and padding, of which `logits` is the mean over the others.

    Args:
        weights: by the names of `TokenClassifier.state_dict()`.
        heads: of the attention.
        integers: whether products run on 8-bit integers; else all is float32.
    """
    graph = Graph(weights, integers)
    states = _embeddings(graph)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    one = graph.constant("one", 1)
    absent = graph.node("Sub", graph.node("Unsqueeze", mask, _axes(graph, 1, 2)), one)
    bias = graph.node("Mul", absent, graph.constant("far", 10_000))
    # As large as the values, or products with it would be reckoned in an order that depends on the batch.
    present = graph.node("Unsqueeze", mask, _axes(graph, 1, 3))
    width = weights["head.weight"].shape[1] // heads
    present = graph.node("Tile", present, graph.constant("as values", [1, heads, 1, width], np.int64))
    for layer in range(count_layers(weights)):
        prefix = f"encoder.encoder.layer.{layer}."
        attended = _attention(graph, prefix, states, (bias, present), heads)
        states = _add_and_norm(graph, f"{prefix}attention.output.", attended, states)
        inner = _linear(
            graph, f"{prefix}intermediate.dense", states, weights[f"{prefix}intermediate.dense.weight"]
        )
        inner_bias = graph.constant(
            f"{prefix}intermediate.dense.bias", weights[f"{prefix}intermediate.dense.bias"]
        )
        inner = graph.node("BiasGelu", inner, inner_bias, domain=MICROSOFT)
        states = _add_and_norm(graph, f"{prefix}output.", inner, states, after_gelu=True)
    _head(graph, states, mask)

    batch = ["batch", "tokens"]
    described = helper.make_graph(
        graph.nodes,
        "token_classifier",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, batch)
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("token_logits", TensorProto.FLOAT, [*batch, 2]),
        ],
        list(graph.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(
        described, opset_imports=opsets, ir_version=IR_VERSION, producer_name="reviewbox"
    )
    onnx.checker.check_model(model)
    return model


def count_layers(weights: Weights) -> int:
    """Return how many layers an encoder has."""
    return 1 + max(int(name.split(".")[3]) for name in weights if name.startswith("encoder.encoder.layer."))


def quantize(values: np.ndarray, axis: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return integers from -`largest` to `largest`, and the scales: one for all along `axis`.

    Scales have 16 significant bits, so that an integer times its scale is exact, and weights that were
    read from a graph give the same graph again.
    """
    peaks = np.abs(values).max(axis=axis, keepdims=True)
    scales = (np.maximum(peaks, 1e-12) / largest).astype(np.float32)
    scales = ((scales.view(np.uint32) + 0x80) & 0xFFFFFF00).view(np.float32)
    return np.rint(values / scales).clip(-largest, largest).astype(np.int8), scales


def read_weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return the weights of a graph of integers that `classifier_graph` made: its checkpoint, rounded."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    prefix = "encoder.embeddings."
    width = held["positions"].shape[1]
    weights = {
        "head.weight": held["head.weight"].T,
        "head.bias": held["head.bias"],
        f"{prefix}word_embeddings.weight": held["words.integers"] * held["words.scales"],
        f"{prefix}position_embeddings.weight": held["positions"],
        f"{prefix}token_type_embeddings.weight": np.zeros((1, width), np.float32),
    }
    for name, values in held.items():
        stem, _, part = name.rpartition(".")
        if part == "integers" and stem != "words":
            weights[f"{stem}.weight"] = values.T * held[f"{stem}.scales"][:, None]
        elif stem.endswith("norm"):
            weights[f"{stem.removesuffix('norm')}LayerNorm.{part}"] = values
        elif part == "bias" and stem != "head":
            weights[name] = values
    for stem in [name.removesuffix(".weight") for name in weights if name.endswith("attention.self.weight")]:
        for part in ("weight", "bias"):
            joined = np.split(weights.pop(f"{stem}.{part}"), 3)
            weights |= {
                f"{stem}.{name}.{part}": values for name, values in zip(_ATTENDING, joined, strict=True)
            }
    return weights


def _axes(graph: Graph, *axes: int) -> str:
    return graph.constant(f"axes{axes}", axes, np.int64)


def _embeddings(graph: Graph) -> str:
    weights, prefix = graph.weights, "encoder.embeddings."
    words = weights[f"{prefix}word_embeddings.weight"]
    if graph.integers:
        # Look up rows of integers, then scale just those.
        rows, scales = quantize(words, axis=1, largest=127)
        found = graph.node("Gather", graph.constant("words.integers", rows, np.int8), "input_ids")
        found = graph.node("Cast", found, to=TensorProto.FLOAT)
        scale = graph.node("Gather", graph.constant("words.scales", scales), "input_ids")
        found = graph.node("Mul", found, scale)
    else:
        found = graph.node("Gather", graph.constant("words", words), "input_ids")
    # The type of every token is 0, so its embedding is a part of the position's.
    positions = (
        weights[f"{prefix}position_embeddings.weight"] + weights[f"{prefix}token_type_embeddings.weight"][:1]
    )
    length = graph.node("Shape", "input_ids", start=1, end=2)
    zero = _axes(graph, 0)
    position = graph.node("Slice", graph.constant("positions", positions), zero, length, zero)
    return _layer_norm(graph, prefix, graph.node("Add", found, position))


def _linear(graph: Graph, name: str, states: str, weight: np.ndarray, *, after_gelu: bool = False) -> str:
    """Multiply by a weight of shape (out, in); the bias is up to the caller."""
    if not graph.integers:
        return graph.node("MatMul", states, graph.constant(f"{name}.weight", weight.T))
    columns, scales = quantize(weight, axis=1, largest=_LARGEST_WEIGHT)
    last = _axes(graph, -1)
    if after_gelu:
        # s * (q @ w) - floor * sum(w): the sum is a constant, and the product needs no zero point.
        floor = graph.constant("floor", _GELU_FLOOR)
        span = graph.node("Add", graph.node("ReduceMax", states, last, keepdims=1), floor)
        scale = graph.node("Mul", span, graph.constant("1/255", 1 / 255))
        states = graph.node("Add", states, floor)
    else:
        peak = graph.node("ReduceMax", graph.node("Abs", states), last, keepdims=1)
        peak = graph.node("Max", peak, graph.constant("tiny", 1e-9))
        scale = graph.node("Mul", peak, graph.constant("1/127", 1 / 127))
    middle = graph.constant("zero", 0, np.uint8) if after_gelu else graph.constant("middle", 128, np.uint8)
    one = graph.constant("one", 1)
    product = graph.node(
        "MatMulIntegerToFloat",
        graph.node("QuantizeLinear", graph.node("Div", states, scale), one, middle),
        graph.constant(f"{name}.integers", columns.T, np.int8),
        one,
        graph.constant(f"{name}.scales", scales[:, 0]),
        middle,
        domain=MICROSOFT,
    )
    product = graph.node("Mul", product, scale)
    if after_gelu:
        sums = -_GELU_FLOOR * (columns * scales.astype(np.float64)).sum(axis=1)
        product = graph.node("Add", product, graph.constant(f"{name}.floor", sums))
    return product


def _attention(graph: Graph, prefix: str, states: str, masks: tuple[str, str], heads: int) -> str:
    """Attend; the softmax is spelt out, its sum taken by a matrix product.

    The operator's own sum depends on the processor's vector width and on the padding. A last bit here
    would change a few roundings of the next product, and with them the score by a thousandth.
    """
    bias, present = masks
    stem = f"{prefix}attention.self"
    weight, added = (
        np.concatenate([graph.weights[f"{stem}.{name}.{part}"] for name in _ATTENDING])
        for part in ("weight", "bias")
    )
    width = weight.shape[1]
    joined = graph.node("Add", _linear(graph, stem, states, weight), graph.constant(f"{stem}.bias", added))
    shape = graph.constant("shape of heads", [0, 0, 3 * heads, width // heads], np.int64)
    joined = graph.node("Transpose", graph.node("Reshape", joined, shape), perm=[0, 2, 1, 3])
    split = graph.node("Split", joined, outputs=3, name=f"{prefix}qkv", axis=1, num_outputs=3)
    query, key, value = (f"{split}:{index}" for index in range(3))
    scores = graph.node("FusedMatMul", query, key, domain=MICROSOFT, transB=1, alpha=(width / heads) ** -0.5)
    scores = graph.node("Add", scores, bias)
    last = _axes(graph, -1)
    powers = graph.node("Exp", graph.node("Sub", scores, graph.node("ReduceMax", scores, last, keepdims=1)))
    mixed = graph.node("MatMul", powers, value)
    mixed = graph.node("Div", mixed, graph.node("MatMul", powers, present))
    mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, graph.constant("shape of states", [0, 0, width], np.int64))


def _add_and_norm(graph: Graph, prefix: str, states: str, skipped: str, *, after_gelu: bool = False) -> str:
    weights = graph.weights
    weight = weights[f"{prefix}dense.weight"]
    product = _linear(graph, f"{prefix}dense", states, weight, after_gelu=after_gelu)
    # Not SkipLayerNormalization: onnxruntime 1.32 takes ten times as long for it on a processor.
    bias = graph.constant(f"{prefix}dense.bias", weights[f"{prefix}dense.bias"])
    states = graph.node("Add", graph.node("Add", product, bias), skipped)
    return _layer_norm(graph, prefix, states)


def _layer_norm(graph: Graph, prefix: str, states: str) -> str:
    return graph.node(
        "LayerNormalization",
        states,
        graph.constant(f"{prefix}norm.weight", graph.weights[f"{prefix}LayerNorm.weight"]),
        graph.constant(f"{prefix}norm.bias", graph.weights[f"{prefix}LayerNorm.bias"]),
        epsilon=_LAYER_NORM_EPSILON,
    )


def _head(graph: Graph, states: str, mask: str) -> None:
    weights = graph.weights
    logits = graph.node("MatMul", states, graph.constant("head.weight", weights["head.weight"].T))
    logits = graph.node("Add", logits, graph.constant("head.bias", weights["head.bias"]))
    # A position is a token of the text when it is not the first, and the next one is attended to.
    end = graph.constant("end", [np.iinfo(np.int64).max], np.int64)
    following = graph.node("Slice", mask, _axes(graph, 2), end, _axes(graph, 1))
    real = graph.node("Pad", following, graph.constant("pads", [0, 1, 0, 1], np.int64))
    counts = graph.node("ReduceSum", real, _axes(graph, 1), keepdims=1)
    counts = graph.node("Max", counts, graph.constant("one", 1))
    logits = graph.node("Mul", logits, graph.node("Unsqueeze", real, _axes(graph, 2)))
    halves = graph.constant("halves", [-0.5, 0.5])
    token_logits = graph.node("Mul", logits, halves, name="token_logits")
    sums = graph.node("ReduceSum", token_logits, _axes(graph, 1), keepdims=0)
    graph.node("Div", sums, counts, name="logits")
