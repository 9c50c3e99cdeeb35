"""The rows of the catalog, which are the same for every kind of result. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BufferedReader
from typing import Any, Self

from reviewbox.documents import ReadOptions
from reviewbox.documents.document import Cells
from reviewbox.results.receipt import Receipt
from reviewbox.results.rows import Lines, read_table, rows_with_reviews


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One review with its verdict, or one error. The catalog has a column for each attribute."""

    source_bucket: str  # the bucket of the file
    source_key: str  # the key of the file
    # The line of the review in the file, as in `reviewbox results`; None if the file failed.
    source_line: int | None = None
    review: str | None = None  # the text of a row of a table; None for a file that is one review
    sentiment: str | None = None  # the verdict; None if there is none
    score: float | None = None  # the probability of the verdict
    # The probability of each label if the file is one review; otherwise empty.
    scores: Mapping[str, float] = field(default_factory=dict)
    needs_review: bool | None = None  # whether someone should look at it
    other_language: bool | None = None  # whether the text is in a language that the model does not know
    evidence: str | None = None  # the evidence sentences as JSON; None unless the file is one review
    note: str | None = None  # what is unusual about the review, such as that it is a title
    error_code: str | None = None  # why there is no verdict
    error_message: str | None = None  # the error in words
    model: str | None = None  # the digest of the model
    fields: Mapping[str, str] = field(default_factory=dict)  # the other cells of a row of a table, as text

    @classmethod
    def begin(cls, receipt: Receipt) -> Self:
        """Return what all rows of a result have in common."""
        source = receipt.content["source"]
        return cls(source["bucket"], source["key"], model=_text(_member(receipt, "model", "sha256")))

    def failed(self, code: str, message: str) -> Self:
        """Return the row of a file, or of a part of it, that has no result."""
        return replace(self, error_code=code, error_message=message)


def row_of_receipt(receipt: Receipt) -> CatalogRow:
    """Return the row of a file that is one review, or that failed as a whole.

    Somebody else may have written the receipt, so each value may be anything.
    """
    row, content = CatalogRow.begin(receipt), receipt.content
    if "error" in content:
        return row.failed(content["error"]["code"], content["error"]["message"])
    scores, evidence = content.get("scores"), content.get("evidence")
    return replace(
        row,
        source_line=1,
        sentiment=_text(content.get("sentiment")),
        score=_probability(content.get("score")),
        scores={
            name: share
            for name, value in _mapping(scores).items()
            if (share := _probability(value)) is not None
        },
        needs_review=_flag(content.get("needs_review")),
        other_language=_flag(content.get("other_language")),
        evidence=json.dumps(evidence) if evidence else None,
    )


def rows_of_part(
    stored: BufferedReader | None, name: str, options: ReadOptions, receipt: Receipt, lines: Lines
) -> Iterator[CatalogRow]:
    """Yield the rows of one part of a classified table. If it cannot be read, the last row is an error."""
    row = CatalogRow.begin(receipt)
    text_field = _text(_member(receipt, "notes", "text_field")) or ""

    def read(table: Iterator[Cells]) -> Iterator[CatalogRow]:
        for found in rows_with_reviews(table, text_field, lines):
            yield replace(
                row,
                source_line=found.line,
                review=found.review or None,
                **found.outcome,
                note=found.own.get("note") or None,
                fields=found.cells,
            )

    yield from read_table(stored, name, options, read, row.failed)
    lines.end_part()


def _member(receipt: Receipt, name: str, member: str) -> Any:
    return _mapping(receipt.content.get(name)).get(member)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _probability(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
