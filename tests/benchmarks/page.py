"""Generate docs/benchmarks/README.md from the figures (JSON) in the same folder."""

import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.benchmarks import growth, latency, load, memory, throughput
from tests.benchmarks.cold_start import DEPLOYED, PARTS, PHASES
from tests.benchmarks.figures import BEFORE, Figures, is_rehearsal, output_folder, read_figures
from tests.benchmarks.tutorial import MAX_TOKENS

from reviewbox.wording import number_of

MIN_SPEEDUP, IDEAL_SPEEDUP = 8, 20  # over the tutorial handler, per core
MAX_TIMES_INFERENCE = 1.2

MIN_SHARE = 0.005  # a share of the model's time; smaller ones are not listed
WIDTH = 115  # characters per line of a paragraph

INTRODUCTION = (
    "`make bench` measures the whole path from an uploaded file to its result. It writes this page, its",
    "figures (JSON) and its plots. `make bench-cold` measures the cold start. No test depends on these",
    "timings. All alternatives take turns in one run. The texts come from a seeded generator.",
    "[moto](https://docs.getmoto.org) replaces S3 and SQS, in its own process on its own processor. Compare",
    "the ratios: the milliseconds differ on other machines.",
)


def main() -> None:
    """Write the page."""
    where = output_folder(rehearsal=is_rehearsal(__doc__.splitlines()[0]))
    (where / "README.md").write_text(render(where), encoding="utf-8")


def render(where: Path) -> str:
    """Return the page for the figures in a folder."""
    current = {name: read_figures(name, where) for name in SECTIONS}
    before = {name: read_figures(name, where / BEFORE) for name in SECTIONS}
    parts = ["# Benchmarks", paragraph(*INTRODUCTION), *targets(current)]
    for name, section in SECTIONS.items():
        figures = current[name]
        parts.append(f"## {TITLES[name]}")
        parts += [*section(figures), f"![{TITLES[name]}]({name}.png)"] if figures else ["Not measured yet."]
    parts += comparison(current, before)
    return "\n\n".join(parts) + "\n"


def targets(current: dict[str, Figures | None]) -> list[str]:
    """Return a table of the targets and whether they are met."""
    rows: list[list[str]] = []
    if speed := current[throughput.NAME]:
        for kind in (throughput.FILES, throughput.TABLE):
            speedup = throughput.speedup(speed, kind, "wall")
            rows.append(
                [
                    f"{kind}: speedup over the tutorial handler, per core",
                    f"{speedup:.1f}",
                    f"at least {MIN_SPEEDUP}, ideally {IDEAL_SPEEDUP}",
                    yes_or_no(speedup >= MIN_SPEEDUP),
                ]
            )
    if waits := current[latency.NAME]:
        (run,) = (run for run in waits["runs"] if run["milliseconds"] == latency.GOAL_MILLISECONDS)
        ratio = latency.times_inference(run)
        rows.append(
            [
                f"small files at {latency.GOAL_MILLISECONDS} ms per request: time relative to inference",
                f"{ratio:.2f}",
                f"at most {MAX_TIMES_INFERENCE}",
                yes_or_no(ratio <= MAX_TIMES_INFERENCE),
            ]
        )
    return [markdown(["", "measured", "target", "met"], rows)] if rows else []


