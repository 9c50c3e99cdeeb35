"""Classifies texts: runs the stages of the model one after another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self

from reviewbox.errors import ErrorCode, ModelError, Problem, ReviewboxError
from reviewbox.model.batching import Batcher
from reviewbox.model.bundle import MIN_WINDOW_TOKENS, Bundle, shipped_model_dir
from reviewbox.model.inference import OnnxBackend
from reviewbox.model.plain_text import plain_text
from reviewbox.model.self_check import check_model
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
        answers: what the model's logits mean.
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
                return numbers, or a golden review gets a different verdict on this processor.
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
        columns = tuple(range(len(bundle.labels)))
        language_column = len(columns) if backend.tells_language else None
        answers = Answers(bundle.labels, columns, bundle.temperature, language_column)
        classifier = cls(bundle, windows, Batcher(backend, pad_token_id=bundle.pad_token_id), answers)
        check_model(classifier)
        return classifier.two_sided() if two_labels else classifier

    def two_sided(self) -> Self:
        """Return this classifier with only the labels positive and negative, if it has both."""
        return replace(self, answers=self.answers.two_sided())

    def classify(self, texts: Sequence[str]) -> list[Verdict]:
        """Return the verdict on each text, with its evidence.

        Raises:
            ReviewboxError: a text has no words or more than a million characters. Use `classify_each` to
            classify the other texts anyway.
        """
        verdicts = []
        for number, outcome in enumerate(self.classify_each(texts)):
            if isinstance(outcome, Problem):
                raise ReviewboxError(f"text {number}: {outcome.message}")
            verdicts.append(outcome)
        return verdicts

    def classify_each(
        self,
        texts: Iterable[str],
        *,
        explain: bool = True,
        before_run: Callable[[float], object] = lambda _: None,
    ) -> Iterator[Verdict | Problem]:
        """Yield the verdict on each text, or the reason why it has none, in order and in bounded memory.

        Args:
            texts: consumed in chunks, only as far as needed.
            explain: whether to classify each sentence too, for the evidence. This doubles the time.
            before_run: called before each run of the model, several times a second, with the number of texts
                that are done; the decimals are the share of the texts in progress that is done. An exception
                that it raises stops the iteration.
        """
        chunk: list[str] = []
        characters = done = 0

        def before_run_of_chunk(share: float) -> None:
            before_run(done + share * len(chunk))

        for text in texts:
            chunk.append(text)
            # An empty text also counts. Otherwise a chunk of empty texts would have no limit.
            characters += len(text) + 1
            if characters >= _CHARACTERS_PER_CHUNK:
                yield from self._classify_chunk(chunk, before_run_of_chunk, explain=explain)
                done += len(chunk)
                chunk, characters = [], 0
        yield from self._classify_chunk(chunk, before_run_of_chunk, explain=explain)

    def _classify_chunk(
        self, originals: Sequence[str], before_run: Callable[[float], object], *, explain: bool
    ) -> Iterator[Verdict | Problem]:
        texts = [plain_text(original) for original in originals]
        # Some tokenizers return tokens for whitespace alone.
        reviews = [
            "" if len(text.text) > _MAX_CHARACTERS or text.text.isspace() else text.text for text in texts
        ]
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
        self, texts: Sequence[str], before_run: Callable[[float], object]
    ) -> list[PooledLogits | None]:
        """Return the logits of each text, or None for a text without tokens."""
        windows_by_text = self.windows.split(texts)
        logits = iter(self.batcher.run([window for group in windows_by_text for window in group], before_run))
        return [
            pool_logits(group, list(islice(logits, len(group))), self.answers) if group else None
            for group in windows_by_text
        ]
