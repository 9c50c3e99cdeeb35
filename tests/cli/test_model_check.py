"""`reviewbox model check` on good and bad model folders."""

import json
import os
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper
from tests.tiny import write_model
from typer.testing import CliRunner

from reviewbox.cli import app
from reviewbox.model.bundle import sha256
from reviewbox.model.classifier import Classifier


def check(folder: Path, status: int = 0) -> dict[str, Any]:
    """Return the findings by what was checked."""
    result = CliRunner().invoke(app, ["model", "check", str(folder), "--json"])
    assert result.exit_code == status, result.output
    return {finding["check"]: finding for finding in json.loads(result.stdout)["findings"]}


def write_complete_model(folder: Path) -> Path:
    model = write_model(folder, languages=("en",))
    (verdict,) = Classifier.load(model).classify(["great film"])
    bundle = {
        "sha256": {name: sha256(model / name) for name in ("model.onnx", "tokenizer.json", "config.json")},
        "window_tokens": 16,
        "temperature": 1.0,
        "languages": ["en"],
        "golden": [{"text": "great film", "label": verdict.label, "score": verdict.score}],
    }
    (model / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")
    return model


def test_a_complete_model_passes_every_check(tmp_path: Path) -> None:
    found = check(write_complete_model(tmp_path / "model"))

    assert {finding["state"] for finding in found.values()} == {"ok"}
    assert list(found) == [
        *("kind", "loads", "labels", "languages", "speed", "invariance", "package", "memory", "bundle.json")
    ]
    assert found["labels"]["detail"] == "negative, positive"
    assert found["languages"]["detail"] == "en"
    assert "ms for 1,000 tokens" in found["speed"]["detail"]


def test_what_bundle_json_would_add_is_told(tiny_model: Path) -> None:
    found = check(tiny_model)

    bundle = found["bundle.json"]
    assert (bundle["state"], bundle["detail"]) == ("warning", "is missing")
    assert all(
        f"`{name}`" in bundle["remedy"]
        for name in ("sha256", "window_tokens", "temperature", "languages", "golden")
    )
    assert found["languages"]["state"] == "warning"


def test_labels_that_are_not_named_are_a_warning(tmp_path: Path) -> None:
    found = check(write_model(tmp_path / "model", labels=("LABEL_0", "LABEL_1")))

    assert (found["labels"]["state"], found["labels"]["detail"]) == ("warning", "LABEL_0, LABEL_1")


def test_scores_that_depend_on_the_other_reviews_of_a_batch_are_a_warning(tmp_path: Path) -> None:
    """As those of models with dynamically quantized activations do."""
    folder = write_model(tmp_path / "model")
    model = onnx.load(folder / "model.onnx")
    (divide,) = (node for node in model.graph.node if node.output[0] == "logits")
    divide.output[0] = "own_logits"
    axis = helper.make_tensor("batch_axis", onnx.TensorProto.INT64, [1], [0])
    model.graph.initializer.append(axis)
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["own_logits", "batch_axis"], ["largest"], keepdims=1),
            helper.make_node("Add", ["own_logits", "largest"], ["shifted"]),
            helper.make_node("Mul", ["shifted", "own_logits"], ["logits"]),
        ]
    )
    onnx.save(model, folder / "model.onnx")
    # Unknown words have no weight in the tiny model, and would all get the same score.
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    for old, new in {"great": "again", "awful": "broke", "good": "fine", "bad": "late"}.items():
        vocabulary[new] = vocabulary.pop(old)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")

    finding = check(folder)["invariance"]

    assert finding["state"] == "warning"
    assert "dynamic scales" in finding["remedy"]


def test_a_model_that_does_not_fit_into_lambda_is_a_failure(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    with (folder / "weights.bin").open("wb") as file:
        os.truncate(file.fileno(), 150_000_000)  # takes no space on the disk

    finding = check(folder, status=1)["package"]

    assert "150 MB of model and 144 MB of code, of 250 MB unzipped" in finding["detail"]
    assert "container image" in finding["remedy"]


def test_a_folder_that_cannot_be_loaded_says_why_and_what_it_can(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "model.onnx").write_bytes(b"not a model")

    found = check(folder, status=1)

    assert "cannot be loaded by onnxruntime" in found["loads"]["detail"]
    assert found["labels"]["detail"] == "negative, positive"


@pytest.mark.parametrize("config", ["", "[]", "{}"])
def test_an_empty_folder_is_a_failure(config: str, tmp_path: Path) -> None:
    if config:
        (tmp_path / "config.json").write_text(config, encoding="utf-8")

    found = check(tmp_path, status=1)

    assert found["kind"]["detail"].startswith("unknown")
    assert "model.onnx is missing" in found["loads"]["detail"]
