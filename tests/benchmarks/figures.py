"""Where benchmarks leave their figures, and what is recorded with all of them."""

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reviewbox.model.classifier import processor

ROOT = Path(__file__).parents[2]

# Rehearsals are no results: they go where git does not look.
FULL, REHEARSAL = ROOT / "docs" / "benchmarks", ROOT / "build" / "benchmarks"

# A folder beside them, of the figures from before a change: copy them there, and the page compares.
BEFORE = "before"

Figures = dict[str, Any]


def quick(description: str, arguments: Sequence[str] | None = None) -> bool:
    """Read the command line of a benchmark: return whether only a rehearsal is asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--quick", action="store_true", help=f"a rehearsal of seconds, into {REHEARSAL.relative_to(ROOT)}"
    )
    asked: bool = parser.parse_args(arguments).quick
    return asked


def folder(*, rehearsal: bool) -> Path:
    """Return where figures, plots and their page go."""
    return REHEARSAL if rehearsal else FULL


def machine(*packages: str) -> dict[str, str | int]:
    """Return what a reader needs to know of this machine, and the versions of what was measured."""
    return {
        "processor": processor(),
        "processors": os.cpu_count() or 1,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def write(name: str, figures: Mapping[str, Any], *, rehearsal: bool) -> None:
    """Write a benchmark's figures, to four significant digits: no run repeats more."""
    path = folder(rehearsal=rehearsal) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(figures), indent=2) + "\n", encoding="utf-8")
    say(f"{name}: {path.relative_to(ROOT)}")


def say(what: str) -> None:
    """Tell whoever waits how far it is."""
    print(what, flush=True)  # noqa: T201 - a command's answer


def read(name: str, where: Path) -> Figures | None:
    """Return a benchmark's figures, or None if it has not been run."""
    path = where / f"{name}.json"
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
