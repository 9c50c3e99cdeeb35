"""`make bench-cold`: measure the parts of a cold start, and their cost inside and outside the handler.

Each round starts the upload handler of the built artifact in new processes, under Lambda's version of Python,
and classifies one review from the local cloud. The variants alternate, so that other load on the machine
affects all of them equally. Files come from the page cache, and Lambda's sandbox is not measured, so only
shares and ratios carry over to Lambda.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.benchmarks import cold_start_probe as probe
from tests.benchmarks.figures import ROOT
from tests.benchmarks.texts import generate_review
from tests.local_cloud import start_cloud

from reviewbox.local.cloud import BUCKET, Cloud
from reviewbox.model.self_check import processor
from reviewbox.stack import prices

# Variants, named after the difference between their environment and the template's.
THREADS = "OPENBLAS_NUM_THREADS"
DEPLOYED, THREADED, TRACED = "as deployed", f"without {THREADS}", "traced"

DEPTHS = 12  # number of call depths to vary; cold_start_probe.py says why

# The parts that the probe measures, in order, with descriptions. Lambda runs INIT before it has an event.
INIT = {"interpreter": "interpreter", "imports": "imports"}
INSIDE = {
    "onnxruntime": "import of onnxruntime",
    "client": "S3 client",
    "digests": "model: digests of its files",
    "tokenizer": "model: tokenizer",
    "graph": "model: graph",
    "golden": "model: golden reviews",
    "settings": "settings and the rest",
}
FIRST = {"inference": "inference", "requests": "requests and the rest"}
PHASES = {"before the handler": INIT, "making the pipeline": INSIDE, "the first object": FIRST}
PARTS = INIT | INSIDE | FIRST

# Packages by the top-level modules that belong to them; all other modules are the standard library's.
PACKAGES = {
    "numpy": ["numpy"],
    "botocore and what it needs": ["botocore", "dateutil", "jmespath", "six", "urllib3"],
    "boto3, s3transfer": ["boto3", "s3transfer"],
    "tokenizers": ["tokenizers"],
    "reviewbox": ["handlers", "reviewbox"],
    "zstd": ["backports"],
}
STANDARD_LIBRARY = "standard library"

# Modules that some invocations do not need. Importing them only when needed would save this time.
SAVINGS = {
    "zstd, unless a file is compressed so": r"backports\b.*",
    "readers of tables, for single reviews": r"reviewbox\.documents\.formats\.(csv|json).*",
    "readers of HTML and Markdown, for others": r"reviewbox\.documents\.formats\.(html|markdown).*",
    "boto3, were its client made by botocore": r"(boto3|s3transfer|_?multiprocessing|mmap|secrets)\b.*",
}

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")

# Memory sizes of the function: the template's minimum, one in between, and its default, a full processor.
MEMORY_SIZES = (512, 1024, prices.MEGABYTES_PER_VCPU)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One cold start.

    Attributes:
        wall: milliseconds by part.
        processor: milliseconds of processor time by part, of all threads.
        imports: milliseconds by module that the handler's module imports, without nested imports; empty
            unless traced.
    """

    wall: Mapping[str, float]
    processor: Mapping[str, float]
    imports: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class InitCost:
    """The cost of a cold start before the first object, at one memory size of the function.

    The pipeline is created inside the handler, on a share of a processor, or outside, in the init phase, on a
    full processor.

    Attributes:
        megabytes: the memory size of the function.
        seconds_inside: billed seconds if the first invocation creates the pipeline.
        seconds_outside: billed seconds if importing the handler creates it.
        dollars_inside: the cost of a million cold starts with the pipeline created inside.
        dollars_outside: the same with the pipeline created outside.
    """

    megabytes: int
    seconds_inside: float
    seconds_outside: float
    dollars_inside: float
    dollars_outside: float


