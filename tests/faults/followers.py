"""What follows a result: an event that announces it, and its copy in the catalog."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from handlers.on_result import Copier
from tests.faults import uploads
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket
from tests.faults.stack import BrokenPromiseError, Stack
from tests.faults.uploads import BUCKET

from reviewbox.catalog.keys import pointer_key
from reviewbox.deadline import Deadline
from reviewbox.objects import ObjectRef
from reviewbox.results.completion import completion_detail
from reviewbox.results.receipt import Receipt
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage


def check_announcements(stack: Stack) -> None:
    """Fail unless every final receipt was announced as it is.

    These need not be announced: an object that a dead letter names, one whose messages are gone, and one of a
    failed task or event that does not come from a queue.

    Raises:
        BrokenPromiseError: that is not so.
    """
    excused = stack.lost | stack.failed_tasks | stack.keys_of_dead_letters()
    objects = stack.s3.buckets[stack.results].objects
    for key in stack.history.keys() - excused if stack.announces else ():
        place = ObjectRef(stack.results, uploads.receipt_key(key))
        receipt = Receipt.decode(objects[place.key].body) if place.key in objects else None
        detail = completion_detail(receipt, place) if receipt else None
        if detail and json.loads(json.dumps(detail)) not in stack.events.details:
            raise BrokenPromiseError("every result is announced", key)


def check_catalog(stack: Stack) -> None:
    """Fail unless the catalog has exactly the rows of the existing results.

    They are compared with those of a catalog that is made in one go, without faults. The copy of a receipt
    whose events are dead letters, or are gone, may be of any state.

    Raises:
        BrokenPromiseError: that is not so.
    """
    if not stack.copying:
        return
    bucket = stack.s3.buckets[stack.results]
    settings = replace(stack.deployment.settings, results_bucket=stack.results, catalog_prefix="catalog/")
    objects = {key: stored.body for key, stored in bucket.objects.items() if not key.startswith("catalog/")}
    expected, found = _copies_at_once(frozenset(objects.items()), settings), _copies(bucket)
    excused = {Path(pointer_key("", key)).stem for key in stack.receipts_not_copied()}
    for result in (expected.keys() | found.keys()) - excused:
        if found.get(result) != expected.get(result):
            names = [[name for name, _ in files.get(result, [])] for files in (expected, found)]
            raise BrokenPromiseError("the catalog has the rows of the newest results", f"{result}: {names}")


@lru_cache(1000)
def _copies_at_once(objects: frozenset[tuple[str, bytes]], settings: Settings) -> Mapping[str, list[Any]]:
    """Return the files of each result in a bucket with these objects. Cached: many attacks end alike."""
    bucket = Bucket()
    client: Any = Client(S3(Clock(), buckets={BUCKET: bucket, settings.results_bucket: bucket}))
    for key, body in objects:
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    for key, _ in objects:
        Copier(S3Storage(client), settings).update(
            ObjectRef(settings.results_bucket, key), Deadline(lambda: 900.0)
        )
    return _copies(bucket)


def _copies(bucket: Bucket) -> Mapping[str, list[Any]]:
    """Return the files of each result: the names, without the ids of the copies, and the contents."""
    copies: dict[str, list[Any]] = defaultdict(list)
    for key, stored in bucket.objects.items():
        if key.startswith("catalog/results/uploaded="):
            digest, _copy, part = key.rpartition("/")[2].split("-", 2)
            copies[digest].append((part, stored.body))
    return {digest: sorted(files) for digest, files in copies.items()}
