"""Large tables: no row is lost, and memory use stays constant. The local cloud runs in another process."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.benchmarks import uploads
from tests.benchmarks.processes import cloud_process, worker_process
from tests.tiny import write_model

from reviewbox.local.cloud import BUCKET, Cloud

MAX_MEGABYTES = 512
SOURCE, RECEIPT = "incoming/export.jsonl", "results/incoming/export.jsonl.json"

WORDS = "the a room film staff battery and but very never good bad great awful not clean broken was".split()


def write_table(path: Path, megabytes: float) -> int:
    """Write a table of a given size, most of which is not review text; return the number of rows."""
    generator = random.Random(megabytes)  # noqa: S311 - texts, not secrets
    texts = [" ".join(generator.choices(WORDS, k=generator.randint(4, 60))) for _ in range(500)]
    notes = [" ".join(generator.choices(WORDS, k=350)) for _ in range(500)]
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1e6:
            for text, note in zip(texts, notes, strict=True):
                file.write(json.dumps({"id": rows, "text": text, "notes": note}) + "\n")
                rows += 1
    return rows


def rows_of(cloud: Cloud, receipt: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in receipt["parts"]:
        for line in cloud.s3().get_object(Bucket=BUCKET, Key=part["key"])["Body"].iter_lines():
            yield json.loads(line)


@pytest.mark.parametrize(
    ("megabytes", "model", "min_parts"),
    [
        pytest.param(1000, "tiny", 900, id="1 GB, a model of a few nodes"),
        pytest.param(20, "shipped", 5, id="20 MB, the shipped model"),
    ],
)
def test_every_row_is_returned_once_in_order_and_memory_use_is_bounded(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    megabytes: int,
    model: str,
    min_parts: int,
) -> None:
    rows = write_table(tmp_path / "export.jsonl", megabytes)
    folder = write_model(tmp_path / "model") if model == "tiny" else None
    if folder:
        (folder / "bundle.json").write_text(json.dumps({"window_tokens": 512}), encoding="utf-8")

    with cloud_process() as server, worker_process(uploads.start, server.cloud, folder) as worker:
        with (tmp_path / "export.jsonl").open("rb") as body:
            server.cloud.s3().put_object(Bucket=BUCKET, Key=SOURCE, Body=body)
        spent = worker.submit(uploads.drain, server.cloud).result()

        receipt = json.loads(server.cloud.s3().get_object(Bucket=BUCKET, Key=RECEIPT)["Body"].read())
        ids = [row["id"] for row in rows_of(server.cloud, receipt) if row["sentiment"]]
    with capsys.disabled():
        print(  # noqa: T201 - figures for the reader, without effect on the test
            f"\n{megabytes} MB, {rows:,} rows: {len(receipt['parts'])} parts, {spent.wall:.0f} s in "
            f"{spent.invocations} invocations, at most {spent.peak_megabytes:.0f} MB"
        )
    assert receipt["counts"]["total"] == rows
    assert receipt["counts"]["failed"] == 0
    assert ids == list(range(rows))
    assert len(receipt["parts"]) >= min_parts
    assert spent.peak_megabytes <= MAX_MEGABYTES
