"""The ONNX Runtime backend. The only module that imports `onnxruntime`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from reviewbox.errors import ModelError
from reviewbox.model.batching import Ids, Logits

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUT = "logits"


class OnnxBackend:
    """An ONNX graph of a text classifier, loaded to run on the CPU."""

    def __init__(self, session: "InferenceSession") -> None:
        self._session = session
        self._inputs = [graph_input.name for graph_input in session.get_inputs()]

    @classmethod
    def load(cls, path: Path, *, threads: int) -> Self:
        """Load a graph to run on `threads` threads.

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
        backend = cls(session)
        if unknown := sorted(set(backend._inputs) - set(_INPUTS)):
            raise ModelError(
                f"{path} has unsupported inputs: {', '.join(unknown)}; a text classifier takes only "
                f"{', '.join(_INPUTS)}"
            )
        outputs = [output.name for output in session.get_outputs()]
        if _OUTPUT not in outputs:
            raise ModelError(
                f"{path} has no output `{_OUTPUT}`, only {', '.join(outputs)}; "
                "export the model with `--task text-classification`"
            )
        return backend

    @property
    def label_count(self) -> int | None:
        """The number of logits per window, or None if the graph's shapes do not state it."""
        (shape,) = (output.shape for output in self._session.get_outputs() if output.name == _OUTPUT)
        # A dimension that is not fixed is a name or None.
        return shape[-1] if shape and isinstance(shape[-1], int) else None

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids) -> Logits:
        """Return the logits of a batch, shape (B, L); see `batching.Backend`."""
        values = dict(zip(_INPUTS, (input_ids, attention_mask, token_type_ids), strict=True))
        logits: Logits
        (logits,) = self._session.run([_OUTPUT], {name: values[name] for name in self._inputs})
        return logits
