"""Stage 6, evaluate: the exported model, reviews it never saw -> `bundle.json` and the card's figures.

The scores come through `reviewbox` itself, so what is calibrated and measured is what is served.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recipe.contrast import read_written
from recipe.evidence import evidence
from recipe.reviews import IMDB
from reviewbox.cli.evaluate import calibration_error
from reviewbox.model.bundle import BUNDLE, CONFIG, MODEL, TOKENIZER, sha256
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

HERE = Path(__file__).parent
SPLITS = ("validation", "unseen")
LENGTHS = {"up to 16 tokens": 16, "17 to 64": 64, "65 to 128": 128, "129 to 512": 512, "more": 10**9}

# Calibration errors that films, the largest set of the training, and other reviews may have.
ALLOWED_FILMS, ALLOWED = 0.02, 0.05

# What every cold start asks the model; of all lengths, and sure, unsure and in capitals.
GOLDEN = (
    "Lovely little place, we will be back.",
    "Stopped working after a week and nobody answers my mails.",
    "The plot is thin, the jokes are old, and I still laughed more than I have all year.",
    "ARRIVED LATE, BOX CRUSHED, BUT THE LAMP ITSELF IS FINE",
)


def evaluate(work: Path, output: Path, config: dict[str, Any]) -> None:
    """Fit the temperature, write `bundle.json` and the calibration plot, and print all figures."""
    (output / BUNDLE).unlink(missing_ok=True)
    reviews = score(work, output, config)
    temperature = fit_temperature(reviews)
    write_bundle(output, temperature, config)
    reviews["confidence"] = confidence(reviews, temperature)
    print(f"temperature {temperature:.4f}\n")
    print_table(by_domain(reviews))
    length = pd.cut(reviews.tokens, [0, *LENGTHS.values()], labels=list(LENGTHS))
    for split in SPLITS:
        print(f"\n{split}, by length")
        print_table(figures(reviews[reviews.split == split], length[reviews.split == split]))
    draw_calibration(reviews, output / "calibration.png")

    classifier = Classifier.load(output, threads=config["threads"])
    contrast = judged(classifier, pd.read_parquet(work / "contrast_validation.parquet"))
    print("\nedited reviews, by kind of edit")
    print_table(contrast.groupby("domain").right.agg(n="size", accuracy="mean"))
    ours = judged(classifier, pd.read_parquet(work / "ours_validation.parquet"))
    print("\nour own reviews, by domain")
    print_table(ours.groupby("domain").right.agg(n="size", accuracy="mean"))
    print(f"all {len(ours)}: {ours.right.mean():.1%}")
    pairs = judged(classifier, read_written(HERE / "minimal_pairs.jsonl"))
    both = pairs.groupby("pair").right.all()
    phenomenon = pairs.groupby("pair").phenomenon.first()
    print(f"\nminimal pairs: {pairs.right.mean():.1%} of the texts, {both.mean():.1%} of the pairs")
    print_table(
        pd.DataFrame(
            {"texts": pairs.groupby("phenomenon").right.mean(), "pairs": both.groupby(phenomenon).mean()}
        )
    )
    print()
    evidence(classifier, pd.read_parquet(work / "validation.parquet"), config)


def score(work: Path, output: Path, config: dict[str, Any]) -> pd.DataFrame:
    """Return some reviews of each domain as `judged` does, with an uncalibrated margin."""
    limit = config["evaluation"]["reviews_per_domain"]
    frames = [pd.read_parquet(work / f"{split}.parquet").assign(split=split) for split in SPLITS]
    reviews = pd.concat(frames).groupby(["split", "domain"]).head(limit).reset_index(drop=True)
    return judged(Classifier.load(output, threads=config["threads"]), reviews)


def judged(classifier: Classifier, reviews: pd.DataFrame) -> pd.DataFrame:
    """Add `margin` (the logit of "positive"), `tokens` and `right`; drop what has no words."""
    verdicts = list(classifier.classify_each(reviews.text, explain=False))
    kept = np.array([isinstance(verdict, Verdict) for verdict in verdicts], dtype=bool)
    positive = np.array([v.scores["positive"] for v in verdicts if isinstance(v, Verdict)])
    tokens = [v.tokens for v in verdicts if isinstance(v, Verdict)]
    margin = np.log(positive) - np.log1p(-positive)
    reviews = reviews[kept].assign(margin=margin, tokens=tokens)
    return reviews.assign(right=(reviews.margin > 0) == (reviews.label == 1))


def fit_temperature(reviews: pd.DataFrame) -> float:
    """Return the temperature whose largest calibration error, as a part of what is allowed, is least.

    There are three kinds of reviews: films, other domains that training saw, and domains that it never
    saw. One number has to serve all: the least cross-entropy would favour those where the model is least
    sure.
    """
    kind = np.where(reviews.domain == IMDB, IMDB, reviews.split)
    groups = [(ALLOWED_FILMS if name == IMDB else ALLOWED, group) for name, group in reviews.groupby(kind)]

    def worst(temperature: float) -> float:
        return max(
            calibration_error(confidence(group, temperature), group.right.to_numpy()) / allowed
            for allowed, group in groups
        )

    return float(min(np.geomspace(0.5, 4, 200), key=worst))


def confidence(reviews: pd.DataFrame, temperature: float) -> np.ndarray:
    """Return the scores of the verdicts, shape (R,), in [0.5, 1]."""
    scores: np.ndarray = 1 / (1 + np.exp(-reviews.margin.abs().to_numpy() / temperature))
    return scores


def write_bundle(output: Path, temperature: float, config: dict[str, Any]) -> None:
    """Write `bundle.json`; the golden reviews' scores are those of the model as the rest leaves it."""
    bundle: dict[str, Any] = {
        "sha256": {name: sha256(output / name) for name in (MODEL, TOKENIZER, CONFIG)},
        "window_tokens": config["windows"]["size"] + 2,
        "temperature": round(temperature, 4),
    }
    path = output / BUNDLE
    path.write_text(json.dumps(bundle), encoding="utf-8")
    verdicts = Classifier.load(output).classify(GOLDEN)
    bundle["golden"] = [
        {"text": text, "label": verdict.label, "score": round(verdict.score, 6)}
        for text, verdict in zip(GOLDEN, verdicts, strict=True)
    ]
    path.write_text(json.dumps(bundle, indent=2) + "\n", encoding="utf-8")


