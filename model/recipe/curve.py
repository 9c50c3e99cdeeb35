"""Plot a training curve: the loss, and below it the validation figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np

# The meaning of a name's first character, from `training.SPLIT_PREFIXES`.
DESCRIPTIONS = {"": "seen domains", "*": "held-out domains", "~": "edited reviews", "+": "our own reviews"}


def draw_curve(curve: Path) -> None:
    """Plot a `<stage>.jsonl` that `training.fit` wrote, as `<stage>.png` in the same folder."""
    from matplotlib.figure import Figure

    losses: dict[int, float] = {}
    validations: dict[int, dict[str, float]] = {}
    for line in curve.read_text(encoding="utf-8").splitlines():
        point: dict[str, Any] = json.loads(line)
        # A resumed run repeats the steps after its last checkpoint; the later point counts.
        if "loss" in point:
            losses[point["step"]] = point["loss"]
        else:
            validations[point["step"]] = point["validation"]

    figure = Figure(figsize=(8, 7), layout="constrained")
    loss_axes, validation_axes = figure.subplots(2, sharex=True)
    loss_axes.plot(*zip(*sorted(losses.items()), strict=True), color="black")
    loss_axes.set(title=curve.stem, ylabel="training loss, running mean")
    for name, means in average_by_kind(validations).items():
        validation_axes.plot(list(means), list(means.values()), marker="o", label=name)
    is_loss = any("loss" in figures for figures in validations.values())
    validation_axes.set(xlabel="step", ylabel="loss" if is_loss else "balanced accuracy, %")
    validation_axes.legend()
    for axes in (loss_axes, validation_axes):
        axes.grid(alpha=0.3)
    figure.savefig(curve.with_suffix(".png"), dpi=90)


def average_by_kind(validations: dict[int, dict[str, float]]) -> dict[str, dict[int, float]]:
    """Return the mean figure at each step, by the description of its kind."""
    curves: dict[str, dict[int, float]] = {}
    for step, figures in sorted(validations.items()):
        values_by_kind: dict[str, list[float]] = {}
        for name, value in figures.items():
            values_by_kind.setdefault(name[0] if name[0] in DESCRIPTIONS else "", []).append(value)
        for kind, values in values_by_kind.items():
            name = "held-out texts" if "loss" in figures else f"{DESCRIPTIONS[kind]}, mean of {len(values)}"
            curves.setdefault(name, {})[step] = float(np.mean(values))
    return curves
