"""What a receipt says. Pure.

Nothing in a result changes from run to run: no time, duration or host. The same source, model and
settings give the same bytes.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from reviewbox.documents import Value
from reviewbox.errors import Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.objects import ObjectRef, Revision

RECEIPT_CONTENT_TYPE = "application/json"
LARGEST_RECEIPT = 64 * 1024 * 1024  # bytes; none that we write comes near it

# Of rows: how many there are, have each label, need a look, and failed for each reason.
Counts = Mapping[str, int | dict[str, int]]

# Raised when results change their shape, so that older ones are made anew.
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a result was made from: the same provenance gives the same result.

    Attributes:
        source: the object.
        revision: its state; None if it could not be read.
        model: the model's digest.
        settings: the digest of the settings that shape results.
        calibrated: whether the model's scores are calibrated.
    """

    source: ObjectRef
    revision: Revision | None
    model: str
    settings: str
    calibrated: bool

    @classmethod
    def restore(cls, fields: Mapping[str, Any]) -> Self:
        """Make it of its `fields`."""
        source, model = fields["source"], fields["model"]
        return cls(
            ObjectRef(source["bucket"], source["key"]),
            Revision(source["etag"], source["version"]) if "etag" in source else None,
            model["sha256"],
            fields["settings"]["sha256"],
            model["calibrated"],
        )

    def fields(self) -> dict[str, Any]:
        """Return it as a receipt records it."""
        return {
            "source": asdict(self.source) | (asdict(self.revision) if self.revision else {}),
            "model": {"sha256": self.model, "calibrated": self.calibrated},
            "settings": {"sha256": self.settings},
            "format": _FORMAT,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a source's classified table as it lies in S3."""

    bucket: str
    key: str
    etag: str

    @property
    def ref(self) -> ObjectRef:
        """The object that it is."""
        return ObjectRef(self.bucket, self.key)


def verdict_receipt(
    verdict: Verdict, provenance: Provenance, notes: Mapping[str, Value], needs_review_below: float
) -> bytes:
    """Return the receipt of a source that is one review."""
    return _encoded(
        {**verdict_fields(verdict, needs_review_below), "notes": dict(notes), **provenance.fields()}
    )


def table_receipt(
    counts: Counts,
    parts: Iterable[Part],
    provenance: Provenance,
    notes: Mapping[str, Value],
) -> bytes:
    """Return the receipt of a table: its counts and where its parts are."""
    return _encoded(
        {
            "counts": counts,
            "parts": [asdict(part) for part in parts],
            "notes": dict(notes),
            **provenance.fields(),
        }
    )


def error_receipt(problem: Problem, provenance: Provenance, *, final: bool) -> bytes:
    """Return the receipt of a source without a result.

    Args:
        problem: why there is none.
        provenance: of what there is none.
        final: whether trying again would give the same; else the next delivery tries again.
    """
    error = {"code": problem.code, "message": problem.message, "final": final}
    return _encoded({"error": error, **provenance.fields()})


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it lies in S3.

    Attributes:
        etag: of the receipt, for conditional writes.
        content: what it says; empty if it is not ours to read.
    """

    etag: str
    content: Mapping[str, Any]

    @classmethod
    def decode(cls, etag: str, body: bytes) -> Self:
        """Read a receipt; one that is none of ours has no content, and so is made anew."""
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            content = None
        return cls(etag, content if _is_ours(content) else {})

    @property
    def parts(self) -> list[Part]:
        """The parts of the table it records."""
        return [Part(**part) for part in self.content.get("parts", [])]

    @property
    def has_result(self) -> bool:
        """Whether it is a verdict's or a table's, and not an error's."""
        return bool(self.content) and "error" not in self.content

    def is_current(self, provenance: Provenance) -> bool:
        """Whether it records exactly this source, model and settings, and is no call for another try."""
        if self.content.get("error", {}).get("final") is False:
            return False
        expected = provenance.fields()
        return {name: self.content.get(name) for name in expected} == expected


def _is_ours(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and content.get("format") == _FORMAT
        and _is_text(content.get("source"), "bucket", "key")
        and ("error" not in content or _is_text(content["error"], "code", "message"))
        and ("counts" not in content or _is_counts(content["counts"]))
        and isinstance(content.get("parts", []), list)
        and all(
            _is_text(part, "bucket", "key", "etag") and len(part) == len(Part.__slots__)
            for part in content.get("parts", [])
        )
    )


def _is_text(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in names)


def _is_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), int) for name in ("total", "failed"))


def verdict_fields(verdict: Verdict, needs_review_below: float) -> dict[str, Any]:
    """Return a verdict as results give it; a table has only its first three fields."""
    score = _rounded(verdict.score)
    return {
        "sentiment": verdict.label,
        "score": score,
        "needs_review": score < needs_review_below,
        "scores": {label: _rounded(probability) for label, probability in verdict.scores.items()},
        "tokens": verdict.tokens,
        "windows": verdict.windows,
        "evidence": [
            {"start": sentence.start, "end": sentence.end, "support": _rounded(sentence.support)}
            for sentence in verdict.evidence
        ],
    }


def problem_fields(problem: Problem) -> dict[str, Any]:
    """Return what is wrong with a review as results give it."""
    return {"error_code": str(problem.code), "error_message": problem.message}


def _rounded(number: float) -> float:
    return round(number, 4)


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace") + b"\n"
