"""Results that look like a service's: a receipt and a classified table in parts, made without a model.

The texts are put together from sentences that were written for this file.
"""

import csv
import io
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reviewbox.objects import ObjectRef, Revision
from reviewbox.results.keys import part_key, receipt_key
from reviewbox.results.receipt import Counts, Part, Provenance, Receipt

PRODUCTS = {
    "Kettle K2": 0.3,
    "Tent Alpine": 0.18,
    "Headphones Air": 0.45,
    "Desk lamp": 0.12,
    "Backpack 30": 0.22,
}
STORES = ("Berlin", "Lisbon", "Oslo", "Web shop")
PRAISE = {
    "Kettle K2": (
        "It boils water in two minutes.",
        "The handle stays cool.",
        "Easy to clean, inside and out.",
    ),
    "Tent Alpine": (
        "The tent was up in five minutes.",
        "Bone dry after a night of rain.",
        "It packs very small.",
    ),
    "Headphones Air": (
        "The sound is warm and clear.",
        "Battery life is superb.",
        "Calls are easy to understand.",
    ),
    "Desk lamp": (
        "The warm light is lovely in the evening.",
        "It takes no space on my desk.",
        "Easy to set up.",
    ),
    "Backpack 30": (
        "The straps are comfortable all day.",
        "It has a pocket for everything.",
        "Light and strong.",
    ),
}
BLAME = {
    "Kettle K2": ("The lid broke after a month.", "It leaks at the base.", "It is far too loud."),
    "Tent Alpine": ("The pegs bend in hard ground.", "A zip got stuck on the first night."),
    "Headphones Air": (
        "The battery died after six months.",
        "The left side stopped working.",
        "They hurt after an hour.",
    ),
    "Desk lamp": ("The switch is hard to find.", "It flickers when dimmed."),
    "Backpack 30": ("The zip got stuck twice.", "A strap tore on the second trip."),
}
DELIVERY = (
    "Delivery was quick.",
    "The parcel came a week late.",
    "Customer service answered at once.",
    "Customer service never answered.",
)
NEUTRAL = ("I use it at home.", "Bought it for my sister.", "It is the blue one.", "This is my second one.")
_HEADER = (
    "order",
    "date",
    "product",
    "store",
    "stars",
    "review",
    "sentiment",
    "score",
    "needs_review",
    "other_language",
    "error_code",
    "error_message",
)
_SOURCE = ObjectRef("shop", "incoming/2025/reviews.csv")
_ROWS_PER_PART = 25_000


def write_results(folder: Path, rows: int) -> None:
    """Write results of this many rows into a folder: a table in parts, and the receipt that lists them."""
    rng = random.Random(7)  # noqa: S311 - the same rows every time
    counts, parts = Counts(), []
    for number, first in enumerate(range(0, rows, _ROWS_PER_PART)):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(_HEADER)
        for row in range(first, min(rows, first + _ROWS_PER_PART)):
            values = _row(rng, row)
            writer.writerow(values[name] for name in _HEADER)
            counts += _counts(values)
        key = part_key("results/", _SOURCE.key, "0" * 32, number, "csv")
        _write(folder / key, text.getvalue())
        parts.append(Part("shop", key, '"etag"'))
    provenance = Provenance(_SOURCE, Revision('"etag"', "1"), "0" * 64, "0" * 64, calibrated=True)
    receipt = Receipt.for_table(counts, parts, provenance, {"text_field": "review"})
    _write(folder / receipt_key("results/", _SOURCE.key), receipt.encode().decode())


def _row(rng: random.Random, number: int) -> dict[str, Any]:
    month = rng.randrange(24)
    product = rng.choice(list(PRODUCTS))
    store = rng.choice(STORES)
    values = {
        "order": f"A{number:07}",
        "date": f"{2024 + month // 12}-{month % 12 + 1:02}-{rng.randrange(1, 29):02}",
        "product": product,
        "store": store,
        **dict.fromkeys(_HEADER[4:], ""),
    }
    if rng.random() < 0.002:
        message = f"line {number + 2}: the review has no words to classify"
        return {**values, "error_code": "empty_review", "error_message": message}
    # The kettle gets worse in the second year, and the web shop is slow.
    share = PRODUCTS[product] + 0.015 * month * (product == "Kettle K2") + 0.1 * (store == "Web shop")
    draw = rng.random()
    label = (
        "negative"
        if draw < share
        else "mixed"
        if draw < share + 0.1
        else "neutral"
        if draw < share + 0.17
        else "positive"
    )
    score = round(rng.betavariate(8, 2), 4)
    stars = {
        "negative": (1, 1, 2, 2, 3),
        "mixed": (2, 3, 3, 4),
        "neutral": (3, 3, 4),
        "positive": (4, 4, 5, 5, 5),
    }[label]
    is_slip = rng.random() < 0.02
    return {
        **values,
        "stars": rng.choice((1, 5)) if is_slip else rng.choice(stars),
        "review": " ".join(_sentences(rng, product, label)),
        "sentiment": label,
        "score": score,
        "needs_review": str(score < 0.7).lower(),
        "other_language": "false",
    }


def _sentences(rng: random.Random, product: str, label: str) -> Iterator[str]:
    yield rng.choice(NEUTRAL)
    if label in ("positive", "mixed"):
        yield from rng.sample(PRAISE[product], 2 if label == "positive" else 1)
    if label in ("negative", "mixed"):
        yield from rng.sample(BLAME[product], 2 if label == "negative" else 1)
    if rng.random() < 0.3:
        yield rng.choice(DELIVERY)


def _counts(values: Mapping[str, Any]) -> Counts:
    if values["error_code"]:
        return Counts(errors={values["error_code"]: 1})
    return Counts({values["sentiment"]: 1}, needs_review=values["needs_review"] == "true")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
