"""docs/benchmarks/README.md, from the figures beside it."""

import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.benchmarks import growth, latency, memory, throughput
from tests.benchmarks.cold_start import DEPLOYED, PARTS, PHASES
from tests.benchmarks.figures import BEFORE, Figures, folder, quick, read

GATE, GOAL = 8, 20  # times the tutorial handler, per core
MOST_TIMES_INFERENCE = 1.2

HEAD = """\
# Benchmarks

`make bench` measures the whole job and writes this page, its figures (JSON) and its plots; `make bench-cold` the cold
start. Nothing is decided by them: no test is timed. What is compared takes turns in one run. Texts are made up by a
seeded generator, and [moto](https://docs.getmoto.org), in a process and on a processor of its own, answers in place
of S3 and SQS. The ratios are what to look at; on another machine the milliseconds are others.
"""


def main() -> None:
    """Write the page."""
    where = folder(rehearsal=quick(__doc__.splitlines()[0]))
    (where / "README.md").write_text(render(where), encoding="utf-8")


def render(where: Path) -> str:
    """Return the page of the figures in a folder."""
    found = {name: read(name, where) for name in SECTIONS}
    before = {name: read(name, where / BEFORE) for name in SECTIONS}
    parts = [HEAD, *glance(found)]
    for name, section in SECTIONS.items():
        figures = found[name]
        parts += section(figures) if figures else [f"## {TITLES[name]}", "Not measured yet."]
        if figures:
            parts.append(f"![{TITLES[name]}]({name}.png)")
    parts += changes(found, before)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def glance(found: dict[str, Figures | None]) -> list[str]:
    """Return what was asked for, and what was measured."""
    rows: list[list[str]] = []
    times = found[throughput.NAME]
    if times:
        for what in (throughput.FILES, throughput.TABLE):
            faster = throughput.times_faster(times, what, "wall")
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
    rows = []
    for who in (throughput.REVIEWBOX, *throughput.ALTERNATIVES):
        row = [who]
        for what in (throughput.FILES, throughput.TABLE):
            used = 1000 * statistics.median(throughput.per_review(figures, who, what, "processor"))
            ours = throughput.times_faster(figures, what, "wall", who)
            row += [f"{throughput.rate(figures, who, what):.1f}", f"{used:.2f}", f"{ours:.2f}"]
        rows.append(row)
    kinds = (throughput.FILES, throughput.TABLE)
    head = [
        f"{what}: {column}" for what in kinds for column in ("reviews/s", "processor ms", "takes times ours")
    ]
    runs = {(run["who"], run["what"]): run for run in figures["runs"]}
    ours, table = (runs[throughput.REVIEWBOX, what] for what in kinds)
    sample = runs[throughput.TUTORIAL, throughput.TABLE]["reviews"]
    mix = ", ".join(f"{share:.0%} {kind}" for kind, share in figures["mix"].items())
    limits = figures["limits"]
    milliseconds = 1000 * figures["seconds_per_request"]
    wall, used = (
        1000
        * statistics.median(throughput.per_review(figures, throughput.REVIEWBOX, throughput.FILES, clock))
        for clock in ("wall", "processor")
    )
    waiting = ours["requests"] / ours["reviews"] * milliseconds
    of_row = 1000 * statistics.median(
        throughput.per_review(figures, throughput.REVIEWBOX, throughput.TABLE, "processor")
    )
    products, tokenizing = (
        1000 * limits[f"{what}_seconds_per_review"] for what in ("products", "tokenizing")
    )
    peak = max(limits["billion_multiply_adds_per_second"].values())
    return [
        f"## {TITLES[throughput.NAME]}",
        f"{machine(figures)}; medians of {figures['rounds']} rounds. Each is a whole handler, in a process of its own on "
        f"one processor and one thread; each request to S3 waits {milliseconds:.0f} ms. {ours['reviews']} files of a review "
        f"each, and one table of {table['reviews']:,} (JSON Lines): {mix}, {figures['characters_per_review']:.0f} characters "
        f"and {limits['tokens_per_review']:.0f} tokens on average.",
        "The tutorials' handler takes the event's first record, reads the whole object, classifies one review at a time "
        f"and writes the results. Its DistilBERT is that architecture with random weights, which take as long as trained "
        f"ones; it cuts a text off at {throughput.tutorial.LONGEST} tokens, which {figures['cut_off']:.0%} of these "
        f"reviews exceed. Of the table, the two DistilBERTs take the first {sample} rows. TF-IDF has learnt made-up texts "
        "of few words. Reviewbox covers every text whole, and for a file also finds the evidence, sentence by sentence.",
        markdown(["", *head], rows),
        f"**What limits small files:** {'waiting for S3' if wall - used > used else 'the processor'}. "
        f"A file takes {wall:.0f} ms, {used:.0f} of them on the processor. Its {ours['requests'] / ours['reviews']:.1f} "
        f"requests are {waiting:.0f} ms of round trips if they wait for each other; overlapped, the processor remains: "
        f"{wall / used:.1f} times as fast at most.",
        f"**What limits a table:** the processor. A review takes {of_row:.2f} ms of it. The model's products with weights "
        f"alone, {limits['multiply_adds_per_token'] / 1e6:.1f} million multiply-adds a token at this machine's peak of "
        f"{peak:.0f} billion a second, would take {products:.2f} ms ({products / of_row:.0%}); tokenizing takes "
        f"{tokenizing:.2f} ms ({tokenizing / of_row:.0%}), {limits['tokenizing_bytes_per_second'] / 1e6:.1f} MB a second.",
        profile(limits["model_profile_microseconds"]),
    ]


