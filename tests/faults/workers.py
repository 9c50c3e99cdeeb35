"""Workers: invocations of the real handlers whose every request can fail, or be their last."""

import io
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody
from tests.faults.clients import Clock, client_error

_SECONDS_PER_REQUEST = 0.02
_SLOW_SECONDS = 25.0


class KilledError(BaseException):
    """The end of a process, which nothing may catch."""


class Fault(StrEnum):
    """What can happen to one request."""

    NONE = ""
    KILL_BEFORE = "the worker is killed before the request"
    KILL_AFTER = "the worker is killed after the request, before the answer"
    SLOW_DOWN = "AWS answers SlowDown"
    CONFLICT = "S3 answers that another conditional write is in progress"
    DENIED = "AWS answers AccessDenied"
    LOST = "the request is performed, but there is no answer"
    RETRIED = "the answer is lost, and botocore sends the request again"
    TRUNCATED = "half of the body is missing"
    REJECTED = "SQS rejects some messages, or EventBridge some events"
    SLOW = "the request takes long"


KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER)


_REFUSALS = {
    Fault.SLOW_DOWN: ("SlowDown", 503),
    Fault.CONFLICT: ("ConditionalRequestConflict", 409),
    Fault.DENIED: ("AccessDenied", 403),
}


class Context:
    """The context of an invocation."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.now + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._end - self._clock.now))


class Worker:
    """One invocation in a thread of its own.

    Call by call, it stops before its requests until `go_on` lets it perform some, so that the driver controls
    the order of all requests of all workers. With `choose_fault`, it runs freely.
    """

    def __init__(self, name: str, clock: Clock, seconds: float, note: Callable[[str], None]) -> None:
        self.name = name
        self.context = Context(clock, seconds)
        # Pages of a listing after the first are not counted.
        self.s3_requests = self.messages_sent = self.faults = self.lost_races = 0
        self.is_dead = False
        self.is_done = False
        self.response: Any = None
        self.error: BaseException | None = None
        self.choose_fault: Callable[[], Fault] | None = None
        self._clock = clock
        self._note = note
        self._faults: deque[Fault] = deque()  # the faults of the next requests
        # Each is released by one thread and acquired by the other.
        self._may_go_on, self._has_stopped = threading.Lock(), threading.Lock()
        self._may_go_on.acquire()
        self._has_stopped.acquire()
        self._thread: threading.Thread | None = None

    def start(self, invoke: Callable[[], Any]) -> None:
        """Run the invocation up to its first request, or freely."""
        self._thread = threading.Thread(target=self._run, args=[invoke], name=self.name, daemon=True)
        self._thread.start()
        if self.choose_fault is None:
            self._has_stopped.acquire()

    def go_on(self, faults: Iterable[Fault]) -> None:
        """Have the worker perform a request for each of the faults, and run up to the request after them."""
        self._faults.extend(faults)
        self._may_go_on.release()
        self._has_stopped.acquire()

    @property
    def unused(self) -> int:
        """How many of the faults were for requests that it did not make."""
        return len(self._faults)

    def join(self) -> None:
        """Wait for the end of an invocation that runs freely."""
        assert self._thread
        self._thread.join()

    def gate(self, operation: str, params: dict[str, Any], perform: Callable[[], Any]) -> Any:
        """Perform one request of this worker."""
        if self.is_dead:
            raise KilledError
        if self.choose_fault:
            fault = self.choose_fault()
        else:
            if not self._faults:
                self._has_stopped.release()
                self._may_go_on.acquire()
            fault = self._faults.popleft()
        self._clock.now += _SECONDS_PER_REQUEST
        if self.context.get_remaining_time_in_millis() <= 0:
            fault = Fault.KILL_BEFORE
        if operation == "SendMessageBatch":
            self.messages_sent += len(params["Entries"])
        elif operation != "PutEvents" and "ContinuationToken" not in params:
            self.s3_requests += 1
        self.faults += bool(fault)
        place = params.get("Key") or params.get("Prefix") or "of a batch"
        request = f"{operation} {place}"
        self._note(f"{self.name}: {request}{f': {fault}' if fault else ''}")
        try:
            return self._perform(fault, operation, params, perform)
        except ClientError:
            self.lost_races += "IfMatch" in params or "IfNoneMatch" in params
            raise

    def _perform(
        self, fault: Fault, operation: str, params: dict[str, Any], perform: Callable[[], Any]
    ) -> Any:
        if fault is Fault.KILL_BEFORE:
            self.is_dead = True
            raise KilledError
        if fault is Fault.KILL_AFTER:
            self.is_dead = True
            with suppress(ClientError):
                perform()
            raise KilledError
        if fault in _REFUSALS and (fault is not Fault.CONFLICT or {"IfMatch", "IfNoneMatch"} & params.keys()):
            raise client_error(operation, *_REFUSALS[fault])
        if fault is Fault.LOST:
            with suppress(ClientError):
                perform()
            raise ReadTimeoutError(endpoint_url="https://s3")
        if fault is Fault.RETRIED:
            with suppress(ClientError):
                perform()
        if fault is Fault.SLOW:
            self._clock.now += _SLOW_SECONDS
        if fault is Fault.REJECTED and operation in _REJECT_SOME:
            return _REJECT_SOME[operation](params["Entries"], perform)
        answer = perform()
        if fault is Fault.TRUNCATED and operation == "GetObject":
            length = answer["ContentLength"]
            answer["Body"] = StreamingBody(io.BytesIO(answer["Body"].read()[: length // 2]), length)
        return answer

    def _run(self, invoke: Callable[[], Any]) -> None:
        try:
            self.response = invoke()
        except BaseException as error:  # noqa: BLE001 - the driver looks at it
            self.error = error
        self.is_done = True
        self._has_stopped.release()


def _reject_some(entries: list[Any], perform: Callable[[], Any]) -> Any:
    rejected = entries[::2]
    del entries[::2]
    answer = perform() if entries else {"Successful": []}
    return {**answer, "Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in rejected]}


def _reject_some_events(entries: list[Any], perform: Callable[[], Any]) -> Any:
    rejected = range(0, len(entries), 2)
    entries[:] = entries[1::2]
    accepted = iter(perform()["Entries"] if entries else [])
    count = len(rejected) + len(entries)
    results = [{"ErrorCode": "InternalFailure"} if n in rejected else next(accepted) for n in range(count)]
    return {"FailedEntryCount": len(rejected), "Entries": results}


_REJECT_SOME = {"SendMessageBatch": _reject_some, "PutEvents": _reject_some_events}
