"""Contrast pairs: reviews, and the same reviews edited by hand until they say the opposite.

`contrast.jsonl` holds the edits alone, none of the reviews' text: a review is named by the beginning of
its content's digest, an edit by the characters it replaces in the plain text and by what we wrote instead.
"""

import json
from pathlib import Path

import pandas as pd

from reviewbox.model.plain_text import plain_text

DIGEST_LENGTH = 16


def edited(edits: Path, reviews: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `reviews` that the file edits, with the new text and the opposite label.

    Their domain is the kind of edit: "free", or "subtle": four phrases with fifteen words at most.

    Args:
        edits: lines of `{"review": digest, "kind": kind, "edits": [[start, end, text], ...]}`.
        reviews: with the columns digest, text and label.
    """
    by_digest = reviews.set_index(reviews.digest.str[:DIGEST_LENGTH])
    rows = []
    for line in edits.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["review"] not in by_digest.index:
            continue
        row = by_digest.loc[entry["review"]]
        text = plain_text(row.text).text
        for start, end, new in sorted(entry["edits"], reverse=True):
            text = text[:start] + new + text[end:]
        rows.append({**row, "text": text, "label": 1 - row.label, "domain": entry["kind"]})
    return pd.DataFrame(rows, columns=reviews.columns)


def read_written(path: Path) -> pd.DataFrame:
    """Return texts of our own: the columns of their lines, with the label as 0 or 1."""
    texts = pd.read_json(path, lines=True)
    return texts.assign(label=(texts.label == "positive").astype(int))
