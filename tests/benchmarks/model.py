"""`make bench-model`: the shipped model beside DistilBERT, where its time goes, and how near the peak.

One run, one thread. What is compared takes turns, so that what else the machine does hits all alike; the
ratios are what to look at. DistilBERT is its architecture with random weights: they take as long as
trained ones.
"""

import argparse
import json
import logging
import os
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from model.recipe.graph import classifier_graph
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table
from tests.benchmarks.classifier import MODEL, WORDS

from reviewbox.model.bundle import Bundle
from reviewbox.model.classifier import processor
from reviewbox.model.windows import Windows

THIS, FLOAT, INTEGER = "this model", "DistilBERT fp32", "DistilBERT int8"

LAYERS, WIDTH, HEADS, INNER, VOCABULARY, POSITIONS = 6, 768, 12, 3072, 30_522, 512
PEAK_SIZE = 1024

# Kinds of work, in the order they are printed.
TOKENIZING = "tokenizing"
PRODUCTS, FLOAT_PRODUCTS = "integer matrix products", "float matrix products with weights"
ATTENTION = "attention products, softmax"
ROUNDING, NORM, GELU, REST = "rounding to integers and back", "layer norm", "GELU", "the rest"
KINDS = (TOKENIZING, PRODUCTS, FLOAT_PRODUCTS, ATTENTION, ROUNDING, NORM, GELU, REST)

