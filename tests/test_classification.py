import itertools

import pytest

from reviewbox.classification import classify_rows
from reviewbox.documents import Document, Row, Table
from reviewbox.errors import ErrorCode, Problem
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict

TABLE = Table("csv", "text/csv", frozenset(), lambda row, _: row.raw, str)
BROKEN = Problem(ErrorCode.BROKEN_JSON, "line 2: not valid JSON")


def test_each_row_comes_back_in_order_with_its_own_outcome(classifier: Classifier) -> None:
    rows = [Row(1, "good film"), Row(2, problem=BROKEN), Row(3, " "), Row(4, "bad film")]

    outcomes = list(classify_rows(Document(iter(rows), table=TABLE), classifier))

    assert [row for row, _ in outcomes] == rows
    good, broken, empty, bad = (outcome for _, outcome in outcomes)
    assert isinstance(good, Verdict)
    assert isinstance(bad, Verdict)
    assert (good.label, bad.label) == ("positive", "negative")
    assert broken == BROKEN
    assert isinstance(empty, Problem)
    assert empty.message.startswith("line 3: ")


def test_a_row_that_is_not_a_review_has_no_outcome(classifier: Classifier) -> None:
    rows = [Row(2, "good"), Row(3, is_passthrough=True), Row(4, "bad")]

    outcomes = [outcome for _, outcome in classify_rows(Document(iter(rows)), classifier)]

    assert [outcome is None for outcome in outcomes] == [False, True, False]


def test_rows_are_read_as_they_are_needed(classifier: Classifier) -> None:
    """So a table of any size is classified in bounded memory."""
    endless = (Row(number, "good film", raw="x" * 10_000) for number in itertools.count(1))

    outcomes = classify_rows(Document(endless, table=TABLE), classifier)

    assert [row.line for row, _ in itertools.islice(outcomes, 500)] == list(range(1, 501))
    assert next(endless).line < 5000


def test_the_share_that_is_done_grows_within_a_single_long_review(classifier: Classifier) -> None:
    """A long text shows its progress while it is classified."""
    shares: list[float] = []

    list(classify_rows(Document(iter([Row(1, "good film. " * 3000)])), classifier, shares.append))

    assert len(shares) > 10
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.5 < shares[-1] < 1


def test_the_share_that_is_done_grows_within_an_enormous_cell(classifier: Classifier) -> None:
    shares: list[float] = []
    raw = "good film. " * 6000
    rows = [Row(1, "good", raw=raw), Row(2, raw, raw=raw), Row(3, "bad", raw=raw)]

    list(classify_rows(Document(iter(rows), table=TABLE, size=3 * len(raw)), classifier, shares.append))

    assert len(shares) > 10
    assert shares == sorted(shares)
    assert any(0.3 < share < 0.6 for share in shares)  # the second row, while it is classified
    assert shares[-1] == pytest.approx(2 / 3)


def test_rows_without_reviews_are_done_too(classifier: Classifier) -> None:
    shares: list[float] = []
    rows = [Row(line, problem=BROKEN, raw="x" * 2_000_000) for line in range(1, 7)]

    list(classify_rows(Document(iter(rows), table=TABLE, size=12_000_000), classifier, shares.append))

    assert shares == pytest.approx([0, 1 / 3, 2 / 3])
