"""Amazon EventBridge. This is the only module that sends events to it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from reviewbox.sending import DEFAULT_SESSION, send_batch

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# Rules select Reviewbox's events by these.
SOURCE = "reviewbox"
DETAIL_TYPE = "Result Written"

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5})


@dataclass(frozen=True)
class EventBus:
    """An event bus of EventBridge. Errors of botocore pass through unchanged."""

    name: str
    client: "EventBridgeClient | None" = None  # None to create one for the first event
    sleep: Callable[[float], None] = time.sleep  # waits between attempts

    @cached_property
    def _events(self) -> "EventBridgeClient":
        if self.client:
            return self.client
        with DEFAULT_SESSION:
            client: EventBridgeClient = boto3.client("events", config=_CONFIG)
        return client

    def send(self, details: Sequence[str]) -> Mapping[int, str]:
        """Send an event for each of at most ten details, each a JSON object.

        Returns:
            The error codes of the events that EventBridge rejected each time, by position.
        """
        return send_batch(details, self._put, self.sleep)

    def _put(self, details: Mapping[int, str]) -> dict[int, str]:
        response = self._events.put_events(
            Entries=[
                {"Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": detail, "EventBusName": self.name}
                for detail in details.values()
            ]
        )
        entries = zip(details, response["Entries"], strict=True)
        return {number: entry["ErrorCode"] for number, entry in entries if "ErrorCode" in entry}
