import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.tiny import SPECIAL, WORDS

from reviewbox.errors import ModelError
from reviewbox.model.batching import Ids
from reviewbox.model.inference import OnnxBackend

INPUTS = ("input_ids", "attention_mask", "token_type_ids")

# Prints the telemetry variables at the moment when onnxruntime is first imported.
SPY = """
import os, sys
from pathlib import Path

class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"), os.environ.get("ORT_TELEMETRY_DISABLED"))

import reviewbox.model.classifier
from reviewbox.model.inference import OnnxBackend
assert "onnxruntime" not in sys.modules
sys.meta_path.insert(0, Spy())
OnnxBackend.load(Path(sys.argv[1]), threads=1)
"""


@pytest.fixture
def graph(tiny_model: Path) -> onnx.ModelProto:
    return onnx.load(tiny_model / "model.onnx")


def load(path: Path, threads: int = 1) -> OnnxBackend:
    return OnnxBackend.load(path, threads=threads)


def load_graph(graph: onnx.ModelProto, folder: Path) -> OnnxBackend:
    onnx.save(graph, folder / "model.onnx")
    return load(folder / "model.onnx")


def ids_of(*words: str) -> Ids:
    """Return the tokens of these words between [CLS] and [SEP], shape (1, T)."""
    return np.array([[2, *(len(SPECIAL) + list(WORDS).index(word) for word in words), 3]], dtype=np.int64)


def logits_of(backend: OnnxBackend, *words: str) -> list[float]:
    ids = ids_of(*words)
    (logits,) = backend.run(ids, np.ones_like(ids), np.zeros_like(ids))
    return list(map(float, logits))


def summing_graph() -> onnx.ModelProto:
    """Return a graph with a logit for each input: the sum of its values over a row."""
    inputs = reversed(INPUTS)  # another order than that of the arguments
    return helper.make_model(
        helper.make_graph(
            [
                *(helper.make_node("ReduceSum", [name, "tokens"], [f"{name}_sum"]) for name in INPUTS),
                helper.make_node("Concat", [f"{name}_sum" for name in INPUTS], ["sums"], axis=1),
                helper.make_node("Cast", ["sums"], ["logits"], to=TensorProto.FLOAT),
            ],
            "summing",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in inputs],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "labels"])],
            [numpy_helper.from_array(np.array([1]), "tokens")],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )


def test_a_run_returns_the_logits_of_each_row(tiny_model: Path) -> None:
    ids = np.concatenate([ids_of("good", "film", "bad", "great"), ids_of("bad", "bad", "bad", "bad")])

    logits = load(tiny_model / "model.onnx").run(ids, np.ones_like(ids), np.zeros_like(ids))

    assert logits == pytest.approx(np.array([[-0.75, 0.75], [2, -2]]))
    assert logits.dtype == np.float32


def test_the_number_of_threads_does_not_change_the_logits(tiny_model: Path) -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(len(SPECIAL), len(SPECIAL) + len(WORDS), (40, 90))
    inputs = ids, np.ones_like(ids), np.zeros_like(ids)

    one, two = (load(tiny_model / "model.onnx", threads).run(*inputs) for threads in (1, 2))

    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)


def test_each_input_of_the_graph_gets_the_values_of_its_name(tmp_path: Path) -> None:
    backend = load_graph(summing_graph(), tmp_path)

    logits = backend.run(np.array([[5, 6, 7]]), np.array([[1, 1, 0]]), np.array([[0, 0, 1]]))

    assert logits.tolist() == [[18, 2, 1]]


def test_the_output_token_logits_is_optional(graph: onnx.ModelProto, tmp_path: Path) -> None:
    assert graph.graph.output.pop(1).name == "token_logits"

    assert logits_of(load_graph(graph, tmp_path), "good", "great") == pytest.approx([-2.5, 2.5])


def test_the_input_attention_mask_is_optional(graph: onnx.ModelProto, tmp_path: Path) -> None:
    assert graph.graph.input.pop(1).name == "attention_mask"

    assert logits_of(load_graph(graph, tmp_path), "good", "great") == pytest.approx([-2.5, 2.5])


def test_a_graph_may_have_the_input_token_type_ids(graph: onnx.ModelProto, tmp_path: Path) -> None:
    graph.graph.input[1].name = "token_type_ids"

    assert logits_of(load_graph(graph, tmp_path), "good", "great") == pytest.approx([-2.5, 2.5])


