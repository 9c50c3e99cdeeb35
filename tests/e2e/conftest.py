import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from emulator import Function, emulated
from processes import LOGS, ROOT
from samples import OBJECTS, content
from tests.local_cloud import start_cloud

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import deliver

_MAX_LOG_CHARACTERS = 20_000


def pytest_sessionstart() -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    # Without a handler, SIGTERM would end the run and leave its servers running.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the ends of the servers' logs to the report of a failed test."""
    report = yield
    if report.failed:
        for log in sorted(LOGS.glob("*.log")):
            text = log.read_text(encoding="utf-8", errors="replace")
            report.sections.append((f"end of {log.relative_to(ROOT)}", text[-_MAX_LOG_CHARACTERS:]))
    return report


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """S3 and SQS for the emulated functions."""
    with start_cloud(ROOT / "template.yaml", port=0) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def function(cloud: Cloud) -> Iterator[Callable[[str], Function]]:
    """A factory of emulated functions by handler; each is started once and serves all tests."""
    with ExitStack() as running:

        @cache
        def start(handler: str) -> Function:
            return running.enter_context(emulated(handler, cloud.environment, log=f"{handler}.log"))

        yield start


@pytest.fixture
def invoke(cloud: Cloud, function: Callable[[str], Function]) -> Callable[[Any], Any]:
    """Invoke the function for uploads."""
    return function(cloud.handler).invoke


@pytest.fixture
def s3(cloud: Cloud) -> Iterator[Any]:
    """The cloud's S3 with the objects of objects.json. Their messages have been removed from the queue."""
    s3 = cloud.s3()
    for key in OBJECTS:
        s3.put_object(Bucket=BUCKET, Key=key, Body=content(key))
    while deliver(cloud, lambda *_: {"batchItemFailures": []}):
        pass
    yield s3
    for bucket in s3.list_buckets()["Buckets"]:
        for entry in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            s3.delete_object(Bucket=bucket["Name"], Key=entry["Key"])
