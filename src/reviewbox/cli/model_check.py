"""`reviewbox model check`: what a model folder is, and whether it suits the service."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from json import loads
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from reviewbox.cli.doctor import print_findings
from reviewbox.cli.output import Format
from reviewbox.cli.progress import progress_bar
from reviewbox.errors import ReviewboxError
from reviewbox.model.bundle import BUNDLE, CONFIG, Bundle
from reviewbox.model.classifier import Classifier
from reviewbox.model.peak_memory import peak_megabytes
from reviewbox.model.self_check import processor
from reviewbox.model.verdicts import Verdict
from reviewbox.stack.finding import Finding, State, judge

# Lambda's limits, and what the artifact takes of them without a model (docs/adr/0001-zip-package.md).
_LAMBDA_MEGABYTES = 250
_CODE_MEGABYTES = 144
_DEFAULT_MEMORY, _MAX_MEMORY = 1769, 10_240  # MB, of the function
_MEMORY_RESERVE = 1.5  # for the object and its rows
_SLOW_MS = 1000  # per 1,000 tokens: a thousand words would take over a second
_SCORE_UNIT = 1e-4  # results give scores in ten-thousandths

# Sentences of many lengths, so that windows and batches are filled as by real reviews.
_SENTENCES = (
    "Works.",
    "The handle broke after two days.",
    "I would buy this lamp again, and so would my sister.",
    "It arrived late, the box was crushed, and nobody answered my mails for a week.",
    "Does it come in blue?",
    "The soup was cold, but the waiter was so kind that we stayed for dessert and had a fine evening.",
    "Not bad at all!",
    "After a month of daily use on gravel and in rain, the brakes are as good as on the first day.",
)
_MAX_SENTENCES = 24
_TEXTS = 32
_RUNS = 4  # The texts are classified together, one by one, in reverse order, and with two threads.

# What each field of bundle.json adds to an exported model.
_BUNDLE_FIELDS = {
    "sha256": "digests, so that an altered file is refused",
    "window_tokens": "the length of a window; shorter windows than the model's maximum are faster",
    "temperature": "calibrated scores, so that NeedsReviewBelow means what it says",
    "languages": "the languages of the model, for texts that are in none of them",
    "golden": "golden reviews, so that a processor that computes otherwise is refused",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run of the sample texts took."""

    cpu_ms_per_review: float  # processor time for a sample text, in milliseconds
    cpu_ms_per_1000_tokens: float  # processor time for 1,000 tokens, in milliseconds
    largest_change: float  # the largest difference between two scores of the same text
    peak_megabytes: float  # the memory of a process that loaded the model and classified the texts


def check_model(folder: Path, format_: Format) -> bool:
    """Print what a model folder is; return whether the service can use it."""
    findings = list(_examine(folder))
    print_findings(findings, format_)
    return not any(finding.state is State.FAILED for finding in findings)


def _examine(folder: Path) -> Iterator[Finding]:
    yield Finding("kind", State.OK, _kind(folder))
    try:
        started = time.perf_counter()
        with progress_bar("Loading the model"):
            classifier = Classifier.load(folder)
        load_seconds = time.perf_counter() - started
    except ReviewboxError as error:
        yield Finding(
            "loads", State.FAILED, str(error), "export the model again, or fix what the message names"
        )
        with suppress(ReviewboxError):  # what is known without the graph
            yield _labels(Bundle.read(folder))
        return
    bundle = classifier.bundle
    yield Finding("loads", State.OK, f"in {load_seconds:.2f} s, windows of {bundle.window_tokens} tokens")
    yield _labels(bundle)
    remedy = "" if bundle.languages else f"state them as `languages` in {BUNDLE}"
    yield judge("languages", ", ".join(bundle.languages) or "not stated", remedy)
    measured = _measure(classifier)
    yield from _run(measured)
    yield from _lambda(folder, bundle, measured.peak_megabytes)
    yield from _bundle(folder)


