import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbox.errors import ErrorCode, Problem
from reviewbox.model.verdicts import Evidence, Verdict
from reviewbox.objects import ObjectRef, Revision
from reviewbox.results.receipt import Counts, Part, Provenance, Receipt, verdict_fields

PROVENANCE = Provenance(
    source=ObjectRef("reviews", "incoming/café+é.txt"),
    revision=Revision('"etag"', "version-1"),
    model="5e0d",
    settings="a91c",
    calibrated=True,
)
OTHERS = {
    "another bucket": replace(PROVENANCE, source=ObjectRef("other", PROVENANCE.source.key)),
    "another key": replace(PROVENANCE, source=ObjectRef("reviews", "incoming/b.txt")),
    "another content": replace(PROVENANCE, revision=Revision('"other"', "version-1")),
    "another version": replace(PROVENANCE, revision=Revision('"etag"', "version-2")),
    "no revision": replace(PROVENANCE, revision=None),
    "another model": replace(PROVENANCE, model="beef"),
    "other settings": replace(PROVENANCE, settings="beef"),
    "another calibration": replace(PROVENANCE, calibrated=False),
}
VERDICT = Verdict(
    label="positive",
    score=0.87654,
    scores={"negative": 0.12346, "positive": 0.87654},
    tokens=200,
    windows=2,
    known_language=0.97,
    evidence=(Evidence(3, 17, "positive", 1.234567), Evidence(20, 31, "positive", -0.5)),
)
NOT_TEXT = Problem(ErrorCode.NOT_TEXT, "binary data")
PARTS = [Part("results", "a.classified.jsonl", '"1"'), Part("results", "b", '"2"')]
NOTES = {"encoding": "utf-8"}
COUNTS = Counts({"positive": 1, "negative": 2}, 1, {"empty_review": 1}, 2)


def receipts(provenance: Provenance) -> list[Receipt]:
    """A receipt of each kind, decoded from its stored form."""
    made = [
        Receipt.for_verdict(VERDICT, provenance, NOTES, 0.8),
        Receipt.for_table(COUNTS, PARTS, provenance, NOTES),
        Receipt.for_error(NOT_TEXT, provenance, final=True),
    ]
    return [Receipt.decode(receipt.encode()) for receipt in made]


def test_the_receipt_of_a_verdict() -> None:
    receipt = json.loads(Receipt.for_verdict(VERDICT, PROVENANCE, NOTES, 0.8).encode())

    assert receipt == {
        "sentiment": "positive",
        "score": 0.8765,
        "needs_review": False,
        "other_language": False,
        "scores": {"negative": 0.1235, "positive": 0.8765},
        "tokens": 200,
        "windows": 2,
        "evidence": [
            {"start": 3, "end": 17, "label": "positive", "support": 1.2346},
            {"start": 20, "end": 31, "label": "positive", "support": -0.5},
        ],
        "notes": {"encoding": "utf-8"},
        "source": {
            "bucket": "reviews",
            "key": "incoming/café+é.txt",
            "etag": '"etag"',
            "version": "version-1",
        },
        "model": {"sha256": "5e0d", "calibrated": True},
        "settings": {"sha256": "a91c"},
        "format": 4,
    }


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(any))
def test_rounded_scores_sum_to_one(weights: list[float]) -> None:
    scores = {str(index): weight / sum(weights) for index, weight in enumerate(weights)}
    label = max(scores, key=lambda name: scores[name])

    fields = verdict_fields(replace(VERDICT, label=label, score=scores[label], scores=scores), 0.8)

    assert sum(round(score * 10_000) for score in fields["scores"].values()) == 10_000
    assert fields["score"] == fields["scores"][label]
    assert all(abs(fields["scores"][name] - score) <= 1e-4 for name, score in scores.items())


@pytest.mark.parametrize(("known_language", "other_language"), [(0.51, False), (0.49, True), (None, None)])
def test_a_text_in_another_language_is_marked_and_needs_review(
    known_language: float | None,
    other_language: bool | None,  # noqa: FBT001
) -> None:
    fields = verdict_fields(replace(VERDICT, known_language=known_language), 0.8)

    assert fields["other_language"] is other_language
    assert fields["needs_review"] is bool(other_language)


def test_the_receipt_of_a_table_has_counts_and_parts() -> None:
    receipt = json.loads(Receipt.for_table(COUNTS, PARTS, PROVENANCE, NOTES).encode())

    assert receipt["counts"] == {
        "total": 4,
        "labels": {"negative": 2, "positive": 1},
        "needs_review": 1,
        "other_language": 2,
        "failed": 1,
        "errors": {"empty_review": 1},
    }
    assert list(receipt["counts"]["labels"]) == ["negative", "positive"]
    assert receipt["parts"] == [
        {"bucket": "results", "key": "a.classified.jsonl", "etag": '"1"'},
        {"bucket": "results", "key": "b", "etag": '"2"'},
    ]
    assert receipt["notes"] == NOTES
    assert receipt["source"]["version"] == "version-1"


@pytest.mark.parametrize("final", [True, False])
def test_the_receipt_of_an_error_says_what_is_wrong(final: bool) -> None:  # noqa: FBT001
    receipt = json.loads(Receipt.for_error(NOT_TEXT, PROVENANCE, final=final).encode())

    assert receipt["error"] == {"code": "not_text", "message": "binary data", "final": final}
    assert receipt["source"]["key"] == "incoming/café+é.txt"


