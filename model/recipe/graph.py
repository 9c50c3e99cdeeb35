"""Build the ONNX graph of a BERT encoder with a token-level classification head, node by node.

Matrix products run on 8-bit integers. They cost about as much as dynamic quantization, but each token's
states have their own scale, so a text's score does not depend on the other texts in its batch.

The integer products are exact on every processor because weights take only seven bits. A processor with
AVX2 but no newer instructions adds pairs of uint8 x int8 products in 16 bits, where eight-bit weights could
overflow (microsoft/onnxruntime issue 6004). Everything else is float32, in operators whose results do not
depend on the processor's vector width: see `_attention`.
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
LABELS = ("negative", "neutral", "mixed", "positive")

_MAX_QUANTIZED_WEIGHT = 63  # seven bits
# GELU's output is always above -0.17. Adding 0.17 lets it use the full range of an unsigned byte.
_GELU_FLOOR = 0.17
_LAYER_NORM_EPSILON = 1e-12
_ATTENTION_INPUTS = ("query", "key", "value")


@dataclass
class Graph:
    """A graph under construction; every method returns the name of the output that it adds.

    Attributes:
        weights: arrays by the names in `TokenClassifier.state_dict()`.
        quantized: whether matrix products run on 8-bit integers, instead of float32.
    """

    weights: Weights
    quantized: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant, unless one of that name exists."""
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
        """Add a node; several outputs are named `<name>:0`, `<name>:1` and so on."""
        name = name or f"{operator}_{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}:{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, domain=domain, **attributes))
        return name


