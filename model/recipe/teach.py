"""Stage 3, teach: labelled reviews -> teachers, and what they say of passages of reviews.

One is a classifier from the original encoder, one a language model, one counts the words of film reviews.
They err in different places, so together they are more often right than any, and that is what the
`distil` stage learns from.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from recipe.export import export
from recipe.language_model import train_language_model, trained_language_model
from recipe.reviews import IMDB, TokenizedReviews, passages
from recipe.training import Example, batched, fit_classifier, sample, shape
from reviewbox.model.bundle import TOKENIZER
from reviewbox.model.classifier import Classifier
from reviewbox.model.plain_text import plain_text
from reviewbox.model.verdicts import Verdict

# Texts -> the logit of "positive" for each, shape (R,).
Teacher = Callable[[Sequence[str]], np.ndarray]


def teach(
    encoder: Path, decoder: Path, work: Path, config: dict[str, Any], also: Sequence[Path] = ()
) -> None:
    """Train all, let them `label`, and write checkpoints, the folder `teacher` and `soft.npy` to `work`.

    `soft.npy` has P(positive) for each row of the split "passages", shape (R,), float32. An
    interrupted training goes on where it was, and so do the answers of the language model.

    Args:
        encoder: the folder of the weights that the classifier starts from.
        decoder: the language model, a GGUF file or a folder.
        work: the folder of intermediate files.
        config: the recipe's.
        also: model folders made before, as further teachers.
    """
    train_classifier(encoder, work, config)
    export(work / "teach.pt", encoder / TOKENIZER, work / "teacher", config)
    train_language_model(decoder, work, config)
    label(decoder, work, config, also)


def label(decoder: Path, work: Path, config: dict[str, Any], also: Sequence[Path]) -> None:
    """Write `soft.npy`, once the teachers are trained."""
    splits = ("train", "validation", "passages")
    train, known, asked = (pd.read_parquet(work / f"{split}.parquet") for split in splits)
    known = passages(known, config["data"]["passage_words"], config["seed"])
    everyone: dict[str, Teacher] = {"classifier": classifier(work / "teacher", config["threads"])}
    everyone |= {str(folder): classifier(folder, config["threads"]) for folder in also}
    everyone["language model"] = trained_language_model(decoder, work, config)
    for_films = ngrams(train[train.domain == IMDB], config["teaching"], config["seed"])

    soft = np.empty(len(asked), dtype=np.float32)
    for kind, teachers in (("films", everyone | {"n-grams": for_films}), ("other domains", everyone)):
        of_known, of_asked = (frame.domain.eq(IMDB) == (kind == "films") for frame in (known, asked))
        if of_asked.any():
            soft[of_asked] = _joint(kind, teachers, known[of_known], asked[of_asked])
    np.save(work / "soft.npy", soft)


def _joint(
    kind: str, teachers: Mapping[str, Teacher], known: pd.DataFrame, asked: pd.DataFrame
) -> np.ndarray:
    """Return P(positive) of the passages `asked`, by a regression on the teachers' logits of known ones.

    It is fitted on what its own figure is printed for: a number for each teacher, on many reviews. Both
    labels weigh the same, whatever there is more of: that most reviews of a shop are good says nothing
    about the next one.
    """
    labels = known.label.to_numpy()
    logits = np.column_stack([teacher(list(known.text)) for teacher in teachers.values()])
    joint = LogisticRegression(C=1e6, class_weight="balanced").fit(logits, labels)
    said = dict(zip(teachers, logits.T, strict=True)) | {"all": joint.decision_function(logits)}
    for name, values in said.items():
        print(f"{kind}, {name}: {np.mean((values > 0) == labels):.2%} of {len(labels)} validation passages")
    print(f"{kind}, weights: {np.round(joint.coef_[0], 3)}, bias {joint.intercept_[0]:.3f}", flush=True)
    logits = np.column_stack([teacher(list(asked.text)) for teacher in teachers.values()])
    found: np.ndarray = joint.predict_proba(logits)[:, 1]
    return found


def train_classifier(encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Train a classifier on labelled reviews alone; write `teach.pt` to `work`."""
    settings = config["teaching"]
    windows = config["windows"] | {"per_review": settings["per_review"]}
    data = TokenizedReviews.load(work / "train.npz")
    batches: list[list[Example]] = []
    for epoch in range(settings["epochs"]):
        rng = np.random.default_rng([config["seed"], epoch])
        examples = sample(data, data.labels, range(len(data)), windows, rng)
        batches += batched(examples, windows["tokens_per_batch"], rng, shape)
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


def _plain(texts: Sequence[str]) -> list[str]:
    return [plain_text(text).text for text in texts]
