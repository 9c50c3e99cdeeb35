"""Draw the plots in docs/benchmarks from the figures there. Only this module needs `matplotlib`."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from tests.benchmarks import growth, latency, load, memory, throughput
from tests.benchmarks.cold_start import DEPLOYED, PHASES
from tests.benchmarks.figures import BEFORE, Figures, is_rehearsal, output_folder, read_figures

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

BLUE, GRAY, ORANGE = "#0b6e8f", "#b5b5b5", "#d9822b"
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
    """Draw a plot of each benchmark that has figures."""
    folder = output_folder(rehearsal=is_rehearsal(__doc__.splitlines()[0]))
    with mpl.rc_context(STYLE):
        for name, draw in PLOTS.items():
            figures = read_figures(name, folder)
            if figures:
                _save(draw(figures, read_figures(name, folder / BEFORE)), folder / f"{name}.png")


def _save(figure: Any, path: Path) -> None:
    # Leave out matplotlib's version, so that the same figures give the same bytes.
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


def draw_throughput(figures: Figures, before: Figures | None) -> Any:
    """Draw the reviews per second and core of each handler, for small files and for a table."""
    figure, all_axes = plt.subplots(1, 2, figsize=(9.5, 3.1), sharey=True, sharex=True)
    names = [throughput.REVIEWBOX, *throughput.ALTERNATIVES]
    titles = (
        f"{throughput.FILES}, {1000 * figures['seconds_per_request']:.0f} ms per request",
        throughput.TABLE,
    )
    for axes, input_kind, title in zip(all_axes, (throughput.FILES, throughput.TABLE), titles, strict=True):
        for row, name in enumerate(names):
            rate = throughput.reviews_per_second(figures, name, input_kind)
            color = BLUE if name == throughput.REVIEWBOX else GRAY
            axes.plot([1, rate], [row, row], "-", color=color, linewidth=2)
            axes.plot(rate, row, "o", color=color, markersize=8)
            axes.annotate(
                f"{rate:,.{0 if rate >= 10 else 1}f}", (rate, row), (8, -4), textcoords="offset points"
            )
        if before:
            rate = throughput.reviews_per_second(before, throughput.REVIEWBOX, input_kind)
            axes.plot(rate, 0, "o", color=BLUE, markerfacecolor="white", markersize=8, label="before")
        axes.set(title=title, xscale="log", xlabel="reviews per second and core", xlim=(1, 4000))
        _plain_numbers(axes.xaxis, [1, 10, 100, 1000])
        axes.set_yticks(range(len(names)), names)
    if before:
        all_axes[0].legend(loc="lower right")
    all_axes[0].invert_yaxis()
    return figure


def draw_latency(figures: Figures, before: Figures | None) -> Any:
    """Draw milliseconds per file against S3's latency, with inference alone and sequential requests."""
    figure, axes = plt.subplots(figsize=(6.5, 3.6))

    def per_file(figures: Figures, key: str) -> list[float]:
        return [1000 * statistics.median(run[key]) / figures["files"] for run in figures["runs"]]

    latencies = [run["milliseconds"] for run in figures["runs"]]
    if before:
        axes.plot(latencies, per_file(before, "wall_seconds"), "o--", color=GRAY, label="Reviewbox before")
    axes.plot(latencies, per_file(figures, "wall_seconds"), "o-", color=BLUE, label="Reviewbox")
    axes.plot(latencies, per_file(figures, "inference_seconds"), "s-", color=ORANGE, label="inference alone")
    sequential = [latency.sequential_milliseconds(figures, run) for run in figures["runs"]]
    axes.plot(
        latencies, sequential, ":", color="black", linewidth=1, label="inference, then sequential requests"
    )
    axes.set(xlabel="latency per S3 request, ms", ylabel="ms per file", xticks=latencies, ylim=(0, None))
    axes.legend()
    return figure


