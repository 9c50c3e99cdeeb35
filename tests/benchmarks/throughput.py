"""Measure reviews per second and core: Reviewbox, and the tutorial handler with four classifiers.

Each handler runs in its own process, on one processor and one thread. The local cloud runs on the other
processors and delays each request to S3 by 25 ms. The handlers alternate, so that other load on the machine
affects all of them equally. The ratios carry over to other machines; the absolute figures do not.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tests.benchmarks import tutorial, uploads
from tests.benchmarks.figures import MODEL, Figures, describe_machine, is_rehearsal, report, write_figures
from tests.benchmarks.model import INTEGER, PROFILED, measure_peak_rates, profile_model, write_distilbert
from tests.benchmarks.processes import Server, Traffic, cloud_process, worker_process
from tests.benchmarks.texts import MIX, generate_mix, json_lines

from reviewbox.model.bundle import Bundle
from reviewbox.model.windows import Windows

NAME = "throughput"
SECONDS_PER_REQUEST = 0.025

REVIEWBOX, TUTORIAL = "Reviewbox", "tutorial: DistilBERT, transformers"
ALTERNATIVES: dict[str, Callable[[Path], tutorial.Classify]] = {
    TUTORIAL: tutorial.distilbert,
    "tutorial: DistilBERT int8, onnxruntime": tutorial.distilbert_int8,
    "tutorial: VADER": tutorial.vader,
    "tutorial: TF-IDF, scikit-learn": tutorial.tfidf,
}
# These classify only a sample of the table; their time is proportional to its rows.
SLOW = list(ALTERNATIVES)[:2]

FILES, TABLE = "small files", "one table"


@dataclass(frozen=True, slots=True)
class Workload:
    """Objects to classify, by name, and how many reviews they hold."""

    bodies: dict[str, bytes]
    reviews: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """The seconds of processor and wall time that a handler took for a workload, and its requests."""

    processor: float
    wall: float
    traffic: Traffic


# Classifies a workload with one of the handlers.
Runner = Callable[[Workload], Measurement]


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = is_rehearsal(__doc__.splitlines()[0])
    files, rows, sample, rounds = (20, 100, 20, 1) if rehearsal else (200, 5000, 240, 3)
    # onnxruntime sends usage data unless this is set before its import, here and in the child processes.
    os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
    texts = generate_mix(rows, "a table")
    small_files = Workload(uploads.text_files(generate_mix(files, "small files"), "files"), files)
    workloads: dict[tuple[str, str], Workload] = {}
    for name in (REVIEWBOX, *ALTERNATIVES):
        table = texts[:sample] if name in SLOW else texts
        workloads[name, FILES] = small_files
        workloads[name, TABLE] = Workload({"table.jsonl": json_lines(table)}, len(table))
    measurements: dict[tuple[str, str], list[Measurement]] = {key: [] for key in workloads}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        distilbert = write_distilbert(Path(folder))
        server = stack.enter_context(cloud_process())
        runners = start_runners(server, distilbert.paths[INTEGER], stack)
        for number in range(rounds):
            report(f"{NAME}: round {number + 1} of {rounds}")
            for (name, kind), workload in workloads.items():
                # New names, so that no object has a result yet.
                bodies = {f"{number}/{key}": body for key, body in workload.bodies.items()}
                measurements[name, kind].append(runners[name](Workload(bodies, workload.reviews)))
        limits = measure_limits(texts, Path(folder), rounds)

    figures: Figures = {
        "machine": describe_machine(
            "onnxruntime", "tokenizers", "torch", "transformers", "scikit-learn", "vaderSentiment"
        ),
        "rounds": rounds,
        "seconds_per_request": SECONDS_PER_REQUEST,
        "mix": {kind: number / sum(MIX.values()) for kind, number in MIX.items()},
        "characters_per_review": statistics.mean(map(len, texts)),
        "cut_off": truncated_share(texts[:sample]),
        "runs": [
            {
                "who": name,
                "what": kind,
                "reviews": workloads[name, kind].reviews,
                "requests": statistics.median(run.traffic.requests for run in runs),
                "cloud_seconds": [run.traffic.seconds for run in runs],
                "processor_seconds": [run.processor for run in runs],
                "wall_seconds": [run.wall for run in runs],
            }
            for (name, kind), runs in measurements.items()
        ],
        "limits": limits,
    }
    figures["headlines"] = headlines(figures)
    write_figures(NAME, figures, rehearsal=rehearsal)


def start_runners(server: Server, int8_graph: Path, stack: ExitStack) -> dict[str, Runner]:
    """Start a process for each handler; return a runner for each."""
    reviewbox = stack.enter_context(worker_process(uploads.start, server.cloud))

    def run_reviewbox(workload: Workload) -> Measurement:
        keys = uploads.drop(server.cloud, workload.bodies)
        with server.delayed(SECONDS_PER_REQUEST) as traffic:
            usage = reviewbox.submit(uploads.drain, server.cloud).result()
            measurement = Measurement(usage.processor, usage.wall, traffic())
        uploads.check(server.cloud, keys, workload.reviews)
        return measurement

    runners: dict[str, Runner] = {REVIEWBOX: run_reviewbox}
    for name, classifier in ALTERNATIVES.items():
        worker = stack.enter_context(worker_process(tutorial.start, server.cloud, classifier, int8_graph))

        def run_tutorial(workload: Workload, worker: Any = worker) -> Measurement:
            keys = tutorial.put(server.cloud, workload.bodies)
            with server.delayed(SECONDS_PER_REQUEST) as traffic:
                processor, wall = worker.submit(tutorial.handle, keys).result()
                return Measurement(processor, wall, traffic())

        runners[name] = run_tutorial
    return runners


def measure_limits(texts: Sequence[str], folder: Path, rounds: int) -> Figures:
    """Return the least time of a review: its matrix products at the machine's peak rate, and tokenizing."""
    bundle = Bundle.read(MODEL)
    windows = Windows.load(bundle.tokenizer, bundle.window_tokens)
    times = []
    for _ in range(rounds):
        started = time.process_time()
        windows_by_text = windows.split(texts)
        times.append(time.process_time() - started)
    tokens = sum(len(window.input_ids) for text_windows in windows_by_text for window in text_windows)
    profile = profile_model(bundle, folder, 5 * rounds)
    multiply_adds = sum(profile.multiply_adds.values()) / prod(PROFILED)
    peaks = measure_peak_rates(folder, 5 * rounds)
    return {
        "tokens_per_review": tokens / len(texts),
        "multiply_adds_per_token": multiply_adds,
        "billion_multiply_adds_per_second": peaks,
        "products_seconds_per_review": tokens / len(texts) * multiply_adds / max(peaks.values()) / 1e9,
        "tokenizing_seconds_per_review": statistics.median(times) / len(texts),
        "tokenizing_bytes_per_second": sum(len(text.encode()) for text in texts) / statistics.median(times),
        "model_profile_microseconds": {**PROFILED._asdict(), **profile.microseconds},
    }


