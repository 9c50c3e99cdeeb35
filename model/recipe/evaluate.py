"""Stage 6, evaluate: calibrate the exported model, write `bundle.json` and print the model card's figures.

All scores come from `reviewbox` itself, so that the figures describe the classifier that users run.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recipe.contrast import read_own_texts
from recipe.evidence import evaluate_evidence
from recipe.reviews import IMDB
from reviewbox.cli.evaluate import calibration_error
from reviewbox.model.bundle import BUNDLE, CONFIG, MODEL, TOKENIZER, sha256
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

HERE = Path(__file__).parent
SPLITS = ("validation", "unseen")
LENGTHS = {"up to 16 tokens": 16, "17 to 64": 64, "65 to 128": 128, "129 to 512": 512, "more": 10**9}

# The accepted calibration error on films, the largest training set, and on other reviews.
ACCEPTED_ERROR_FILMS, ACCEPTED_ERROR = 0.02, 0.05

# The reviews that every cold start classifies to check the model: short and long, clear and ambiguous.
GOLDEN = (
    "Lovely little place, we will be back.",
    "Stopped working after a week and nobody answers my mails.",
    "The plot is thin, the jokes are old, and I still laughed more than I have all year.",
    "ARRIVED LATE, BOX CRUSHED, BUT THE LAMP ITSELF IS FINE",
)


def evaluate(work: Path, output: Path, config: dict[str, Any]) -> None:
    """Fit the temperature, write `bundle.json` and the calibration plot, and print all figures."""
    (output / BUNDLE).unlink(missing_ok=True)
    reviews = classify_splits(work, output, config)
    temperature = fit_temperature(reviews)
    write_bundle(output, temperature, config)
    reviews["confidence"] = confidence(reviews, temperature)
    print(f"temperature {temperature:.4f}\n")
    print_table(figures_by_domain(reviews))
    length = pd.cut(reviews.tokens, [0, *LENGTHS.values()], labels=list(LENGTHS))
    for split in SPLITS:
        print(f"\n{split}, by length")
        print_table(figures(reviews[reviews.split == split], length[reviews.split == split]))
    draw_calibration(reviews, output / "calibration.png")

    classifier = Classifier.load(output, threads=config["threads"])
    contrast = add_verdicts(classifier, pd.read_parquet(work / "contrast_validation.parquet"))
    print("\nedited reviews, by kind of edit")
    print_table(contrast.groupby("domain").correct.agg(n="size", accuracy="mean"))
    ours = add_verdicts(classifier, pd.read_parquet(work / "ours_validation.parquet"))
    print("\nour own reviews, by domain")
    print_table(ours.groupby("domain").correct.agg(n="size", accuracy="mean"))
    print(f"all {len(ours)}: {ours.correct.mean():.1%}")
    pairs = add_verdicts(classifier, read_own_texts(HERE / "minimal_pairs.jsonl"))
    both = pairs.groupby("pair").correct.all()
    phenomenon = pairs.groupby("pair").phenomenon.first()
    print(f"\nminimal pairs: {pairs.correct.mean():.1%} of the texts, {both.mean():.1%} of the pairs")
    print_table(
        pd.DataFrame(
            {"texts": pairs.groupby("phenomenon").correct.mean(), "pairs": both.groupby(phenomenon).mean()}
        )
    )
    print()
    evaluate_evidence(classifier, pd.read_parquet(work / "validation.parquet"), config)


def classify_splits(work: Path, output: Path, config: dict[str, Any]) -> pd.DataFrame:
    """Return up to `reviews_per_domain` reviews of each domain, with uncalibrated verdicts."""
    limit = config["evaluation"]["reviews_per_domain"]
    frames = [pd.read_parquet(work / f"{split}.parquet").assign(split=split) for split in SPLITS]
    reviews = pd.concat(frames).groupby(["split", "domain"]).head(limit).reset_index(drop=True)
    return add_verdicts(Classifier.load(output, threads=config["threads"]), reviews)


def add_verdicts(classifier: Classifier, reviews: pd.DataFrame) -> pd.DataFrame:
    """Add the columns margin (the logit of "positive"), tokens and correct; drop texts without words."""
    results = list(classifier.classify_each(reviews.text, explain=False))
    verdicts = [result for result in results if isinstance(result, Verdict)]
    has_verdict = np.array([isinstance(result, Verdict) for result in results], dtype=bool)
    positive = np.array([verdict.scores["positive"] for verdict in verdicts])
    reviews = reviews[has_verdict].assign(
        margin=np.log(positive) - np.log1p(-positive), tokens=[verdict.tokens for verdict in verdicts]
    )
    return reviews.assign(correct=(reviews.margin > 0) == (reviews.label == 1))


def fit_temperature(reviews: pd.DataFrame) -> float:
    """Return the temperature that minimizes the largest ratio of calibration error to accepted error.

    The ratio is taken for each of three groups: films, other seen domains, and held-out domains. Minimizing
    the overall cross-entropy would favor the groups in which the model is least confident.
    """
    groups = [
        (ACCEPTED_ERROR_FILMS if name == IMDB else ACCEPTED_ERROR, group)
        for name, group in reviews.groupby(np.where(reviews.domain == IMDB, IMDB, reviews.split))
    ]

    def largest_ratio(temperature: float) -> float:
        return max(
            calibration_error(confidence(group, temperature), group.correct.to_numpy()) / accepted
            for accepted, group in groups
        )

    return float(min(np.geomspace(0.5, 4, 200), key=largest_ratio))


def confidence(reviews: pd.DataFrame, temperature: float) -> np.ndarray:
    """Return the calibrated probability of each predicted label, shape (R,), in [0.5, 1]."""
    scores: np.ndarray = 1 / (1 + np.exp(-reviews.margin.abs().to_numpy() / temperature))
    return scores


def write_bundle(output: Path, temperature: float, config: dict[str, Any]) -> None:
    """Write `bundle.json`: first without the golden reviews, then with the scores that it gives them."""
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


def figures_by_domain(reviews: pd.DataFrame) -> pd.DataFrame:
    """Return the figures of each domain, and their mean for each split."""
    tables = {}
    for split in SPLITS:
        split_reviews = reviews[reviews.split == split]
        table = figures(split_reviews, split_reviews.domain)
        table.loc["(mean)"] = table.mean()
        tables[split] = table
    return pd.concat(tables)


def figures(reviews: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Return size, accuracy, balanced accuracy and calibration error of each group."""
    rows = {
        name: {
            "n": len(group),
            "accuracy": group.correct.mean(),
            "balanced": group.correct.groupby(group.label).mean().mean(),
            "ece": calibration_error(group.confidence.to_numpy(), group.correct.to_numpy()),
        }
        for name, group in reviews.groupby(groups, observed=True)
    }
    return pd.DataFrame(rows).T


def draw_calibration(reviews: pd.DataFrame, path: Path) -> None:
    """Plot accuracy against confidence for films, other seen domains and held-out domains."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    groups = {
        "films": reviews[(reviews.split == "validation") & (reviews.domain == IMDB)],
        "other seen domains": reviews[(reviews.split == "validation") & (reviews.domain != IMDB)],
        "held-out domains": reviews[reviews.split == "unseen"],
    }
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    axes.plot([0.5, 1], [0.5, 1], color="0.7", linewidth=1, label="perfect calibration")
    edges = np.linspace(0.5, 1, 9)
    for (name, group), marker in zip(groups.items(), "os^", strict=True):
        means = group.groupby(pd.cut(group.confidence, edges), observed=True).agg(
            score=("confidence", "mean"), accuracy=("correct", "mean")
        )
        axes.plot(means.score, means.accuracy, marker=marker, label=f"{name} ({len(group):,})")
    axes.set(xlabel="score", ylabel="accuracy", ylim=(0.4, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def print_table(table: pd.DataFrame) -> None:
    """Print a table of shares and counts."""
    formats = {"n": "{:,.0f}".format, "ece": "{:.3f}".format}
    print(table.to_string(formatters=formats, float_format="{:.1%}".format))
