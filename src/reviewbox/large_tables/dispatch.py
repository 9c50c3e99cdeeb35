"""Sends the segments of a large table to the queue, and again whenever their results are missing."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from reviewbox.errors import ConflictError
from reviewbox.events import segment_message
from reviewbox.large_tables.plan import Plan, Sent
from reviewbox.large_tables.workspace import StoredSent, Workspace
from reviewbox.objects import SegmentRef
from reviewbox.queue import Queue


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Sends segments of one plan, by one worker at a time."""

    queue: Queue
    work: Workspace
    plan: Plan

    def send(self, indexes: Iterable[int], record: Sent, replaces: StoredSent | None) -> None:
        """Send segments to the queue, and record that.

        Raises:
            ConflictError: another worker has recorded that it sends segments. None was sent here.
        """
        etag = self.work.write_sent(record, replaces.etag if replaces else None)
        refs = (SegmentRef(self.plan.source, self.plan.id, index) for index in indexes)
        self.queue.send(map(segment_message, refs))
        with suppress(ConflictError):
            self.work.write_sent(replace(record, complete=True), etag)

    def send_lost(self, lost: frozenset[int], sender: str) -> None:
        """Send segments again whose results were changed or removed after they had been recorded.

        Every worker that finds them lost calls this. They are sent by the one that records that first.
        """
        sent = self.work.read_sent()
        record = sent.record if sent else None
        known = record.lost if record else frozenset()
        is_interrupted = record is not None and record.is_interrupted(sender)
        unsent = lost if is_interrupted else lost - known
        if unsent:
            with suppress(ConflictError):
                self.send(sorted(unsent), Sent(sender, known | lost), sent)
