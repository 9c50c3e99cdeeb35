"""Texts put together from praise and blame, to teach the difference between both and either.

Star ratings say little about whether a review praises *and* blames. Two short reviews of the same domain do,
if one was rated with five stars and the other with one.
"""

import numpy as np
import pandas as pd

from recipe.targets import PRAISE, make_targets

_MAX_WORDS = 30
# Between praise and blame, and between two texts that say the same.
_TURNS = (
    ". But ", " but ", ", but ", ". However, ", ". ", ". ", ". ", "\n", " though ", ". That said, ",
    ". On the other hand, ", ", however ", "... ", " yet ", ". Still, ", "; ", " - ", ". Shame: ",
)  # fmt: skip
_CONTINUATIONS = (". ", ". ", ", and ", ". Also, ", "! ", "\n", "; ", ". And ", " ", ". Plus, ")


def mix_reviews(reviews: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Return `count` texts of two or three short texts of one domain: half of them mixed, half one-sided.

    Args:
        reviews: a frame with the columns text, label, domain and, for targets, stars or answer.
        count: how many texts to make.
        seed: the seed of the random generator.

    Returns:
        A frame with the columns text, label, domain and answer.
    """
    rng = np.random.default_rng([seed, 8])
    targets = make_targets(reviews)
    is_clear = (np.nanmax(targets[:, :2], axis=1) > 0.9) & (np.nanmin(targets[:, :2], axis=1) < 0.1)  # noqa: PLR2004
    short = reviews.text.str.split().str.len().between(2, _MAX_WORDS)
    clear = reviews[is_clear & short].assign(praises=targets[is_clear & short, PRAISE] > 0.5)  # noqa: PLR2004
    by_side = {
        domain: [group.text[group.praises == side].to_numpy() for side in (False, True)]
        for domain, group in clear.groupby("domain")
    }
    domains = [domain for domain, sides in by_side.items() if min(map(len, sides)) >= 10]  # noqa: PLR2004
    rows = []
    for index in range(count):
        domain = domains[rng.integers(len(domains))]
        blames, praises = by_side[domain]
        first = bool(rng.integers(2))
        is_mixed = index % 2 == 0
        sides = [first, first != is_mixed]
        if rng.random() < 0.3:  # noqa: PLR2004
            sides.append(bool(rng.integers(2)) if is_mixed else first)
        text = ""
        for position, side in enumerate(sides):
            part = rng.choice(praises if side else blames).strip()
            if position:
                links = _CONTINUATIONS if side == sides[position - 1] else _TURNS
                link = str(rng.choice(links))
                text = text.rstrip(".!,; ") + link
                if link[-2:-1].isalpha() or link[-2:-1] == ",":
                    part = part[0].lower() + part[1:] if not part[:2].isupper() and part[:2] != "I " else part
            text += part
        answer = "mixed" if is_mixed else "positive" if first else "negative"
        rows.append((text, -1, domain, answer))
    return pd.DataFrame(rows, columns=["text", "label", "domain", "answer"])
