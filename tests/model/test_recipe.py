"""Run every stage of the recipe in miniature: tiny models, and texts of a few words."""

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
REQUIRED = ("torch", "transformers", "sklearn", "matplotlib")
MISSING = [name for name in REQUIRED if importlib.util.find_spec(name) is None]

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
neutral_sets = ["questions"]
behavior_cap = 2
mixtures = 6
foreign_cap = 4
held_out_languages = ["ca"]
cap = 100

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
emoji_learning_rate = 1e-3
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
emoji_learning_rate = 1e-3
weight_decay = 0.01
warmup_share = 0.1
epochs = 1
from_model = { learning_rate = 0.0, head_learning_rate = 0.0, emoji_learning_rate = 0.0 }
repeats = { train = 10, passages = 5, contrast = 1, mixtures = 1, behavior = 1, foreign = 1, abstain = 1 }
checkpoint_every = 7
validate_every = 30
validate_reviews = 5

[evaluation]
reviews_per_domain = 100
calibration_reviews = 50
evidence_reviews = 3
"""

# Random weights; twelve heads, because `export` expects that many.
SAVE_MODELS = """
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
UNLABELED = ("It toasts.", "It boils.")  # one in a seen domain, one in a held-out domain
REMARKS = ("My aunt slept.", "We saw it on a rainy Sunday.", "The cinema was half empty.")


def make_reviews(subjects: tuple[str, ...], remarks: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        (f"{subject}: {remark} {opinion}", label)
        for subject, remark, (label, opinions) in product(subjects, remarks, OPINIONS.items())
        for opinion in opinions
    ]
    return pd.DataFrame(rows, columns=["text", "label"])


def write_parquet(folder: Path) -> Path:
    folder.mkdir()
    films = make_reviews(FILMS, REMARKS)
    films.assign(rating=1 + 9 * films.label).to_parquet(folder / "imdb_train.parquet")
    films = make_reviews(FILMS, ("No label here.",))[["text"]]
    # Differs from a labeled review only in case.
    duplicate = pd.DataFrame({"text": [make_reviews(FILMS, REMARKS).text[0].upper()]})
    pd.concat([films, duplicate]).to_parquet(folder / "imdb_unlabelled.parquet")
    return folder


def write_acl_imdb(folder: Path) -> Path:
    """Write the same reviews in the layout of the aclImdb archive."""
    source = write_parquet(folder.with_name("source"))
    labeled = pd.read_parquet(source / "imdb_train.parquet")
    unlabeled = pd.read_parquet(source / "imdb_unlabelled.parquet").assign(label=-1, rating=0)
    for number, row in enumerate(pd.concat([labeled, unlabeled]).itertuples()):
        label_folder = folder / "train" / {0: "neg", 1: "pos", -1: "unsup"}[row.label]
        label_folder.mkdir(parents=True, exist_ok=True)
        (label_folder / f"{number}_{row.rating}.txt").write_text(row.text, encoding="utf-8")
    return folder


def add_other_domains(folder: Path) -> None:
    others = pd.concat(
        [
            make_reviews(GOODS, REMARKS[:1]).assign(domain="household"),
            make_reviews(("The kettle",), REMARKS).assign(domain="kettles"),
        ]
    )
    others.assign(source="shops", rating=np.nan).to_parquet(folder / "other_domains_train.parquet")
    add_more_texts(folder)
    unlabeled = pd.DataFrame({"text": UNLABELED, "domain": ["household", "kettles"]})
    unlabeled.to_parquet(folder / "other_domains_unlabelled.parquet")


