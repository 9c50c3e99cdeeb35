"""Attacks on a stack: random sequences, and one disturbance at each request of short scripts."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.checks import check, check_work
from tests.faults.choices import Choices
from tests.faults.policy import Policy
from tests.faults.stack import (
    COPIES,
    DAY_SECONDS,
    DEAD_LETTERS,
    FAILED_COPIES,
    MANY,
    MAX_BATCH,
    SEGMENTS,
    UPLOADS,
    VISIBILITY_SECONDS,
    BrokenPromiseError,
    Stack,
)
from tests.faults.uploads import BUCKET, KINDS, VARIANTS, Deployment, receipt_key, tables_prefix
from tests.faults.workers import Fault

_LONG_KEY = f"{'long/' * 200}.csv"  # its parts get shorter keys
# A name says what a file probably is; its content decides.
_KEYS = (
    "a.csv",
    "b.txt",
    "folder/c",
    "d.csv.gz",
    "e.json",
    "f.jsonl",
    "g.parquet",
    "a.csv.classified/part-00000.csv",  # as if it were a part of the first
    _LONG_KEY,
)
# What events may name besides uploads: it is not there, or is not to be classified.
_OTHER_KEYS = ("incoming/absent.csv", "incoming/.DS_Store", "results/incoming/a.csv.json", "elsewhere/a.csv")
_OPERATIONS = (
    "GetObject",
    "HeadObject",
    "PutObject",
    "DeleteObject",
    "ListObjectsV2",
    "SendMessageBatch",
    "PutEvents",
)
_FAULTS = tuple(fault for fault in Fault if fault)
_MAX_WORKERS = 4
_MIN_ACTIONS, _MORE_ACTIONS = 10, 60
_DAMAGED = (b"", b"{", b"[]", b"{}", b'{"parts": 1}')  # what others may write
_DAYS_UNTIL_LATER = 6  # long enough for everything under work/ to expire
_MAX_REQUESTS = 12  # requests of a worker before another may continue


class RandomAttack:
    """A random sequence of uploads, deletions, deployments, deliveries and faults, until everything rests."""

    def __init__(
        self, choices: Choices, deployments: Sequence[Deployment], policy: Policy, *, threads: bool
    ) -> None:
        self.choices = choices
        self._deployments = deployments
        self._fault_percent = choices.one_of([0, 3, 12])
        keys = _KEYS[: 1 + choices.below(len(_KEYS))] if choices.chance(50) else [choices.one_of(_KEYS)]
        self._keys = [f"incoming/{key}" for key in keys]
        self._is_over = False  # no more faults
        self._is_hostile = choices.chance(15)  # whether someone else changes results during the work
        self.stack = Stack(
            choices.one_of(deployments),
            policy,
            Policy.of_results() if choices.chance(50) else None,
            choices.chance(50),
            threads,
            results=choices.one_of([BUCKET, "verdicts"]),
            is_versioned=choices.chance(40),
            uses_kms=choices.chance(30),
            page_size=choices.one_of([1000, 3]),
        )
        self.stack.sqs.order = choices.shuffled
        self.stack.choose_fault = self._faults_of_a_thread
        self.stack.loses_deletion = lambda: not self._is_over and choices.chance(self._fault_percent)

    def run(self) -> None:
        """Attack.

        Raises:
            BrokenPromiseError: something that must hold does not.
        """
        self._upload()
        for _ in range(_MIN_ACTIONS + self.choices.below(_MORE_ACTIONS)):
            self._act()
            self.stack.collect()
        self._is_over = True
        self.stack.outage = ""
        self.stack.restore()
        self.stack.note("no more faults and uploads")
        _rest(self.stack, self._step, is_lost=self.choices.chance(50))
        self._damage()
        _rest_after_events(self.stack, self._step)

    def _act(self) -> None:
        stack, choices = self.stack, self.choices
        known = sorted(stack.history)
        actions: list[tuple[int, Callable[[], None]]] = [
            (3, self._upload),
            (1, lambda: stack.announce(choices.one_of(known))),
            # What someone else has damaged is recreated only if there is a source.
            (1, self._damage_one if self._is_hostile else lambda: stack.delete(choices.one_of(known))),
            (1, lambda: stack.announce(*choices.shuffled([*known, *_OTHER_KEYS]))),
            (1, stack.deliver_again),
            (1, lambda: stack.archive(choices.one_of(known))),
            (1, stack.restore),
            (1, lambda: stack.deploy(choices.one_of(self._deployments))),
            (1, self._toggle_outage),
            (1, lambda: stack.sweep(choices.one_of([0.0, _DAYS_UNTIL_LATER * DAY_SECONDS]))),
            (1, lambda: stack.wait(choices.one_of([20.0, 70.0, VISIBILITY_SECONDS, 2 * DAY_SECONDS]))),
        ]
        if stack.sqs.queues[DEAD_LETTERS].messages:
            actions.append((1, stack.redrive))
        if len(stack.running) < _MAX_WORKERS:
            actions += [
                (6, lambda: stack.deliver(UPLOADS, 1 + choices.below(MAX_BATCH))),
                (6, lambda: stack.deliver(SEGMENTS, 1)),
                (6, lambda: stack.deliver(COPIES, 1)),
                (1, lambda: stack.perform_task(choices.one_of(known))),
                (1, lambda: stack.invoke_directly(*choices.shuffled(known))),
            ]
        if stack.running:
            actions.insert(0, (12, self._step))
        number = choices.below(sum(weight for weight, _ in actions))
        for weight, action in actions:
            if number < weight:
                action()
                return
            number -= weight

    def _upload(self) -> None:
        key, kind = self.choices.one_of(self._keys), self.choices.one_of(list(KINDS))
        self.stack.upload(key, kind, self.choices.below(VARIANTS))

    def _toggle_outage(self) -> None:
        stack = self.stack
        stack.outage = "" if stack.outage else self.choices.one_of(_OPERATIONS)
        stack.note(f"AWS refuses every {stack.outage}" if stack.outage else "AWS refuses nothing any more")

    def _damage(self) -> None:
        """Delete or replace results of live objects, or let what is temporary expire."""
        stack = self.stack
        if self.choices.chance(50):
            stack.wait(_DAYS_UNTIL_LATER * DAY_SECONDS)
        if self.choices.chance(50):
            for _ in range(self.choices.below(4)):
                self._damage_one()

    def _damage_one(self) -> None:
        """Delete or replace one result of a live object, or one object of the work on it."""
        stack, choices = self.stack, self.choices
        sources = stack.s3.buckets[BUCKET].objects
        prefixes = {key: (receipt_key(key), tables_prefix(key)) for key in stack.history}
        live = tuple(start for key in prefixes if key in sources for start in prefixes[key])
        gone = tuple(start for key in prefixes if key not in sources for start in prefixes[key])
        keys = sorted(
            key
            for key in stack.s3.buckets[stack.results].objects
            if key.startswith(("work/", *live)) and not key.startswith(gone)
        )
        if keys:
            key = choices.one_of(keys)
            # Without the receipt, a sweep cannot find parts that have a digest instead of the source's key.
            bodies = _DAMAGED if key == receipt_key(f"incoming/{_LONG_KEY}") else (None, *_DAMAGED)
            stack.damage(key, choices.one_of(bodies))

    def _step(self) -> None:
        """Run a worker for some more requests, or to its end."""
        worker = self.choices.one_of(self.stack.running).worker
        if self.stack.threads:
            worker.join()
        elif self._is_over and len(self.stack.running) == 1:
            worker.go_on(MANY)
        else:
            requests = 1 + self.choices.below(_MAX_REQUESTS)
            worker.go_on([self._choose_fault(self.choices) for _ in range(requests)])

    def _choose_fault(self, choices: Choices) -> Fault:
        if self._is_over or not choices.chance(self._fault_percent):
            return Fault.NONE
        return choices.one_of(_FAULTS)

    def _faults_of_a_thread(self) -> Callable[[], Fault]:
        own, lock = Choices(self.choices.below(2**32)), threading.Lock()

        def choose() -> Fault:
            with lock:
                return self._choose_fault(own)

        return choose


def _rest(stack: Stack, step: Callable[[], None], *, is_lost: bool = False) -> None:
    """Bring everything to rest and check it, both before and after a sweep.

    Dead letters are redriven, or `is_lost`: they are deleted, and no message for their sources is left.
    """
    stack.settle(step)
    _check_unless_damaged(stack)
    if stack.keys_of_dead_letters() and is_lost:
        stack.lose()
    elif stack.keys_of_dead_letters():
        stack.redrive()
        stack.settle(step)
        _check_unless_damaged(stack)
    if stack.keys_of_dead_letters():
        raise BrokenPromiseError("a redrive succeeds", "there are dead letters again")
    if stack.sqs.queues[FAILED_COPIES].messages:
        stack.redrive_copies()
        stack.settle(step)
        _check_unless_damaged(stack)
    check_work(stack)
    _sweep(stack, step)
    _check_unless_damaged(stack, is_swept=True)
    check_work(stack)


def _sweep(stack: Stack, step: Callable[[], None]) -> None:
    """Run a sweep that removes what is old."""
    stack.wait(_DAYS_UNTIL_LATER * DAY_SECONDS)
    stack.sweep()
    stack.settle(step)


def _check_unless_damaged(stack: Stack, *, is_swept: bool = False) -> None:
    """Check the results, unless someone else has changed them."""
    if not stack.is_damaged:
        check(stack, stack.deployed, is_swept=is_swept)


def _rest_after_events(stack: Stack, step: Callable[[], None]) -> None:
    """Bring the result of each object up to date with an event, and check it."""
    for key in sorted(stack.history):
        stack.announce(key)
    stack.settle(step)
    _sweep(stack, step)
    check(stack, [stack.deployment], is_swept=True)
    check_work(stack)


class Interference(StrEnum):
    """What others may do between two requests of a worker."""

    RIVAL = "another worker handles a duplicate of the event"
    REVIEW = "a review replaces the source"
    REVIEW_FIRST = "a review replaces the source, and another worker handles it first"
    TABLE = "a large table replaces the source"
    TABLE_FIRST = "a large table replaces the source, and another worker handles it first"
    DELETED = "the source is deleted"
    DELETED_FIRST = "the source is deleted, and another worker handles a duplicate of the event"
    DEPLOYED = "another model is deployed, and another worker handles a duplicate of the event"
    SWEPT = "a sweep takes the work for abandoned"
    DELETED_AND_SWEPT = "the source is deleted, and a sweep takes the work for abandoned"


@dataclass(frozen=True, slots=True)
class Script:
    """Uploads to one key, each handled before the next; only the last is disturbed.

    Attributes:
        kinds: what is uploaded.
        has_company: whether another object is uploaded with the last one, so that both come in one batch.
            Then, results are also announced and copied into the catalog.
    """

    kinds: tuple[str, ...]
    has_company: bool = False

    def __str__(self) -> str:
        return f"{', then '.join(self.kinds)}{' in company' if self.has_company else ''}"


_SCRIPT_KINDS = ("review", "small csv", "large csv", "large gzip", "empty")
_SCRIPT_KEY, _COMPANY_KEY = "incoming/folder/c", "incoming/b.txt"
DISTURBANCES: tuple[Fault | Interference, ...] = (*_FAULTS, *Interference)
SCRIPTS = [
    Script((*before, kind), has_company=has_company)
    for kind in _SCRIPT_KINDS
    for before in ((), *((first,) for first in _SCRIPT_KINDS))
    for has_company in (False, True)
]


class ScriptedAttack:
    """A script with one disturbance at one of its requests."""

    def __init__(
        self,
        script: Script,
        disturbance: Fault | Interference,
        at: int,
        deployments: Sequence[Deployment],
        policy: Policy,
    ) -> None:
        copying = Policy.of_results() if script.has_company else None
        self.stack = Stack(deployments[0], policy, copying, script.has_company)
        self._script = script
        self._disturbance = disturbance
        self._deployments = deployments
        self.requests_before = at  # requests to go until the disturbance

    def run(self) -> None:
        """Attack.

        Raises:
            BrokenPromiseError: something that must hold does not.
        """
        *before, last = self._script.kinds
        for kind in before:
            self.stack.upload(_SCRIPT_KEY, kind, 0)
            self.stack.settle(self._finish_one)
        self.stack.upload(_SCRIPT_KEY, last, 1)
        if self._script.has_company:
            self.stack.upload(_COMPANY_KEY, "review", 0)
        _rest(self.stack, self._step)
        _rest_after_events(self.stack, self._finish_one)

    def _finish_one(self) -> None:
        self.stack.running[0].worker.go_on(MANY)

    def _step(self) -> None:
        worker = self.stack.running[0].worker
        if self.requests_before < 0:
            worker.go_on(MANY)
            return
        fault = self._disturbance if isinstance(self._disturbance, Fault) else Fault.NONE
        planned = [*[Fault.NONE] * self.requests_before, fault]
        worker.go_on(planned)
        self.requests_before -= len(planned) - worker.unused
        if self.requests_before < 0 and isinstance(self._disturbance, Interference):
            self._interfere(self._disturbance)

    def _interfere(self, interference: Interference) -> None:
        stack = self.stack
        stack.note(str(interference))
        match interference:
            case Interference.REVIEW | Interference.REVIEW_FIRST:
                stack.upload(_SCRIPT_KEY, "review", 2)
            case Interference.TABLE | Interference.TABLE_FIRST:
                stack.upload(_SCRIPT_KEY, "large csv", 2)
            case Interference.DELETED | Interference.DELETED_FIRST | Interference.DELETED_AND_SWEPT:
                stack.delete(_SCRIPT_KEY)
            case Interference.DEPLOYED:
                stack.deploy(self._deployments[1])
        if interference in (Interference.RIVAL, Interference.DELETED_FIRST, Interference.DEPLOYED):
            stack.announce(_SCRIPT_KEY)
        if interference in (Interference.SWEPT, Interference.DELETED_AND_SWEPT):
            stack.sweep(_DAYS_UNTIL_LATER * DAY_SECONDS)
        if interference not in (Interference.REVIEW, Interference.TABLE, Interference.DELETED):
            self._let_others_finish()

    def _let_others_finish(self) -> None:
        stack = self.stack
        disturbed = stack.running[0]
        while stack.has_visible() or len(stack.running) > 1:
            stack.deliver(SEGMENTS, 1)
            stack.deliver(UPLOADS)
            stack.deliver(COPIES, 1)
            for delivery in stack.running:
                if delivery is not disturbed:
                    delivery.worker.go_on(MANY)
            stack.collect()


def count_requests(script: Script, deployments: Sequence[Deployment], policy: Policy) -> int:
    """Return how many requests the last upload of a script takes."""
    attack = ScriptedAttack(script, Fault.NONE, len(MANY), deployments, policy)
    attack.run()
    return len(MANY) - attack.requests_before
