import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbox.documents import Row, Table
from reviewbox.errors import ErrorCode, Problem
from reviewbox.model.verdicts import Evidence, Verdict
from reviewbox.objects import ObjectRef, Revision
from reviewbox.results.keys import part_key, parts_prefix, receipt_key, table_key
from reviewbox.results.receipt import (
    Counts,
    Part,
    Provenance,
    Receipt,
    error_receipt,
    table_receipt,
    verdict_receipt,
)
from reviewbox.results.table_writer import TableWriter, sum_of

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
    evidence=(Evidence(3, 17, 1.234567), Evidence(20, 31, -0.5)),
)
EMPTY = Problem(ErrorCode.EMPTY_REVIEW, "line 2: no words")
NOT_TEXT = Problem(ErrorCode.NOT_TEXT, "binary data")
PARTS = [Part("results", "a.classified.jsonl", '"1"'), Part("results", "b", '"2"')]
NOTES = {"encoding": "utf-8"}
COUNTS: dict[str, int | dict[str, int]] = {"total": 0, "labels": {}, "needs_review": 0, "failed": 0}


def render(row: Row, added: Any) -> str:
    return json.dumps({"line": row.line, **added}) + "\n"


def writer(*fields: str, needs_review_below: float = 0.8) -> TableWriter:
    return TableWriter(
        Table("jsonl", "text/plain", frozenset(fields), render, render_raw=str), needs_review_below
    )


def decoded(body: bytes) -> Receipt:
    return Receipt.decode('"receipt"', body)


def receipts(provenance: Provenance) -> list[bytes]:
    """One of each kind."""
    return [
        verdict_receipt(VERDICT, provenance, NOTES, 0.8),
        table_receipt(COUNTS, PARTS, provenance, NOTES),
        error_receipt(NOT_TEXT, provenance, final=True),
    ]


def test_results_lie_under_their_prefix_by_the_name_of_their_source() -> None:
    assert receipt_key("results/", "incoming/2026/a b+é.txt") == "results/incoming/2026/a b+é.txt.json"
    assert table_key("results/", "incoming/a.jsonl", "jsonl") == "results/incoming/a.jsonl.classified.jsonl"
    assert receipt_key("", "a") == "a.json"


def test_a_key_may_be_as_long_as_s3_allows() -> None:
    source = "é" * 504 + "xyz"

    assert receipt_key("results/", source) == f"results/{source}.json"
    assert len(receipt_key("results/", source).encode()) == 1024


def test_a_longer_key_becomes_its_digest() -> None:
    """It is bytes that count, not characters."""
    source = "é" * 506
    digest = hashlib.sha256(source.encode()).hexdigest()

    assert receipt_key("results/", source) == f"results/{digest}.json"
    assert table_key("results/", source, "jsonl") == f"results/{digest}.classified.jsonl"


@given(sources=st.lists(st.text(min_size=1, max_size=600), min_size=2, max_size=2, unique=True))
@settings(deadline=None)
def test_no_two_sources_share_a_result(sources: list[str]) -> None:
    first, second = sources

    keys = {
        make
        for source in (first, second)
        for make in (receipt_key("r/", source), table_key("r/", source, "csv"))
    }

    assert len(keys) == 4


def test_no_source_is_too_long_for_a_key() -> None:
    for length in range(990, 1025):
        for key in (receipt_key("results/", "x" * length), table_key("results/", "x" * length, "jsonl")):
            assert len(key.encode()) <= 1024


