"""Build the ONNX graph of a BERT encoder with a token-level classification head, node by node.

Matrix products run on 8-bit integers. The scales of their inputs are fixed by the recipe (`rounding.py`) or,
after the GELU, by each token alone. So a text's score does not depend on the other texts in its batch.

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
# The last parts of the names of what `rounding.fit_rounding` adds to the weights.
ROUNDING = (FACTORS, STEP) = ("factors", "step")
LABELS = ("negative", "neutral", "mixed", "positive")

_MAX_QUANTIZED_WEIGHT = 63  # seven bits
# GELU's output is never below -0.17, but may be large. Only this many integers are for negative values.
_GELU_FLOOR, _GELU_ZERO = -0.17, 12
# Their exponentials, and the sum of those of a window, are far from the limits of float32.
_MAX_ATTENTION_SCORE = 80
_LAYER_NORM_EPSILON = 1e-12
_ATTENTION_INPUTS = ("query", "key", "value")


@dataclass
class Graph:
    """A graph under construction; every method returns the name of the output that it adds.

    Attributes:
        weights: arrays by the names in `TokenClassifier.state_dict()`; if quantized, also those of
            `rounding.fit_rounding`.
        quantized: whether matrix products run on 8-bit integers, instead of float32.
    """

    weights: Weights
    quantized: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant, unless one with that name exists."""
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
            labels in the order of `LABELS`, and the language; if quantized, also those of
            `rounding.fit_rounding`.
        heads: how many attention heads a layer has.
        quantized: whether matrix products run on 8-bit integers, instead of float32.
    """
    graph = Graph(weights, quantized)
    states = _embeddings(graph)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    # This mask has the shape of the values. With a smaller one, the order of additions depends on the batch.
    value_mask = graph.node("Unsqueeze", mask, _axes(graph, 1, 3))
    width = weights["head.weight"].shape[1] // heads
    value_mask = graph.node("Tile", value_mask, graph.constant("as values", [1, heads, 1, width], np.int64))
    for layer in range(count_layers(weights)):
        prefix = f"encoder.encoder.layer.{layer}."
        attended = _attention(graph, prefix, states, value_mask, heads)
        states = _add_and_norm(graph, f"{prefix}attention.output.", attended, states)
        inner = _linear(
            graph, f"{prefix}intermediate.dense", states, weights[f"{prefix}intermediate.dense.weight"]
        )
        inner_bias = graph.constant(
            f"{prefix}intermediate.dense.bias", weights[f"{prefix}intermediate.dense.bias"]
        )
        inner = graph.node("BiasGelu", inner, inner_bias, domain=MICROSOFT)
        states = _add_and_norm(graph, f"{prefix}output.", inner, states)
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
            # Factors are powers of two, so this is exact.
            factors = initializers.get(f"{stem}.factors", np.float32(1))
            weights[f"{stem}.weight"] = values.T * initializers[f"{stem}.scales"][:, None] * factors
        elif part in ROUNDING:
            weights[name] = values
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


def _linear(graph: Graph, name: str, states: str, weight: np.ndarray, bias: np.ndarray | None = None) -> str:
    """Multiply by a weight of shape (out, in), and add the bias if there is one."""
    if not graph.quantized:
        product = graph.node("MatMul", states, graph.constant(f"{name}.weight", weight.T))
        return product if bias is None else graph.node("Add", product, graph.constant(f"{name}.bias", bias))
    factors = graph.weights.get(f"{name}.{FACTORS}")
    if factors is not None:
        states = graph.node("Mul", states, graph.constant(f"{name}.{FACTORS}", factors))
        weight = weight / factors
    step = graph.constant(f"{name}.{STEP}", graph.weights[f"{name}.{STEP}"])
    integers = graph.node("QuantizeLinear", states, step, graph.constant("middle", 128, np.uint8))
    return _integer_product(graph, name, (integers, step, "middle"), weight, bias)


def _linear_after_gelu(graph: Graph, name: str, states: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """Multiply by a weight of shape (out, in), and add the bias.

    Few tokens have large values here. A scale that fits all of them would be too coarse for the others.
    """
    if not graph.quantized:
        return _linear(graph, name, states, weight, bias)
    positive = 255 - _GELU_ZERO  # integers
    least = graph.constant("least peak", -_GELU_FLOOR / _GELU_ZERO * positive)
    peak = graph.node("Max", graph.node("ReduceMax", states, _axes(graph, -1), keepdims=1), least)
    step = graph.node("Mul", peak, graph.constant("1/positive", 1 / positive))
    one, zero = graph.constant("one", 1), graph.constant("zero of gelu", _GELU_ZERO, np.uint8)
    integers = graph.node("QuantizeLinear", graph.node("Div", states, step), one, zero)
    product = graph.node("Mul", _integer_product(graph, name, (integers, one, zero), weight), step)
    return graph.node("Add", product, graph.constant(f"{name}.bias", bias))


def _integer_product(
    graph: Graph, name: str, rounded: tuple[str, str, str], weight: np.ndarray, bias: np.ndarray | None = None
) -> str:
    """Multiply rounded states (integers, step, zero) by a weight, and add the bias if there is one."""
    integers, step, zero = rounded
    columns, scales = quantize(weight, axis=1, limit=_MAX_QUANTIZED_WEIGHT)
    weight_inputs = [
        graph.constant(f"{name}.integers", columns.T, np.int8),
        step,
        graph.constant(f"{name}.scales", scales[:, 0]),
        zero,
    ]
    if bias is not None:
        weight_inputs += ["", graph.constant(f"{name}.bias", bias)]
    return graph.node("MatMulIntegerToFloat", integers, *weight_inputs, domain=MICROSOFT)


def _attention(graph: Graph, prefix: str, states: str, value_mask: str, heads: int) -> str:
    """Add attention, with the softmax written out and its sum computed by a matrix product.

    The Softmax operator's sum depends on the processor's vector width and on the padding. A difference in the
    last bit would change how some inputs of the next product are rounded, and the score by a thousandth.

    The scores are limited instead of subtracting the largest one. Those of the bundled model are far below
    the limit.
    """
    stem = f"{prefix}attention.self"
    weight, bias = (
        np.concatenate([graph.weights[f"{stem}.{name}.{part}"] for name in _ATTENTION_INPUTS])
        for part in ("weight", "bias")
    )
    width = weight.shape[1]
    projected = _linear(graph, stem, states, weight, bias)
    shape = graph.constant("shape of heads", [0, 0, 3 * heads, width // heads], np.int64)
    projected = graph.node("Transpose", graph.node("Reshape", projected, shape), perm=[0, 2, 1, 3])
    split = graph.node("Split", projected, outputs=3, name=f"{prefix}qkv", axis=1, num_outputs=3)
    query, key, value = (f"{split}:{index}" for index in range(3))
    scores = graph.node("FusedMatMul", query, key, domain=MICROSOFT, transB=1, alpha=(width / heads) ** -0.5)
    limits = (
        graph.constant(f"score {limit}", limit) for limit in (-_MAX_ATTENTION_SCORE, _MAX_ATTENTION_SCORE)
    )
    powers = graph.node("Exp", graph.node("Clip", scores, *limits))
    mixed = graph.node("MatMul", powers, graph.node("Mul", value, value_mask))
    mixed = graph.node("Div", mixed, graph.node("MatMul", powers, value_mask))
    mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, graph.constant("shape of states", [0, 0, width], np.int64))


def _add_and_norm(graph: Graph, prefix: str, states: str, residual: str) -> str:
    name = f"{prefix}dense"
    multiply = _linear if "attention" in prefix else _linear_after_gelu
    product = multiply(graph, name, states, graph.weights[f"{name}.weight"], graph.weights[f"{name}.bias"])
    # SkipLayerNormalization would do both, but takes ten times as long on a CPU in onnxruntime 1.32.
    return _layer_norm(graph, prefix, graph.node("Add", product, residual))


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
