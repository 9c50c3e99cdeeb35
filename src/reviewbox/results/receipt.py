"""Receipts: the record of the outcome for each source. Pure.

A receipt contains nothing that differs between runs, such as a time, a duration or a host name. The same
source, model and settings give the same bytes, as long as the same receipt is replaced.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from reviewbox.documents import Value
from reviewbox.errors import Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.objects import ObjectRef, Revision

RECEIPT_CONTENT_TYPE = "application/json"
MAX_RECEIPT_BYTES = 64 * 1024 * 1024  # far more than any receipt needs

# Raised whenever results change their format, so that older ones are recreated.
_FORMAT = 4

# Raised whenever plans of large tables change their format, or a reader splits tables in other places.
_PLAN_FORMAT = 3

# The first digits of a table's id depend on the replaced receipt only, and the next on the source only.
_ID_START = _ID_OWNER = 8
_ID_END = 16
_REPLACES = "replaces"

# Shares are given in this many parts of one.
_SHARE_UNITS = 10_000


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything that a result depends on: equal provenance gives an equal result."""

    source: ObjectRef  # the classified object
    revision: Revision | None  # its revision; None if the object could not be read
    model: str  # the model's digest
    settings: str  # the digest of the settings that affect results
    calibrated: bool  # whether the model's scores are calibrated

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the provenance that `to_dict` returned as `data`."""
        source, model = data["source"], data["model"]
        return cls(
            ObjectRef(source["bucket"], source["key"]),
            Revision(source["etag"], source["version"]) if "etag" in source else None,
            model["sha256"],
            data["settings"]["sha256"],
            model["calibrated"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the provenance as a receipt records it."""
        return {
            "source": asdict(self.source) | (asdict(self.revision) if self.revision else {}),
            "model": {"sha256": self.model, "calibrated": self.calibrated},
            "settings": {"sha256": self.settings},
            "format": _FORMAT,
        }

    def table_id(self, replaces: str | None) -> str:
        """Return the id of a table with this provenance.

        `replaces` is the ETag of the receipt that the table's receipt will replace. Because of it, no id
        recurs once another result has been recorded (ADR 14).
        """
        identity = {**self.to_dict(), "plan_format": _PLAN_FORMAT, "replaces": replaces}
        digest = _digest(json.dumps(identity, sort_keys=True))
        return f"{_table_id_start(replaces)}{_table_id_owner(self.source)}{digest[:_ID_END]}"


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a classified table, as it was written to S3."""

    bucket: str
    key: str
    etag: str

    @property
    def ref(self) -> ObjectRef:
        """The object's bucket and key."""
        return ObjectRef(self.bucket, self.key)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of a table got which result; `+` adds the counts of two parts of a table."""

    labels: Mapping[str, int] = field(default_factory=dict)  # the number of rows with each label
    needs_review: int = 0  # the number of rows that someone should look at
    errors: Mapping[str, int] = field(default_factory=dict)  # the number of rows with each error code
    other_language: int = 0  # the number of rows in a language that the model does not know

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            Counter(self.labels) + Counter(other.labels),
            self.needs_review + other.needs_review,
            Counter(self.errors) + Counter(other.errors),
            self.other_language + other.other_language,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the counts that `to_dict` returned as `data`."""
        return cls(data["labels"], data["needs_review"], data["errors"], data["other_language"])

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as a receipt records them; total = the labels + failed."""
        failed = sum(self.errors.values())
        return {
            "total": sum(self.labels.values()) + failed,
            "labels": dict(sorted(self.labels.items())),
            "needs_review": self.needs_review,
            "other_language": self.other_language,
            "failed": failed,
            "errors": dict(sorted(self.errors.items())),
        }


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of one source: a verdict, a table's counts and parts, or an error."""

    content: Mapping[str, Any]  # the receipt as JSON; empty for a stored object that is not a valid receipt

    @classmethod
    def for_verdict(
        cls, verdict: Verdict, provenance: Provenance, notes: Mapping[str, Value], needs_review_below: float
    ) -> Self:
        """Return the receipt of a source that is a single review."""
        return cls(
            {**verdict_fields(verdict, needs_review_below), "notes": dict(notes), **provenance.to_dict()}
        )

    @classmethod
    def for_table(
        cls, counts: Counts, parts: Iterable[Part], provenance: Provenance, notes: Mapping[str, Value]
    ) -> Self:
        """Return the receipt of a table."""
        return cls(
            {
                "counts": counts.to_dict(),
                "parts": [asdict(part) for part in parts],
                "notes": dict(notes),
                **provenance.to_dict(),
            }
        )

    @classmethod
    def for_error(cls, problem: Problem, provenance: Provenance, *, final: bool) -> Self:
        """Return the receipt of a source that has no result.

        `final` says that another attempt would give the same error; if not, the next delivery tries again.
        """
        error = {"code": problem.code, "message": problem.message, "final": final}
        return cls({"error": error, **provenance.to_dict()})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return the receipt that `body` encodes, without content if `body` is not a valid receipt."""
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            content = None
        return cls(content if _is_valid(content) else {})

    def encode(self) -> bytes:
        """Return the receipt as it is stored."""
        text = json.dumps(self.content, ensure_ascii=False, indent=2)
        return text.encode("utf-8", "backslashreplace") + b"\n"

    @property
    def parts(self) -> list[Part]:
        """The parts of the table; empty if the source is not a table."""
        return [Part(**part) for part in self.content.get("parts", [])]

    @property
    def counts(self) -> Counts:
        """How many reviews got which result; a single review is one, and an error none."""
        if "counts" in self.content:
            return Counts.from_dict(self.content["counts"])
        if not self.has_result:
            return Counts()
        label, needs_review = self.content["sentiment"], self.content["needs_review"]
        return Counts({label: 1}, int(needs_review), {}, int(bool(self.content["other_language"])))

    @property
    def source(self) -> ObjectRef | None:
        """The source; None if the receipt is not valid."""
        source = self.content.get("source")
        return ObjectRef(source["bucket"], source["key"]) if source else None

    @property
    def replaces(self) -> str | None:
        """The ETag of the receipt that this one has replaced; None if it was the source's first."""
        etag = self.content.get(_REPLACES)
        return etag if isinstance(etag, str) else None

    def replacing(self, etag: str | None) -> "Receipt":
        """Return this receipt as the replacement of the one with this ETag; None if there is none."""
        rest = {name: value for name, value in self.content.items() if name != _REPLACES}
        return replace(self, content=rest if etag is None else {**rest, _REPLACES: etag})

    @property
    def is_final(self) -> bool:
        """Whether another attempt would give the same result for the same source, model and settings."""
        return self.content.get("error", {}).get("final") is not False

    @property
    def has_result(self) -> bool:
        """Whether it records a verdict or a table, and not an error."""
        return bool(self.content) and "error" not in self.content

    @property
    def is_complete(self) -> bool:
        """Whether it has the values that workers write. Somebody else may have written or edited it."""
        content = self.content
        if "error" in content:
            return isinstance(content["error"].get("final"), bool)
        if "counts" in content:
            counts = content["counts"]
            rows = [*counts["labels"].values(), *counts["errors"].values(), counts.get("other_language")]
            return all(isinstance(count, int) for count in rows)
        is_verdict = isinstance(content.get("sentiment"), str) and "other_language" in content
        return is_verdict and isinstance(content.get("needs_review"), bool)

    def is_of_revision(self, provenance: Provenance) -> bool:
        """Return whether the receipt is for this revision of the source, with any model and settings."""
        recorded: Any = self.content.get("source")
        return bool(recorded == provenance.to_dict()["source"])

    def is_current(self, provenance: Provenance) -> bool:
        """Return whether the receipt is the final result for exactly this source, model and settings."""
        expected = provenance.to_dict()
        is_for = {name: self.content.get(name) for name in expected} == expected
        return is_for and self.is_final and self.is_complete


