"""Loads models for commands."""

from pathlib import Path

from reviewbox.cli.progress import progress_bar
from reviewbox.model.classifier import Classifier


def load_model(folder: Path | None, threads: int, *, two_labels: bool = False) -> Classifier:
    """Load a model as `Classifier.load` does, and say so if it is large and takes its time.

    Raises:
        ModelError: it cannot be used.
    """
    with progress_bar("Loading the model"):
        return Classifier.load(folder, threads=threads, two_labels=two_labels)
