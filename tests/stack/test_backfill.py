from dataclasses import replace
from pathlib import Path

from tests.cli.stacks import STACK, large_tables

from reviewbox.stack.backfill import MAX_QUEUED_OBJECTS, RETENTION_SECONDS, needs_job
from reviewbox.stack.cost import Workload

# Ten functions that take 18.5 ms a kilobyte need a bit less than two days.
TWO_DAYS = Workload(objects=MAX_QUEUED_OBJECTS, work=93_000_000_000)


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
