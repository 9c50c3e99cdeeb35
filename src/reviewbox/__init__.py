"""Classify the sentiment of reviews: in Python, on the command line, or as they arrive in an S3 bucket."""

from typing import TYPE_CHECKING

__all__ = ["Classifier", "Verdict", "__version__"]

if TYPE_CHECKING:
    from reviewbox.model.classifier import Classifier
    from reviewbox.model.verdicts import Verdict

    __version__: str
else:

    def __getattr__(name: str) -> object:
        """Load a public name on first use, so that importing the package does not load onnxruntime."""
        if name == "__version__":
            from importlib.metadata import version

            return version("reviewbox")
        if name == "Classifier":
            from reviewbox.model.classifier import Classifier

            return Classifier
        if name == "Verdict":
            from reviewbox.model.verdicts import Verdict

            return Verdict
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
