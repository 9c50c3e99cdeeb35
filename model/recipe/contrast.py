"""Contrast pairs: reviews, and the same reviews edited by hand until their label flips.

`contrast.jsonl` holds only the edits, not the text of the reviews. It identifies a review by a prefix of
its digest, and an edit by the character span that it replaces in the plain text.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from reviewbox.model.plain_text import plain_text

DIGEST_PREFIX_LENGTH = 16


def apply_edits(edits: Path, reviews: pd.DataFrame) -> pd.DataFrame:
    """Return the reviews that the file edits, with their new text and the opposite label.

    Their domain is the kind of edit: "free", or "subtle" (at most fifteen words in at most four phrases).

    Args:
        edits: a file of lines `{"review": digest, "kind": kind, "edits": [[start, end, text], ...]}`.
        reviews: a frame with the columns digest, text and label.
    """
    by_digest = reviews.set_index(reviews.digest.str[:DIGEST_PREFIX_LENGTH])
    rows = []
    for line in edits.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["review"] not in by_digest.index:
            continue
        row = by_digest.loc[entry["review"]]
        text = plain_text(row.text).text
        for start, end, new in sorted(entry["edits"], reverse=True):
            text = text[:start] + new + text[end:]
        rows.append({**row, "text": text, "label": 1 - row.label, "stars": np.nan, "domain": entry["kind"]})
    return pd.DataFrame(rows, columns=reviews.columns)


def read_answers(path: Path) -> pd.DataFrame:
    """Read a file of texts that we wrote with one of four answers; `label` is -1 for mixed and neutral."""
    texts = pd.read_json(path, lines=True)
    labels = texts.label.map({"positive": 1, "negative": 0}).fillna(-1).astype(int)
    return texts.assign(answer=texts.label, label=labels, domain=texts.kind)


def read_own_texts(path: Path) -> pd.DataFrame:
    """Read a file of labeled texts that we wrote; `label` becomes 0 or 1, other fields are kept."""
    texts = pd.read_json(path, lines=True)
    return texts.assign(label=(texts.label == "positive").astype(int))
