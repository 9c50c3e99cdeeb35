"""Copies stored results into a catalog, from and to a folder or S3."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from io import BufferedReader
from itertools import islice
from pathlib import Path

from reviewbox.catalog import BucketResults, Catalog, CopyOutcome, Results, upload_date
from reviewbox.deadline import Deadline
from reviewbox.errors import ReviewboxError, contain
from reviewbox.folder_storage import FolderStorage
from reviewbox.objects import ObjectRef
from reviewbox.results.receipt import Part, Receipt
from reviewbox.results.receipt_store import StoredReceipt
from reviewbox.settings import Settings
from reviewbox.stack import aws
from reviewbox.stack.listing import is_receipt, is_uri, parse_uri
from reviewbox.stack.stored_results import FolderPlace, Place, S3Place, find_place
from reviewbox.storage import ObjectStore, S3Storage

_CHUNK = 256  # results that are copied before more are started
_FOLDER = "catalog"  # the name that a folder has as a bucket
_LAST_SECOND = 253_402_300_799  # the end of the year 9999, the last one that `datetime` supports


@dataclass(frozen=True, slots=True)
class FolderResults:
    """The results in a folder."""

    place: FolderPlace

    def receipt(self, key: str) -> StoredReceipt | None:
        """Return the receipt in a file."""
        body = self.place.read(key) or b""
        receipt = Receipt.decode(body)
        return StoredReceipt(receipt, hashlib.sha256(body).hexdigest()) if receipt.content else None

    def open(self, key: str, receipt: Receipt, part: Part) -> BufferedReader | None:
        """Open a part of a table."""
        file = self.place.part_key(key, receipt, part)
        return self.place.open(file) if file else None

    def uploaded(self, key: str, receipt: Receipt) -> str:
        """Return the date of upload of a source in S3; otherwise, the date of the result."""
        if date := upload_date(receipt):
            return date
        return date_of((self.place.root / key).stat().st_mtime)


@dataclass(frozen=True, slots=True)
class Copying:
    """Copies all results of a place; call `copy` with what `list_receipts` and `list_gone` yield."""

    place: Place  # where the results are
    catalog: Catalog  # where their copies are
    threads: int  # how many results are copied at the same time

    @classmethod
    def between(cls, path: str, target: str, settings: Settings) -> "Copying":
        """Prepare to copy the results from a folder or an S3 URI to another.

        Raises:
            ReviewboxError: `path` does not exist or is not a folder, or `path` and `target` overlap.
        """
        place = find_place(path)
        results: Results
        if isinstance(place, S3Place):
            bucket, prefix = place.prefix.bucket, _folder(path).key
            results = BucketResults(
                place.storage, bucket, replace(settings, results_bucket=bucket, results_prefix=prefix)
            )
        elif isinstance(place, FolderPlace) and not place.file:
            results = FolderResults(place)
        else:
            raise ReviewboxError(f"{path}: not a folder; pass the folder of all results")
        store: ObjectStore
        if is_uri(target):
            store, to = S3Storage(aws.connect("s3")), _folder(target)
        else:
            store, to = FolderStorage({_FOLDER: Path(target)}), ObjectRef(_FOLDER, "")
        if _contains(path, target):
            raise ReviewboxError(f"{target}: the catalog would be among the results; choose another place")
        # Files of a folder are written one at a time.
        return cls(place, Catalog(results, store, to, settings), aws.MAX_CONNECTIONS if is_uri(target) else 1)

    def list_receipts(self) -> Iterator[str]:
        """Yield the keys of all receipts."""
        return filter(is_receipt, self.place.list_keys())

    def list_gone(self, receipts: Sequence[str]) -> Iterator[str]:
        """Yield the keys of the receipts that have copies, but are not among these, which are all."""
        return self.catalog.copied_besides(receipts)

    def copy(
        self, receipts: Iterable[str], on_advance: Callable[[float], object]
    ) -> Iterator[CopyOutcome | Exception]:
        """Bring the copies of results up to date, and remove those of results that are gone.

        `on_advance` is called with each share of a receipt's result that is done. The shares of a result add
        up to 1. Several threads may call it.
        """
        update, remaining = partial(self._update, on_advance), iter(receipts)
        with ThreadPoolExecutor(self.threads) as pool:
            while chunk := list(islice(remaining, _CHUNK)):
                yield from pool.map(update, chunk)

    def _update(self, on_advance: Callable[[float], object], key: str) -> CopyOutcome | Exception:
        done = 0.0

        def advance(share: float) -> None:
            nonlocal done
            done += share
            on_advance(share)

        try:
            return replace(self.catalog, on_advance=advance).update(key, Deadline(lambda: math.inf))
        except BaseException as error:  # noqa: BLE001 - one result's failure must not affect another
            return contain(error)
        finally:
            on_advance(1 - done)


def date_of(seconds: float) -> str:
    """Return the date of a time in seconds since 1970, as YYYY-MM-DD in UTC.

    A file may have any time. A time before 1970 becomes 1970-01-01, and one after the year 9999 becomes
    9999-12-31.
    """
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC).date().isoformat()


def _folder(uri: str) -> ObjectRef:
    """Return the bucket and the prefix of an S3 URI.

    Raises:
        ReviewboxError: it does not end with a slash.
    """
    if not uri.endswith("/"):
        raise ReviewboxError(f"{uri}: a prefix ends with a slash")
    return parse_uri(uri)


def _contains(path: str, target: str) -> bool:
    if is_uri(path) and is_uri(target):
        return target.startswith(path) or path.startswith(target)
    if is_uri(path) or is_uri(target):
        return False
    outer, inner = Path(path).resolve(), Path(target).resolve()
    return inner.is_relative_to(outer) or outer.is_relative_to(inner)
