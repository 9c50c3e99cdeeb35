import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import write_model

from reviewbox.errors import ModelError
from reviewbox.model.bundle import Bundle

FILES = ("config.json", "model.onnx", "tokenizer.json")


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder of one's own."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def describe(folder: Path, **bundle: Any) -> None:
    (folder / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")


def configure(folder: Path, **changes: Any) -> None:
    """Change the folder's `config.json`; None takes a field out."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


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


def test_bundle_json_adds_what_an_export_does_not_know(folder: Path) -> None:
    digests = {name: sha256(folder / name) for name in FILES}
    describe(folder, sha256=digests, temperature=1.25, window_tokens=12)

    bundle = Bundle.read(folder)

    assert bundle.calibrated
    assert bundle.temperature == 1.25
    assert bundle.window_tokens == 12


def test_a_temperature_of_one_is_calibrated_too(folder: Path) -> None:
    describe(folder, temperature=1)

    assert Bundle.read(folder).calibrated


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()

    with pytest.raises(ModelError, match="is missing") as raised:
        Bundle.read(folder)

    assert str(folder / name) in str(raised.value)


def test_a_missing_folder_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        Bundle.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
def test_an_altered_file_is_named_with_both_digests(name: str, folder: Path) -> None:
    expected = sha256(folder / name)
    describe(folder, sha256={other: sha256(folder / other) for other in FILES})
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")

    with pytest.raises(ModelError, match="is not the file that") as raised:
        Bundle.read(folder)

    message = str(raised.value)
    assert str(folder / name) in message
    assert expected in message
    assert sha256(folder / name) in message


def test_labels_left_out_are_hugging_face_s_default(folder: Path) -> None:
    configure(folder, id2label=None)

    assert Bundle.read(folder).labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("id2label", "complaint"),
    [
        ({}, "no `id2label`"),
        ({"0": "score"}, "no `id2label`"),
        (["negative", "positive"], "no `id2label`"),
        ({"1": "bad", "2": "good"}, "not 0 to 1"),
        ({"0": "bad", "2": "good"}, "not 0 to 1"),
        ({"bad": 0, "good": 1}, "not 0 to 1"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(id2label: Any, complaint: str, folder: Path) -> None:
    configure(folder, id2label=id2label)

    with pytest.raises(ModelError, match=complaint) as raised:
        Bundle.read(folder)

    assert str(folder / "config.json") in str(raised.value)


def test_labels_follow_their_numbers_not_their_place(folder: Path) -> None:
    configure(
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
def test_a_window_is_as_long_as_the_model_has_positions(
    config: dict[str, Any], window_tokens: int, folder: Path
) -> None:
    """RoBERTa numbers them from the padding token's number + 1 on."""
    configure(folder, **config)

    assert Bundle.read(folder).window_tokens == window_tokens


@pytest.mark.parametrize("name", ["config.json", "bundle.json"])
@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[]", b'"text"'])
def test_what_is_no_json_object_is_named(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)

    with pytest.raises(ModelError, match=r"is not (a )?JSON") as raised:
        Bundle.read(folder)

    assert str(folder / name) in str(raised.value)


def test_equal_folders_have_equal_digests(folder: Path, tiny_model: Path) -> None:
    assert Bundle.read(folder).digest == Bundle.read(tiny_model).digest


def test_every_file_counts_in_the_digest(folder: Path) -> None:
    digests = [Bundle.read(folder).digest]

    for name in FILES:
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
        digests.append(Bundle.read(folder).digest)

    assert len(set(digests)) == 1 + len(FILES)


def test_what_decides_scores_counts_in_the_digest(folder: Path) -> None:
    digests = [Bundle.read(folder).digest]

    for values in ({"temperature": 1.0}, {"temperature": 1.5}, {"temperature": 1.5, "window_tokens": 12}):
        describe(folder, **values)
        digests.append(Bundle.read(folder).digest)

    assert len(set(digests)) == 4


def test_what_decides_no_score_does_not_count_in_the_digest(folder: Path) -> None:
    describe(folder, temperature=1.5)
    before = Bundle.read(folder).digest

    describe(
        folder, temperature=1.5, trained="2026-11", sha256={name: sha256(folder / name) for name in FILES}
    )

    assert Bundle.read(folder).digest == before


@pytest.mark.parametrize(
    ("bundle", "complaint"),
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"window_tokens": 2}, "window_tokens"),
        ({"window_tokens": 12.5}, "window_tokens"),
        ({"sha256": ["model.onnx"]}, "sha256"),
        ({"golden": {"text": "good"}}, "golden"),
        ({"golden": [{"text": "good", "label": "positive"}]}, "golden"),
        ({"golden": [{"text": "good", "label": "positive", "score": "high"}]}, "golden"),
    ],
)
def test_a_bundle_that_cannot_be_is_an_error(tmp_path: Path, bundle: dict[str, Any], complaint: str) -> None:
    folder = write_model(tmp_path)
    (folder / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")

    with pytest.raises(ModelError, match=f"`{complaint}` in .*bundle.json"):
        Bundle.read(folder)
