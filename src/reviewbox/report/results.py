"""What a report is made from: one value per review, whatever kind of result it comes from."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reviewbox.documents.document import Cells
from reviewbox.model.verdicts import Evidence
from reviewbox.results.receipt import Receipt
from reviewbox.results.rows import Lines, rows_with_reviews

_PLACE = re.compile(r"(?:line|row) ([\d,]+): ")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a review, and what it says by itself."""

    start: int  # the offset of its first character in the review
    end: int  # the offset after its last character
    label: str  # the most probable label of the sentence alone
    score: float = 0.0  # the probability of that label; 0 if it is not known
    is_evidence: bool = False  # whether the result names the sentence as evidence for its verdict


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a row, or a whole file, has no verdict."""

    source: str  # the file
    line: int  # the number of the line or row; 0 if the whole file failed
    code: str  # the error code
    message: str  # the reason; never contains review text


@dataclass(frozen=True, slots=True)
class Result:
    """One review with its verdict, or one failure.

    Attributes:
        source: the file that holds the review.
        group: what the file is counted under: the file itself, or the folder of single reviews.
        line: its line in the file, counted as `reviewbox results` does; 0 for a file that is one review.
        label: the verdict; "" if there is none.
        score: the probability of the label.
        needs_review: whether someone should look at it.
        other_language: whether the text is in a language that the model does not know.
        text: the review; None if it has to be read from the source, "" if it is not available.
        cells: the other columns of its row, by name.
        evidence: the sentences that the result names.
        failure: why there is no verdict.
        receipt: the key of the receipt of a single review, which leads to its text; "" for a row.
    """

    source: str
    group: str
    line: int = 0
    label: str = ""
    score: float = 0.0
    needs_review: bool = False
    other_language: bool = False
    text: str | None = ""
    cells: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    failure: Failure | None = None
    receipt: str = ""


def result_of_receipt(receipt: Receipt, source: str) -> Result:
    """Return the result of a source that is a single review, or that failed as a whole.

    Raises:
        ValueError, TypeError, KeyError: the receipt was not written by Reviewbox.
    """
    content = receipt.content
    folder = source.rpartition("/")[0]
    group = f"{folder}/" if folder else "single files"
    if "error" in content:
        error = content["error"]
        return Result(source, group, failure=Failure(source, 0, error["code"], error["message"]))
    label, score = content["sentiment"], content["score"]
    flags = [content.get(name) for name in ("needs_review", "other_language")]
    if not isinstance(label, str) or not all(isinstance(flag, bool | None) for flag in flags):
        raise TypeError("the verdict is not a text, or a flag is not a boolean")
    if isinstance(score, bool) or not 0 <= score <= 1:
        raise ValueError("the score is not a probability")
    return Result(
        source,
        group,
        label=label,
        score=float(score),
        needs_review=flags[0] is True,
        other_language=flags[1] is True,
        text=None,
        evidence=tuple(_evidence(content.get("evidence", []))),
    )


def _evidence(entries: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:
    for entry in entries:
        yield Evidence(int(entry["start"]), int(entry["end"]), str(entry["label"]), float(entry["support"]))


def results_of_table(table: Iterator[Cells], source: str, text_field: str, lines: Lines) -> Iterator[Result]:
    """Yield the result of each row of a classified table, or of one of its parts.

    Args:
        table: the rows.
        source: the file that was classified.
        text_field: the column of the review, as the receipt names it; "" to infer it.
        lines: returns the line of each row in that file.

    Raises:
        SourceError: a row cannot be read, or the table has no verdicts.
    """
    for row in rows_with_reviews(table, text_field, lines):
        outcome = row.outcome
        result = Result(source, source, row.line)
        if code := outcome["error_code"]:
            message = outcome["error_message"] or ""
            place = _PLACE.match(message)
            exact = int(place[1].replace(",", "")) if place else row.line  # blank lines count
            yield replace(result, failure=Failure(source, exact, code, message))
        else:
            yield replace(
                result,
                label=outcome["sentiment"],
                score=outcome["score"] or 0.0,
                needs_review=bool(outcome["needs_review"]),
                other_language=bool(outcome["other_language"]),
                text=row.review,
                cells=row.cells,
            )
