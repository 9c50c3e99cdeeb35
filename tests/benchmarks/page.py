"""docs/benchmarks/README.md, from the figures beside it."""

import statistics
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.benchmarks import growth, latency, memory, throughput
from tests.benchmarks.cold_start import DEPLOYED, PARTS, PHASES
from tests.benchmarks.figures import BEFORE, Figures, is_rehearsal, output_folder, read_figures
from tests.benchmarks.tutorial import MAX_TOKENS

from reviewbox.cli.render import number_of

GATE, GOAL = 8, 20  # times the tutorial handler, per core
MOST_TIMES_INFERENCE = 1.2

LEAST_SHARE = 0.005  # of the model's time that is worth naming
WIDTH = 115  # of prose, in characters

HEAD = (
    "`make bench` measures the whole job and writes this page, its figures (JSON) and its plots; `make",
    "bench-cold` the cold start. They decide nothing: no test is timed. What is compared takes turns in one",
    "run. Texts are made up by a seeded generator, and [moto](https://docs.getmoto.org), in a process and",
    "on a processor of its own, answers in place of S3 and SQS. The ratios are what to look at; on another",
    "machine the milliseconds are others.",
)


def main() -> None:
    """Write the page."""
    where = output_folder(rehearsal=is_rehearsal(__doc__.splitlines()[0]))
    (where / "README.md").write_text(render(where), encoding="utf-8")


def render(where: Path) -> str:
    """Return the page of the figures in a folder."""
    found = {name: read_figures(name, where) for name in SECTIONS}
    before = {name: read_figures(name, where / BEFORE) for name in SECTIONS}
    parts = ["# Benchmarks", prose(*HEAD), *glance(found)]
    for name, section in SECTIONS.items():
        figures = found[name]
        parts.append(f"## {TITLES[name]}")
        parts += [*section(figures), f"![{TITLES[name]}]({name}.png)"] if figures else ["Not measured yet."]
    parts += changes(found, before)
    return "\n\n".join(parts) + "\n"


def glance(found: dict[str, Figures | None]) -> list[str]:
    """Return what was asked for, and what was measured."""
    rows: list[list[str]] = []
    times = found[throughput.NAME]
    if times:
        for what in (throughput.FILES, throughput.TABLE):
            faster = throughput.speedup(times, what, "wall")
            rows.append(
                [
                    f"{what}: times the tutorial handler, per core",
                    f"{faster:.1f}",
                    f"at least {GATE}, better {GOAL}",
                    yes(faster >= GATE),
                ]
            )
    waits = found[latency.NAME]
    if waits:
        (run,) = (run for run in waits["runs"] if run["milliseconds"] == latency.GOAL_MILLISECONDS)
        slower = latency.times_inference(run)
        what = f"small files at {latency.GOAL_MILLISECONDS} ms a request: times inference alone"
        rows.append(
            [what, f"{slower:.2f}", f"at most {MOST_TIMES_INFERENCE}", yes(slower <= MOST_TIMES_INFERENCE)]
        )
    return [markdown(["", "measured", "asked for", "met"], rows)] if rows else []


