import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.tiny import SPECIAL, WORDS

from reviewbox.errors import ModelError
from reviewbox.model.inference import Inference
from reviewbox.model.windows import Window

TOLERANCE = 1e-6

# Prints what the environment holds at the moment that onnxruntime is first looked for.
SPY = """
import os, sys
from pathlib import Path

class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"), os.environ.get("ORT_TELEMETRY_DISABLED"))

import reviewbox.model.classifier
from reviewbox.model.inference import Inference
assert "onnxruntime" not in sys.modules
sys.meta_path.insert(0, Spy())
Inference.load(Path(sys.argv[1]), pad_token_id=0, threads=1)
"""


@pytest.fixture(scope="module")
def inference(tiny_model: Path) -> Inference:
    return load(tiny_model / "model.onnx")


@pytest.fixture(scope="module")
def attentive(tmp_path_factory: pytest.TempPathFactory) -> Inference:
    """A graph in which padding would be the loudest of words, if it were attended to."""
    path = tmp_path_factory.mktemp("attentive") / "model.onnx"
    write_attentive_graph(path)
    return load(path)


@pytest.fixture(scope="module")
def measuring(tmp_path_factory: pytest.TempPathFactory) -> Inference:
    path = tmp_path_factory.mktemp("measuring") / "model.onnx"
    write_measuring_graph(path)
    return load(path)


def load(path: Path, threads: int = 1) -> Inference:
    return Inference.load(path, pad_token_id=0, threads=threads)


def window(*ids: int) -> Window:
    """A window of those tokens between [CLS] and [SEP]."""
    input_ids = np.array([2, *ids, 3], dtype=np.int64)
    content = np.ones(len(input_ids), dtype=np.bool_)
    content[[0, -1]] = False
    zeros = np.zeros_like(input_ids)
    return Window(input_ids, token_type_ids=zeros, content=content)


def windows_of(lengths: Sequence[int]) -> list[Window]:
    """Windows of those lengths, each of other words than its neighbours."""
    return [
        window(*(len(SPECIAL) + (length * 5 + place + number) % len(WORDS) for place in range(length)))
        for number, length in enumerate(lengths)
    ]


