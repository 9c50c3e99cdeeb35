from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.cli.stacks import STACK

from reviewbox.cli.aws import Listed
from reviewbox.cli.estimates import (
    Counted,
    count,
    estimate,
    number_of,
    rounded_bytes,
    rounded_dollars,
    rounded_seconds,
)


def listed(key: str, size: int) -> Listed:
    return Listed(key, size, datetime(2026, 11, 1, tzinfo=UTC))


def test_what_is_compressed_counts_ten_times_and_what_is_too_large_not_at_all() -> None:
    """Work on single reviews, for which evidence is looked for, counts twice."""
    counted = count(
        [
            listed("a.txt", 1000),
            listed("b.csv.gz", 2000),
            listed("c.JSONL", 3000),
            listed("d.zst", 900_000),
            listed("e.txt", 1_000_001),
        ],
        max_object_bytes=1_000_000,
    )

    assert counted == Counted(
        objects=5,
        size=1_906_001,
        tables=2,
        compressed=2,
        too_large=1,
        work=2 * 1000 + 20_000 + 3000 + 2 * 1_000_000,
        largest=2 * 1_000_000,
    )


def test_what_is_archived_is_counted_and_may_have_been_restored() -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    classes = ("STANDARD", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA")

    counted = count([Listed("a.txt", 10, day, name) for name in classes], max_object_bytes=100)

    assert (counted.objects, counted.archived, counted.work) == (5, 2, 100)


def test_a_million_reviews_cost_a_few_dollars_through_the_queue() -> None:
    """1,300 characters each: 48 ms of computing, with evidence, and 100 ms of waiting, on 1,769 MB."""
    reviews = Counted(objects=1_000_000, size=1_300_000_000, work=2_600_000_000, largest=2600)

    estimated = estimate(reviews, STACK, as_job=False)

    assert {item.name: round(item.dollars, 2) for item in estimated.items} == {
        "Lambda, computing": 4.26,
        "Lambda, requests": 0.20,
        "S3, writing results": 5.00,
        "S3, reading": 1.60,
        "SQS, requests": 1.20,
    }
    assert estimated.dollars == pytest.approx(12.26, abs=0.01)
    assert estimated.seconds == pytest.approx(14_800)


def test_a_job_costs_a_quarter_and_a_dollar_a_million_and_no_messages() -> None:
    estimated = estimate(Counted(objects=2_000_000), STACK, as_job=True)

    bill = {item.name: item.dollars for item in estimated.items}
    assert bill["S3 Batch Operations"] == pytest.approx(2.25)
    assert bill["S3 Batch Operations, listing"] == pytest.approx(0.03)
    assert "SQS, requests" not in bill


def test_it_lasts_at_least_as_long_as_its_largest_object() -> None:
    one = Counted(objects=1, size=1_000_000, work=1_000_000, largest=1_000_000)

    assert estimate(one, STACK, as_job=False).seconds == pytest.approx(18.46 + 0.1, abs=0.01)


def test_a_vcpu_without_a_thread_costs_and_a_thread_with_one_saves_time() -> None:
    work = Counted(objects=1, size=1_000_000, work=1_000_000, largest=1_000_000)
    two_vcpus = replace(STACK, memory_megabytes=2 * 1769)

    idle = estimate(work, two_vcpus, as_job=False)
    busy = estimate(work, replace(two_vcpus, threads=2), as_job=False)
    half = estimate(work, replace(STACK, memory_megabytes=1769 // 2), as_job=False)

    once = estimate(work, STACK, as_job=False)
    assert idle.seconds == once.seconds
    assert idle.items[0].dollars == pytest.approx(2 * once.items[0].dollars)
    assert busy.seconds == pytest.approx(once.seconds / 2, rel=0.01)
    assert half.seconds == pytest.approx(once.seconds * 2, rel=0.01)


@pytest.mark.parametrize(
    ("dollars", "text"), [(0, "$0.00"), (0.004, "< $0.01"), (0.01, "$0.01"), (1234.5, "$1,234.50")]
)
def test_dollars_as_people_read_them(dollars: float, text: str) -> None:
    assert rounded_dollars(dollars) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (16_777_216, "16.8 MB"), (10**16, "10,000.0 TB")],
)
def test_bytes_as_people_read_them(size: int, text: str) -> None:
    assert rounded_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (1.7, "2 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (200_000, "2 days"),
    ],
)
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    assert rounded_seconds(seconds) == text


def test_numbers_of_things() -> None:
    assert [number_of(n, "object") for n in (0, 1, 5000)] == ["0 objects", "1 object", "5,000 objects"]
