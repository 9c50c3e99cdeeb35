"""Fit the rounding of the integer graph: the scales of the inputs of its matrix products with weights.

The largest values of some channels are ten times those of others. Factors for the channels, which the weights
make up for, bring them closer together, so that one scale fits all of them (SmoothQuant, Xiao et al. 2023).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from recipe.graph import FACTORS, STEP, Weights, classifier_graph, count_layers
from recipe.reviews import CLS, SEP, TokenizedReviews

# The matrix products of a layer whose inputs have a fixed scale.
_PRODUCTS = ("attention.self", "attention.output.dense", "intermediate.dense")
_FILES = ("train.npz", "short.npz")
_REVIEWS_PER_FILE = 400
# How much of the difference between channels the factors take away. If they took away all of it, the weights
# would differ too much.
_EVENNESS = 0.65
_LARGEST_INTEGER = 127


def sample_windows(work: Path, config: dict[str, Any]) -> Iterator[np.ndarray]:
    """Yield windows of training reviews and short texts with their special tokens, shape (T,), int64."""
    size = config["windows"]["size"]
    rng = np.random.default_rng([config["seed"], 15])
    for file in _FILES:
        reviews = TokenizedReviews.load(work / file)
        for index in rng.permutation(len(reviews))[:_REVIEWS_PER_FILE]:
            pieces = reviews.review(index)
            for start in range(0, len(pieces), size):
                yield np.concatenate([[CLS], pieces[start : start + size], [SEP]]).astype(np.int64)


def fit_rounding(weights: Weights, heads: int, windows: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights with the steps, and the factors of the channels, that `classifier_graph` needs.

    An input `x` of a matrix product becomes the integer `round(x * factors / step)`. Factors are powers of
    two, so that the weights stay exact. The inputs of attention's output have none: the values that attention
    adds up are scaled instead.

    Args:
        weights: as for `classifier_graph` without rounding.
        heads: how many attention heads a layer has.
        windows: windows of typical texts, each of shape (T,).
    """
    fitted = dict(weights)
    for name, peaks in _input_peaks(weights, heads, windows).items():
        factors = np.exp2(np.rint(-_EVENNESS * np.log2(np.maximum(peaks, 1e-6) / peaks.mean()))).astype(
            np.float32
        )
        fitted[f"{name}.{STEP}"] = np.float32((peaks * factors).max() / _LARGEST_INTEGER)
        if not name.endswith("attention.output.dense"):
            fitted[f"{name}.{FACTORS}"] = factors
            continue
        value = f"{name.removesuffix('output.dense')}self.value"
        fitted[f"{value}.weight"] = weights[f"{value}.weight"] * factors[:, None]
        fitted[f"{value}.bias"] = weights[f"{value}.bias"] * factors
        fitted[f"{name}.weight"] = weights[f"{name}.weight"] / factors
    return fitted


def _input_peaks(weights: Weights, heads: int, windows: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the largest absolute value of each channel of each input with a fixed scale, shape (H,)."""
    model = classifier_graph(weights, heads, quantized=False)
    inputs = {node.input[1]: node.input[0] for node in model.graph.node if node.op_type == "MatMul"}
    peaks = {
        f"encoder.encoder.layer.{layer}.{part}": np.float32(0)
        for layer in range(count_layers(weights))
        for part in _PRODUCTS
    }
    outputs = [inputs[f"{name}.weight"] for name in peaks]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for window in windows:
        ids = window[None]
        states = session.run(outputs, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for name, values in zip(peaks, states, strict=True):
            peaks[name] = np.maximum(peaks[name], np.abs(values).max(axis=(0, 1)))
    return peaks
