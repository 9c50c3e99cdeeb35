"""Checks that a model works on this machine, before the first review."""

import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reviewbox.errors import ModelError, ReviewboxError, contain
from reviewbox.model.bundle import BUNDLE
from reviewbox.model.verdicts import Verdict

if TYPE_CHECKING:
    from reviewbox.model.classifier import Classifier

# The scores of the shipped model agree to the last digits on all processors that were tried.
_GOLDEN_TOLERANCE = 1e-3

# Texts of different lengths, so that one of them is padded.
_PROBE = ("Good.", "The film was good, and the music was not bad either.")


def check_model(classifier: "Classifier") -> None:
    """Run a model on its golden reviews or, if it has none, on two short texts.

    Raises:
        ModelError: the model cannot run or does not return numbers, or a golden review gets a different
            verdict.
    """
    bundle = classifier.bundle
    try:
        # The probe would slow down cold starts, and the golden reviews already show what it shows.
        (_check_golden if bundle.golden else _check_probe)(classifier)
    except ReviewboxError:
        raise
    except BaseException as error:  # noqa: BLE001 - onnxruntime's errors share no public base
        contain(error)
        raise ModelError(
            f"{bundle.model} cannot run on tokens of {bundle.tokenizer}: {error}; export both from the "
            "same model"
        ) from None


def processor() -> str:
    """Return the name of the processor model, as shown to users."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _check_probe(classifier: "Classifier") -> None:
    """Raise ModelError if the logits of two short texts cannot be used."""
    bundle, count = classifier.bundle, len(classifier.bundle.labels)
    windows = [window for group in classifier.windows.split(_PROBE) for window in group]
    for logits in classifier.batcher.run(windows):
        if logits.shape != (count + (classifier.answers.language_column is not None),):
            raise ModelError(
                f"{bundle.model} returns logits of shape {logits.shape} for a window, but "
                f"`id2label` in config.json names {count} labels; export a text classifier"
            )
        if not np.isfinite(logits).all():
            raise ModelError(
                f"{bundle.model} returns NaN or infinity for {_PROBE[0]!r}; export it in another "
                "precision (float16 overflows on some processors) or quantize it again"
            )


def _check_golden(classifier: "Classifier") -> None:
    """Raise ModelError if a golden review gets a different verdict than on the machine of its author."""
    bundle, golden = classifier.bundle, classifier.bundle.golden
    verdicts = classifier.classify_each([review.text for review in golden], explain=False)
    for number, (expected, verdict) in enumerate(zip(golden, verdicts, strict=True)):
        if isinstance(verdict, Verdict):
            label, score = verdict.label, verdict.score
        else:
            label, score = verdict.code, 0.0
        if label != expected.label or not abs(score - expected.score) <= _GOLDEN_TOLERANCE:
            raise ModelError(
                f"{bundle.model} returns a wrong result on this processor ({processor()}): golden "
                f"review {number} of {BUNDLE} is {label} {score:.4f}, expected {expected.label} "
                f"{expected.score:.4f}; use another machine, or export and calibrate the model here"
            )
