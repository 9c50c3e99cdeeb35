"""Processes several objects at a time until the invocation has to answer, and announces what is done."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from reviewbox.deadline import Deadline
from reviewbox.errors import EventBusError, NotStartedError, OutOfTimeError, contain
from reviewbox.event_bus import EventBus
from reviewbox.objects import ObjectRef, SegmentRef
from reviewbox.process_object import Outcome
from reviewbox.sending import in_batches

# A worker may take this long to notice that no time is left.
_MIN_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Finished:
    """An object or segment with its outcome, and the event that announces its result."""

    ref: ObjectRef | SegmentRef
    outcome: Outcome | Exception
    event: str = ""  # empty if there is nothing to announce


def run_batch(
    refs: Sequence[ObjectRef | SegmentRef],
    process: Callable[[ObjectRef | SegmentRef], Finished],
    threads: int,
    deadline: Deadline,
) -> Iterator[Finished]:
    """Process objects in threads. Yield each once it is done, and the unfinished ones when time runs out."""
    pool = ThreadPoolExecutor(threads)
    try:
        pending = {pool.submit(process, ref): ref for ref in refs}
        for future in as_completed(list(pending), max(_MIN_WAIT_SECONDS, deadline.seconds_until_answer())):
            yield _outcome_of(future, pending.pop(future))
    except TimeoutError:
        for future, ref in pending.items():
            # Some may have been done while the events of others were sent.
            yield _outcome_of(future, ref) if future.done() else Finished(ref, _time_is_over(future, ref))
    finally:
        # A worker that still waits for a response is left behind. All that it can write is conditional.
        pool.shutdown(wait=deadline.seconds_until_answer() > 0, cancel_futures=True)


def announce(finished: Iterable[Finished], event_bus: EventBus) -> Iterator[Finished]:
    """Send the events of finished objects, and yield the objects; those whose event failed, as failed."""
    for batch in in_batches(finished, lambda item: len(item.event)):
        announced = [item for item in batch if item.event]
        yield from (item for item in batch if not item.event)
        try:
            rejected = event_bus.send([item.event for item in announced]) if announced else {}
        except Exception as error:  # noqa: BLE001 - the objects then count as failed and are redelivered
            yield from (replace(item, outcome=error) for item in announced)
            continue
        for position, item in enumerate(announced):
            code = rejected.get(position)
            yield replace(item, outcome=EventBusError(item.ref, code)) if code else item


def _time_is_over(future: Future[Finished], ref: ObjectRef | SegmentRef) -> OutOfTimeError:
    if future.cancel():
        return NotStartedError(f"{ref} was not started before the invocation ran out of time")
    return OutOfTimeError(f"{ref} was not finished when the invocation ran out of time")


def _outcome_of(future: Future[Finished], ref: ObjectRef | SegmentRef) -> Finished:
    """Return the outcome of an object, or its error: one object's failure must not affect another."""
    try:
        return future.result()
    except BaseException as error:  # noqa: BLE001 - as above
        return Finished(ref, contain(error))