def may_replace(table_id: str, etag: str | None) -> bool:
    """Return whether the table with this id was made to replace the receipt with this ETag."""
    return table_id.startswith(_table_id_start(etag))


def is_made_from(table_id: str, source: ObjectRef) -> bool:
    """Return whether the table with this id belongs to a source.

    Sources with the same key in different buckets may have the same keys for their tables.
    """
    return table_id[_ID_START:].startswith(_table_id_owner(source))


def outcome_fields(outcome: Verdict | Problem, needs_review_below: float) -> dict[str, Any]:
    """Return a verdict, or the reason why there is none, as results show it."""
    if isinstance(outcome, Problem):
        return problem_fields(outcome)
    return verdict_fields(outcome, needs_review_below)


def verdict_fields(verdict: Verdict, needs_review_below: float) -> dict[str, Any]:
    """Return a verdict as results show it; a table's rows get the first four fields only."""
    scores = _rounded_shares(verdict.scores)
    score = scores[verdict.label]
    return {
        "sentiment": verdict.label,
        "score": score,
        "needs_review": score < needs_review_below or bool(verdict.is_other_language),
        "other_language": verdict.is_other_language,
        "scores": scores,
        "tokens": verdict.tokens,
        "windows": verdict.windows,
        "evidence": [
            {
                "start": sentence.start,
                "end": sentence.end,
                "label": sentence.label,
                "support": round(sentence.support, 4),
            }
            for sentence in verdict.evidence
        ],
    }


def problem_fields(problem: Problem) -> dict[str, Any]:
    """Return a review's problem as results show it."""
    return {"error_code": str(problem.code), "error_message": problem.message}


def _table_id_start(replaces: str | None) -> str:
    return _digest(json.dumps(replaces))[:_ID_START]


def _table_id_owner(source: ObjectRef) -> str:
    return _digest(json.dumps(asdict(source)))[:_ID_OWNER]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _rounded_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the shares in ten-thousandths, which sum to one as the shares do.

    Those that lose most by rounding down are rounded up (the method of the largest remainder).
    """
    scaled = {name: share * _SHARE_UNITS for name, share in shares.items()}
    units = {name: int(value) for name, value in scaled.items()}
    missing = round(sum(scaled.values())) - sum(units.values())
    for name in sorted(scaled, key=lambda name: units[name] - scaled[name])[:missing]:
        units[name] += 1
    return {name: count / _SHARE_UNITS for name, count in units.items()}


def _is_valid(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and content.get("format") == _FORMAT
        and len(content.keys() & {"sentiment", "counts", "error"}) == 1
        and _has_strings(content.get("source"), "bucket", "key")
        and _is_encodable(content["source"]["key"])
        and ("error" not in content or _has_strings(content["error"], "code", "message"))
        and ("counts" not in content or _is_counts(content["counts"]))
        and isinstance(content.get("parts", []), list)
        and all(
            _has_strings(part, *Part.__slots__) and len(part) == len(Part.__slots__)
            for part in content.get("parts", [])
        )
        and ("counts" in content) == bool(content.get("parts"))
    )


def _has_strings(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in names)


def _is_encodable(key: str) -> bool:
    """Return whether S3 can have such a key. JSON can hold half of a character, and UTF-8 cannot."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_counts(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), int) for name in ("total", "failed", "needs_review"))
        and all(isinstance(value.get(name), dict) for name in ("labels", "errors"))
    )
