"""Invocations that end before they are done: Lambda's timeout, and a runtime that dies.

The emulator does not limit memory; but Lambda ends a function that has used up its memory as the
second of these ends: it kills the runtime.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from emulator import Function, emulated
from gate import Gate, gate_to_cloud
from results import keys, read, read_json, receipt_of
from samples import created, delivered, load

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import deliver

REVIEW = "incoming/hotels/seaview.txt"
TABLE = "incoming/shop/earphones.jsonl"
DONE = {"batchItemFailures": []}

# With less than 15 seconds left the function begins nothing; so it has 9 to come to where it is held.
TIMEOUT = 24
TOO_SHORT = 16

# The method and the key of the request in whose midst an invocation ends.
READING = ("GET", REVIEW)
WRITING = ("PUT", receipt_of(REVIEW))
WRITING_TABLE = ("PUT", f"results/{TABLE}.classified.jsonl")
WRITING_LAST = ("PUT", receipt_of(TABLE))


@pytest.fixture(scope="module")
def gate(cloud: Cloud) -> Iterator[Gate]:
    with gate_to_cloud() as gate:
        yield gate


@pytest.fixture(scope="module")
def held_up(cloud: Cloud, gate: Gate) -> Iterator[Function]:
    """The function, which reaches S3 through the gate."""
    environment = {**cloud.environment, "AWS_ENDPOINT_URL": gate.endpoint}
    with emulated(cloud.handler, environment, "interrupted.log", TIMEOUT) as function:
        yield function


def time_out(_: Function) -> str:
    return f"Task timed out after {TIMEOUT}.00 seconds"


def kill(function: Function) -> str:
    function.kill()
    return "Runtime exited with error: signal: killed"


@pytest.mark.parametrize(
    ("interrupt", "source", "request_"),
    [
        pytest.param(time_out, REVIEW, READING, id="timeout while it reads a review"),
        pytest.param(time_out, TABLE, WRITING_LAST, id="timeout between a table and its receipt"),
        pytest.param(kill, REVIEW, READING, id="crash while it reads a review"),
        pytest.param(kill, REVIEW, WRITING, id="crash while it writes a verdict"),
        pytest.param(kill, TABLE, WRITING_TABLE, id="crash while it writes a table"),
        pytest.param(kill, TABLE, WRITING_LAST, id="crash between a table and its receipt"),
    ],
)
def test_what_is_interrupted_leaves_no_receipt_and_the_next_invocation_makes_it_good(
    interrupt: Callable[[Function], str],
    source: str,
    request_: tuple[str, str],
    held_up: Function,
    gate: Gate,
    s3: Any,
) -> None:
    event = created(BUCKET, source)
    assert held_up.invoke(event) == DONE
    undisturbed = contents(s3)
    for key in undisturbed:
        s3.delete_object(Bucket=BUCKET, Key=key)

    with gate.holding(request_[0], BUCKET, request_[1]) as reached, ThreadPoolExecutor(1) as caller:
        reply = caller.submit(held_up.invoke, event)
        assert reached.wait(TIMEOUT)
        reason = interrupt(held_up)
        assert reason in str(reply.result())

    left = contents(s3)
    assert receipt_of(source) not in left
    assert left.items() <= undisturbed.items()  # what there is is whole
    assert held_up.invoke(event) == DONE
    assert contents(s3) == undisturbed


def test_the_queue_delivers_what_a_crash_interrupted_again(
    held_up: Function, gate: Gate, cloud: Cloud, s3: Any
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW, Body=b"We loved every minute of it.")

    def dies(event: Any, _: Any) -> Any:
        with gate.holding("PUT", BUCKET, receipt_of(REVIEW)) as reached, ThreadPoolExecutor(1) as caller:
            reply = caller.submit(held_up.invoke, event)
            assert reached.wait(TIMEOUT)
            held_up.kill()
            return reply.result()

    deliver(cloud, dies, seconds_to_retry=0)

    assert keys(s3, BUCKET) == []
    assert deliver(cloud, lambda event, _: held_up.invoke(event)) == 1
    assert read_json(s3, BUCKET, receipt_of(REVIEW))["sentiment"] == "positive"
    assert cloud.is_idle()


def test_a_table_that_takes_longer_than_the_function_has_goes_back_and_is_recorded_in_the_end(
    invoke: Callable[[Any], Any], cloud: Cloud, s3: Any
) -> None:
    """The function sees it coming, and ends by itself."""
    key, rows = "incoming/long.jsonl", 1500
    texts = (f"Chair number {number} arrived late, but is very comfortable." for number in range(rows))
    table = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    s3.put_object(Bucket=BUCKET, Key=key, Body=table.encode())
    first, last = (
        delivered(created(BUCKET, key), receives)
        for receives in (1, int(cloud.environment["REVIEWBOX_MAX_RECEIVES"]))
    )
    returned = {"batchItemFailures": [{"itemIdentifier": first["Records"][0]["messageId"]}]}

    with emulated(cloud.handler, cloud.environment, "out_of_time.log", TOO_SHORT) as hasty:
        assert hasty.invoke(load("s3_test_event")) == DONE  # a cold start would take the second that it has
        assert hasty.invoke(first) == returned
        assert keys(s3, BUCKET) == []

        assert hasty.invoke(last) == returned
        assert keys(s3, BUCKET) == [receipt_of(key)]
        error = read_json(s3, BUCKET, receipt_of(key))["error"]
        assert (error["code"], error["final"]) == ("out_of_time", False)

    assert invoke(first) == DONE
    assert read_json(s3, BUCKET, receipt_of(key))["counts"]["total"] == rows


def contents(s3: Any) -> dict[str, bytes]:
    """Return all results."""
    return {key: read(s3, BUCKET, key) for key in keys(s3, BUCKET)}