def profile(microseconds: dict[str, float]) -> str:
    """Return where the model's time goes."""
    kinds = {kind: time for kind, time in microseconds.items() if kind not in {"tokens", "windows"}}
    whole = sum(kinds.values())
    shares = ", ".join(
        f"{kind} {time / whole:.0%}" for kind, time in sorted(kinds.items(), key=lambda of: -of[1])
    )
    return (
        f"Where the model's own time goes, in {microseconds['windows']:.0f} windows of {microseconds['tokens']:.0f} tokens: "
        f"{shares}."
    )


def of_latency(figures: Figures) -> list[str]:
    """Return section b."""
    rows = []
    for run in figures["runs"]:
        wall, used, inference, cloud = (
            1000 * statistics.median(run[f"{key}_seconds"]) / figures["files"]
            for key in ("wall", "processor", "inference", "cloud")
        )
        rows.append(
            [
                f"{run['milliseconds']} ms",
                f"{wall:.1f}",
                f"{used:.1f}",
                f"{inference:.1f}",
                f"{latency.times_inference(run):.2f}",
                f"{run['requests'] / figures['files']:.1f}",
                f"{cloud:.1f}",
                f"{latency.in_turn(figures, run):.1f}",
            ]
        )
    (run,) = (run for run in figures["runs"] if run["milliseconds"] == latency.GOAL_MILLISECONDS)
    used, inference, wall = (
        1000 * statistics.median(run[f"{key}_seconds"]) / figures["files"]
        for key in ("processor", "inference", "wall")
    )
    return [
        f"## {TITLES[latency.NAME]}",
        f"{machine(figures)}; medians of {figures['rounds']} rounds. {figures['files']} files of a review each, the same mix, "
        f"{run['invocations']} invocations. Every request to S3 waits so long before the cloud takes it up. Inference alone "
        "is the classifier on the same reviews, all at once, evidence included. All figures are of one file.",
        markdown(
            [
                "latency",
                "ms",
                "processor ms",
                "inference ms",
                "times inference",
                "requests",
                "the cloud's own ms",
                "inference, then requests in turn, ms",
            ],
            rows,
        ),
        f"**What limits it:** {'round trips' if wall - used > used else 'the processor'}. At {run['milliseconds']} ms a file "
        f"takes {wall:.0f} ms, and its requests in turn {run['requests'] / figures['files'] * run['milliseconds']:.0f}. The "
        f"limit is the processor: {used:.0f} ms, of which inference is {inference:.0f} and the rest is making requests, "
        f"reading and writing; so {used / inference:.2f} times inference is what overlapping alone can reach.",
    ]


