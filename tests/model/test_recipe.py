"""The recipe in miniature: every stage that makes the model, on texts of a few words."""

import importlib.util
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reviewbox.model.classifier import Classifier

ROOT = Path(__file__).parents[2]
NEEDS = ("torch", "transformers", "sklearn", "matplotlib")
MISSING = [name for name in NEEDS if importlib.util.find_spec(name) is None]

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (requirements/recipe.in)"
)

CONFIG = """
seed = 3
threads = 1

[data]
validation_share = 0.2
held_out_domains = ["kettles"]
unlabelled = 30
abstentions = 2

[data.caps]
shops = 20

[windows]
size = 8
short_size = 4
short_share = 0.25
per_review = 2
tokens_per_batch = 60

[pretraining]
learning_rate = 1e-3
embedding_learning_rate = 1e-3
weight_decay = 0.01
warmup_share = 0.1
steps = 60
stop_after = 45
masked_share = 0.2
per_review = 2
tokens_per_batch = 60
checkpoint_every = 7
validate_every = 30
validate_reviews = 5

[teaching]
learning_rate = 1e-3
head_learning_rate = 1e-2
weight_decay = 0.01
warmup_share = 0.1
epochs = 1
per_review = 3
checkpoint_every = 7
validate_every = 30
validate_reviews = 5
longest_ngram = 3
rarest_ngram = 2
ngram_regularization = 0.1

[distillation]
learning_rate = 1e-3
head_learning_rate = 1e-2
weight_decay = 0.01
warmup_share = 0.1
epochs = 1
contrast_repeats = 1
checkpoint_every = 7
validate_every = 30
validate_reviews = 5
"""

# Twelve heads, as `export` has it; the weights are random.
ENCODER = """
import sys, torch
from transformers import BertConfig, BertModel
torch.manual_seed(0)
config = BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=12, intermediate_size=48)
BertModel(config, add_pooling_layer=False).save_pretrained(sys.argv[1])
"""

OPINIONS = {
    1: ("I loved it.", "A joy from start to end!", "Better than I had hoped,<br />and cheap."),
    0: ("I hated it.", "It bored me to tears.", "Worse than anything I remember,<br />and dear."),
}
FILMS = ("The heist", "This western", "The sequel", "His first comedy", "The musical", "That war film")
GOODS = ("The toaster", "This lamp", "My phone case", "The blender")
VIEWERS = ("My aunt slept.", "We saw it on a rainy Sunday.", "The cinema was half empty.")


def reviews(subjects: tuple[str, ...], said_before: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        (f"{subject}: {before} {opinion}", label)
        for subject, before, (label, opinions) in product(subjects, said_before, OPINIONS.items())
        for opinion in opinions
    ]
    return pd.DataFrame(rows, columns=["text", "label"])


def write_parquet(folder: Path) -> Path:
    folder.mkdir()
    reviews(FILMS, VIEWERS).to_parquet(folder / "imdb_train.parquet")
    films = reviews(FILMS, ("No label here.",))[["text"]]
    # One that is among the labelled, but for its case.
    copy = pd.DataFrame({"text": [reviews(FILMS, VIEWERS).text[0].upper()]})
    pd.concat([films, copy]).to_parquet(folder / "imdb_unlabelled.parquet")
    return folder


def write_acl_imdb(folder: Path) -> Path:
    """Lay out the same reviews as the aclImdb archive does."""
    source = write_parquet(folder.with_name("source"))
    labelled = pd.read_parquet(source / "imdb_train.parquet")
    unlabelled = pd.read_parquet(source / "imdb_unlabelled.parquet").assign(label=-1)
    for number, row in enumerate(pd.concat([labelled, unlabelled]).itertuples()):
        kind = {0: "neg", 1: "pos", -1: "unsup"}[row.label]
        (folder / "train" / kind).mkdir(parents=True, exist_ok=True)
        (folder / "train" / kind / f"{number}_0.txt").write_text(row.text, encoding="utf-8")
    return folder


def add_other_domains(folder: Path) -> None:
    others = pd.concat(
        [
            reviews(GOODS, VIEWERS[:1]).assign(domain="household"),
            reviews(("The kettle",), VIEWERS).assign(domain="kettles"),
        ]
    )
    others.assign(source="shops").to_parquet(folder / "other_domains_train.parquet")
    unlabelled = [("It toasts.", "household"), ("It boils.", "kettles")]
    frame = pd.DataFrame(unlabelled, columns=["text", "domain"])
    frame.to_parquet(folder / "other_domains_unlabelled.parquet")


class Workshop:
    """A folder with a miniature encoder, configuration and intermediate files."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.encoder = folder / "encoder"
        self.config = folder / "recipe.toml"
        self.config.write_text(CONFIG, encoding="utf-8")
        self.encoder.mkdir()
        python("-c", ENCODER, str(self.encoder))
        tokenizer = (ROOT / "model" / "tokenizer.json").read_bytes()
        (self.encoder / "tokenizer.json").write_bytes(tokenizer)

    def run(self, stage: str, *options: str | Path, work: Path | None = None, stdout: int | None = None) -> str:
        """Run a stage and return what it printed, unless that goes to the file descriptor `stdout`."""
        paths = ["--encoder", self.encoder, "--work", work or self.work, "--config", self.config]
        return python("-m", "recipe", stage, *paths, *options, stdout=stdout)

    def interrupt(self, stage: str, work: Path) -> None:
        """Run a stage whose terminal is gone: it dies of the first line that it prints."""
        reading, writing = os.pipe()
        os.close(reading)
        with pytest.raises(subprocess.CalledProcessError) as failure:
            self.run(stage, work=work, stdout=writing)
        os.close(writing)
        assert "BrokenPipeError" in failure.value.stderr


def python(*arguments: str | Path, stdout: int | None = None) -> str:
    finished = subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'model'}:{ROOT / 'src'}", "HF_HUB_OFFLINE": "1"},
    )
    return finished.stdout or ""