def throughput_section(figures: Figures) -> list[str]:
    """Return the section on throughput."""
    kinds = (throughput.FILES, throughput.TABLE)
    rows = []
    for name in (throughput.REVIEWBOX, *throughput.ALTERNATIVES):
        row = [name]
        for kind in kinds:
            cpu = statistics.median(throughput.seconds_per_review(figures, name, kind, "processor"))
            relative = throughput.speedup(figures, kind, "wall", name)
            row += [
                f"{throughput.reviews_per_second(figures, name, kind):,.1f}",
                f"{1000 * cpu:.2f}",
                f"{relative:.2f}",
            ]
        rows.append(row)
    columns = ("reviews/s", "CPU ms", "time relative to Reviewbox")
    runs = {(run["who"], run["what"]): run for run in figures["runs"]}
    small, table = (runs[throughput.REVIEWBOX, kind] for kind in kinds)
    limits = figures["limits"]
    latency_ms = 1000 * figures["seconds_per_request"]
    mix = ", ".join(f"{share:.0%} {kind}" for kind, share in figures["mix"].items())
    return [
        paragraph(
            machine(figures),
            f"Medians of {figures['rounds']} rounds. Each alternative is a complete handler in its own",
            f"process, on one processor and one thread. Each S3 request waits {latency_ms:.0f} ms.",
            f"The input is {small['reviews']} files with one review each, and one JSON Lines table of",
            f"{table['reviews']:,} reviews: {mix}. A review has {figures['characters_per_review']:.0f}",
            f"characters and {limits['tokens_per_review']:.0f} tokens on average.",
        ),
        paragraph(
            "The tutorial handler takes the first record of the event, reads the whole object, classifies",
            "one review at a time and writes the results. Its DistilBERT has random weights, which take as",
            f"long as trained ones. It truncates texts at {MAX_TOKENS} tokens, which affects",
            f"{figures['cut_off']:.0%} of these reviews. The two DistilBERTs process only",
            f"{runs[throughput.TUTORIAL, throughput.TABLE]['reviews']} rows of the table. TF-IDF was trained",
            "on generated texts with a small vocabulary. Reviewbox reads every text completely. For a file",
            "with a single review, it also computes evidence for each sentence, which about doubles the",
            "work.",
        ),
        markdown(["", *(f"{kind}: {column}" for kind in kinds for column in columns)], rows),
        small_files_limit(figures, small, latency_ms),
        table_limit(figures, limits),
        profile(limits["model_profile_microseconds"]),
    ]


def small_files_limit(figures: Figures, run: Figures, latency_ms: float) -> str:
    """Return a paragraph on what limits the throughput of small files."""
    wall, cpu = (
        1000 * statistics.median(throughput.seconds_per_review(figures, run["who"], run["what"], clock))
        for clock in ("wall", "processor")
    )
    requests = run["requests"] / run["reviews"]
    return paragraph(
        f"**Bottleneck for small files:** {bottleneck(wall, cpu)}. A file takes {wall:.0f} ms, of which",
        f"{cpu:.0f} ms is CPU time. Its {requests:.1f} requests add up to {requests * latency_ms:.0f} ms of",
        "round trips if they run one after the other. With all waiting overlapped, only the CPU time",
        f"remains, for a speedup of at most {wall / cpu:.1f}.",
    )


def table_limit(figures: Figures, limits: Figures) -> str:
    """Return a paragraph on what limits the throughput of a table."""
    wall, cpu = (
        1000
        * statistics.median(
            throughput.seconds_per_review(figures, throughput.REVIEWBOX, throughput.TABLE, clock)
        )
        for clock in ("wall", "processor")
    )
    products, tokenizing = (
        1000 * limits[f"{part}_seconds_per_review"] for part in ("products", "tokenizing")
    )
    peak = max(limits["billion_multiply_adds_per_second"].values())
    return paragraph(
        f"**Bottleneck for a table:** {bottleneck(wall, cpu)}. A review takes {cpu:.2f} ms of CPU time. The",
        f"model's weight products, {limits['multiply_adds_per_token'] / 1e6:.1f} million multiply-adds per",
        f"token, would take {products:.2f} ms ({products / cpu:.0%}) at this machine's peak of {peak:.0f}",
        f"billion per second. Tokenizing takes {tokenizing:.2f} ms ({tokenizing / cpu:.0%}), or",
        f"{limits['tokenizing_bytes_per_second'] / 1e6:.1f} MB per second.",
    )


