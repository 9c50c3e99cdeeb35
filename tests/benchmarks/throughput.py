"""Reviews per second and core: Reviewbox beside the handler that tutorials teach, with four classifiers.

Each is the whole handler in a process of its own, on one processor and one thread, against a cloud on the
others that keeps each request to S3 waiting for 25 ms. They take turns, so that what else the machine does
hits all alike; the ratios are what to look at.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

from tests.benchmarks import tutorial, uploads
from tests.benchmarks.apart import Apart, Traffic, cloud_apart, process_apart
from tests.benchmarks.classifier import MODEL
from tests.benchmarks.figures import Figures, machine, quick, say, write
from tests.benchmarks.model import INTEGER, PROFILED, distilbert, peak_rates, profiled
from tests.benchmarks.texts import MIX, mixed, table

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
# Their time for a table is that of its rows, so some of them are enough.
SLOW = list(ALTERNATIVES)[:2]

FILES, TABLE = "small files", "one table"

# Takes the bodies of objects by name, and how many reviews they hold; returns what the handler took.
Way = Callable[[dict[str, bytes], int], "Took"]
# Seconds of processor time, seconds of wall time, and what went over the wire.
Took = tuple[float, float, Traffic]


def main() -> None:
    """Measure, and write the figures."""
    rehearsal = quick(__doc__.splitlines()[0])
    files, rows, sample, rounds = (20, 100, 20, 1) if rehearsal else (200, 5000, 240, 3)
    # onnxruntime reports usage over the network unless told not to before the import, here or in a child.
    os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
    texts = mixed(rows, "a table")
    small = mixed(files, "small files")
    works: dict[tuple[str, str], tuple[dict[str, bytes], int]] = {}
    for name in (REVIEWBOX, *ALTERNATIVES):
        some = texts[:sample] if name in SLOW else texts
        works[name, FILES] = uploads.files(small, "files"), len(small)
        works[name, TABLE] = {"table.jsonl": table(some)}, len(some)
    took: dict[tuple[str, str], list[Took]] = {turn: [] for turn in works}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        paths, *_ = distilbert(Path(folder))
        apart = stack.enter_context(cloud_apart())
        ways = ways_of(apart, paths[INTEGER], stack)
        for number in range(rounds):
            say(f"{NAME}: round {number + 1} of {rounds}")
            for (name, kind), (bodies, reviews) in works.items():
                # No result is there yet: each round drops its own objects.
                dropped = {f"{number}/{key}": body for key, body in bodies.items()}
                took[name, kind].append(ways[name](dropped, reviews))
        limits = limits_of(texts, Path(folder), rounds)

    figures: Figures = {
        "machine": machine(
            "onnxruntime", "tokenizers", "torch", "transformers", "scikit-learn", "vaderSentiment"
        ),
        "rounds": rounds,
        "seconds_per_request": SECONDS_PER_REQUEST,
        "mix": {kind: number / sum(MIX.values()) for kind, number in MIX.items()},
        "characters_per_review": statistics.mean(map(len, texts)),
        "cut_off": cut_off(texts[:sample]),
        "runs": [
            {
                "who": name,
                "what": kind,
                "reviews": works[name, kind][1],
                "requests": statistics.median(traffic.requests for *_, traffic in runs),
                "cloud_seconds": [traffic.seconds for *_, traffic in runs],
                "processor_seconds": [processor for processor, _, _ in runs],
                "wall_seconds": [wall for _, wall, _ in runs],
            }
            for (name, kind), runs in took.items()
        ],
        "limits": limits,
    }
    figures["headlines"] = headlines(figures)
    write(NAME, figures, rehearsal=rehearsal)


def ways_of(apart: Apart, graph: Path, stack: ExitStack) -> dict[str, Way]:
    """Start a process for each of those who are compared; return how to have it do its work."""
    reviewbox = stack.enter_context(process_apart(uploads.start, apart.cloud))

    def through_reviewbox(bodies: dict[str, bytes], reviews: int) -> Took:
        keys = uploads.drop(apart.cloud, bodies)
        with apart.delayed(SECONDS_PER_REQUEST) as traffic:
            spent = reviewbox.submit(uploads.drain, apart.cloud).result()
            sent = traffic()
        uploads.check(apart.cloud, keys, reviews)
        return spent.processor, spent.wall, sent

    ways: dict[str, Way] = {REVIEWBOX: through_reviewbox}
    for name, classifier in ALTERNATIVES.items():
        process = stack.enter_context(process_apart(tutorial.start, apart.cloud, classifier, graph))

        def through(bodies: dict[str, bytes], reviews: int, process: Any = process) -> Took:
            keys = tutorial.put(apart.cloud, bodies)
            with apart.delayed(SECONDS_PER_REQUEST) as traffic:
                processor, wall = process.submit(tutorial.work, keys).result()
                return processor, wall, traffic()

        ways[name] = through
    return ways


def limits_of(texts: Sequence[str], folder: Path, rounds: int) -> Figures:
    """Return what the table's reviews would take if the machine did nothing but the model's products."""
    bundle = Bundle.read(MODEL)
    windows = Windows.load(bundle.tokenizer, bundle.window_tokens)
    times = []
    for _ in range(rounds):
        started = time.process_time()
        cut = windows.split(texts)
        times.append(time.process_time() - started)
    tokens = sum(len(window.input_ids) for group in cut for window in group)
    profile = profiled(bundle, folder, 5 * rounds)
    multiply_adds = sum(profile.multiply_adds.values()) / prod(PROFILED)
    peaks = peak_rates(folder, 5 * rounds)
    return {
        "tokens_per_review": tokens / len(texts),
        "multiply_adds_per_token": multiply_adds,
        "billion_multiply_adds_per_second": peaks,
        "products_seconds_per_review": tokens / len(texts) * multiply_adds / max(peaks.values()) / 1e9,
        "tokenizing_seconds_per_review": statistics.median(times) / len(texts),
        "tokenizing_bytes_per_second": sum(len(text.encode()) for text in texts) / statistics.median(times),
        "model_profile_microseconds": {**PROFILED._asdict(), **profile.microseconds},
    }


def cut_off(texts: Sequence[str]) -> float:
    """Return the share of reviews that the tutorials' classifiers do not see whole."""
    windows = Windows.load(Bundle.read(MODEL).tokenizer, tutorial.LONGEST)
    return statistics.mean(len(group) > 1 for group in windows.split(texts))


