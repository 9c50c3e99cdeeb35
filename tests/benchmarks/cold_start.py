"""`make bench-cold`: where the time of a cold start goes, and what it costs inside the handler and outside.

Each round starts the built artifact's upload handler in fresh processes, under the Python that Lambda
has, and has it classify one review from the local cloud. Ways to start take turns, so that what else the
machine does hits all alike. Files are read from memory here, and Lambda's sandbox is not part of this: the
shares and ratios are what to look at.
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
from tests.benchmarks.classifier import review

from reviewbox.local.cloud import BUCKET, Cloud, start_cloud
from reviewbox.model.classifier import processor
from reviewbox.stack import prices

ROOT = Path(__file__).parents[2]

# Ways to start, by how their environment differs from the template's.
THREADS = "OPENBLAS_NUM_THREADS"
DEPLOYED, THREADED, TRACED = "as deployed", f"without {THREADS}", "traced"

DEPTHS = 12  # the probe says what for

# The probe's parts in their order, and what they are called. Lambda does those of INIT before it has an
# event.
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

# Who imports what, by the first part of a module's name; everything else is the standard library.
PACKAGES = {
    "numpy": ["numpy"],
    "botocore and what it needs": ["botocore", "dateutil", "jmespath", "six", "urllib3"],
    "boto3, s3transfer": ["boto3", "s3transfer"],
    "tokenizers": ["tokenizers"],
    "reviewbox": ["handlers", "reviewbox"],
    "zstd": ["backports"],
}
STANDARD_LIBRARY = "standard library"

# What an import further down could spare some invocations, by modules that nothing else needs.
SPARED = {
    "zstd, unless a file is compressed so": r"backports\b.*",
    "readers of tables, for single reviews": (
        r"reviewbox\.documents\.(columns|delimited|json_document|json_lines|json_table|layout|records)"
    ),
    "readers of HTML and Markdown, for others": r"reviewbox\.documents\.(html_page|markdown)",
    "boto3, were its client made by botocore": r"(boto3|s3transfer|_?multiprocessing|mmap|secrets)\b.*",
}

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")

# Megabytes of a function: the template's smallest, one between, and its default: a whole processor.
MEMORY_SIZES = (512, 1024, prices.MEGABYTES_PER_VCPU)


@dataclass(frozen=True, slots=True)
class Start:
    """One cold start.

    Attributes:
        wall: milliseconds by part.
        processor: milliseconds of all threads by part.
        imports: milliseconds by module imported with the handler's, without what that imports; only if
            traced.
    """

    wall: Mapping[str, float]
    processor: Mapping[str, float]
    imports: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """What a cold start comes to at one size of the function, by where the pipeline is made.

    Attributes:
        megabytes: of the function.
        seconds_inside: billed before the first object if it is made in the first invocation, on a share of
            a processor.
        seconds_outside: the same if it is made on import, in the init phase, which has all of one.
        dollars_inside: of a million cold starts.
        dollars_outside: the same.
    """

    megabytes: int
    seconds_inside: float
    seconds_outside: float
    dollars_inside: float
    dollars_outside: float


def main() -> None:
    """Print four tables, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description="Measure cold starts of the upload handler.")
    parser.add_argument("--rounds", type=int, default=25, help="how often each way takes its turn (25)")
    parser.add_argument("--python", default="python3.13", help="the Python that Lambda has (python3.13)")
    parser.add_argument("--artifact", type=Path, default=ROOT / "build/OnUpload", help="by `make build`")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    if not (arguments.artifact / "handlers").is_dir():
        sys.exit(f"{arguments.artifact} holds no artifact: make build")
    # By its own path: what finds the right version may take longer than the interpreter.
    ask = [arguments.python, "-c", "import sys; print(sys.executable)"]
    python = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603

    with start_cloud(ROOT / "template.yaml", 0) as cloud:
        starts = measure(cloud, python, arguments.artifact, arguments.rounds)
    console = Console(width=100, highlight=False)
    console.print(
        f"{processor()}, {os.cpu_count()} processors, medians of {arguments.rounds} rounds, a fresh process "
        "for each. All files were read before, and moto answers in place of S3."
    )
    figures = {
        "processor": processor(),
        "processors": os.cpu_count(),
        "rounds": arguments.rounds,
        "milliseconds": {way: medians(runs) for way, runs in starts.items()},
        "imports": packages(starts[TRACED]),
        "imports_that_some_do_not_need": spared(starts[TRACED]),
        "places": [asdict(place) for place in places(starts[DEPLOYED])],
    }
    for table in (
        parts_table(starts[TRACED]),
        spared_table(starts[TRACED]),
        ways_table(starts),
        places_table(starts[DEPLOYED]),
    ):
        console.print(table)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(cloud: Cloud, python: str, artifact: Path, rounds: int) -> dict[str, list[Start]]:
    """Return the starts of each way; one more of each goes before, to have the files read."""
    starts = defaultdict(list)
    for number in range(1 + rounds):
        for way in (DEPLOYED, THREADED, TRACED):
            found = start(cloud, python, artifact, way, depth=number % DEPTHS)
            if number:
                starts[way].append(found)
    return starts


