"""What must hold once a stack is at rest."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults import uploads
from tests.faults.stack import BrokenPromiseError, Stack, Uploaded
from tests.faults.uploads import BUCKET


def check(stack: Stack) -> None:
    """Fail unless every live object has the result of its newest revision, and nothing else is left.

    A deleted object keeps its result, if it had one, and the result stays complete.

    Raises:
        BrokenPromiseError: that is not so.
    """
    sources = stack.s3.buckets[BUCKET].objects
    objects = stack.s3.buckets[stack.results].objects
    allowed: set[str] = set()
    for key, revisions in stack.history.items():
        current = sources.get(key)
        if current and current.body != revisions[-1].body:
            raise BrokenPromiseError("no source is changed", key)
        receipt_key = f"results/{key}.json"
        if receipt_key in objects:
            receipt = json.loads(objects[receipt_key].body)
            possible = revisions[-1:] if current else revisions
            allowed |= {receipt_key, *_parts(stack, key, receipt, possible, is_live=current is not None)}
        elif current:
            raise BrokenPromiseError("every object has a receipt", key)
    left = sorted(key for key in objects if key.startswith("results/") and key not in allowed)
    if left:
        raise BrokenPromiseError("nothing else is left under results/", ", ".join(left))
    strange = sorted(key for key in objects if not key.startswith(("results/", "work/", "incoming/")))
    if strange:
        raise BrokenPromiseError("nothing is written elsewhere", ", ".join(strange))


def _parts(
    stack: Stack, key: str, receipt: Mapping[str, Any], possible: Sequence[Uploaded], *, is_live: bool
) -> Iterator[str]:
    """Yield the keys of a receipt's parts; fail unless it is the result of one of these revisions."""
    source, error = receipt["source"], receipt.get("error")
    identity = source.get("etag"), source.get("version")
    revision = next((each for each in possible if (each.etag, each.version) == identity), None)
    if error and not error["final"] and not is_live:
        return
    if revision is None or (error and not error["final"]):
        raise BrokenPromiseError(
            "the receipt is final and of the newest revision", f"{key} has {source} and {error}"
        )
    digests = (receipt["model"]["sha256"], receipt["settings"]["sha256"])
    deployment = next((each for each in stack.deployed if each.digests == digests), None)
    if deployment is None:
        raise BrokenPromiseError("a receipt names the model and the settings", key)
    wanted = uploads.expected(key, revision.body, deployment)
    content = uploads.without_provenance(receipt)
    if content != wanted.content:
        raise BrokenPromiseError("a receipt tells the truth", f"{key} has {content} instead of {wanted.content}")
    bodies = []
    for part in receipt.get("parts", []):
        stored = stack.s3.buckets[part["bucket"]].objects.get(part["key"])
        if stored is None or stored.etag != part["etag"]:
            raise BrokenPromiseError("the parts that a receipt names exist", part["key"])
        bodies.append(uploads.decompressed(stored.body))
        yield part["key"]
    if (uploads.joined(bodies) if bodies else None) != wanted.table:
        raise BrokenPromiseError("no row is lost, doubled or changed", key)
