"""The training data: which review is for training, which for validation, and its token ids."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from reviewbox.model.plain_text import plain_text

IMDB = "imdb"
OTHER_DOMAINS = "other_domains_train.parquet"
OTHER_DOMAINS_UNLABELLED = "other_domains_unlabelled.parquet"

_TEXTS_AT_A_TIME = 2000  # encodings hold far more than the ids


@dataclass(frozen=True, slots=True)
class TokenizedReviews:
    """Reviews as word pieces, without special tokens.

    Attributes:
        pieces: the ids of all reviews, one after the other, shape (P,), uint16.
        ends: where each review ends in `pieces`, shape (R,), int64.
        labels: 1 for positive, 0 for negative, shape (R,), int8.
        domains: each review's domain, shape (R,).
    """

    pieces: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    domains: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def review(self, index: int) -> np.ndarray:
        """Return the ids of one review, shape (T,)."""
        return self.pieces[(self.ends[index - 1] if index else 0) : self.ends[index]]

    def save(self, path: Path) -> None:
        """Write everything to one NumPy archive."""
        np.savez(path, pieces=self.pieces, ends=self.ends, labels=self.labels, domains=self.domains)

    @classmethod
    def load(cls, path: Path) -> "TokenizedReviews":
        """Read what `save` wrote."""
        with np.load(path) as archive:
            return cls(**{name: archive[name] for name in cls.__slots__})


def read_reviews(data: Path, config: dict[str, Any]) -> pd.DataFrame:
    """Read the labelled sets of folder `data`.

    Returns a frame with the columns text, label, domain, source, digest and split: "train",
    "validation" (seen domains), "unseen" (held-out domains) or "unused" (over a source's cap). Of
    texts that differ only in case, spacing and punctuation, the first is kept.
    """
    frames = [_read_imdb(data, labelled=True).assign(domain=IMDB, source=IMDB)]
    if (data / OTHER_DOMAINS).exists():
        frames.append(pd.read_parquet(data / OTHER_DOMAINS))
    reviews = pd.concat(frames, ignore_index=True)
    reviews = without_copies(reviews[["text", "label", "domain", "source"]])

    held_out = reviews.domain.isin(config["held_out_domains"])
    kept_back = drawn(reviews) < config["validation_share"]
    split = np.where(held_out, "unseen", np.where(kept_back, "validation", "train"))
    reviews = reviews.assign(split=split).sort_values("digest")

    # The digest order is as good as random, and does not depend on the order of the files.
    rank = reviews.groupby(["split", "source", "label"]).cumcount()
    cap = reviews.source.map(config["caps"]).fillna(np.inf)
    unused = (reviews.split == "train") & (rank >= cap)
    return reviews.assign(split=reviews.split.mask(unused, "unused")).reset_index(drop=True)


def drawn(reviews: pd.DataFrame) -> pd.Series:
    """Return a number in [0, 1) for each review, as good as random, that depends on its content alone."""
    return reviews.digest.str[:8].map(lambda prefix: int(prefix, 16) / 16**8)


def read_texts(data: Path, reviews: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """Read every text that training may see, with its domain; `label` is -1 where there is none.

    Left out are held-out domains, copies, and copies of reviews kept for validation. Texts are compared
    without their markup, too: either may be the copy.
    """
    kept_back = reviews.split.isin(["validation", "unseen"])
    frames = [reviews[~kept_back], _read_imdb(data, labelled=False).assign(domain=IMDB, label=-1)]
    if (data / OTHER_DOMAINS_UNLABELLED).exists():
        others = pd.read_parquet(data / OTHER_DOMAINS_UNLABELLED).assign(label=-1)
        frames.append(others[~others.domain.isin(config["held_out_domains"])])
    texts = pd.concat([frame[["text", "label", "domain"]] for frame in frames], ignore_index=True)
    texts = without_copies(texts)
    texts = texts[~texts.digest.isin(reviews.digest[kept_back])]
    plain = without_copies(_without_markup(texts))
    plain = plain[~plain.digest.isin(without_copies(_without_markup(reviews[kept_back])).digest)]
    return texts.loc[plain.index].sort_values("digest").reset_index(drop=True)


def passages(reviews: pd.DataFrame, words: int, seed: int) -> pd.DataFrame:
    """Cut a passage of `words` words at most from each review's plain text, from the start of a sentence.

    Teachers are asked about passages, so what they say is of about what the model sees at once.
    """
    rng = np.random.default_rng([seed, 6])

    def cut(text: str) -> str:
        spoken = plain_text(text).text.split()
        ends = [i for i, word in enumerate(spoken[: -words // 2], 1) if word.endswith((".", "!", "?"))]
        start = int(rng.choice([0, *ends]))
        return " ".join(spoken[start : start + words])

    return reviews.assign(text=reviews.text.map(cut)).drop(columns="digest")


def _without_markup(reviews: pd.DataFrame) -> pd.DataFrame:
    return reviews.assign(text=reviews.text.map(lambda text: plain_text(text).text))


def without_copies(reviews: pd.DataFrame) -> pd.DataFrame:
    """Drop empty texts and copies; add each text's `digest`, blind to case, spacing and punctuation."""
    content = reviews.text.str.lower().str.replace(r"\W+", " ", regex=True).str.strip()
    digest = content.map(lambda text: hashlib.sha256(text.encode()).hexdigest())
    return reviews.assign(digest=digest)[~digest.duplicated() & (content != "")]


def _read_imdb(data: Path, *, labelled: bool) -> pd.DataFrame:
    """Read the training reviews of an aclImdb folder, or of the Parquet files made of it."""
    if not (data / "train" / "pos").is_dir():
        if labelled:
            return pd.read_parquet(data / "imdb_train.parquet", columns=["text", "label"])
        return pd.read_parquet(data / "imdb_unlabelled.parquet", columns=["text"])
    kinds = {"neg": 0, "pos": 1} if labelled else {"unsup": -1}
    files = [
        (path, label) for kind, label in kinds.items() for path in sorted((data / "train" / kind).iterdir())
    ]
    return pd.DataFrame(
        {
            "text": [path.read_text(encoding="utf-8") for path, _ in files],
            "label": [label for _, label in files],
        }
    )


def tokenize(reviews: pd.DataFrame, tokenizer: Tokenizer) -> TokenizedReviews:
    """Return the word pieces of every review of a frame that `read_reviews` returned."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = [np.empty(0, dtype=np.uint16)]
    for start in range(0, len(reviews), _TEXTS_AT_A_TIME):
        texts = [plain_text(text).text for text in reviews.text[start : start + _TEXTS_AT_A_TIME]]
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
        ids += [np.array(encoding.ids, dtype=np.uint16) for encoding in encodings]
    return TokenizedReviews(
        pieces=np.concatenate(ids),
        ends=np.cumsum([len(pieces) for pieces in ids[1:]], dtype=np.int64),
        labels=reviews.label.to_numpy(dtype=np.int8),
        domains=reviews.domain.to_numpy(dtype=str),
    )
