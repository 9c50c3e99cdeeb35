"""Stage 7, evaluate: print the model card's figures.

All verdicts come from `reviewbox` itself, so that the figures describe the classifier that users run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recipe.contrast import read_own_texts
from recipe.evidence import evaluate_evidence
from recipe.graph import LABELS
from recipe.reviews import HELD_OUT_SPLITS, IMDB, read_splits
from reviewbox.cli.evaluate import calibration_error
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.settings import NEEDS_REVIEW_BELOW

HERE = Path(__file__).parent
LENGTHS = {"up to 16 tokens": 16, "17 to 64": 64, "65 to 128": 128, "129 to 512": 512, "more": 10**9}


def evaluate(work: Path, output: Path, config: dict[str, Any]) -> None:
    """Print all figures of the model in `output`, and write the calibration plot there."""
    threads, limit = config["threads"], config["evaluation"]["reviews_per_domain"]
    classifier = Classifier.load(output, threads=threads)

    reviews = read_splits(work).groupby(["split", "domain"]).head(limit).reset_index(drop=True)
    four = add_verdicts(classifier, reviews[reviews.label >= 0])
    labeled = two_sided(four)
    print("two answers, by domain")
    print_table(figures_by_domain(labeled))
    length = pd.cut(labeled.tokens, [0, *LENGTHS.values()], labels=list(LENGTHS))
    for split in HELD_OUT_SPLITS:
        print(f"\ntwo answers, {split}, by length")
        print_table(figures(labeled[labeled.split == split], length[labeled.split == split]))
    draw_calibration(labeled, output / "calibration.png")

    contrast = two_sided(add_verdicts(classifier, pd.read_parquet(work / "contrast_validation.parquet")))
    print("\nedited reviews, by kind of edit")
    print_table(contrast.groupby("domain").correct.agg(n="size", accuracy="mean"))
    ours = two_sided(add_verdicts(classifier, pd.read_parquet(work / "ours_validation.parquet")))
    print(f"\nour own reviews: {ours.correct.mean():.1%} of {len(ours)}")
    pairs = two_sided(add_verdicts(classifier, read_own_texts(HERE / "minimal_pairs.jsonl")))
    both = pairs.groupby("pair").correct.all()
    phenomenon = pairs.groupby("pair").phenomenon.first()
    print(f"minimal pairs: {pairs.correct.mean():.1%} of the texts, {both.mean():.1%} of the pairs")
    print_table(
        pd.DataFrame(
            {"texts": pairs.groupby("phenomenon").correct.mean(), "pairs": both.groupby(phenomenon).mean()}
        )
    )

    short = pd.read_parquet(work / "short_validation.parquet")
    short_four = add_verdicts(classifier, short)
    short_two = two_sided(short_four)
    print(f"\nshort texts: {short_two.correct.mean():.1%} of {len(short)} with two answers, "
          f"{short_four.correct.mean():.1%} with four")  # fmt: skip
    print_table(
        pd.DataFrame(
            {
                "two": short_two.groupby("kind").correct.mean(),
                "four": short_four.groupby("kind").correct.mean(),
            }
        )
    )
    mixed = add_verdicts(classifier, pd.read_parquet(work / "four_validation.parquet"))
    print(f"\nfour answers: {mixed.correct.mean():.1%} of {len(mixed)}; calibration error "
          f"{calibration_error(mixed.confidence.to_numpy(), mixed.correct.to_numpy()):.3f}")  # fmt: skip
    print(pd.crosstab(mixed.answer, mixed.verdict).reindex(columns=LABELS, fill_value=0).to_string())

    print("\nfour answers to labeled reviews, by stars")
    shares = pd.crosstab(four.stars.round().fillna("none"), four.verdict, normalize="index")
    print_table(shares.reindex(columns=LABELS, fill_value=0.0))
    print("\nwhat is not marked `needs_review`")
    marked = NEEDS_REVIEW_BELOW[4]
    unmarked = {
        "reviews, two answers": _unmarked_figures(labeled, 2),
        "reviews, four answers": _unmarked_figures(four, 4),
        "short, two answers": _unmarked_figures(short_two, 2),
        "four answers": _unmarked_figures(mixed, 4),
    }
    print_table(pd.DataFrame(unmarked).T)

    foreign = add_verdicts(classifier, pd.read_parquet(work / "foreign_validation.parquet"))
    print("\nother languages: share that is marked, and share that is not marked `needs_review`")
    is_other = foreign.known_language < 0.5  # noqa: PLR2004
    is_trusted = (foreign.confidence >= marked) & ~is_other
    print_table(pd.DataFrame({"marked": is_other, "trusted": is_trusted}).groupby(foreign.domain).mean())
    for name, texts in {"reviews": four, "short texts": pd.concat([short_four, mixed])}.items():
        print(f"marked of English {name}: {(texts.known_language < 0.5).mean():.2%}")  # noqa: PLR2004
    print()
    evaluate_evidence(classifier.two_sided(), pd.read_parquet(work / "validation.parquet"), config)


def add_verdicts(classifier: Classifier, texts: pd.DataFrame) -> pd.DataFrame:
    """Add the columns verdict, confidence, positive, tokens, known_language and correct.

    Texts without words are dropped. `positive` is the share of "positive" in the scores of both sides.

    A verdict is correct if it is the text's `answer`, or for reviews without one, its label.
    """
    results = list(classifier.classify_each(texts.text, explain=False))
    verdicts = [result for result in results if isinstance(result, Verdict)]
    has_verdict = np.array([isinstance(result, Verdict) for result in results], dtype=bool)
    texts = texts[has_verdict].assign(
        verdict=[verdict.label for verdict in verdicts],
        confidence=[verdict.score for verdict in verdicts],
        positive=[_positive_share(verdict.scores) for verdict in verdicts],
        tokens=[verdict.tokens for verdict in verdicts],
        known_language=[verdict.known_language for verdict in verdicts],
    )
    expected = texts.label.map({1: "positive", 0: "negative"})
    if "answer" in texts:
        expected = texts.answer.fillna(expected)
    return texts.assign(expected=expected, correct=texts.verdict == expected)


def two_sided(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts with `Labels=2`: leaving out labels does not change the ratio of the others."""
    verdict = np.where(verdicts.positive > 0.5, "positive", "negative")  # noqa: PLR2004
    confidence = np.maximum(verdicts.positive, 1 - verdicts.positive)
    return verdicts.assign(verdict=verdict, confidence=confidence, correct=verdict == verdicts.expected)


def _positive_share(scores: Mapping[str, float]) -> float:
    return scores["positive"] / (scores["positive"] + scores["negative"])


def _unmarked_figures(verdicts: pd.DataFrame, labels: int) -> dict[str, float]:
    is_unmarked = verdicts.confidence >= NEEDS_REVIEW_BELOW[labels]
    return {
        "share": is_unmarked.mean(),
        "correct": verdicts.correct[is_unmarked].mean(),
        "one-sided and wrong": _contradicts(verdicts)[is_unmarked].mean(),
    }


def _contradicts(verdicts: pd.DataFrame) -> pd.Series:
    """Return whether a verdict names one side and the text means the other."""
    sides = ["positive", "negative"]
    return verdicts.verdict.isin(sides) & verdicts.expected.isin(sides) & ~verdicts.correct


def figures_by_domain(reviews: pd.DataFrame) -> pd.DataFrame:
    """Return the figures of each domain, and their mean for each split."""
    tables = {}
    for split in HELD_OUT_SPLITS:
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
