"""Selects the review of a single JSON object that contains no list of reviews.

Many files that consist of one object are error responses, settings or translations, not reviews. So the
conditions are stricter than those for a field of many records.
"""

import re
from collections.abc import Mapping
from typing import Any

from reviewbox.documents.document import ReadOptions
from reviewbox.documents.field_names import name_score
from reviewbox.documents.formats.json_paths import Path
from reviewbox.documents.formats.json_sample import JsonSample, is_wrapper
from reviewbox.documents.review_field import (
    Candidate,
    ReviewField,
    eligible_candidates,
    select_review_field,
    suggestion,
)
from reviewbox.errors import ErrorCode, SourceError

# The names of a review, and those of a text of any kind, score at least this.
_REVIEW_NAME_SCORE = 3.0
_TEXT_NAME_SCORE = 1.5
# Programs put their messages into fields with these names.
_MESSAGE = re.compile(r"(?:message|msg|detail|details|info|description)s?", re.IGNORECASE)
# Fields that occur only in records that people wrote or rated.
_EVIDENCE = re.compile(
    r"(?:.*[_.-])?(?:rating|ratings|stars?|score|nps|author|user|username|reviewer|customer|recommend(?:ed)?|product)"
    r"(?:_?(?:id|name))?",
    re.IGNORECASE,
)
# Settings and translations have names such as "mail.footer".
_DOTTED = re.compile(r"[\w-]++(?:\.[\w-]++)++")
_MAX_CANDIDATES = 2
_MAX_NAME_LENGTH = 100


def select_own_field(sample: JsonSample, value: Mapping[str, Any]) -> ReviewField:
    """Return the field of an object that contains its review.

    Raises:
        SourceError: the object is empty, or no field can be the review.
    """
    if not value:
        raise SourceError(ErrorCode.MISSING_FIELD, "the object has no fields")
    has_evidence = any(_EVIDENCE.fullmatch(name) for name in value if len(name) <= _MAX_NAME_LENGTH)
    eligible = [
        candidate
        for candidate in eligible_candidates(sample.own)
        if _may_be_review(candidate, sample.paths[candidate.path], has_evidence=has_evidence)
    ]
    if not eligible or len(eligible) > _MAX_CANDIDATES:
        problem = "several fields look like reviews" if eligible else "no field looks like a review"
        candidates = [*sample.listed.candidates(), *sample.own.candidates()]
        raise _no_text_field(f"{problem}; {suggestion(eligible or candidates, list(sample.paths))}")
    fields = sample.own.subset({candidate.path for candidate in eligible})
    return select_review_field(fields, ReadOptions())


def refuse_rival(sample: JsonSample, listed: Candidate) -> None:
    """Raise SourceError if an object is a review itself and also contains a list that looks like reviews."""
    for own in eligible_candidates(sample.own):
        is_review = own.name_score >= _REVIEW_NAME_SCORE and _is_near(sample.paths[own.path])
        if is_review and own.score >= listed.score - 1:
            raise _no_text_field(
                "the object has a review and a list that looks like reviews; "
                + suggestion([listed, own], list(sample.paths))
            )


def _may_be_review(candidate: Candidate, path: Path, *, has_evidence: bool) -> bool:
    if _DOTTED.fullmatch(str(path[-1])):
        return False
    if candidate.name_score >= _REVIEW_NAME_SCORE:
        return _is_near(path)
    if _MESSAGE.fullmatch(str(path[-1])) or candidate.name_score < _TEXT_NAME_SCORE:
        return has_evidence and len(path) == 1
    return _is_near(path)


def _is_near(path: Path) -> bool:
    """Return whether each object around a field wraps a record or is called a review."""
    outer, name = [str(key) for key in path[:-1]], str(path[-1])
    is_text_of_review = name_score(name) >= _TEXT_NAME_SCORE and len(outer) == 1
    return all(map(is_wrapper, outer)) or (is_text_of_review and name_score(outer[0]) >= _REVIEW_NAME_SCORE)


def _no_text_field(message: str) -> SourceError:
    return SourceError(ErrorCode.NO_TEXT_FIELD, message)
