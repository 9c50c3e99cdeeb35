"""Interrupted invocations: those that run out of time, and a runtime that crashes.

The emulator does not limit memory. But when a function runs out of memory, Lambda kills the runtime, and so
do these tests.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from emulator import Function, emulated
from gate import Gate, gate_to_cloud
from samples import created, delivered, load
from stored_results import keys, read, read_json, receipt_of

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import deliver

REVIEW = "incoming/hotels/seaview.txt"
TABLE = "incoming/shop/earphones.jsonl"
SUCCESS = {"batchItemFailures": []}

# The function starts no object with less than 15 seconds left, so it has 9 seconds to reach the held request.
# It answers 5 seconds before the end.
TIMEOUT_SECONDS = 24
SHORT_TIMEOUT_SECONDS = 16

# The method and key of the request during which an invocation ends.
READING = ("GET", REVIEW)
WRITING = ("PUT", receipt_of(REVIEW))
WRITING_TABLE = ("PUT", f"results/{TABLE}.classified/")  # followed by the id of the table
WRITING_TABLE_RECEIPT = ("PUT", receipt_of(TABLE))


@pytest.fixture(scope="module")
def gate(cloud: Cloud) -> Iterator[Gate]:
    with gate_to_cloud() as gate:
        yield gate


@pytest.fixture(scope="module")
def gated_function(cloud: Cloud, gate: Gate) -> Iterator[Function]:
    """The function for uploads; its S3 endpoint is the gate."""
    environment = {**cloud.environment, "AWS_ENDPOINT_URL": gate.endpoint}
    with emulated(cloud.handler, environment, "interrupted.log", TIMEOUT_SECONDS) as function:
        yield function


def wait(_: Function) -> str:
    return "the invocation failed for s3://"


def kill(function: Function) -> str:
    function.kill()
    return "Runtime exited with error: signal: killed"


@pytest.mark.parametrize(
    ("interrupt", "source", "request_"),
    [
        pytest.param(wait, REVIEW, READING, id="out of time while it reads a review"),
        pytest.param(wait, TABLE, WRITING_TABLE_RECEIPT, id="out of time between a table and its receipt"),
        pytest.param(kill, REVIEW, READING, id="crash while it reads a review"),
        pytest.param(kill, REVIEW, WRITING, id="crash while it writes a verdict"),
        pytest.param(kill, TABLE, WRITING_TABLE, id="crash while it writes a table"),
        pytest.param(kill, TABLE, WRITING_TABLE_RECEIPT, id="crash between a table and its receipt"),
    ],
)
def test_an_interrupted_invocation_leaves_no_receipt_and_the_next_one_completes_the_work(
    interrupt: Callable[[Function], str],
    source: str,
    request_: tuple[str, str],
    gated_function: Function,
    gate: Gate,
    s3: Any,
) -> None:
    event = created(BUCKET, source)
    assert gated_function.invoke(event) == SUCCESS
    undisturbed = contents(s3)
    for key in undisturbed:
        s3.delete_object(Bucket=BUCKET, Key=key)

    # A table has the same key again, because it depends on the source, the model and the settings.
    (key,) = {key for key in (source, *undisturbed) if key.startswith(request_[1])}
    with gate.holding(request_[0], BUCKET, key) as reached, ThreadPoolExecutor(1) as caller:
        response = caller.submit(gated_function.invoke, event)
        assert reached.wait(TIMEOUT_SECONDS)
        reason = interrupt(gated_function)
        assert reason in str(response.result())
        remaining = contents(s3)

    assert receipt_of(source) not in remaining
    assert remaining.items() <= undisturbed.items()  # each result is complete
    assert gated_function.invoke(event) == SUCCESS
    assert contents(s3) == undisturbed


def test_the_queue_redelivers_the_message_of_a_crashed_invocation(
    gated_function: Function, gate: Gate, cloud: Cloud, s3: Any
) -> None:
    s3.put_object(Bucket=BUCKET, Key=REVIEW, Body=b"We loved every minute of it.")

    def crash(event: Any, _: Any) -> Any:
        with gate.holding("PUT", BUCKET, receipt_of(REVIEW)) as reached, ThreadPoolExecutor(1) as caller:
            response = caller.submit(gated_function.invoke, event)
            assert reached.wait(TIMEOUT_SECONDS)
            gated_function.kill()
            return response.result()

    deliver(cloud, crash, seconds_to_retry=0)

    assert keys(s3, BUCKET) == []
    assert deliver(cloud, lambda event, _: gated_function.invoke(event)) == 1
    assert read_json(s3, BUCKET, receipt_of(REVIEW))["sentiment"] == "positive"
    assert not cloud.remaining()


def test_a_table_that_takes_too_long_is_returned_to_the_queue_and_gets_an_error_at_the_last_attempt(
    invoke: Callable[[Any], Any], cloud: Cloud, s3: Any
) -> None:
    """The function notices that its time is running out, and returns before the timeout."""
    key, rows = "incoming/long.jsonl", 1500
    texts = (f"Chair number {number} arrived late, but is very comfortable." for number in range(rows))
    table = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    s3.put_object(Bucket=BUCKET, Key=key, Body=table.encode())
    first, last = (
        delivered(created(BUCKET, key), receives)
        for receives in (1, int(cloud.environment["REVIEWBOX_MAX_RECEIVES"]))
    )
    failure = {"batchItemFailures": [{"itemIdentifier": first["Records"][0]["messageId"]}]}

    with emulated(cloud.handler, cloud.environment, "out_of_time.log", SHORT_TIMEOUT_SECONDS) as short_lived:
        # A cold start would use up the only second that the function has for work.
        assert short_lived.invoke(load("s3_test_event")) == SUCCESS
        assert short_lived.invoke(first) == failure
        assert keys(s3, BUCKET) == []

        assert short_lived.invoke(last) == failure
        assert keys(s3, BUCKET) == [receipt_of(key)]
        error = read_json(s3, BUCKET, receipt_of(key))["error"]
        assert (error["code"], error["final"]) == ("out_of_time", False)

    assert invoke(first) == SUCCESS
    assert read_json(s3, BUCKET, receipt_of(key))["counts"]["total"] == rows


def contents(s3: Any) -> dict[str, bytes]:
    """Return the contents of all results, by key."""
    return {key: read(s3, BUCKET, key) for key in keys(s3, BUCKET)}
