"""Drive as many files as this machine can into `reviewbox local` for ten minutes, and check every result."""

import json
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from tests.benchmarks.figures import ROOT, Figures, describe_machine, is_rehearsal, report, write_figures
from tests.benchmarks.texts import generate_mix

from reviewbox.local.cloud import BUCKET
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NAME = "load"
SECONDS, REHEARSAL_SECONDS = 600, 30
# At most this many files are under way: a new one is uploaded when another has its result. So no backlog
# grows, and the rate is the highest at which results keep up.
UNDER_WAY = 100
CLIENTS = 4
SECONDS_BETWEEN_LISTINGS = 0.1
MAX_DRAIN_SECONDS = 60  # for the results of files that are under way when time runs out
MAX_START_SECONDS, MAX_STOP_SECONDS = 60, 10  # those of the local cloud
INTERVALS = 60  # how many the figures over time have
DISTINCT_TEXTS = 200
PERCENTILES = (50, 90, 99)

SOURCES, RESULTS = "incoming/load/", "results/incoming/load/"


@dataclass(slots=True)
class Drive:
    """The files of a run, by number.

    Attributes:
        texts: the reviews, which take turns.
        expected: the verdict for each of them.
        uploaded: when the upload of each file ended.
        finished: when the result of each file was first seen.
        wrong: the files whose result is not that of their text.
    """

    texts: list[str]
    expected: list[Verdict]
    uploaded: dict[int, float] = field(default_factory=dict)
    finished: dict[int, float] = field(default_factory=dict)
    wrong: list[int] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(UNDER_WAY))

    def upload_until(self, end: float, s3: "S3Client") -> None:
        """Upload files one after the other while there is time."""
        while (remaining := end - time.perf_counter()) > 0 and self.slots.acquire(timeout=remaining):
            number = next(self.numbers)
            body = self.texts[number % len(self.texts)].encode()
            s3.put_object(Bucket=BUCKET, Key=f"{SOURCES}{number}.txt", Body=body)
            self.uploaded[number] = time.perf_counter()

    def collect(self, s3: "S3Client") -> None:
        """Check the results so far. Remove them and their sources, which the cloud keeps in memory."""
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=RESULTS).get("Contents", [])
        now = time.perf_counter()
        for item in listed:
            number = int(item["Key"].removeprefix(RESULTS).partition(".")[0])
            body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            if number in self.finished or not self._is_right(number, json.loads(body)):
                self.wrong.append(number)
            self.finished[number] = now
        keys = [item["Key"] for item in listed]
        keys += [key.removeprefix("results/").removesuffix(".json") for key in keys]
        if keys:
            s3.delete_objects(
                Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        for _ in listed:
            self.slots.release()

    def _is_right(self, number: int, receipt: dict[str, Any]) -> bool:
        expected = self.expected[number % len(self.texts)]
        is_own = receipt["source"]["key"] == f"{SOURCES}{number}.txt"
        return is_own and receipt.get("sentiment") == expected.label


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = is_rehearsal(__doc__.splitlines()[0])
    seconds = REHEARSAL_SECONDS if rehearsal else SECONDS
    texts = generate_mix(DISTINCT_TEXTS, "load")
    outcomes = Classifier.load().classify_each(texts, explain=False)
    drive = Drive(texts, [outcome for outcome in outcomes if isinstance(outcome, Verdict)])
    if len(drive.expected) < len(texts):
        raise RuntimeError("a text has no verdict")
    report(f"{NAME}: {seconds} seconds")
    with local_cloud() as cloud:
        figures = run(drive, cloud, seconds)
    write_figures(NAME, figures, rehearsal=rehearsal)
    report(summary(figures))


@dataclass(frozen=True, slots=True)
class Sample:
    """The memory of the local cloud at some time after the start."""

    seconds: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """A running `reviewbox local`."""

    endpoint: str
    process: int

    def s3(self) -> "S3Client":
        """Return a new client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(connect_timeout=5, read_timeout=30),
        )

    def megabytes(self) -> float:
        """Return the resident memory of the process."""
        status = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8")
        (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kilobytes) * 1024 / 1e6


@contextmanager
def local_cloud() -> Iterator[LocalCloud]:
    """Run `reviewbox local` until the context ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from reviewbox.cli import app; app()", "local", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        cloud = LocalCloud(f"http://127.0.0.1:{port}", process.pid)
        try:
            _wait_until_ready(cloud, process)
            yield cloud
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(MAX_STOP_SECONDS)
            process.kill()


def _wait_until_ready(cloud: LocalCloud, process: "subprocess.Popen[bytes]") -> None:
    s3, end = cloud.s3(), time.perf_counter() + MAX_START_SECONDS
    while process.poll() is None and time.perf_counter() < end:
        try:
            s3.head_bucket(Bucket=BUCKET)
        except BotoCoreError:  # it does not listen or answer yet
            time.sleep(0.5)
        else:
            return
    raise RuntimeError("`reviewbox local` has ended or does not answer; see its messages above")


def run(drive: Drive, cloud: LocalCloud, seconds: float) -> Figures:
    """Drive files into the cloud for some seconds, and then wait until each has its result.

    Raises:
        RuntimeError: a result is missing, wrong or there twice.
    """
    start = time.perf_counter()
    clients = [
        threading.Thread(target=drive.upload_until, args=(start + seconds, cloud.s3()), daemon=True)
        for _ in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    s3 = cloud.s3()
    memory: list[Sample] = []
    while any(client.is_alive() for client in clients) or len(drive.finished) < len(drive.uploaded):
        time.sleep(SECONDS_BETWEEN_LISTINGS)
        drive.collect(s3)
        memory.append(Sample(time.perf_counter() - start, cloud.megabytes()))
        if memory[-1].seconds > seconds + MAX_DRAIN_SECONDS:
            break
    missing = drive.uploaded.keys() - drive.finished.keys()
    if missing or drive.wrong:
        raise RuntimeError(
            f"{len(missing)} results are missing, and {len(drive.wrong)} are wrong or there twice"
        )
    return summarize(drive, memory, start)


def summarize(drive: Drive, memory: Sequence[Sample], start: float) -> Figures:
    """Return the figures of a run: of all of it, and over time."""
    latencies = {number: drive.finished[number] - end for number, end in drive.uploaded.items()}
    seconds = memory[-1].seconds
    length = seconds / INTERVALS
    intervals = []
    for index in range(INTERVALS):
        finished = [n for n, end in drive.finished.items() if index <= (end - start) / length < index + 1]
        used = [sample.megabytes for sample in memory if index <= sample.seconds / length < index + 1]
        if finished and used:
            intervals.append(
                {
                    "minutes": (index + 1) * length / 60,
                    "files_per_second": len(finished) / length,
                    "latency_seconds": percentiles([latencies[number] for number in finished]),
                    "megabytes": max(used),
                }
            )
    second_quarter, last_quarter = (
        statistics.median(sample.megabytes for sample in memory if low <= sample.seconds / seconds < high)
        for low, high in ((0.25, 0.5), (0.75, 1))
    )
    return {
        "machine": describe_machine("onnxruntime", "boto3", "moto"),
        "seconds": seconds,
        "under_way": UNDER_WAY,
        "uploads": len(drive.uploaded),
        "results": len(drive.finished),
        "wrong": len(drive.wrong),
        "files_per_second": len(drive.finished) / seconds,
        "latency_seconds": {**percentiles(list(latencies.values())), "max": max(latencies.values())},
        "second_quarter_megabytes": second_quarter,
        "last_quarter_megabytes": last_quarter,
        "intervals": intervals,
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the percentiles of some values, by their names."""
    cuts = statistics.quantiles([*values, *values], n=100, method="inclusive")
    return {str(percent): cuts[percent - 1] for percent in PERCENTILES}


def summary(figures: Figures) -> str:
    """Return one line about a run."""
    latency = ", ".join(f"p{name} {value:.2f} s" for name, value in figures["latency_seconds"].items())
    return (
        f"{NAME}: {figures['uploads']:,} uploads, {figures['results']:,} right results in "
        f"{figures['seconds']:.0f} s ({figures['files_per_second']:.0f} a second); latency {latency}; memory "
        f"{figures['second_quarter_megabytes']:.0f} MB in the second quarter, "
        f"{figures['last_quarter_megabytes']:.0f} MB in the last"
    ).replace("pmax", "max")


if __name__ == "__main__":
    main()
