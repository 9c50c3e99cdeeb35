"""Read the training data, split it into training and validation reviews, and tokenize it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from recipe.targets import make_targets
from reviewbox.model.plain_text import plain_text

CLS, SEP, PAD = 101, 102, 0  # ids in the BERT vocabulary

IMDB = "imdb"
OTHER_DOMAINS = "other_domains_train.parquet"
MORE_DOMAINS = "more_domains_train.parquet"
OTHER_DOMAINS_UNLABELED = "other_domains_unlabelled.parquet"

# Splits with reviews from training sets, and from sets that are held out entirely.
HELD_OUT_SPLITS = ("validation", "unseen")

_TEXTS_PER_CHUNK = 2000  # an encoding takes far more memory than its ids


@dataclass(frozen=True, slots=True)
class TokenizedReviews:
    """Reviews as word pieces, without special tokens.

    Attributes:
        pieces: the ids of all reviews, concatenated, shape (P,), uint16.
        ends: the offset in `pieces` at which each review ends, shape (R,), int64.
        labels: 1 for positive, 0 for negative, -1 for none, shape (R,), int8.
        targets: what each review teaches (see `targets.py`), shape (R, 4), float32.
        domains: each review's domain, shape (R,).
    """

    pieces: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    domains: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def review(self, index: int) -> np.ndarray:
        """Return the ids of one review, shape (T,)."""
        return self.pieces[(self.ends[index - 1] if index else 0) : self.ends[index]]

    def save(self, path: Path) -> None:
        """Write the arrays to one NumPy archive."""
        np.savez(path, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def load(cls, path: Path) -> "TokenizedReviews":
        """Read an archive that `save` wrote."""
        with np.load(path) as archive:
            return cls(**{name: archive[name] for name in cls.__slots__})


def read_reviews(data: Path, config: dict[str, Any]) -> pd.DataFrame:
    """Read the labeled data sets in the folder `data`.

    If texts differ only in case, spacing or punctuation, the first one is kept.

    Returns:
        A frame with the columns text, label, stars, answer, domain, source, digest and split, which is
        "train", "validation" (seen domains), "unseen" (held-out domains) or "unused" (beyond the source's
        cap).
    """
    frames = [_read_imdb(data, labeled=True).assign(domain=IMDB, source=IMDB, answer=None)]
    files = [data / name for name in (OTHER_DOMAINS, MORE_DOMAINS)]
    frames += [_read_domains(file, config) for file in files if file.exists()]
    reviews = pd.concat(frames, ignore_index=True)
    reviews = deduplicate(reviews[["text", "label", "stars", "answer", "domain", "source"]])

    held_out = reviews.domain.isin(config["held_out_domains"])
    for_validation = digest_fraction(reviews) < config["validation_share"]
    split = np.where(held_out, "unseen", np.where(for_validation, "validation", "train"))
    reviews = reviews.assign(split=split).sort_values("digest")

    # The order of digests is effectively random, and does not depend on the order of the files.
    rank = reviews.groupby(["split", "source", "label"]).cumcount()
    cap = reviews.source.map(config["caps"]).fillna(config["cap"])
    unused = (reviews.split == "train") & (rank >= cap)
    return reviews.assign(split=reviews.split.mask(unused, "unused")).reset_index(drop=True)


def read_pretraining_texts(data: Path, reviews: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """Read every text that training may see, with its domain and its label (-1 if it has none).

    Held-out domains, duplicates, and duplicates of validation reviews are left out. Texts are also compared
    after their markup is removed, because only one of two duplicates may have markup.
    """
    not_for_training = reviews.split.isin(["validation", "unseen"])
    frames = [reviews[~not_for_training], _read_imdb(data, labeled=False).assign(domain=IMDB, label=-1)]
    if (data / OTHER_DOMAINS_UNLABELED).exists():
        others = pd.read_parquet(data / OTHER_DOMAINS_UNLABELED).assign(label=-1)
        frames.append(others[~others.domain.isin(config["held_out_domains"])])
    texts = pd.concat([frame[["text", "label", "domain"]] for frame in frames], ignore_index=True)
    texts = deduplicate(texts)
    texts = texts[~texts.digest.isin(reviews.digest[not_for_training])]
    plain = deduplicate(_without_markup(texts))
    plain = plain[~plain.digest.isin(deduplicate(_without_markup(reviews[not_for_training])).digest)]
    return texts.loc[plain.index].sort_values("digest").reset_index(drop=True)


def sample_passages(reviews: pd.DataFrame, words: int, seed: int) -> pd.DataFrame:
    """Replace each review's text with a passage of at most `words` words that starts at a sentence.

    A passage is about as long as the model's window, so the teachers score what the model will see.
    """
    rng = np.random.default_rng([seed, 6])

    def passage(text: str) -> str:
        all_words = plain_text(text).text.split()
        sentence_ends = [
            index for index, word in enumerate(all_words[: -words // 2], 1) if word.endswith((".", "!", "?"))
        ]
        start = int(rng.choice([0, *sentence_ends]))
        return " ".join(all_words[start : start + words])

    return reviews.assign(text=reviews.text.map(passage)).drop(columns="digest")


def read_splits(work: Path) -> pd.DataFrame:
    """Return the reviews that no training may see, with the column split."""
    return pd.concat(
        [pd.read_parquet(work / f"{split}.parquet").assign(split=split) for split in HELD_OUT_SPLITS]
    )


def deduplicate(reviews: pd.DataFrame) -> pd.DataFrame:
    """Drop empty texts and duplicates, and add each text's `digest`.

    The digest ignores case, spacing and punctuation.
    """
    content = reviews.text.str.lower().str.replace(r"\W+", " ", regex=True).str.strip()
    digest = content.map(lambda text: hashlib.sha256(text.encode()).hexdigest())
    return reviews.assign(digest=digest)[~digest.duplicated() & (content != "")]


def digest_fraction(reviews: pd.DataFrame) -> pd.Series:
    """Return each review's digest as a number in [0, 1), effectively random but reproducible."""
    return reviews.digest.str[:8].map(lambda prefix: int(prefix, 16) / 16**8)


