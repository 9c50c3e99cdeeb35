import json
from dataclasses import replace

import pytest

from reviewbox.documents import Row, Table
from reviewbox.errors import ErrorCode, Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.results.added_fields import AddedFields
from reviewbox.results.receipt import Counts

VERDICT = Verdict("positive", 0.87654, {"negative": 0.12346, "positive": 0.87654}, 7, 1, 0.98)
EMPTY = Problem(ErrorCode.EMPTY_REVIEW, "line 2: no words")


def added_to(*fields: str, has_notes: bool = False) -> AddedFields:
    table = Table("jsonl", "text/plain", frozenset(fields), lambda *_: "", str, has_notes=has_notes)
    return AddedFields(table, 0.8)


def test_a_row_gets_its_verdict() -> None:
    assert added_to().values(Row(7, "good"), VERDICT) == {
        "sentiment": "positive",
        "score": 0.8765,
        "needs_review": False,
        "other_language": False,
        "error_code": None,
        "error_message": None,
    }


def test_a_row_gets_its_problem() -> None:
    assert added_to().values(Row(2), EMPTY) == {
        "sentiment": None,
        "score": None,
        "needs_review": None,
        "other_language": None,
        "error_code": "empty_review",
        "error_message": "line 2: no words",
    }


def test_a_row_that_is_not_a_review_gets_empty_fields_and_is_not_counted() -> None:
    added = added_to()

    values = added.values(Row(3, is_passthrough=True), None)

    assert set(values.values()) == {None}
    assert added.counts.to_dict()["total"] == 0


def test_a_table_with_notes_has_a_field_for_them() -> None:
    added = added_to(has_notes=True)

    rows = Row(2, "good", note="the title"), Row(3, "bad")

    assert [added.values(row, VERDICT)["note"] for row in rows] == ["the title", None]


@pytest.mark.parametrize(
    ("used", "names"),
    [
        (["text"], ["sentiment", "score", "needs_review"]),
        (["score"], ["sentiment", "reviewbox_score", "needs_review"]),
        (["sentiment", "reviewbox_sentiment"], ["reviewbox_reviewbox_sentiment", "score", "needs_review"]),
        (["Score", "reviewbox_needs_review"], ["sentiment", "score", "needs_review"]),
    ],
)
def test_an_added_field_gets_a_prefix_if_its_name_is_in_use(used: list[str], names: list[str]) -> None:
    added = added_to(*used)

    assert added.names == [*names, "other_language", "error_code", "error_message"]
    assert list(added.values(Row(1, "good"), VERDICT)) == added.names


def test_rows_are_counted() -> None:
    added = added_to()

    for label, score in [("positive", 0.9), ("negative", 0.6), ("positive", 0.7), ("neutral", 0.8)]:
        scores = {"other": 1 - score, label: score}
        added.values(Row(1, "good"), replace(VERDICT, label=label, score=score, scores=scores))
    foreign = replace(
        VERDICT, label="neutral", scores={"neutral": 0.95, "positive": 0.05}, known_language=0.1
    )
    added.values(Row(4, "bueno"), foreign)
    added.values(Row(5), EMPTY)

    assert added.counts == Counts({"positive": 2, "negative": 1, "neutral": 2}, 3, {"empty_review": 1}, 1)


def test_the_counts_do_not_depend_on_the_order_of_rows() -> None:
    labels = ["b", "a", "c", "a"]
    forwards, backwards = added_to(), added_to()

    for label, reverse in zip(labels, reversed(labels), strict=True):
        forwards.values(Row(1, "good"), replace(VERDICT, label=label, scores={label: 1.0}))
        backwards.values(Row(1, "good"), replace(VERDICT, label=reverse, scores={reverse: 1.0}))

    assert json.dumps(forwards.counts.to_dict()) == json.dumps(backwards.counts.to_dict())