def by_domain(reviews: pd.DataFrame) -> pd.DataFrame:
    """Return the figures of each domain, and their mean for each split."""
    tables = {}
    for split in SPLITS:
        part = reviews[reviews.split == split]
        table = figures(part, part.domain)
        table.loc["(mean)"] = table.mean()
        tables[split] = table
    return pd.concat(tables)


def figures(reviews: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """Return size, accuracy, balanced accuracy and calibration error of each group."""
    rows = {
        name: {
            "n": len(part),
            "accuracy": part.right.mean(),
            "balanced": part.right.groupby(part.label).mean().mean(),
            "ece": calibration_error(part.confidence.to_numpy(), part.right.to_numpy()),
        }
        for name, part in reviews.groupby(group, observed=True)
    }
    return pd.DataFrame(rows).T


def draw_calibration(reviews: pd.DataFrame, path: Path) -> None:
    """Draw how often verdicts of each score are right, for films, other domains and unseen ones."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    kinds = {
        "films": reviews[(reviews.split == "validation") & (reviews.domain == IMDB)],
        "other domains of the training": reviews[(reviews.split == "validation") & (reviews.domain != IMDB)],
        "domains never seen": reviews[reviews.split == "unseen"],
    }
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    axes.plot([0.5, 1], [0.5, 1], color="0.7", linewidth=1, label="perfectly calibrated")
    edges = np.linspace(0.5, 1, 9)
    for (name, part), marker in zip(kinds.items(), "os^", strict=True):
        means = part.groupby(pd.cut(part.confidence, edges), observed=True).agg(
            score=("confidence", "mean"), right=("right", "mean")
        )
        axes.plot(means.score, means.right, marker=marker, label=f"{name} ({len(part):,})")
    axes.set(xlabel="score of the verdict", ylabel="share of right verdicts", ylim=(0.4, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def print_table(table: pd.DataFrame) -> None:
    """Print a table of shares and counts."""
    formats = {"n": "{:,.0f}".format, "ece": "{:.3f}".format}
    print(table.to_string(formatters=formats, float_format="{:.1%}".format))
