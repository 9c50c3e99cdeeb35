"""Growth: 1 to 10,000 small files waiting in the queue, one worker.

With a tiny model, so that what Reviewbox and its cloud take is seen, and up to 1,000 with the shipped one.
"""

import tempfile
import time
from pathlib import Path

from tests.benchmarks import uploads
from tests.benchmarks.apart import cloud_apart, process_apart
from tests.benchmarks.figures import Figures, machine, quick, write
from tests.benchmarks.memory import tiny_model
from tests.benchmarks.texts import mixed

NAME = "growth"
TINY, SHIPPED = "tiny model", "shipped model"
COUNTS = {TINY: (1, 10, 100, 1000, 10_000), SHIPPED: (1, 10, 100, 1000)}


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = quick(__doc__.splitlines()[0])
    with tempfile.TemporaryDirectory() as folder:
        models = {TINY: tiny_model(Path(folder)), SHIPPED: None}
        runs = [
            {"model": name, **measured(files, models[name])}
            for name, counts in COUNTS.items()
            for files in (counts[:2] if rehearsal else counts)
        ]
    most = {
        name: max((run for run in runs if run["model"] == name), key=lambda run: run["files"])
        for name in COUNTS
    }
    figures: Figures = {
        "machine": machine("onnxruntime", "boto3", "moto"),
        "runs": runs,
        "headlines": {
            f"{name}, {run['files']:,} files: milliseconds a file": 1000 * run["wall_seconds"] / run["files"]
            for name, run in most.items()
        },
    }
    write(NAME, figures, rehearsal=rehearsal)


def measured(files: int, model: Path | None) -> Figures:
    """Have so many files classified by a fresh process, which has done one before."""
    with cloud_apart() as apart, process_apart(uploads.start, apart.cloud, model) as process:
        uploads.drop(apart.cloud, uploads.files(mixed(1, "the first"), "first"))
        process.submit(uploads.drain, apart.cloud).result()
        keys = uploads.drop(apart.cloud, uploads.files(mixed(files, "small files"), "files"))
        started = time.perf_counter()
        with apart.delayed(0) as traffic:
            spent = process.submit(uploads.drain, apart.cloud).result()
            sent = traffic()
        until_idle = time.perf_counter() - started
        uploads.check(apart.cloud, keys[-100:], len(keys[-100:]))
    return {
        "files": files,
        "invocations": spent.invocations,
        "requests": sent.requests,
        "cloud_seconds": sent.seconds,
        "wall_seconds": spent.wall,
        "processor_seconds": spent.processor,
        "seconds_until_idle": until_idle,
        "peak_megabytes": spent.peak_megabytes,
    }


if __name__ == "__main__":
    main()
