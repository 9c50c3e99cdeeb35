"""Texts -> verdicts: the stages of the model, composed."""

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np

from reviewbox.errors import ErrorCode, ModelError, Problem, ReviewboxError
from reviewbox.model.batching import Batcher
from reviewbox.model.bundle import BUNDLE, MIN_WINDOW_TOKENS, Bundle, shipped_model_dir
from reviewbox.model.inference import OnnxBackend
from reviewbox.model.plain_text import plain_text
from reviewbox.model.verdicts import (
    Answers,
    PooledLogits,
    Verdict,
    build_verdict,
    choose_evidence,
    pool_logits,
    sentences,
)
from reviewbox.model.windows import Windows

# Enough text for full batches of similar length. Small enough to bound memory and to let the caller
# check its deadline every few seconds.
_CHARACTERS_PER_CHUNK = 50_000

# This many take minutes on one processor, and belong to many reviews rather than one.
_MAX_CHARACTERS = 1_000_000

# The scores of the shipped model agree to the last digits on all processors that were tried.
_GOLDEN_TOLERANCE = 1e-3

# Texts of different lengths, so that one of them is padded.
_PROBE = ("Good.", "The film was good, and the music was not bad either.")

NO_TOKENS = Problem(ErrorCode.EMPTY_REVIEW, "the review has no words to classify")
TOO_LONG = Problem(
    ErrorCode.TOO_LARGE,
    f"the review has more than {_MAX_CHARACTERS:,} characters: "
    "split it, or upload a table with one review per row",
)


