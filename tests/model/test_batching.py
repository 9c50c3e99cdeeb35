import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny import SPECIAL, WORDS, RecordingBackend

from reviewbox.model.batching import Backend, Batcher, Ids, Logits
from reviewbox.model.windows import Window

PAD = 0
TOLERANCE = 1e-6
DEADLINE_SECONDS = 60

WEIGHTS = np.random.default_rng(0).normal(size=(len(SPECIAL) + len(WORDS), 2))
WEIGHTS[PAD] = 1000


class MeanBackend:
    """Its logits are the mean weight of the attended tokens. Attended padding would dominate them."""

    label_count = 2
    tells_language = False

    def run(self, input_ids: Ids, attention_mask: Ids, _token_type_ids: Ids) -> Logits:
        attention = attention_mask[..., np.newaxis]
        totals = (WEIGHTS[input_ids] * attention).sum(axis=1)
        logits: Logits = (totals / attention.sum(axis=1)).astype(np.float32)
        return logits


class SlowBackend(MeanBackend):
    """Takes a millisecond per run and lets other threads work during it, as an inference runtime does."""

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids) -> Logits:
        time.sleep(0.001)
        return super().run(input_ids, attention_mask, token_type_ids)


class GatedBackend(MeanBackend):
    """Starts each run only when the test permits it."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._permits = threading.Semaphore(0)

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids) -> Logits:
        self._arrived.release()
        assert self._permits.acquire(timeout=DEADLINE_SECONDS)
        return super().run(input_ids, attention_mask, token_type_ids)

    def wait_for_run(self) -> None:
        """Wait until a thread has called `run` for the next batch."""
        assert self._arrived.acquire(timeout=DEADLINE_SECONDS)

    def permit(self, runs: int = 1) -> None:
        self._permits.release(runs)


class InstructedError(Exception):
    """Raised by a test's `before_run`."""


def batcher_for(backend: Backend) -> Batcher:
    return Batcher(backend, pad_token_id=PAD)


def window(*ids: int) -> Window:
    """Return a window of these tokens between [CLS] and [SEP]."""
    input_ids = np.array([2, *ids, 3], dtype=np.int64)
    content = np.ones(len(input_ids), dtype=np.bool_)
    content[[0, -1]] = False
    return Window(input_ids, token_type_ids=np.zeros_like(input_ids), content=content)


def windows_of(lengths: Sequence[int]) -> list[Window]:
    """Return windows with these numbers of words. Windows of the same length have different words."""
    return [
        window(*(len(SPECIAL) + (length * 5 + position + number) % len(WORDS) for position in range(length)))
        for number, length in enumerate(lengths)
    ]


def run_one_by_one(windows: Sequence[Window]) -> list[Logits]:
    """Return the logits of each window from a run of its own, without padding."""
    return [logits for single in windows for logits in batcher_for(MeanBackend()).run([single])]


def start(
    threads: ThreadPoolExecutor,
    batcher: Batcher,
    windows: Sequence[Window],
    before_run: Callable[[float], object] = lambda _: None,
) -> Future[list[Logits]]:
    """Call `batcher.run` in another thread.

    When this function returns, the request is in the batcher's queue or will be a moment later. Nothing
    outside the batcher shows which, so the assertions of a test must hold either way.
    """
    calling = threading.Event()

    def call() -> list[Logits]:
        calling.set()
        return batcher.run(windows, before_run)

    future = threads.submit(call)
    assert calling.wait(DEADLINE_SECONDS)
    return future


def assert_same(
    outputs: Sequence[npt.NDArray[np.float32]], expected: Sequence[npt.NDArray[np.float32]]
) -> None:
    assert len(outputs) == len(expected)
    for output, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, other, rtol=0, atol=TOLERANCE)


def test_no_windows_have_no_logits_and_need_no_run() -> None:
    backend = RecordingBackend(MeanBackend())

    assert batcher_for(backend).run([]) == []
    assert not backend.batches


@given(lengths=st.lists(st.integers(1, 30), max_size=12))
def test_logits_have_the_order_of_the_windows(lengths: list[int]) -> None:
    windows = windows_of(lengths)

    outputs = batcher_for(MeanBackend()).run(windows)

    assert_same(outputs, run_one_by_one(windows))


