import gzip
import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from tests.large_table import Requests, count_requests

from reviewbox.deadline import RESERVED_SECONDS
from reviewbox.documents import ReadOptions
from reviewbox.model.classifier import Classifier
from reviewbox.stack import prices
from reviewbox.stack.cost import (
    Estimate,
    Function,
    Workload,
    comprehend_dollars,
    comprehend_units,
    estimate,
    split_work,
)

MEGABYTE = ReadOptions(max_bytes=1_000_000, segment_bytes=1_000_000)
FUNCTION = Function()


def dollars(estimated: Estimate) -> float:
    return sum(item.dollars for item in estimated.items)


def large_table(size: int, options: ReadOptions = MEGABYTE) -> Workload:
    """A table with this decompressed size, all of which is text."""
    return Workload(objects=1, tables=1, work=size) + split_work(size, options)


def quantities(estimated: Estimate) -> dict[str, int]:
    """The quantities on a bill that are plain numbers."""
    bill = {item.name: item.quantity.replace(",", "") for item in estimated.items}
    return {name: int(quantity) for name, quantity in bill.items() if quantity.isdigit()}


def test_a_million_reviews_cost_a_few_dollars_through_the_queue() -> None:
    """Each has 1,300 characters: with 1,769 MB, 48 ms of computing with evidence."""
    reviews = Workload(objects=1_000_000, size=1_300_000_000, work=2_600_000_000)

    estimated = estimate(reviews, FUNCTION, as_job=False)

    assert {item.name: round(item.dollars, 2) for item in estimated.items} == {
        "Lambda, computing": 1.38,
        "Lambda, requests": 0.00,
        "S3, writing results": 5.00,
        "S3, reading": 1.60,
        "SQS, requests": 1.20,
    }
    assert dollars(estimated) == pytest.approx(9.18, abs=0.01)
    assert estimated.seconds == pytest.approx(4_800, abs=1)


def test_objects_of_a_batch_wait_together_and_objects_of_a_job_alone() -> None:
    """An object of a job waits for 100 ms. In a batch, a hundred objects wait at the same time."""
    reviews = Workload(objects=160_000)

    assert estimate(reviews, FUNCTION, as_job=False).seconds == 0
    assert estimate(reviews, FUNCTION, as_job=True).seconds == pytest.approx(1600)


def test_a_job_costs_a_quarter_dollar_and_a_dollar_per_million_objects_and_no_messages() -> None:
    estimated = estimate(Workload(objects=2_000_000), FUNCTION, as_job=True)

    bill = {item.name: item.dollars for item in estimated.items}
    assert bill["S3 Batch Operations"] == pytest.approx(2.25)
    assert bill["S3 Batch Operations, listing"] == pytest.approx(0.03)
    assert "SQS, requests" not in bill


def test_the_largest_object_is_not_divided() -> None:
    one = Workload(objects=1, size=1_000_000, work=1_000_000)

    assert estimate(one, FUNCTION, as_job=False).seconds == pytest.approx(18.46, abs=0.01)


def test_a_large_table_is_split_by_one_function_and_classified_by_all() -> None:
    estimates = [
        estimate(large_table(1_300_000_000), Function(max_concurrency=number), as_job=False)
        for number in (10, 1000, 5000)
    ]

    splitting, segment = 1300 / 10, 1000 * prices.CPU_SECONDS_PER_KILOBYTE
    assert [each.seconds for each in estimates] == [
        pytest.approx(splitting + 130 * segment),
        pytest.approx(splitting + 1.3 * segment),
        pytest.approx(splitting + segment),  # a segment is not divided any further
    ]


def test_large_tables_are_split_at_the_same_time() -> None:
    tables = large_table(130_000_000) + large_table(130_000_000)

    one, two = (estimate(tables, Function(max_concurrency=n), as_job=False).seconds for n in (1, 2))

    assert two == pytest.approx(one / 2)
    assert one == pytest.approx(26 + 260_000 * prices.CPU_SECONDS_PER_KILOBYTE)