def start(cloud: Cloud, python: str, artifact: Path, way: str, depth: int) -> Start:
    """Start the handler in a fresh process, for a review that has no result yet."""
    key = f"{cloud.environment['REVIEWBOX_SOURCE_PREFIX']}{time.monotonic_ns()}.txt"
    text = review(random.Random("a paragraph"), (4, 8))  # noqa: S311 - a text, not a secret
    cloud.s3().put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    environment = {**cloud.environment, "PYTHONPATH": str(artifact)}
    if way == THREADED:
        del environment[THREADS]
    command = [python, "-P", "-s", *(["-X", "importtime"] if way == TRACED else []), probe.__file__]
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
    with_the_module = process.stderr.split(probe.MARK)[1]
    return Start(
        wall={part: wall / 1e6 for part, (wall, _) in parts.items()},
        processor={part: processor_ns / 1e6 for part, (_, processor_ns) in parts.items()},
        imports={name: int(own) / 1e3 for own, name in _IMPORT.findall(with_the_module)},
    )


def event(key: str) -> dict[str, object]:
    """Return the batch of one message that SQS would deliver."""
    notification = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}},
    }
    message = {"messageId": "1", "eventSource": "aws:sqs", "body": json.dumps({"Records": [notification]})}
    return {"Records": [message]}


def medians(starts: Iterable[Start]) -> dict[str, dict[str, float]]:
    """Return the median of each part's wall and processor time."""
    starts = list(starts)
    return {
        "wall": {part: statistics.median(start.wall[part] for start in starts) for part in PARTS},
        "processor": {part: statistics.median(start.processor[part] for start in starts) for part in PARTS},
    }


def packages(starts: Iterable[Start]) -> dict[str, float]:
    """Return the median milliseconds that importing each package takes, without other packages."""
    owners = {name: package for package, names in PACKAGES.items() for name in names}
    totals = defaultdict(list)
    for start in starts:
        sums = dict.fromkeys((*PACKAGES, STANDARD_LIBRARY), 0.0)
        for module, own in start.imports.items():
            sums[owners.get(module.partition(".")[0], STANDARD_LIBRARY)] += own
        for package, total in sums.items():
            totals[package].append(total)
    return {package: statistics.median(values) for package, values in totals.items()}


def spared(starts: Iterable[Start]) -> dict[str, float]:
    """Return the median milliseconds of each group of imports that some invocations do without."""
    starts = list(starts)
    return {
        what: statistics.median(
            sum(own for module, own in start.imports.items() if re.fullmatch(pattern, module))
            for start in starts
        )
        for what, pattern in SPARED.items()
    }


def places(starts: Iterable[Start]) -> list[Place]:
    """Return what either place comes to, from processor time: a share of a processor takes longer."""
    milliseconds = medians(starts)["processor"]
    init = sum(milliseconds[part] for part in INIT) / 1e3
    pipeline = sum(milliseconds[part] for part in INSIDE) / 1e3
    found = []
    for megabytes in MEMORY_SIZES:
        inside, outside = init + pipeline * prices.MEGABYTES_PER_VCPU / megabytes, init + pipeline
        dollars = 1e6 * prices.LAMBDA_GB_SECOND * megabytes / 1024
        found.append(Place(megabytes, inside, outside, dollars * inside, dollars * outside))
    return found


def parts_table(starts: Iterable[Start]) -> Table:
    """Return table a: each part's share."""
    starts = list(starts)
    times = medians(starts)
    total = sum(times["wall"].values())
    table = _table("A cold start, up to its first result", "part", "ms", "share", "processor ms")
    by_package = sorted(packages(starts).items(), key=lambda item: -item[1])

    def add(what: str, parts: Iterable[str]) -> None:
        wall, used = (sum(times[kind][part] for part in parts) for kind in ("wall", "processor"))
        table.add_row(what, f"{wall:.1f}", f"{wall / total:.1%}", f"{used:.1f}")

    for phase, parts in PHASES.items():
        add(phase, parts)
        for part, what in parts.items():
            add(f"  {what}", [part])
            for package, own in by_package if part == "imports" else ():
                table.add_row(f"    {package}", f"{own:.1f}", f"{own / total:.1%}", "")
        table.add_section()
    add("all", PARTS)
    return table


def spared_table(starts: Iterable[Start]) -> Table:
    """Return table b: what lazier imports could spare."""
    starts = list(starts)
    total = sum(medians(starts)["wall"].values())
    table = _table("Of the imports, what some invocations could do without", "imports", "ms", "share")
    for what, own in spared(starts).items():
        table.add_row(what, f"{own:.1f}", f"{own / total:.1%}")
    return table


def ways_table(starts: Mapping[str, Iterable[Start]]) -> Table:
    """Return table c: other ways to start, beside the template's."""
    columns = ("environment", "ms", "processor ms", f"/ {DEPLOYED}", "imports' processor ms")
    table = _table("Ways to start", *columns)
    base = sum(medians(starts[DEPLOYED])["processor"].values())
    for way in (DEPLOYED, THREADED):
        times = medians(starts[way])
        wall, used = (sum(times[kind].values()) for kind in ("wall", "processor"))
        imports = times["processor"]["imports"]
        table.add_row(way, f"{wall:.0f}", f"{used:.0f}", f"{used / base:.2f}", f"{imports:.0f}")
    return table


def places_table(starts: Iterable[Start]) -> Table:
    """Return table d: the pipeline made inside the handler or outside."""
    table = _table(
        "Seconds and dollars per million cold starts, before the first object, by where the pipeline is made",
        *("MB", "s in the handler", "s outside", "$ in the handler", "$ outside", "$ in / out"),
    )
    for place in places(starts):
        table.add_row(
            str(place.megabytes),
            f"{place.seconds_inside:.2f}",
            f"{place.seconds_outside:.2f}",
            f"{place.dollars_inside:.2f}",
            f"{place.dollars_outside:.2f}",
            f"{place.dollars_inside / place.dollars_outside:.2f}",
        )
    return table


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(first, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    main()