def tokenize(reviews: pd.DataFrame, tokenizer: Tokenizer) -> TokenizedReviews:
    """Return the word pieces of the reviews in a frame with the columns text, label and domain."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = [np.empty(0, dtype=np.uint16)]
    for start in range(0, len(reviews), _TEXTS_PER_CHUNK):
        texts = [plain_text(text).text for text in reviews.text[start : start + _TEXTS_PER_CHUNK]]
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
        ids += [np.array(encoding.ids, dtype=np.uint16) for encoding in encodings]
    return TokenizedReviews(
        pieces=np.concatenate(ids),
        ends=np.cumsum([len(pieces) for pieces in ids[1:]], dtype=np.int64),
        labels=reviews.label.to_numpy(dtype=np.int8),
        targets=make_targets(reviews),
        domains=reviews.domain.to_numpy(dtype=str),
    )


def _without_markup(reviews: pd.DataFrame) -> pd.DataFrame:
    return reviews.assign(text=reviews.text.map(lambda text: plain_text(text).text))


def _read_domains(path: Path, config: dict[str, Any]) -> pd.DataFrame:
    """Read a Parquet file of labeled reviews; `set`, if there is one, names the domain and the source.

    Reviews without a label are kept if they have stars, or come from one of the `neutral_sets`.
    """
    reviews = pd.read_parquet(path)
    if "set" in reviews:
        reviews = reviews.assign(domain=reviews["set"], source=reviews["set"])
    is_neutral = reviews.label.isna() & reviews.domain.isin(config["neutral_sets"])
    reviews = reviews.assign(
        stars=reviews.rating.astype(float),
        answer=np.where(is_neutral, "neutral", None),
        label=reviews.label.fillna(-1).astype(int),
    )
    return reviews[(reviews.label >= 0) | reviews.stars.notna() | is_neutral]


def _read_imdb(data: Path, *, labeled: bool) -> pd.DataFrame:
    """Read the training reviews of an aclImdb folder, or of Parquet files with the same content.

    A rating of 1 to 10 becomes half as many stars.
    """
    if not (data / "train" / "pos").is_dir():
        if labeled:
            reviews = pd.read_parquet(data / "imdb_train.parquet", columns=["text", "label", "rating"])
            return reviews.assign(stars=reviews.rating / 2)
        return pd.read_parquet(data / "imdb_unlabelled.parquet", columns=["text"])
    labels = {"neg": 0, "pos": 1} if labeled else {"unsup": -1}
    rows = [
        {"text": path.read_text(encoding="utf-8"), "label": label, "stars": _stars(path)}
        for folder, label in labels.items()
        for path in sorted((data / "train" / folder).iterdir())
    ]
    return pd.DataFrame(rows, columns=["text", "label", "stars"])


def _stars(path: Path) -> float:
    """Return half the rating in the name of a file of aclImdb, `<id>_<rating>.txt`; 0 means none."""
    rating = int(path.stem.rpartition("_")[2])
    return rating / 2 if rating else np.nan
