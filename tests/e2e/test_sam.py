"""The functions that `sam build` made, in containers of `sam local`, with the local cloud as S3 and SQS.

Unlike the emulator alone, a container limits the function's memory as Lambda does. `.ci/e2e_sam` builds the
functions, and names the image in which they run.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from containers import Sam
from emulator import Function
from gate import Gate, gate_to_cloud
from samples import batch_operation, content, created, load, objects_in
from stored_results import keys, read, read_json, receipt_of

# These tests of the emulated functions also hold in containers. pytest collects them here once more, with the
# fixtures of this module.
from test_artifact import (  # noqa: F401
    HANDLERS,
    ON_BATCH_OPERATION,
    test_a_key_from_eventbridge_is_not_decoded,
    test_an_event_delivered_twice_changes_nothing,
    test_each_object_of_a_batch_gets_its_result,
    test_every_sample_event_is_processed,
    test_only_the_invalid_message_of_a_batch_is_returned,
    test_parquet_is_decoded_and_a_page_that_ends_the_decoder_is_refused,
    test_the_log_holds_no_review_text,
    test_the_tasks_of_a_batch_operation_get_their_results,
    test_uploads_reach_the_function_through_the_queue,
)

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import deliver

REVIEW = "incoming/hotels/seaview.txt"
SUCCESS = {"batchItemFailures": []}

# The function starts no object with less than 15 seconds left, so it has 9 seconds to reach the held request.
TIMEOUT_SECONDS = 24

MINIMUM_MEGABYTES, PLENTY_OF_MEGABYTES = 512, 4096
MAX_OBJECT_BYTES = 64 * 2**20
# A value of 3 characters takes more than 64 bytes once it is parsed: 60 MB become more than 1 GB.
TOO_LARGE = '[{"text": "We loved every minute of it.", "places": [' + "{}," * 20_000_000 + "{}]}]"


@pytest.fixture(scope="module")
def gate(cloud: Cloud) -> Iterator[Gate]:
    with gate_to_cloud("0.0.0.0") as gate:  # noqa: S104 - containers connect from outside
        yield gate


@pytest.fixture(scope="module")
def sam(cloud: Cloud, gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    return Sam(os.environ["SAM_IMAGE"], cloud, gate, tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module")
def function(cloud: Cloud, sam: Sam) -> Iterator[Callable[[str], Function]]:
    """A factory of functions in containers by handler; each is started once and serves all tests."""
    names = {cloud.handler: "OnUpload", ON_BATCH_OPERATION: "OnBatchOperation"}
    with ExitStack() as running:

        @cache
        def start(handler: str) -> Function:
            return running.enter_context(sam.running(names[handler], log=f"{handler}.log"))

        yield start


def test_sam_local_invoke_runs_the_function_for_uploads(sam: Sam, s3: Any) -> None:
    assert sam.invoke_once("OnUpload", load("s3_put")) == SUCCESS

    assert read_json(s3, BUCKET, receipt_of(REVIEW))["sentiment"] == "positive"


def test_sam_local_invoke_runs_the_function_for_batch_operations(sam: Sam, s3: Any) -> None:
    response = sam.invoke_once("OnBatchOperation", batch_operation("2.0", BUCKET, REVIEW))

    assert [task["resultCode"] for task in response["results"]] == ["Succeeded"]
    assert read_json(s3, BUCKET, receipt_of(REVIEW))["sentiment"] == "positive"


def test_a_large_table_comes_back_in_parts(sam: Sam, cloud: Cloud, s3: Any) -> None:
    """The function sends the table's segments to the queue, and each gets an invocation of its own."""
    key, rows = "incoming/chairs.csv", 1000
    texts = (f"Chair number {number} arrived late, but it is the best that I own." for number in range(rows))
    table = "id,review,photo\n" + "".join(f'{id_},"{text}",{"x" * 100}\n' for id_, text in enumerate(texts))
    s3.put_object(Bucket=BUCKET, Key=key, Body=table.encode())

    with sam.running("OnUpload", "segments.log", SegmentBytes=65536) as function:
        while deliver(cloud, lambda event, _: function.invoke(event)):
            pass

    receipt = read_json(s3, BUCKET, receipt_of(key))
    assert len(receipt["parts"]) > 1
    assert receipt["counts"]["total"] == rows
    assert receipt["counts"]["failed"] == 0
    lines = [line for part in receipt["parts"] for line in read(s3, BUCKET, part["key"]).splitlines()]
    numbers = [int(line.split(b",")[0]) for line in lines if not line.startswith(b"id,")]
    assert numbers == list(range(rows))


def test_a_file_that_exceeds_the_memory_fails_alone_and_becomes_a_dead_letter_that_names_it(
    sam: Sam, cloud: Cloud, s3: Any
) -> None:
    """More memory is all that it needs: delivered again, the dead letter then gets its result."""
    large, small = "incoming/places.json", ["incoming/first.txt", "incoming/second.txt"]
    batches: list[list[str]] = []  # the objects of each invocation that was killed

    def invoke(event: Any, _: Any) -> Any:
        response = function.invoke(event)
        if response != SUCCESS:
            assert "signal: killed" in response["errorMessage"]
            batches.append([key for _, key in objects_in(event)])
        return response

    limits = {"MaxObjectBytes": MAX_OBJECT_BYTES}
    with sam.running("OnUpload", "memory.log", MemorySize=MINIMUM_MEGABYTES, **limits) as function:
        s3.put_object(Bucket=BUCKET, Key=large, Body=TOO_LARGE.encode())
        deliver(cloud, invoke, seconds_to_retry=0)
        assert batches == [[large]]
        # Its message is delivered again together with others, which must not be killed with it.
        for key in small:
            s3.put_object(Bucket=BUCKET, Key=key, Body=content(key))
        while deliver(cloud, invoke, seconds_to_retry=0):
            pass

    assert all(batch == [large] for batch in batches)
    assert len(batches) == 1 + int(cloud.environment["REVIEWBOX_MAX_RECEIVES"])
    assert set(keys(s3, BUCKET)) == {receipt_of(key) for key in (*small, large)}
    assert read_json(s3, BUCKET, receipt_of(large))["error"]["code"] == "not_processed"
    assert not cloud.remaining()
    (letter,) = cloud.sqs().receive_message(QueueUrl=cloud.dead_letter_queue_url)["Messages"]
    dead = json.loads(letter["Body"])
    assert list(objects_in(dead)) == [(BUCKET, large)]

    with sam.running("OnUpload", "more_memory.log", MemorySize=PLENTY_OF_MEGABYTES, **limits) as function:
        assert function.invoke(dead) == SUCCESS
    assert read_json(s3, BUCKET, receipt_of(large))["counts"]["total"] == 1


def test_a_request_without_an_answer_fails_before_the_timeout_and_the_next_invocation_completes_the_work(
    sam: Sam, gate: Gate, s3: Any
) -> None:
    event = created(BUCKET, REVIEW)

    with sam.running("OnUpload", "timeout.log", TimeoutSeconds=TIMEOUT_SECONDS) as function:
        # A cold start would use up the time that the function has for work.
        assert function.invoke(load("s3_test_event")) == SUCCESS
        with gate.holding("GET", BUCKET, REVIEW) as reached, ThreadPoolExecutor(1) as caller:
            response = caller.submit(function.invoke, event)
            assert reached.wait(TIMEOUT_SECONDS)
            assert "the invocation failed for s3://" in str(response.result())
            assert keys(s3, BUCKET) == []

        assert function.invoke(event) == SUCCESS
    assert read_json(s3, BUCKET, receipt_of(REVIEW))["sentiment"] == "positive"
