"""Keys of the catalog. Pure.

catalog/results/uploaded=2026-11-30/<result>-<copy>-00000-<lines>.parquet   the rows of one part of a result
catalog/results/_copies/<result>.json                                      the pointer to the current copy

<result> is a digest of the receipt's key, and <copy> the digest of the pointer that declares the copy.
<lines> is the number of lines of the source up to the end of the part, so that a copy can be continued there.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

_RESULT_LENGTH = 32
_FILE = re.compile(r"[0-9a-f]{32}-([0-9a-f]{16})-(\d{5,})-(\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """What the key of a file says about it."""

    copy: str  # the id of the copy
    index: int  # the number of the part of the result, from 0
    lines: int  # the number of lines of the source up to the end of the part; 0 if it has no rows

    @classmethod
    def of(cls, key: str) -> Self | None:
        """Return what the key of a file says about it; None if it is not the key of a file of the catalog."""
        match = _FILE.fullmatch(key.rpartition("/")[2])
        return cls(match[1], int(match[2]), int(match[3])) if match else None


def file_key(prefix: str, date: str, receipt_key: str, part: CopiedPart) -> str:
    """Return the key of the file with the rows of a part."""
    name = f"{part.copy}-{part.index:05}-{part.lines}.parquet"
    return f"{files_prefix(prefix, date, receipt_key)}{name}"


def files_prefix(prefix: str, date: str, receipt_key: str) -> str:
    """Return the common prefix of the keys of all files of a result that was uploaded on a date."""
    return f"{prefix}uploaded={date}/{_digest(receipt_key)}-"


def pointer_key(prefix: str, receipt_key: str) -> str:
    """Return the key of the pointer of a result."""
    return f"{pointers_prefix(prefix)}{_digest(receipt_key)}.json"


def pointers_prefix(prefix: str) -> str:
    """Return the common prefix of the keys of all pointers."""
    return f"{prefix}_copies/"


def _digest(receipt_key: str) -> str:
    return hashlib.sha256(receipt_key.encode()).hexdigest()[:_RESULT_LENGTH]
