import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tiny import write_model

from reviewbox.errors import ModelError
from reviewbox.model import bundle as bundle_module
from reviewbox.model.bundle import Bundle, external_data_names
from reviewbox.model.classifier import Classifier

FILES = ("config.json", "model.onnx", "tokenizer.json")

FIND_SHIPPED_MODEL = """
from reviewbox.errors import ModelError
from reviewbox.model.bundle import shipped_model_dir

try:
    print(shipped_model_dir())
except ModelError as error:
    print("ModelError:", error)
"""


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def write_bundle_json(folder: Path, **bundle: Any) -> None:
    (folder / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")


def change_config(folder: Path, **changes: Any) -> None:
    """Change fields of the folder's `config.json`. None removes a field."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    remaining = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(remaining), encoding="utf-8")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_without_bundle_json_is_uncalibrated(folder: Path) -> None:
    bundle = Bundle.read(folder)

    assert not bundle.calibrated
    assert bundle.temperature == 1
    assert bundle.labels == ("negative", "positive")
    assert bundle.window_tokens == 16
    assert bundle.pad_token_id == 0
    assert bundle.model == folder / "model.onnx"
    assert bundle.tokenizer == folder / "tokenizer.json"


def test_bundle_json_sets_temperature_and_window_size(folder: Path) -> None:
    digests = {name: sha256(folder / name) for name in FILES}
    write_bundle_json(folder, sha256=digests, temperature=1.25, window_tokens=12)

    bundle = Bundle.read(folder)

    assert bundle.calibrated
    assert bundle.temperature == 1.25
    assert bundle.window_tokens == 12


def test_a_model_with_temperature_one_is_calibrated(folder: Path) -> None:
    write_bundle_json(folder, temperature=1)

    assert Bundle.read(folder).calibrated


@pytest.mark.parametrize("name", FILES)
def test_the_error_names_a_missing_file(name: str, folder: Path) -> None:
    (folder / name).unlink()

    with pytest.raises(ModelError, match="is missing") as raised:
        Bundle.read(folder)

    assert str(folder / name) in str(raised.value)


def test_a_missing_folder_is_reported_as_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        Bundle.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
def test_the_error_names_an_altered_file_and_both_digests(name: str, folder: Path) -> None:
    expected = sha256(folder / name)
    write_bundle_json(folder, sha256={other: sha256(folder / other) for other in FILES})
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")

    with pytest.raises(ModelError, match="has changed") as raised:
        Bundle.read(folder)

    message = str(raised.value)
    assert str(folder / name) in message
    assert expected in message
    assert sha256(folder / name) in message


def test_missing_labels_default_to_those_of_hugging_face(folder: Path) -> None:
    change_config(folder, id2label=None)

    assert Bundle.read(folder).labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("id2label", "message"),
    [
        ({}, "an object with at least two labels"),
        ({"0": "score"}, "an object with at least two labels"),
        (["negative", "positive"], "an object with at least two labels"),
        ({"1": "bad", "2": "good"}, "must be 0 to 1"),
        ({"0": "bad", "2": "good"}, "must be 0 to 1"),
        ({"bad": 0, "good": 1}, "must be 0 to 1"),
    ],
)
def test_invalid_labels_are_rejected(id2label: Any, message: str, folder: Path) -> None:
    change_config(folder, id2label=id2label)

    with pytest.raises(ModelError, match=message) as raised:
        Bundle.read(folder)

    assert str(folder / "config.json") in str(raised.value)


def test_labels_are_ordered_by_their_numbers(folder: Path) -> None:
    change_config(
        folder, id2label={"10": "k"} | {str(index): "abcdefghij"[index] for index in reversed(range(10))}
    )

    assert "".join(Bundle.read(folder).labels) == "abcdefghijk"


@pytest.mark.parametrize(
    ("config", "window_tokens"),
    [
        ({"max_position_embeddings": 128}, 128),
        ({"max_position_embeddings": None}, 512),
        ({"max_position_embeddings": 4096}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 130, "pad_token_id": 1}, 128),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 258, "pad_token_id": 1}, 256),
        ({"model_type": "bert", "max_position_embeddings": 130, "pad_token_id": 1}, 130),
        ({"model_type": None, "max_position_embeddings": 130}, 130),
    ],
)
def test_the_window_size_comes_from_the_positions_of_the_model(
    config: dict[str, Any], window_tokens: int, folder: Path
) -> None:
    """RoBERTa numbers positions from the padding token's id + 1."""
    change_config(folder, **config)

    assert Bundle.read(folder).window_tokens == window_tokens


@pytest.mark.parametrize("name", ["config.json", "bundle.json"])
@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[]", b'"text"'])
def test_the_error_names_a_file_that_is_not_a_json_object(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)

    with pytest.raises(ModelError, match=r"is not (valid JSON|a JSON object)") as raised:
        Bundle.read(folder)

    assert str(folder / name) in str(raised.value)


def test_equal_folders_have_equal_digests(folder: Path, tiny_model: Path) -> None:
    assert Bundle.read(folder).digest == Bundle.read(tiny_model).digest


def test_every_file_is_part_of_the_digest(folder: Path) -> None:
    digests = [Bundle.read(folder).digest]

    for name in FILES:
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
        digests.append(Bundle.read(folder).digest)

    assert len(set(digests)) == 1 + len(FILES)


def test_temperature_and_window_size_are_part_of_the_digest(folder: Path) -> None:
    digests = [Bundle.read(folder).digest]

    for values in ({"temperature": 1.0}, {"temperature": 1.5}, {"temperature": 1.5, "window_tokens": 12}):
        write_bundle_json(folder, **values)
        digests.append(Bundle.read(folder).digest)

    assert len(set(digests)) == 4


def test_fields_that_do_not_affect_scores_are_not_part_of_the_digest(folder: Path) -> None:
    write_bundle_json(folder, temperature=1.5)
    before = Bundle.read(folder).digest

    write_bundle_json(
        folder, temperature=1.5, trained="2026-11", sha256={name: sha256(folder / name) for name in FILES}
    )

    assert Bundle.read(folder).digest == before


@pytest.mark.parametrize(
    ("bundle", "field"),
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": 5e-324}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"window_tokens": 2}, "window_tokens"),
        ({"window_tokens": 12.5}, "window_tokens"),
        ({"window_tokens": 10**30}, "window_tokens"),
        ({"temperature": True}, "temperature"),
        ({"sha256": ["model.onnx"]}, "sha256"),
        ({"golden": {"text": "good"}}, "golden"),
        ({"golden": [{"text": "good", "label": "positive"}]}, "golden"),
        ({"golden": [{"text": "good", "label": "positive", "score": "high"}]}, "golden"),
    ],
)
def test_the_error_names_an_invalid_field_of_bundle_json(
    bundle: dict[str, Any], field: str, tmp_path: Path
) -> None:
    folder = write_model(tmp_path)
    (folder / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")

    with pytest.raises(ModelError, match=f"`{field}` in .*bundle.json"):
        Bundle.read(folder)


@pytest.mark.parametrize("name", [*FILES, "bundle.json"])
def test_a_folder_in_place_of_a_file_is_rejected(name: str, folder: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()

    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        Bundle.read(folder)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with a copy of the code in `src/reviewbox`, and without a model."""
    package = Path(bundle_module.__file__).parents[1]
    shutil.copytree(package, tmp_path / "src" / "reviewbox", ignore=shutil.ignore_patterns("_model"))
    return tmp_path


def find_shipped_model(clone: Path) -> str:
    """Return the output of `FIND_SHIPPED_MODEL`, run with the code in `clone`."""
    process = subprocess.run(  # noqa: S603
        [sys.executable, "-c", FIND_SHIPPED_MODEL],
        env=os.environ | {"PYTHONPATH": str(clone / "src")},
        capture_output=True,
        check=True,
        text=True,
    )
    return process.stdout.strip()


def test_a_clone_ships_the_model_at_its_top_level(clone: Path) -> None:
    write_model(clone / "model")

    assert find_shipped_model(clone) == str(clone / "model")


def test_a_package_ships_the_model_beside_its_code(clone: Path) -> None:
    """The packaged model takes precedence over an unrelated folder `model`."""
    write_model(clone / "src" / "reviewbox" / "_model")
    write_model(clone / "model")

    assert find_shipped_model(clone) == str(clone / "src" / "reviewbox" / "_model")


def test_the_error_for_a_missing_shipped_model_names_both_folders(clone: Path) -> None:
    (clone / "model").mkdir()

    message = find_shipped_model(clone)

    assert message.startswith("ModelError: no model was found in ")
    assert str(clone / "src" / "reviewbox" / "_model") in message
    assert str(clone / "model") in message
    assert "pass the path of a model folder" in message


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 22903910\n"


@pytest.mark.parametrize("name", FILES)
def test_a_pointer_of_git_lfs_is_rejected(name: str, folder: Path) -> None:
    (folder / name).write_bytes(LFS_POINTER)

    with pytest.raises(ModelError, match="run `git lfs pull`") as raised:
        Bundle.read(folder)

    assert str(folder / name) in str(raised.value)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"max_position_embeddings": "many"}, "max_position_embeddings"),
        ({"max_position_embeddings": [512]}, "max_position_embeddings"),
        ({"max_position_embeddings": 512.5}, "max_position_embeddings"),
        ({"max_position_embeddings": -1}, "max_position_embeddings"),
        ({"max_position_embeddings": True}, "max_position_embeddings"),
        ({"max_position_embeddings": 2}, "max_position_embeddings"),
        ({"pad_token_id": "[PAD]"}, "pad_token_id"),
        ({"pad_token_id": -1}, "pad_token_id"),
        ({"pad_token_id": {"id": 0}, "model_type": "roberta"}, "pad_token_id"),
        ({"id2label": {"0": 1, "1": 2}}, "id2label"),
        ({"id2label": {"0": ["bad"], "1": "good"}}, "id2label"),
        ({"id2label": {"0": " ", "1": "good"}}, "id2label"),
        ({"id2label": {"0": "good", "1": "bad", "2": "good"}}, "id2label"),
        ({"problem_type": "multi_label_classification"}, "problem_type"),
        ({"problem_type": "regression"}, "problem_type"),
        ({"problem_type": 1}, "problem_type"),
    ],
)
def test_the_error_names_an_invalid_field_of_config_json(
    config: dict[str, Any], field: str, folder: Path
) -> None:
    change_config(folder, **config)

    with pytest.raises(ModelError, match=f"`{field}` in .*config.json"):
        Bundle.read(folder)


@pytest.mark.parametrize("problem_type", [None, "single_label_classification"])
def test_a_model_that_gives_one_label_is_accepted(problem_type: str | None, folder: Path) -> None:
    change_config(folder, problem_type=problem_type)

    assert Bundle.read(folder).labels == ("negative", "positive")


@pytest.mark.parametrize("name", ["config.json", "bundle.json"])
def test_json_that_is_nested_too_deep_is_rejected(name: str, folder: Path) -> None:
    (folder / name).write_text("[" * 100_000, encoding="utf-8")

    with pytest.raises(ModelError, match="is not valid JSON"):
        Bundle.read(folder)


def with_external_data(folder: Path, location: str = "model.onnx_data") -> Path:
    """Move the weights of a model into a file beside it."""
    graph = onnx.load(folder / "model.onnx")
    onnx.save(graph, folder / "model.onnx", save_as_external_data=True, location=location, size_threshold=0)
    return folder


@pytest.mark.parametrize("location", ["model.onnx_data", "model.onnx.data", "weights.bin", "w" * 200])
def test_weights_in_other_files_are_part_of_the_digest(location: str, folder: Path) -> None:
    inline = Bundle.read(folder).digest
    before = Bundle.read(with_external_data(folder, location)).digest

    data = bytearray((folder / location).read_bytes())
    data[-1] ^= 1
    (folder / location).write_bytes(data)

    assert len({inline, before, Bundle.read(folder).digest}) == 3


def test_weights_that_are_missing_or_not_pulled_are_reported(folder: Path) -> None:
    weights = with_external_data(folder) / "model.onnx_data"

    weights.write_bytes(LFS_POINTER)
    with pytest.raises(ModelError, match=r"model\.onnx_data is a pointer of Git LFS"):
        Bundle.read(folder)
    weights.unlink()
    with pytest.raises(ModelError, match=r"model\.onnx_data is missing"):
        Bundle.read(folder)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("../model.onnx_data", "not in its folder"),
        ("/etc/passwd", "not in its folder"),
        ("", "not in its folder"),
        ("folder", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_weights_that_are_no_file_of_the_folder_are_rejected(
    location: str, reason: str, folder: Path
) -> None:
    (folder / "folder").mkdir()
    graph = onnx.load(with_external_data(folder) / "model.onnx", load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    (folder / "model.onnx").write_bytes(graph.SerializeToString())

    with pytest.raises(ModelError, match=reason):
        Bundle.read(folder)


def test_external_weights_of_nested_graphs_and_constants_are_found(folder: Path) -> None:
    def external(name: str, location: str) -> onnx.TensorProto:
        tensor = onnx.TensorProto(name=name, data_type=1, dims=[1])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="length", value="4")
        return tensor

    graph = onnx.load(folder / "model.onnx")
    inner = onnx.helper.make_graph([], "inner", [], [], [external("a", "inner.bin")])
    constant = onnx.helper.make_node("Constant", [], ["c"], value=external("b", "constant.bin"))
    graph.graph.node.extend([constant, onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner)])
    (folder / "model.onnx").write_bytes(graph.SerializeToString())

    assert external_data_names(folder / "model.onnx") == ["constant.bin", "inner.bin"]


@given(data=st.binary(min_size=1), position=st.integers(0), byte=st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_graph_has_no_surprises(
    tiny_model: Path, tmp_path: Path, data: bytes, position: int, byte: int
) -> None:
    graph = bytearray((tiny_model / "model.onnx").read_bytes())
    graph[position % len(graph)] = byte
    for content in (data, bytes(graph), bytes(graph[: position % len(graph) + 1])):
        (tmp_path / "model.onnx").write_bytes(content)
        with suppress(ModelError):  # the bytes may happen to name a file outside the folder
            external_data_names(tmp_path / "model.onnx")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("01ab"), inner, max_size=3),
    max_leaves=6,
)
FIELDS = {
    "config.json": ["id2label", "problem_type", "max_position_embeddings", "pad_token_id", "model_type"],
    "bundle.json": ["sha256", "window_tokens", "temperature", "golden", "languages"],
}


def explanation(folder: Path) -> str:
    """Return why a model folder cannot be loaded, or its path if it can."""
    try:
        Classifier.load(folder)
    except ModelError as error:
        return str(error)
    return str(folder)


@pytest.mark.parametrize("name", FIELDS)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_in_a_model_folder_is_accepted_or_explained(
    name: str, folder: Path, data: st.DataObject
) -> None:
    """The error names the file."""
    changes = st.dictionaries(st.sampled_from(FIELDS[name]), JSON_VALUES, min_size=1)
    original = {"id2label": {"0": "negative", "1": "positive"}} if name == "config.json" else {}
    content = data.draw(changes.map(lambda changed: original | changed) | JSON_VALUES)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")

    assert str(folder) in explanation(folder)


def nodes(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in JSON."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in items:
        yield from nodes(child, (*path, key))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_in_a_tokenizer_is_accepted_or_explained(
    tiny_model: Path, folder: Path, data: st.DataObject
) -> None:
    """Some make the library panic, and only when it is used."""
    tree = json.loads((tiny_model / "tokenizer.json").read_text(encoding="utf-8"))
    *outer, last = data.draw(st.sampled_from([path for path in nodes(tree) if path]))
    parent = tree
    for key in outer:
        parent = parent[key]
    parent[last] = data.draw(JSON_VALUES)
    (folder / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")

    assert str(folder) in explanation(folder)


def test_a_tokenizer_that_panics_is_explained(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["post_processor"]["special_tokens"] = {}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")

    with pytest.raises(ModelError, match=r"tokenizer.json.*export both"):
        Classifier.load(folder)