@dataclass(frozen=True, slots=True)
class Classifier:
    """Classifies texts with the shipped model or any text classifier exported by Hugging Face Optimum.

    A verdict depends only on its text, not on the other texts. Threads may share a classifier.

    Attributes:
        bundle: the model folder.
        windows: splits texts into windows of tokens.
        batcher: runs the model on windows.
        answers: what the model's logits stand for.
    """

    bundle: Bundle
    windows: Windows
    batcher: Batcher
    answers: Answers

    @classmethod
    def load(cls, model_dir: Path | str | None = None, *, threads: int = 1, two_labels: bool = False) -> Self:
        """Load a model folder.

        Args:
            model_dir: the folder; None for the shipped model.
            threads: the number of threads for inference.
            two_labels: whether verdicts are only "positive" or "negative", if the model has more labels.

        Raises:
            ModelError: the folder is incomplete or altered, its model is not a text classifier or does not
                return numbers, or a golden review gets another verdict on this processor.
        """
        bundle = Bundle.read(shipped_model_dir() if model_dir is None else Path(model_dir))
        backend = OnnxBackend.load(bundle.model, threads=threads, pad_token_id=bundle.pad_token_id)
        window_tokens = min(bundle.window_tokens, backend.window_tokens or bundle.window_tokens)
        if window_tokens < MIN_WINDOW_TOKENS:
            raise ModelError(
                f"{bundle.model} takes windows of {window_tokens} tokens; at least {MIN_WINDOW_TOKENS} are "
                "needed; export the model with a longer sequence length"
            )
        windows = Windows.load(bundle.tokenizer, window_tokens)
        if backend.label_count not in (None, len(bundle.labels)):
            raise ModelError(
                f"{bundle.model} returns {backend.label_count} logits, but `id2label` in config.json names "
                f"{len(bundle.labels)} labels; export both from the same model"
            )
        answers = Answers(
            bundle.labels,
            tuple(range(len(bundle.labels))),
            bundle.temperature,
            len(bundle.labels) if backend.tells_language else None,
        )
        classifier = cls(bundle, windows, Batcher(backend, pad_token_id=bundle.pad_token_id), answers)
        try:
            # The probe would add to a cold start what the golden reviews show, too.
            (classifier._check_golden if bundle.golden else classifier._check_probe)()
        except ReviewboxError:
            raise
        except BaseException as error:
            # onnxruntime's errors share no public base, and a panic in Rust is not an Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise ModelError(
                f"{bundle.model} cannot run on tokens of {bundle.tokenizer}: {error}; export both from the "
                "same model"
            ) from None
        return classifier.two_sided() if two_labels else classifier

    def two_sided(self) -> Self:
        """Return this classifier with only the labels positive and negative, if it has both."""
        return replace(self, answers=self.answers.two_sided())

    def _check_probe(self) -> None:
        """Raise ModelError if the logits of two short texts cannot be used."""
        windows = [window for group in self.windows.split(_PROBE) for window in group]
        count = len(self.bundle.labels)
        for logits in self.batcher.run(windows):
            if logits.shape != (count + (self.answers.language_column is not None),):
                raise ModelError(
                    f"{self.bundle.model} returns logits of shape {logits.shape} for a window, but "
                    f"`id2label` in config.json names {count} labels; export a text classifier"
                )
            if not np.isfinite(logits).all():
                raise ModelError(
                    f"{self.bundle.model} returns NaN or infinity for {_PROBE[0]!r}; export it in another "
                    "precision (float16 overflows on some processors) or quantize it again"
                )

    def _check_golden(self) -> None:
        """Raise ModelError if a golden review gets another verdict than on the machine of its author."""
        golden = self.bundle.golden
        verdicts = self.classify_each([review.text for review in golden], explain=False)
        for number, (expected, verdict) in enumerate(zip(golden, verdicts, strict=True)):
            if isinstance(verdict, Verdict):
                label, score = verdict.label, verdict.score
            else:
                label, score = verdict.code, 0.0
            if label != expected.label or not abs(score - expected.score) <= _GOLDEN_TOLERANCE:
                raise ModelError(
                    f"{self.bundle.model} returns a wrong result on this processor ({processor()}): golden "
                    f"review {number} of {BUNDLE} is {label} {score:.4f}, expected {expected.label} "
                    f"{expected.score:.4f}; use another machine, or export and calibrate the model here"
                )

    def classify(self, texts: Sequence[str]) -> list[Verdict]:
        """Return the verdict on each text, with its evidence.

        Raises:
            ReviewboxError: a text has no words or more than a million characters. Use `classify_each` to
                classify the other texts all the same.
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
        """Yield the verdict on each text, or the reason why it has none, in order and in bounded memory.

        Args:
            texts: consumed in chunks, only as far as needed.
            explain: whether to classify each sentence too, for the evidence. This doubles the time.
            before_run: called before each run of the model, several times a second. An exception that it
                raises stops the iteration.
        """
        chunk: list[str] = []
        characters = 0
        for text in texts:
            chunk.append(text)
            # An empty text counts too. Otherwise a chunk of empty texts would have no limit.
            characters += len(text) + 1
            if characters >= _CHARACTERS_PER_CHUNK:
                yield from self._classify_chunk(chunk, before_run, explain=explain)
                chunk, characters = [], 0
        yield from self._classify_chunk(chunk, before_run, explain=explain)

    def _classify_chunk(
        self, originals: Sequence[str], before_run: Callable[[], None], *, explain: bool
    ) -> Iterator[Verdict | Problem]:
        texts = [plain_text(original) for original in originals]
        reviews = [text.text if _can_be_classified(text.text) else "" for text in texts]
        spans = [list(sentences(review)) if explain else [] for review in reviews]
        # A review of one sentence needs no second run: its sentence has the same logits.
        sentence_texts = [
            review[start:end]
            for review, review_spans in zip(reviews, spans, strict=True)
            if len(review_spans) > 1
            for start, end in review_spans
        ]
        logits = self._pooled_logits([*reviews, *sentence_texts], before_run)
        review_logits, sentence_logits = logits[: len(texts)], iter(logits[len(texts) :])
        for text, text_spans, pooled in zip(texts, spans, review_logits, strict=True):
            count = len(text_spans)
            by_sentence = list(islice(sentence_logits, count)) if count > 1 else [pooled] * count
            if pooled is None:
                yield TOO_LONG if len(text.text) > _MAX_CHARACTERS else NO_TOKENS
            else:
                labels = self.answers.labels
                with_logits = [
                    (text.original_span(*span), sentence)
                    for span, sentence in zip(text_spans, by_sentence, strict=True)
                    if sentence
                ]
                evidence = choose_evidence(with_logits, labels, labels[pooled.top_label])
                yield build_verdict(pooled, labels, evidence)

    def _pooled_logits(
        self, texts: Sequence[str], before_run: Callable[[], None]
    ) -> list[PooledLogits | None]:
        """Return the logits of each text, or None for a text without tokens."""
        windows_by_text = self.windows.split(texts)
        logits = iter(self.batcher.run([window for group in windows_by_text for window in group], before_run))
        return [
            pool_logits(group, list(islice(logits, len(group))), self.answers) if group else None
            for group in windows_by_text
        ]


def processor() -> str:
    """Return the name of the processor model, as shown to users."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _can_be_classified(text: str) -> bool:
    # Some tokenizers return tokens for white space alone.
    return bool(text.strip()) and len(text) <= _MAX_CHARACTERS