def classifier_graph(weights: Weights, heads: int, *, quantized: bool = True) -> onnx.ModelProto:
    """Return the graph of a token classifier.

    Its inputs are `input_ids` and `attention_mask`, int64, shape (N, T), padded at the end. Its outputs are
    float32: `logits`, shape (N, 4), whose softmax gives the probabilities of `LABELS`; `language_logits`,
    shape (N, 1), the log-odds that the text is in a known language; and `token_logits`, shape (N, T, 4),
    which is zero for special tokens and padding. `logits` is the mean of `token_logits` over the other
    tokens.

    Args:
        weights: arrays by the names in `TokenClassifier.state_dict()`, but with a head of shape (5, H): the
            labels in the order of `LABELS`, and the language.
        heads: how many attention heads a layer has.
        quantized: whether matrix products run on 8-bit integers, instead of float32.
    """
    graph = Graph(weights, quantized)
    states = _embeddings(graph)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    one = graph.constant("one", 1)
    padding = graph.node("Sub", graph.node("Unsqueeze", mask, _axes(graph, 1, 2)), one)
    bias = graph.node("Mul", padding, graph.constant("far", 10_000))
    # This mask has the shape of the values. With a smaller one, the order of additions depends on the batch.
    value_mask = graph.node("Unsqueeze", mask, _axes(graph, 1, 3))
    width = weights["head.weight"].shape[1] // heads
    value_mask = graph.node("Tile", value_mask, graph.constant("as values", [1, heads, 1, width], np.int64))
    for layer in range(count_layers(weights)):
        prefix = f"encoder.encoder.layer.{layer}."
        attended = _attention(graph, prefix, states, (bias, value_mask), heads)
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

    shape = ["batch", "tokens"]
    onnx_graph = helper.make_graph(
        graph.nodes,
        "token_classifier",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape)
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)]),
            helper.make_tensor_value_info("language_logits", TensorProto.FLOAT, ["batch", 1]),
            helper.make_tensor_value_info("token_logits", TensorProto.FLOAT, [*shape, len(LABELS)]),
        ],
        list(graph.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(
        onnx_graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="reviewbox"
    )
    onnx.checker.check_model(model)
    return model


def count_layers(weights: Weights) -> int:
    """Return how many layers an encoder has."""
    return 1 + max(int(name.split(".")[3]) for name in weights if name.startswith("encoder.encoder.layer."))


def quantize(values: np.ndarray, axis: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return integers from -`limit` to `limit`, and their scales; values along `axis` share one.

    A scale has 16 significant bits. An integer times its scale is then exact, so weights that were read from
    a graph give the same graph again.
    """
    peaks = np.abs(values).max(axis=axis, keepdims=True)
    scales = (np.maximum(peaks, 1e-12) / limit).astype(np.float32)
    scales = ((scales.view(np.uint32) + 0x80) & 0xFFFFFF00).view(np.float32)
    return np.rint(values / scales).clip(-limit, limit).astype(np.int8), scales


def read_weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return the dequantized weights of a quantized graph that `classifier_graph` built."""
    initializers = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    prefix = "encoder.embeddings."
    width = initializers["positions"].shape[1]
    weights = {
        "head.weight": initializers["head.weight"].T,
        "head.bias": initializers["head.bias"],
        f"{prefix}word_embeddings.weight": initializers["words.integers"] * initializers["words.scales"],
        f"{prefix}position_embeddings.weight": initializers["positions"],
        f"{prefix}token_type_embeddings.weight": np.zeros((1, width), np.float32),
    }
    for name, values in initializers.items():
        stem, _, part = name.rpartition(".")
        if part == "integers" and stem != "words":
            weights[f"{stem}.weight"] = values.T * initializers[f"{stem}.scales"][:, None]
        elif stem.endswith("norm"):
            weights[f"{stem.removesuffix('norm')}LayerNorm.{part}"] = values
        elif part == "bias" and stem != "head":
            weights[name] = values
    for stem in [name.removesuffix(".weight") for name in weights if name.endswith("attention.self.weight")]:
        for part in ("weight", "bias"):
            thirds = np.split(weights.pop(f"{stem}.{part}"), 3)
            for name, values in zip(_ATTENTION_INPUTS, thirds, strict=True):
                weights[f"{stem}.{name}.{part}"] = values
    return weights


def _axes(graph: Graph, *axes: int) -> str:
    return graph.constant(f"axes{axes}", axes, np.int64)


def _embeddings(graph: Graph) -> str:
    weights, prefix = graph.weights, "encoder.embeddings."
    words = weights[f"{prefix}word_embeddings.weight"]
    if graph.quantized:
        # Look up the integers first, so that only the rows in use are scaled.
        rows, scales = quantize(words, axis=1, limit=127)
        embedded = graph.node("Gather", graph.constant("words.integers", rows, np.int8), "input_ids")
        embedded = graph.node("Cast", embedded, to=TensorProto.FLOAT)
        scale = graph.node("Gather", graph.constant("words.scales", scales), "input_ids")
        embedded = graph.node("Mul", embedded, scale)
    else:
        embedded = graph.node("Gather", graph.constant("words", words), "input_ids")
    # Every token has type 0, so the embedding of that type is added to the positions' in advance.
    positions = (
        weights[f"{prefix}position_embeddings.weight"] + weights[f"{prefix}token_type_embeddings.weight"][:1]
    )
    length = graph.node("Shape", "input_ids", start=1, end=2)
    zero = _axes(graph, 0)
    position = graph.node("Slice", graph.constant("positions", positions), zero, length, zero)
    return _layer_norm(graph, prefix, graph.node("Add", embedded, position))


def _linear(graph: Graph, name: str, states: str, weight: np.ndarray, *, after_gelu: bool = False) -> str:
    """Multiply by a weight of shape (out, in); the caller adds the bias."""
    if not graph.quantized:
        return graph.node("MatMul", states, graph.constant(f"{name}.weight", weight.T))
    columns, scales = quantize(weight, axis=1, limit=_MAX_QUANTIZED_WEIGHT)
    last = _axes(graph, -1)
    if after_gelu:
        # states @ w = scale * (q @ w) - floor * sum(w): sum(w) is a constant, and q has no zero point.
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
    """Add attention, with the softmax written out and its sum computed by a matrix product.

    The Softmax operator's sum depends on the processor's vector width and on the padding. A difference in the
    last bit would change how some inputs of the next product are rounded, and the score by a thousandth.
    """
    bias, value_mask = masks
    stem = f"{prefix}attention.self"
    weight, biases = (
        np.concatenate([graph.weights[f"{stem}.{name}.{part}"] for name in _ATTENTION_INPUTS])
        for part in ("weight", "bias")
    )
    width = weight.shape[1]
    projected = graph.node(
        "Add", _linear(graph, stem, states, weight), graph.constant(f"{stem}.bias", biases)
    )
    shape = graph.constant("shape of heads", [0, 0, 3 * heads, width // heads], np.int64)
    projected = graph.node("Transpose", graph.node("Reshape", projected, shape), perm=[0, 2, 1, 3])
    split = graph.node("Split", projected, outputs=3, name=f"{prefix}qkv", axis=1, num_outputs=3)
    query, key, value = (f"{split}:{index}" for index in range(3))
    scores = graph.node("FusedMatMul", query, key, domain=MICROSOFT, transB=1, alpha=(width / heads) ** -0.5)
    scores = graph.node("Add", scores, bias)
    last = _axes(graph, -1)
    powers = graph.node("Exp", graph.node("Sub", scores, graph.node("ReduceMax", scores, last, keepdims=1)))
    mixed = graph.node("MatMul", powers, value)
    mixed = graph.node("Div", mixed, graph.node("MatMul", powers, value_mask))
    mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, graph.constant("shape of states", [0, 0, width], np.int64))


def _add_and_norm(graph: Graph, prefix: str, states: str, residual: str, *, after_gelu: bool = False) -> str:
    weights = graph.weights
    weight = weights[f"{prefix}dense.weight"]
    product = _linear(graph, f"{prefix}dense", states, weight, after_gelu=after_gelu)
    # SkipLayerNormalization would do both, but takes ten times as long on a CPU in onnxruntime 1.32.
    bias = graph.constant(f"{prefix}dense.bias", weights[f"{prefix}dense.bias"])
    states = graph.node("Add", graph.node("Add", product, bias), residual)
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
    # A position holds a token of the text if it is not the first and the next one is not padding.
    end = graph.constant("end", [np.iinfo(np.int64).max], np.int64)
    shifted = graph.node("Slice", mask, _axes(graph, 2), end, _axes(graph, 1))
    is_text = graph.node("Pad", shifted, graph.constant("pads", [0, 1, 0, 1], np.int64))
    counts = graph.node("ReduceSum", is_text, _axes(graph, 1), keepdims=1)
    counts = graph.node("Max", counts, graph.constant("one", 1))
    logits = graph.node("Mul", logits, graph.node("Unsqueeze", is_text, _axes(graph, 2)))
    sums = graph.node("ReduceSum", logits, _axes(graph, 1), keepdims=0)
    means = graph.node("Div", sums, counts)
    start, labels = graph.constant("start", [0], np.int64), graph.constant("labels", [len(LABELS)], np.int64)
    last = _axes(graph, -1)
    graph.node("Slice", logits, start, labels, last, name="token_logits")
    graph.node("Slice", means, start, labels, last, name="logits")
    graph.node("Slice", means, labels, end, last, name="language_logits")
