"""Where documented commands run: a folder, a shell's environment, and a local cloud with a stack."""

import csv
import json
import math
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from tests.tiny import write_model

from reviewbox.cli.watch import watch_folder
from reviewbox.local.cloud import listen, serve
from reviewbox.local.function import repeated
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.queue import Queue
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

ROOT = Path(__file__).parents[2]
SECONDS = 240  # that a command may take
_MAIN = "from reviewbox.cli import app; app(prog_name='reviewbox')"
# The names that the documentation gives to buckets.
BUCKETS = ("bucket", "my-bucket")
PRODUCTS = {
    "kettle": ("Quiet, fast, easy to clean.", "It leaks after a week."),
    "lamp": ("Lovely light, I bought a second one.", "Broke on the first day, and nobody answers."),
}
PARAMETERS = {"MaxConcurrency": 10, "MemorySize": 1769, "Threads": 1, "MaxObjectBytes": 16_777_216}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A folder in which commands run, and their environment."""

    folder: Path
    environment: dict[str, str]

    def run(self, command: str, answer: str = "y\n") -> subprocess.CompletedProcess[str]:
        """Run a command in a shell, and return how it ended."""
        return subprocess.run(  # noqa: S602 - a shell is what is documented
            command,
            shell=True,
            executable="/bin/bash",
            cwd=self.folder,
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """Yield a folder with the files that the documentation names, and a cloud with its buckets."""
    with listen(0) as listener, serve(listener):
        host, port = listener.getsockname()
        # moto keeps its state per process; what an earlier sandbox created would still be there.
        urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REVIEWBOX_"))
        }
        environment |= {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
            "HOME": str(folder),
            "PATH": f"{_scripts(folder)}:{ROOT / '.venv-docs' / 'bin'}:{ROOT / '.venv-sam' / 'bin'}:"
            + environment["PATH"],
            "VENV": sys.prefix,
        }
        write_files(folder)
        with _environment(environment):
            _create_stack()
            sqs = boto3.client("sqs")
            uploads = Queue(sqs.get_queue_url(QueueName="uploads")["QueueUrl"], sqs)
            with repeated(partial(_drain, uploads), seconds=0.5):
                yield Sandbox(folder, environment)


def write_files(folder: Path) -> None:
    """Write the files that the documentation names."""
    for name in ("reviews", "inbox", "folder", "incoming"):
        (folder / name).mkdir()
        (folder / name / "kettle.txt").write_text("The kettle leaks after a week.\n", encoding="utf-8")
    (folder / "reviews.csv").write_text(
        'text,stars\nThe kettle leaks after a week.,1\n"Quiet, fast, easy to clean.",5\n', encoding="utf-8"
    )
    (folder / "review.txt").write_text("A wonderful film.\n", encoding="utf-8")
    shutil.copy(folder / "reviews.csv", folder / "export.csv")
    subprocess.run(["gzip", "--keep", "export.csv"], cwd=folder, check=True)  # noqa: S607
    for name in ("labeled.csv", "labeled.csv"):
        (folder / name).write_text("text,label\nIt leaks.,negative\nI love it.,positive\n", encoding="utf-8")
    (folder / "model").symlink_to(ROOT / "model")
    (folder / "tests").symlink_to(ROOT / "tests")
    write_model(folder / "candidate")
    write_results(folder)


def write_results(folder: Path) -> None:
    """Write classified reviews of two products on thirty days. On one of them, lamps get bad reviews."""
    inbox = folder / "shop"
    inbox.mkdir()
    shutil.copy(folder / "reviews.csv", inbox)
    first = date(2026, 10, 1)
    with (inbox / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order_id", "product", "created_at", "comment"])
        order = 0
        for day in range(30):
            for product, (good, bad) in PRODUCTS.items():
                for number in range(12 if day == 29 else 1):
                    order += 1
                    is_bad = (day == 29 and product == "lamp") or (day + number) % 9 == 0
                    created = (first + timedelta(days=day)).isoformat()
                    writer.writerow([order, product, created, bad if is_bad else good])
        writer.writerow([order + 1, "lamp", "2026-10-30", "Hm."])
        writer.writerow([order + 2, "lamp", "2026-10-30", ""])
    watcher = watch_folder(inbox, folder / "inbox-results", Classifier.load(), Settings(), lambda *_: None)
    watcher.scan()
    watcher.scan()
    with sqlite3.connect(folder / "orders.db") as database:
        database.execute("CREATE TABLE orders (order_id INTEGER, customer TEXT, total REAL)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)", [(n, f"c{n}", 10.0) for n in range(1, order + 3)]
        )
    database.close()


def upload_results(folder: Path) -> None:
    """Copy the results into each bucket, under the prefix of the documentation."""
    s3 = boto3.client("s3")
    classifier = Classifier.load()
    for bucket in BUCKETS:
        pipeline = Pipeline(S3Storage(s3), classifier, Settings())
        pipeline.process(ObjectRef(bucket, "incoming/reviews.csv"), lambda: math.inf)
        for path in (folder / "inbox-results").rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                key = path.relative_to(folder / "inbox-results").as_posix()
                body = path.read_text(encoding="utf-8")
                if key.endswith(".json"):
                    receipt = json.loads(body)
                    for part in receipt.get("parts", []):
                        part.update(bucket=bucket, key=f"results/{part['key']}")
                    body = json.dumps(receipt)
                s3.put_object(Bucket=bucket, Key=f"results/{key}", Body=body.encode())


def _scripts(folder: Path) -> Path:
    """Return a folder with `reviewbox` and `python` of this environment, and a stand-in for uvx."""
    scripts = folder / ".bin"
    scripts.mkdir()
    for name, command in {
        "python": f'exec "{sys.executable}" "$@"',
        "reviewbox": f'exec "{sys.executable}" -c "{_MAIN}" "$@"',
        "uvx": 'exec "$@"',  # it would install the package first
    }.items():
        (scripts / name).write_text(f"#!/bin/bash\n{command}\n", encoding="utf-8")
        (scripts / name).chmod(0o755)
    return scripts


@contextmanager
def _environment(environment: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _create_stack() -> None:
    """Create the buckets, and a stack called `reviewbox` whose bucket is `bucket`."""
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
        for key in ("incoming/reviews.csv", "prefix/reviews.csv", "incoming/2024/reviews.csv"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"text,stars\nIt leaks after a week.,1\n")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("uploads", "segments", "dead")}
    arns = {
        name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for name, url in urls.items()
    }
    redrive = json.dumps({"deadLetterTargetArn": arns["dead"], "maxReceiveCount": 5})
    for name in ("uploads", "segments"):
        sqs.set_queue_attributes(QueueUrl=urls[name], Attributes={"RedrivePolicy": redrive})
    created: Any = {"QueueArn": arns["uploads"], "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="bucket", NotificationConfiguration={"QueueConfigurations": [created]}
    )
    outputs = {
        "Bucket": "bucket",
        "SourcePrefix": "incoming/",
        "ResultsBucket": "bucket",
        "ResultsPrefix": "results/",
        "QueueUrl": urls["uploads"],
        "SegmentsQueueUrl": urls["segments"],
        "DeadLetterQueueUrl": urls["dead"],
    }
    template = {
        "Parameters": {name: {"Type": "Number", "Default": value} for name, value in PARAMETERS.items()},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName="reviewbox", TemplateBody=json.dumps(template))
    boto3.client("sns").create_topic(Name="reviews")


def _drain(queue: Queue) -> int:
    """Delete what was sent to a queue, as a function that processes it would."""
    return queue.delete(queue.receive(hidden_seconds=30))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
