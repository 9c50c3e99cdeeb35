"""What `reviewbox backfill` prints about the cost and duration of a backfill."""

from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console
from tests.cli.stacks import STACK, large_tables
from typer.testing import CliRunner

from reviewbox.cli import app
from reviewbox.cli.backfill import Backfill
from reviewbox.objects import Listed, ObjectRef
from reviewbox.stack.cost import Workload


def printed_estimate(counted: Workload, *, as_job: bool) -> str:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, ObjectRef("reviewbox", "incoming/"))
    backfill.estimate(counted, as_job=as_job)
    return output.getvalue()


def test_s3_chooses_the_concurrency_of_a_job() -> None:
    output = printed_estimate(Workload(objects=200_000), as_job=True)

    assert "1 job, 200,000 objects" in output
    assert "About 33 minutes with 10 concurrent invocations; S3 chooses the actual number." in output


@pytest.mark.parametrize(
    ("megabytes", "as_job", "is_warning"),
    [(140_000, False, True), (140_000, True, False), (85_000, False, False)],
)
def test_work_that_may_exceed_the_retention_of_the_queue_is_a_warning(
    megabytes: int, as_job: object, is_warning: object
) -> None:
    output = printed_estimate(Workload(objects=1000, work=megabytes * 1_000_000), as_job=bool(as_job))

    warning = "The queue deletes messages after 4 days, and this backfill may take 3 days:"
    assert (warning in output) is is_warning


def test_segments_are_queued_even_if_the_backfill_is_a_job() -> None:
    output = printed_estimate(large_tables(140, gigabytes=1), as_job=True)

    assert "The queue deletes messages after 4 days" in output


def test_tables_that_are_too_large_to_be_split_in_time_are_a_warning() -> None:
    output = StringIO()
    backfill = Backfill(Console(file=output, width=200), STACK, ObjectRef("reviewbox", "incoming/"))

    backfill.count(BucketWith({"incoming/a.csv": 20 * 10**9, "incoming/b.csv": 8 * 10**9}))  # type: ignore[arg-type]

    assert "1 may take one invocation too long to split: divide them" in output.getvalue()


class BucketWith:
    """A bucket with objects of these sizes."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes

    def pages(self, _bucket: str, prefix: str) -> Iterator[list[Listed]]:
        yield [Listed(key, "", 0.0, size) for key, size in self.sizes.items() if key.startswith(prefix)]


def test_a_typing_error_is_found_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    result = CliRunner().invoke(app, ["backfill", "bucket/incoming/"])

    assert (result.exit_code, result.stderr) == (
        2,
        "reviewbox: bucket/incoming/: expected s3://bucket/prefix\n",
    )