INTEGER_PRODUCTS = {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
KIND_OF_OPERATOR = {
    **dict.fromkeys(INTEGER_PRODUCTS, PRODUCTS),
    **dict.fromkeys(("QuantizeLinear", "DynamicQuantizeLinear", "DequantizeLinear"), ROUNDING),
    **dict.fromkeys(("LayerNormalization", "SkipLayerNormalization"), NORM),
    **dict.fromkeys(("Gelu", "BiasGelu", "FastGelu", "Erf"), GELU),
    **dict.fromkeys(("Softmax", "Attention", "MultiHeadAttention"), ATTENTION),
}
# Through these a walk against the flow goes on: from a rounding to the states that are rounded, and from
# an attention product to the one before it.
ROUNDING_STEPS = {"Div", "Mul", "Add", "Max", "ReduceMax", "Abs"}
SOFTMAX_STEPS = {"Add", "Sub", "Mul", "Div", "Exp", "ReduceMax", "Where", "IsNaN", "Softmax"}


class Shape(NamedTuple):
    """Of one run of a graph: so many tokens in each of so many windows."""

    tokens: int
    windows: int


SHAPES = [Shape(tokens, windows) for tokens in (16, 32, 64, 128) for windows in (1, 4, 8)]
PROFILED = Shape(tokens=128, windows=4)


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of one run goes.

    Attributes:
        microseconds: by kind of work.
        multiply_adds: by kind of matrix product.
    """

    microseconds: Mapping[str, float]
    multiply_adds: Mapping[str, int]


def main() -> None:
    """Print three tables, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description="Measure the shipped model beside DistilBERT.")
    parser.add_argument("--rounds", type=int, default=15, help="how often each takes its turn (15)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    # onnxruntime reports usage over the network unless told not to before the import.
    os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
    console = Console(width=100, highlight=False)

    with tempfile.TemporaryDirectory() as folder:
        paths, products, quantized = distilbert(Path(folder))
        console.print(
            f"{processor()}, one thread, medians of {arguments.rounds} rounds. DistilBERT has random "
            f"weights, enough for its time; dynamic quantization made {quantized} of its {products} products "
            "with weights integer ones."
        )
        bundle = Bundle.read(MODEL)
        times = token_times({THIS: bundle.model, **paths}, arguments.rounds)
        profile = profiled(bundle, Path(folder), arguments.rounds)
        peaks = peak_rates(Path(folder), arguments.rounds)

    medians = {
        name: statistics.median(row[name] / row[INTEGER] for row in times.values()) for name in (THIS, FLOAT)
    }
    rates = model_rates(profile, times[PROFILED][THIS])
    for table in (times_table(times, medians), kinds_table(profile), rates_table(rates, peaks)):
        console.print(table)
    if arguments.json:
        figures = {
            "processor": processor(),
            "rounds": arguments.rounds,
            "distilbert": {"weights": "random", "products": products, "integer_products": quantized},
            "microseconds_per_token": [{**shape._asdict(), **row} for shape, row in times.items()],
            "median_ratio_to_distilbert_int8": medians,
            "profile": {**PROFILED._asdict(), **asdict(profile)},
            "billion_multiply_adds_per_second": {"peak": peaks, "model": rates},
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def distilbert(folder: Path) -> tuple[dict[str, Path], int, int]:
    """Write DistilBERT's graph twice: in float32, and quantized dynamically.

    It is written as this model's is, softmax and layer norms spelt out, which onnxruntime runs no slower
    than what it makes of an export.

    Returns:
        The graphs' files; how many products with weights the first has; and how many of them are
        products of integers in the second.
    """
    from onnxruntime.quantization import quantize_dynamic

    paths = {FLOAT: folder / "float.onnx", INTEGER: folder / "integer.onnx"}
    model = classifier_graph(distilbert_weights(), HEADS, quantized=False)
    onnx.save(model, paths[FLOAT])
    # Its advice to optimize the graph first does not concern this one.
    logging.disable(logging.WARNING)
    # Types past a fused operator are not inferred; all of them are float32.
    quantize_dynamic(paths[FLOAT], paths[INTEGER], extra_options={"DefaultTensorType": TensorProto.FLOAT})
    logging.disable(logging.NOTSET)
    constants = {tensor.name for tensor in model.graph.initializer}
    products = sum(node.op_type == "MatMul" and node.input[1] in constants for node in model.graph.node)
    integer = Counter(node.op_type for node in onnx.load(paths[INTEGER]).graph.node)
    return paths, products, sum(integer[operator] for operator in INTEGER_PRODUCTS)


def distilbert_weights() -> dict[str, np.ndarray]:
    """Return random weights of DistilBERT's shapes, by the names of the recipe's checkpoints."""
    generator = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        weights[f"{name}.weight"] = 0.02 * generator.standard_normal((outputs, inputs), dtype=np.float32)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)

    def norm(name: str) -> None:
        weights[f"{name}.weight"] = np.ones(WIDTH, np.float32)
        weights[f"{name}.bias"] = np.zeros(WIDTH, np.float32)

    for name, rows in (("word", VOCABULARY), ("position", POSITIONS), ("token_type", 1)):
        table = 0.02 * generator.standard_normal((rows, WIDTH), dtype=np.float32)
        weights[f"encoder.embeddings.{name}_embeddings.weight"] = table
    norm("encoder.embeddings.LayerNorm")
    for layer in range(LAYERS):
        prefix = f"encoder.encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value"):
            linear(prefix + name, WIDTH, WIDTH)
        linear(f"{prefix}attention.output.dense", WIDTH, WIDTH)
        norm(f"{prefix}attention.output.LayerNorm")
        linear(f"{prefix}intermediate.dense", INNER, WIDTH)
        linear(f"{prefix}output.dense", WIDTH, INNER)
        norm(f"{prefix}output.LayerNorm")
    linear("head", 1, WIDTH)
    return weights


def open_session(path: Path, profile: Path | None = None) -> Any:
    """Load a graph to run on one thread; with `profile`, the profiler writes to a file of that prefix."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def runs(session: Any, shape: Shape) -> Callable[[], object]:
    """Return what runs a classifier on full windows of random tokens."""
    size = (shape.windows, shape.tokens)
    feeds = {
        "input_ids": np.random.default_rng(0).integers(1000, 30_000, size),
        "attention_mask": np.ones(size, np.int64),
        "token_type_ids": np.zeros(size, np.int64),
    }
    asked = {given.name: feeds[given.name] for given in session.get_inputs()}
    return partial(session.run, ["logits"], asked)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time that `work` takes when it has just been done."""
    work()  # else it pays for what came before: the caches hold another's weights
    started = time.process_time()
    work()
    return time.process_time() - started


def token_times(paths: Mapping[str, Path], rounds: int) -> dict[Shape, dict[str, float]]:
    """Return each graph's microseconds of processor time per token, by the shape of a run."""
    sessions = {name: open_session(path) for name, path in paths.items()}
    turns = {(shape, name): runs(session, shape) for shape in SHAPES for name, session in sessions.items()}
    seconds = defaultdict(list)
    for _ in range(rounds):
        for turn, work in turns.items():
            seconds[turn].append(cpu_seconds(work))
    return {
        shape: {name: 1e6 * statistics.median(seconds[shape, name]) / prod(shape) for name in sessions}
        for shape in SHAPES
    }