def test_the_label_count_comes_from_the_shape_of_the_graph(tiny_model: Path, tmp_path: Path) -> None:
    assert load(tiny_model / "model.onnx").label_count == 2
    assert load_graph(summing_graph(), tmp_path).label_count == 3


def fix_shape(graph: onnx.ModelProto, batch: int | None, tokens: int | None) -> onnx.ModelProto:
    """Fix dimensions of a graph's inputs, and make it depend on the values of its padding."""
    for value in graph.graph.input:
        for dimension, size in zip(value.type.tensor_type.shape.dim, (batch, tokens), strict=True):
            if size:
                dimension.dim_value = size
    return graph


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("tokens", [None, 8])
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_a_graph_with_fixed_inputs_gets_them(
    tmp_path: Path, batch: int | None, tokens: int | None, kind: int
) -> None:
    """Any number of windows, up to the fixed length, gives the same logits as without fixed sizes."""
    ids = np.array([[2, 5, 3], [2, 4, 3], [2, 6, 3], [2, 5, 3]])
    inputs = ids, np.ones_like(ids), np.zeros_like(ids)
    expected = load_graph(summing_graph(), tmp_path).run(*inputs)
    graph = fix_shape(summing_graph(), batch, tokens)
    for value in graph.graph.input:
        value.type.tensor_type.elem_type = kind
    backend = load_graph(graph, tmp_path)

    for count in (1, 2, 3, 4):
        logits = backend.run(*(array[:count] for array in inputs))
        assert logits.tolist() == expected[:count].tolist()
    assert (backend.batch_size, backend.window_tokens) == (batch, tokens)


def test_windows_of_a_fixed_length_are_padded_with_the_pad_token(tmp_path: Path) -> None:
    onnx.save(fix_shape(summing_graph(), None, 8), tmp_path / "model.onnx")
    backend = OnnxBackend.load(tmp_path / "model.onnx", threads=1, pad_token_id=100)

    logits = backend.run(np.array([[2, 5, 3]]), np.ones((1, 3), int), np.zeros((1, 3), int))

    assert logits.tolist() == [[2 + 5 + 3 + 5 * 100, 3, 0]]


def test_a_graph_with_inputs_of_another_type_or_shape_is_rejected(tmp_path: Path) -> None:
    floats, flat = summing_graph(), summing_graph()
    for value in floats.graph.input:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    for value in flat.graph.input:
        value.type.tensor_type.shape.dim.add().dim_value = 4

    for graph in (floats, flat):
        with pytest.raises(ModelError, match=r"must be int64 or int32 of shape \[batch, tokens\]"):
            load_graph(graph, tmp_path)


def test_a_graph_without_input_ids_is_rejected(graph: onnx.ModelProto, tmp_path: Path) -> None:
    graph.graph.input[0].name = "token_type_ids"
    for node in graph.graph.node:
        node.input[:] = ["token_type_ids" if name == "input_ids" else name for name in node.input]

    with pytest.raises(ModelError, match="has no input `input_ids`"):
        load_graph(graph, tmp_path)


def test_a_graph_with_an_unknown_input_is_rejected(graph: onnx.ModelProto, tmp_path: Path) -> None:
    graph.graph.input[1].name = "pixel_values"

    with pytest.raises(ModelError, match=r"model\.onnx has unsupported inputs: pixel_values;"):
        load_graph(graph, tmp_path)


def test_a_graph_without_logits_is_rejected(graph: onnx.ModelProto, tmp_path: Path) -> None:
    assert graph.graph.output.pop(0).name == "logits"

    with pytest.raises(ModelError, match=r"model\.onnx has no output `logits`, only token_logits;"):
        load_graph(graph, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x00" * 1000])
def test_the_error_names_a_file_that_is_not_a_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)

    with pytest.raises(ModelError) as raised:
        load(tmp_path / "model.onnx")

    assert str(tmp_path / "model.onnx") in str(raised.value)


def test_telemetry_is_off_before_onnxruntime_is_imported(tiny_model: Path) -> None:
    """Importing the classifier does not import onnxruntime."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}

    process = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SPY, tiny_model / "model.onnx"],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )

    assert process.stdout.split() == ["1", "1"]
