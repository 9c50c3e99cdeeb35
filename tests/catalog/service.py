"""A bucket with the service and its catalog, and what a query of the catalog finds."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from tests.conftest import BUCKET
from tests.faults.clients import Client

from reviewbox.catalog import BucketResults, Catalog, CopyOutcome, Results
from reviewbox.deadline import Deadline
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.results.receipt import Part, Receipt
from reviewbox.results.receipt_store import StoredReceipt
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

PREFIX = "catalog/results/"


@dataclass(frozen=True, slots=True)
class UploadedOn:
    """Results whose sources were uploaded on a different day than today."""

    results: Results
    date: str

    def receipt(self, key: str) -> StoredReceipt | None:
        return self.results.receipt(key)

    def open(self, key: str, receipt: Receipt, part: Part) -> BufferedReader | None:
        return self.results.open(key, receipt, part)

    def uploaded(self, key: str, receipt: Receipt) -> str:  # noqa: ARG002 - of a protocol
        return self.date


@dataclass(slots=True)
class Service:
    """A bucket whose results and copies are brought up to date on request, as events would do."""

    s3: Any  # a client of moto or of the fake S3
    classifier: Classifier
    settings: Settings = field(default_factory=Settings)

    def other_worker(self) -> "Service":
        """Return the same bucket of the fake for a worker whose requests are not disturbed."""
        return replace(self, s3=Client(self.s3.service))

    def upload(self, key: str, body: bytes) -> None:
        """Upload a file, and classify it."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        pipeline = Pipeline(S3Storage(self.s3), self.classifier, self.settings)
        pipeline.process(ObjectRef(BUCKET, key), lambda: 900.0)

    def copy(self, key: str, date: str = "", remaining: Callable[[], float] = lambda: 900.0) -> CopyOutcome:
        """Bring the copy of a file's result up to date; `date` is when it was uploaded, if not today."""
        storage = S3Storage(self.s3)
        results: Results = BucketResults(storage, BUCKET, self.settings)
        if date:
            results = UploadedOn(results, date)
        catalog = Catalog(results, storage, ObjectRef(BUCKET, PREFIX), self.settings)
        return catalog.update(f"results/{key}.json", Deadline(remaining))

    def files(self) -> list[str]:
        """Return the keys of the catalog's Parquet files."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}uploaded=").get("Contents", [])
        return [item["Key"] for item in listed]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows that a query of the table `results` finds."""
        return self.table(sql)[1]

    def table(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the columns and the rows that DuckDB finds with a query of the table `results`."""
        database = _database()
        with TemporaryDirectory() as folder:
            for key in self.files():
                path = Path(folder, key)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            database.execute(
                "CREATE OR REPLACE VIEW results AS "  # noqa: S608 - our own
                f"SELECT * FROM read_parquet('{folder}/{PREFIX}*/*.parquet', "
                "hive_partitioning = true, hive_types = {'uploaded': VARCHAR})"
            )
            found = database.execute(sql)
            return [column[0] for column in found.description or []], found.fetchall()

    @contextmanager
    def before_request(self, number: int, action: Callable[[], object]) -> Iterator[None]:
        """Do something before the request to S3 with this number, from 0, while the context lasts."""
        count = itertools.count()

        def gate(_operation: str, _params: Any, perform: Callable[[], Any]) -> Any:
            if next(count) == number:
                action()
            return perform()

        before = self.s3
        self.s3 = before.behind(gate)
        try:
            yield
        finally:
            self.s3 = before


@cache
def _database() -> duckdb.DuckDBPyConnection:
    # Opening one takes ten times as long as a query.
    return duckdb.connect()
