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

from reviewbox.local.cloud import BUCKET, Cloud, start_cloud
from reviewbox.local.function import deliver

_MOST_LOG_SHOWN = 20_000


def pytest_sessionstart() -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    # Else a run that is told to end would leave its servers behind.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("told to end"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what the servers said with what failed."""
    report = yield
    if report.failed:
        for log in sorted(LOGS.glob("*.log")):
            text = log.read_text(encoding="utf-8", errors="replace")
            report.sections.append((f"end of {log.relative_to(ROOT)}", text[-_MOST_LOG_SHOWN:]))
    return report


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """S3 and SQS for the emulated functions."""
    with start_cloud(ROOT / "template.yaml", port=0) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def function(cloud: Cloud) -> Iterator[Callable[[str], Function]]:
    """The function of a handler, in an emulator that serves all tests."""
    with ExitStack() as running:

        @cache
        def start(handler: str) -> Function:
            return running.enter_context(emulated(handler, cloud.environment, log=f"{handler}.log"))

        yield start


@pytest.fixture
def invoke(cloud: Cloud, function: Callable[[str], Function]) -> Callable[[Any], Any]:
    """The function that uploads invoke."""
    return function(cloud.handler).invoke


@pytest.fixture
def s3(cloud: Cloud) -> Iterator[Any]:
    """The cloud's S3, holding the objects of objects.json, of which the queue says nothing any more."""
    s3 = cloud.s3()
    for key in OBJECTS:
        s3.put_object(Bucket=BUCKET, Key=key, Body=content(key))
    while deliver(cloud, lambda *_: {"batchItemFailures": []}):
        pass
    yield s3
    for bucket in s3.list_buckets()["Buckets"]:
        for entry in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            s3.delete_object(Bucket=bucket["Name"], Key=entry["Key"])
