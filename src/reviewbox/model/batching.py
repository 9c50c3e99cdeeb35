"""Windows -> logits, in batches of similar length that threads share. Knows no runtime."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from threading import Event, Lock
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reviewbox.model.windows import Window

# Large enough for efficient matrix products, small enough for the processor's cache. Batches of four times
# this size take longer per token (`make bench`).
_MAX_TOKENS_PER_BATCH = 512

# The fixed cost of a batch, in tokens. Of 16, 32 and 64, this value needed the least processor time
# for 200 reviews and their sentences.
_BATCH_OVERHEAD = 16

# Bounds the time until a thread gets its logits, and the memory of one round.
_MAX_WINDOWS_PER_ROUND = 1000

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class Backend(Protocol):
    """A loaded text classifier in some inference runtime."""

    @property
    def label_count(self) -> int | None:
        """The number of logits per window, or None if the runtime does not know it before a run."""

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids, /) -> Logits:
        """Return the logits of a batch, shape (B, L).

        The three inputs have the shape (B, T). A model that does not take one of them ignores it. Only one
        thread at a time calls this method.
        """


@dataclass(slots=True, eq=False)
class _Request:
    """The windows that one thread wants to have classified.

    Attributes:
        windows: the input.
        logits: the output: one array per window, in order, once `served` is set.
        served: whether a leader has filled `logits`.
        wake: set when the request has been served, or when its thread must lead the next round.
    """

    windows: Sequence[Window]
    logits: list[Logits] = field(default_factory=list)
    served: bool = False
    wake: Event = field(default_factory=Event)


class Batcher:
    """Runs a backend on windows, grouped into batches.

    Threads may share a batcher. Their requests form a queue. The thread whose request is first becomes the
    leader: it serves its own request and the ones after it in one round, then hands over to the next thread.
    The other threads wait.
    """

    def __init__(self, backend: Backend, *, pad_token_id: int) -> None:
        self.backend = backend
        self._pad_token_id = pad_token_id
        self._lock = Lock()  # guards the next two
        self._queue: list[_Request] = []
        self._has_leader = False

    def run(self, windows: Sequence[Window], before_run: Callable[[], None] = lambda: None) -> list[Logits]:
        """Return the logits of each window, shape (L,), in order.

        If this thread leads, `before_run` is called before each run of the backend. If it raises, this
        request fails, and the requests of other threads are served in a later round.
        """
        request = _Request(windows)
        with self._lock:
            self._queue.append(request)
            is_follower, self._has_leader = self._has_leader, True
        if is_follower:
            request.wake.wait()
        if not request.served:
            self._lead(request, before_run)
        return request.logits

    def _lead(self, own: _Request, before_run: Callable[[], None]) -> None:
        """Serve the first requests of the queue, of which `own` is the first, and wake the next leader."""
        with self._lock:
            requests = self._next_round()
            del self._queue[: len(requests)]
        try:
            self._serve(requests, before_run)
        except Exception:
            if len(requests) == 1:
                raise
            # Another request may be the cause. Serve only `own`; the others lead rounds of their own.
            self._serve([own], before_run)
        finally:
            # Wake the served threads first, so that none of them waits for the next round.
            for request in requests:
                if request.served:
                    request.wake.set()
            with self._lock:
                self._queue[:0] = [
                    request for request in requests if not request.served and request is not own
                ]
                self._has_leader = bool(self._queue)
                if self._queue:
                    self._queue[0].wake.set()

    def _next_round(self) -> list[_Request]:
        """Return the first requests of the queue: one, or several with `_MAX_WINDOWS_PER_ROUND` in total."""
        totals = list(accumulate(len(request.windows) for request in self._queue))
        return self._queue[: max(1, bisect_right(totals, _MAX_WINDOWS_PER_ROUND))]

    def _serve(self, requests: Sequence[_Request], before_run: Callable[[], None]) -> None:
        windows = [window for request in requests for window in request.windows]
        logits = iter(self._run_in_batches(windows, before_run))
        for request in requests:
            request.logits = list(islice(logits, len(request.windows)))
            request.served = True

    def _run_in_batches(self, windows: Sequence[Window], before_run: Callable[[], None]) -> list[Logits]:
        results: dict[int, Logits] = {}
        for indices in _batches([len(window.input_ids) for window in windows]):
            before_run()
            logits = self._run_batch([windows[index] for index in indices])
            results |= zip(indices, logits, strict=True)
        return [results[index] for index in range(len(windows))]

    def _run_batch(self, windows: Sequence[Window]) -> Logits:
        shape = (len(windows), max(len(window.input_ids) for window in windows))
        input_ids = np.full(shape, self._pad_token_id, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        token_type_ids = np.zeros(shape, dtype=np.int64)
        for row, window in enumerate(windows):
            length = len(window.input_ids)
            input_ids[row, :length] = window.input_ids
            attention_mask[row, :length] = 1
            token_type_ids[row, :length] = window.token_type_ids
        return self.backend.run(input_ids, attention_mask, token_type_ids)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group the indices of `lengths` into batches, longest first, at the lowest total cost.

    A batch is padded to its longest window. It has at most `_MAX_TOKENS_PER_BATCH` tokens, padding included,
    unless it is a single window that is longer.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    # One chunk at a time, so that `before_run` is called soon even if there are many windows.
    for first in range(0, len(order), _MAX_WINDOWS_PER_ROUND):
        chunk = order[first : first + _MAX_WINDOWS_PER_ROUND]
        for batch in _cheapest_batches([lengths[index] for index in chunk]):
            yield chunk[batch]


def _cheapest_batches(lengths: Sequence[int]) -> list[slice]:
    """Return the slices that split `lengths`, sorted in descending order, into batches at the lowest cost."""
    # costs[n] is the lowest cost of the first n windows; starts[n] is where the last of their batches starts.
    costs: list[float] = [0]
    starts = [0]
    for end in range(1, len(lengths) + 1):
        lowest, best_start = math.inf, end - 1
        for start in range(end - 1, -1, -1):
            tokens = (end - start) * lengths[start]
            if tokens > _MAX_TOKENS_PER_BATCH and start < end - 1:
                break  # an earlier start makes the batch larger still
            if (cost := costs[start] + tokens + _BATCH_OVERHEAD) <= lowest:
                lowest, best_start = cost, start
        costs.append(lowest)
        starts.append(best_start)
    batches: list[slice] = []
    end = len(lengths)
    while end:
        batches.append(slice(starts[end], end))
        end = starts[end]
    return batches[::-1]
