"""The function for the catalog, from an event about a receipt to the row that a query finds."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from tests.catalog.service import Service
from tests.conftest import BUCKET
from tests.handlers.conftest import Context
from tests.handlers.test_on_upload import failures, notification, sqs
from tests.test_template import RESOURCES

from handlers import on_result
from reviewbox.errors import EventError
from reviewbox.model.classifier import Classifier

KEY = "incoming/films & more/a.txt"
RECEIPT = f"results/{KEY}.json"


@pytest.fixture
def service(s3: S3Client, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("REVIEWBOX_CATALOG_PREFIX", "catalog/")
    on_result.settings.cache_clear()
    on_result.storage.cache_clear()
    yield Service(s3, classifier)
    on_result.settings.cache_clear()
    on_result.storage.cache_clear()


def event(kind: str = "Object Created", key: str = RECEIPT, bucket: str = BUCKET) -> dict[str, Any]:
    return {
        "version": "0",
        "source": "aws.s3",
        "detail-type": kind,
        "detail": {"version": "0", "bucket": {"name": bucket}, "object": {"key": key}},
    }


def sentiments(service: Service) -> list[tuple[Any, ...]]:
    return service.query("SELECT source_key, sentiment FROM results") if service.files() else []


def test_an_upload_reaches_the_catalog_through_the_rule_of_the_template(service: Service) -> None:
    """S3, EventBridge and SQS are moto's. The rule is that of the template, except for the wildcard."""
    pattern = RESOURCES["ReceiptRule"]["Properties"]["EventPattern"]
    pattern = {
        "source": pattern["source"],
        "detail-type": pattern["detail-type"],
        "detail": {"bucket": {"name": [BUCKET]}, "object": {"key": [{"prefix": "results/"}]}},
    }
    queue, events = boto3.client("sqs"), boto3.client("events")
    url = queue.create_queue(QueueName="copies")["QueueUrl"]
    arn = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="receipts", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="receipts", Targets=[{"Id": "copies", "Arn": arn}])
    service.s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )

    service.upload(KEY, b"good film")
    messages = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    response = on_result.handler(sqs(*(message["Body"] for message in messages)), Context())

    assert response == failures()
    assert sentiments(service) == [(KEY, "positive")]


def test_a_removed_receipt_takes_its_row_along(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.upload(KEY, b"good film")
    on_result.handler(sqs(event()), Context())
    service.s3.delete_object(Bucket=BUCKET, Key=RECEIPT)
    caplog.clear()

    response = on_result.handler(sqs(event("Object Deleted")), Context())

    assert response == failures()
    assert sentiments(service) == []
    assert [record.getMessage() for record in caplog.records] == ["object.removed"]


def test_events_of_one_receipt_in_a_batch_are_one_copy(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.upload(KEY, b"good film")

    on_result.handler(sqs(event(), event("Object Deleted"), event()), Context())

    assert [record.getMessage() for record in caplog.records] == ["object.copied"]
    assert sentiments(service) == [(KEY, "positive")]


@pytest.mark.parametrize(
    "ignored",
    [
        event(key="results/incoming/a.csv.classified/0123456789abcdef0123456789abcdef/part-00000.csv"),
        event(key="incoming/a.json"),
        event(key="results/incoming/never-there.json"),
        notification("results/incoming/never-there.json"),
    ],
)
def test_events_about_anything_but_results_are_acknowledged(service: Service, ignored: Any) -> None:
    assert on_result.handler(sqs(ignored), Context()) == failures()
    assert service.s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_a_failure_returns_its_message_only(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.upload(KEY, b"good film")

    response = on_result.handler(
        sqs(event(bucket="no-such-bucket"), event(), {"unknown": "zanzibar"}), Context()
    )

    assert response == failures(1, 3)
    assert sentiments(service) == [(KEY, "positive")]
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in errors] == ["object.failed", "message.unknown"]
    assert "zanzibar" not in caplog.text


class PanicException(BaseException):
    """A panic of a library in Rust."""


def test_a_panic_of_a_library_fails_its_result_only(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.upload(KEY, b"good film")
    service.upload("incoming/b.txt", b"bad film")

    def panic(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == RECEIPT:
            raise PanicException("zanzibar")

    on_result.storage().client.meta.events.register("provide-client-params.s3.GetObject", panic)

    response = on_result.handler(sqs(event(), event(key="results/incoming/b.txt.json")), Context())

    assert response == failures(1)
    assert sentiments(service) == [("incoming/b.txt", "negative")]
    assert "zanzibar" not in caplog.text


def test_nothing_is_started_without_time(service: Service) -> None:
    service.upload(KEY, b"good film")

    assert on_result.handler(sqs(event()), Context(milliseconds=1000)) == failures(1)
    assert sentiments(service) == []


def test_an_event_that_came_without_a_queue_is_refused(service: Service) -> None:
    with pytest.raises(EventError, match="queue"):
        on_result.handler(event(), Context())


def test_a_folder_of_results_of_another_stack_is_left_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bucket may hold the results of several stacks."""
    service.upload(KEY, b"good film")
    monkeypatch.setenv("REVIEWBOX_RESULTS_PREFIX", "results/shop/")
    on_result.settings.cache_clear()

    assert on_result.handler(sqs(event()), Context()) == failures()
    assert sentiments(service) == []
