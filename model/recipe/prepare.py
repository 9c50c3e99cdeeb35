"""Stage 1, prepare: the data sets -> texts and token ids of each split."""

from pathlib import Path
from typing import Any

import pandas as pd
from tokenizers import Tokenizer

from recipe.abstain import texts_without_a_verdict
from recipe.contrast import edited, read_written
from recipe.reviews import IMDB, drawn, passages, read_reviews, read_texts, tokenize, without_copies

SPLITS = ("train", "validation", "unseen")
HERE = Path(__file__).parent


def prepare(data: Path, encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Write `<split>.npz` (token ids) and `<split>.parquet` (texts) for each split to `work`.

    Beside the labelled splits these are "passages" (of reviews with and without a label), "contrast"
    (edited training reviews), "contrast_validation" (edited validation reviews), "pairs" (our own minimal
    pairs), "ours" and "ours_validation" (our own reviews), "abstain" (texts without a verdict) and
    "pretrain" (every text that training may see).
    """
    reviews = read_reviews(data, config["data"])
    print(pd.crosstab(reviews.source, reviews.split).to_string())
    frames = {split: reviews[reviews.split == split].drop(columns="split") for split in SPLITS}
    frames["pretrain"] = texts = read_texts(data, reviews, config["data"])
    films, others = (texts[(texts.label < 0) & (texts.domain.eq(IMDB) == wanted)] for wanted in (True, False))
    most = config["data"]["passages"]
    chosen = [films.head(most["films"]), others.head(most["others"])]
    labelled = frames["train"][frames["train"].domain != IMDB].drop(columns="source")
    chosen.append(labelled.head(most["labelled_others"]))
    frames["passages"] = passages(pd.concat(chosen), config["data"]["passage_words"], config["seed"])
    frames["contrast"] = edited(HERE / "contrast.jsonl", frames["train"])
    frames["pairs"] = read_written(HERE / "pairs.jsonl")
    ours = without_copies(read_written(HERE / "ours.jsonl"))
    kept_back = drawn(ours) < config["data"]["validation_share_of_ours"]
    frames["ours"], frames["ours_validation"] = ours[~kept_back], ours[kept_back]
    frames["contrast_validation"] = edited(HERE / "contrast_validation.jsonl", frames["validation"])
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    frames["abstain"] = texts_without_a_verdict(
        tokenizer, HERE / "foreign.jsonl", config["data"]["abstentions"], config["seed"]
    )

    work.mkdir(parents=True, exist_ok=True)
    for split, frame in frames.items():
        write(split, frame, tokenizer, work)


def write(split: str, frame: pd.DataFrame, tokenizer: Tokenizer, work: Path) -> None:
    """Write one split's texts and token ids."""
    frame.to_parquet(work / f"{split}.parquet")
    tokens = tokenize(frame, tokenizer)
    tokens.save(work / f"{split}.npz")
    print(f"{split}: {len(tokens):,} reviews, {len(tokens.pieces):,} word pieces", flush=True)
