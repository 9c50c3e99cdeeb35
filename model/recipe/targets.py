"""What a review teaches: two questions (does it praise, does it blame?), a verdict, and its language.

The columns of a target, each a probability, or NaN if the review does not teach it:

- `PRAISE`: the text praises something
- `BLAME`: the text blames something
- `POSITIVE`: if it must be one of the two, the text is positive rather than negative
- `KNOWN`: the text is in a language that the model knows
"""

import numpy as np
import pandas as pd

PRAISE, BLAME, POSITIVE, KNOWN = range(4)
COLUMNS = 4

_UNKNOWN = np.nan

# By the answer that a writer of a text gave it.
_BY_ANSWER = {
    "positive": (0.98, 0.02, 1.0, 1.0),
    "negative": (0.02, 0.98, 0.0, 1.0),
    "mixed": (0.97, 0.97, _UNKNOWN, 1.0),
    "neutral": (0.03, 0.03, 0.5, 1.0),
    "other language": (_UNKNOWN, _UNKNOWN, _UNKNOWN, 0.0),
}

# By stars, of five. A review of four stars often names a fault, one of three mostly names both sides. How
# often was estimated by reading, so these are soft.
_BY_STARS = {
    1: (0.06, 0.98, 0.0, 1.0),
    2: (0.35, 0.97, 0.0, 1.0),
    3: (0.7, 0.7, _UNKNOWN, 1.0),
    4: (0.97, 0.35, 1.0, 1.0),
    5: (0.98, 0.06, 1.0, 1.0),
}

# The targets of a review that is only known to be positive, or only known to be negative.
_BY_LABEL = {1: (0.97, 0.12, 1.0, 1.0), 0: (0.12, 0.97, 0.0, 1.0), -1: (_UNKNOWN,) * COLUMNS}


def make_targets(reviews: pd.DataFrame) -> np.ndarray:
    """Return the targets of reviews, shape (R, 4), float32.

    Args:
        reviews: a frame with the column label (1, 0 or -1), and optionally with answer (what the writer
            meant, or missing) and stars (1 to 5, or missing). An answer outweighs stars, and stars a label.
    """
    answers = reviews.get("answer", pd.Series(None, reviews.index, dtype=object))
    stars = reviews.get("stars", pd.Series(np.nan, reviews.index)).astype(float)
    targets = []
    for answer, star, label in zip(answers, stars, reviews.label, strict=True):
        if answer in _BY_ANSWER:
            targets.append(_BY_ANSWER[answer])
        elif np.isfinite(star):
            targets.append(_BY_STARS[int(np.clip(np.floor(star + 0.5), 1, 5))])
        else:
            targets.append(_BY_LABEL[int(label)])
    return np.array(targets, dtype=np.float32).reshape(-1, COLUMNS)
