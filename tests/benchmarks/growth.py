"""Measure how time and memory grow with 1 to 10,000 small files in the queue, with one worker.

A tiny model shows the overhead of Reviewbox and the local cloud. The shipped model takes up to 1,000 files.
"""

import tempfile
import time
from pathlib import Path

from tests.benchmarks import uploads
from tests.benchmarks.figures import Figures, describe_machine, is_rehearsal, report, write_figures
from tests.benchmarks.memory import write_tiny_model
from tests.benchmarks.processes import Traffic, cloud_process, worker_process
from tests.benchmarks.texts import generate_mix

NAME = "growth"
TINY, SHIPPED = "tiny model", "shipped model"
COUNTS = {TINY: (1, 10, 100, 1000, 10_000), SHIPPED: (1, 10, 100, 1000)}
# At most this many files wait at once: unlike SQS, the local queue slows down as it gets longer.
WAVE = 1000


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = is_rehearsal(__doc__.splitlines()[0])
    with tempfile.TemporaryDirectory() as folder:
        models = {TINY: write_tiny_model(Path(folder)), SHIPPED: None}
        runs = [
            {"model": name, **measure(files, models[name])}
            for name, counts in COUNTS.items()
            for files in (counts[:2] if rehearsal else counts)
        ]
    largest = {
        name: max((run for run in runs if run["model"] == name), key=lambda run: run["files"])
        for name in COUNTS
    }
    figures: Figures = {
        "machine": describe_machine("onnxruntime", "boto3", "moto"),
        "runs": runs,
        "headlines": {
            f"{name}, {run['files']:,} files: milliseconds a file": 1000 * run["wall_seconds"] / run["files"]
            for name, run in largest.items()
        },
    }
    write_figures(NAME, figures, rehearsal=rehearsal)


def measure(files: int, model: Path | None) -> Figures:
    """Classify `files` files in a new process, after one file as a warm-up."""
    report(f"{NAME}: {files} files")
    with cloud_process() as server, worker_process(uploads.start, server.cloud, model) as worker:
        uploads.drop(server.cloud, uploads.text_files(generate_mix(1, "the first"), "first"))
        worker.submit(uploads.drain, server.cloud).result()
        bodies = list(uploads.text_files(generate_mix(files, "small files"), "files").items())
        usages: list[uploads.Usage] = []
        traffics: list[Traffic] = []
        until_idle = 0.0
        for start in range(0, files, WAVE):
            keys = uploads.drop(server.cloud, dict(bodies[start : start + WAVE]))
            with server.delayed(0) as traffic:
                started = time.perf_counter()
                usages.append(worker.submit(uploads.drain, server.cloud).result())
                until_idle += time.perf_counter() - started
                traffics.append(traffic())
            uploads.check(server.cloud, keys, len(keys))
    return {
        "files": files,
        "invocations": sum(usage.invocations for usage in usages),
        "requests": sum(traffic.requests for traffic in traffics),
        "cloud_seconds": sum(traffic.seconds for traffic in traffics),
        "wall_seconds": sum(usage.wall for usage in usages),
        "processor_seconds": sum(usage.processor for usage in usages),
        "seconds_until_idle": until_idle,
        "peak_megabytes": usages[-1].peak_megabytes,
    }


if __name__ == "__main__":
    main()
