"""What must hold once a stack is at rest.

How much work that took is bounded. Let there be

    D  deliveries of events and tasks, redeliveries included     F  faults and lost races
    S  deliveries of segments                                    V  deployments
    C  deliveries of events about receipts                       n  segments of the largest table

Then the workers have sent at most (1 + n) * (D + F + V) messages, and have made at most
17 * S + (17 + 3 * n) * (D + F + V) requests to S3. The pages of a listing count as one request. A sweep makes
at most 4 requests, and 30 + n for each object. Those that copy results into the catalog have made at most
(8 + 4 * n) * (C + F).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults import uploads
from tests.faults.followers import check_announcements, check_catalog
from tests.faults.stack import BrokenPromiseError, Stack, Uploaded
from tests.faults.uploads import BUCKET, Deployment


def check(stack: Stack, deployments: Sequence[Deployment], *, is_swept: bool = False) -> None:
    """Fail unless every live object has the result of its newest revision, and nothing else is left.

    The result is one of these deployments. A deleted object keeps its result, if it had one, or has an error.
    The result stays complete, whichever deployment it is from. An object that a dead letter names may be in
    any state. If its messages are gone, it may have an earlier result, an error or none. Until a sweep, it
    may then have other parts, and so may the object of a task of S3 Batch Operations that failed or whose
    worker died.

    Raises:
        BrokenPromiseError: that is not so.
    """
    objects = stack.s3.buckets[stack.results].objects
    allowed = {each for key in stack.history for each in _results(stack, key, deployments)}
    # A sweep cannot tell which source the parts are from if only a digest of its key is known.
    excused = tuple(
        uploads.tables_prefix(key)
        for key in stack.failed_tasks | stack.lost
        if not is_swept or (uploads.receipt_key(key) not in objects and key not in uploads.receipt_key(key))
    )
    left = sorted(
        key
        for key in objects
        if key.startswith("results/") and key not in allowed and not key.startswith(excused)
    )
    if left:
        raise BrokenPromiseError("nothing else is left under results/", ", ".join(left))
    strange = sorted(
        key for key in objects if not key.startswith(("results/", "work/", "incoming/", "catalog/"))
    )
    if strange:
        raise BrokenPromiseError("nothing is written elsewhere", ", ".join(strange))
    check_announcements(stack)
    check_catalog(stack)


def _results(stack: Stack, key: str, deployments: Sequence[Deployment]) -> Iterator[str]:
    """Yield the keys of a source's result; fail unless it is the right one."""
    objects = stack.s3.buckets[stack.results].objects
    current = stack.s3.buckets[BUCKET].objects.get(key)
    revisions, receipt_key = stack.history[key], uploads.receipt_key(key)
    if current and current.body != revisions[-1].body:
        raise BrokenPromiseError("no source is changed", key)
    if key in stack.keys_of_dead_letters():
        yield from (each for each in objects if each.startswith((receipt_key, uploads.tables_prefix(key))))
        return
    if receipt_key not in objects:
        if current and key not in stack.lost:
            raise BrokenPromiseError("every object has a receipt", key)
        return
    yield receipt_key
    receipt = json.loads(objects[receipt_key].body)
    if current and key in stack.lost:
        yield from _named_parts(stack, receipt)
    elif current:
        yield from _parts(stack, key, receipt, revisions[-1:], deployments)
    elif receipt.get("error", {}).get("final", True):
        yield from _parts(stack, key, receipt, revisions, stack.deployed)
    else:
        yield from (part["key"] for part in receipt.get("parts", []))


def _named_parts(stack: Stack, receipt: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of the parts that a receipt names; fail if one does not exist."""
    for part in receipt.get("parts", []):
        stored = stack.s3.buckets[part["bucket"]].objects.get(part["key"])
        if stored is None or stored.etag != part["etag"]:
            raise BrokenPromiseError("the parts that a receipt names exist", part["key"])
        yield part["key"]


def check_work(stack: Stack) -> None:
    """Fail unless the numbers of messages and requests are within their bounds.

    Raises:
        BrokenPromiseError: there were more.
    """
    totals, segment_bytes = stack.totals, min(each.settings.segment_bytes for each in stack.deployed)
    bodies = [each.body for revisions in stack.history.values() for each in revisions]
    segments = max(uploads.segments_of(body, segment_bytes) for body in bodies)
    occasions = totals.deliveries + totals.faults + totals.lost_races + len(stack.deployed)
    for name, number, limit in (
        ("messages", totals.messages, (1 + segments) * occasions),
        ("requests", totals.requests, 17 * totals.segment_deliveries + (17 + 3 * segments) * occasions),
        (
            "requests for copies",
            totals.copy_requests,
            (8 + 4 * segments) * (totals.copy_deliveries + totals.faults + totals.lost_races),
        ),
        (
            "requests of sweeps",
            totals.sweep_requests,
            totals.sweeps * (4 + (30 + segments) * len(stack.history)),
        ),
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
    parts = list(_named_parts(stack, receipt))
    bodies = [uploads.decompressed(stack.s3.buckets[stack.results].objects[part].body) for part in parts]
    if (uploads.joined(bodies) if bodies else None) != wanted.table:
        raise BrokenPromiseError("no row is lost, doubled or changed", key)
    yield from parts
