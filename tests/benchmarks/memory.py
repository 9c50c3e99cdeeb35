"""Memory against a table's size, 10 MB to 1 GB: the most that the function's process holds.

The model is tiny, or none for the handler that tutorials teach, so that what a table takes is what is seen. A
row has about 2,000 bytes, a sentence of them the review.
"""

import json
import random
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.benchmarks import tutorial, uploads
from tests.benchmarks.apart import cloud_apart, peak_megabytes, process_apart
from tests.benchmarks.classifier import review
from tests.benchmarks.figures import Figures, machine, quick, say, write
from tests.tiny import write_model

from reviewbox.local.cloud import BUCKET, Cloud

NAME, TABLE = "memory", "table.jsonl"
MEGABYTES = (10, 30, 100, 300, 1000)
# The tutorials' handler holds a table many times over: the largest would not leave the cloud enough.
TUTORIAL_MEGABYTES = 300

REVIEWBOX, TUTORIAL = "Reviewbox", "tutorial"


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = quick(__doc__.splitlines()[0])
    sizes = (1, 3, 10, 30) if rehearsal else MEGABYTES
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model(Path(folder))
        runs = []
        for megabytes in sizes:
            say(f"{NAME}: {megabytes} MB")
            runs.append(of_reviewbox(megabytes, model, Path(folder)))
            if megabytes <= TUTORIAL_MEGABYTES:
                runs.append(of_tutorial(megabytes, Path(folder)))
    done = [run for run in runs if run["who"] == REVIEWBOX and run["error"] is None]
    figures: Figures = {
        "machine": machine("onnxruntime", "boto3", "moto"),
        "runs": runs,
        "headlines": {
            "largest table that is classified, MB": max((run["megabytes"] for run in done), default=0),
            "most memory, MB": max((run["peak_megabytes"] for run in done), default=0),
        },
    }
    write(NAME, figures, rehearsal=rehearsal)


def tiny_model(folder: Path) -> Path:
    """Write a model of a few nodes that takes long windows."""
    model = write_model(folder / "model")
    (model / "bundle.json").write_text(json.dumps({"window_tokens": 512}), encoding="utf-8")
    return model


def of_reviewbox(megabytes: int, model: Path, folder: Path) -> Figures:
    """Have one table of a size classified in a fresh process."""
    rows = write_table(folder / TABLE, megabytes)
    with cloud_apart() as apart, process_apart(uploads.start, apart.cloud, model) as process:
        key = put(apart.cloud, apart.cloud.environment["REVIEWBOX_SOURCE_PREFIX"], folder)
        before = process.submit(peak_megabytes).result()
        spent = process.submit(uploads.drain, apart.cloud).result()
        receipt = uploads.receipt(apart.cloud, key)
    return {
        "who": REVIEWBOX,
        "megabytes": megabytes,
        "rows": rows,
        "classified": receipt.get("counts", {}).get("total", 0),
        "error": receipt.get("error", {}).get("code"),
        "invocations": spent.invocations,
        "idle_megabytes": before,
        "peak_megabytes": spent.peak_megabytes,
        "wall_seconds": spent.wall,
    }


def of_tutorial(megabytes: int, folder: Path) -> Figures:
    """Have the tutorials' handler take the same table, without a model."""
    rows = write_table(folder / TABLE, megabytes)
    with cloud_apart() as apart, process_apart(tutorial.start, apart.cloud, tutorial.none, folder) as process:
        key = put(apart.cloud, "tutorial/", folder)
        before = process.submit(peak_megabytes).result()
        _, wall = process.submit(tutorial.work, [key]).result()
        after = process.submit(peak_megabytes).result()
    return {
        "who": TUTORIAL,
        "megabytes": megabytes,
        "rows": rows,
        "classified": rows,
        "error": None,
        "invocations": 1,
        "idle_megabytes": before,
        "peak_megabytes": after,
        "wall_seconds": wall,
    }


def put(cloud: Cloud, prefix: str, folder: Path) -> str:
    """Put the table under a prefix; return its key."""
    with (folder / TABLE).open("rb") as body:
        cloud.s3().put_object(Bucket=BUCKET, Key=prefix + TABLE, Body=body)
    return prefix + TABLE


def write_table(path: Path, megabytes: int) -> int:
    """Write a table of about such a size; return how many rows it has."""
    rows = 0
    with path.open("wb") as file:
        for row in made_up_rows():
            if file.tell() + len(row) > 1e6 * megabytes:
                break
            file.write(row)
            rows += 1
    return rows


def made_up_rows() -> Iterator[bytes]:
    """Yield rows of JSON Lines without end: of a thousand texts, each time with another number."""
    generator = random.Random("rows")  # noqa: S311 - texts, not secrets
    rows = [
        {"text": review(generator, (1, 2)), "notes": review(generator, (25, 30))[:1800]} for _ in range(1000)
    ]
    for number in count():
        yield json.dumps({"id": number, **rows[number % len(rows)]}).encode() + b"\n"


if __name__ == "__main__":
    main()