def per_review(figures: Figures, who: str, what: str, clock: str) -> list[float]:
    """Return the seconds that a review took, by round."""
    (run,) = (run for run in figures["runs"] if (run["who"], run["what"]) == (who, what))
    return [seconds / run["reviews"] for seconds in run[f"{clock}_seconds"]]


def rate(figures: Figures, who: str, what: str) -> float:
    """Return the reviews per second and core, by the wall clock, the median of the rounds."""
    return 1 / statistics.median(per_review(figures, who, what, "wall"))


def times_faster(figures: Figures, what: str, clock: str, who: str = TUTORIAL) -> float:
    """Return how many times as long another takes for a review, the median of the rounds."""
    pairs = zip(
        per_review(figures, who, what, clock), per_review(figures, REVIEWBOX, what, clock), strict=True
    )
    return statistics.median(other / ours for other, ours in pairs)


def headlines(figures: Figures) -> dict[str, float]:
    """Return the figures that a change is judged by."""
    return {
        f"{what}: times the tutorial handler, {clock} time": times_faster(figures, what, clock)
        for what in (FILES, TABLE)
        for clock in ("wall", "processor")
    } | {f"{what}: reviews per second and core": rate(figures, REVIEWBOX, what) for what in (FILES, TABLE)}


if __name__ == "__main__":
    main()
