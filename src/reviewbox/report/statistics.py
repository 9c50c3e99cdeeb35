"""The uncertainty of shares, and how strongly a column and the verdicts depend on each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

_Z = 1.959964  # the quantile of the normal distribution for 95%


@dataclass(frozen=True, slots=True)
class Interval:
    """The limits of a share, both between 0 and 1."""

    low: float
    high: float


def wilson_interval(count: int, total: int) -> Interval:
    """Return the 95% score interval of the share `count / total` (Wilson 1927)."""
    if not total:
        return Interval(0.0, 1.0)
    share = count / total
    center = share + _Z * _Z / (2 * total)
    margin = _Z * sqrt(share * (1 - share) / total + _Z * _Z / (4 * total * total))
    scale = 1 + _Z * _Z / total
    return Interval(max(0.0, (center - margin) / scale), min(1.0, (center + margin) / scale))


def association(table: Sequence[Sequence[int]]) -> float:
    """Return Cramér's V of a table of counts, corrected for bias (Bergsma 2013): 0 for none, 1 for all."""
    columns = [sum(column) for column in zip(*table, strict=True)]
    rows = [sum(row) for row in table]
    total = sum(rows)
    row_count, column_count = sum(map(bool, rows)), sum(map(bool, columns))
    if total < 2 or row_count < 2 or column_count < 2:  # noqa: PLR2004 - nothing to compare
        return 0.0
    chi_squared = sum(
        (count - expected) ** 2 / expected
        for row, row_total in zip(table, rows, strict=True)
        for count, column_total in zip(row, columns, strict=True)
        if (expected := row_total * column_total / total)
    )
    freedom = (row_count - 1) * (column_count - 1)
    phi = max(0.0, chi_squared / total - freedom / (total - 1))
    corrected_rows = row_count - (row_count - 1) ** 2 / (total - 1)
    corrected_columns = column_count - (column_count - 1) ** 2 / (total - 1)
    smaller = min(corrected_rows, corrected_columns) - 1
    return sqrt(phi / smaller) if smaller > 0 else 0.0
