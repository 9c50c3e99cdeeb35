"""The event that announces a result. Pure."""

from dataclasses import asdict
from typing import Any

from reviewbox.objects import ObjectRef
from reviewbox.results.receipt import Receipt


def completion_detail(receipt: Receipt, place: ObjectRef) -> dict[str, Any] | None:
    """Return the detail of the event that announces the receipt at `place`.

    The detail contains no review text. Returns None if the receipt is not final, which means that another
    attempt follows, or if it is incomplete because someone has edited it.
    """
    error = receipt.content.get("error")
    if not receipt.is_complete or not receipt.is_final:
        return None
    return {
        "outcome": "refused" if error else "classified",
        "source": receipt.content["source"],
        "receipt": asdict(place),
        "counts": receipt.counts.to_dict(),
        "model": receipt.content.get("model"),
        **({"error": {"code": error["code"]}} if error else {}),
    }