def test_a_verdict_is_a_receipt() -> None:
    receipt = json.loads(verdict_receipt(VERDICT, PROVENANCE, NOTES, 0.8))

    assert receipt == {
        "sentiment": "positive",
        "score": 0.8765,
        "needs_review": False,
        "scores": {"negative": 0.1235, "positive": 0.8765},
        "tokens": 200,
        "windows": 2,
        "evidence": [
            {"start": 3, "end": 17, "support": 1.2346},
            {"start": 20, "end": 31, "support": -0.5},
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
        "format": 2,
    }


def test_a_table_has_a_receipt_of_counts_and_parts() -> None:
    counts: dict[str, int | dict[str, int]] = {"total": 3, "labels": {"a": 2}, "needs_review": 1, "failed": 1}

    receipt = json.loads(table_receipt(counts, PARTS, PROVENANCE, NOTES))

    assert receipt["counts"] == counts
    assert receipt["parts"] == [
        {"bucket": "results", "key": "a.classified.jsonl", "etag": '"1"'},
        {"bucket": "results", "key": "b", "etag": '"2"'},
    ]
    assert receipt["notes"] == NOTES
    assert receipt["source"]["version"] == "version-1"


@pytest.mark.parametrize("final", [True, False])
def test_an_error_has_a_receipt_that_says_what_is_wrong(final: bool) -> None:  # noqa: FBT001
    receipt = json.loads(error_receipt(NOT_TEXT, PROVENANCE, final=final))

    assert receipt["error"] == {"code": "not_text", "message": "binary data", "final": final}
    assert receipt["source"]["key"] == "incoming/café+é.txt"


def test_what_was_never_read_has_no_revision() -> None:
    receipt = json.loads(error_receipt(NOT_TEXT, OTHERS["no revision"], final=False))

    assert receipt["source"] == {"bucket": "reviews", "key": "incoming/café+é.txt"}


def test_equal_input_gives_equal_bytes() -> None:
    assert receipts(PROVENANCE) == receipts(replace(PROVENANCE))


def test_a_receipt_is_readable_by_people() -> None:
    for body in receipts(PROVENANCE):
        text = body.decode()
        assert "café+é" in text
        assert text.startswith('{\n  "')
        assert text.endswith("\n}\n")


def test_a_lone_surrogate_does_not_stop_a_receipt() -> None:
    body = verdict_receipt(VERDICT, PROVENANCE, {"text_field": "\ud800"}, 0.8)

    assert json.loads(body)["notes"]["text_field"] == "\ud800"


@pytest.mark.parametrize(
    ("score", "needs_review"), [(0.79, True), (0.79996, False), (0.8, False), (0.81, False), (0.79994, True)]
)
def test_a_verdict_under_the_threshold_needs_a_review(score: float, needs_review: bool) -> None:  # noqa: FBT001
    """It is the score as it is written that counts."""
    receipt = json.loads(verdict_receipt(replace(VERDICT, score=score), PROVENANCE, NOTES, 0.8))

    assert receipt["needs_review"] is needs_review
    assert (receipt["score"] < 0.8) is needs_review


def test_a_receipt_is_current_for_what_it_was_made_from() -> None:
    assert [decoded(body).is_current(PROVENANCE) for body in receipts(PROVENANCE)] == [True, True, True]


@pytest.mark.parametrize("other", OTHERS)
def test_a_receipt_is_not_current_for_anything_else(other: str) -> None:
    for body in receipts(PROVENANCE):
        assert not decoded(body).is_current(OTHERS[other])
    for body in receipts(OTHERS[other]):
        assert not decoded(body).is_current(PROVENANCE)


def test_an_error_that_another_try_may_mend_is_never_current() -> None:
    receipt = decoded(error_receipt(NOT_TEXT, PROVENANCE, final=False))

    assert not receipt.is_current(PROVENANCE)


def test_only_a_verdict_and_a_table_are_results() -> None:
    assert [decoded(body).has_result for body in receipts(PROVENANCE)] == [True, True, False]
    assert not decoded(error_receipt(NOT_TEXT, PROVENANCE, final=False)).has_result


def test_a_receipt_knows_its_parts() -> None:
    verdict, table, error = (decoded(body) for body in receipts(PROVENANCE))

    assert table.parts == PARTS
    assert verdict.parts == error.parts == []
    assert table.etag == '"receipt"'


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
        receipts(PROVENANCE)[0][:-10],
        receipts(PROVENANCE)[0].replace(b'"format": 2', b'"format": 0'),
    ],
)
def test_what_is_no_receipt_of_ours_is_made_anew(body: bytes) -> None:
    receipt = decoded(body)

    assert not receipt.is_current(PROVENANCE)
    assert not receipt.has_result
    assert receipt.parts == []
    assert receipt.etag == '"receipt"'


def test_a_row_gets_its_verdict() -> None:
    line = writer().render(Row(7, "good"), VERDICT)

    assert json.loads(line) == {
        "line": 7,
        "sentiment": "positive",
        "score": 0.8765,
        "needs_review": False,
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
        "error_code": "empty_review",
        "error_message": "line 2: no words",
    }


