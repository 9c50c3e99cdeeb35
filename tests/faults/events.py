"""EventBridge in memory: the one operation that Reviewbox uses."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.faults.clients import Service


@dataclass(slots=True)
class Events(Service):
    """What was sent to an event bus."""

    details: list[dict[str, Any]] = field(default_factory=list)

    def put_events(self, Entries: list[dict[str, Any]]) -> Any:
        """Accept events."""
        self.details += [json.loads(entry["Detail"]) for entry in Entries]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "id"} for _ in Entries]}