def write_attentive_graph(path: Path) -> None:
    """Write a graph whose logits are the mean of all attended tokens' weights, special ones too."""
    weights = np.random.default_rng(0).normal(size=(len(SPECIAL) + len(WORDS), 2)).astype(np.float32)
    weights[0] = 1000
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["weights", "input_ids"], ["token_logits"]),
            helper.make_node("Cast", ["attention_mask"], ["attention"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["attention", "last"], ["column"]),
            helper.make_node("Mul", ["token_logits", "column"], ["attended"]),
            helper.make_node("ReduceSum", ["attended", "tokens"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["column", "tokens"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], ["logits"]),
        ],
        "attentive",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
            for name in ("attention_mask", "input_ids")
        ],
        [
            helper.make_tensor_value_info("token_logits", TensorProto.FLOAT, ["batch", "length", 2]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2]),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1]), "tokens"),
            numpy_helper.from_array(np.array([2]), "last"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def write_measuring_graph(path: Path) -> None:
    """Write a graph whose logits are how many windows the run holds, and how long it makes them."""
    graph = helper.make_graph(
        [
            helper.make_node("Shape", ["input_ids"], ["shape"]),
            helper.make_node("Cast", ["shape"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Shape", ["input_ids"], ["rows"], end=1),
            helper.make_node("Concat", ["rows", "labels"], ["expanded"], axis=0),
            helper.make_node("Expand", ["numbers", "expanded"], ["logits"]),
        ],
        "measuring",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(np.array([2]), "labels")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def assert_same(
    outputs: Sequence[npt.NDArray[np.float32]], expected: Sequence[npt.NDArray[np.float32]]
) -> None:
    assert len(outputs) == len(expected)
    for output, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, other, rtol=0, atol=TOLERANCE)


def test_each_window_has_its_logits(inference: Inference) -> None:
    ids = [len(SPECIAL) + list(WORDS).index(word) for word in ("good", "film", "bad", "great")]

    (output,) = inference.run([window(*ids)])

    assert output == pytest.approx([-0.75, 0.75])
    assert output.dtype == np.float32


def test_no_windows_have_no_logits(inference: Inference) -> None:
    assert inference.run([]) == []


@given(lengths=st.lists(st.integers(1, 30), max_size=12))
@settings(deadline=None, max_examples=50)
def test_outputs_keep_the_order_of_windows(lengths: list[int], attentive: Inference) -> None:
    windows = windows_of(lengths)

    outputs = attentive.run(windows)

    assert_same(outputs, [output for alone in windows for output in attentive.run([alone])])


@given(order=st.permutations(range(12)))
@settings(deadline=None, max_examples=50)
def test_a_window_has_its_logits_in_whatever_order(order: list[int], attentive: Inference) -> None:
    windows = windows_of([1, 30, 2, 2, 14, 9, 9, 9, 28, 5, 17, 3])
    expected = attentive.run(windows)

    outputs = attentive.run([windows[index] for index in order])

    assert_same(outputs, [expected[index] for index in order])


def test_more_windows_than_fit_into_a_run_are_all_answered(attentive: Inference) -> None:
    windows = windows_of([1 + index * 7 % 200 for index in range(300)])

    outputs = attentive.run(windows)

    assert_same(outputs, [output for alone in windows for output in attentive.run([alone])])


def test_a_run_is_bounded_however_many_windows_there_are(measuring: Inference) -> None:
    outputs = measuring.run(windows_of([1 + index * 7 % 200 for index in range(300)]))

    sizes = [rows * length for rows, length in outputs]
    assert 256 < max(sizes) <= 512


def test_sentences_are_not_padded_to_the_length_of_their_review(measuring: Inference) -> None:
    outputs = measuring.run(windows_of([10, 100, 10, 10, 10]))

    assert [list(output) for output in outputs] == [[4, 12], [1, 102], [4, 12], [4, 12], [4, 12]]


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=8))
@settings(deadline=None, max_examples=50)
def test_runs_are_those_that_cost_least(lengths: list[int], measuring: Inference) -> None:
    """Of all ways to cut the windows, in the order of their lengths, into runs."""
    windows = windows_of(lengths)
    order = sorted((len(window.input_ids) for window in windows), reverse=True)
    ways = (
        [order[start:end] for start, end in itertools.pairwise([0, *cuts, len(order)])]
        for count in range(len(order))
        for cuts in itertools.combinations(range(1, len(order)), count)
    )
    costs = [
        sum(len(run) * run[0] + 16 for run in way)
        for way in ways
        if all(len(run) * run[0] <= 512 for run in way)
    ]
    runs: list[None] = []

    outputs = measuring.run(windows, before_run=lambda: runs.append(None))

    assert sum(length for _, length in outputs) + 16 * len(runs) == min(costs)


def test_a_window_longer_than_a_run_is_answered(attentive: Inference) -> None:
    (output,) = attentive.run(windows_of([5000]))

    assert output.shape == (2,)


def test_padding_is_not_attended_to(attentive: Inference) -> None:
    short, long = windows_of([1, 25])

    outputs = attentive.run([short, long])

    assert abs(outputs[0]).max() < 10
    assert_same(outputs, [*attentive.run([short]), *attentive.run([long])])


def test_padding_is_what_the_model_calls_padding(tiny_model: Path) -> None:
    """The tiny graph goes by the padding's number alone."""
    good, great = (len(SPECIAL) + list(WORDS).index(word) for word in ("good", "great"))
    wrong = Inference.load(tiny_model / "model.onnx", pad_token_id=great, threads=1)

    (padded, _) = wrong.run([window(good), window(good, good)])

    assert padded[1] == pytest.approx(2.5)


def test_the_number_of_threads_does_not_matter(attentive: Inference, tmp_path: Path) -> None:
    windows = windows_of([1 + index * 7 % 90 for index in range(100)])
    write_attentive_graph(tmp_path / "model.onnx")

    outputs = load(tmp_path / "model.onnx", threads=2).run(windows)

    assert_same(outputs, attentive.run(windows))


def test_token_logits_are_not_needed(tiny_model: Path, tmp_path: Path) -> None:
    graph = onnx.load(tiny_model / "model.onnx")
    del graph.graph.output[1]
    onnx.save(graph, tmp_path / "model.onnx")

    (output,) = load(tmp_path / "model.onnx").run([window(4, 5)])

    assert output == pytest.approx([-2.5, 2.5])


def test_a_model_is_fed_only_what_it_asks_for(tiny_model: Path, tmp_path: Path) -> None:
    graph = onnx.load(tiny_model / "model.onnx")
    assert graph.graph.input.pop(1).name == "attention_mask"
    onnx.save(graph, tmp_path / "model.onnx")

    (output,) = load(tmp_path / "model.onnx").run([window(4, 5)])

    assert output == pytest.approx([-2.5, 2.5])


def test_a_model_that_asks_for_token_types_is_fed_them(tiny_model: Path, tmp_path: Path) -> None:
    graph = onnx.load(tiny_model / "model.onnx")
    graph.graph.input[1].name = "token_type_ids"
    onnx.save(graph, tmp_path / "model.onnx")

    (output,) = load(tmp_path / "model.onnx").run([window(4, 5)])

    assert output == pytest.approx([-2.5, 2.5])


def test_a_model_that_asks_for_what_no_text_has_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    graph = onnx.load(tiny_model / "model.onnx")
    graph.graph.input[1].name = "pixel_values"
    onnx.save(graph, tmp_path / "model.onnx")

    with pytest.raises(ModelError, match="pixel_values"):
        load(tmp_path / "model.onnx")


def test_a_model_without_logits_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    graph = onnx.load(tiny_model / "model.onnx")
    assert graph.graph.output.pop(0).name == "logits"
    onnx.save(graph, tmp_path / "model.onnx")

    with pytest.raises(ModelError, match="'logits', but token_logits"):
        load(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x00" * 1000])
def test_a_file_that_is_no_model_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)

    with pytest.raises(ModelError) as raised:
        load(tmp_path / "model.onnx")

    assert str(tmp_path / "model.onnx") in str(raised.value)


def test_telemetry_is_off_before_onnxruntime_is_imported(tiny_model: Path) -> None:
    """And importing the classifier imports no onnxruntime yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}

    process = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SPY, tiny_model / "model.onnx"],
        env=clean,
        capture_output=True,
        check=True,
        text=True,
    )

    assert process.stdout.split() == ["1", "1"]


class InstructedError(Exception):
    """Raised where a test says so."""


def test_threads_share_runs_and_each_gets_its_own(tiny_model: Path) -> None:
    """While one runs, the others gather; whoever comes next runs the graph for all of them."""
    shared = load(tiny_model / "model.onnx")
    asked = [windows_of([length]) for length in range(1, 9)]
    expected = [load(tiny_model / "model.onnx").run(windows) for windows in asked]
    started, may_go = threading.Event(), threading.Event()
    runs = []

    def wait() -> None:
        started.set()
        may_go.wait()

    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(shared.run, asked[0], wait)
        started.wait()
        others = [pool.submit(shared.run, windows, lambda: runs.append(1)) for windows in asked[1:]]
        while len(shared._waiting) < len(others):  # noqa: SLF001 - nothing else tells that they have come
            pass
        may_go.set()
        found = [first.result(), *(future.result() for future in others)]

    for logits, alone in zip(found, expected, strict=True):
        np.testing.assert_allclose(logits, alone, atol=TOLERANCE)
    assert len(runs) == 1


def test_who_has_its_logits_does_not_wait_for_the_next_run(tiny_model: Path) -> None:
    """One runs, two wait for it; while the one of them runs for both, a last comes, and runs after that."""
    shared = load(tiny_model / "model.onnx")
    first_runs, others_run, last_runs, first_may_go, others_may_go, last_may_go = (
        threading.Event() for _ in range(6)
    )

    def run(length: int, runs: threading.Event, may_go: threading.Event) -> int:
        def wait() -> None:
            runs.set()
            may_go.wait(60)

        return len(shared.run(windows_of([length]), wait))

    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(run, 1, first_runs, first_may_go)
        assert first_runs.wait(60)
        others = [pool.submit(run, length, others_run, others_may_go) for length in (2, 3)]
        come(shared, 2)
        first_may_go.set()
        assert others_run.wait(60)
        last = pool.submit(run, 4, last_runs, last_may_go)
        come(shared, 1)
        others_may_go.set()
        assert last_runs.wait(60)
        done = [future.result(60) for future in (first, *others)]
        last_ran_meanwhile = not last.done()
        last_may_go.set()

    assert done == [1, 1, 1]
    assert last_ran_meanwhile
    assert last.result() == 1


def test_so_many_windows_share_a_run_that_none_waits_for_long(tiny_model: Path) -> None:
    shared = load(tiny_model / "model.onnx")
    started, may_go = threading.Event(), threading.Event()
    ran: list[int] = []

    def wait() -> None:
        started.set()
        may_go.wait(60)

    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(shared.run, windows_of([1]), wait)
        assert started.wait(60)
        others = []
        for number, count in enumerate((400, 600, 500, 1500, 1)):
            others.append(pool.submit(shared.run, windows_of([1] * count), partial(ran.append, number)))
            come(shared, number + 1)
        may_go.set()

    assert len(first.result()) == 1
    assert [len(future.result()) for future in others] == [400, 600, 500, 1500, 1]
    assert set(ran) == {0, 2, 3, 4}


def come(shared: Inference, count: int) -> None:
    """Wait until so many wait for the one that runs."""
    until = time.monotonic() + 60
    while len(shared._waiting) < count:  # noqa: SLF001 - nothing else tells that they have come
        assert time.monotonic() < until


def test_what_one_thread_cannot_have_computed_fails_alone(tiny_model: Path) -> None:
    """Be it that its time is up, or that the graph breaks on its windows."""
    shared = load(tiny_model / "model.onnx")
    started, may_go = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        may_go.wait()

    def refuse() -> None:
        raise InstructedError

    asked = [
        (windows_of([3]), lambda: None),
        (windows_of([3]), refuse),
        ([window(10**6)], lambda: None),
        (windows_of([2, 5]), lambda: None),
    ]
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(shared.run, windows_of([1]), wait)
        started.wait()
        futures = []
        for number, (windows, before_run) in enumerate(asked, 1):
            futures.append(pool.submit(shared.run, windows, before_run))
            while len(shared._waiting) < number:  # noqa: SLF001 - so that they come in this order
                pass
        may_go.set()
        fine, refused, broken, last = futures
        assert len(first.result()) == len(fine.result()) == 1
        assert isinstance(refused.exception(), InstructedError)
        assert "Gather" in str(broken.exception())
        assert len(last.result()) == 2
