"""Pointers: which copy of a result is the current one. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

# Raised whenever the columns of the catalog change, so that results are copied again.
_FORMAT = 1

# A message is delivered for at most 14 days after it was sent, so a worker that has died is followed by
# another one within that time. Each day adds at most one date.
_MAX_DATES = 15
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Pointer:
    """Names the only copy of a result that should be in the catalog."""

    result: str  # the key of the receipt
    receipt: str | None  # the ETag of the receipt that is copied; None if the receipt no longer exists
    # When the source was uploaded, as YYYY-MM-DD: part of the keys of the copy. "" if there is no receipt.
    date: str
    # All dates that the keys of the result's files may contain, in the order in which they were added.
    dates: tuple[str, ...]
    replaces: str | None  # the ETag of the previous pointer; None for the first. It makes pointers unique
    format: int = _FORMAT  # the version of the columns

    @classmethod
    def decode(cls, body: bytes) -> Self | None:
        """Return the pointer that `body` encodes; None if it is not a valid pointer."""
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not _is_valid(content):
            return None
        values = {field.name: content[field.name] for field in fields(cls)}
        return cls(**{**values, "dates": tuple(values["dates"])})

    def encode(self) -> bytes:
        """Return the pointer as it is stored."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @property
    def copy(self) -> str:
        """The id of the copy that it declares."""
        return hashlib.sha256(self.encode()).hexdigest()[:_ID_LENGTH]

    def declares(self, receipt: str | None) -> bool:
        """Return whether it declares a copy, of this version, of the receipt with this ETag."""
        return self.format == _FORMAT and self.receipt == receipt

    @classmethod
    def declare(
        cls, result: str, receipt: str | None, date: str, before: Self | None, replaces: str | None
    ) -> Self:
        """Return the pointer to a new copy, which replaces the pointer `before`."""
        dates = dict.fromkeys((*(before.dates if before else ()), *([date] if date else ())))
        return cls(result, receipt, date, tuple(dates)[-_MAX_DATES:], replaces)


def _is_valid(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and isinstance(content.get("format"), int)
        and isinstance(content.get("result"), str)
        and all(isinstance(content.get(name, 0), str | None) for name in ("receipt", "replaces"))
        and isinstance(content.get("dates"), list)
        and len(content["dates"]) <= _MAX_DATES
        and all(isinstance(date, str) and _DATE.fullmatch(date) for date in content["dates"])
        and content.get("date") in ("", *content["dates"])
    )
