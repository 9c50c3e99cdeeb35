"""`make bench-model`: compare the shipped model with DistilBERT and with the machine's peak, and profile it.

All models run on one thread. They alternate, so that other load on the machine affects all of them equally.
The ratios carry over to other machines. DistilBERT has random weights, because trained ones would take the
same time.
"""

import argparse
import json
import logging
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from model.recipe.graph import LABELS, classifier_graph
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table
from tests.benchmarks.figures import MODEL
from tests.benchmarks.texts import WORDS

from reviewbox.model.bundle import Bundle
from reviewbox.model.self_check import processor
from reviewbox.model.windows import Windows

THIS, FLOAT, INTEGER = "this model", "DistilBERT fp32", "DistilBERT int8"

LAYERS, WIDTH, HEADS, INNER, VOCABULARY, POSITIONS = 6, 768, 12, 3072, 30_522, 512
PEAK_SIZE = 1024

# Kinds of work, in the order of the printed table.
TOKENIZING = "tokenizing"
PRODUCTS, FLOAT_PRODUCTS = "integer matrix products", "float matrix products with weights"
ATTENTION = "attention products, softmax"
ROUNDING, NORM, GELU, REST = "rounding to integers and back", "layer norm", "GELU", "the rest"
KINDS = (TOKENIZING, PRODUCTS, FLOAT_PRODUCTS, ATTENTION, ROUNDING, NORM, GELU, REST)

