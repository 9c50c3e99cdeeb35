"""The start of the service: no upload is lost, whenever a client begins."""

import itertools
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_s3 import S3Client
from tests.cold_start import function_process

from reviewbox.errors import ReviewboxError
from reviewbox.local.cloud import BUCKET
from reviewbox.local.function import start_service

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
SECONDS_TO_WAIT = 60
UPLOADS_PER_CLIENT = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def impatient_client(port: int) -> S3Client:
    """Return a client that gives up after a second and does not retry."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1),
    )


def upload(s3: S3Client, client: int, stopping: threading.Event) -> list[str]:
    """Upload in a loop, and return the keys of the first uploads that were accepted."""
    accepted: list[str] = []
    for number in itertools.count():
        if stopping.is_set() or len(accepted) == UPLOADS_PER_CLIENT:
            break
        key = f"incoming/{client}/{number}.txt"
        try:
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"great film")
        except (BotoCoreError, ClientError):
            continue
        accepted.append(key)
    return accepted


def wait_for_bucket_and_upload(s3: S3Client, client: int, stopping: threading.Event) -> list[str]:
    while not stopping.is_set():
        try:
            s3.head_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError):
            continue
        break
    return upload(s3, client, stopping)


@pytest.mark.parametrize("_round", range(3))
def test_every_upload_that_is_accepted_during_the_start_gets_its_receipt(
    tiny_model: Path, _round: int
) -> None:
    port, stopping = free_port(), threading.Event()
    clients: list[Callable[[S3Client, int, threading.Event], list[str]]]
    clients = [upload, wait_for_bucket_and_upload]
    with ThreadPoolExecutor(len(clients)) as pool, function_process(tiny_model):
        uploads = [
            pool.submit(client, impatient_client(port), number, stopping)
            for number, client in enumerate(clients)
        ]
        try:
            with start_service(TEMPLATE, port) as cloud:
                accepted = {key for client in uploads for key in client.result(SECONDS_TO_WAIT)}
                missing, end = accepted, time.monotonic() + SECONDS_TO_WAIT
                while missing and time.monotonic() < end:
                    pages = (
                        cloud.s3().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="results/")
                    )
                    receipts = {item["Key"] for page in pages for item in page.get("Contents", [])}
                    missing = {key for key in accepted if f"results/{key}.json" not in receipts}
                    time.sleep(0.05)  # the function runs in this process, too
        finally:
            stopping.set()

    assert len(accepted) == len(clients) * UPLOADS_PER_CLIENT
    assert missing == set()


def test_the_port_is_free_again_after_a_function_that_cannot_start(tmp_path: Path) -> None:
    port = free_port()

    with function_process(tmp_path):
        for _ in range(2):
            with pytest.raises(ReviewboxError, match="is missing"), start_service(TEMPLATE, port):
                pass