def of_throughput(figures: Figures) -> list[str]:
    """Return section a."""
    kinds = (throughput.FILES, throughput.TABLE)
    rows = []
    for who in (throughput.REVIEWBOX, *throughput.ALTERNATIVES):
        row = [who]
        for what in kinds:
            used = statistics.median(throughput.seconds_per_review(figures, who, what, "processor"))
            ours = throughput.speedup(figures, what, "wall", who)
            row += [
                f"{throughput.reviews_per_second(figures, who, what):,.1f}",
                f"{1000 * used:.2f}",
                f"{ours:.2f}",
            ]
        rows.append(row)
    columns = ("reviews/s", "processor ms", "times ours")
    runs = {(run["who"], run["what"]): run for run in figures["runs"]}
    small, table = (runs[throughput.REVIEWBOX, what] for what in kinds)
    limits = figures["limits"]
    latency_ms = 1000 * figures["seconds_per_request"]
    mix = ", ".join(f"{share:.0%} {kind}" for kind, share in figures["mix"].items())
    return [
        prose(
            machine(figures),
            f"Medians of {figures['rounds']} rounds. Each is a whole handler, in a process of its own on one",
            f"processor and one thread, and each request to S3 waits {latency_ms:.0f} ms.",
            f"{small['reviews']} files of a review each, and one table of {table['reviews']:,} (JSON Lines):",
            f"{mix}; {figures['characters_per_review']:.0f} characters and {limits['tokens_per_review']:.0f}",
            "tokens on average.",
        ),
        prose(
            "The tutorials' handler takes the event's first record, reads the whole object, classifies one",
            "review at a time and writes the results. Its DistilBERT is that architecture with random",
            f"weights, which take as long as trained ones, and cuts texts off at {MAX_TOKENS} tokens:",
            f"{figures['cut_off']:.0%} of these. Of the table, the two DistilBERTs take",
            f"{runs[throughput.TUTORIAL, throughput.TABLE]['reviews']} rows. TF-IDF has learnt made-up texts",
            "of few words. Reviewbox reads every text whole; for a file it also finds the evidence,",
            "sentence by sentence, about as much work again.",
        ),
        markdown(["", *(f"{what}: {column}" for what in kinds for column in columns)], rows),
        limit_of_files(figures, small, latency_ms),
        limit_of_table(figures, limits),
        profile(limits["model_profile_microseconds"]),
    ]


def limit_of_files(figures: Figures, run: Figures, latency_ms: float) -> str:
    """Return what limits small files."""
    wall, used = (
        1000 * statistics.median(throughput.seconds_per_review(figures, run["who"], run["what"], clock))
        for clock in ("wall", "processor")
    )
    requests = run["requests"] / run["reviews"]
    return prose(
        f"**What limits small files:** {bottleneck(wall, used)}. A file takes {wall:.0f} ms, {used:.0f} of",
        f"them on the processor. Its {requests:.1f} requests are {requests * latency_ms:.0f} ms of round",
        "trips if each waits for the one before. Where all waiting is overlapped the processor remains: no",
        f"more than {wall / used:.1f} times as fast as it is.",
    )


def limit_of_table(figures: Figures, limits: Figures) -> str:
    """Return what limits a table."""
    wall, used = (
        1000
        * statistics.median(
            throughput.seconds_per_review(figures, throughput.REVIEWBOX, throughput.TABLE, clock)
        )
        for clock in ("wall", "processor")
    )
    products, tokenizing = (
        1000 * limits[f"{what}_seconds_per_review"] for what in ("products", "tokenizing")
    )
    peak = max(limits["billion_multiply_adds_per_second"].values())
    return prose(
        f"**What limits a table:** {bottleneck(wall, used)}. A review takes {used:.2f} ms of processor time.",
        f"The model's products with weights alone, {limits['multiply_adds_per_token'] / 1e6:.1f} million",
        f"multiply-adds a token, would take {products:.2f} ms ({products / used:.0%}) at this machine's peak",
        f"of {peak:.0f} billion a second. Tokenizing takes {tokenizing:.2f} ms ({tokenizing / used:.0%}):",
        f"{limits['tokenizing_bytes_per_second'] / 1e6:.1f} MB a second.",
    )


def profile(microseconds: dict[str, float]) -> str:
    """Return where the model's time goes."""
    kinds = {kind: time for kind, time in microseconds.items() if kind not in {"tokens", "windows"}}
    whole = sum(kinds.values())
    ordered = sorted(kinds.items(), key=lambda of: -of[1])
    shares = [f"{kind} {time / whole:.0%}" for kind, time in ordered if time / whole > LEAST_SHARE]
    return prose(
        f"Where the model's own time goes, in {microseconds['windows']:.0f} windows of",
        f"{microseconds['tokens']:.0f} tokens: {', '.join(shares)}.",
    )