INTEGER_PRODUCTS = {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
KINDS_BY_OPERATOR = {
    **dict.fromkeys(INTEGER_PRODUCTS, PRODUCTS),
    **dict.fromkeys(("QuantizeLinear", "DynamicQuantizeLinear", "DequantizeLinear"), ROUNDING),
    **dict.fromkeys(("LayerNormalization", "SkipLayerNormalization"), NORM),
    **dict.fromkeys(("Gelu", "BiasGelu", "FastGelu", "Erf"), GELU),
    **dict.fromkeys(("Softmax", "Attention", "MultiHeadAttention"), ATTENTION),
}
# The operators between a rounding and the states that it rounds, and between the two products of attention.
ROUNDING_STEPS = {"Div", "Mul", "Add", "Max", "ReduceMax", "Abs"}
SOFTMAX_STEPS = {"Add", "Sub", "Mul", "Div", "Exp", "ReduceMax", "Where", "IsNaN", "Softmax"}


class Shape(NamedTuple):
    """The size of a batch: the number of tokens in each window, and the number of windows."""

    tokens: int
    windows: int


SHAPES = [Shape(tokens, windows) for tokens in (16, 32, 64, 128) for windows in (1, 4, 8)]
PROFILED = Shape(tokens=128, windows=4)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of one run.

    Attributes:
        microseconds: the time of each kind of work.
        multiply_adds: the multiply-adds of each kind of matrix product with weights.
    """

    microseconds: Mapping[str, float]
    multiply_adds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DistilBert:
    """DistilBERT's graph in two versions.

    Attributes:
        paths: the files of `FLOAT` and `INTEGER`.
        products: how many matrix products with weights the float graph has.
        integer_products: how many of them are integer products after quantization.
    """

    paths: dict[str, Path]
    products: int
    integer_products: int


def main() -> None:
    """Print three tables, and write the figures to a file if asked to."""
    parser = argparse.ArgumentParser(description="Compare the shipped model with DistilBERT.")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each model (15)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    # onnxruntime sends usage data unless this is set before its import.
    os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
    console = Console(width=100, highlight=False)

    with tempfile.TemporaryDirectory() as folder:
        distilbert = write_distilbert(Path(folder))
        console.print(
            f"{processor()}, one thread, medians of {arguments.rounds} rounds. DistilBERT has random "
            "weights, which do not affect its time. Dynamic quantization turned "
            f"{distilbert.integer_products} of its {distilbert.products} matrix products with weights into "
            "integer products."
        )
        bundle = Bundle.read(MODEL)
        times = measure_token_times({THIS: bundle.model, **distilbert.paths}, arguments.rounds)
        profile = profile_model(bundle, Path(folder), arguments.rounds)
        peaks = measure_peak_rates(Path(folder), arguments.rounds)

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
            "distilbert": {
                "weights": "random",
                "products": distilbert.products,
                "integer_products": distilbert.integer_products,
            },
            "microseconds_per_token": [{**shape._asdict(), **row} for shape, row in times.items()],
            "median_ratio_to_distilbert_int8": medians,
            "profile": {**PROFILED._asdict(), **asdict(profile)},
            "billion_multiply_adds_per_second": {"peak": peaks, "model": rates},
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def write_distilbert(folder: Path) -> DistilBert:
    """Write DistilBERT's graph in float32 and with dynamic quantization.

    The graph is built like this model's. onnxruntime runs it at least as fast as an exported DistilBERT.
    """
    from onnxruntime.quantization import quantize_dynamic

    paths = {FLOAT: folder / "float.onnx", INTEGER: folder / "integer.onnx"}
    model = classifier_graph(random_distilbert_weights(), HEADS, quantized=False)
    onnx.save(model, paths[FLOAT])
    # Hides its advice to optimize the graph first, which would not change this graph.
    logging.disable(logging.WARNING)
    # It cannot infer types after a fused operator; all of them are float32.
    quantize_dynamic(paths[FLOAT], paths[INTEGER], extra_options={"DefaultTensorType": TensorProto.FLOAT})
    logging.disable(logging.NOTSET)
    constants = {tensor.name for tensor in model.graph.initializer}
    quantized = onnx.load(paths[INTEGER])
    return DistilBert(
        paths,
        sum(node.op_type == "MatMul" and node.input[1] in constants for node in model.graph.node),
        sum(node.op_type in INTEGER_PRODUCTS for node in quantized.graph.node),
    )


def random_distilbert_weights() -> dict[str, np.ndarray]:
    """Return random weights in DistilBERT's shapes, under the names of the recipe's checkpoints."""
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
    linear("head", len(LABELS) + 1, WIDTH)  # the labels and the language
    return weights


def open_session(path: Path, profile: Path | None = None) -> Any:
    """Load a graph to run on one thread; with `profile`, write a profile to a file with that prefix."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def prepare_run(session: Any, shape: Shape) -> Callable[[], object]:
    """Return a function that runs a classifier on full windows of random tokens."""
    size = (shape.windows, shape.tokens)
    values = {
        "input_ids": np.random.default_rng(0).integers(1000, 30_000, size),
        "attention_mask": np.ones(size, np.int64),
        "token_type_ids": np.zeros(size, np.int64),
    }
    feeds = {model_input.name: values[model_input.name] for model_input in session.get_inputs()}
    return partial(session.run, ["logits"], feeds)


def warm_seconds(work: Callable[[], object]) -> float:
    """Return the processor time that `work` takes after a warm-up."""
    work()  # loads the weights into the processor's caches, which hold another model's
    started = time.process_time()
    work()
    return time.process_time() - started


def measure_token_times(paths: Mapping[str, Path], rounds: int) -> dict[Shape, dict[str, float]]:
    """Return each graph's microseconds of processor time per token, by the shape of a batch."""
    sessions = {name: open_session(path) for name, path in paths.items()}
    runs = {
        (shape, name): prepare_run(session, shape) for shape in SHAPES for name, session in sessions.items()
    }
    seconds = defaultdict(list)
    for _ in range(rounds):
        for key, run in runs.items():
            seconds[key].append(warm_seconds(run))
    return {
        shape: {name: 1e6 * statistics.median(seconds[shape, name]) / prod(shape) for name in sessions}
        for shape in SHAPES
    }


def profile_model(bundle: Bundle, folder: Path, rounds: int) -> Profile:
    """Return the model's profile, from onnxruntime's profiler, and the processor time of tokenizing.

    A node's time is its median over the rounds, so that occasional interruptions do not affect it.
    """
    model = onnx.load(bundle.model)
    kinds = name_nodes(model)
    onnx.save(model, folder / "named.onnx")
    session = open_session(folder / "named.onnx", folder / "profile")
    run = prepare_run(session, PROFILED)
    for _ in range(1 + rounds):
        run()
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    events_by_node = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            events_by_node[event["name"].removesuffix("_kernel_time")].append(event)

    microseconds = {TOKENIZING: measure_tokenizing(bundle, rounds), **dict.fromkeys(KINDS[1:], 0.0)}
    multiply_adds = dict.fromkeys((PRODUCTS, FLOAT_PRODUCTS), 0)
    for name, (warm_up, *measured) in events_by_node.items():
        # A node that onnxruntime fused or split has an original name, followed by a slash and a suffix.
        kind = KINDS_BY_OPERATOR.get(warm_up["args"]["op_name"]) or kinds.get(name.split("/")[0], REST)
        microseconds[kind] += statistics.median(event["dur"] for event in measured)
        if kind in multiply_adds:
            (states, *_), (product, *_) = (
                warm_up["args"][f"{side}_type_shape"] for side in ("input", "output")
            )
            (states_shape,), (product_shape,) = states.values(), product.values()
            multiply_adds[kind] += prod(product_shape) * states_shape[-1]
    return Profile(microseconds, multiply_adds)


def measure_tokenizing(bundle: Bundle, rounds: int) -> float:
    """Return the microseconds of processor time to tokenize as many tokens as a profiled run has."""
    windows = Windows.load(bundle.tokenizer, bundle.window_tokens)
    generator = random.Random(0)  # noqa: S311 - texts, not secrets
    text = " ".join(generator.choices(WORDS, k=prod(PROFILED)))
    tokens = sum(len(window.input_ids) for window in windows.split([text])[0])
    seconds = statistics.median(warm_seconds(partial(windows.split, [text])) for _ in range(rounds))
    return 1e6 * seconds / tokens * prod(PROFILED)


def name_nodes(model: onnx.ModelProto) -> dict[str, str]:
    """Name each node after its first output, and return the kind of work of the nodes by name."""
    producers = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    weights = constants | constant_outputs(model.graph.node, constants)
    for node in model.graph.node:
        node.name = node.output[0]

    nodes = list(model.graph.node)
    float_products = [node for node in nodes if node.op_type in {"MatMul", "FusedMatMul", "Gemm"}]
    attention_products = [node for node in float_products if not weights & set(node.input)]
    roundings = [node for node in nodes if node.op_type == "QuantizeLinear"]
    kinds = {node.name: FLOAT_PRODUCTS for node in float_products}
    kinds |= dict.fromkeys(names(attention_products), ATTENTION)
    kinds |= dict.fromkeys(names(predecessors(attention_products, SOFTMAX_STEPS, producers)), ATTENTION)
    kinds |= dict.fromkeys(names(predecessors(roundings, ROUNDING_STEPS, producers)), ROUNDING)
    for node in nodes:
        sources = [producers[name] for name in node.input if name in producers]
        if node.op_type == "Div" and sources and all(source in attention_products for source in sources):
            kinds[node.name] = ATTENTION  # this graph's softmax divides by its sum after the product
        is_scaling = node.op_type == "Mul" and any(source.op_type in INTEGER_PRODUCTS for source in sources)
        if is_scaling or (node.op_type == "Add" and any(name.endswith(".floor") for name in node.input)):
            kinds[node.name] = ROUNDING
    return kinds


def names(nodes: Iterable[onnx.NodeProto]) -> list[str]:
    """Return the nodes' names."""
    return [node.name for node in nodes]


def constant_outputs(nodes: Iterable[onnx.NodeProto], constants: Collection[str]) -> set[str]:
    """Return the constants and the outputs that depend only on them, which onnxruntime folds on loading."""
    known = set(constants)
    for node in nodes:
        if node.input and known.issuperset(node.input):
            known |= set(node.output)
    return known


def predecessors(
    nodes: Iterable[onnx.NodeProto], operators: Collection[str], producers: Mapping[str, onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """Return the nodes from which a path through only these operators leads to one of `nodes`."""
    pending, visited = list(nodes), {}
    while pending:
        for name in pending.pop().input:
            node = producers.get(name)
            if node and node.op_type in operators and node.name not in visited:
                visited[node.name] = node
                pending.append(node)
    return list(visited.values())


def measure_peak_rates(folder: Path, rounds: int) -> dict[str, float]:
    """Return the peak rates of a large matrix product by data type, in billions of multiply-adds a second."""
    size = (PEAK_SIZE, PEAK_SIZE)
    generator = np.random.default_rng(0)
    floats = [generator.standard_normal(size, dtype=np.float32) for _ in range(2)]
    integers = [generator.integers(0, 255, size, np.uint8), generator.integers(-63, 63, size, np.int8)]
    products = {}
    for name, operator, (left, right), result in (
        ("float32", "MatMul", floats, TensorProto.FLOAT),
        ("uint8 x int8", "MatMulInteger", integers, TensorProto.INT32),
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
        products[name] = partial(open_session(path).run, None, {"left": left})
    # The best of many rounds, because interruptions only slow a product down.
    seconds = [[warm_seconds(product) for product in products.values()] for _ in range(5 * rounds)]
    return {
        name: PEAK_SIZE**3 / min(times) / 1e9
        for name, times in zip(products, zip(*seconds, strict=True), strict=True)
    }


def model_rates(profile: Profile, microseconds_per_token: float) -> dict[str, float]:
    """Return the model's rate of multiply-adds with weights, in billions a second."""
    multiply_adds = sum(profile.multiply_adds.values())
    in_products = sum(profile.microseconds[kind] for kind in profile.multiply_adds)
    overall = microseconds_per_token * prod(PROFILED)
    return {
        "in its matrix products": multiply_adds / in_products / 1e3,
        "overall": multiply_adds / overall / 1e3,
    }


def times_table(times: Mapping[Shape, Mapping[str, float]], medians: Mapping[str, float]) -> Table:
    """Return the table of times per token."""
    table = Table(title="Microseconds of processor time per token", title_justify="left")
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
    """Return the table of the profile."""
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
    """Return the table of rates."""
    table = Table(
        "billions of multiply-adds a second", title="Rates and the machine's peak", title_justify="left"
    )
    for column in ("rate", *(f"of {name}" for name in peaks)):
        table.add_column(column, justify="right")
    for label, rate in (
        *((f"peak, {name}, {PEAK_SIZE} x {PEAK_SIZE}", rate) for name, rate in peaks.items()),
        *((f"this model {name}", rate) for name, rate in rates.items()),
    ):
        table.add_row(label, f"{rate:.1f}", *(f"{rate / peak:.0%}" for peak in peaks.values()))
    return table


if __name__ == "__main__":
    main()
