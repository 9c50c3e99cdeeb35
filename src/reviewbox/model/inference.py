"""The ONNX Runtime backend. The only module that imports `onnxruntime`."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from reviewbox.errors import ModelError
from reviewbox.model.batching import Ids, Logits

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUT = "logits"
# Only in our own models: the log-odds that the text is in a language that the model knows, shape (B, 1).
_LANGUAGE_OUTPUT = "language_logits"
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_DIMENSIONS = 2  # each input has windows, and tokens of a window


class OnnxBackend:
    """An ONNX graph of a text classifier, loaded to run on the CPU.

    Attributes:
        batch_size: the number of windows that the graph takes in a run; None if it takes any number.
        window_tokens: the length of a window that the graph takes; None if it takes any length.
        tells_language: whether a last logit says whether the text is in a language that the model knows.
    """

    def __init__(self, session: "InferenceSession", pad_token_id: int = 0) -> None:
        self._session = session
        outputs = {output.name for output in session.get_outputs()}
        self.tells_language = _LANGUAGE_OUTPUT in outputs
        self._types = {graph_input.name: graph_input.type for graph_input in session.get_inputs()}
        self._pad_token_id = pad_token_id
        # A dimension that is not fixed is a name or None.
        shapes = [graph_input.shape for graph_input in session.get_inputs()]
        self.batch_size = _fixed([shape[0] for shape in shapes if shape])
        self.window_tokens = _fixed([shape[-1] for shape in shapes if len(shape) == _DIMENSIONS])

    @classmethod
    def load(cls, path: Path, *, threads: int, pad_token_id: int = 0) -> Self:
        """Load a graph to run on `threads` threads. Windows of a fixed length are padded with `pad_token_id`.

        Raises:
            ModelError: onnxruntime cannot load the file, or the graph is not a text classifier.
        """
        # Official builds send usage data unless this is set before the import. Older releases use the
        # second name.
        os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads use processor time that Lambda bills and other processes need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no public base
            raise ModelError(f"{path} cannot be loaded by onnxruntime: {error}") from None
        _check_graph(path, session)
        return cls(session, pad_token_id)

    @property
    def label_count(self) -> int | None:
        """The number of labels, or None if the graph's shapes do not state it."""
        (shape,) = (output.shape for output in self._session.get_outputs() if output.name == _OUTPUT)
        # A dimension that is not fixed is a name or None.
        return shape[-1] if shape and isinstance(shape[-1], int) else None

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids) -> Logits:
        """Return the logits of a batch, shape (B, L) or (B, L + 1); see `batching.Backend`.

        A graph with fixed dimensions is run as often as needed, on padded windows.
        """
        arrays = [input_ids, attention_mask, token_type_ids]
        if self.window_tokens:
            padding = (self._pad_token_id, 0, 0)
            missing = self.window_tokens - input_ids.shape[1]
            arrays = [
                np.pad(array, ((0, 0), (0, missing)), constant_values=value)
                for array, value in zip(arrays, padding, strict=True)
            ]
        if not self.batch_size:
            return self._run(arrays)
        size, logits = self.batch_size, []
        for start in range(0, len(input_ids), size):
            batch = [array[start : start + size] for array in arrays]
            # The last windows are repeated to fill the batch.
            missing = size - len(batch[0])
            filled = [np.pad(array, ((0, missing), (0, 0)), mode="edge") for array in batch]
            logits.append(self._run(filled)[: size - missing])
        return np.concatenate(logits)

    def _run(self, arrays: Sequence[Ids]) -> Logits:
        values = dict(zip(_INPUTS, arrays, strict=True))
        feeds = {name: values[name].astype(_TYPES[type_], copy=False) for name, type_ in self._types.items()}
        names = [_OUTPUT, *[_LANGUAGE_OUTPUT] * self.tells_language]
        logits: list[Logits] = self._session.run(names, feeds)
        return logits[0] if len(logits) == 1 else np.concatenate(logits, axis=1)


def _fixed(dimensions: Iterable[int | str | None]) -> int | None:
    return next((dimension for dimension in dimensions if isinstance(dimension, int) and dimension > 0), None)


def _check_graph(path: Path, session: "InferenceSession") -> None:
    """Raise ModelError if a graph is not a text classifier."""
    inputs = {graph_input.name: graph_input for graph_input in session.get_inputs()}
    if unknown := sorted(set(inputs) - set(_INPUTS)):
        raise ModelError(
            f"{path} has unsupported inputs: {', '.join(unknown)}; a text classifier takes only "
            f"{', '.join(_INPUTS)}"
        )
    for name, graph_input in inputs.items():
        if graph_input.type not in _TYPES or len(graph_input.shape or ()) not in (0, _DIMENSIONS):
            raise ModelError(
                f"the input `{name}` of {path} is {graph_input.type} of shape {graph_input.shape}, but must "
                "be int64 or int32 of shape [batch, tokens]; export the model with "
                "`--task text-classification`"
            )
    if "input_ids" not in inputs:
        raise ModelError(f"{path} has no input `input_ids`; export a model that takes tokens")
    outputs = [output.name for output in session.get_outputs()]
    if _OUTPUT not in outputs:
        raise ModelError(
            f"{path} has no output `{_OUTPUT}`, only {', '.join(outputs)}; "
            "export the model with `--task text-classification`"
        )