def profiled(bundle: Bundle, folder: Path, rounds: int) -> Profile:
    """Return where the model's time goes, by onnxruntime's profiler; tokenizing is processor time.

    A node's time is its median over the rounds, so being interrupted now and then does not count.
    """
    model = onnx.load(bundle.model)
    kinds = kinds_by_name(model)
    onnx.save(model, folder / "named.onnx")
    session = open_session(folder / "named.onnx", folder / "profile")
    work = runs(session, PROFILED)
    for _ in range(1 + rounds):
        work()
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["name"].removesuffix("_kernel_time")].append(event)

    microseconds = {TOKENIZING: tokenizing(bundle, rounds), **dict.fromkeys(KINDS[1:], 0.0)}
    multiply_adds = dict.fromkeys((PRODUCTS, FLOAT_PRODUCTS), 0)
    for name, (first, *others) in nodes.items():
        # A node that onnxruntime fused or split has one of the old names, with more behind a slash.
        kind = KIND_OF_OPERATOR.get(first["args"]["op_name"]) or kinds.get(name.split("/")[0], REST)
        microseconds[kind] += statistics.median(event["dur"] for event in others)
        if kind in multiply_adds:
            (states, *_), (product, *_) = (
                first["args"][f"{side}_type_shape"] for side in ("input", "output")
            )
            (rows,), (results,) = states.values(), product.values()
            multiply_adds[kind] += prod(results) * rows[-1]
    return Profile(microseconds, multiply_adds)


def tokenizing(bundle: Bundle, rounds: int) -> float:
    """Return the microseconds of processor time that text of as many tokens as a profiled run takes."""
    windows = Windows.load(bundle.tokenizer, bundle.window_tokens)
    generator = random.Random(0)  # noqa: S311 - texts, not secrets
    text = " ".join(generator.choices(WORDS, k=prod(PROFILED)))
    tokens = sum(len(window.input_ids) for window in windows.cut([text])[0])
    seconds = statistics.median(cpu_seconds(partial(windows.cut, [text])) for _ in range(rounds))
    return 1e6 * seconds / tokens * prod(PROFILED)


def kinds_by_name(model: onnx.ModelProto) -> dict[str, str]:
    """Name each node after its first output, and return what kind of work it does."""
    made = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    weights = constants | folded(model.graph.node, constants)
    for node in model.graph.node:
        node.name = node.output[0]

    nodes = list(model.graph.node)
    float_products = [node for node in nodes if node.op_type in {"MatMul", "FusedMatMul", "Gemm"}]
    mixing = [node for node in float_products if not weights & set(node.input)]
    rounding = [node for node in nodes if node.op_type == "QuantizeLinear"]
    kinds = {node.name: FLOAT_PRODUCTS for node in float_products}
    kinds |= dict.fromkeys((*names(mixing), *names(behind(mixing, SOFTMAX_STEPS, made))), ATTENTION)
    kinds |= dict.fromkeys(names(behind(rounding, ROUNDING_STEPS, made)), ROUNDING)
    for node in nodes:
        sources = [made[name] for name in node.input if name in made]
        if node.op_type == "Div" and sources and all(source in mixing for source in sources):
            kinds[node.name] = ATTENTION  # a softmax spelt out divides by its sum last
        scales = node.op_type == "Mul" and any(source.op_type in INTEGER_PRODUCTS for source in sources)
        if scales or (node.op_type == "Add" and any(name.endswith(".floor") for name in node.input)):
            kinds[node.name] = ROUNDING
    return kinds


def names(nodes: Iterable[onnx.NodeProto]) -> list[str]:
    """Return the nodes' names."""
    return [node.name for node in nodes]


def folded(nodes: Iterable[onnx.NodeProto], constants: Collection[str]) -> set[str]:
    """Return the outputs that depend on constants alone: onnxruntime reckons them when it loads."""
    known = set(constants)
    for node in nodes:
        if node.input and known.issuperset(node.input):
            known |= set(node.output)
    return known


