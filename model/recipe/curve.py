"""A training curve as a picture: the loss, and below it the validation figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np

# What a name's first character says of its figure; see `training.MARKS`.
KINDS = {"": "seen domains", "*": "domains never seen", "~": "edited reviews", "+": "our own reviews"}


def draw(curve: Path) -> None:
    """Draw a `<stage>.jsonl` that `training.fit` wrote, as `<stage>.png` beside it."""
    from matplotlib.figure import Figure

    losses: dict[int, float] = {}
    validations: dict[int, dict[str, float]] = {}
    for line in curve.read_text(encoding="utf-8").splitlines():
        point: dict[str, Any] = json.loads(line)
        # Steps that an interrupted run took again are noted twice; the later ones count.
        if "loss" in point:
            losses[point["step"]] = point["loss"]
        else:
            validations[point["step"]] = point["validation"]

    figure = Figure(figsize=(8, 7), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    above.plot(*zip(*sorted(losses.items()), strict=True), color="black")
    above.set(title=curve.stem, ylabel="running mean of the training loss")
    for name, means in mean_figures(validations).items():
        below.plot(list(means), list(means.values()), marker="o", label=name)
    is_loss = any("loss" in figures for figures in validations.values())
    below.set(xlabel="step", ylabel="loss" if is_loss else "balanced accuracy, %")
    below.legend()
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(curve.with_suffix(".png"), dpi=90)


def mean_figures(validations: dict[int, dict[str, float]]) -> dict[str, dict[int, float]]:
    """Return the mean of each kind of figure at each step, by the kind's description."""
    found: dict[str, dict[int, float]] = {}
    for step, figures in sorted(validations.items()):
        kinds: dict[str, list[float]] = {}
        for name, value in figures.items():
            kinds.setdefault(name[0] if name[0] in KINDS else "", []).append(value)
        for kind, values in kinds.items():
            name = "held-back texts" if "loss" in figures else f"{KINDS[kind]}, mean of {len(values)}"
            found.setdefault(name, {})[step] = float(np.mean(values))
    return found
