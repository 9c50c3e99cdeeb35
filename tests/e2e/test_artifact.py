"""What `make build` made, run as Lambda runs it: AWS's Runtime Interface Emulator starts AWS's runtime
client in the artifact's folder and hands it events; the local cloud is S3.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from reviewbox.local.cloud import BUCKET, Cloud, start_cloud
from reviewbox.local.function import deliver

ROOT = Path(__file__).resolve().parents[2]
ARTIFACT = ROOT / "build/OnUpload"
PYTHON = ROOT / ".venv-e2e/bin/python"
EMULATOR = "lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"

EVENTS = sorted((ROOT / "tests/events").glob("*.json"))
OBJECTS = json.loads(Path(__file__).with_name("objects.json").read_text(encoding="utf-8"))

LOG = ROOT / "build/e2e.log"

Invoke = Callable[[Any], Any]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with start_cloud(ROOT / "template.yaml", port=0) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def invoke(cloud: Cloud) -> Iterator[Invoke]:
    """The running function: it returns what the handler does, or its error's `errorType` and message."""
    (emulator,) = (ROOT / ".venv-sam").glob(EMULATOR)
    port, api_port = free_port(), free_port()
    command = [emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{api_port}"]
    command += [PYTHON, "-m", "awslambdaric", cloud.handler]
    # Nothing of this shell: a CI variable, say, would switch off what Lambda has switched on.
    environment = {
        **cloud.environment,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "100",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "LAMBDA_TASK_ROOT": str(ARTIFACT),
        "PATH": os.defpath,
    }
    with LOG.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=ARTIFACT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_for(port)
            address = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
            yield lambda event: urllib3.request(
                "POST", address, json=event, timeout=120, retries=False
            ).json()
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the emulator and the runtime it started
            process.wait(10)


@pytest.fixture
def s3(cloud: Cloud) -> Iterator[Any]:
    """The cloud's S3, holding the objects that the sample events name."""
    s3 = cloud.s3()
    for key, text in OBJECTS.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    yield s3
    for key in [*OBJECTS, *keys(s3)]:
        s3.delete_object(Bucket=BUCKET, Key=key)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("s3")
def test_every_sample_event_is_answered(path: Path, invoke: Invoke) -> None:
    assert invoke(load(path)) == {"batchItemFailures": []}


def test_a_review_comes_back_as_its_verdict(invoke: Invoke, s3: Any) -> None:
    invoke(load("s3_put"))

    assert keys(s3) == ["results/incoming/hotels/seaview.txt.json"]
    receipt = read_json(s3, "results/incoming/hotels/seaview.txt.json")
    assert receipt["sentiment"] == "positive"
    assert receipt["score"] > 0.8


def test_a_batch_brings_each_object_its_result(invoke: Invoke, s3: Any) -> None:
    """Keys are decoded once: a plus sign, a space and an accent arrive as they were."""
    invoke(load("sqs_s3"))

    review, table = "results/incoming/2026/my review+é.txt.json", "results/incoming/shop/earphones.jsonl"
    assert keys(s3) == [review, f"{table}.classified.jsonl", f"{table}.json"]
    assert read_json(s3, review)["sentiment"] == "negative"
    assert read_json(s3, f"{table}.json")["counts"]["labels"] == {"negative": 1, "positive": 2}
    rows = [json.loads(row) for row in read(s3, f"{table}.classified.jsonl").splitlines()]
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert [row["sentiment"] for row in rows] == ["positive", "negative", None, "positive"]
    assert rows[2]["error_code"] == "empty_review"


def test_a_key_from_eventbridge_is_not_decoded(invoke: Invoke, s3: Any) -> None:
    invoke(load("sqs_eventbridge"))

    assert keys(s3) == ["results/incoming/2026/my review+é.txt.json"]


def test_an_event_delivered_twice_changes_nothing(invoke: Invoke, s3: Any) -> None:
    invoke(load("sqs_s3"))
    before = versions(s3)

    invoke(load("sqs_s3"))

    assert len(before) == 3
    assert versions(s3) == before


def test_what_is_dropped_reaches_the_function_through_the_queue(
    invoke: Invoke, cloud: Cloud, s3: Any
) -> None:
    while deliver(cloud, lambda event, _: invoke(event)):
        pass

    assert {f"results/{key}.json" for key in OBJECTS} <= set(keys(s3))


@pytest.mark.usefixtures("s3")
def test_a_message_that_means_nothing_is_the_only_one_to_return(invoke: Invoke) -> None:
    event = load("sqs_s3")
    event["Records"][0]["body"] = "{}"

    reply = invoke(event)

    assert reply == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}


@pytest.mark.usefixtures("s3")
def test_the_log_holds_no_review_text(invoke: Invoke) -> None:
    for path in EVENTS:
        invoke(load(path))

    log = LOG.read_text(encoding="utf-8")
    assert "hotels/seaview.txt" in log
    assert not [text for text in ("spotless", "money back", "Superb sound") if text in log]


def load(event: str | Path) -> Any:
    path = event if isinstance(event, Path) else ROOT / f"tests/events/{event}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def keys(s3: Any) -> list[str]:
    """Return the keys of all results."""
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")
    return [entry["Key"] for entry in found.get("Contents", [])]


def versions(s3: Any) -> dict[str, Any]:
    """Return when each result was written, and its ETag."""
    heads = {key: s3.head_object(Bucket=BUCKET, Key=key) for key in keys(s3)}
    return {key: (head["LastModified"], head["ETag"]) for key, head in heads.items()}


def read(s3: Any, key: str) -> str:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()


def read_json(s3: Any, key: str) -> Any:
    return json.loads(read(s3, key))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    """Wait until something listens there."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
