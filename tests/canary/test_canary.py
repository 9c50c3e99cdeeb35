"""No review leaves the buckets: unique texts are uploaded, and searched for wherever else they could be.

The functions run in processes of their own, whose logs, answers, messages, files and connections are seen.
"""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import faulty_codec
from tests.canary.files import EVENT, EXTRA, NAME, VALUE, canary, faulty_files, review, valid_files
from tests.local_cloud import start_cloud

from reviewbox.documents.formats.parquet import decoder
from reviewbox.errors import ErrorCode
from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.local.function import deliver

ROOT = Path(__file__).parents[2]
MAX_BYTES = 60_000
LIMITS = {"REVIEWBOX_MAX_OBJECT_BYTES": str(MAX_BYTES), "REVIEWBOX_SEGMENT_BYTES": "3000"}
ARCHIVED = "incoming/archived.txt"
MISSING_BUCKET = "no-such-bucket"


@dataclass(slots=True)
class Function:
    """A process of the function, and what came out of it.

    Attributes:
        process: the process.
        folder: its logs, its home and its temporary files.
        answers: what it returned or raised.
        messages: the SQS messages that it was given.
    """

    process: "subprocess.Popen[str]"
    folder: Path
    answers: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def invoke(self, handler: str, event: Any, milliseconds: int = 900_000) -> dict[str, Any]:
        """Invoke a handler, and return its answer, or what it raised."""
        assert self.process.stdin
        assert self.process.stdout
        call = {"handler": handler, "event": event, "milliseconds": milliseconds}
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        self.answers.append(answer)
        content: dict[str, Any] = json.loads(answer)
        return content

    def receive(self, event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
        """Take a batch of messages, as an event source mapping delivers it."""
        self.messages += [json.dumps(record) for record in event["Records"]]
        answer: dict[str, Any] = self.invoke("on_upload", event)["answer"]
        return answer

    def read(self, file: str) -> str:
        """Return the content of one of the files that the process wrote."""
        return (self.folder / file).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left after everything was processed.

    Attributes:
        endpoint: the address of the local cloud.
        functions: the processes, which have ended.
        objects: the contents of all objects, by key.
        headers: the metadata and the content type of each result, by key.
        dead_letters: the messages that failed for good.
    """

    endpoint: str
    functions: list[Function]
    objects: Mapping[str, bytes]
    headers: Mapping[str, str]
    dead_letters: list[str]

    @property
    def receipts(self) -> dict[str, str]:
        """The receipts, by key."""
        results = ((key, body) for key, body in self.objects.items() if key.startswith("results/"))
        return {key: body.decode() for key, body in results if key.endswith(".json")}


@contextmanager
def function(cloud: Cloud, folder: Path, variables: Mapping[str, str]) -> Iterator[Function]:
    """Yield a process of the function that can do whatever the cloud and the folder allow."""
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        **cloud.environment,
        **variables,
    }
    with (
        (folder / "stderr").open("w") as errors,
        subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.canary.function", str(folder)],
            cwd=folder / "work",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        yield Function(process, folder)


def notification(key: str, bucket: str = BUCKET) -> dict[str, Any]:
    """Return a notification of S3 that has a canary in every field that we do not need."""
    s3 = {
        "configurationId": canary(EXTRA),
        "bucket": {"name": bucket, "ownerIdentity": {"principalId": canary(EXTRA)}},
        "object": {"key": key, "eTag": canary(EXTRA), "sequencer": canary(EXTRA)},
    }
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": canary(EXTRA),
        "eventTime": canary(EXTRA),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": canary(EXTRA)},
        "requestParameters": {"sourceIPAddress": canary(EXTRA)},
        "responseElements": {"x-amz-request-id": canary(EXTRA)},
        "s3": s3,
    }
    return {"Records": [record]}


def last_delivery(event: Any) -> dict[str, Any]:
    """Return the batch in which SQS delivers an event for the last time."""
    attributes = {"ApproximateReceiveCount": "5", "SenderId": canary(EXTRA)}
    message = {"messageId": "last", "body": json.dumps(event), "attributes": attributes}
    return {"Records": [{"eventSource": "aws:sqs", **message}]}


def strange_events() -> list[Any]:
    """Return events that cannot be parsed, and values that are not events at all."""
    text = review(EVENT)
    return [
        {text: text, "Records": [{"s3": {"bucket": {"name": text}}}]},
        {"Records": [{"eventVersion": text, "s3": {}}, text]},
        {"Type": text, "Message": text},
        {"Type": "Notification", "Message": text},
        {"detail-type": text, "source": text, "detail": {"event-version": text}},
        {"reviewboxSegment": {"bucket": text, "key": 1}},
        [text],
        text,
    ]


def upload(cloud: Cloud, folder: str, files: Mapping[str, bytes]) -> None:
    """Upload files with canaries in their metadata."""
    for file, body in files.items():
        cloud.s3().put_object(
            Bucket=BUCKET,
            Key=f"incoming/{folder}/{file}",
            Body=body,
            Metadata={"author": canary(EXTRA)},
            ContentType=f"application/{canary(EXTRA)}",
            Tagging=f"a={canary(EXTRA)}",
        )


def drop_everything(cloud: Cloud, function: Function) -> None:
    """Upload files and send messages, and deliver until only dead letters are left."""
    upload(cloud, "valid", valid_files())
    upload(cloud, "faulty", faulty_files(MAX_BYTES))
    cloud.s3().put_object(Bucket=BUCKET, Key=ARCHIVED, Body=review().encode(), StorageClass="GLACIER")
    bodies = [json.dumps(event) for event in strange_events()]
    for body in (*bodies, review(EVENT), json.dumps(notification("incoming/a.txt", MISSING_BUCKET))):
        cloud.sqs().send_message(QueueUrl=cloud.queue_url, MessageBody=body)
    while deliver(cloud, function.receive, seconds_to_retry=0):
        pass


def invoke_directly(cloud: Cloud, function: Function) -> None:
    """Invoke both functions without a queue, with good and with strange events, and with too little time."""
    for event in (*strange_events(), notification("incoming/a.txt", MISSING_BUCKET)):
        assert "raised" in function.invoke("on_upload", event)
        assert "raised" in function.invoke("on_batch_operation", event)
    upload(cloud, "late", {"a.txt": review().encode()})
    late = notification("incoming/late/a.txt")
    assert "raised" in function.invoke("on_upload", late, milliseconds=1000)
    assert "answer" in function.invoke("on_upload", last_delivery(late), milliseconds=1000)
    tasks = [
        {"taskId": "task", "s3Key": key, "s3BucketArn": f"arn:aws:s3:::{BUCKET}", "more": review(EVENT)}
        for key in (
            "incoming/valid/a.txt",
            "incoming/faulty/not%20text.txt",
            "incoming/missing.txt",
            "%ff",
            "",
        )
    ]
    request = {"invocationSchemaVersion": "1.0", "invocationId": "1", "job": {"id": canary(EXTRA)}}
    assert "answer" in function.invoke("on_batch_operation", {**request, "tasks": tasks})
    assert "raised" in function.invoke("on_batch_operation", {**request, "tasks": [{"taskId": 1}]})
    sweep = {"bucket": BUCKET, "time": "2100-01-01T00:00:00Z", "more": canary(EXTRA)}
    assert "answer" in function.invoke("on_batch_operation", {"reviewboxSweep": sweep})
    assert "raised" in function.invoke("on_batch_operation", {"reviewboxSweep": canary(EXTRA)})


def meet_other_settings(cloud: Cloud, function: Function) -> None:
    """Provoke the errors that need other settings, or a fault in a reader."""
    fault = b"id,review\n1,%b good film\n2,%b\n" % (canary(VALUE).encode(), faulty_codec.TRIGGER)
    two = f"{canary(NAME)},text,text\n1,{review()},{review()}\n".encode()
    upload(cloud, "other", {"fault.csv": fault, "two.csv": two})
    for file in ("fault.csv", "two.csv"):
        assert "answer" in function.invoke("on_upload", notification(f"incoming/other/{file}"))
    receipt = cloud.s3().get_object(Bucket=BUCKET, Key="results/incoming/other/two.csv.json")["Body"].read()
    foreign = receipt.replace(f'"bucket": "{BUCKET}"'.encode(), b'"bucket": "another-bucket"')
    foreign = foreign.replace(b"two.csv", b"foreign.txt")
    cloud.s3().put_object(Bucket=BUCKET, Key="results/incoming/other/foreign.txt.json", Body=foreign)
    upload(cloud, "other", {"foreign.txt": review().encode()})
    function.invoke("on_upload", notification("incoming/other/foreign.txt"))
    refused = notification("incoming/refused.txt", "a name that S3 refuses")
    assert "answer" in function.invoke("on_upload", last_delivery(refused))


@pytest.fixture(scope="module")
def outcome(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("functions")
    usual = {"REVIEWBOX_MODEL_DIR": str(tiny_model), **LIMITS}
    other = {"REVIEWBOX_FALLBACK_ENCODING": faulty_codec.ENCODING, "REVIEWBOX_TEXT_FIELD": "text"}
    with start_cloud(ROOT / "template.yaml", 0) as cloud:
        with function(cloud, folder / "usual", usual) as first:
            drop_everything(cloud, first)
            invoke_directly(cloud, first)
        with function(
            cloud, folder / "other", {**usual, **other, "REVIEWBOX_RESULTS_BUCKET": BUCKET}
        ) as second:
            meet_other_settings(cloud, second)
        keys = [item["Key"] for item in cloud.s3().list_objects_v2(Bucket=BUCKET)["Contents"]]
        stored = {key: cloud.s3().get_object(Bucket=BUCKET, Key=key) for key in keys if key != ARCHIVED}
        objects = {key: response["Body"].read() for key, response in stored.items()}
        headers = {
            key: repr([response["Metadata"], response["ContentType"]])
            for key, response in stored.items()
            if not key.startswith("incoming/")
        }
        yield Outcome(cloud.endpoint, [first, second], objects, headers, dead_letters(cloud))


def dead_letters(cloud: Cloud) -> list[str]:
    """Return all messages of the dead-letter queue."""
    letters: list[str] = []
    request: Any = {"QueueUrl": cloud.dead_letter_queue_url, "MaxNumberOfMessages": 10}
    request |= {"MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]}
    while messages := cloud.sqs().receive_message(**request).get("Messages"):
        letters += [json.dumps(message) for message in messages]
    return letters


def leaks(text: str, *kinds: str) -> list[str]:
    """Return what is around each canary of these kinds in a text."""
    pattern = "|".join([faulty_codec.SECRET, *(rf"{kind}\d+" for kind in kinds)])
    return [text[max(0, match.start() - 200) : match.end() + 50] for match in re.finditer(pattern, text)]


def test_every_error_of_the_service_was_provoked(outcome: Outcome) -> None:
    """Otherwise it would mean little that nothing is found."""
    results = b" ".join(body for key, body in outcome.objects.items() if key.startswith("results/"))
    logs = "".join(function.read("log.jsonl") for function in outcome.functions)

    assert [code for code in ErrorCode if code.encode() not in results and f"{code}: " not in logs] == []
    assert len(outcome.dead_letters) == len(strange_events()) + 2


def test_the_search_finds_what_is_there(outcome: Outcome) -> None:
    receipt = json.loads(outcome.receipts["results/incoming/valid/a.csv.json"])
    table = outcome.objects[receipt["parts"][0]["key"]].decode()

    assert len(leaks(table, VALUE)) == 4 * 4  # rows, and values of each
    assert len(leaks(table, NAME)) == 1


def test_no_logger_of_any_level_shows_content_or_strange_events(outcome: Outcome) -> None:
    for function in outcome.functions:
        records = [json.loads(line) for line in function.read("log.jsonl").splitlines()]
        assert {record["levelname"] for record in records} >= {"DEBUG", "INFO"}
        for record in records:
            # botocore's debug messages show the headers and the messages that it receives and sends.
            kinds = [VALUE, NAME] if record["levelno"] < logging.INFO else [VALUE, NAME, EVENT, EXTRA]
            assert leaks(json.dumps(record), *kinds) == []


def test_standard_error_and_temporary_files_stay_empty(outcome: Outcome) -> None:
    for function in outcome.functions:
        assert function.read("stderr") == ""
        assert [path for name in ("home", "tmp", "work") for path in (function.folder / name).iterdir()] == []


def test_no_answer_and_no_exception_shows_content_or_strange_events(outcome: Outcome) -> None:
    for function in outcome.functions:
        assert leaks("".join(function.answers), VALUE, NAME, EVENT, EXTRA) == []


def test_no_message_and_no_dead_letter_holds_the_content_of_an_object(outcome: Outcome) -> None:
    messages = [message for function in outcome.functions for message in function.messages]

    assert any("reviewboxSegment" in message for message in messages)
    assert leaks("".join([*messages, *outcome.dead_letters]), VALUE, NAME) == []


def test_receipts_hold_no_content_but_names_of_fields(outcome: Outcome) -> None:
    assert len(outcome.receipts) > 70
    for receipt in outcome.receipts.values():
        assert leaks(receipt, VALUE, EVENT, EXTRA) == []
        content = json.loads(receipt)
        # The field that was chosen and the next best one, or the candidates if none was chosen.
        described = json.dumps([content.get("notes"), content.get("error")], ensure_ascii=False)
        assert len(leaks(receipt, NAME)) == len(leaks(described, NAME))


def test_keys_and_headers_of_results_hold_no_content(outcome: Outcome) -> None:
    for key, headers in outcome.headers.items():
        assert leaks(key + headers, VALUE, NAME, EVENT, EXTRA) == []


def test_functions_start_only_the_program_that_decodes_parquet(outcome: Outcome) -> None:
    programs = [
        attempt
        for function in outcome.functions
        for attempt in map(json.loads, function.read("outside.jsonl").splitlines())
        if attempt[0] not in ("socket.connect", "socket.getaddrinfo")
    ]

    assert {attempt[0] for attempt in programs} == {"subprocess.Popen"}
    for _, executable, arguments, *_ in programs:
        assert executable == repr(sys.executable)
        assert arguments.startswith(repr([sys.executable, "-I", "-S", "-B", decoder.__file__])[:-1])


def test_functions_connect_to_the_endpoint_alone_and_write_nothing(outcome: Outcome) -> None:
    host, _, port = outcome.endpoint.removeprefix("http://").rpartition(":")
    for function in outcome.functions:
        attempts = [json.loads(line) for line in function.read("outside.jsonl").splitlines()]
        assert {attempt[0] for attempt in attempts} - {"subprocess.Popen"} == {
            "socket.connect",
            "socket.getaddrinfo",
        }
        assert {attempt[-1] for attempt in attempts if attempt[0] == "socket.connect"} == {
            repr((host, int(port)))
        }
        names = {tuple(attempt[1:3]) for attempt in attempts if attempt[0] == "socket.getaddrinfo"}
        assert names == {(repr(host), port)}
