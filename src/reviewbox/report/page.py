"""Renders a summary as one self-contained HTML page."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from reviewbox.report.statistics import wilson_interval
from reviewbox.report.summary import LANGUAGE, Review, SampledRow, Summary
from reviewbox.wording import number_of

_PARTS = files("reviewbox.report") / "page"
_SCRIPTS = ("vendor/d3.min.js", "vendor/plot.min.js", "report.js")
_LICENSES = "vendor/LICENSES.txt"


def render(summary: Summary) -> str:
    """Return the page as HTML.

    The scripts are allowed by their hashes, and everything that needs a network is forbidden. The data is
    compressed and in base64, so the text of a review cannot be mistaken for markup or a script.
    """
    scripts = [_read(name) for name in _SCRIPTS]
    return Template(_read("report.html")).substitute(
        title=escape(summary.title),
        policy=escape(_policy(scripts)),
        style=_read("report.css"),
        overview=escape(_overview(summary)),
        caveat=_caveat(summary),
        hidden_without_reviews="" if summary.total else " hidden",
        shares=_share_rows(summary),
        licenses=_read(_LICENSES),
        data=_data(summary),
        scripts="".join(f"<script>{script}</script>\n" for script in scripts),
    )


def _read(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # The charts have styles of their own. `require-trusted-types-for` forbids making elements from text.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )


def _overview(summary: Summary) -> str:
    parts = [number_of(summary.total, "review"), number_of(summary.sources, "file")]
    if summary.needs_review:
        parts.append(f"{summary.needs_review:,} need{'s' if summary.needs_review == 1 else ''} a look")
    if summary.failed:
        parts.append(f"{summary.failed:,} failed")
    return " · ".join(parts)


def _caveat(summary: Summary) -> str:
    """Return a paragraph that says how many answers are about reviews in other languages, if any."""
    if not summary.other_language:
        return ""
    are = "is" if summary.other_language == 1 else "are"
    has_others = summary.other_language < summary.total
    remedy = f" To leave them out, filter by “{LANGUAGE}”." if has_others else ""
    return (
        f'<p class="notice">{summary.other_language:,} of {number_of(summary.total, "review")} {are} in a '
        f"language that the model does not know. Do not rely on the answers about them.{remedy}</p>\n"
    )


def _share_rows(summary: Summary) -> str:
    """Return the rows of the first table, which is legible before any script has run."""
    rows = []
    for label, count in zip(summary.labels, summary.counts, strict=True):
        interval = wilson_interval(count, summary.total)
        share = 100 * count / summary.total
        cells = f"{share:.1f}%", f"{100 * interval.low:.1f}–{100 * interval.high:.1f}%", f"{count:,}"
        rows.append(
            f'<tr><th scope="row">{escape(label)}</th>' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
        )
    return "".join(rows)


def _data(summary: Summary) -> str:
    text = json.dumps(_payload(summary), ensure_ascii=False, separators=(",", ":"))
    compressed = gzip.compress(text.encode("utf-8", "replace"), mtime=0)
    return base64.b64encode(compressed).decode("ascii")


def _payload(summary: Summary) -> dict[str, Any]:
    # A sentence may have a label that no whole review has.
    said = sorted({segment.label for review in summary.reviews for segment in review.segments} - {""})
    labels = {label: index for index, label in enumerate(said)}
    return _members(
        summary,
        said=said,
        total=summary.total,
        failed=summary.failed,
        dimensions=list(map(_members, summary.dimensions)),
        rows=_rows(summary.rows, len(summary.dimensions)),
        reviews=[_review(review, labels) for review in summary.reviews],
        phrases=[
            _members(phrase, mentions=[[mention.review, mention.segment] for mention in phrase.mentions])
            for phrase in summary.phrases
        ],
        failures=[
            _members(group, listed=[[each.source, each.line, each.message] for each in group.listed])
            for group in summary.failures
        ],
    )


def _members(item: Any, **others: Any) -> dict[str, Any]:
    """Return the attributes of a dataclass, and other values, by their names in JavaScript."""
    values = {field.name: getattr(item, field.name) for field in fields(item)} | others
    return {re.sub(r"_([a-z])", lambda match: match[1].upper(), name): values[name] for name in values}


def _rows(rows: Sequence[SampledRow], dimensions: int) -> dict[str, list[Any]]:
    """Return the rows column by column, which compresses best."""
    return {
        "label": [row.label for row in rows],
        "score": [round(row.score, 2) for row in rows],
        "needsReview": [int(row.needs_review) for row in rows],
        "codes": [[row.codes[index] for row in rows] for index in range(dimensions)],
    }


def _review(review: Review, labels: Mapping[str, int]) -> dict[str, Any]:
    segments = [
        [s.text, labels.get(s.label, -1), round(s.score, 2), int(s.is_evidence)] for s in review.segments
    ]
    members = _members(review, segments=segments) | _members(review.facts)
    del members["facts"]
    return members
