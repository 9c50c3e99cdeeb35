from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.stacks import STACK, large_tables

from reviewbox.documents import ReadOptions
from reviewbox.documents.detection import FORMATS
from reviewbox.objects import Listed
from reviewbox.stack.backfill import MAX_QUEUED_OBJECTS, RETENTION_SECONDS, judge, needs_job
from reviewbox.stack.cost import Workload

MEGABYTE = ReadOptions(max_bytes=1_000_000, segment_bytes=1_000_000)
# Ten functions that take 18.5 ms a kilobyte need a bit less than two days.
TWO_DAYS = Workload(objects=MAX_QUEUED_OBJECTS, work=93_000_000_000)


def listed(key: str, size: int, storage_class: str = "STANDARD") -> Listed:
    return Listed(key, "", 0.0, size, storage_class)


def count(objects: list[Listed], options: ReadOptions) -> Workload:
    return sum((judge(each, options) for each in objects), Workload())


def test_compressed_objects_count_ten_times_and_objects_that_are_too_large_not_at_all() -> None:
    """Single reviews count twice, because they get evidence."""
    workload = count(
        [
            listed("a.txt", 1000),
            listed("b.csv.gz", 2000),
            listed("c.JSONL", 3000),
            listed("d.zst", 900_000),
            listed("e.txt", 1_000_001),
        ],
        MEGABYTE,
    )

    assert workload == Workload(
        objects=5,
        size=1_906_001,
        tables=2,
        compressed=2,
        too_large=1,
        work=2 * 1000 + 20_000 + 3000 + 2 * 1_000_000,
    )


def test_tables_may_have_any_size_and_are_split() -> None:
    options = ReadOptions(max_bytes=1_000_000, segment_bytes=100_000)

    workload = count(
        [
            listed("a.csv", 100_000),
            listed("b.csv", 2_500_001),
            listed("c.jsonl.gz", 20_000),
            listed("d.txt", 1_000_001),
            listed("e", 1_000_001),  # either a table or refused
        ],
        options,
    )

    assert (workload.tables, workload.too_large) == (4, 1)
    assert (workload.large, workload.segments) == (3, 26 + 2 + 11)
    assert workload.split_bytes == 2_500_001 + 200_000 + 1_000_001


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_each_extension_of_a_format_belongs_to_a_table_or_to_a_single_review(form: Any) -> None:
    """The size decides for an unknown extension only."""
    options = ReadOptions(max_bytes=100)

    for extension in form.extensions:
        small, large = (judge(listed(f"a{extension}", size), options).tables for size in (100, 101))
        assert small == large
    assert [judge(listed("a.b", size), options).tables for size in (100, 101)] == [0, 1]


def test_archived_objects_count_as_work_because_they_may_have_been_restored() -> None:
    classes = ("STANDARD", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA")

    workload = count([listed("a.txt", 10, name) for name in classes], ReadOptions(max_bytes=100))

    assert (workload.objects, workload.archived, workload.work) == (5, 2, 100)


def test_a_job_is_for_large_backfills_in_aws_by_stacks_that_can_run_one() -> None:
    for counted in (Workload(objects=MAX_QUEUED_OBJECTS + 1), replace(TWO_DAYS, work=94_000_000_000)):
        assert needs_job(STACK, counted, in_aws=True)
        assert not needs_job(STACK, counted, in_aws=False)
        assert not needs_job(replace(STACK, batch_operations=None), counted, in_aws=True)
    assert not needs_job(STACK, TWO_DAYS, in_aws=True)


def test_long_work_is_a_job_and_segments_do_not_count_because_they_are_always_queued() -> None:
    assert not needs_job(STACK, large_tables(140, gigabytes=1), in_aws=True)


def test_the_retention_is_that_of_the_template() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8")

    assert f"MessageRetentionPeriod: {RETENTION_SECONDS}" in template
