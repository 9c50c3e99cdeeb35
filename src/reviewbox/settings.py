"""All settings of Reviewbox, read from environment variables."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from reviewbox.documents import ReadOptions
from reviewbox.documents.encoding import is_encoding
from reviewbox.errors import SettingsError

_VARIABLE_PREFIX = "REVIEWBOX_"

_AFFECTS_RESULTS = {"affects_results": True}

# The values of `needs_review_below` for 2 and for 4 labels. With them, 97% of the validation reviews that
# the bundled model leaves unmarked are right, as the model card says.
NEEDS_REVIEW_BELOW = {2: 0.93, 4: 0.7}


@dataclass(frozen=True, slots=True)
class Settings:
    """Each attribute is an environment variable: `REVIEWBOX_` and the attribute's name in capitals."""

    results_bucket: str = ""  # the bucket for results; "" for the bucket of the source
    # Only objects whose keys start with this prefix are classified; "" for all objects.
    source_prefix: str = "incoming/"
    results_prefix: str = "results/"  # the prefix of result keys
    # The field of a table that contains the review; "" to detect it.
    text_field: str = field(default="", metadata=_AFFECTS_RESULTS)
    # The encoding of bytes that are not UTF-8; "" to refuse them.
    fallback_encoding: str = field(default="windows-1252", metadata=_AFFECTS_RESULTS)
    # 2 to answer only positive or negative; 4 for all answers of the model.
    labels: int = field(default=4, metadata=_AFFECTS_RESULTS)
    # Reviews with a lower score are marked for someone to check; 0 to 1. The default of the variable depends
    # on `labels`.
    needs_review_below: float = field(default=NEEDS_REVIEW_BELOW[4], metadata=_AFFECTS_RESULTS)
    # The largest object, decompressed, that is read as a whole; larger ones get an error. Tables of lines and
    # Parquet files may be larger.
    max_object_bytes: int = field(default=16 * 1024 * 1024, metadata=_AFFECTS_RESULTS)
    # Larger tables of lines are classified in segments of about this size.
    segment_bytes: int = field(default=1024 * 1024, metadata=_AFFECTS_RESULTS)
    work_prefix: str = "work/"  # the prefix of the keys that coordinate large tables, in the results bucket
    # The queue whose messages get an invocation each, for segments and for uploads that a batch could not
    # start; "" to classify segments one after the other.
    queue_url: str = ""
    max_receives: int = 5  # how often the queue delivers a message before it becomes a dead letter
    threads: int = 1  # the number of threads for inference
    # How many small objects of a batch are processed concurrently, so that waiting for S3 costs no time.
    objects_at_once: int = 100
    model_dir: str = ""  # the model folder; "" for the shipped model
    metrics_namespace: str = ""  # the CloudWatch namespace of the metrics that are logged; "" to log none
    event_bus: str = ""  # the EventBridge bus that gets an event for each result; "" to send none
    # The prefix of the keys of the catalog, in the results bucket; "" for no catalog.
    catalog_prefix: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings of the `REVIEWBOX_*` variables in `environ`, with defaults for the others.

        Raises:
            SettingsError: some variables have invalid values; the message lists all of them.
        """
        values: dict[str, Any] = {}
        errors: list[str] = []
        for setting in fields(cls):
            variable = _VARIABLE_PREFIX + setting.name.upper()
            # The type of a setting is that of its default. An empty number counts as not set.
            kind = type(getattr(cls(), setting.name))
            if variable not in environ or (kind is not str and not environ[variable]):
                continue
            try:
                values[setting.name] = kind(environ[variable])
            except ValueError:
                expected = "a whole number" if kind is int else "a number"
                errors.append(f"{variable}={environ[variable]!r} is not {expected}")
        if "labels" in values:
            default = NEEDS_REVIEW_BELOW.get(values["labels"], cls().needs_review_below)
            values.setdefault("needs_review_below", default)
        settings = cls(**values)
        errors += settings._errors()
        if errors:
            raise SettingsError("; ".join(errors))
        return settings

    @property
    def read_options(self) -> ReadOptions:
        """The options for reading documents."""
        # A segment is also read as a whole.
        segment_bytes = min(self.segment_bytes, self.max_object_bytes)
        return ReadOptions(self.text_field, self.fallback_encoding, self.max_object_bytes, segment_bytes)

    @property
    def two_labels(self) -> bool:
        """Whether verdicts are only positive or negative."""
        return self.labels == 2  # noqa: PLR2004 - as documented above

    @property
    def digest(self) -> str:
        """The SHA-256 digest of the settings that affect results."""
        values = {s.name: getattr(self, s.name) for s in fields(self) if "affects_results" in s.metadata}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def _errors(self) -> list[str]:
        sources = [] if self.results_bucket else [self.source_prefix]  # those in the results bucket
        rules = {
            "SOURCE_PREFIX must be empty or end with a slash": self.source_prefix[-1:] in ("", "/"),
            "RESULTS_PREFIX must end with a slash": self.results_prefix.endswith("/"),
            "WORK_PREFIX must end with a slash": self.work_prefix.endswith("/"),
            f"SOURCE_PREFIX and {_VARIABLE_PREFIX}RESULTS_PREFIX must not contain each other, or results "
            "would be classified again": bool(self.results_bucket)
            or not _overlap(self.source_prefix, self.results_prefix),
            f"WORK_PREFIX must not overlap with {_VARIABLE_PREFIX}SOURCE_PREFIX or {_VARIABLE_PREFIX}"
            "RESULTS_PREFIX": not _overlap(self.work_prefix, self.results_prefix)
            and (bool(self.results_bucket) or not _overlap(self.work_prefix, self.source_prefix)),
            "CATALOG_PREFIX must be empty or end with a slash": self.catalog_prefix[-1:] in ("", "/"),
            f"CATALOG_PREFIX must not overlap with {_VARIABLE_PREFIX}SOURCE_PREFIX, {_VARIABLE_PREFIX}"
            f"RESULTS_PREFIX or {_VARIABLE_PREFIX}WORK_PREFIX": not self.catalog_prefix
            or not any(
                _overlap(self.catalog_prefix, prefix)
                for prefix in (self.results_prefix, self.work_prefix, *sources)
            ),
            f"FALLBACK_ENCODING: Python does not know the encoding {self.fallback_encoding!r}": (
                not self.fallback_encoding or is_encoding(self.fallback_encoding)
            ),
            "LABELS must be 2 or 4": self.labels in (2, 4),
            "NEEDS_REVIEW_BELOW must be between 0 and 1": 0 <= self.needs_review_below <= 1,
            "MAX_OBJECT_BYTES must be at least 1": self.max_object_bytes >= 1,
            "SEGMENT_BYTES must be at least 1": self.segment_bytes >= 1,
            "MAX_RECEIVES must be at least 1": self.max_receives >= 1,
            "THREADS must be at least 1": self.threads >= 1,
            "OBJECTS_AT_ONCE must be at least 1": self.objects_at_once >= 1,
        }
        return [_VARIABLE_PREFIX + rule for rule, is_met in rules.items() if not is_met]


def _overlap(prefix: str, other: str) -> bool:
    return prefix.startswith(other) or other.startswith(prefix)
