"""Windows, inference and verdicts, composed."""

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from reviewbox.errors import ErrorCode, ModelError, Problem, ReviewboxError
from reviewbox.model.bundle import BUNDLE, Bundle, shipped_model_dir
from reviewbox.model.inference import Inference
from reviewbox.model.plain_text import PlainText, plain_text
from reviewbox.model.verdicts import Evidence, Pooled, Verdict, judge, pool, sentences
from reviewbox.model.windows import Windows

# Enough text for batches of windows of one length, and little enough to bound memory and to let
# the caller look at the clock every few seconds.
_CHARACTERS_PER_POOL = 50_000

# Minutes of one processor. What is longer is no review, but many in one.
_LONGEST_TEXT = 1_000_000

# Of a score. The bundled model's are equal to the last digits on all processors tried.
_GOLDEN_TOLERANCE = 1e-3

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
    def load(cls, model_dir: Path | str | None = None, *, threads: int = 1) -> Self:
        """Load a model folder, Reviewbox's own by default, to run on `threads` threads.

        Raises:
            ModelError: the folder is incomplete, altered, not a text classifier, or computes something
                else on this processor than its golden reviews say.
        """
        bundle = Bundle.read(shipped_model_dir() if model_dir is None else Path(model_dir))
        windows = Windows.load(bundle.tokenizer, bundle.window_tokens)
        inference = Inference.load(bundle.model, pad_token_id=bundle.pad_token_id, threads=threads)
        if inference.label_count not in (None, len(bundle.labels)):
            raise ModelError(
                f"{bundle.model} gives {inference.label_count} logits, but `id2label` beside it names "
                f"{len(bundle.labels)} labels"
            )
        classifier = cls(bundle, windows, inference)
        classifier._check_golden()
        return classifier

    def _check_golden(self) -> None:
        """Compare the golden reviews' verdicts with those of the machine where the model was made."""
        golden = self.bundle.golden
        for number, (expected, found) in enumerate(
            zip(golden, self.classify_each([review.text for review in golden], explain=False), strict=True)
        ):
            label, score = (found.label, found.score) if isinstance(found, Verdict) else (found.code, 0.0)
            if label != expected.label or abs(score - expected.score) > _GOLDEN_TOLERANCE:
                raise ModelError(
                    f"{self.bundle.model} does not compute here what it did where it was made: on this "
                    f"processor ({processor()}) golden review {number} of {BUNDLE} is {label} {score:.4f}, "
                    f"expected {expected.label} {expected.score:.4f}. Run it on another machine, or export "
                    "and calibrate it on this kind."
                )

    def classify(self, texts: Sequence[str]) -> list[Verdict]:
        """Return the verdict on each text, with its evidence.

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

    def classify_each(
        self, texts: Iterable[str], *, explain: bool = True, before_run: Callable[[], None] = lambda: None
    ) -> Iterator[Verdict | Problem]:
        """Yield the verdict on each text, or why it has none, in order and in bounded memory.

        Args:
            texts: read as they are needed.
            explain: whether to judge each sentence by itself, too, for the evidence. It takes about
                as long again.
            before_run: called before each run of the graph, a fraction of a second; what it raises
                ends the work.
        """
        waiting: list[str] = []
        characters = 0
        for text in texts:
            waiting.append(text)
            # An empty text takes room too, or a million of them would be one pool.
            characters += len(text) + 1
            if characters >= _CHARACTERS_PER_POOL:
                yield from self._classify_pool(waiting, before_run, explain=explain)
                waiting, characters = [], 0
        yield from self._classify_pool(waiting, before_run, explain=explain)

    def _classify_pool(
        self, originals: Sequence[str], before_run: Callable[[], None], *, explain: bool
    ) -> Iterator[Verdict | Problem]:
        texts = [plain_text(original) for original in originals]
        reviews = [text.text if _is_review(text.text) else "" for text in texts]
        spans = [list(sentences(review)) if explain else [] for review in reviews]
        # The only sentence of a text reads as the text does.
        several = [(review, of) for review, of in zip(reviews, spans, strict=True) if len(of) > 1]
        alone = [review[start:end] for review, of in several for start, end in of]
        pooled = self._pooled([*reviews, *alone], before_run)
        of_sentences = iter(pooled[len(texts) :])
        for text, of, whole in zip(texts, spans, pooled, strict=False):
            read = list(islice(of_sentences, len(of))) if len(of) > 1 else [whole] * len(of)
            if whole is None:
                yield TOO_LONG if len(text.text) > _LONGEST_TEXT else NO_TOKENS
            else:
                yield judge(whole, self.bundle.labels, _evidence(text, of, read, whole.winner))

    def _pooled(self, texts: Sequence[str], before_run: Callable[[], None]) -> list[Pooled | None]:
        """Return the logits of each text, or None for one without tokens."""
        windows = self.windows.cut(texts)
        logits = iter(self.inference.run([window for group in windows for window in group], before_run))
        return [
            pool(group, list(islice(logits, len(group))), self.bundle.temperature) if group else None
            for group in windows
        ]


def _evidence(
    text: PlainText, spans: Sequence[tuple[int, int]], read: Sequence[Pooled | None], label: int
) -> list[Evidence]:
    """Return what each sentence says for a label by itself, and where the original has it."""
    return [
        Evidence(*text.original_span(start, end), sentence.margin(label))
        for (start, end), sentence in zip(spans, read, strict=True)
        if sentence
    ]


def processor() -> str:
    """Return the processor's name, for a person to recognise the machine by."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _is_review(text: str) -> bool:
    # Some tokenizers make tokens of mere space.
    return bool(text.strip()) and len(text) <= _LONGEST_TEXT
