"""The recipe in miniature: every stage that makes the model, on texts of a few words."""

import importlib.util
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer

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
passages = { films = 30, others = 30, labeled_others = 20 }
passage_words = 20
own_validation_share = 0.95
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
max_ngram_words = 3
min_ngram_reviews = 2
ngram_regularization = 0.1

[language_model]
learning_rate = 1e-2
head_learning_rate = 1e-2
weight_decay = 0.01
warmup_share = 0.1
max_tokens = 30
max_edited_tokens = 20
cap = 100
caps = { imdb = 60 }
tokens_per_batch = 300
checkpoint_every = 7
validate_every = 30
validate_reviews = 5

[distillation]
learning_rate = 1e-3
head_learning_rate = 1e-2
weight_decay = 0.01
warmup_share = 0.1
epochs = 1
from_model = { learning_rate = 0.0, head_learning_rate = 0.0 }
repeats = { train = 10, passages = 5, contrast = 1, pairs = 0, ours = 0, abstain = 1 }
checkpoint_every = 7
validate_every = 30
validate_reviews = 5

[evaluation]
reviews_per_domain = 100
evidence_reviews = 3
"""

# Twelve heads, as `export` has it; the weights are random.
MODELS = """
import sys, torch
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
torch.manual_seed(0)
encoder, tokenizer, decoder = sys.argv[1:]
config = BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=12, intermediate_size=48)
BertModel(config, add_pooling_layer=False).save_pretrained(encoder)
sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
LlamaForCausalLM(LlamaConfig(vocab_size=30522, **sizes)).save_pretrained(decoder)
PreTrainedTokenizerFast(tokenizer_file=tokenizer).save_pretrained(decoder)
"""

OPINIONS = {
    1: ("I loved it.", "A joy from start to end!", "Better than I had hoped,<br />and cheap."),
    0: ("I hated it.", "It bored me to tears.", "Worse than anything I remember,<br />and dear."),
}
FILMS = ("The heist", "This western", "The sequel", "His first comedy", "The musical", "That war film")
GOODS = ("The toaster", "This lamp", "My phone case", "The blender")
UNLABELLED = ("It toasts.", "It boils.")  # in a seen domain and a held-out one
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
    unlabelled = pd.DataFrame({"text": UNLABELLED, "domain": ["household", "kettles"]})
    unlabelled.to_parquet(folder / "other_domains_unlabelled.parquet")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a miniature encoder and decoder, a configuration and training data."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "recipe.toml").write_text(CONFIG, encoding="utf-8")
    tokenizer = ROOT / "model" / "tokenizer.json"
    python("-c", MODELS, folder / "encoder", tokenizer, folder / "decoder")
    shutil.copy(tokenizer, folder / "encoder")
    add_other_domains(write_parquet(folder / "data"))
    return folder


@pytest.fixture(scope="module")
def printed(workshop: Path) -> dict[str, str]:
    """What each stage printed when all of them ran, in the folder `work`."""
    options = {
        "prepare": ("--data", workshop / "data"),
        "teach": ("--language-model", workshop / "decoder", "--also", ROOT / "model"),
        "export": ("--output", workshop / "model"),
    }
    stages = ("prepare", "pretrain", "teach", "distil", "export")
    return {stage: run(workshop, stage, *options.get(stage, ())) for stage in stages}


def run(workshop: Path, stage: str, *options: str | Path, stdout: int = subprocess.PIPE) -> str:
    paths = ("--encoder", workshop / "encoder", "--work", workshop / "work")
    config = ("--config", workshop / "recipe.toml")
    return python("-m", "recipe", stage, *paths, *config, *options, stdout=stdout)


def python(*arguments: str | Path, stdout: int = subprocess.PIPE) -> str:
    """Run Python to its end and return what it printed, unless that went to a file descriptor."""
    variables = {"PYTHONPATH": f"{ROOT / 'model'}:{ROOT / 'src'}", "HF_HUB_OFFLINE": "1"}
    finished = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | variables,
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    return finished.stdout or ""


def tokens(path: Path) -> list[tuple[int, ...]]:
    with np.load(path) as archive:
        return [tuple(review) for review in np.split(archive["pieces"], archive["ends"][:-1])]


def weights(path: Path) -> dict[str, Any]:
    torch = importlib.import_module("torch")
    return {name: tensor.numpy() for name, tensor in torch.load(path)["model"].items()}


def test_an_acl_imdb_folder_and_parquet_files_are_prepared_alike(workshop: Path, tmp_path: Path) -> None:
    folders = write_acl_imdb(tmp_path / "aclImdb"), tmp_path / "source"
    works = tmp_path / "from_folder", tmp_path / "from_parquet"
    for data, work in zip(folders, works, strict=True):
        run(workshop, "prepare", "--data", data, "--work", work)

    for split in ("train", "validation", "passages", "pretrain"):
        assert tokens(works[0] / f"{split}.npz") == tokens(works[1] / f"{split}.npz")


def test_pretraining_sees_unlabelled_texts_but_none_kept_for_validation(
    workshop: Path, printed: dict[str, str]
) -> None:
    pretraining = tokens(workshop / "work" / "pretrain.npz")
    kept = [*tokens(workshop / "work" / "validation.npz"), *tokens(workshop / "work" / "unseen.npz")]
    tokenizer = Tokenizer.from_file(str(ROOT / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    seen, held_out = (tuple(tokenizer.encode(text, add_special_tokens=False).ids) for text in UNLABELLED)

    assert len(kept) > 10
    assert not set(kept) & set(pretraining)
    assert set(tokens(workshop / "work" / "train.npz")) < set(pretraining)
    assert len(set(pretraining)) == len(pretraining)
    assert seen in pretraining
    assert held_out not in pretraining


def test_pretraining_ends_where_it_is_told_and_leaves_an_encoder(
    workshop: Path, printed: dict[str, str]
) -> None:
    encoders = workshop / "encoder", workshop / "work" / "encoder"
    before, after = ((folder / "model.safetensors").read_bytes() for folder in encoders)

    assert "pretrain 45/45" in printed["pretrain"]
    assert len(after) == len(before)
    assert after != before
    assert (encoders[1] / "tokenizer.json").read_bytes() == (encoders[0] / "tokenizer.json").read_bytes()


def test_all_teachers_score_every_passage(workshop: Path, printed: dict[str, str]) -> None:
    soft = np.load(workshop / "work" / "soft.npy")
    passages = pd.read_parquet(workshop / "work" / "passages.parquet")
    positive = passages.text.map(lambda text: any(opinion[:6] in text for opinion in OPINIONS[1]))
    films = passages.domain == "imdb"

    assert soft.shape == (len(passages),)
    assert soft.dtype == np.float32
    assert ((soft > 0.5) == positive)[films].all()
    assert set(passages.domain) == {"imdb", "household"}
    teachers = ("classifier", str(ROOT / "model"), "language model")
    for line in (f"{kind}, {name}: " for kind in ("films", "other domains") for name in teachers):
        assert f"\n{line}" in printed["teach"]
    assert "\nfilms, n-grams: " in printed["teach"]


def test_every_training_leaves_its_curve_as_a_picture(workshop: Path, printed: dict[str, str]) -> None:
    for stage in ("pretrain", "teach", "language", "distil"):
        assert (workshop / "work" / f"{stage}.png").read_bytes().startswith(b"\x89PNG")


def test_an_interrupted_training_ends_with_the_same_weights(
    workshop: Path, printed: dict[str, str], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    finished = shutil.ignore_patterns("distil.*")
    shutil.copytree(workshop / "work", work, ignore=finished)
    # A terminal that is gone: the run dies of the first line that it prints.
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(RuntimeError, match="BrokenPipeError"):
        run(workshop, "distil", "--work", work, stdout=writing)
    os.close(writing)

    assert "distil: resumed at step 14\n" in run(workshop, "distil", "--work", work)
    undisturbed, resumed = (weights(folder / "distil.pt") for folder in (workshop / "work", work))
    assert undisturbed.keys() == resumed.keys()
    assert all(np.array_equal(undisturbed[name], resumed[name]) for name in resumed)


def test_films_alone_will_do(workshop: Path, tmp_path: Path) -> None:
    options = {
        "prepare": ("--data", write_acl_imdb(tmp_path / "aclImdb")),
        "teach": ("--language-model", workshop / "decoder"),
        "export": ("--output", tmp_path / "model"),
        "evaluate": ("--output", tmp_path / "model"),
    }
    for stage in ("prepare", "pretrain", "teach", "distil", "export", "evaluate"):
        said = run(workshop, stage, "--work", tmp_path / "work", *options.get(stage, ()))

    assert "minimal pairs: " in said
    assert "golden" in (tmp_path / "model" / "bundle.json").read_text(encoding="utf-8")


def test_distil_goes_on_from_an_exported_model(
    workshop: Path, printed: dict[str, str], tmp_path: Path
) -> None:
    """With learning rates of zero, which the configuration has for this, it ends where it began."""
    work, model = tmp_path / "work", workshop / "model" / "model.onnx"
    shutil.copytree(workshop / "work", work, ignore=shutil.ignore_patterns("distil.*"))
    run(workshop, "distil", "--work", work, "--from", model)
    run(workshop, "export", "--work", work, "--output", tmp_path)

    assert (tmp_path / "model.onnx").read_bytes() == model.read_bytes()


def test_the_exported_model_classifies_and_can_be_exported_again(
    workshop: Path, printed: dict[str, str], tmp_path: Path
) -> None:
    good, bad = Classifier.load(workshop / "model").classify(["I loved it.", "I hated it."])
    run(workshop, "export", "--from", workshop / "model" / "model.onnx", "--output", tmp_path)

    assert good.scores["positive"] > bad.scores["positive"]
    for name in ("model.onnx", "tokenizer.json", "config.json"):
        assert (tmp_path / name).read_bytes() == (workshop / "model" / name).read_bytes()