def add_more_texts(folder: Path) -> None:
    """Add reviews with stars, neutral texts, templates, and texts in other languages."""
    stars = pd.DataFrame(
        {"text": [f"{good} It is so-so." for good in GOODS], "rating": 3.0, "set": "ratings"}
    )
    questions = pd.DataFrame({"text": ["Does it come in red?", "Is it heavy?"], "set": "questions"})
    pd.concat([stars, questions]).assign(label=None).to_parquet(folder / "more_domains_train.parquet")
    templates = [
        ("It is not good.", "negative", 0),
        ("It is good.", "positive", 1),
        ("It is.", "neutral", None),
    ]
    behavior = pd.DataFrame(templates, columns=["text", "expect", "label"])
    behavior = behavior.assign(kind="negation", set="checklist_mft")
    behavior.to_parquet(folder / "behaviour_train.parquet")
    (folder / "languages").mkdir()
    languages = [("de", "Das war ein guter Film."), ("de", "Nie wieder."), ("ca", "No m'ha agradat gens.")]
    foreign = pd.DataFrame(languages, columns=["lang", "text"])
    foreign.to_parquet(folder / "languages" / "reviews_21_languages.parquet")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny encoder and decoder, a configuration and training data."""
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "recipe.toml").write_text(CONFIG, encoding="utf-8")
    tokenizer = ROOT / "model" / "tokenizer.json"
    python("-c", SAVE_MODELS, folder / "encoder", tokenizer, folder / "decoder")
    shutil.copy(tokenizer, folder / "encoder")
    add_other_domains(write_parquet(folder / "data"))
    return folder


@pytest.fixture(scope="module")
def outputs(sandbox: Path) -> dict[str, str]:
    """Run the stages in the folder `work`; return what each of them printed."""
    options = {
        "prepare": ("--data", sandbox / "data"),
        "teach": ("--language-model", sandbox / "decoder", "--also", ROOT / "model"),
        "export": ("--output", sandbox / "model"),
    }
    stages = ("prepare", "pretrain", "teach", "distil", "calibrate", "export")
    return {stage: run(sandbox, stage, *options.get(stage, ())) for stage in stages}


def run(sandbox: Path, stage: str, *options: str | Path, stdout: int = subprocess.PIPE) -> str:
    """Run a stage and return what it printed."""
    paths = ("--encoder", sandbox / "encoder", "--work", sandbox / "work")
    config = ("--config", sandbox / "recipe.toml")
    return python("-m", "recipe", stage, *paths, *config, *options, stdout=stdout)


def python(*arguments: str | Path, stdout: int = subprocess.PIPE) -> str:
    """Run Python and return what it printed, or an empty string if `stdout` is a file descriptor."""
    variables = {"PYTHONPATH": f"{ROOT / 'model'}:{ROOT / 'src'}", "HF_HUB_OFFLINE": "1"}
    completed = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | variables,
    )
    if completed.returncode:
        raise RuntimeError(completed.stderr)
    return completed.stdout or ""


def read_tokens(path: Path) -> list[tuple[int, ...]]:
    with np.load(path) as archive:
        return [tuple(review) for review in np.split(archive["pieces"], archive["ends"][:-1])]


def read_weights(path: Path) -> dict[str, Any]:
    torch = importlib.import_module("torch")
    return {name: tensor.numpy() for name, tensor in torch.load(path)["model"].items()}


def test_an_acl_imdb_folder_gives_the_same_splits_as_parquet_files(sandbox: Path, tmp_path: Path) -> None:
    data_folders = write_acl_imdb(tmp_path / "aclImdb"), tmp_path / "source"
    work_folders = tmp_path / "from_folder", tmp_path / "from_parquet"
    for data, work in zip(data_folders, work_folders, strict=True):
        run(sandbox, "prepare", "--data", data, "--work", work)

    for split in ("train", "validation", "passages", "pretrain"):
        from_folder, from_parquet = (read_tokens(work / f"{split}.npz") for work in work_folders)
        assert from_folder == from_parquet


def test_pretraining_uses_unlabeled_texts_but_no_validation_texts(
    sandbox: Path, outputs: dict[str, str]
) -> None:
    pretraining = read_tokens(sandbox / "work" / "pretrain.npz")
    held_out = [
        *read_tokens(sandbox / "work" / "validation.npz"),
        *read_tokens(sandbox / "work" / "unseen.npz"),
    ]
    tokenizer = Tokenizer.from_file(str(ROOT / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    seen, unseen = (tuple(tokenizer.encode(text, add_special_tokens=False).ids) for text in UNLABELED)

    assert len(held_out) > 10
    assert not set(held_out) & set(pretraining)
    assert set(read_tokens(sandbox / "work" / "train.npz")) < set(pretraining)
    assert len(set(pretraining)) == len(pretraining)
    assert seen in pretraining
    assert unseen not in pretraining


def test_pretraining_stops_at_stop_after_and_saves_an_encoder(sandbox: Path, outputs: dict[str, str]) -> None:
    encoders = sandbox / "encoder", sandbox / "work" / "encoder"
    before, after = ((folder / "model.safetensors").read_bytes() for folder in encoders)

    assert "pretrain 45/45" in outputs["pretrain"]
    assert len(after) == len(before)
    assert after != before
    assert (encoders[1] / "tokenizer.json").read_bytes() == (encoders[0] / "tokenizer.json").read_bytes()


def test_every_teacher_scores_every_passage(sandbox: Path, outputs: dict[str, str]) -> None:
    soft_labels = np.load(sandbox / "work" / "soft.npy")
    passages = pd.read_parquet(sandbox / "work" / "passages.parquet")
    positive = passages.text.map(lambda text: any(opinion[:6] in text for opinion in OPINIONS[1]))
    films = passages.domain == "imdb"

    assert soft_labels.shape == (len(passages),)
    assert soft_labels.dtype == np.float32
    assert ((soft_labels > 0.5) == positive)[films].all()
    assert set(passages.domain) == {"imdb", "household", "ratings"}
    teachers = ("classifier", str(ROOT / "model"), "language model")
    for line in (f"{kind}, {name}: " for kind in ("films", "other domains") for name in teachers):
        assert f"\n{line}" in outputs["teach"]
    assert "\nfilms, n-grams: " in outputs["teach"]


def test_every_training_stage_plots_its_curve(sandbox: Path, outputs: dict[str, str]) -> None:
    for stage in ("pretrain", "teach", "language", "distil"):
        assert (sandbox / "work" / f"{stage}.png").read_bytes().startswith(b"\x89PNG")


def test_a_resumed_run_ends_with_the_same_weights(
    sandbox: Path, outputs: dict[str, str], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(sandbox / "work", work, ignore=shutil.ignore_patterns("distil.*"))
    # The run's output is a closed pipe, so the run fails when it prints its first line.
    read_end, write_end = os.pipe()
    os.close(read_end)
    with pytest.raises(RuntimeError, match="BrokenPipeError"):
        run(sandbox, "distil", "--work", work, stdout=write_end)
    os.close(write_end)

    assert "distil: resumed at step 14\n" in run(sandbox, "distil", "--work", work)
    uninterrupted, resumed = (read_weights(folder / "distil.pt") for folder in (sandbox / "work", work))
    assert uninterrupted.keys() == resumed.keys()
    assert all(np.array_equal(uninterrupted[name], resumed[name]) for name in resumed)


def test_other_domains_are_optional(sandbox: Path, tmp_path: Path) -> None:
    options = {
        "prepare": ("--data", write_acl_imdb(tmp_path / "aclImdb")),
        "teach": ("--language-model", sandbox / "decoder"),
        "export": ("--output", tmp_path / "model"),
        "evaluate": ("--output", tmp_path / "model"),
    }
    for stage in ("prepare", "pretrain", "teach", "distil", "calibrate", "export", "evaluate"):
        output = run(sandbox, stage, "--work", tmp_path / "work", *options.get(stage, ()))

    assert "minimal pairs: " in output
    assert "golden" in (tmp_path / "model" / "bundle.json").read_text(encoding="utf-8")


def test_distil_starts_from_an_exported_model(sandbox: Path, outputs: dict[str, str], tmp_path: Path) -> None:
    """The configuration sets its learning rates to zero, so the weights do not change."""
    work, model = tmp_path / "work", sandbox / "model" / "model.onnx"
    shutil.copytree(sandbox / "work", work, ignore=shutil.ignore_patterns("distil.*", "calibration.json"))
    (work / "calibration.json").write_text(
        '{"difference_scale": 1.0, "sum_scale": 1.0, "sum_offset": 0.0}', encoding="utf-8"
    )
    run(sandbox, "distil", "--work", work, "--from", model)
    run(sandbox, "export", "--work", work, "--output", tmp_path)

    before, after = (Classifier.load(folder, two_labels=True) for folder in (sandbox / "model", tmp_path))
    texts = ["I loved it.", "I hated it.", "The toaster"]
    scores = [[verdict.scores["positive"] for verdict in each.classify(texts)] for each in (before, after)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_an_exported_model_classifies_and_exports_to_the_same_files(
    sandbox: Path, outputs: dict[str, str], tmp_path: Path
) -> None:
    good, bad = Classifier.load(sandbox / "model").classify(["I loved it.", "I hated it."])
    run(sandbox, "export", "--from", sandbox / "model" / "model.onnx", "--output", tmp_path)

    assert good.scores["positive"] > bad.scores["positive"]
    for name in ("model.onnx", "tokenizer.json", "config.json"):
        assert (tmp_path / name).read_bytes() == (sandbox / "model" / name).read_bytes()
