from typing import Any

import pytest

from reviewbox.documents import ReadOptions
from reviewbox.documents.review_field import USUAL_TEXT_FIELDS, ColumnSample, is_usual
from reviewbox.errors import ErrorCode, SourceError

PROSE = [
    "It was a very good film",
    "We did not like it at all",
    "The best we have seen this year",
    "Nobody should have to see this",
]


def found(rows: list[dict[str, Any]], text_field: str = "") -> tuple[str, str]:
    """Return the selected field and the reason."""
    sample = ColumnSample()
    for row in rows:
        sample.add(row.items())
    field = sample.select({name for row in rows for name in row}, ReadOptions(text_field))
    assert field.notes == {"text_field": field.name, "text_field_by": field.reason}
    return field.name, field.reason


def refusal(rows: list[dict[str, Any]], text_field: str = "") -> str:
    with pytest.raises(SourceError) as raised:
        found(rows, text_field)
    assert raised.value.problem.code is ErrorCode.NO_TEXT_FIELD
    return raised.value.problem.message


@pytest.mark.parametrize(
    "name",
    ["review", "Review_Text", "reviewText", "review-body", "REVIEW CONTENT", " text ", "Comment", "Feedback"],
)
def test_the_review_field_is_selected_by_its_usual_name(name: str) -> None:
    assert is_usual(name)
    assert found([{"id": 1, name: "good"}]) == (name, "name")


@pytest.mark.parametrize("name", ["reviewer", "review_id", "texture", "comment count", ""])
def test_other_names_are_not_usual(name: str) -> None:
    assert not is_usual(name)


def test_the_usual_name_with_most_texts_is_selected() -> None:
    assert found([{"comment": "good", "review": ""}, {"comment": "bad", "review": "5"}]) == (
        "comment",
        "name",
    )
    assert found([dict.fromkeys(reversed(USUAL_TEXT_FIELDS), "good")]) == (USUAL_TEXT_FIELDS[0], "name")


def test_the_setting_takes_precedence_over_usual_names() -> None:
    assert found([{"note": "x", "review": "good"}], "note") == ("note", "setting")


def test_a_configured_field_that_no_row_has_is_refused() -> None:
    message = refusal([{"note": "x", "review": "good"}], "Note")

    assert "TEXT_FIELD names the field 'Note'" in message
    assert "'note', 'review'" in message


def test_the_only_column_of_prose_is_the_review() -> None:
    rows = [{"id": n, "product": "Coffee", "who": "Ann Lee", "meinung": text} for n, text in enumerate(PROSE)]

    assert found(rows) == ("meinung", "prose")


def test_a_category_of_many_words_is_not_prose() -> None:
    rows = [{"kind": "Home and garden, and all tools", "meinung": text} for text in PROSE]

    assert found(rows) == ("meinung", "prose")


def test_the_much_longer_of_two_columns_of_prose_is_the_review() -> None:
    rows = [{"headline": text, "says": f"{text}. {text}! {text}?"} for text in PROSE]

    assert found(rows) == ("says", "prose")


def test_several_columns_of_prose_are_refused() -> None:
    message = refusal([{"liked": text, "disliked": text} for text in PROSE])

    assert "several hold prose" in message
    assert "TEXT_FIELD" in message
    assert "'disliked', 'liked'" in message


@pytest.mark.parametrize("value", ["Coffee", "5", 5, None, "NaN", ["It was a very good film"]])
def test_a_table_without_prose_is_refused_with_its_field_names(value: Any) -> None:
    message = refusal([{"stars": 5, "note": value}])

    assert "no field has a usual name or holds prose" in message
    assert "'note', 'stars'" in message


def test_long_or_numerous_names_are_shortened_in_messages() -> None:
    assert len(refusal([{f"{n} " + "x" * 10_000: 5 for n in range(1000)}])) < 2000


def test_missing_values_do_not_count_as_text() -> None:
    assert found([{"comment": "NaN", "text": "good"}, {"comment": "NULL", "text": "bad"}]) == ("text", "name")


def test_a_usual_name_is_selected_if_all_values_are_missing() -> None:
    """So each row gets its own error."""
    assert found([{"id": "1", "text": "NULL"}]) == ("text", "name")
