"""Growth: 1 to 10,000 small files through the queue, by one worker.

With a tiny model, so that what Reviewbox and its cloud take is seen, and up to 1,000 with the shipped one.
"""

import tempfile
import time
from pathlib import Path

from tests.benchmarks import uploads
from tests.benchmarks.apart import Traffic, cloud_apart, process_apart
from tests.benchmarks.figures import Figures, machine, quick, say, write
from tests.benchmarks.memory import tiny_model
from tests.benchmarks.texts import mixed

NAME = "growth"
TINY, SHIPPED = "tiny model", "shipped model"
# How many wait at once: the local queue takes longer the more there are, which SQS does not.
WAVE = 1000
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
    say(f"{NAME}: {files} files")
    with cloud_apart() as apart, process_apart(uploads.start, apart.cloud, model) as process:
        uploads.drop(apart.cloud, uploads.files(mixed(1, "the first"), "first"))
        process.submit(uploads.drain, apart.cloud).result()
        bodies = list(uploads.files(mixed(files, "small files"), "files").items())
        spent: list[uploads.Spent] = []
        traffic: list[Traffic] = []
        until_idle = 0.0
        for start in range(0, files, WAVE):
            keys = uploads.drop(apart.cloud, dict(bodies[start : start + WAVE]))
            with apart.delayed(0) as so_far:
                started = time.perf_counter()
                spent.append(process.submit(uploads.drain, apart.cloud).result())
                until_idle += time.perf_counter() - started
                traffic.append(so_far())
            uploads.check(apart.cloud, keys, len(keys))
    return {
        "files": files,
        "invocations": sum(each.invocations for each in spent),
        "requests": sum(each.requests for each in traffic),
        "cloud_seconds": sum(each.seconds for each in traffic),
        "wall_seconds": sum(each.wall for each in spent),
        "processor_seconds": sum(each.processor for each in spent),
        "seconds_until_idle": until_idle,
        "peak_megabytes": spent[-1].peak_megabytes,
    }


if __name__ == "__main__":
    main()
