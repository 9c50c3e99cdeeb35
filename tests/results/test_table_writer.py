import json
from dataclasses import replace
from typing import Any

import pytest

from reviewbox.documents import Row, Table
from reviewbox.errors import ErrorCode, Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.results.receipt import Counts
from reviewbox.results.table_writer import TableWriter

VERDICT = Verdict("positive", 0.87654, {"negative": 0.12346, "positive": 0.87654}, 7, 1, 0.98)
EMPTY = Problem(ErrorCode.EMPTY_REVIEW, "line 2: no words")


def render(row: Row, added: Any) -> str:
    return json.dumps({"line": row.line, **added}) + "\n"


def writer(*fields: str, needs_review_below: float = 0.8) -> TableWriter:
    return TableWriter(Table("jsonl", "text/plain", frozenset(fields), render, str), needs_review_below)


def test_a_row_gets_its_verdict() -> None:
    line = writer().render(Row(7, "good"), VERDICT)

    assert json.loads(line) == {
        "line": 7,
        "sentiment": "positive",
        "score": 0.8765,
        "needs_review": False,
        "other_language": False,
        "error_code": None,
        "error_message": None,
    }


def test_a_row_gets_its_problem() -> None:
    line = writer().render(Row(2), EMPTY)

    assert json.loads(line) == {
        "line": 2,
        "sentiment": None,
        "score": None,
        "needs_review": None,
        "other_language": None,
        "error_code": "empty_review",
        "error_message": "line 2: no words",
    }


def test_a_row_that_is_not_a_review_gets_empty_fields_and_is_not_counted() -> None:
    table_writer = writer()

    line = table_writer.render(Row(3, is_passthrough=True), None)

    assert set(json.loads(line).values()) == {3, None}
    assert table_writer.counts.to_dict()["total"] == 0


def test_a_table_with_notes_has_a_field_for_them() -> None:
    table_writer = TableWriter(Table("jsonl", "text/plain", frozenset(), render, str, has_notes=True), 0.8)

    lines = [table_writer.render(row, VERDICT) for row in (Row(2, "good", note="the title"), Row(3, "bad"))]

    assert [json.loads(line)["note"] for line in lines] == ["the title", None]


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
    line = writer(*used).render(Row(1, "good"), VERDICT)

    assert list(json.loads(line)) == ["line", *names, "other_language", "error_code", "error_message"]


def test_the_header_names_the_added_fields() -> None:
    table = Table("csv", "text/csv", frozenset(["id", "score"]), render, str, ",".join)

    names = TableWriter(table, 0.8).header

    assert names == "sentiment,reviewbox_score,needs_review,other_language,error_code,error_message"


def test_a_table_may_have_no_header() -> None:
    assert writer().header == ""


def test_rows_are_counted() -> None:
    table = writer()

    for label, score in [("positive", 0.9), ("negative", 0.6), ("positive", 0.7), ("neutral", 0.8)]:
        scores = {"other": 1 - score, label: score}
        table.render(Row(1, "good"), replace(VERDICT, label=label, score=score, scores=scores))
    foreign = replace(
        VERDICT, label="neutral", scores={"neutral": 0.95, "positive": 0.05}, known_language=0.1
    )
    table.render(Row(4, "bueno"), foreign)
    table.render(Row(5), EMPTY)

    assert table.counts == Counts({"positive": 2, "negative": 1, "neutral": 2}, 3, {"empty_review": 1}, 1)


def test_the_counts_do_not_depend_on_the_order_of_rows() -> None:
    labels = ["b", "a", "c", "a"]
    forwards, backwards = writer(), writer()

    for label, reverse in zip(labels, reversed(labels), strict=True):
        forwards.render(Row(1, "good"), replace(VERDICT, label=label, scores={label: 1.0}))
        backwards.render(Row(1, "good"), replace(VERDICT, label=reverse, scores={reverse: 1.0}))

    assert json.dumps(forwards.counts.to_dict()) == json.dumps(backwards.counts.to_dict())