def of_memory(figures: Figures) -> list[str]:
    """Return section c."""
    rows = [
        [
            run["who"],
            f"{run['megabytes']:,} MB",
            f"{run['rows']:,}",
            run["error"] and f"`{run['error']}`" or "all",
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
        if done:
            last = max(done, key=lambda run: run["megabytes"])
            times = (last["peak_megabytes"] - last["idle_megabytes"]) / last["megabytes"]
            rate = last["megabytes"] / last["wall_seconds"]
            limits.append(
                f"{who}: {times:.1f} bytes for each byte of a table of {last['megabytes']:,} MB, {rate:.1f} MB a second"
            )
    return [
        f"## {TITLES[memory.NAME]}",
        f"{machine(figures)}; a fresh process and one table each. JSON Lines with rows of 2,000 bytes, of which the review is "
        "a sentence. The model is tiny, and the tutorials' handler has none, so what is seen is the table.",
        markdown(
            ["", "table", "rows", "classified", "most MB", "more than idle", "seconds", "invocations"], rows
        ),
        f"**What limits it:** how much of a table is held at once. The limit is one segment, whatever the table's size. "
        f"{'; '.join(limits)}.",
    ]


def of_cold_start(figures: Figures) -> list[str]:
    """Return section d."""
    wall = figures["milliseconds"][DEPLOYED]["wall"]
    whole = sum(wall.values())
    rows = [
        [
            phase,
            f"{sum(wall[part] for part in parts):.0f}",
            f"{sum(wall[part] for part in parts) / whole:.0%}",
        ]
        for phase, parts in PHASES.items()
    ]
    slowest = max(wall, key=lambda part: wall[part])
    package, of_package = max(figures["imports"].items(), key=lambda item: item[1])
    return [
        f"## {TITLES['cold_start']}",
        f"{figures['processor']}, {figures['processors']} processors, Python 3.13; medians of {figures['rounds']} rounds, a "
        "fresh process of the built artifact each, files read before. By `make bench-cold`; "
        "[why it is so](../adr/0008-cold-start.md).",
        markdown(["", "ms", "share"], [*rows, ["all", f"{whole:.0f}", ""]]),
        f"**What limits it:** {PARTS[slowest]}, {wall[slowest]:.0f} ms ({wall[slowest] / whole:.0%}), of them {package} "
        f"{of_package:.0f} ms. The limit is an interpreter that imports nothing: {wall['interpreter']:.0f} ms, and loading "
        f"the model's graph: {wall['graph']:.0f} ms.",
    ]


def of_growth(figures: Figures) -> list[str]:
    """Return section e."""
    rows = [
        [
            run["model"],
            f"{run['files']:,}",
            *(
                f"{1000 * run[key] / run['files']:.1f}"
                for key in ("wall_seconds", "processor_seconds", "cloud_seconds", "seconds_until_idle")
            ),
            f"{run['requests'] / run['files']:.1f}",
            f"{run['peak_megabytes']:.0f}",
        ]
        for run in figures["runs"]
    ]
    texts = []
    for name in growth.COUNTS:
        runs = {run["files"]: run for run in figures["runs"] if run["model"] == name}
        few, many = (runs[files] for files in (sorted(runs)[min(1, len(runs) - 1)], max(runs)))
        times = many["wall_seconds"] / many["files"] / few["wall_seconds"] * few["files"]
        texts.append(
            f"with the {name} a file among {many['files']:,} takes {times:.2f} times as long as among {few['files']:,}, "
            f"and memory grows by {many['peak_megabytes'] - few['peak_megabytes']:.0f} MB"
        )
    return [
        f"## {TITLES[growth.NAME]}",
        f"{machine(figures)}; a fresh process and cloud each, which has done one file before. Files of a review each wait in "
        "the queue; nothing is added to S3's latency.",
        markdown(
            [
                "",
                "files",
                "ms a file",
                "processor ms",
                "the cloud's own ms",
                "ms until the queue is empty",
                "requests a file",
                "most MB",
            ],
            rows,
        ),
        f"**What limits it:** each file by itself: {'; '.join(texts)}. The limit is the model's time for a review, and "
        "round trips, which other workers share.",
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
        f"The figures before are in [{BEFORE}/]({BEFORE}/), measured alike.",
        markdown(["", "before", "after"], rows),
    ]


def machine(figures: Figures) -> str:
    """Return what it was measured on and with."""
    found = dict(figures["machine"])
    name, processors, python = (found.pop(key) for key in ("processor", "processors", "python"))
    versions = ", ".join(f"{package} {number}" for package, number in found.items())
    return f"{name}, {processors} processors, Python {python}, {versions}"


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