def _kind(folder: Path) -> str:
    """Return what `config.json` says about the model, as far as it can be read."""
    config: Any = {}
    with suppress(OSError, ValueError):
        config = loads((folder / CONFIG).read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        config = {}
    name = ", ".join(map(str, config.get("architectures") or [config.get("model_type") or "unknown"]))
    layers, width = config.get("num_hidden_layers", config.get("n_layers")), config.get("hidden_size")
    size = f", {layers} layers of {width}" if layers and width else ""
    return f"{name}{size}, {_megabytes(folder):.1f} MB"


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6


def _labels(bundle: Bundle) -> Finding:
    has_both = {"positive", "negative"} <= {label.casefold() for label in bundle.labels}
    remedy = f"name them positive and negative in `id2label` of {CONFIG}, which Labels=2 and `compare` need"
    return judge("labels", ", ".join(bundle.labels), "" if has_both else remedy)


def _measure(classifier: Classifier) -> Measured:
    texts = list(_sample_texts())
    list(classifier.classify_each(texts[:4], explain=False))  # the first runs allocate memory
    with progress_bar("Classifying sample texts", _RUNS * len(texts)) as update:

        def advance(done: float) -> None:
            update(advance=done)

        started = time.process_time()
        verdicts = _classify(classifier, texts, advance)
        cpu_seconds = time.process_time() - started
        tokens = sum(verdict.tokens for verdict in verdicts)
        alone = [_classify(classifier, [text], advance)[0] for text in texts]
        backwards = _classify(classifier, texts[::-1], advance)[::-1]
        threads = _classify(Classifier.load(classifier.bundle.folder, threads=2), texts, advance)
    changes = [
        abs(verdict.scores[label] - other.scores[label])
        for others in (alone, backwards, threads)
        for verdict, other in zip(verdicts, others, strict=True)
        for label in verdict.scores
    ]
    # A new process, whose memory holds nothing else.
    with progress_bar("Measuring memory"), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        peak = process.submit(peak_megabytes, classifier.bundle.folder, texts).result()
    return Measured(1000 * cpu_seconds / len(texts), 1e6 * cpu_seconds / max(tokens, 1), max(changes), peak)


def _sample_texts() -> Iterator[str]:
    for number in range(_TEXTS):
        length = 1 + number * _MAX_SENTENCES // _TEXTS
        yield " ".join(islice(cycle(_SENTENCES), number, number + length))


def _classify(
    classifier: Classifier, texts: Sequence[str], advance: Callable[[float], object]
) -> list[Verdict]:
    earlier = 0.0

    def before_run(done: float) -> None:
        nonlocal earlier
        advance(done - earlier)
        earlier = done

    outcomes = classifier.classify_each(texts, explain=False, before_run=before_run)
    verdicts = [outcome for outcome in outcomes if isinstance(outcome, Verdict)]
    advance(len(texts) - earlier)
    return verdicts


def _run(measured: Measured) -> Iterator[Finding]:
    speed = (
        f"{measured.cpu_ms_per_review:.1f} ms for a review of the sample, "
        f"{measured.cpu_ms_per_1000_tokens:.0f} ms for 1,000 tokens, on {processor()}"
    )
    is_slow = measured.cpu_ms_per_1000_tokens > _SLOW_MS
    yield judge("speed", speed, "use a smaller model, or raise MemorySize and Threads" if is_slow else "")
    change = f"a score changes by at most {measured.largest_change:.1e} with its batch, order and threads"
    remedy = "quantize weights only, or with static scales: dynamic scales depend on the whole batch"
    yield judge("invariance", change, remedy if measured.largest_change >= _SCORE_UNIT else "")


def _lambda(folder: Path, bundle: Bundle, peak_megabytes: float) -> Iterator[Finding]:
    size = _megabytes(folder)
    detail = f"{size:.0f} MB of model and {_CODE_MEGABYTES} MB of code, of {_LAMBDA_MEGABYTES} MB unzipped"
    remedy = f"shrink {bundle.model.name} (weights in int8), or deploy a container image"
    is_too_large = size + _CODE_MEGABYTES > _LAMBDA_MEGABYTES
    yield judge("package", detail, remedy if is_too_large else "", State.FAILED)
    needed = _MEMORY_RESERVE * peak_megabytes
    detail = f"{peak_megabytes:.0f} MB with the sample texts"
    if needed > _MAX_MEMORY:
        remedy = f"use a smaller model: Lambda has {_MAX_MEMORY} MB at most"
        yield Finding("memory", State.FAILED, detail, remedy)
    elif needed > _DEFAULT_MEMORY:
        yield Finding("memory", State.WARNING, detail, f"deploy with MemorySize={needed:.0f} or more")
    else:
        yield Finding("memory", State.OK, f"{detail}, of the function's {_DEFAULT_MEMORY} MB")


def _bundle(folder: Path) -> Iterator[Finding]:
    path = folder / BUNDLE
    content = loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = {name: adds for name, adds in _BUNDLE_FIELDS.items() if not content.get(name)}
    present = ", ".join(name for name in _BUNDLE_FIELDS if name not in missing)
    adds = "; ".join(f"`{name}`: {adds}" for name, adds in missing.items())
    detail = f"has {present}" if present else "is missing"
    yield judge(BUNDLE, detail, f"it would add {adds}" if missing else "")
