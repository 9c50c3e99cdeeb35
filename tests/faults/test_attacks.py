"""A short run of the attacks of `make faults`, and a check that they find what they look for."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.faults.__main__ import Runner, broken_promise
from tests.faults.attacks import DISTURBANCES, SCRIPTS, Interference, Script
from tests.faults.checks import check
from tests.faults.choices import shorten
from tests.faults.s3 import S3
from tests.faults.sqs import Sqs
from tests.faults.stack import (
    DAY_SECONDS,
    MANY,
    SEGMENTS,
    UPLOADS,
    VISIBILITY_SECONDS,
    BrokenPromiseError,
    Delivery,
    Stack,
    inline_pools,
)
from tests.faults.uploads import BUCKET, receipt_key
from tests.faults.workers import Fault

ROOT = Path(__file__).parents[2]
KEY = "incoming/a"
SEQUENCES = 12


def test_no_attack_breaks_a_promise() -> None:
    """Like the nightly `make faults`, but always the same attacks, with each kind of fault."""
    run = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-m", "tests.faults", "--sequences", str(SEQUENCES)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    summary = run.stdout.splitlines()[-1]
    assert summary.startswith(f"{3 * SEQUENCES} sequences")
    assert f"faults of {len(Fault) - 1} kinds" in summary  # one member of `Fault` means none


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("models"))


class CarelessS3(S3):
    """An S3 that ignores the conditions of writes."""

    def perform(self, operation: str, params: dict[str, Any]) -> Any:
        conditions = ("IfMatch", "IfNoneMatch") if operation == "PutObject" else ()
        kept = {name: value for name, value in params.items() if name not in conditions}
        return super().perform(operation, kept)


class KeepingS3(S3):
    """An S3 that does not delete what workers delete."""

    def perform(self, operation: str, params: dict[str, Any]) -> Any:
        return {} if operation == "DeleteObject" else super().perform(operation, params)


class LosingSqs(Sqs):
    """An SQS that loses the first segment."""

    def perform(self, operation: str, params: dict[str, Any]) -> Any:
        answer = super().perform(operation, params)
        for queue in self.queues.values():
            queue.messages = [m for m in queue.messages if '"index": 0' not in m.body]
        return answer


@pytest.mark.parametrize(
    ("script", "disturbance", "state", "promise"),
    [
        (
            ("small csv",),
            Interference.REVIEW_FIRST,
            CarelessS3,
            "the receipt is final and of the newest revision",
        ),
        (("large csv", "review"), Fault.SLOW, KeepingS3, "nothing else is left under results/"),
        (("large csv",), Fault.SLOW, LosingSqs, "every object has a receipt"),
    ],
)
def test_a_planted_fault_is_found(
    runner: Runner,
    script: tuple[str, ...],
    disturbance: Fault | Interference,
    state: type[S3 | Sqs],
    promise: str,
) -> None:
    found = set()
    for request in range(10):
        attack = runner.make(
            f"scripts:{SCRIPTS.index(Script(script))}:{DISTURBANCES.index(disturbance)}:{request}"
        )
        stack = attack.stack
        if issubclass(state, S3):
            stack.s3 = state(stack.clock, buckets=stack.s3.buckets)
        else:
            stack.sqs = state(stack.clock, queues=stack.sqs.queues)
        found.add(str(broken_promise(attack)).partition(":")[0])
        if promise in found:
            return

    pytest.fail(f"found only {found}")


def lose_events(stack: Stack) -> None:
    stack.events.details.clear()


def lose_rows(stack: Stack) -> None:
    objects = stack.s3.buckets[BUCKET].objects
    del objects[next(key for key in objects if key.startswith("catalog/results/uploaded="))]


def keep_rows_of_before(stack: Stack) -> None:
    objects = stack.s3.buckets[BUCKET].objects
    key = next(key for key in objects if key.startswith("catalog/results/uploaded="))
    objects[key.replace("uploaded=", "uploaded=1999-")] = objects[key]


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        (lose_events, "every result is announced"),
        (lose_rows, "the catalog has the rows of the newest results"),
        (keep_rows_of_before, "the catalog has the rows of the newest results"),
    ],
)
def test_what_is_missing_or_doubled_beside_a_result_is_found(
    runner: Runner, damage: Callable[[Stack], None], promise: str
) -> None:
    stack = runner.new_stack(has_followers=True)
    with inline_pools():
        stack.upload(KEY, "large csv", 0)
        stack.settle(finish(stack))
    check(stack, stack.deployed)

    damage(stack)

    with pytest.raises(BrokenPromiseError, match=promise):
        check(stack, stack.deployed)


def test_a_lost_answer_leaves_nothing_of_an_older_table(runner: Runner) -> None:
    """Botocore sends the request again, and S3 refuses it because the first one succeeded."""
    script = SCRIPTS.index(Script(("large csv", "large csv")))

    for request in range(40, 60):  # the last of which write the receipt
        attack = runner.make(f"scripts:{script}:{DISTURBANCES.index(Fault.RETRIED)}:{request}")
        assert broken_promise(attack) is None, attack.stack.log


@pytest.mark.parametrize("name", ["calls:7", "scripts:12:3:4"])
def test_an_attack_can_be_repeated(runner: Runner, name: str) -> None:
    attacks = [runner.make(name) for _ in range(2)]

    for attack in attacks:
        broken_promise(attack)

    first, second = attacks
    assert first.stack.log == second.stack.log
    assert len(first.stack.log) > 10


def test_a_failing_sequence_is_made_as_short_as_possible() -> None:
    def fails(tape: Sequence[int]) -> bool:
        return sum(number > 5 for number in tape) >= 2

    assert shorten([1, 9, 0, 3, 7, 7, 2], fails) == [7, 7]


@pytest.mark.parametrize("then", ["kept", "deleted"])
@pytest.mark.parametrize("kind", ["review", "small csv", "large csv", "large gzip"])
def test_a_sweep_removes_what_is_left_of_a_message_that_is_lost(runner: Runner, kind: str, then: str) -> None:
    """After some requests, all workers die. Nobody moves the dead letter back."""
    found = 0
    for before in ("", "review", "small csv", "large csv"):
        for requests in (*range(10), *range(10, 70, 6)):
            stack = after_deaths(runner, before, kind, requests).copy()
            with inline_pools():
                if then == "deleted":
                    stack.delete(KEY)
                stack.lose()
                stack.wait(6 * DAY_SECONDS)
                found += bool(leftovers(stack))
                stack.sweep()
                stack.settle(finish(stack))

            check(stack, stack.deployed, is_swept=True)
            assert not leftovers(stack), stack.log
            if not any(line.endswith(Fault.KILL_AFTER) for line in stack.log):
                break  # no worker makes more requests
    assert found


@cache
def after_deaths(runner: Runner, before: str, kind: str, requests: int) -> Stack:
    """Return a stack in which every worker on an upload has died after some requests."""
    stack = after_upload(runner, before).copy()
    with inline_pools():
        stack.upload(KEY, kind, 1)
        stack.settle(die_after(stack, requests))
    return stack


@cache
def after_upload(runner: Runner, kind: str) -> Stack:
    """Return a stack with the result of an upload, or without any upload."""
    stack = runner.new_stack()
    with inline_pools():
        if kind:
            stack.upload(KEY, kind, 0)
            stack.settle(finish(stack))
    return stack


@pytest.mark.parametrize("kind", ["review", "small csv", "large csv", "large gzip"])
def test_a_file_whose_workers_all_die_has_a_receipt_once_its_message_is_a_dead_letter(
    runner: Runner, kind: str
) -> None:
    """Its last attempt says so before anything else, with four requests. No other worker could say it."""
    died = 0
    for requests in range(4, 12):
        with inline_pools():
            stack = runner.new_stack()
            stack.upload(KEY, kind, 0)
            stack.settle(die_each_after(stack, requests))
        receipt = json.loads(stack.s3.buckets[BUCKET].objects[receipt_key(KEY)].body)
        if stack.keys_of_dead_letters():
            died += 1
            assert receipt["error"]["code"] == "not_processed"
            assert "was tried 5 times, and the last attempt did not end" in receipt["error"]["message"]

        with inline_pools():
            stack.redrive()
            stack.settle(finish(stack))
        check(stack, stack.deployed)
    assert died


@pytest.mark.parametrize("kind", ["review", "small csv", "large csv"])
def test_a_result_stays_until_a_worker_has_another_one(runner: Runner, kind: str) -> None:
    """Even if all workers on the new revision of the file die."""
    for requests in range(3):
        stack = after_upload(runner, kind).copy()
        before = stack.s3.buckets[BUCKET].objects[receipt_key(KEY)]
        with inline_pools():
            stack.upload(KEY, kind, 1)
            stack.settle(die_each_after(stack, requests))

        assert stack.keys_of_dead_letters() == {KEY}
        assert stack.s3.buckets[BUCKET].objects[receipt_key(KEY)] == before


@pytest.mark.parametrize(
    "what", [Interference.DELETED_AND_SWEPT, Interference.DELETED_FIRST], ids=lambda what: str(what.name)
)
def test_a_receipt_of_a_file_that_is_deleted_names_no_part_that_a_sweep_has_removed(
    runner: Runner, what: Interference
) -> None:
    """The stack notices a receipt without its parts after each request."""
    script, disturbance = SCRIPTS.index(Script(("small csv",))), DISTURBANCES.index(what)

    for request in range(10):
        attack = runner.make(f"scripts:{script}:{disturbance}:{request}")
        assert broken_promise(attack) is None, attack.stack.log


@pytest.mark.parametrize("then", ["stays", "is deleted again"])
def test_a_file_that_comes_back_during_a_sweep_keeps_no_part_of_its_table(runner: Runner, then: str) -> None:
    """Its worker died. When the message comes again, there is no file, and then there is one."""
    for requests in range(1, 8):
        with inline_pools():
            stack = runner.new_stack()
            stack.upload(KEY, "small csv", 0)
            stack.deliver(UPLOADS)
            stack.running[0].worker.go_on([*[Fault.NONE] * 4, Fault.KILL_BEFORE])  # it has written the part
            stack.collect()
            assert leftovers(stack)
            stack.delete(KEY)
            stack.wait(VISIBILITY_SECONDS + 1.0)
            stack.deliver(UPLOADS)
            stack.running[0].worker.go_on([Fault.NONE] * requests)
            stack.upload(KEY, "small csv", 1)
            if then == "is deleted again":
                stack.running[0].worker.go_on([Fault.NONE] * 2)
                stack.delete(KEY)
            stack.settle(finish(stack))

        check(stack, stack.deployed)
        assert not leftovers(stack), stack.log


def test_a_slow_worker_of_an_old_table_leaves_nothing(runner: Runner) -> None:
    """It writes a part while the last worker of another table is about to write the receipt."""
    for before in (6, 7, 8):  # one of the next requests writes the part
        for requests in range(10, 18):  # the last of them writes the receipt
            with inline_pools():
                stack = runner.new_stack()
                stack.upload(KEY, "large csv", 0)
                stack.deliver(UPLOADS)
                stack.running[0].worker.go_on(MANY)
                stack.collect()
                stack.deliver(SEGMENTS, 1)
                slow = stack.running[0]
                slow.worker.go_on([Fault.NONE] * before)
                stack.deliver_again()
                finish_others(stack, slow)
                stack.upload(KEY, "review", 1)
                finish_others(stack, slow)
                stack.upload(KEY, "large csv", 2)
                stack.deliver(UPLOADS)
                finish_running(stack, slow)
                segments = len(stack.sqs.queues[SEGMENTS].messages)
                for _ in range(segments - 1):
                    stack.deliver(SEGMENTS, 1)
                    finish_running(stack, slow)
                stack.deliver(SEGMENTS, 1)
                stack.running[-1].worker.go_on([Fault.NONE] * requests)
                slow.worker.go_on(MANY)
                stack.settle(finish(stack))

            check(stack, stack.deployed)


def finish_running(stack: Stack, slow: Delivery) -> None:
    """Run all workers but one to their ends."""
    for delivery in stack.running:
        if delivery is not slow:
            delivery.worker.go_on(MANY)
    stack.collect()


def finish_others(stack: Stack, slow: Delivery) -> None:
    """Deliver everything but the message of a worker that is not done."""
    while stack.has_visible():
        stack.deliver(SEGMENTS, 1)
        stack.deliver(UPLOADS)
        finish_running(stack, slow)


def finish(stack: Stack) -> Callable[[], None]:
    """Return a step that runs a worker to its end."""
    return lambda: stack.running[0].worker.go_on(MANY)


def die_after(stack: Stack, requests: int) -> Callable[[], None]:
    """Return a step that lets workers continue until they have made some requests; then each is killed."""
    remaining = requests

    def step() -> None:
        nonlocal remaining
        worker = stack.running[0].worker
        worker.go_on([*[Fault.NONE] * remaining, Fault.KILL_AFTER])
        remaining = max(0, worker.unused - 1)

    return step


def die_each_after(stack: Stack, requests: int) -> Callable[[], None]:
    """Return a step that kills each worker after it has made some requests."""
    return lambda: stack.running[0].worker.go_on([*[Fault.NONE] * requests, Fault.KILL_BEFORE])


def leftovers(stack: Stack) -> set[str]:
    """Return the keys of the parts that no receipt names."""
    objects = stack.s3.buckets[BUCKET].objects
    receipts = [json.loads(objects[key].body) for key in objects if key.endswith(".json")]
    named = {part["key"] for receipt in receipts for part in receipt.get("parts", [])}
    return {key for key in objects if key.startswith("results/") and ".classified/" in key} - named
