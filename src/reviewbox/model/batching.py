"""Runs the model on windows, in batches of similar length that threads share. Imports no runtime."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
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
        """The number of labels, or None if the runtime does not know it before a run."""

    @property
    def tells_language(self) -> bool:
        """Whether a last logit says whether the text is in a language that the model knows."""

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids, /) -> Logits:
        """Return the logits of a batch, shape (B, L); (B, L + 1) if `tells_language`.

        The three inputs have the shape (B, T). A model that does not take one of them ignores it. Only one
        thread at a time calls this method.
        """


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """The windows that one thread wants classified."""

    windows: Sequence[Window]  # the input
    # Called before each run of the backend with the share of the round's tokens that is done, if this request
    # is the first one of the round.
    before_run: Callable[[float], object]
    # The output: one array per window, in order, or what `before_run` or the backend raised.
    logits: Future[list[Logits]] = field(default_factory=Future)


class Batcher:
    """Runs a backend on windows, grouped into batches, in a thread of its own.

    Threads may share a batcher. Requests that arrive during one round are served together in the next.
    """

    def __init__(self, backend: Backend, *, pad_token_id: int) -> None:
        self.backend = backend
        self._pad_token_id = pad_token_id
        self._queue: deque[_Request] = deque()  # only the executor's thread removes requests
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inference")

    def run(
        self, windows: Sequence[Window], before_run: Callable[[float], object] = lambda _: None
    ) -> list[Logits]:
        """Return the logits of each window, in order; see `Backend.run`.

        `before_run` may be called before a run of the backend, in the batcher's thread, with the share of the
        work that is done, from 0 to 1. If it raises, this request fails with that exception; the requests of
        other threads are still served.
        """
        request = _Request(windows, before_run)
        self._queue.append(request)
        self._executor.submit(self._serve_round)
        return request.logits.result()

    def _serve_round(self) -> None:
        """Serve the first requests of the queue: one, or several with `_MAX_WINDOWS_PER_ROUND` in total.

        There is a round for each request. If an earlier round has served them all, there is nothing to do.
        """
        requests: list[_Request] = []
        room = _MAX_WINDOWS_PER_ROUND
        while self._queue and (not requests or len(self._queue[0].windows) <= room):
            requests.append(self._queue.popleft())
            room -= len(requests[-1].windows)
        if requests:
            self._serve(requests)

    def _serve(self, requests: Sequence[_Request]) -> None:
        windows = [window for request in requests for window in request.windows]
        try:
            logits = iter(self._run_in_batches(windows, requests[0].before_run))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            if len(requests) == 1:
                requests[0].logits.set_exception(error)
                return
            # Any of the requests may be the cause, so each is served on its own.
            for request in requests:
                self._serve([request])
            return
        for request in requests:
            request.logits.set_result(list(islice(logits, len(request.windows))))

    def _run_in_batches(
        self, windows: Sequence[Window], before_run: Callable[[float], object]
    ) -> list[Logits]:
        results: dict[int, Logits] = {}
        lengths = [len(window.input_ids) for window in windows]
        done, total = 0, sum(lengths)
        for indices in _batches(lengths):
            before_run(done / total)
            logits = self._run_batch([windows[index] for index in indices])
            results |= zip(indices, logits, strict=True)
            done += sum(lengths[index] for index in indices)
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