@given(order=st.permutations(range(12)))
def test_the_logits_of_a_window_do_not_depend_on_the_order(order: list[int]) -> None:
    windows = windows_of([1, 30, 2, 2, 14, 9, 9, 9, 28, 5, 17, 3])
    expected = run_one_by_one(windows)

    outputs = batcher_for(MeanBackend()).run([windows[index] for index in order])

    assert_same(outputs, [expected[index] for index in order])


def test_windows_that_do_not_fit_into_one_batch_all_get_their_logits() -> None:
    windows = windows_of([1 + index * 7 % 200 for index in range(300)])

    outputs = batcher_for(MeanBackend()).run(windows)

    assert_same(outputs, run_one_by_one(windows))


def test_a_batch_is_bounded_for_any_number_of_windows() -> None:
    backend = RecordingBackend(MeanBackend())

    batcher_for(backend).run(windows_of([1 + index * 7 % 200 for index in range(300)]))

    assert 256 < max(batch.input_ids.size for batch in backend.batches) <= 512


def test_sentences_are_not_padded_to_the_length_of_their_review() -> None:
    backend = RecordingBackend(MeanBackend())

    batcher_for(backend).run(windows_of([10, 100, 10, 10, 10]))

    assert [batch.input_ids.shape for batch in backend.batches] == [(1, 102), (4, 12)]


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_batches_have_the_lowest_total_cost(lengths: list[int]) -> None:
    """The lowest of all ways to split the windows, sorted by length, into batches."""
    backend = RecordingBackend(MeanBackend())
    windows = windows_of(lengths)
    order = sorted((len(window.input_ids) for window in windows), reverse=True)
    splits = (
        [order[start:end] for start, end in itertools.pairwise([0, *boundaries, len(order)])]
        for count in range(len(order))
        for boundaries in itertools.combinations(range(1, len(order)), count)
    )
    costs = [
        sum(len(batch) * batch[0] + 16 for batch in split)
        for split in splits
        if all(len(batch) * batch[0] <= 512 for batch in split)
    ]

    batcher_for(backend).run(windows)

    assert sum(batch.input_ids.size + 16 for batch in backend.batches) == min(costs)


def test_a_window_longer_than_the_batch_limit_gets_a_batch_of_its_own() -> None:
    backend = RecordingBackend(MeanBackend())

    outputs = batcher_for(backend).run(windows_of([5000, 5000]))

    assert [output.shape for output in outputs] == [(2,), (2,)]
    assert [batch.input_ids.shape for batch in backend.batches] == [(1, 5002)] * 2


def test_padding_is_masked() -> None:
    short, long = windows_of([1, 25])

    outputs = batcher_for(MeanBackend()).run([short, long])

    assert abs(outputs[0]).max() < 10
    assert_same(outputs, run_one_by_one([short, long]))


def test_shorter_windows_are_padded_with_the_padding_token_of_the_model() -> None:
    backend = RecordingBackend(MeanBackend())
    short = Window(
        np.array([2, 5, 3]), token_type_ids=np.array([0, 1, 1]), content=np.array([False, True, False])
    )

    Batcher(backend, pad_token_id=7).run([short, window(5, 5)])

    (batch,) = backend.batches
    assert batch.input_ids.tolist() == [[2, 5, 5, 3], [2, 5, 3, 7]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0]]


def test_before_run_is_called_before_each_batch_and_can_stop_the_work() -> None:
    backend = RecordingBackend(MeanBackend())
    batches_at_call: list[int] = []
    shares: list[float] = []

    def before_run(share: float) -> None:
        batches_at_call.append(len(backend.batches))
        shares.append(share)
        if len(backend.batches) == 2:
            raise InstructedError

    with pytest.raises(InstructedError):
        batcher_for(backend).run(windows_of([400, 300, 200]), before_run)

    assert batches_at_call == [0, 1, 2]
    assert shares == pytest.approx([0, 4 / 9, 7 / 9], abs=0.01)  # of all tokens