def of_latency(figures: Figures) -> list[str]:
    """Return section b."""
    rows = []
    for run in figures["runs"]:
        wall, used, inference, cloud = (
            each(run, figures["files"], key) for key in ("wall", "processor", "inference", "cloud")
        )
        times = f"{latency.times_inference(run):.2f}"
        requests = f"{run['requests'] / figures['files']:.1f}"
        alone = [
            f"{used:.1f}",
            f"{inference:.1f}",
            f"{cloud:.1f}",
            f"{latency.sequential_milliseconds(figures, run):.1f}",
        ]
        rows.append([f"{run['milliseconds']} ms", f"{wall:.1f}", times, requests, *alone])
    (run,) = (run for run in figures["runs"] if run["milliseconds"] == latency.GOAL_MILLISECONDS)
    used, inference, wall = (each(run, figures["files"], key) for key in ("processor", "inference", "wall"))
    in_turn = run["requests"] / figures["files"] * run["milliseconds"]
    return [
        prose(
            machine(figures),
            f"Medians of {figures['rounds']} rounds. {figures['files']} files of a review each, in the same",
            f"mix, by {number_of(run['invocations'], 'invocation')}. Every request to S3 waits so long until",
            "it is answered. moto is not what answers: it takes some milliseconds of a processor for a file,",
            "and where processors share a core that slows the function, as S3 does not. A stand-in does,",
            "which keeps objects in a dictionary, checks no signatures and speaks plain HTTP. Inference",
            "alone is the classifier on the same reviews, all at once, evidence included. All figures are",
            "of one file.",
        ),
        markdown(
            [
                *("latency", "ms", "times inference", "requests", "processor ms", "inference ms"),
                *("the stand-in's processor ms", "inference, then requests in turn, ms"),
            ],
            rows,
        ),
        prose(
            f"**What limits it:** {bottleneck(wall, used)}. At {run['milliseconds']} ms a file takes",
            f"{wall:.0f} ms; its requests in turn would be {in_turn:.0f}. The limit is the processor:",
            f"{used:.0f} ms, of which inference is {inference:.0f} and the rest is making requests, reading",
            f"and writing. So overlapping alone comes no nearer to inference than {used / inference:.2f}",
            "times.",
        ),
    ]


def of_memory(figures: Figures) -> list[str]:
    """Return section c."""
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
    limits = []
    for who in (memory.REVIEWBOX, memory.TUTORIAL):
        done = [run for run in figures["runs"] if run["who"] == who and run["error"] is None]
        last = max(done, key=lambda run: run["megabytes"])
        times = (last["peak_megabytes"] - last["idle_megabytes"]) / last["megabytes"]
        speed = last["megabytes"] / last["wall_seconds"]
        limits.append(
            f"{who}, {last['megabytes']:,} MB: {times:.2f} bytes held for each byte of the table, and"
            f" {speed:.0f} MB a second"
        )
    return [
        prose(
            machine(figures),
            "A fresh process for each table: JSON Lines, rows of 2,000 bytes of which the review is a",
            "sentence. The model is tiny, and the tutorials' handler has none, so what is seen is the",
            "table. Seconds grow faster than it does because moto copies all of an object for each range",
            "of it that is read, as S3 does not.",
        ),
        markdown(
            ["", "table", "rows", "classified", "most MB", "more than idle", "seconds", "invocations"], rows
        ),
        prose(
            "**What limits it:** how much of a table is held at once. The limit is a constant, whatever its",
            f"size. {'; '.join(limits)}.",
        ),
    ]


def of_cold_start(figures: Figures) -> list[str]:
    """Return section d."""
    wall = figures["milliseconds"][DEPLOYED]["wall"]
    whole = sum(wall.values())
    phases = {phase: sum(wall[part] for part in parts) for phase, parts in PHASES.items()} | {"all": whole}
    slowest = max(wall, key=lambda part: wall[part])
    package, of_package = max(figures["imports"].items(), key=lambda item: item[1])
    return [
        prose(
            f"{figures['processor']}, {figures['processors']} processors, the Python that Lambda has.",
            f"Medians of {figures['rounds']} rounds, a fresh process of the built artifact each, its files",
            "read before. By `make bench-cold`; [why it is as it is](../adr/0008-cold-start.md).",
        ),
        markdown(
            ["", "ms", "share"],
            ([phase, f"{time:.0f}", f"{time / whole:.0%}"] for phase, time in phases.items()),
        ),
        prose(
            f"**What limits it:** {PARTS[slowest]}, {wall[slowest]:.0f} ms ({wall[slowest] / whole:.0%}), of",
            f"which {package} {of_package:.0f}. The limit is what cannot be left out: an interpreter,",
            f"{wall['interpreter']:.0f} ms, the model's files and graph,",
            f"{wall['digests'] + wall['graph']:.0f}, and inference, {wall['inference']:.0f}.",
        ),
    ]


