"""Ten thousand files uploaded at once to `reviewbox local`."""

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from processes import ROOT, free_port, server
from tests.benchmarks.processes import peak_megabytes

from reviewbox.local.cloud import BUCKET

FILES = 10_000
# Long enough for a busy machine.
MAX_SECONDS = 1800

OPINIONS = (
    "a great film",
    "an awful film",
    "not bad at all",
    "the battery died",
    "lovely staff",
    "never again",
)


def keys(s3: Any, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def test_each_of_many_files_gets_exactly_one_receipt(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    generator = random.Random(0)  # noqa: S311 - texts, not secrets
    uploads = [f"incoming/{number % 100:02}/{number:05}.txt" for number in range(FILES)]
    command = [Path(sys.executable).with_name("reviewbox"), "local", "--port", str(port)]
    environment = {"HOME": str(Path.home()), "PATH": "/usr/bin:/bin"}
    with server(command, environment, port, "local.log", cwd=ROOT) as process:
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 10}, max_pool_connections=8),
        )
        s3.get_waiter("bucket_exists").wait(Bucket=BUCKET)
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            bodies = [generator.choice(OPINIONS).encode() for _ in uploads]
            list(
                pool.map(lambda key, body: s3.put_object(Bucket=BUCKET, Key=key, Body=body), uploads, bodies)
            )
        upload_seconds = time.monotonic() - started
        receipts: list[str] = []
        while len(receipts) < FILES and time.monotonic() - started < MAX_SECONDS:
            time.sleep(2)
            receipts = keys(s3, "results/")
        seconds, memory = time.monotonic() - started, peak_megabytes(process.pid)
        all_keys = keys(s3, "")
    with capsys.disabled():
        print(  # noqa: T201 - figures for the reader, without effect on the test
            f"\n{FILES:,} files uploaded in {upload_seconds:.0f} s, all receipts after {seconds:.0f} s "
            f"({FILES / seconds:.0f} a second); at most {memory:.0f} MB, the cloud's own objects included"
        )
    assert sorted(receipts) == sorted(f"results/{key}.json" for key in uploads)
    assert sorted(all_keys) == sorted([*uploads, *receipts])
