"""Where benchmarks write their figures, and what they all record about the machine."""

import argparse
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reviewbox.model.self_check import processor

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "model"

# The figures of a rehearsal are not results, so they go to a folder that git ignores.
FULL, REHEARSAL = ROOT / "docs" / "benchmarks", ROOT / "build" / "benchmarks"

# A subfolder for the figures before a change. If there are any, the page compares them.
BEFORE = "before"

Figures = dict[str, Any]


def is_rehearsal(description: str) -> bool:
    """Parse a benchmark's command line and return whether it has `--quick`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"rehearse in seconds, and write to {REHEARSAL.relative_to(ROOT)}",
    )
    quick: bool = parser.parse_args().quick
    return quick


def output_folder(*, rehearsal: bool) -> Path:
    """Return the folder of figures, plots and their page."""
    return REHEARSAL if rehearsal else FULL


def describe_machine(*packages: str) -> dict[str, str | int]:
    """Return the processor, the number of processors, and the versions of Python and of `packages`."""
    return {
        "processor": processor(),
        "processors": os.cpu_count() or 1,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def write_figures(name: str, figures: Mapping[str, Any], *, rehearsal: bool) -> None:
    """Write a benchmark's figures with four significant digits; more would be noise."""
    path = output_folder(rehearsal=rehearsal) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(figures), indent=2) + "\n", encoding="utf-8")
    report(f"{name}: {path.relative_to(ROOT)}")


def report(progress: str) -> None:
    """Print a progress message immediately."""
    print(progress, flush=True)  # noqa: T201 - the command's output


def read_figures(name: str, folder: Path) -> Figures | None:
    """Return a benchmark's figures, or None if the folder has none."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    figures: Figures = json.loads(path.read_text(encoding="utf-8"))
    return figures


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
