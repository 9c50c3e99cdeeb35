"""Stage 3, teach: train the teachers and let them score passages of reviews.

The teachers are a classifier trained from the original encoder, a language model, and for films an n-gram
regression. They make different errors, so their ensemble is more accurate than any of them. The `distil`
stage learns from the ensemble's scores.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from recipe.export import UNCALIBRATED, write_model
from recipe.language_model import load_language_teacher, train_language_model
from recipe.reviews import IMDB, TokenizedReviews, sample_passages
from recipe.training import Example, example_shape, fit_classifier, make_batches, sample_windows
from reviewbox.model.bundle import TOKENIZER
from reviewbox.model.classifier import Classifier
from reviewbox.model.plain_text import plain_text
from reviewbox.model.verdicts import Verdict

# Returns the logit of "positive" of each text, shape (R,).
Teacher = Callable[[Sequence[str]], np.ndarray]


def teach(
    encoder: Path, decoder: Path, work: Path, config: dict[str, Any], earlier_models: Sequence[Path] = ()
) -> None:
    """Train the teachers; write checkpoints, the folder `teacher` and `soft.npy` to `work`.

    `soft.npy` holds P(positive) of each row of the split "passages", shape (R,), float32. An interrupted run
    resumes, both in training and in the language model's predictions.

    Args:
        encoder: the folder of the classifier's initial weights.
        decoder: the language model, a GGUF file or a folder.
        work: the folder of intermediate files.
        config: the content of `recipe.toml`.
        earlier_models: folders of exported models, as additional teachers.
    """
    train_classifier(encoder, work, config)
    write_model(work / "teach.pt", work / TOKENIZER, work, work / "teacher", config, UNCALIBRATED)
    train_language_model(decoder, work, config)
    write_soft_labels(decoder, work, config, earlier_models)


def write_soft_labels(
    decoder: Path, work: Path, config: dict[str, Any], earlier_models: Sequence[Path]
) -> None:
    """Write `soft.npy`, with teachers that are already trained."""
    splits = ("train", "validation", "passages")
    train, validation, passages = (pd.read_parquet(work / f"{split}.parquet") for split in splits)
    train, validation = train[train.label >= 0], validation[validation.label >= 0]
    validation = sample_passages(validation, config["data"]["passage_words"], config["seed"])
    general: dict[str, Teacher] = {"classifier": load_classifier(work / "teacher", config["threads"])}
    general |= {str(folder): load_classifier(folder, config["threads"]) for folder in earlier_models}
    general["language model"] = load_language_teacher(decoder, work, config)
    ngrams = fit_ngrams(train[train.domain == IMDB], config["teaching"], config["seed"])

    soft_labels = np.empty(len(passages), dtype=np.float32)
    for kind, teachers in (("films", general | {"n-grams": ngrams}), ("other domains", general)):
        in_validation, in_passages = (
            frame.domain.eq(IMDB) == (kind == "films") for frame in (validation, passages)
        )
        if in_passages.any():
            soft_labels[in_passages] = _predict_ensemble(
                kind, teachers, validation[in_validation], passages[in_passages]
            )
    np.save(work / "soft.npy", soft_labels)


def _predict_ensemble(
    kind: str, teachers: Mapping[str, Teacher], validation: pd.DataFrame, passages: pd.DataFrame
) -> np.ndarray:
    """Return P(positive) of each passage, by a regression on the teachers' logits.

    The regression is fitted on the validation passages, and its printed accuracy is also measured on them. It
    has one weight per teacher, and the passages are many, so the figure is hardly biased. Both labels have
    the same weight: that most reviews of a shop are positive says nothing about the next one.
    """
    labels = validation.label.to_numpy()
    logits = np.column_stack([teacher(list(validation.text)) for teacher in teachers.values()])
    ensemble = LogisticRegression(C=1e6, class_weight="balanced").fit(logits, labels)
    logits_by_name = dict(zip(teachers, logits.T, strict=True)) | {"all": ensemble.decision_function(logits)}
    for name, values in logits_by_name.items():
        print(f"{kind}, {name}: {np.mean((values > 0) == labels):.2%} of {len(labels)} validation passages")
    print(f"{kind}, weights: {np.round(ensemble.coef_[0], 3)}, bias {ensemble.intercept_[0]:.3f}", flush=True)
    logits = np.column_stack([teacher(list(passages.text)) for teacher in teachers.values()])
    probabilities: np.ndarray = ensemble.predict_proba(logits)[:, 1]
    return probabilities


def train_classifier(encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Train a classifier on labeled reviews alone; write `teach.pt` to `work`."""
    settings = config["teaching"]
    windows = config["windows"] | {"per_review": settings["per_review"]}
    data = TokenizedReviews.load(work / "train.npz")
    batches: list[list[Example]] = []
    for epoch in range(settings["epochs"]):
        rng = np.random.default_rng([config["seed"], epoch])
        examples = sample_windows(data, data.targets, range(len(data)), windows, rng)
        batches += make_batches(examples, windows["tokens_per_batch"], rng, example_shape)
    fit_classifier("teach", encoder, batches, work, config, settings)


def load_classifier(folder: Path, threads: int) -> Teacher:
    """Return an exported classifier as a teacher; a text without words has a logit of 0."""
    model = Classifier.load(folder, threads=threads, two_labels=True)

    def predict(texts: Sequence[str]) -> np.ndarray:
        verdicts = model.classify_each(texts, explain=False)
        scores = [v.scores if isinstance(v, Verdict) else {"positive": 1, "negative": 1} for v in verdicts]
        return np.array([np.log(score["positive"]) - np.log(score["negative"]) for score in scores])

    return predict


def fit_ngrams(reviews: pd.DataFrame, settings: dict[str, Any], seed: int) -> Teacher:
    """Return a regression on n-grams, weighted by naive Bayes (Wang and Manning 2012), as a teacher."""
    vectorizer = CountVectorizer(
        ngram_range=(1, settings["max_ngram_words"]),
        binary=True,
        min_df=settings["min_ngram_reviews"],
        token_pattern=r"[\w']+|[!?]",  # noqa: S106
        dtype=np.float32,
    )
    counts = vectorizer.fit_transform(_plain(reviews.text))
    labels = reviews.label.to_numpy()
    positive, negative = (np.asarray(counts[labels == label].sum(axis=0)).ravel() + 1 for label in (1, 0))
    ratios = np.log(positive / positive.sum() / (negative / negative.sum())).astype(np.float32)
    regression = LogisticRegression(
        C=settings["ngram_regularization"], solver="liblinear", dual=True, max_iter=200, random_state=seed
    )
    regression.fit(counts.multiply(ratios).tocsr(), labels)

    def predict(texts: Sequence[str]) -> np.ndarray:
        features = vectorizer.transform(_plain(texts)).multiply(ratios).tocsr()
        logits: np.ndarray = regression.decision_function(features)
        return logits

    return predict


def _plain(texts: Sequence[str]) -> list[str]:
    return [plain_text(text).text for text in texts]
