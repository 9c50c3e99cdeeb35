from dataclasses import replace
from pathlib import Path

from tests.cli.stacks import STACK

from reviewbox.stack.backfill import MAX_QUEUED_OBJECTS, RETENTION_SECONDS, needs_job

TWO_DAYS = 2 * 86_400


def test_a_job_is_for_large_backfills_in_aws_by_stacks_that_can_run_one() -> None:
    for objects, seconds in ((MAX_QUEUED_OBJECTS + 1, 1), (1000, TWO_DAYS + 1)):
        assert needs_job(STACK, objects, seconds, in_aws=True)
        assert not needs_job(STACK, objects, seconds, in_aws=False)
        assert not needs_job(replace(STACK, batch_operations=None), objects, seconds, in_aws=True)
    assert not needs_job(STACK, MAX_QUEUED_OBJECTS, TWO_DAYS, in_aws=True)


def test_the_retention_is_that_of_the_template() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8")

    assert f"MessageRetentionPeriod: {RETENTION_SECONDS}" in template
