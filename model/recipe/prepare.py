"""Stage 1, prepare: split the data sets and write each split's texts and token ids."""

from pathlib import Path
from typing import Any

import pandas as pd
from tokenizers import Tokenizer

from recipe.abstention import abstention_texts
from recipe.behavior import read_behavior
from recipe.contrast import apply_edits, read_answers, read_own_texts
from recipe.emoji import write_tokenizer
from recipe.foreign import read_foreign
from recipe.mixtures import mix_reviews
from recipe.reviews import (
    IMDB,
    deduplicate,
    digest_fraction,
    read_pretraining_texts,
    read_reviews,
    sample_passages,
    tokenize,
)

SPLITS = ("train", "validation", "unseen")
HERE = Path(__file__).parent


def prepare(data: Path, encoder: Path, work: Path, config: dict[str, Any]) -> None:
    """Write `<split>.npz` (token ids) and `<split>.parquet` (texts) for each split to `work`.

    Besides the labeled splits of `read_reviews`, these are "passages" (of labeled and unlabeled reviews),
    "contrast" (edited training reviews), "contrast_validation" (edited validation reviews), "pairs" (our
    minimal pairs), "ours" and "ours_validation" (our own reviews), "short" (our own texts with four answers),
    "four_calibration" (texts of the same kind), "short_validation" and "four_validation" (the same, by other
    writers), "mixtures" (of short reviews), "behavior" (templates and edited film reviews), "foreign" and
    "foreign_validation" (other languages), "abstain" (texts without an opinion) and "pretrain" (every text
    that training may see).
    """
    work.mkdir(parents=True, exist_ok=True)
    settings, seed = config["data"], config["seed"]
    reviews = read_reviews(data, settings)
    print(pd.crosstab(reviews.source, reviews.split).to_string())
    frames = {split: reviews[reviews.split == split].drop(columns="split") for split in SPLITS}
    frames["pretrain"] = read_pretraining_texts(data, reviews, settings)
    unlabeled = frames["pretrain"][frames["pretrain"].label < 0]
    labeled = frames["train"].drop(columns="source")
    limits = settings["passages"]
    passage_sources = [
        unlabeled[unlabeled.domain == IMDB].head(limits["films"]),
        unlabeled[unlabeled.domain != IMDB].head(limits["others"]),
        labeled[labeled.domain != IMDB].head(limits["labeled_others"]),
    ]
    frames["passages"] = sample_passages(pd.concat(passage_sources), settings["passage_words"], seed)
    frames["contrast"] = apply_edits(
        HERE / "contrast.jsonl", reviews[reviews.split.isin(["train", "unused"])]
    )
    frames["pairs"] = read_own_texts(HERE / "pairs.jsonl")
    held_out = ("four_calibration", "short_validation", "four_validation")
    frames |= {name: read_answers(HERE / f"{name}.jsonl") for name in held_out}
    held_out_texts = pd.concat([frames[name] for name in held_out]).text
    short = read_answers(HERE / "short.jsonl")
    # Not by digest: many texts differ only in emoji, which a digest ignores.
    frames["short"] = short[~short.text.str.lower().isin(held_out_texts.str.lower())]
    frames["behavior"] = read_behavior(data, settings["behavior_cap"])
    clear = pd.concat([frames["train"], frames["short"]])
    frames["mixtures"] = mix_reviews(clear, settings["mixtures"], seed)
    frames["foreign"], frames["foreign_validation"] = read_foreign(data, settings)
    ours = deduplicate(read_own_texts(HERE / "ours.jsonl"))
    for_validation = digest_fraction(ours) < settings["own_validation_share"]
    frames["ours"], frames["ours_validation"] = ours[~for_validation], ours[for_validation]
    frames["contrast_validation"] = apply_edits(HERE / "contrast_validation.jsonl", frames["validation"])
    write_tokenizer(encoder / "tokenizer.json", work / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    frames["abstain"] = abstention_texts(tokenizer, HERE / "foreign.jsonl", settings["abstentions"], seed)

    for split, frame in frames.items():
        write_split(split, frame, tokenizer, work)


def write_split(split: str, frame: pd.DataFrame, tokenizer: Tokenizer, work: Path) -> None:
    """Write one split's texts and token ids."""
    frame.to_parquet(work / f"{split}.parquet")
    tokenized = tokenize(frame, tokenizer)
    tokenized.save(work / f"{split}.npz")
    print(f"{split}: {len(tokenized):,} reviews, {len(tokenized.pieces):,} word pieces", flush=True)
