"""A table in parts is copied part by part, and the copy of one that takes too long is continued."""

from contextlib import suppress
from functools import partial
from itertools import chain, repeat

import pytest
from tests.catalog.service import Service
from tests.catalog.test_catalog import WorkerDiedError, die
from tests.conftest import BUCKET
from tests.faults.clients import Client

from reviewbox.errors import OutOfTimeError
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

TABLE = "incoming/large.csv"
ROWS = [f'{number},"good\nfilm number {number}"' for number in range(12)]
CONTENT = "\n".join(["id,comment", *ROWS]).encode() + b"\n"
LINES = [(2 + 2 * number, str(number)) for number in range(12)]


@pytest.fixture
def service(s3: Client, classifier: Classifier) -> Service:
    service = Service(s3, classifier, Settings(segment_bytes=60))
    service.upload(TABLE, CONTENT)
    return service


def lines(service: Service) -> list[tuple[int, str]]:
    return service.query("SELECT source_line, fields['id'] FROM results ORDER BY ALL")


def parts(service: Service) -> int:
    listed = service.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"results/{TABLE}.classified/")
    return len(listed["Contents"])


def test_each_part_is_a_file_and_lines_are_those_of_the_table(service: Service) -> None:
    service.copy(TABLE)

    assert lines(service) == LINES
    assert len(service.files()) == parts(service) > 3


def test_a_copy_that_ran_out_of_time_is_continued(service: Service) -> None:
    written: list[set[str]] = [set()]
    while len(written[-1]) < parts(service):
        times = chain(repeat(900.0, 4), repeat(0.0))
        with suppress(OutOfTimeError):
            service.copy(TABLE, remaining=partial(next, times))
        written.append(set(service.files()))
        assert written[-2] < written[-1]

    assert len(written) > 2
    assert lines(service) == LINES


@pytest.mark.parametrize("request_number", range(3, 25, 4))
def test_a_copy_whose_worker_died_is_continued(service: Service, request_number: int) -> None:
    with service.before_request(request_number, die), suppress(WorkerDiedError):
        service.copy(TABLE)

    service.copy(TABLE)

    assert lines(service) == LINES
    assert len(service.files()) == parts(service)


def test_a_table_that_becomes_smaller_leaves_no_parts(service: Service) -> None:
    service.copy(TABLE, "2026-11-01")
    service.upload(TABLE, b"id,comment\n1,good film\n")

    service.copy(TABLE, "2026-11-02")

    assert lines(service) == [(2, "1")]
    assert len(service.files()) == 1


def test_a_missing_part_is_a_row_with_an_error(service: Service) -> None:
    listed = service.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"results/{TABLE}.classified/")
    last = listed["Contents"][-1]["Key"]
    service.s3.delete_object(Bucket=BUCKET, Key=last)

    service.copy(TABLE)

    assert service.query("SELECT error_code, error_message FROM results WHERE source_line IS NULL") == [
        ("missing_table", f"the table {last} is missing; classify the file again")
    ]


@pytest.mark.parametrize("lost", [0, 2, -1])
def test_a_part_that_was_missing_is_copied_once_it_is_back(service: Service, lost: int) -> None:
    """The receipt stays the same, because the recreated part is identical."""
    prefix = f"results/{TABLE}.classified/"
    listed = service.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    service.s3.delete_object(Bucket=BUCKET, Key=listed[lost]["Key"])
    service.copy(TABLE)
    assert ("missing_table",) in service.query("SELECT error_code FROM results")
    before = service.files()
    service.copy(TABLE)
    assert service.files() == before

    Pipeline(S3Storage(service.s3), service.classifier, service.settings).process(
        ObjectRef(BUCKET, TABLE), lambda: 900.0
    )
    service.copy(TABLE)

    assert lines(service) == LINES
    assert service.query("SELECT DISTINCT error_code FROM results") == [(None,)]