@pytest.mark.parametrize(
    ("taken", "names"),
    [
        (["text"], ["sentiment", "score", "needs_review"]),
        (["score"], ["sentiment", "reviewbox_score", "needs_review"]),
        (["sentiment", "reviewbox_sentiment"], ["reviewbox_reviewbox_sentiment", "score", "needs_review"]),
        (["Score", "reviewbox_needs_review"], ["sentiment", "score", "needs_review"]),
    ],
)
def test_a_name_that_is_taken_is_prefixed(taken: list[str], names: list[str]) -> None:
    line = writer(*taken).render(Row(1, "good"), VERDICT)

    assert list(json.loads(line)) == ["line", *names, "error_code", "error_message"]


def test_a_header_names_what_is_added() -> None:
    table = Table(
        "csv", "text/csv", frozenset(["id", "score"]), render, render_raw=str, render_header=",".join
    )

    assert TableWriter(table, 0.8).header == "sentiment,reviewbox_score,needs_review,error_code,error_message"


def test_not_every_table_has_a_header() -> None:
    assert writer().header == ""


def test_rows_are_counted() -> None:
    table = writer()

    for label, score in [("positive", 0.9), ("negative", 0.6), ("positive", 0.7), ("neutral", 0.8)]:
        table.render(Row(1, "good"), replace(VERDICT, label=label, score=score))
    table.render(Row(5), EMPTY)

    assert table.counts == {
        "total": 5,
        "labels": {"negative": 1, "neutral": 1, "positive": 2},
        "needs_review": 2,
        "failed": 1,
        "errors": {"empty_review": 1},
    }


def test_counts_do_not_depend_on_the_order_of_rows() -> None:
    """Nor do the bytes of a receipt."""
    labels = ["b", "a", "c", "a"]
    forwards, backwards = writer(), writer()

    for label, reverse in zip(labels, reversed(labels), strict=True):
        forwards.render(Row(1, "good"), replace(VERDICT, label=label))
        backwards.render(Row(1, "good"), replace(VERDICT, label=reverse))

    assert table_receipt(forwards.counts, [], PROVENANCE, {}) == table_receipt(
        backwards.counts, [], PROVENANCE, {}
    )


def test_no_rows_are_counted_too() -> None:
    assert writer().counts == {"total": 0, "labels": {}, "needs_review": 0, "failed": 0, "errors": {}}


@pytest.mark.parametrize(
    "content",
    [
        {"source": None},
        {"source": {"bucket": "b"}},
        {"error": "no"},
        {"error": {}},
        {"error": {"code": 1, "message": "no"}},
        {"counts": 1},
        {"counts": {"total": "1", "failed": 0}},
        {"parts": "none"},
        {"parts": [{"key": "a"}]},
        {"parts": [{"bucket": "b", "key": "a", "etag": 1}]},
    ],
)
def test_a_receipt_of_an_odd_shape_is_made_anew(content: dict[str, Any]) -> None:
    ours = json.loads(receipts(PROVENANCE)[0])
    assert Receipt.decode('"etag"', json.dumps(ours).encode()).content == ours

    receipt = Receipt.decode('"etag"', json.dumps(ours | content).encode())

    assert receipt.content == {}
    assert receipt.parts == []
    assert not receipt.has_result


def test_the_parts_of_a_table_lie_in_a_folder_of_their_own() -> None:
    assert part_key("results/", "incoming/a.csv", 12, "csv.gz") == (
        "results/incoming/a.csv.classified/part-00012.csv.gz"
    )
    assert part_key("results/", "incoming/a.csv", 123_456, "csv").endswith("/part-123456.csv")


def test_a_long_key_leaves_room_for_the_parts() -> None:
    key = part_key("results/", "incoming/" + "é" * 490, 123_456, "jsonl.gz")

    assert len(key.encode()) <= 1024
    assert key.startswith(parts_prefix("results/", "incoming/" + "é" * 490))


def test_counts_of_parts_add_up() -> None:
    parts: list[Counts] = [
        {
            "total": 2,
            "labels": {"positive": 1},
            "needs_review": 1,
            "failed": 1,
            "errors": {"empty_review": 1},
        },
        {"total": 3, "labels": {"negative": 2, "positive": 1}, "needs_review": 0, "failed": 0, "errors": {}},
    ]

    total = sum_of(parts)

    assert total == {
        "total": 5,
        "labels": {"negative": 2, "positive": 2},
        "needs_review": 1,
        "failed": 1,
        "errors": {"empty_review": 1},
    }
    assert list(total) == list(parts[0])
