"""Windows, inference and verdicts, composed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from reviewbox.errors import ErrorCode, ModelError, Problem, ReviewboxError
from reviewbox.model.bundle import Bundle
from reviewbox.model.inference import Inference
from reviewbox.model.plain_text import plain_text
from reviewbox.model.verdicts import Verdict, judge
from reviewbox.model.windows import Windows

# Enough text for batches of windows of one length, and little enough to bound memory and to let
# the caller look at the clock every few seconds.
_CHARACTERS_PER_POOL = 50_000

# Minutes of one processor. What is longer is no review, but many in one.
_LONGEST_TEXT = 1_000_000

NO_TOKENS = Problem(ErrorCode.EMPTY_REVIEW, "the review has no words: nothing is left to classify")
TOO_LONG = Problem(
    ErrorCode.TOO_LARGE,
    f"the review has more than {_LONGEST_TEXT:,} characters: split it, or drop it as a table",
)


@dataclass(frozen=True, slots=True)
class Classifier:
    """Gives texts their verdicts: from `reviewbox`'s own model or any Hugging Face export.

    A verdict depends on its text alone, not on the texts around it.
    """

    bundle: Bundle
    windows: Windows
    inference: Inference

    @classmethod
    def load(cls, model_dir: Path | str, *, threads: int = 1) -> Self:
        """Load a model folder, to run on `threads` threads.

        Raises:
            ModelError: the folder is incomplete, altered, or not a text classifier.
        """
        bundle = Bundle.read(Path(model_dir))
        windows = Windows.load(bundle.tokenizer, bundle.window_tokens)
        inference = Inference.load(bundle.model, pad_token_id=bundle.pad_token_id, threads=threads)
        if inference.label_count not in (None, len(bundle.labels)):
            raise ModelError(
                f"{bundle.model} gives {inference.label_count} logits, but `id2label` beside it names "
                f"{len(bundle.labels)} labels"
            )
        return cls(bundle, windows, inference)

    def classify(self, texts: Sequence[str]) -> list[Verdict]:
        """Return the verdict on each text.

        Raises:
            ReviewboxError: a text has no words, or over a million characters; `classify_each` lets
                the others go on.
        """
        verdicts = []
        for number, outcome in enumerate(self.classify_each(texts)):
            if isinstance(outcome, Problem):
                raise ReviewboxError(f"text {number}: {outcome.message}")
            verdicts.append(outcome)
        return verdicts

    def classify_each(self, texts: Iterable[str]) -> Iterator[Verdict | Problem]:
        """Yield the verdict on each text, or why it has none, in order and in bounded memory."""
        pool: list[str] = []
        characters = 0
        for text in texts:
            pool.append(text)
            # An empty text takes room too, or a million of them would be one pool.
            characters += len(text) + 1
            if characters >= _CHARACTERS_PER_POOL:
                yield from self._classify_pool(pool)
                pool, characters = [], 0
        yield from self._classify_pool(pool)

    def _classify_pool(self, originals: Sequence[str]) -> Iterator[Verdict | Problem]:
        texts = [plain_text(original) for original in originals]
        windows = self.windows.cut([text.text if _is_review(text.text) else "" for text in texts])
        outputs = iter(self.inference.run([window for group in windows for window in group]))
        for text, group in zip(texts, windows, strict=True):
            if group:
                of_text = list(islice(outputs, len(group)))
                yield judge(text, group, of_text, self.bundle.labels, self.bundle.temperature)
            else:
                yield TOO_LONG if len(text.text) > _LONGEST_TEXT else NO_TOKENS


def _is_review(text: str) -> bool:
    # Some tokenizers make tokens of mere space.
    return bool(text.strip()) and len(text) <= _LONGEST_TEXT
