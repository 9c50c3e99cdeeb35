"""Stage 1, prepare: the data sets -> one file of token ids for each split."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from recipe.reviews import read_reviews, tokenize

SPLITS = ("train", "validation", "unseen")


def prepare(data: Path, encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Write `<split>.npz` (token ids) and `<split>.parquet` (texts) for each split to `work`."""
    reviews = read_reviews(data, config["data"])
    print(reviews.groupby(["source", "split"]).size().unstack(fill_value=0).to_string())
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    work.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        chosen = reviews[reviews.split == split]
        chosen.drop(columns="split").to_parquet(work / f"{split}.parquet")
        tokens = tokenize(chosen, tokenizer)
        tokens.save(work / f"{split}.npz")
        print(f"{split}: {len(tokens):,} reviews, {len(tokens.pieces):,} word pieces")
