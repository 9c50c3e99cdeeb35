"""The catalog as the template declares it: the saved queries run in DuckDB as they stand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.catalog.service import Service
from tests.faults.clients import Client
from tests.test_template import RESOURCES

from reviewbox.catalog.parquet import COLUMNS
from reviewbox.model.classifier import Classifier

QUERIES = {
    name: resource["Properties"]["QueryString"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Athena::NamedQuery"
}
TODAY, YESTERDAY, LONG_AGO = (
    (datetime.now(UTC) - timedelta(days=days)).date().isoformat() for days in (0, 1, 400)
)
LAMPS = b"comment,product\nbad film,lamp\ngood film,lamp\nawful film,kettle\nawful film,lamp\n"


@pytest.fixture
def service(s3: Client, classifier: Classifier) -> Service:
    service = Service(s3, classifier)
    for key, body, date in (
        ("lamps.csv", LAMPS, TODAY),
        ("film.txt", b"good film", YESTERDAY),
        ("odd.txt", b"the the", YESTERDAY),
        ("empty.txt", b"", YESTERDAY),
        ("old.csv", LAMPS, LONG_AGO),
    ):
        service.upload(f"incoming/{key}", body)
        service.copy(f"incoming/{key}", date)
    return service


def query(service: Service, name: str) -> list[dict[str, Any]]:
    names, rows = service.table(QUERIES[name])
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_the_shares_of_a_day_sum_to_one(service: Service) -> None:
    rows = query(service, "DailyShares")

    assert [(str(r["day"]), r["sentiment"], r["reviews"], r["share"]) for r in rows[:2]] == [
        (TODAY, "negative", 3, 0.75),
        (TODAY, "positive", 1, 0.25),
    ]
    assert {str(row["day"]) for row in rows} == {TODAY, YESTERDAY}
    assert sum(row["share"] for row in rows) == 2


def test_products_with_the_most_negative_reviews_come_first(service: Service) -> None:
    rows = query(service, "MostNegative")

    assert [(r["product"], r["reviews"], r["negative"], r["share"]) for r in rows] == [
        ("lamp", 3, 2, 0.667),
        ("incoming/odd.txt", 1, 1, 1.0),
        ("kettle", 1, 1, 1.0),
        ("incoming/film.txt", 1, 0, 0.0),
    ]


def test_the_least_certain_reviews_come_first(service: Service) -> None:
    rows = query(service, "UncertainReviews")

    assert [row["source_key"] for row in rows] == ["incoming/odd.txt"]
    assert rows[0]["score"] == 0.5


def test_the_table_of_the_template_has_the_columns_of_the_files() -> None:
    table = RESOURCES["CatalogTable"]["Properties"]["TableInput"]
    declared = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}

    assert declared == COLUMNS
    assert list(declared) == list(COLUMNS)
    assert [key["Name"] for key in table["PartitionKeys"]] == ["uploaded"]


def test_files_have_the_types_that_the_template_declares(service: Service) -> None:
    described = {name: kind for name, kind, *_ in service.query("DESCRIBE results")}

    duckdb_types = {
        "string": "VARCHAR",
        "bigint": "BIGINT",
        "double": "DOUBLE",
        "boolean": "BOOLEAN",
        "map<string,string>": "MAP(VARCHAR, VARCHAR)",
        "map<string,double>": "MAP(VARCHAR, DOUBLE)",
    }
    assert {name: described[name] for name in COLUMNS} == {
        name: duckdb_types[kind] for name, kind in COLUMNS.items()
    }
