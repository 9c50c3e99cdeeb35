"""How much memory a model needs, measured in a process that does nothing else and so imports little."""

import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from reviewbox.model.classifier import Classifier


def peak_megabytes(folder: Path, texts: Sequence[str]) -> float:
    """Return the peak memory of this process, in MB, after it has loaded a model and classified texts."""
    for _ in Classifier.load(folder).classify_each(texts, explain=False):
        pass
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