def test_requests_that_arrive_during_a_run_share_the_next_run() -> None:
    """Eight threads call until one run has served all seven threads that waited for the previous run."""
    backend = RecordingBackend(SlowBackend())
    batcher = batcher_for(backend)
    until = time.monotonic() + DEADLINE_SECONDS

    def call_until_shared(word: int) -> None:
        expected = run_one_by_one([window(word)])
        while not any(len(batch.input_ids) >= 7 for batch in list(backend.batches)):
            assert time.monotonic() < until
            assert_same(batcher.run([window(word)]), expected)

    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(call_until_shared, len(SPECIAL) + word) for word in range(8)]:
            future.result()


def test_a_served_request_returns_while_the_next_run_is_still_in_progress() -> None:
    """The second run serves the requests that arrived during the first; the third run is still blocked."""
    gate = GatedBackend()
    backend = RecordingBackend(gate)
    batcher = batcher_for(backend)
    words = range(len(SPECIAL), len(SPECIAL) + 8)
    with ThreadPoolExecutor(8) as threads:
        futures = {words[0]: start(threads, batcher, [window(words[0])])}
        gate.wait_for_run()
        futures |= {word: start(threads, batcher, [window(word)]) for word in words[1:7]}
        gate.permit()
        gate.wait_for_run()
        futures[words[7]] = start(threads, batcher, [window(words[7])])
        gate.permit()
        gate.wait_for_run()

        served = [int(word) for batch in backend.batches[:2] for word in batch.input_ids[:, 1]]
        results = [futures[word].result(DEADLINE_SECONDS) for word in served]

        gate.permit(8)

    assert [len(logits) for logits in results] == [1] * len(served)
    assert all(future.result() for future in futures.values())


def test_a_round_has_a_bounded_number_of_windows() -> None:
    """So that no thread waits long for its own logits."""
    counts = (400, 600, 500, 1500, 1)
    gate = GatedBackend()
    backend = RecordingBackend(gate)
    batcher = batcher_for(backend)
    firsts: list[int] = []

    def note(number: int, _share: float) -> None:
        firsts.append(number)

    with ThreadPoolExecutor(6) as threads:
        blocking = start(threads, batcher, windows_of([1]))
        gate.wait_for_run()
        others = [
            start(threads, batcher, windows_of([1] * count), partial(note, number))
            for number, count in enumerate(counts)
        ]
        gate.permit(1000)

    assert len(blocking.result()) == 1
    assert [len(future.result()) for future in others] == list(counts)
    windows_by_round: Counter[int] = Counter()
    for first, batch in zip(firsts, backend.batches[1:], strict=True):
        windows_by_round[first] += len(batch.input_ids)
    assert windows_by_round.total() == sum(counts)
    assert all(windows <= max(1000, counts[first]) for first, windows in windows_by_round.items())


@pytest.mark.parametrize("order", [*itertools.permutations(["valid", "stopped", "broken", "also valid"])])
def test_a_request_that_fails_does_not_affect_others(order: Sequence[str]) -> None:
    """One request is stopped by its `before_run`; another has a token that makes the backend fail."""

    def stop(_share: float) -> None:
        raise InstructedError

    requests = {
        "valid": (windows_of([3]), lambda _: None),
        "stopped": (windows_of([3]), stop),
        "broken": ([window(10**6)], lambda _: None),
        "also valid": (windows_of([2, 5]), lambda _: None),
    }
    gate = GatedBackend()
    batcher = batcher_for(gate)
    with ThreadPoolExecutor(5) as threads:
        first = start(threads, batcher, windows_of([1]))
        gate.wait_for_run()
        futures = {name: start(threads, batcher, *requests[name]) for name in order}
        gate.permit(100)

    assert_same(first.result(), run_one_by_one(windows_of([1])))
    assert_same(futures["valid"].result(), run_one_by_one(windows_of([3])))
    assert_same(futures["also valid"].result(), run_one_by_one(windows_of([2, 5])))
    # Another thread may serve this request, and then its `before_run` is not called.
    assert isinstance(futures["stopped"].exception(), InstructedError | None)
    assert isinstance(futures["broken"].exception(), IndexError)
