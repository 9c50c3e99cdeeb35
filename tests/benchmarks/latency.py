"""Measure small files at several S3 latencies (0, 25 and 100 ms per request), relative to inference alone.

An S3 stub that takes little processor time delays every response. "Inference alone" is the classifier on the
same reviews in the same process, evidence included.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.benchmarks import uploads
from tests.benchmarks.figures import MODEL, Figures, describe_machine, is_rehearsal, report, write_figures
from tests.benchmarks.processes import Traffic, cloud_process, worker_process
from tests.benchmarks.s3_stub import s3_stub
from tests.benchmarks.texts import generate_mix

from reviewbox.local.cloud import Cloud
from reviewbox.model.classifier import Classifier

NAME = "latency"
MILLISECONDS = (0, 25, 100)
GOAL_MILLISECONDS = 25  # at this latency, the handler should take at most 1.2 times as long as inference

_classifiers: list[Classifier] = []


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement at one latency; `inference` is the seconds that the classifier takes alone."""

    usage: uploads.Usage
    inference: float
    traffic: Traffic


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = is_rehearsal(__doc__.splitlines()[0])
    files, round_count = (20, 1) if rehearsal else (200, 3)
    texts = generate_mix(files, "small files")
    rounds_by_latency: dict[int, list[Round]] = {milliseconds: [] for milliseconds in MILLISECONDS}
    with (
        cloud_process() as server,
        s3_stub(server.cloud) as s3,
        worker_process(start, server.cloud, s3.cloud.endpoint) as worker,
    ):
        for number in range(round_count):
            report(f"{NAME}: round {number + 1} of {round_count}")
            for milliseconds, rounds in rounds_by_latency.items():
                inference = worker.submit(time_inference, texts).result()
                bodies = uploads.text_files(texts, f"{number}/{milliseconds}")
                keys = uploads.drop(s3.cloud, bodies)
                uploads.drop(server.cloud, bodies)  # sends the notifications, which the stub does not
                with s3.delayed(milliseconds / 1000) as traffic:
                    usage = worker.submit(uploads.drain, server.cloud).result()
                    rounds.append(Round(usage, inference, traffic()))
                uploads.check(s3.cloud, keys, files)
        batch_size = server.cloud.batch_size

    figures: Figures = {
        "machine": describe_machine("onnxruntime", "boto3"),
        "rounds": round_count,
        "files": files,
        "batch_size": batch_size,
        "runs": [
            {
                "milliseconds": milliseconds,
                "wall_seconds": [measured.usage.wall for measured in rounds],
                "processor_seconds": [measured.usage.processor for measured in rounds],
                "inference_seconds": [measured.inference for measured in rounds],
                "invocations": rounds[0].usage.invocations,
                "requests": statistics.median(measured.traffic.requests for measured in rounds),
                "cloud_seconds": [measured.traffic.seconds for measured in rounds],
            }
            for milliseconds, rounds in rounds_by_latency.items()
        ],
    }
    figures["headlines"] = {
        f"{run['milliseconds']} ms: times inference alone": times_inference(run) for run in figures["runs"]
    }
    write_figures(NAME, figures, rehearsal=rehearsal)


def start(cloud: Cloud, s3_endpoint: str) -> None:
    """Load the function in this process, with a different endpoint for S3, and a classifier."""
    uploads.start(replace(cloud, environment={**cloud.environment, "AWS_ENDPOINT_URL_S3": s3_endpoint}))
    _classifiers[:] = [Classifier.load(MODEL, threads=1)]


def time_inference(texts: Sequence[str]) -> float:
    """Return the seconds that the classifier takes."""
    (classifier,) = _classifiers
    started = time.perf_counter()
    for _ in classifier.classify_each(texts):
        pass
    return time.perf_counter() - started


def times_inference(run: Figures) -> float:
    """Return the handler's time relative to inference alone, the median of the rounds."""
    pairs = zip(run["wall_seconds"], run["inference_seconds"], strict=True)
    ratio: float = statistics.median(wall / inference for wall, inference in pairs)
    return ratio


def sequential_milliseconds(figures: Figures, run: Figures) -> float:
    """Return the milliseconds per file if inference and all requests ran one after the other."""
    inference = 1000 * statistics.median(run["inference_seconds"])
    waiting = run["requests"] * run["milliseconds"]
    per_file: float = (inference + waiting) / figures["files"]
    return per_file


if __name__ == "__main__":
    main()
