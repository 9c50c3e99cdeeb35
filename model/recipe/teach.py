"""Stage 3, teach: labelled reviews -> two teachers, and what they say of the unlabelled ones.

One is a classifier from the original encoder, the other counts words. They err in different places, so
both together are more often right than either, and that is what the `distil` stage learns from.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from recipe.export import export
from recipe.reviews import IMDB, TokenizedReviews
from recipe.training import Example, batched, fit_classifier, sample
from reviewbox.model.bundle import TOKENIZER
from reviewbox.model.classifier import Classifier
from reviewbox.model.plain_text import plain_text
from reviewbox.model.verdicts import Verdict

# Texts -> the logit of "positive" for each, shape (R,).
Teacher = Callable[[Sequence[str]], np.ndarray]


def teach(encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Train both and write `teach.pt`, the folder `teacher`, and `soft.npy` to `work`.

    `soft.npy` has P(positive) for each row of the split "unlabelled", shape (R,), float32. An
    interrupted training goes on where it was.
    """
    train_classifier(encoder, work, config)
    export(work / "teach.pt", encoder / TOKENIZER, work / "teacher", config)

    train, validation = (_films(work / f"{split}.parquet") for split in ("train", "validation"))
    unlabelled = pd.read_parquet(work / "unlabelled.parquet")
    teachers = {
        "classifier": classifier(work / "teacher", config["threads"]),
        "n-grams": ngrams(train, config["teaching"], config["seed"]),
    }
    labels = validation.label.to_numpy()
    known = np.column_stack([teacher(list(validation.text)) for teacher in teachers.values()])
    both = LogisticRegression(C=1e6).fit(known, labels)
    for name, logits in (*zip(teachers, known.T, strict=True), ("both", both.decision_function(known))):
        print(f"{name}: {np.mean((logits > 0) == labels):.2%} of {len(labels)} validation films", flush=True)
    print("weights of both: {:.3f} {:.3f}, bias {:.3f}".format(*both.coef_[0], both.intercept_[0]))
    said = np.column_stack([teacher(list(unlabelled.text)) for teacher in teachers.values()])
    np.save(work / "soft.npy", both.predict_proba(said)[:, 1].astype(np.float32))


def train_classifier(encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Train a classifier on labelled reviews alone; write `teach.pt` to `work`."""
    settings = config["teaching"]
    windows = config["windows"] | {"per_review": settings["per_review"]}
    data = TokenizedReviews.load(work / "train.npz")
    batches: list[list[Example]] = []
    for epoch in range(settings["epochs"]):
        rng = np.random.default_rng([config["seed"], epoch])
        examples = sample(data, data.labels, range(len(data)), windows, rng)
        batches += batched(examples, windows["tokens_per_batch"], rng)
    fit_classifier("teach", encoder, batches, work, config, settings)


def classifier(folder: Path, threads: int) -> Teacher:
    """Return the exported classifier as a teacher; a text without words has a logit of 0."""
    model = Classifier.load(folder, threads=threads)

    def logits(texts: Sequence[str]) -> np.ndarray:
        verdicts = model.classify_each(texts, explain=False)
        scores = [v.scores if isinstance(v, Verdict) else {"positive": 1, "negative": 1} for v in verdicts]
        return np.array([np.log(score["positive"]) - np.log(score["negative"]) for score in scores])

    return logits


def ngrams(reviews: pd.DataFrame, settings: dict[str, Any], seed: int) -> Teacher:
    """Return a regression on n-grams weighted by naive Bayes (Wang and Manning 2012), as a teacher."""
    vectorizer = CountVectorizer(
        ngram_range=(1, settings["longest_ngram"]),
        binary=True,
        min_df=settings["rarest_ngram"],
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

    def logits(texts: Sequence[str]) -> np.ndarray:
        weighted = vectorizer.transform(_plain(texts)).multiply(ratios).tocsr()
        found: np.ndarray = regression.decision_function(weighted)
        return found

    return logits


def _films(path: Path) -> pd.DataFrame:
    reviews = pd.read_parquet(path)
    return reviews[reviews.domain == IMDB]


def _plain(texts: Sequence[str]) -> list[str]:
    return [plain_text(text).text for text in texts]