def profile(microseconds: dict[str, float]) -> str:
    """Return a paragraph on where the model spends its time."""
    operations = {name: time for name, time in microseconds.items() if name not in {"tokens", "windows"}}
    total = sum(operations.values())
    ordered = sorted(operations.items(), key=lambda item: -item[1])
    shares = [f"{name} {time / total:.0%}" for name, time in ordered if time / total > MIN_SHARE]
    return paragraph(
        f"Breakdown of the model's time, for {microseconds['windows']:.0f} windows of",
        f"{microseconds['tokens']:.0f} tokens: {', '.join(shares)}.",
    )


def latency_section(figures: Figures) -> list[str]:
    """Return the section on S3 latency."""
    rows = []
    for run in figures["runs"]:
        wall, cpu, inference, server = (
            milliseconds_per_file(run, figures["files"], key)
            for key in ("wall", "processor", "inference", "cloud")
        )
        rows.append(
            [
                f"{run['milliseconds']} ms",
                f"{wall:.1f}",
                f"{latency.times_inference(run):.2f}",
                f"{run['requests'] / figures['files']:.1f}",
                f"{cpu:.1f}",
                f"{inference:.1f}",
                f"{server:.1f}",
                f"{latency.sequential_milliseconds(figures, run):.1f}",
            ]
        )
    (run,) = (run for run in figures["runs"] if run["milliseconds"] == latency.GOAL_MILLISECONDS)
    cpu, inference, wall = (
        milliseconds_per_file(run, figures["files"], key) for key in ("processor", "inference", "wall")
    )
    sequential = run["requests"] / figures["files"] * run["milliseconds"]
    return [
        paragraph(
            machine(figures),
            f"Medians of {figures['rounds']} rounds. Each round processes {figures['files']} files with one",
            f"review each in {number_of(run['invocations'], 'invocation')}, with the same mix of lengths as",
            "above. Every S3 request waits for the given latency. A stub server replaces moto here: moto",
            "uses several milliseconds of CPU time per file, which slows down the function if their",
            "processors share a core. The stub keeps objects in a dictionary, checks no signatures and uses",
            "plain HTTP. For the inference column, the classifier gets the same reviews in one batch,",
            "including evidence. All figures are per file.",
        ),
        markdown(
            [
                *("S3 latency", "ms", "relative to inference", "requests", "CPU ms", "inference ms"),
                *("stub server CPU ms", "inference plus sequential requests, ms"),
            ],
            rows,
        ),
        paragraph(
            f"**Bottleneck:** {bottleneck(wall, cpu)}. At {run['milliseconds']} ms, a file takes",
            f"{wall:.0f} ms. Its requests alone would take {sequential:.0f} ms one after the other. CPU time",
            f"is {cpu:.0f} ms: {inference:.0f} ms for inference, and the rest for sending requests, parsing",
            f"and writing. Overlapping alone therefore cannot get below {cpu / inference:.2f} times",
            "inference.",
        ),
    ]


def memory_section(figures: Figures) -> list[str]:
    """Return the section on memory."""
    rows = [
        [
            run["who"],
            f"{run['megabytes']:,} MB",
            f"{run['rows']:,}",
            f"`{run['error']}`" if run["error"] else "all",
            f"{run['peak_megabytes']:,.0f}",
            f"{run['peak_megabytes'] - run['idle_megabytes']:,.0f}",
            f"{run['wall_seconds']:,.1f}",
            f"{run['invocations']}",
        ]
        for run in figures["runs"]
    ]
    summaries = []
    for name in (memory.REVIEWBOX, memory.TUTORIAL):
        finished = [run for run in figures["runs"] if run["who"] == name and run["error"] is None]
        largest = max(finished, key=lambda run: run["megabytes"])
        ratio = (largest["peak_megabytes"] - largest["idle_megabytes"]) / largest["megabytes"]
        speed = largest["megabytes"] / largest["wall_seconds"]
        summaries.append(
            f"{name}, {largest['megabytes']:,} MB: {ratio:.2f} bytes of memory per byte of the table, and"
            f" {speed:.0f} MB per second"
        )
    return [
        paragraph(
            machine(figures),
            "Each table gets a new process. Tables are JSON Lines with rows of 2,000 bytes, and each review",
            "is one sentence. Reviewbox uses a tiny model and the tutorial handler uses none, so the figures",
            "show the cost of the table itself. The time grows faster than the table because moto copies the",
            "whole object for each range request. S3 does not.",
        ),
        markdown(
            ["", "table", "rows", "classified", "peak MB", "peak above idle, MB", "seconds", "invocations"],
            rows,
        ),
        paragraph(
            "**Bottleneck:** how much of a table is in memory at the same time. The ideal is a constant,",
            f"independent of the table's size. {'; '.join(summaries)}.",
        ),
    ]