def main() -> None:
    """Print four tables, and write the figures to a file if asked to."""
    parser = argparse.ArgumentParser(description="Measure cold starts of the upload handler.")
    parser.add_argument("--rounds", type=int, default=25, help="measurements of each variant (25)")
    parser.add_argument("--python", default="python3.13", help="Lambda's version of Python (python3.13)")
    parser.add_argument(
        "--artifact", type=Path, default=ROOT / "build/OnUpload", help="the artifact that `make build` writes"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    if not (arguments.artifact / "handlers").is_dir():
        sys.exit(f"{arguments.artifact} does not contain an artifact; run `make build`")
    # Resolve the executable: a version manager's shim may take longer than the interpreter itself.
    command = [arguments.python, "-c", "import sys; print(sys.executable)"]
    python = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603

    with start_cloud(ROOT / "template.yaml", 0) as cloud:
        starts = measure(cloud, python, arguments.artifact, arguments.rounds)
    console = Console(width=100, highlight=False)
    console.print(
        f"{processor()}, {os.cpu_count()} processors, medians of {arguments.rounds} rounds, each in a new "
        "process. All files are in the page cache, and moto replaces S3."
    )
    figures = {
        "processor": processor(),
        "processors": os.cpu_count(),
        "rounds": arguments.rounds,
        "milliseconds": {variant: medians(runs) for variant, runs in starts.items()},
        "imports": import_times(starts[TRACED]),
        "imports_that_some_do_not_need": import_savings(starts[TRACED]),
        "places": [asdict(cost) for cost in init_costs(starts[DEPLOYED])],
    }
    for table in (
        parts_table(starts[TRACED]),
        savings_table(starts[TRACED]),
        variants_table(starts),
        init_costs_table(starts[DEPLOYED]),
    ):
        console.print(table)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(cloud: Cloud, python: str, artifact: Path, rounds: int) -> dict[str, list[ColdStart]]:
    """Return the cold starts of each variant, after one as a warm-up, which fills the page cache."""
    starts = defaultdict(list)
    for number in range(1 + rounds):
        for variant in (DEPLOYED, THREADED, TRACED):
            cold_start = start(cloud, python, artifact, variant, depth=number % DEPTHS)
            if number:
                starts[variant].append(cold_start)
    return starts


def start(cloud: Cloud, python: str, artifact: Path, variant: str, depth: int) -> ColdStart:
    """Start the handler in a new process, with a review that has no result yet."""
    key = f"{cloud.environment['REVIEWBOX_SOURCE_PREFIX']}{time.monotonic_ns()}.txt"
    text = generate_review(random.Random("a paragraph"), (4, 8))  # noqa: S311 - a text, not a secret
    cloud.s3().put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    environment = {**cloud.environment, "PYTHONPATH": str(artifact)}
    if variant == THREADED:
        del environment[THREADS]
    command = [python, "-P", "-s", *(["-X", "importtime"] if variant == TRACED else []), probe.__file__]
    process = subprocess.run(  # noqa: S603 - our own code
        [*command, str(depth), json.dumps(event(key)), str(time.monotonic_ns())],
        cwd=artifact,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        sys.exit(process.stderr)
    parts = json.loads(process.stdout)
    import_log = process.stderr.split(probe.MARKER)[1]
    return ColdStart(
        wall={part: wall / 1e6 for part, (wall, _) in parts.items()},
        processor={part: processor_ns / 1e6 for part, (_, processor_ns) in parts.items()},
        imports={name: int(own) / 1e3 for own, name in _IMPORT.findall(import_log)},
    )


def event(key: str) -> dict[str, object]:
    """Return the event that SQS delivers for one object."""
    notification = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}},
    }
    message = {"messageId": "1", "eventSource": "aws:sqs", "body": json.dumps({"Records": [notification]})}
    return {"Records": [message]}


def medians(starts: Iterable[ColdStart]) -> dict[str, dict[str, float]]:
    """Return the median of each part's wall and processor time."""
    starts = list(starts)
    return {
        "wall": {part: statistics.median(start.wall[part] for start in starts) for part in PARTS},
        "processor": {part: statistics.median(start.processor[part] for start in starts) for part in PARTS},
    }


def import_times(starts: Iterable[ColdStart]) -> dict[str, float]:
    """Return the median import time of each package in milliseconds, without the packages that it imports."""
    owners = {name: package for package, names in PACKAGES.items() for name in names}
    totals = defaultdict(list)
    for start in starts:
        sums = dict.fromkeys((*PACKAGES, STANDARD_LIBRARY), 0.0)
        for module, own in start.imports.items():
            sums[owners.get(module.partition(".")[0], STANDARD_LIBRARY)] += own
        for package, total in sums.items():
            totals[package].append(total)
    return {package: statistics.median(values) for package, values in totals.items()}