def draw_memory(figures: Figures, before: Figures | None) -> Any:
    """Draw peak memory against the size of a table."""
    figure, axes = plt.subplots(figsize=(6.5, 3.8))
    lines = [
        (figures, memory.TUTORIAL, "tutorial handler, without a model", GRAY, "s-"),
        (before, memory.REVIEWBOX, "Reviewbox before", ORANGE, "o--"),
        (figures, memory.REVIEWBOX, "Reviewbox", BLUE, "o-"),
    ]
    for line_figures, who, label, color, marker in lines:
        if line_figures is None:
            continue
        runs = [run for run in line_figures["runs"] if run["who"] == who]
        classified = [run for run in runs if run["error"] is None]
        axes.plot(*_points(classified, "megabytes", "peak_megabytes"), marker, color=color, label=label)
        rejected = [run for run in runs if run["error"]]
        if rejected:
            points = _points(rejected, "megabytes", "peak_megabytes")
            axes.plot(*points, "x", color=color, label=f"{label}: {rejected[0]['error']}")
    sizes = sorted({run["megabytes"] for run in figures["runs"]})
    peak = max(run["peak_megabytes"] for run in figures["runs"])
    axes.plot(sizes, sizes, ":", color="black", linewidth=1, label="size of the table")
    axes.set(xscale="log", yscale="log", xlabel="size of the table, MB", ylabel="peak memory, MB")
    _plain_numbers(axes.xaxis, sizes)
    _plain_numbers(axes.yaxis, [10**power for power in range(5) if sizes[0] <= 10**power <= peak])
    axes.legend(fontsize=9)
    return figure


def draw_growth(figures: Figures, before: Figures | None) -> Any:
    """Draw milliseconds per file and peak memory against the number of files in the queue."""
    figure, (time_axes, memory_axes) = plt.subplots(1, 2, figsize=(9.5, 3.4))
    counts = sorted({run["files"] for run in figures["runs"]})
    for name, color in ((growth.SHIPPED, BLUE), (growth.TINY, ORANGE)):
        runs = [run for run in figures["runs"] if run["model"] == name]
        files = [run["files"] for run in runs]
        time_axes.plot(
            files, [1000 * run["wall_seconds"] / run["files"] for run in runs], "o-", color=color, label=name
        )
        memory_axes.plot(files, [run["peak_megabytes"] for run in runs], "o-", color=color, label=name)
    for axes, label in ((time_axes, "ms per file"), (memory_axes, "peak memory, MB")):
        axes.set(xscale="log", xlabel="files in the queue", ylabel=label, ylim=(0, None))
        _plain_numbers(axes.xaxis, counts)
    time_axes.legend()
    return figure


def draw_load(figures: Figures, before: Figures | None) -> Any:
    """Draw the rate, the latency and the memory over time."""
    figure, all_axes = plt.subplots(1, 3, figsize=(11, 3.2))
    rate_axes, latency_axes, memory_axes = all_axes
    intervals = figures["intervals"]
    minutes = [interval["minutes"] for interval in intervals]
    rate_axes.plot(minutes, [interval["files_per_second"] for interval in intervals], color=BLUE)
    for percent, color in zip(load.PERCENTILES, (BLUE, GRAY, ORANGE), strict=True):
        seconds = [interval["latency_seconds"][str(percent)] for interval in intervals]
        latency_axes.plot(minutes, seconds, color=color, label=f"{percent}%")
    latency_axes.legend(ncols=3)
    memory_axes.plot(minutes, [interval["megabytes"] for interval in intervals], color=BLUE)
    labels = ("files per second", "seconds from upload to result", "memory, MB")
    for axes, label in zip(all_axes, labels, strict=True):
        axes.set(xlabel="minutes", ylabel=label, ylim=(0, None))
    return figure


def draw_cold_start(figures: Figures, before: Figures | None) -> Any:
    """Draw the parts of a cold start in order."""
    figure, axes = plt.subplots(figsize=(9.5, 3.8))
    wall = figures["milliseconds"][DEPLOYED]["wall"]
    start = 0.0
    names: list[str] = []
    for (phase, parts), color in zip(PHASES.items(), (GRAY, BLUE, ORANGE), strict=True):
        for number, (part, name) in enumerate(parts.items()):
            bar = axes.barh(len(names), wall[part], left=start, color=color, label=None if number else phase)
            axes.bar_label(bar, [f"{wall[part]:.0f}"], padding=3)
            names.append(name)
            start += wall[part]
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel="ms since the start of the process")
    axes.invert_yaxis()
    axes.legend(loc="upper right")
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
    load.NAME: draw_load,
}


if __name__ == "__main__":
    main()
