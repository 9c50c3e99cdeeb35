"""Measure the function's peak memory for tables of 10 MB to 1 GB.

The model is tiny, and the tutorial handler has none, so the memory measured is that of the table. A row has
about 2,000 bytes, of which the review is one sentence.
"""

import json
import random
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.benchmarks import tutorial, uploads
from tests.benchmarks.figures import Figures, describe_machine, is_rehearsal, report, write_figures
from tests.benchmarks.processes import cloud_process, peak_megabytes, worker_process
from tests.benchmarks.texts import generate_review
from tests.tiny import write_model

from reviewbox.local.cloud import BUCKET, Cloud

NAME, TABLE = "memory", "table.jsonl"
MEGABYTES = (10, 30, 100, 300, 1000)
# The tutorial handler holds a table several times over; a larger one would not leave the cloud enough memory.
TUTORIAL_MEGABYTES = 300

REVIEWBOX, TUTORIAL = "Reviewbox", "tutorial"


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = is_rehearsal(__doc__.splitlines()[0])
    sizes = (1, 3, 10, 30) if rehearsal else MEGABYTES
    with tempfile.TemporaryDirectory() as folder:
        model = write_tiny_model(Path(folder))
        runs = []
        for megabytes in sizes:
            report(f"{NAME}: {megabytes} MB")
            runs.append(measure_reviewbox(megabytes, model, Path(folder)))
            if megabytes <= TUTORIAL_MEGABYTES:
                runs.append(measure_tutorial(megabytes, Path(folder)))
    classified = [run for run in runs if run["who"] == REVIEWBOX and run["error"] is None]
    figures: Figures = {
        "machine": describe_machine("onnxruntime", "boto3", "moto"),
        "runs": runs,
        "headlines": {
            "largest table that is classified, MB": max((run["megabytes"] for run in classified), default=0),
            "most memory, MB": max((run["peak_megabytes"] for run in classified), default=0),
        },
    }
    write_figures(NAME, figures, rehearsal=rehearsal)


def write_tiny_model(folder: Path) -> Path:
    """Write a model of a few nodes that accepts long windows; return its folder."""
    model = write_model(folder / "model")
    (model / "bundle.json").write_text(json.dumps({"window_tokens": 512}), encoding="utf-8")
    return model


def measure_reviewbox(megabytes: int, model: Path, folder: Path) -> Figures:
    """Classify a table in a new process."""
    rows = write_table(folder / TABLE, megabytes)
    with cloud_process() as server, worker_process(uploads.start, server.cloud, model) as worker:
        key = put_table(server.cloud, server.cloud.environment["REVIEWBOX_SOURCE_PREFIX"], folder)
        idle = worker.submit(peak_megabytes).result()
        usage = worker.submit(uploads.drain, server.cloud).result()
        receipt = uploads.read_receipt(server.cloud, key)
    return {
        "who": REVIEWBOX,
        "megabytes": megabytes,
        "rows": rows,
        "classified": receipt.get("counts", {}).get("total", 0),
        "error": receipt.get("error", {}).get("code"),
        "invocations": usage.invocations,
        "idle_megabytes": idle,
        "peak_megabytes": usage.peak_megabytes,
        "wall_seconds": usage.wall,
    }


def measure_tutorial(megabytes: int, folder: Path) -> Figures:
    """Run the tutorial handler on a table in a new process, without a model."""
    rows = write_table(folder / TABLE, megabytes)
    with (
        cloud_process() as server,
        worker_process(tutorial.start, server.cloud, tutorial.no_model, folder) as worker,
    ):
        key = put_table(server.cloud, "tutorial/", folder)
        idle = worker.submit(peak_megabytes).result()
        _, wall = worker.submit(tutorial.handle, [key]).result()
        peak = worker.submit(peak_megabytes).result()
    return {
        "who": TUTORIAL,
        "megabytes": megabytes,
        "rows": rows,
        "classified": rows,
        "error": None,
        "invocations": 1,
        "idle_megabytes": idle,
        "peak_megabytes": peak,
        "wall_seconds": wall,
    }


def put_table(cloud: Cloud, prefix: str, folder: Path) -> str:
    """Upload the table under a prefix; return its key."""
    with (folder / TABLE).open("rb") as body:
        cloud.s3().put_object(Bucket=BUCKET, Key=prefix + TABLE, Body=body)
    return prefix + TABLE


def write_table(path: Path, megabytes: int) -> int:
    """Write a table of at most `megabytes`; return the number of rows."""
    rows = 0
    with path.open("wb") as file:
        for row in generate_rows():
            if file.tell() + len(row) > 1e6 * megabytes:
                break
            file.write(row)
            rows += 1
    return rows


def generate_rows() -> Iterator[bytes]:
    """Yield endless rows of JSON Lines: a thousand texts that repeat, with increasing ids."""
    generator = random.Random("rows")  # noqa: S311 - texts, not secrets
    rows = [
        {"text": generate_review(generator, (1, 2)), "notes": generate_review(generator, (25, 30))[:1800]}
        for _ in range(1000)
    ]
    for number in count():
        yield json.dumps({"id": number, **rows[number % len(rows)]}).encode() + b"\n"


if __name__ == "__main__":
    main()
