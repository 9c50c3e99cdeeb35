"""The catalog holds exactly one copy of each result, the newest, whatever arrives, fails or dies."""

import json
from contextlib import suppress
from dataclasses import dataclass

import pytest
from tests.catalog.service import Service
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3

from reviewbox.catalog import CopyOutcome
from reviewbox.model.classifier import Classifier
from reviewbox.settings import Settings

TABLE, REVIEW = "incoming/shop.csv", "incoming/film.txt"
OLD = b"comment,product\ngood film,kettle\nawful film,lamp\n"
NEW = b"comment,product\nbad film,lamp\n"
# More than a worker ever makes in these tests.
REQUESTS = range(14)


class WorkerDiedError(Exception):
    """A worker died."""


@pytest.fixture
def service(s3: Client, classifier: Classifier) -> Service:
    return Service(s3, classifier)


@dataclass(slots=True)
class Rival:
    """Another worker, which replaces the result and its copy; a newer upload came on the next day."""

    service: Service
    has_run: bool = False

    def __call__(self) -> None:
        self.has_run = True
        worker = self.service.other_worker()
        worker.upload(TABLE, NEW)
        worker.copy(TABLE, "2026-11-02")


def die() -> None:
    raise WorkerDiedError


def reviews(service: Service) -> list[tuple[str, str]]:
    return service.query("SELECT uploaded, review FROM results ORDER BY ALL")


def test_a_table_is_copied_with_its_lines_its_verdicts_and_its_other_columns(service: Service) -> None:
    service.upload(TABLE, b'comment,"Product name",note\ngood film,kettle,a\n"awful\nfilm",lamp,b\n,lamp,c\n')

    assert service.copy(TABLE) is CopyOutcome.COPIED

    rows = service.query(
        "SELECT source_bucket, source_key, source_line, review, sentiment, error_code, "
        "fields['Product name'], fields['note'] FROM results ORDER BY source_line"
    )
    assert rows == [
        (BUCKET, TABLE, 2, "good film", "positive", None, "kettle", "a"),
        (BUCKET, TABLE, 3, "awful\nfilm", "negative", None, "lamp", "b"),
        (BUCKET, TABLE, 5, None, None, "empty_review", "lamp", "c"),
    ]
    receipt = json.loads(service.s3.get_object(Bucket=BUCKET, Key=f"results/{TABLE}.json")["Body"].read())
    (found,) = service.query("SELECT DISTINCT model, uploaded FROM results")
    assert found == (receipt["model"]["sha256"], receipt["source"]["version"][:10])


def test_a_review_is_a_row_with_all_scores_and_without_its_text(service: Service) -> None:
    service.upload(REVIEW, b"great film")

    service.copy(REVIEW)

    (row,) = service.query(
        "SELECT source_line, review, sentiment, scores['positive'] = score, needs_review, evidence "
        "FROM results"
    )
    assert row[:5] == (1, None, "positive", True, False)
    assert json.loads(row[5])[0].keys() == {"start", "end", "label", "support"}


def test_a_file_that_cannot_be_classified_is_a_row_with_the_error(service: Service) -> None:
    service.upload(REVIEW, b"")

    service.copy(REVIEW)

    assert service.query("SELECT source_key, source_line, sentiment, error_code FROM results") == [
        (REVIEW, None, None, "empty_file")
    ]


def test_tables_of_any_columns_and_formats_are_one_table(service: Service) -> None:
    service.upload("incoming/a.csv", b"comment,product\ngood film,lamp\n")
    service.upload("incoming/b.jsonl", b'{"text": "bad film", "shop": {"city": "Ulm \\ud800"}}\n')
    service.upload("incoming/c.json", b'[{"text": "good good film", "stars": 3}]')
    for key in ("incoming/a.csv", "incoming/b.jsonl", "incoming/c.json"):
        service.copy(key)

    assert service.query("SELECT review, fields FROM results ORDER BY source_key") == [
        ("good film", {"product": "lamp"}),
        ("bad film", {"shop.city": "Ulm \\ud800"}),
        ("good good film", {"stars": "3"}),
    ]


def test_a_duplicate_changes_nothing(service: Service) -> None:
    service.upload(TABLE, OLD)
    service.copy(TABLE)
    before = service.files()

    assert service.copy(TABLE) is CopyOutcome.CURRENT

    assert service.files() == before


