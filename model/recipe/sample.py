"""Stage 0, sample, of a rehearsal: copy a small random part of every data file."""

from pathlib import Path

import pandas as pd

_SHARE = 0.03


def sample(data: Path, output: Path) -> None:
    """Write a sample of each Parquet file in `data` and its subfolders to the same path in `output`."""
    for file in sorted(data.rglob("*.parquet")):
        target = output / file.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        rows = pd.read_parquet(file)
        rows.sample(frac=_SHARE, random_state=0).to_parquet(target)
        print(f"{file.name}: {round(len(rows) * _SHARE):,} of {len(rows):,} texts", flush=True)