def of_growth(figures: Figures) -> list[str]:
    """Return section e."""
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
    texts = []
    for name in growth.COUNTS:
        runs = sorted((run for run in figures["runs"] if run["model"] == name), key=lambda run: run["files"])
        few, many = runs[-min(3, len(runs))], runs[-1]
        times = many["wall_seconds"] / many["files"] / few["wall_seconds"] * few["files"]
        more = many["peak_megabytes"] - few["peak_megabytes"]
        texts.append(
            f"with the {name} a file among {many['files']:,} takes {times:.2f} times as long as among"
            f" {few['files']:,}, and the process holds {more:.0f} MB more"
        )
    return [
        prose(
            machine(figures),
            "A fresh process and cloud for each, which has done one file before. The files, of a review",
            "each, wait in the queue; nothing is added to S3's latency.",
        ),
        markdown(
            [
                *("", "files", "ms a file", "processor ms", "the cloud's own ms"),
                *("ms until the queue is empty", "requests a file", "most MB"),
            ],
            rows,
        ),
        prose(
            f"**What limits it:** {'; '.join(texts)}. The limit is a constant time for each file: its review",
            "and its round trips. One worker is measured; others do as much again.",
        ),
    ]


def changes(found: dict[str, Figures | None], before: dict[str, Figures | None]) -> list[str]:
    """Return what has become of the figures that a change is judged by."""
    rows = [
        [f"{TITLES[name]}: {what}", f"{old['headlines'][what]:,.4g}", f"{value:,.4g}"]
        for name, old in before.items()
        if old and (new := found[name])
        for what, value in new.get("headlines", {}).items()
        if what in old.get("headlines", {})
    ]
    if not rows:
        return []
    return [
        "## Before and after",
        f"The figures [from before]({BEFORE}/) are of one object an invocation, measured alike.",
        markdown(["", "before", "after"], rows),
    ]


def bottleneck(wall: float, used: float) -> str:
    """Return what most of the time goes into."""
    return "waiting for S3" if wall - used > used else "the processor"


def each(run: Figures, files: int, key: str) -> float:
    """Return the milliseconds that a file takes, the median of the rounds."""
    seconds: float = statistics.median(run[f"{key}_seconds"])
    return 1000 * seconds / files


def machine(figures: Figures) -> str:
    """Return what it was measured on and with."""
    found = dict(figures["machine"])
    name, processors, python = (found.pop(key) for key in ("processor", "processors", "python"))
    versions = ", ".join(f"{package} {number}" for package, number in found.items())
    return f"{name}, {processors} processors, Python {python}, {versions}."


def prose(*lines: str) -> str:
    """Return a paragraph."""
    return textwrap.fill(" ".join(lines), WIDTH, break_long_words=False, break_on_hyphens=False)


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    head = list(head)
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def yes(met: bool) -> str:  # noqa: FBT001 - a word for a truth
    """Return the word for it."""
    return "yes" if met else "no"


TITLES = {
    throughput.NAME: "Reviews per second and core",
    latency.NAME: "Small files against S3's latency",
    memory.NAME: "Memory against a table's size",
    "cold_start": "Cold start",
    growth.NAME: "Growth, 1 to 10,000 files",
}
SECTIONS: dict[str, Callable[[Figures], list[str]]] = {
    throughput.NAME: of_throughput,
    latency.NAME: of_latency,
    memory.NAME: of_memory,
    "cold_start": of_cold_start,
    growth.NAME: of_growth,
}


if __name__ == "__main__":
    main()
