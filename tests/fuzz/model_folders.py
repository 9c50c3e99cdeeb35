"""Any model folder either works or is refused with a ModelError."""

import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.tiny import write_model

from reviewbox.errors import ModelError, Problem
from reviewbox.model.classifier import Classifier

# A case replaces one file of a working folder: its name in the first line, its content below.
_REPLACEABLE = ("config.json", "bundle.json", "tokenizer.json", "model.onnx")


def check_model_folder(case: bytes) -> None:
    """Load a model folder and classify with it."""
    name, _, content = case.partition(b"\n")
    file = name.decode("ascii", "replace")
    if file not in _REPLACEABLE:
        return
    with tempfile.TemporaryDirectory() as folder:
        for good, body in _good_folder().items():
            (Path(folder) / good).write_bytes(body)
        (Path(folder) / file).write_bytes(content)
        try:
            classifier = Classifier.load(folder)
        except ModelError:
            return
        verdicts = list(
            classifier.classify_each(["the good film", "awful . bad", "\U0001f600"], explain=True)
        )
    for verdict in verdicts:
        if isinstance(verdict, Problem):
            assert verdict.message
            continue
        assert verdict.label in verdict.scores
        assert abs(sum(verdict.scores.values()) - 1) < 1e-3
        json.dumps(verdict.score, allow_nan=False)


@cache
def _good_folder() -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        written = write_model(Path(folder))
        return {path.name: path.read_bytes() for path in written.iterdir()}