def cold_start_section(figures: Figures) -> list[str]:
    """Return the section on cold starts."""
    wall = figures["milliseconds"][DEPLOYED]["wall"]
    total = sum(wall.values())
    phases = {phase: sum(wall[part] for part in parts) for phase, parts in PHASES.items()} | {"all": total}
    slowest = max(wall, key=lambda part: wall[part])
    package, package_ms = max(figures["imports"].items(), key=lambda item: item[1])
    return [
        paragraph(
            f"{figures['processor']}, {figures['processors']} processors, Lambda's Python version.",
            f"Medians of {figures['rounds']} rounds of `make bench-cold`. Each round starts the built",
            "artifact in a new process, with its files in the page cache.",
            "[ADR 8](../adr/0008-cold-start.md) explains the design.",
        ),
        markdown(
            ["", "ms", "share"],
            ([phase, f"{time:.0f}", f"{time / total:.0%}"] for phase, time in phases.items()),
        ),
        paragraph(
            f"**Bottleneck:** {PARTS[slowest]}, {wall[slowest]:.0f} ms ({wall[slowest] / total:.0%}). The",
            f"largest group is {package} ({package_ms:.0f} ms). What cannot be avoided is the interpreter",
            f"({wall['interpreter']:.0f} ms), the model's files and graph",
            f"({wall['digests'] + wall['graph']:.0f} ms) and inference ({wall['inference']:.0f} ms).",
        ),
    ]


def growth_section(figures: Figures) -> list[str]:
    """Return the section on growing numbers of files."""
    keys = ("wall_seconds", "processor_seconds", "cloud_seconds", "seconds_until_idle")
    rows = [
        [
            run["model"],
            f"{run['files']:,}",
            *(f"{1000 * run[key] / run['files']:.1f}" for key in keys),
            f"{run['requests'] / run['files']:.1f}",
            f"{run['peak_megabytes']:.0f}",
        ]
        for run in figures["runs"]
    ]
    summaries = []
    for name in growth.COUNTS:
        runs = sorted((run for run in figures["runs"] if run["model"] == name), key=lambda run: run["files"])
        few, many = runs[-min(3, len(runs))], runs[-1]
        ratio = many["wall_seconds"] / many["files"] / few["wall_seconds"] * few["files"]
        extra = many["peak_megabytes"] - few["peak_megabytes"]
        summaries.append(
            f"With the {name}, {many['files']:,} files take {ratio:.2f} times as long per file as"
            f" {few['files']:,} files, and the process uses {extra:.0f} MB more."
        )
    return [
        paragraph(
            machine(figures),
            "Each row is a new process and a new local cloud, after a warm-up with one file. Each file holds",
            "one review. The files wait in the queue, and no S3 latency is added.",
        ),
        markdown(
            [
                *("", "files", "ms per file", "CPU ms", "local cloud ms"),
                *("ms until the queue is empty", "requests per file", "peak MB"),
            ],
            rows,
        ),
        paragraph(
            "**Bottleneck:** the constant time per file, for its review and its round trips.",
            *summaries,
            "The figures are for one worker. Each additional worker adds the same throughput.",
        ),
    ]


