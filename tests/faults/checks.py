"""What must hold once a stack is at rest.

How much work that took is bounded. Let there be

    D  deliveries of events and tasks, redeliveries included     F  faults and lost races
    S  deliveries of segments                                    V  deployments
    n  segments of the largest table

Then the workers have sent at most (1 + n) * (D + F + V) messages, and have made at most
16 * S + (16 + 3 * n) * (D + F + V) requests to S3. The pages of a listing count as one request.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults import uploads
from tests.faults.stack import BrokenPromiseError, Stack, Uploaded, is_excused
from tests.faults.uploads import BUCKET, Deployment


def check(stack: Stack, deployments: Sequence[Deployment]) -> None:
    """Fail unless every live object has the result of its newest revision, and nothing else is left.

    The result is one of these deployments. A deleted object keeps its result, if it had one, and the result
    stays complete, whichever deployment it is from. An object that a dead letter names may be in any state. A
    task of S3 Batch Operations that failed, or whose worker died, may leave parts (ADR 14).

    Raises:
        BrokenPromiseError: that is not so.
    """
    sources = stack.s3.buckets[BUCKET].objects
    objects = stack.s3.buckets[stack.results].objects
    allowed: set[str] = set()
    pending = stack.keys_of_dead_letters()
    for key, revisions in stack.history.items():
        current = sources.get(key)
        if current and current.body != revisions[-1].body:
            raise BrokenPromiseError("no source is changed", key)
        receipt_key = uploads.receipt_key(key)
        if key in pending:
            prefixes = (receipt_key, uploads.tables_prefix(key))
            allowed |= {each for each in objects if each.startswith(prefixes)}
        elif receipt_key in objects:
            receipt = json.loads(objects[receipt_key].body)
            if current:
                allowed |= {receipt_key, *_parts(stack, key, receipt, revisions[-1:], deployments)}
            elif receipt.get("error", {}).get("final", True) and not is_excused(receipt, is_live=False):
                allowed |= {receipt_key, *_parts(stack, key, receipt, revisions, stack.deployed)}
            else:
                allowed |= {receipt_key, *(part["key"] for part in receipt.get("parts", []))}
        elif current:
            raise BrokenPromiseError("every object has a receipt", key)
    excused = tuple(uploads.tables_prefix(key) for key in stack.failed_tasks)
    left = sorted(
        key
        for key in objects
        if key.startswith("results/") and key not in allowed and not key.startswith(excused)
    )
    if left:
        raise BrokenPromiseError("nothing else is left under results/", ", ".join(left))
    strange = sorted(key for key in objects if not key.startswith(("results/", "work/", "incoming/")))
    if strange:
        raise BrokenPromiseError("nothing is written elsewhere", ", ".join(strange))


def check_work(stack: Stack) -> None:
    """Fail unless the numbers of messages and requests are within their bounds.

    Raises:
        BrokenPromiseError: there were more.
    """
    totals, segment_bytes = stack.totals, min(each.settings.segment_bytes for each in stack.deployed)
    bodies = (uploads.decompressed(each.body) for revisions in stack.history.values() for each in revisions)
    segments = max(len(body) // segment_bytes + 1 for body in bodies)
    occasions = totals.deliveries + totals.faults + totals.lost_races + len(stack.deployed)
    for name, number, limit in (
        ("messages", totals.messages, (1 + segments) * occasions),
        ("requests", totals.requests, 16 * totals.segment_deliveries + (16 + 3 * segments) * occasions),
    ):
        if number > limit:
            raise BrokenPromiseError(f"the number of {name} is bounded", f"{number}, but at most {limit}")


def _parts(
    stack: Stack,
    key: str,
    receipt: Mapping[str, Any],
    revisions: Sequence[Uploaded],
    deployments: Sequence[Deployment],
) -> Iterator[str]:
    """Yield the keys of a receipt's parts; fail unless it is the result of one of these revisions."""
    source, error = receipt["source"], receipt.get("error")
    identity = source.get("etag"), source.get("version")
    revision = next((each for each in revisions if (each.etag, each.version) == identity), None)
    if revision is None or (error and not error["final"]):
        raise BrokenPromiseError(
            "the receipt is final and of the newest revision", f"{key} has {source} and {error}"
        )
    digests = (receipt["model"]["sha256"], receipt["settings"]["sha256"])
    deployment = next((each for each in deployments if each.digests == digests), None)
    if deployment is None:
        raise BrokenPromiseError("a receipt is for the model and the settings", key)
    wanted = uploads.expected(key, revision.body, deployment)
    content = uploads.without_provenance(receipt)
    if content != wanted.content:
        raise BrokenPromiseError(
            "a receipt tells the truth", f"{key} has {content} instead of {wanted.content}"
        )
    bodies = []
    for part in receipt.get("parts", []):
        stored = stack.s3.buckets[part["bucket"]].objects.get(part["key"])
        if stored is None or stored.etag != part["etag"]:
            raise BrokenPromiseError("the parts that a receipt names exist", part["key"])
        bodies.append(uploads.decompressed(stored.body))
        yield part["key"]
    if (uploads.joined(bodies) if bodies else None) != wanted.table:
        raise BrokenPromiseError("no row is lost, doubled or changed", key)
