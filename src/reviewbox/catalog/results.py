"""Where the catalog reads results."""

import re
from dataclasses import dataclass
from io import BufferedReader
from typing import Protocol

from reviewbox.objects import ObjectRef
from reviewbox.results.keys import is_table_key, receipt_key
from reviewbox.results.receipt import Part, Receipt
from reviewbox.results.receipt_store import StoredReceipt, read_receipt
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

# What a receipt has as VersionId in a bucket without versions.
_UPLOAD_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T")
_UNKNOWN_DATE = "1970-01-01"


class Results(Protocol):
    """Where results are read."""

    def receipt(self, key: str) -> StoredReceipt | None:
        """Return the receipt with a key; None if there is none, or it cannot be the receipt of its source."""

    def open(self, key: str, receipt: Receipt, part: Part) -> BufferedReader | None:
        """Open a part of a table; None if it is gone, or cannot be the receipt's."""

    def uploaded(self, key: str, receipt: Receipt) -> str:
        """Return the date on which the source was uploaded, as YYYY-MM-DD in UTC."""


@dataclass(frozen=True, slots=True)
class BucketResults:
    """The results in a bucket."""

    storage: S3Storage  # reads objects
    bucket: str  # the bucket
    settings: Settings  # those of the service that writes the results

    def receipt(self, key: str) -> StoredReceipt | None:
        """Return the receipt with a key."""
        stored = read_receipt(self.storage, ObjectRef(self.bucket, key))
        source = stored.receipt.source if stored else None
        if source is None:
            return None
        is_own_bucket = self.bucket == (self.settings.results_bucket or source.bucket)
        is_own_key = key == receipt_key(self.settings.results_prefix, source.key)
        return stored if is_own_bucket and is_own_key else None

    def open(self, key: str, receipt: Receipt, part: Part) -> BufferedReader | None:  # noqa: ARG002 - as documented
        """Open a part of a table."""
        source = receipt.source
        if not source or not is_table_key(part.key, self.settings.results_prefix, source.key):
            return None
        revision = self.storage.revision(part.ref) if part.bucket == self.bucket else None
        return self.storage.stream(part.ref, revision) if revision else None

    def uploaded(self, key: str, receipt: Receipt) -> str:
        """Return the date on which the source was uploaded; if it is gone, that of the result."""
        source = receipt.content["source"]
        if date := upload_date(receipt):
            return date
        places = (ObjectRef(source["bucket"], source["key"]), ObjectRef(self.bucket, key))
        return next(filter(None, map(self.storage.written_on, places)), _UNKNOWN_DATE)


def upload_date(receipt: Receipt) -> str | None:
    """Return the date of upload that a receipt records; None if the bucket of the source has versions."""
    match = _UPLOAD_TIME.match(str(receipt.content["source"].get("version", "")))
    return match[1] if match else None