def load_section(figures: Figures) -> list[str]:
    """Return the section on a long run at the highest rate."""
    latency_seconds = figures["latency_seconds"]
    early, late = figures["second_quarter_megabytes"], figures["last_quarter_megabytes"]
    growth_per_file = 2 * (late - early) / figures["results"]
    return [
        paragraph(
            machine(figures),
            "`make bench-load` starts `reviewbox local`, which has moto and the function in one process, and",
            f"drives files with one review each into it. {figures['under_way']} files are under way at any",
            "time: a new one is uploaded as soon as another has its result. Each result is compared with",
            "the verdict for its text, and then removed with its source: moto keeps objects in memory.",
            "Latency is from the end of an upload until a client that lists the results",
            f"every {load.SECONDS_BETWEEN_LISTINGS} seconds sees the receipt.",
        ),
        markdown(
            ["", "uploads", "right results", "files per second", *latency_columns(latency_seconds)],
            [
                [
                    f"{figures['seconds']:.0f} seconds",
                    f"{figures['uploads']:,}",
                    f"{figures['results'] - figures['wrong']:,}",
                    f"{figures['files_per_second']:.1f}",
                    *(f"{value:.2f} s" for value in latency_seconds.values()),
                ]
            ],
        ),
        paragraph(
            f"**Memory** of the process: {early:.0f} MB in the second quarter of the run (median), and",
            f"{late:.0f} MB in the last, which is {1000 * growth_per_file:+.1f} MB per 1,000 files.",
        ),
    ]


def latency_columns(latency_seconds: Mapping[str, float]) -> list[str]:
    """Return the heads of the columns of latency."""
    return [f"{name}% within" if name.isdecimal() else name for name in latency_seconds]


def comparison(current: dict[str, Figures | None], before: dict[str, Figures | None]) -> list[str]:
    """Return a table of the headline figures before and after a change; empty if there are none yet."""
    rows = [
        [f"{TITLES[name]}: {headline}", f"{old['headlines'][headline]:,.4g}", f"{value:,.4g}"]
        for name, old in before.items()
        if old and (new := current[name])
        for headline, value in new.get("headlines", {}).items()
        if headline in old.get("headlines", {})
    ]
    if not rows:
        return []
    return [
        "## Before and after",
        f"The [earlier figures]({BEFORE}/) are for one object per invocation, measured in the same way.",
        markdown(["", "before", "after"], rows),
    ]


def bottleneck(wall: float, cpu: float) -> str:
    """Return where most of the wall time goes."""
    return "waiting for S3" if wall - cpu > cpu else "the CPU"


def milliseconds_per_file(run: Figures, files: int, key: str) -> float:
    """Return the median over the rounds of the milliseconds per file."""
    seconds: float = statistics.median(run[f"{key}_seconds"])
    return 1000 * seconds / files


def machine(figures: Figures) -> str:
    """Return a sentence on the machine and the package versions."""
    versions = dict(figures["machine"])
    name, processors, python = (versions.pop(key) for key in ("processor", "processors", "python"))
    packages = ", ".join(f"{package} {number}" for package, number in versions.items())
    return f"{name}, {processors} processors, Python {python}, {packages}."


def paragraph(*lines: str) -> str:
    """Return the lines as one wrapped paragraph."""
    return textwrap.fill(" ".join(lines), WIDTH, break_long_words=False, break_on_hyphens=False)


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table, with all columns but the first right-aligned."""
    head = list(head)
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def yes_or_no(met: bool) -> str:  # noqa: FBT001 - the only argument
    """Return "yes" or "no"."""
    return "yes" if met else "no"


TITLES = {
    throughput.NAME: "Reviews per second per core",
    latency.NAME: "Effect of S3 latency on small files",
    memory.NAME: "Memory by table size",
    "cold_start": "Cold start",
    growth.NAME: "Growth from 1 to 10,000 files",
    load.NAME: "Ten minutes of load",
}
SECTIONS: dict[str, Callable[[Figures], list[str]]] = {
    throughput.NAME: throughput_section,
    latency.NAME: latency_section,
    memory.NAME: memory_section,
    "cold_start": cold_start_section,
    growth.NAME: growth_section,
    load.NAME: load_section,
}


if __name__ == "__main__":
    main()
