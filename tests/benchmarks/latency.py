"""Small files against S3's latency: how much longer than inference alone, with 0, 25 and 100 ms a request.

Every request to S3 waits so long before it is answered, by a stand-in that takes hardly any processor time.
Inference alone is the classifier on the same reviews, evidence included, in the same process.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from tests.benchmarks import uploads
from tests.benchmarks.apart import Traffic, cloud_apart, process_apart
from tests.benchmarks.classifier import MODEL
from tests.benchmarks.figures import Figures, machine, quick, say, write
from tests.benchmarks.stand_in import s3_apart
from tests.benchmarks.texts import mixed

from reviewbox.local.cloud import Cloud
from reviewbox.model.classifier import Classifier

NAME = "latency"
MILLISECONDS = (0, 25, 100)
GOAL_MILLISECONDS = 25  # at which the handler is to take at most 1.2 times as long as inference

_classifiers: list[Classifier] = []


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = quick(__doc__.splitlines()[0])
    files, rounds = (20, 1) if rehearsal else (200, 3)
    texts = mixed(files, "small files")
    runs: dict[int, list[tuple[uploads.Spent, float, Traffic]]] = {each: [] for each in MILLISECONDS}
    with (
        cloud_apart() as apart,
        s3_apart(apart.cloud) as s3,
        process_apart(start, apart.cloud, s3.cloud.endpoint) as process,
    ):
        for number in range(rounds):
            say(f"{NAME}: round {number + 1} of {rounds}")
            for milliseconds in MILLISECONDS:
                inference = process.submit(classify, texts).result()
                bodies = uploads.files(texts, f"{number}/{milliseconds}")
                keys = uploads.drop(s3.cloud, bodies)
                uploads.drop(apart.cloud, bodies)  # which tells the queue
                with s3.delayed(milliseconds / 1000) as traffic:
                    spent = process.submit(uploads.drain, apart.cloud).result()
                    runs[milliseconds].append((spent, inference, traffic()))
                uploads.check(s3.cloud, keys, files)
        batch_size = apart.cloud.batch_size

    figures: Figures = {
        "machine": machine("onnxruntime", "boto3"),
        "rounds": rounds,
        "files": files,
        "batch_size": batch_size,
        "runs": [
            {
                "milliseconds": milliseconds,
                "wall_seconds": [spent.wall for spent, _, _ in of_latency],
                "processor_seconds": [spent.processor for spent, _, _ in of_latency],
                "inference_seconds": [inference for _, inference, _ in of_latency],
                "invocations": of_latency[0][0].invocations,
                "requests": statistics.median(sent.requests for _, _, sent in of_latency),
                "cloud_seconds": [sent.seconds for _, _, sent in of_latency],
            }
            for milliseconds, of_latency in runs.items()
        ],
    }
    figures["headlines"] = {
        f"{run['milliseconds']} ms: times inference alone": times_inference(run) for run in figures["runs"]
    }
    write(NAME, figures, rehearsal=rehearsal)


def start(cloud: Cloud, s3: str) -> None:
    """Start the function in this process, with S3 at another endpoint, and a classifier beside it."""
    uploads.start(replace(cloud, environment={**cloud.environment, "AWS_ENDPOINT_URL_S3": s3}))
    _classifiers[:] = [Classifier.load(MODEL, threads=1)]


def classify(texts: Sequence[str]) -> float:
    """Return the seconds that the classifier takes."""
    (classifier,) = _classifiers
    started = time.perf_counter()
    for _ in classifier.classify_each(texts):
        pass
    return time.perf_counter() - started


def times_inference(run: Figures) -> float:
    """Return how many times as long as inference alone it took, the median of the rounds."""
    pairs = zip(run["wall_seconds"], run["inference_seconds"], strict=True)
    times: float = statistics.median(wall / inference for wall, inference in pairs)
    return times


def in_turn(figures: Figures, run: Figures) -> float:
    """Return the milliseconds of a file whose requests wait one after the other, and then inference alone."""
    inference = 1000 * statistics.median(run["inference_seconds"])
    waiting = run["requests"] * run["milliseconds"]
    per_file: float = (inference + waiting) / figures["files"]
    return per_file


if __name__ == "__main__":
    main()
