"""Parquet files that are too large to be read as a whole, with a queue and without one."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3
from tests.faults.stack import inline_pools
from tests.large_tables.work import QUEUE, deliver, plenty, read, storage_of

from reviewbox.documents.formats.parquet.segments import split_parquet
from reviewbox.errors import ConflictError
from reviewbox.folder_storage import FolderStorage
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.queue import Queue
from reviewbox.settings import Settings

SOURCE = ObjectRef(BUCKET, "incoming/export.parquet")
RECEIPT = "results/incoming/export.parquet.json"
SETTINGS = Settings(max_object_bytes=40_000, segment_bytes=40_000)
ROWS = 1600  # the last segment is not full
TEXTS = ("a good film, and the end was great", None, "an awful film, it was bad and slow", " ")


def table(rows: int = ROWS) -> pa.Table:
    """Return a table with types that only Parquet has. Its ids do not compress."""
    return pa.table(
        {
            "id": pa.array([hashlib.sha256(b"%d" % number).hexdigest() for number in range(rows)]),
            "stars": pa.array([number % 5 + 1 for number in range(rows)], pa.uint8()),
            "tags": pa.array([["a", f"b{number}"] for number in range(rows)], pa.list_(pa.string())),
            "review": pa.array([TEXTS[number % len(TEXTS)] for number in range(rows)]),
        }
    )


def parquet(content: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(content, file, **options)
    return file.getvalue()


def result(s3: Client) -> tuple[dict[str, Any], list[pa.Table]]:
    """Return the receipt, and the tables that it names."""
    receipt = json.loads(read(s3, RECEIPT))
    return receipt, [pq.read_table(io.BytesIO(read(s3, part["key"]))) for part in receipt.get("parts", [])]


@pytest.fixture
def pipeline(store: S3, classifier: Classifier) -> Iterator[Pipeline]:
    with inline_pools():
        yield Pipeline(storage_of(store), classifier, SETTINGS)


@pytest.mark.parametrize("group_rows", [100, 10**6])
@pytest.mark.parametrize("has_queue", [True, False])
def test_the_parts_of_a_large_file_are_the_rows_of_the_whole(
    pipeline: Pipeline, s3: Client, sqs: Any, *, has_queue: bool, group_rows: int
) -> None:
    """The size of the row groups does not matter."""
    source = table()
    body = parquet(source, row_group_size=group_rows, compression="zstd")
    assert len(body) > SETTINGS.max_object_bytes
    s3.put_object(Bucket=BUCKET, Key=SOURCE.key, Body=body)
    whole = replace(pipeline, settings=replace(SETTINGS, max_object_bytes=10**7))
    assert whole.process(SOURCE, plenty) is Outcome.CLASSIFIED
    expected, (expected_table,) = result(s3)

    if has_queue:
        pipeline = replace(pipeline, queue=Queue(QUEUE, sqs))
        assert pipeline.process(SOURCE, plenty) is Outcome.SEGMENTED
        deliver(pipeline)
    else:
        assert pipeline.process(SOURCE, plenty) is Outcome.CLASSIFIED

    receipt, parts = result(s3)
    assert len(parts) > 1
    assert receipt["counts"] == expected["counts"]
    assert receipt["notes"] == expected["notes"]
    assert pa.concat_tables(parts).equals(expected_table)
    assert parts[0].select(source.column_names).schema.equals(source.schema)


def test_a_small_file_with_more_than_a_million_rows_is_split(
    pipeline: Pipeline, s3: Client, sqs: Any
) -> None:
    body = parquet(pa.table({"review": pa.array([TEXTS[n % len(TEXTS)] for n in range(1_000_001)])}))
    s3.put_object(Bucket=BUCKET, Key=SOURCE.key, Body=body)
    queue = Queue(QUEUE, sqs)
    settings = replace(SETTINGS, max_object_bytes=10**8, segment_bytes=10**7)
    assert len(body) < settings.max_object_bytes

    assert replace(pipeline, queue=queue, settings=settings).process(SOURCE, plenty) is Outcome.SEGMENTED


def test_a_large_file_in_a_folder_comes_back_in_parts(tmp_path: Path, classifier: Classifier) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / SOURCE.key).write_bytes(parquet(table()))
    pipeline = Pipeline(FolderStorage({BUCKET: tmp_path}), classifier, SETTINGS)

    assert pipeline.process(SOURCE, plenty) is Outcome.CLASSIFIED

    receipt = json.loads((tmp_path / RECEIPT).read_text(encoding="utf-8"))
    parts = [pq.read_table(tmp_path / part["key"]) for part in receipt["parts"]]
    assert pa.concat_tables(parts)["id"].to_pylist() == table()["id"].to_pylist()


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        pytest.param(lambda body: body[:-9], "corrupt_file", id="no end"),
        pytest.param(
            lambda body: body[:9] + b"\xff" * 60_000 + body[60_009:], "corrupt_file", id="damaged pages"
        ),
        pytest.param(lambda body: body[:-8] + b"\xff\xff\xff\x7fPAR1", "corrupt_file", id="a huge footer"),
    ],
)
def test_a_large_file_that_is_damaged_is_refused(
    pipeline: Pipeline, s3: Client, damage: Any, code: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key=SOURCE.key, Body=damage(parquet(table(), compression="none")))

    assert pipeline.process(SOURCE, plenty) is Outcome.REFUSED

    assert result(s3)[0]["error"]["code"] == "corrupt_file"


def test_an_object_that_is_replaced_while_it_is_read_is_not_taken_for_a_damaged_file(
    store: S3, s3: Client
) -> None:
    pages = {"compression": "none", "use_dictionary": False, "data_page_size": 10_000}
    body = parquet(table(6 * ROWS), **pages)
    s3.put_object(Bucket=BUCKET, Key=SOURCE.key, Body=body)
    storage = storage_of(store)
    source = storage.read(SOURCE, 0)
    assert source

    def replace_object(index: int, _: bytes) -> None:
        s3.put_object(Bucket=BUCKET, Key=SOURCE.key, Body=body[:-1])

    with storage.open(source) as file, pytest.raises(ConflictError):
        split_parquet(file, SETTINGS.read_options, replace_object)