def behind(
    nodes: Iterable[onnx.NodeProto], steps: Collection[str], made: Mapping[str, onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """Return the nodes that lead to `nodes` by nothing but operators among `steps`."""
    waiting, found = list(nodes), {}
    while waiting:
        for name in waiting.pop().input:
            node = made.get(name)
            if node and node.op_type in steps and node.name not in found:
                found[node.name] = node
                waiting.append(node)
    return list(found.values())


def peak_rates(folder: Path, rounds: int) -> dict[str, float]:
    """Return the best rates of a large matrix product, in billions of multiply-adds a second."""
    size = (PEAK_SIZE, PEAK_SIZE)
    generator = np.random.default_rng(0)
    numbers = [generator.standard_normal(size, dtype=np.float32) for _ in range(2)]
    bytes_ = [generator.integers(0, 255, size, np.uint8), generator.integers(-63, 63, size, np.int8)]
    turns = {}
    for name, operator, (left, right), result in (
        ("float32", "MatMul", numbers, TensorProto.FLOAT),
        ("uint8 x int8", "MatMulInteger", bytes_, TensorProto.INT32),
    ):
        graph = helper.make_graph(
            [helper.make_node(operator, ["left", "right"], ["product"])],
            operator,
            [helper.make_tensor_value_info("left", helper.np_dtype_to_tensor_dtype(left.dtype), size)],
            [helper.make_tensor_value_info("product", result, size)],
            [numpy_helper.from_array(right, "right")],
        )
        path = folder / f"{operator}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
        turns[name] = partial(open_session(path).run, None, {"left": left})
    # The best of many, for a peak is what the machine does undisturbed.
    seconds = [[cpu_seconds(work) for work in turns.values()] for _ in range(5 * rounds)]
    return {
        name: PEAK_SIZE**3 / min(times) / 1e9
        for name, times in zip(turns, zip(*seconds, strict=True), strict=True)
    }


def model_rates(profile: Profile, microseconds_per_token: float) -> dict[str, float]:
    """Return how many billions of multiply-adds a second the model does in its products with weights."""
    multiply_adds = sum(profile.multiply_adds.values())
    inside = sum(profile.microseconds[kind] for kind in profile.multiply_adds)
    whole = microseconds_per_token * prod(PROFILED)
    return {
        "inside its products": multiply_adds / inside / 1e3,
        "over all its time": multiply_adds / whole / 1e3,
    }


def times_table(times: Mapping[Shape, Mapping[str, float]], medians: Mapping[str, float]) -> Table:
    """Return table a."""
    table = Table(
        title="Microseconds of processor time per token (milliseconds per 1,000)", title_justify="left"
    )
    for column in ("tokens", "windows", THIS, FLOAT, INTEGER, "this / int8", "fp32 / int8"):
        table.add_column(column, justify="right")
    for shape, row in times.items():
        ratios = (row[name] / row[INTEGER] for name in (THIS, FLOAT))
        table.add_row(
            *(str(number) for number in shape),
            *(f"{row[name]:.0f}" for name in (THIS, FLOAT, INTEGER)),
            *(f"{ratio:.2f}" for ratio in ratios),
            end_section=shape.windows == SHAPES[-1].windows,
        )
    table.add_row("median", "", "", "", "", *(f"{medians[name]:.2f}" for name in (THIS, FLOAT)))
    return table


def kinds_table(profile: Profile) -> Table:
    """Return table b."""
    title = f"This model's time for {PROFILED.windows} windows of {PROFILED.tokens} tokens"
    table = Table("kind of work", title=title, title_justify="left")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    total = sum(profile.microseconds.values())
    for kind in KINDS:
        microseconds = profile.microseconds[kind]
        table.add_row(kind, f"{microseconds / 1e3:.2f}", f"{microseconds / total:.1%}")
    return table


def rates_table(rates: Mapping[str, float], peaks: Mapping[str, float]) -> Table:
    """Return table c."""
    table = Table(
        "billions of multiply-adds a second", title="Against the machine's peak", title_justify="left"
    )
    for column in ("rate", *(f"of {name}" for name in peaks)):
        table.add_column(column, justify="right")
    for label, rate in (
        *((f"peak, {name}, {PEAK_SIZE} cubed", rate) for name, rate in peaks.items()),
        *((f"this model {name}", rate) for name, rate in rates.items()),
    ):
        table.add_row(label, f"{rate:.1f}", *(f"{rate / peak:.0%}" for peak in peaks.values()))
    return table


if __name__ == "__main__":
    main()
