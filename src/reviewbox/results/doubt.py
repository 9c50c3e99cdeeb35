"""Doubts about an inferred review field, once its texts are classified. Pure; ADR 12 explains the limits."""

from collections.abc import Collection, Mapping
from typing import Any

from reviewbox.documents import Value
from reviewbox.model.verdicts import MIXED, NEGATIVE, NEUTRAL, POSITIVE
from reviewbox.results.receipt import Counts

# At least this share of at least this many texts in known languages praises or blames something.
_MIN_TEXTS = 10
_MIN_JUDGING_SHARE = 0.2

_DOUBT = "doubt"


def with_doubt(notes: Mapping[str, Value], counts: Counts, labels: Collection[str]) -> Mapping[str, Value]:
    """Return the notes on a table, with a doubt if hardly any text of the inferred field has an opinion.

    `counts` are the results of all rows. If the model's labels are not the usual four, no label is known
    to be neutral, so there is no doubt.
    """
    classified = sum(counts.labels.values())
    judging = classified - counts.labels.get(NEUTRAL, 0)
    known = classified - counts.other_language
    has_own_labels = {*labels} != {NEGATIVE, NEUTRAL, MIXED, POSITIVE}
    hardly_judge = known >= _MIN_TEXTS and judging < _MIN_JUDGING_SHARE * known
    if has_own_labels or not hardly_judge or not inferred_field(notes):
        return notes
    runner_up = f" The next best is `{notes['runner_up']}`." if "runner_up" in notes else ""
    doubt = (
        f"Only {judging:,} of {classified:,} texts in `{notes['text_field']}` praise or blame anything. If "
        f"they are not the reviews, set TextField to the field that contains them.{runner_up}"
    )
    return {**notes, _DOUBT: doubt}


def doubt_in(notes: Any) -> str:
    """Return the doubt in the notes of a receipt, which anybody may have written; "" if there is none."""
    return str(notes.get(_DOUBT, "")) if isinstance(notes, Mapping) else ""


def inferred_field(notes: Any) -> str:
    """Return the field of the reviews that the notes of a receipt name, if it is inferred; else ""."""
    is_inferred = isinstance(notes, Mapping) and notes.get("text_field_by") == "score"
    return str(notes.get("text_field", "")) if is_inferred else ""
