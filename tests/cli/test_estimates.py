import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from tests.cli.stacks import STACK
from tests.large_table import count_requests

from reviewbox.classification import SPARE_SECONDS
from reviewbox.cli import prices
from reviewbox.cli.estimates import MOST_SECONDS_TO_CUT, Counted, count, estimate, is_table, is_too_large
from reviewbox.cli.render import number_of, rounded_bytes, rounded_dollars, rounded_seconds
from reviewbox.documents import ReadOptions
from reviewbox.documents.detection import FORMATS
from reviewbox.model.classifier import Classifier
from reviewbox.stack.listing import ListedObject as Listed

MEGABYTE = ReadOptions(max_bytes=1_000_000, segment_bytes=1_000_000)


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
        MEGABYTE,
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


def test_tables_of_lines_have_any_size_and_are_cut() -> None:
    options = ReadOptions(max_bytes=1_000_000, segment_bytes=100_000)

    counted = count(
        [
            listed("a.csv", 100_000),
            listed("b.csv", 2_500_001),
            listed("c.jsonl.gz", 20_000),
            listed("d.txt", 1_000_001),
            listed("e", 1_000_001),  # it is a table, or refused
        ],
        options,
    )

    assert (counted.tables, counted.too_large) == (4, 1)
    assert (counted.large, counted.segments, counted.written) == (3, 26 + 2 + 11, 2)
    assert counted.cut == 2_500_001 + 200_000 + 1_000_001
    assert (counted.largest, counted.largest_cut) == (100_000, 2_500_001)
    assert counted.sends == 3 + 1 + 2


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_names_tell_which_objects_may_be_tables(form: Any) -> None:
    """Every extension that a format has is known as that of a table, or as that of a review."""
    for extension in form.extensions:
        assert is_table(f"a{extension}") != is_too_large(
            listed(f"a{extension}", 101), ReadOptions(max_bytes=100)
        )


def test_what_is_archived_is_counted_and_may_have_been_restored() -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    classes = ("STANDARD", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA")

    counted = count([Listed("a.txt", 10, day, name) for name in classes], ReadOptions(max_bytes=100))

    assert (counted.objects, counted.archived, counted.work) == (5, 2, 100)


def test_a_million_reviews_cost_a_few_dollars_through_the_queue() -> None:
    """1,300 characters each: 48 ms of computing, with evidence, and 1 ms of waiting, on 1,769 MB."""
    reviews = Counted(objects=1_000_000, size=1_300_000_000, work=2_600_000_000, largest=2600)

    estimated = estimate(reviews, STACK, as_job=False)

    assert {item.name: round(item.dollars, 2) for item in estimated.items} == {
        "Lambda, computing": 1.40,
        "Lambda, requests": 0.00,
        "S3, writing results": 5.00,
        "S3, reading": 1.60,
        "SQS, requests": 1.20,
    }
    assert estimated.dollars == pytest.approx(9.20, abs=0.01)
    assert estimated.seconds == pytest.approx(4_850)


def test_waiting_takes_longer_than_computing_if_reviews_are_short() -> None:
    """A hundred at once wait for 100 ms each, and each batch at its ends."""
    reviews = Counted(objects=160_000, work=160_000)

    assert estimate(reviews, STACK, as_job=False).seconds == pytest.approx((160 + 80) / 10)
    assert estimate(reviews, STACK, as_job=True).seconds == pytest.approx(1600, rel=0.01)


def test_a_job_costs_a_quarter_and_a_dollar_a_million_and_no_messages() -> None:
    estimated = estimate(Counted(objects=2_000_000), STACK, as_job=True)

    bill = {item.name: item.dollars for item in estimated.items}
    assert bill["S3 Batch Operations"] == pytest.approx(2.25)
    assert bill["S3 Batch Operations, listing"] == pytest.approx(0.03)
    assert "SQS, requests" not in bill


def test_it_lasts_at_least_as_long_as_its_largest_object() -> None:
    one = Counted(objects=1, size=1_000_000, work=1_000_000, largest=1_000_000)

    assert estimate(one, STACK, as_job=False).seconds == pytest.approx(18.46 + 0.1, abs=0.01)


def test_a_large_table_is_cut_and_then_classified_by_as_many_as_there_are() -> None:
    table = Counted(objects=1, tables=1)
    table.add_source(1_300_000_000, 1_300_000_000, MEGABYTE, compressed=False)

    taken = [
        estimate(table, replace(STACK, max_concurrency=number), as_job=False) for number in (10, 1000, 5000)
    ]

    reading, segment = 1300 / 13, 1000 * prices.CPU_SECONDS_PER_KILOBYTE
    assert [each.longest_cut for each in taken] == [pytest.approx(reading, rel=0.1)] * 3
    assert [each.seconds for each in taken] == [
        pytest.approx(reading + 130 * segment, rel=0.02),
        pytest.approx(reading + 1.3 * segment, rel=0.1),
        pytest.approx(reading + segment, rel=0.1),  # which is not divided any further
    ]


def test_what_an_invocation_has_to_cut_is_what_it_leaves_of_its_time() -> None:
    assert MOST_SECONDS_TO_CUT == 900 - SPARE_SECONDS


def test_lists_of_more_than_a_thousand_segments_take_more_requests() -> None:
    """S3 names a thousand at once, so of 2,500 segments 1,000 look at two pages, and 500 at three."""
    table = Counted(objects=1, tables=1)
    table.add_source(1, 2_500_000_000, MEGABYTE, compressed=False)

    assert table.pages == pytest.approx(1000 + 2 * 500, abs=3)


@pytest.mark.parametrize("compress", [bytes, partial(gzip.compress, compresslevel=0)])
@pytest.mark.usefixtures("s3")
def test_a_large_table_takes_the_requests_that_are_priced(
    classifier: Classifier, compress: Callable[[bytes], bytes]
) -> None:
    """Of the first four of any object two are of a result that is not there yet."""
    rows = b"".join(json.dumps({"text": "good film " * 10}).encode() + b"\n" for _ in range(104))

    counted = count_requests(classifier, compress(rows), segment_bytes=1000)

    table = Counted(objects=1, tables=1)
    options = ReadOptions(segment_bytes=1000)
    table.add_source(1, len(rows), options, compressed=compress is not bytes)
    quantities = {item.name: item.quantity for item in estimate(table, STACK, as_job=False).items}
    assert counted.segments == table.segments == 12
    assert quantities["Lambda, requests"] == f"{1 + 12}"
    assert quantities["S3, reading"] == f"{counted.under('', 'GetObject', 'HeadObject') + 2}"
    assert quantities["S3, writing results"] == f"{counted.under('', 'PutObject', 'ListObjectsV2')}"
    assert quantities["SQS, requests"] == f"{3 + 2 + 2 * 12}"


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