def import_savings(starts: Iterable[ColdStart]) -> dict[str, float]:
    """Return the median import time of each group of modules in `SAVINGS`, in milliseconds."""
    starts = list(starts)
    return {
        group: statistics.median(
            sum(own for module, own in start.imports.items() if re.fullmatch(pattern, module))
            for start in starts
        )
        for group, pattern in SAVINGS.items()
    }


def init_costs(starts: Iterable[ColdStart]) -> list[InitCost]:
    """Return the cost at each memory size, from processor time: half a processor takes twice as long."""
    milliseconds = medians(starts)["processor"]
    init = sum(milliseconds[part] for part in INIT) / 1e3
    pipeline = sum(milliseconds[part] for part in INSIDE) / 1e3
    costs = []
    for megabytes in MEMORY_SIZES:
        inside, outside = init + pipeline * prices.MEGABYTES_PER_VCPU / megabytes, init + pipeline
        dollars = 1e6 * prices.LAMBDA_GB_SECOND * megabytes / 1024
        costs.append(InitCost(megabytes, inside, outside, dollars * inside, dollars * outside))
    return costs


def parts_table(starts: Iterable[ColdStart]) -> Table:
    """Return the table of the parts and their shares."""
    starts = list(starts)
    times = medians(starts)
    total = sum(times["wall"].values())
    table = _table("A cold start, up to its first result", "part", "ms", "share", "processor ms")
    by_package = sorted(import_times(starts).items(), key=lambda item: -item[1])

    def add(label: str, parts: Iterable[str]) -> None:
        wall, used = (sum(times[kind][part] for part in parts) for kind in ("wall", "processor"))
        table.add_row(label, f"{wall:.1f}", f"{wall / total:.1%}", f"{used:.1f}")

    for phase, parts in PHASES.items():
        add(phase, parts)
        for part, description in parts.items():
            add(f"  {description}", [part])
            for package, own in by_package if part == "imports" else ():
                table.add_row(f"    {package}", f"{own:.1f}", f"{own / total:.1%}", "")
        table.add_section()
    add("all", PARTS)
    return table


def savings_table(starts: Iterable[ColdStart]) -> Table:
    """Return the table of the savings from later imports."""
    starts = list(starts)
    total = sum(medians(starts)["wall"].values())
    table = _table("Imports that some invocations do not need", "imports", "ms", "share")
    for group, own in import_savings(starts).items():
        table.add_row(group, f"{own:.1f}", f"{own / total:.1%}")
    return table


def variants_table(starts: Mapping[str, Iterable[ColdStart]]) -> Table:
    """Return the table of the variants."""
    columns = ("environment", "ms", "processor ms", f"/ {DEPLOYED}", "imports' processor ms")
    table = _table("Variants", *columns)
    base = sum(medians(starts[DEPLOYED])["processor"].values())
    for variant in (DEPLOYED, THREADED):
        times = medians(starts[variant])
        wall, used = (sum(times[kind].values()) for kind in ("wall", "processor"))
        imports = times["processor"]["imports"]
        table.add_row(variant, f"{wall:.0f}", f"{used:.0f}", f"{used / base:.2f}", f"{imports:.0f}")
    return table


def init_costs_table(starts: Iterable[ColdStart]) -> Table:
    """Return the table of the costs inside and outside the handler."""
    table = _table(
        "Before the first object: seconds of a cold start, and dollars per million of them",
        *("MB", "s inside handler", "s outside", "$ inside handler", "$ outside", "$ inside / outside"),
    )
    for cost in init_costs(starts):
        table.add_row(
            str(cost.megabytes),
            f"{cost.seconds_inside:.2f}",
            f"{cost.seconds_outside:.2f}",
            f"{cost.dollars_inside:.2f}",
            f"{cost.dollars_outside:.2f}",
            f"{cost.dollars_inside / cost.dollars_outside:.2f}",
        )
    return table


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(first, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    main()
