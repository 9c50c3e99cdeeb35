"""All that can be set, read from the environment once and checked all at once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from reviewbox.documents import ReadOptions
from reviewbox.documents.encoding import is_encoding
from reviewbox.errors import SettingsError

_VARIABLE_PREFIX = "REVIEWBOX_"


@dataclass(frozen=True, slots=True)
class Settings:
    """How Reviewbox works. Each attribute is an environment variable: `REVIEWBOX_` and its name.

    Attributes:
        results_bucket: where results go; "" for the bucket that holds the source.
        source_prefix: only objects whose keys start so are classified; "" for all.
        results_prefix: what result keys start with.
        text_field: the field of a table that holds the review; "" to go by the usual names.
        fallback_encoding: what bytes are read as that are not UTF-8; "" to refuse them.
        needs_review_below: a calibrated score under it asks for a human's look; 0 to 1.
        max_object_bytes: what has to be read whole, and is larger or decompresses to more, gets an error
            instead of a verdict. Tables of lines do not have to be.
        segment_bytes: a larger table of lines is classified in segments of about that size.
        work_prefix: what keys start with of the plans and the like of tables that are being classified in
            segments. They lie with the results.
        queue_url: the queue of what is to have an invocation to itself: segments, and what a batch left
            no time for; "" to classify segments one after the other.
        max_receives: how often the queue delivers a message before it goes to the dead letters.
        threads: how many threads inference uses.
        objects_at_once: how many objects of a batch are worked on at once, so that waiting for S3 takes
            no time. Large ones are none of them: they go to that queue.
        model_dir: the model folder; "" for the one that is shipped.
    """

    results_bucket: str = ""
    source_prefix: str = "incoming/"
    results_prefix: str = "results/"
    text_field: str = field(default="", metadata={"shapes_results": True})
    fallback_encoding: str = field(default="windows-1252", metadata={"shapes_results": True})
    needs_review_below: float = field(default=0.8, metadata={"shapes_results": True})
    max_object_bytes: int = field(default=16 * 1024 * 1024, metadata={"shapes_results": True})
    segment_bytes: int = field(default=1024 * 1024, metadata={"shapes_results": True})
    work_prefix: str = "work/"
    queue_url: str = ""
    max_receives: int = 5
    threads: int = 1
    objects_at_once: int = 100
    model_dir: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the `REVIEWBOX_*` variables of `environ`; what is not there has its default.

        Raises:
            SettingsError: names every variable that cannot be used, and why.
        """
        values: dict[str, Any] = {}
        complaints: list[str] = []
        for setting in fields(cls):
            variable = _VARIABLE_PREFIX + setting.name.upper()
            # A setting is of the type of its default: text or a number. No number is as good as none.
            kind = type(getattr(cls(), setting.name))
            if variable not in environ or (kind is not str and not environ[variable]):
                continue
            try:
                values[setting.name] = kind(environ[variable])
            except ValueError:
                what = "a whole number" if kind is int else "a number"
                complaints.append(f"{variable}={environ[variable]!r} is not {what}")
        settings = cls(**values)
        complaints += settings._complaints()
        if complaints:
            raise SettingsError("; ".join(complaints))
        return settings

    @property
    def read_options(self) -> ReadOptions:
        """How documents are read."""
        # What does not fit as a whole does not fit as a segment.
        segment_bytes = min(self.segment_bytes, self.max_object_bytes)
        return ReadOptions(self.text_field, self.fallback_encoding, self.max_object_bytes, segment_bytes)

    @property
    def digest(self) -> str:
        """SHA-256 over the settings that decide what a result says."""
        shaping = {s.name: getattr(self, s.name) for s in fields(self) if "shapes_results" in s.metadata}
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()

    def _complaints(self) -> list[str]:
        checks = {
            "SOURCE_PREFIX must be empty or end with a slash": self.source_prefix[-1:] in ("", "/"),
            "RESULTS_PREFIX must end with a slash": self.results_prefix.endswith("/"),
            "WORK_PREFIX must end with a slash": self.work_prefix.endswith("/"),
            f"SOURCE_PREFIX and {_VARIABLE_PREFIX}RESULTS_PREFIX must not contain each other, or results "
            "would be classified again": bool(self.results_bucket)
            or not _overlap(self.source_prefix, self.results_prefix),
            f"WORK_PREFIX must neither contain {_VARIABLE_PREFIX}SOURCE_PREFIX or {_VARIABLE_PREFIX}"
            "RESULTS_PREFIX nor lie in one": not _overlap(self.work_prefix, self.results_prefix)
            and (bool(self.results_bucket) or not _overlap(self.work_prefix, self.source_prefix)),
            f"FALLBACK_ENCODING: Python knows no encoding {self.fallback_encoding!r}": (
                not self.fallback_encoding or is_encoding(self.fallback_encoding)
            ),
            "NEEDS_REVIEW_BELOW must lie between 0 and 1": 0 <= self.needs_review_below <= 1,
            "MAX_OBJECT_BYTES must be at least 1": self.max_object_bytes >= 1,
            "SEGMENT_BYTES must be at least 1": self.segment_bytes >= 1,
            "MAX_RECEIVES must be at least 1": self.max_receives >= 1,
            "THREADS must be at least 1": self.threads >= 1,
            "OBJECTS_AT_ONCE must be at least 1": self.objects_at_once >= 1,
        }
        return [_VARIABLE_PREFIX + complaint for complaint, fine in checks.items() if not fine]


def _overlap(prefix: str, other: str) -> bool:
    return prefix.startswith(other) or other.startswith(prefix)