def test_a_source_that_was_never_read_has_no_revision() -> None:
    receipt = json.loads(Receipt.for_error(NOT_TEXT, OTHERS["no revision"], final=False).encode())

    assert receipt["source"] == {"bucket": "reviews", "key": "incoming/café+é.txt"}


def test_equal_input_gives_equal_bytes() -> None:
    first, second = receipts(PROVENANCE), receipts(replace(PROVENANCE))

    assert [receipt.encode() for receipt in first] == [receipt.encode() for receipt in second]


def test_people_can_read_a_receipt() -> None:
    for receipt in receipts(PROVENANCE):
        text = receipt.encode().decode()
        assert "café+é" in text
        assert text.startswith('{\n  "')
        assert text.endswith("\n}\n")


def test_a_lone_surrogate_can_be_recorded() -> None:
    body = Receipt.for_verdict(VERDICT, PROVENANCE, {"text_field": "\ud800"}, 0.8).encode()

    assert json.loads(body)["notes"]["text_field"] == "\ud800"


@pytest.mark.parametrize(
    ("score", "needs_review"), [(0.79, True), (0.79996, False), (0.8, False), (0.81, False), (0.79994, True)]
)
def test_a_score_below_the_threshold_needs_review(score: float, needs_review: bool) -> None:  # noqa: FBT001
    """The rounded score that people see counts."""
    verdict = replace(VERDICT, score=score, scores={"negative": 1 - score, "positive": score})
    receipt = Receipt.for_verdict(verdict, PROVENANCE, NOTES, 0.8).content

    assert receipt["needs_review"] is needs_review
    assert (receipt["score"] < 0.8) is needs_review


def test_a_receipt_is_current_for_its_own_provenance() -> None:
    assert [receipt.is_current(PROVENANCE) for receipt in receipts(PROVENANCE)] == [True, True, True]


@pytest.mark.parametrize("other", OTHERS)
def test_a_receipt_is_not_current_for_another_provenance(other: str) -> None:
    for receipt in receipts(PROVENANCE):
        assert not receipt.is_current(OTHERS[other])
    for receipt in receipts(OTHERS[other]):
        assert not receipt.is_current(PROVENANCE)


def test_an_error_that_a_retry_may_fix_is_never_current() -> None:
    assert not Receipt.for_error(NOT_TEXT, PROVENANCE, final=False).is_current(PROVENANCE)


def test_verdicts_and_tables_are_results_and_errors_are_not() -> None:
    assert [receipt.has_result for receipt in receipts(PROVENANCE)] == [True, True, False]


def test_a_receipt_lists_its_parts() -> None:
    verdict, table, error = receipts(PROVENANCE)

    assert table.parts == PARTS
    assert verdict.parts == error.parts == []


VALID = Receipt.for_verdict(VERDICT, PROVENANCE, NOTES, 0.8).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"error": "of another program", "parts": 5}',
        VALID[:-10],
        VALID.replace(b'"format": 4', b'"format": 0'),
    ],
)
def test_an_object_that_is_not_a_receipt_counts_as_an_outdated_one(body: bytes) -> None:
    receipt = Receipt.decode(body)

    assert not receipt.is_current(PROVENANCE)
    assert not receipt.has_result
    assert receipt.parts == []


@pytest.mark.parametrize(
    "content",
    [
        {"source": None},
        {"source": {"bucket": "b"}},
        {"source": {"bucket": "b", "key": "\ud800"}},
        {"error": "no"},
        {"error": {}},
        {"error": {"code": 1, "message": "no"}},
        {"counts": 1},
        {"counts": {"total": "1", "failed": 0}},
        {"counts": {"total": 1, "failed": 0, "needs_review": 0}},
        {"counts": {"total": 1, "failed": 0, "needs_review": 0, "labels": [], "errors": {}}},
        {"parts": "none"},
        {"parts": [{"key": "a"}]},
        {"parts": [{"bucket": "b", "key": "a", "etag": 1}]},
    ],
)
def test_a_receipt_with_malformed_fields_counts_as_an_outdated_one(content: dict[str, Any]) -> None:
    valid = json.loads(VALID)
    assert Receipt.decode(json.dumps(valid).encode()).content == valid

    receipt = Receipt.decode(json.dumps(valid | content).encode())

    assert receipt.content == {}
    assert receipt.parts == []
    assert not receipt.has_result


def test_the_counts_of_parts_add_up() -> None:
    parts = [
        Counts({"positive": 1}, 1, {"empty_review": 1}, 1),
        Counts({"negative": 2, "positive": 1}, 0, {}, 2),
    ]

    total = sum(parts, Counts())

    assert total == Counts({"negative": 2, "positive": 2}, 1, {"empty_review": 1}, 3)
    assert total.to_dict()["total"] == 5
    assert Counts.from_dict(total.to_dict()) == total


def test_the_counts_of_an_empty_table_are_zero() -> None:
    assert Counts().to_dict() == {
        "total": 0,
        "labels": {},
        "needs_review": 0,
        "other_language": 0,
        "failed": 0,
        "errors": {},
    }
