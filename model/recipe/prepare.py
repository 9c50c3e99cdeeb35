"""Stage 1, prepare: the data sets -> texts and token ids of each split."""

from pathlib import Path
from typing import Any

import pandas as pd
from tokenizers import Tokenizer

from recipe.abstain import texts_without_a_verdict
from recipe.contrast import edited, read_pairs
from recipe.reviews import read_reviews, read_texts, read_unlabelled, tokenize

SPLITS = ("train", "validation", "unseen")
HERE = Path(__file__).parent


def prepare(data: Path, encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Write `<split>.npz` (token ids) and `<split>.parquet` (texts) for each split to `work`.

    Beside the labelled splits these are "unlabelled" (films), "contrast" (edited training reviews),
    "contrast_validation" (edited validation reviews), "pairs" (our own minimal pairs), "abstain" (texts
    without a verdict) and "pretrain" (every text that training may see).
    """
    reviews = read_reviews(data, config["data"])
    print(pd.crosstab(reviews.source, reviews.split).to_string())
    frames = {split: reviews[reviews.split == split].drop(columns="split") for split in SPLITS}
    frames["unlabelled"] = read_unlabelled(data, reviews, config["data"]).assign(label=-1, domain="imdb")
    frames["contrast"] = edited(HERE / "contrast.jsonl", frames["train"])
    frames["pairs"] = read_pairs(HERE / "pairs.jsonl")
    frames["contrast_validation"] = edited(HERE / "contrast_validation.jsonl", frames["validation"])
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    frames["abstain"] = texts_without_a_verdict(
        tokenizer, HERE / "foreign.jsonl", config["data"]["abstentions"], config["seed"]
    )

    frames["pretrain"] = read_texts(data, reviews, config["data"]).assign(label=-1, domain="any")
    work.mkdir(parents=True, exist_ok=True)
    for split, frame in frames.items():
        write(split, frame, tokenizer, work)


def write(split: str, frame: pd.DataFrame, tokenizer: Tokenizer, work: Path) -> None:
    """Write one split's texts and token ids."""
    frame.to_parquet(work / f"{split}.parquet")
    tokens = tokenize(frame, tokenizer)
    tokens.save(work / f"{split}.npz")
    print(f"{split}: {len(tokens):,} reviews, {len(tokens.pieces):,} word pieces", flush=True)