def test_a_replaced_result_leaves_nothing_behind_even_on_another_day(service: Service) -> None:
    service.upload(TABLE, OLD)
    service.copy(TABLE, "2026-11-01")
    service.upload(TABLE, NEW)

    assert service.copy(TABLE, "2026-11-02") is CopyOutcome.COPIED

    assert reviews(service) == [("2026-11-02", "bad film")]


def test_the_copy_of_a_deleted_result_is_removed_and_may_come_back(service: Service) -> None:
    service.upload(TABLE, OLD)
    service.copy(TABLE, "2026-11-01")
    service.s3.delete_object(Bucket=BUCKET, Key=f"results/{TABLE}.json")

    assert service.copy(TABLE) is CopyOutcome.REMOVED
    assert service.files() == []
    assert service.copy(TABLE) is CopyOutcome.REMOVED

    service.upload(TABLE, OLD)
    service.copy(TABLE, "2026-11-01")
    assert len(reviews(service)) == 2


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_bucket_with_versions_tells_the_date_of_upload_in_its_listing(
    service: Service,
    store: S3,
    is_gone: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The receipt records the version instead. If the source is gone, the date is that of the result."""
    store.buckets[BUCKET].is_versioned = True
    service.upload(TABLE, NEW)
    written = service.s3.head_object(Bucket=BUCKET, Key=TABLE)["LastModified"].date().isoformat()
    if is_gone:
        service.s3.delete_object(Bucket=BUCKET, Key=TABLE)

    service.copy(TABLE)

    assert reviews(service) == [(written, "bad film")]


def test_a_result_whose_source_is_in_no_bucket_has_the_date_of_the_result(
    s3: Client, classifier: Classifier
) -> None:
    """Results of `reviewbox watch`, or of a bucket that has been deleted, can be copied into a bucket."""
    service = Service(s3, classifier, Settings(results_bucket=BUCKET))
    service.upload(REVIEW, b"good film")
    key = f"results/{REVIEW}.json"
    receipt = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    receipt["source"] = {"bucket": "gone", "key": REVIEW, "etag": '"1"', "version": ""}
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(receipt).encode())

    service.copy(REVIEW)

    written = s3.head_object(Bucket=BUCKET, Key=key)["LastModified"].date().isoformat()
    assert service.query("SELECT source_bucket, uploaded FROM results") == [("gone", written)]


def test_what_never_was_a_result_is_ignored(service: Service) -> None:
    assert service.copy(TABLE) is CopyOutcome.IGNORED
    assert service.s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_a_copy_that_lost_a_file_is_made_again(service: Service) -> None:
    service.upload(TABLE, OLD)
    service.copy(TABLE)
    (key,) = service.files()
    service.s3.delete_object(Bucket=BUCKET, Key=key)

    assert service.copy(TABLE) is CopyOutcome.COPIED

    assert service.files() == [key]


@pytest.mark.parametrize("request_number", REQUESTS)
def test_a_worker_that_dies_at_any_request_is_made_up_for_by_the_next(
    service: Service, request_number: int
) -> None:
    service.upload(TABLE, OLD)
    service.copy(TABLE, "2026-11-01")
    service.upload(TABLE, NEW)
    with service.before_request(request_number, die), suppress(WorkerDiedError):
        service.copy(TABLE, "2026-11-02")

    service.copy(TABLE, "2026-11-02")

    assert reviews(service) == [("2026-11-02", "bad film")]


@pytest.mark.parametrize("request_number", REQUESTS)
def test_a_rival_with_a_newer_result_wins_at_any_request(service: Service, request_number: int) -> None:
    service.upload(TABLE, OLD)
    rival = Rival(service)

    with service.before_request(request_number, rival):
        service.copy(TABLE, "2026-11-01")

    expected = ["bad film"] if rival.has_run else ["awful film", "good film"]
    assert [review for _, review in reviews(service)] == expected


@pytest.mark.parametrize("later", [1, 3])
@pytest.mark.parametrize("request_number", REQUESTS)
def test_a_worker_that_was_overtaken_and_dies_leaves_nothing(
    service: Service, request_number: int, later: int
) -> None:
    service.upload(TABLE, OLD)
    rival = Rival(service)
    with (
        service.before_request(request_number, rival),
        service.before_request(request_number + later, die),
        suppress(WorkerDiedError),
    ):
        service.copy(TABLE, "2026-11-01")

    service.copy(TABLE, "2026-11-02")  # the message of the worker that died is delivered again

    expected = ["bad film"] if rival.has_run else ["awful film", "good film"]
    assert [review for _, review in reviews(service)] == expected
