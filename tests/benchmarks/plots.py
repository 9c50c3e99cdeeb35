"""The pictures of docs/benchmarks, from the figures there. The only module that knows `matplotlib`."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from tests.benchmarks import growth, latency, memory, throughput
from tests.benchmarks.cold_start import DEPLOYED, PHASES
from tests.benchmarks.figures import BEFORE, Figures, folder, quick, read

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

OURS, OTHERS, THIRD = "#0b6e8f", "#b5b5b5", "#d9822b"
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def main() -> None:
    """Draw what there are figures of."""
    where = folder(rehearsal=quick(__doc__.splitlines()[0]))
    with mpl.rc_context(STYLE):
        for name, draw in PLOTS.items():
            figures = read(name, where)
            if figures:
                _save(draw(figures, read(name, where / BEFORE)), where / f"{name}.png")


def _save(figure: Any, path: Path) -> None:
    # The same figures give the same bytes.
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


def draw_throughput(figures: Figures, before: Figures | None) -> Any:
    """Reviews per second and core, by who and what."""
    figure, panes = plt.subplots(1, 2, figsize=(9.5, 3.1), sharey=True, sharex=True)
    names = [throughput.REVIEWBOX, *throughput.ALTERNATIVES]
    titles = (
        f"{throughput.FILES}, {1000 * figures['seconds_per_request']:.0f} ms a request",
        throughput.TABLE,
    )
    for pane, what, title in zip(panes, (throughput.FILES, throughput.TABLE), titles, strict=True):
        for place, who in enumerate(names):
            rate = throughput.rate(figures, who, what)
            color = OURS if who == throughput.REVIEWBOX else OTHERS
            pane.plot([1, rate], [place, place], "-", color=color, linewidth=2)
            pane.plot(rate, place, "o", color=color, markersize=8)
            pane.annotate(
                f"{rate:,.{0 if rate >= 10 else 1}f}", (rate, place), (8, -4), textcoords="offset points"
            )
        if before:
            rate = throughput.rate(before, throughput.REVIEWBOX, what)
            pane.plot(rate, 0, "o", color=OURS, markerfacecolor="white", markersize=8, label="before")
        pane.set(title=title, xscale="log", xlabel="reviews per second and core", xlim=(1, 4000))
        _plain_numbers(pane.xaxis, [1, 10, 100, 1000])
        pane.set_yticks(range(len(names)), names)
    if before:
        panes[0].legend(loc="lower right")
    panes[0].invert_yaxis()
    return figure


def draw_latency(figures: Figures, before: Figures | None) -> Any:
    """Milliseconds per file by S3's latency, beside inference alone and every request in turn."""
    figure, pane = plt.subplots(figsize=(6.5, 3.6))

    def each(found: Figures, key: str) -> list[float]:
        return [1000 * statistics.median(run[key]) / found["files"] for run in found["runs"]]

    waits = [run["milliseconds"] for run in figures["runs"]]
    if before:
        pane.plot(waits, each(before, "wall_seconds"), "o--", color=OTHERS, label="Reviewbox before")
    pane.plot(waits, each(figures, "wall_seconds"), "o-", color=OURS, label="Reviewbox")
    pane.plot(waits, each(figures, "inference_seconds"), "s-", color=THIRD, label="inference alone")
    in_turn = [latency.in_turn(figures, run) for run in figures["runs"]]
    pane.plot(waits, in_turn, ":", color="black", linewidth=1, label="inference, then each request in turn")
    pane.set(xlabel="latency of a request to S3, ms", ylabel="ms a file", xticks=waits, ylim=(0, None))
    pane.legend()
    return figure


def draw_memory(figures: Figures, before: Figures | None) -> Any:
    """The most memory by the size of a table."""
    figure, pane = plt.subplots(figsize=(6.5, 3.8))
    lines = [
        (figures, memory.TUTORIAL, "tutorial handler, without a model", OTHERS, "s-"),
        (before, memory.REVIEWBOX, "Reviewbox before", THIRD, "o--"),
        (figures, memory.REVIEWBOX, "Reviewbox", OURS, "o-"),
    ]
    for found, who, label, color, marker in lines:
        if found is None:
            continue
        runs = [run for run in found["runs"] if run["who"] == who]
        done = [run for run in runs if run["error"] is None]
        pane.plot(*_points(done, "megabytes", "peak_megabytes"), marker, color=color, label=label)
        refused = [run for run in runs if run["error"]]
        if refused:
            points = _points(refused, "megabytes", "peak_megabytes")
            pane.plot(*points, "x", color=color, label=f"{label}: {refused[0]['error']}")
    sizes = sorted({run["megabytes"] for run in figures["runs"]})
    most = max(run["peak_megabytes"] for run in figures["runs"])
    pane.plot(sizes, sizes, ":", color="black", linewidth=1, label="the table itself")
    pane.set(xscale="log", yscale="log", xlabel="size of the table, MB", ylabel="most memory held, MB")
    _plain_numbers(pane.xaxis, sizes)
    _plain_numbers(pane.yaxis, [10**power for power in range(5) if sizes[0] <= 10**power <= most])
    pane.legend(fontsize=9)
    return figure


def draw_growth(figures: Figures, before: Figures | None) -> Any:
    """Milliseconds per file and memory by how many files wait."""
    figure, (times, peaks) = plt.subplots(1, 2, figsize=(9.5, 3.4))
    counts = sorted({run["files"] for run in figures["runs"]})
    for name, color in ((growth.SHIPPED, OURS), (growth.TINY, THIRD)):
        runs = [run for run in figures["runs"] if run["model"] == name]
        files = [run["files"] for run in runs]
        times.plot(
            files, [1000 * run["wall_seconds"] / run["files"] for run in runs], "o-", color=color, label=name
        )
        peaks.plot(files, [run["peak_megabytes"] for run in runs], "o-", color=color, label=name)
    for pane, label in ((times, "ms a file"), (peaks, "most memory held, MB")):
        pane.set(xscale="log", xlabel="files in the queue", ylabel=label, ylim=(0, None))
        _plain_numbers(pane.xaxis, counts)
    times.legend()
    return figure


def draw_cold_start(figures: Figures, before: Figures | None) -> Any:
    """The parts of a cold start, in their order."""
    figure, pane = plt.subplots(figsize=(9.5, 3.8))
    wall = figures["milliseconds"][DEPLOYED]["wall"]
    start = 0.0
    names: list[str] = []
    for (phase, parts), color in zip(PHASES.items(), (OTHERS, OURS, THIRD), strict=True):
        for number, (part, name) in enumerate(parts.items()):
            bar = pane.barh(len(names), wall[part], left=start, color=color, label=None if number else phase)
            pane.bar_label(bar, [f"{wall[part]:.0f}"], padding=3)
            names.append(name)
            start += wall[part]
    pane.set(yticks=range(len(names)), yticklabels=names, xlabel="ms since the process was started")
    pane.invert_yaxis()
    pane.legend(loc="upper right")
    return figure


def _points(runs: list[Figures], x: str, y: str) -> tuple[list[float], list[float]]:
    return [run[x] for run in runs], [run[y] for run in runs]


def _plain_numbers(axis: Any, values: list[int]) -> None:
    axis.set_ticks(values, [f"{value:,}" for value in values])
    axis.set_minor_locator(NullLocator())


PLOTS: dict[str, Callable[[Figures, Figures | None], Any]] = {
    throughput.NAME: draw_throughput,
    latency.NAME: draw_latency,
    memory.NAME: draw_memory,
    "cold_start": draw_cold_start,
    growth.NAME: draw_growth,
}


if __name__ == "__main__":
    main()
