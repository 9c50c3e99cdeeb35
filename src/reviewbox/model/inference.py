"""Windows -> logits. The only module that knows `onnxruntime`."""

import math
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from reviewbox.errors import ModelError
from reviewbox.model.windows import Window

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_LOGITS = "logits"

# Large enough to keep the matrix products efficient, small enough for the processor's cache (make bench):
# a run of four times as many takes longer for each token.
_TOKENS_PER_RUN = 512

# Of a run beside that of its tokens, in tokens. Chosen among 16, 32 and 64 on 200 made-up reviews and their
# sentences, by the processor's time.
_COST_OF_A_RUN = 16

_WINDOWS_TO_GROUP = 1000


Logits = npt.NDArray[np.float32]


@dataclass(slots=True, eq=False)
class _Job:
    """What one caller asks for, and what it gets.

    Attributes:
        windows: to run the graph on.
        logits: of each, once it has run.
        woken: set when they are there, or when it is this caller's turn to run the graph.
    """

    windows: Sequence[Window]
    logits: list[Logits] | None = None
    woken: Event = field(default_factory=Event)


class Inference:
    """An ONNX graph of a text classifier, ready to run on the CPU.

    Threads may share one. One of them runs the graph at a time, for all that wait for it.
    """

    def __init__(self, session: "InferenceSession", pad_token_id: int) -> None:
        self._session = session
        self._lock = Lock()  # held to look at these two
        self._running = False
        self._waiting: list[_Job] = []
        self._pad_token_id = pad_token_id
        self._inputs = [graph_input.name for graph_input in session.get_inputs()]
        available = [output.name for output in session.get_outputs()]
        unknown = set(self._inputs) - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown:
            raise ModelError(f"the model asks for inputs that no text has: {', '.join(sorted(unknown))}")
        if _LOGITS not in available:
            raise ModelError(f"the model has no output {_LOGITS!r}, but {', '.join(available)}")

    @property
    def label_count(self) -> int | None:
        """How many labels the graph gives a logit to, if its shape says so."""
        (shape,) = (output.shape for output in self._session.get_outputs() if output.name == _LOGITS)
        # A dimension that is not fixed has a name, or none.
        return shape[-1] if shape and isinstance(shape[-1], int) else None

    @classmethod
    def load(cls, path: Path, *, pad_token_id: int, threads: int) -> Self:
        """Load a graph to run on `threads` threads.

        Raises:
            ModelError: onnxruntime cannot load it, or its inputs or outputs are not known.
        """
        # Official builds report usage over the network unless told not to before the import;
        # the second name is the one that older releases know.
        os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads burn a CPU that Lambda bills and neighbours need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no public base
            raise ModelError(f"{path} cannot be loaded by onnxruntime: {error}") from None
        return cls(session, pad_token_id)

    def run(self, windows: Sequence[Window], before_run: Callable[[], None] = lambda: None) -> list[Logits]:
        """Return the logits of each window, shape (L,), in the order given.

        Windows of similar length share a run, so that little is spent on padding, whichever thread they
        come from. `before_run` is called before each run, and may raise to end it.
        """
        job = _Job(windows)
        with self._lock:
            self._waiting.append(job)
            waits, self._running = self._running, True
        if waits:
            job.woken.wait()
        if job.logits is None:
            self._run_for_all(job, before_run)
        if job.logits is None:
            raise AssertionError("a run gives every window its logits, or raises")
        return job.logits

    def _run_for_all(self, own: _Job, before_run: Callable[[], None]) -> None:
        """Give logits to the job that has waited longest, and to others that wait; have the next go on."""
        with self._lock:
            jobs = self._first()
            del self._waiting[: len(jobs)]
        try:
            self._run(jobs, before_run)
        except Exception:
            if len(jobs) == 1:
                raise
            # Whatever it is, it may be another's: each is to find out by itself.
            self._run([own], before_run)
        finally:
            # Those that have what they want first, so that none of them waits for the next run.
            for job in jobs:
                if job.logits is not None:
                    job.woken.set()
            with self._lock:
                self._waiting[:0] = [job for job in jobs if job.logits is None and job is not own]
                self._running = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].woken.set()

    def _first(self) -> list[_Job]:
        """Return those who have waited longest: not so many that none has its logits for a long time."""
        windows = list(accumulate(len(job.windows) for job in self._waiting))
        return self._waiting[: max(1, bisect_right(windows, _WINDOWS_TO_GROUP))]

    def _run(self, jobs: Sequence[_Job], before_run: Callable[[], None]) -> None:
        logits = iter(self._logits([window for job in jobs for window in job.windows], before_run))
        for job in jobs:
            job.logits = list(islice(logits, len(job.windows)))

    def _logits(self, windows: Sequence[Window], before_run: Callable[[], None]) -> list[Logits]:
        results: dict[int, Logits] = {}
        for rows in _batches([len(window.input_ids) for window in windows]):
            before_run()
            (logits,) = self._session.run([_LOGITS], self._feeds([windows[row] for row in rows]))
            results |= zip(rows, logits, strict=True)
        return [results[row] for row in range(len(windows))]

    def _feeds(self, windows: Sequence[Window]) -> dict[str, npt.NDArray[Any]]:
        shape = (len(windows), max(len(window.input_ids) for window in windows))
        feeds = {
            "input_ids": np.full(shape, self._pad_token_id, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, window in enumerate(windows):
            length = len(window.input_ids)
            feeds["input_ids"][row, :length] = window.input_ids
            feeds["attention_mask"][row, :length] = 1
            feeds["token_type_ids"][row, :length] = window.token_type_ids
        return {name: feeds[name] for name in self._inputs}


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group the indices of `lengths`, longest first; each group padded to its longest, all cost least.

    No group has more than `_TOKENS_PER_RUN`, padding included, but one window that is longer by itself.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    # Some at a time: whoever runs the groups looks at the clock between them.
    for first in range(0, len(order), _WINDOWS_TO_GROUP):
        some = order[first : first + _WINDOWS_TO_GROUP]
        for start, end in _cheapest_cuts([lengths[index] for index in some]):
            yield some[start:end]


def _cheapest_cuts(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Return where to cut windows, longest first, into groups: the start and the end of each."""
    # Of the first so many windows: what they cost at least, and where the last of their groups starts.
    costs: list[float] = [0]
    starts = [0]
    for end in range(1, len(lengths) + 1):
        least, best = math.inf, end - 1
        for start in range(end - 1, -1, -1):
            tokens = (end - start) * lengths[start]
            if tokens > _TOKENS_PER_RUN and start < end - 1:
                break  # what starts earlier has more windows, and longer ones
            if (cost := costs[start] + tokens + _COST_OF_A_RUN) <= least:
                least, best = cost, start
        costs.append(least)
        starts.append(best)
    cuts: list[tuple[int, int]] = []
    end = len(lengths)
    while end:
        cuts.append((starts[end], end))
        end = starts[end]
    return cuts[::-1]