def test_a_table_is_too_long_if_an_invocation_does_not_have_the_time_to_split_it() -> None:
    seconds = 900 - RESERVED_SECONDS

    tables = [large_table(int(time * prices.SPLIT_BYTES_PER_SECOND)) for time in (seconds, seconds + 1)]

    assert [table.too_long for table in tables] == [0, 1]


@pytest.mark.parametrize("segments", [1, 1000, 10_000])
def test_the_requests_for_a_segment_include_long_lists_of_finished_segments(segments: int) -> None:
    """S3 lists 1,000 keys per request: the last of 10,000 segments takes ten requests for its list."""
    table = replace(large_table(2 * 1_000_000), segments=segments)

    writes = quantities(estimate(table, FUNCTION, as_job=False))["S3, writing results"]

    lists = sum(math.ceil(finished / 1000) for finished in range(1, segments + 1))
    assert writes >= 2 * segments + lists


@pytest.mark.parametrize("compress", [bytes, partial(gzip.compress, compresslevel=0)], ids=["plain", "gzip"])
@pytest.mark.parametrize(("rows", "segments"), [(5, 0), (12, 2), (104, 12)])
def test_a_table_takes_no_more_requests_than_are_priced(
    classifier: Classifier, compress: Callable[[bytes], bytes], rows: int, segments: int
) -> None:
    body = b"".join(json.dumps({"text": f"{n:010}" + "good film " * 9}).encode() + b"\n" for n in range(rows))

    counted = count_requests(classifier, compress(body), segment_bytes=1000)

    table = large_table(len(body), ReadOptions(segment_bytes=1000))
    assert counted.segments == table.segments == segments
    assert_bounded(counted, table)


def test_a_review_takes_no_more_requests_than_are_priced(classifier: Classifier) -> None:
    counted = count_requests(classifier, b"a good film", segment_bytes=1000, name="a.txt")

    assert_bounded(counted, Workload(objects=1, work=11))


def assert_bounded(counted: Requests, workload: Workload) -> None:
    """The estimated requests are at least as many as the counted ones, and at most three times as many."""
    priced = quantities(estimate(workload, FUNCTION, as_job=False))
    segments = counted.segments
    made = {
        "S3, reading": counted.under("", "GetObject", "HeadObject"),
        "S3, writing results": counted.under("", "PutObject", "ListObjectsV2"),
        "SQS, requests": 3 + math.ceil(segments / 10) + 2 * segments,  # segments are sent in tens
    }
    assert priced["Lambda, requests"] == 1 + segments
    for name, number in made.items():
        assert number <= priced[name] <= 3 * number, name


def test_a_vcpu_without_a_thread_costs_money_and_a_thread_with_one_saves_time() -> None:
    work = Workload(objects=1, size=1_000_000, work=1_000_000)
    two_vcpus = Function(memory_megabytes=2 * 1769)

    idle = estimate(work, two_vcpus, as_job=False)
    busy = estimate(work, replace(two_vcpus, threads=2), as_job=False)
    half = estimate(work, Function(memory_megabytes=1769 // 2), as_job=False)

    once = estimate(work, FUNCTION, as_job=False)
    assert idle.seconds == once.seconds
    assert idle.items[0].dollars == pytest.approx(2 * once.items[0].dollars)
    assert busy.seconds == pytest.approx(once.seconds / 2, rel=0.01)
    assert half.seconds == pytest.approx(once.seconds * 2, rel=0.01)


@pytest.mark.parametrize(("characters", "units"), [(1, 3), (300, 3), (301, 4), (400, 4), (1300, 13)])
def test_comprehend_charges_for_each_started_hundred_characters_and_three_units_at_least(
    characters: int, units: int
) -> None:
    assert comprehend_units(characters) == units


@pytest.mark.parametrize(
    ("units", "dollars"), [(0, 0), (3, 0.0003), (10e6, 1000), (13e6, 1150), (50e6, 3000), (130e6, 5000)]
)
def test_comprehend_gets_cheaper_with_volume(units: float, dollars: float) -> None:
    assert comprehend_dollars(units) == pytest.approx(dollars)
