"""The catalog: a copy of all results as Parquet, for queries (docs/adr/0016-catalog.md)."""

from reviewbox.catalog.catalog import Catalog, CopyOutcome
from reviewbox.catalog.results import BucketResults, Results, upload_date

__all__ = ["BucketResults", "Catalog", "CopyOutcome", "Results", "upload_date"]