def truncated_share(texts: Sequence[str]) -> float:
    """Return the share of reviews that the tutorial handler's DistilBERT truncates."""
    windows = Windows.load(Bundle.read(MODEL).tokenizer, tutorial.MAX_TOKENS)
    return statistics.mean(len(text_windows) > 1 for text_windows in windows.split(texts))


def seconds_per_review(figures: Figures, name: str, kind: str, clock: str) -> list[float]:
    """Return the seconds per review in each round.

    Args:
        figures: as `main` writes them.
        name: the handler.
        kind: `FILES` or `TABLE`.
        clock: "wall" or "processor".
    """
    (run,) = (run for run in figures["runs"] if (run["who"], run["what"]) == (name, kind))
    return [seconds / run["reviews"] for seconds in run[f"{clock}_seconds"]]


def reviews_per_second(figures: Figures, name: str, kind: str) -> float:
    """Return the reviews per second of wall time and core, the median of the rounds."""
    return 1 / statistics.median(seconds_per_review(figures, name, kind, "wall"))


def speedup(figures: Figures, kind: str, clock: str, name: str = TUTORIAL) -> float:
    """Return how many times faster Reviewbox is than another handler, the median of the rounds."""
    pairs = zip(
        seconds_per_review(figures, name, kind, clock),
        seconds_per_review(figures, REVIEWBOX, kind, clock),
        strict=True,
    )
    return statistics.median(other / ours for other, ours in pairs)


def headlines(figures: Figures) -> dict[str, float]:
    """Return the figures to judge a change by."""
    return {
        f"{kind}: times the tutorial handler, {clock} time": speedup(figures, kind, clock)
        for kind in (FILES, TABLE)
        for clock in ("wall", "processor")
    } | {
        f"{kind}: reviews per second and core": reviews_per_second(figures, REVIEWBOX, kind)
        for kind in (FILES, TABLE)
    }


if __name__ == "__main__":
    main()
