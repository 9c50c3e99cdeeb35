import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbox.model.plain_text import plain_text

REPLACED = re.compile(r"<[^<>]+>|&[^;]+;|[\ud800-\udfff]")

MARKUP = (
    "<br />", "<br>", "</p>", "<b>", "</b>", '<a href="x">', "<sigh>", "<3", "x < y", "&", ";", "<", ">",
    "&amp;", "&lt;", "&#8212;", "&#x1f600;", "&#1;", "&nosuch;", "&notable;", "&NotEqualTilde;", "\n",
    "\ud83d",
)  # fmt: skip


def texts_with_markup() -> st.SearchStrategy[str]:
    """Generate texts with a lot of markup and near-markup."""
    return st.lists(st.sampled_from(MARKUP) | st.text(max_size=5)).map("".join)


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("Slow.<br /><br />Then superb.", "Slow.\n\nThen superb."),
        ("Slow.<BR>Superb.<Br/>Bravo.", "Slow.\nSuperb.\nBravo."),
        ("<div><p>Superb</p></div>", "\n\nSuperb\n\n"),
        ("un<b>be<i>liev</i>able</b>", "unbelievable"),
        ('see <a href="https://example.com/?a=1">here</a>', "see here"),
        ("fish &amp; chips &mdash; caf&eacute;", "fish & chips — café"),
        ("&#8216;fine&#x2019;", "\u2018fine\u2019"),
        ("&amp;lt;", "&lt;"),
        ("&#xD800;&#0;", "\ufffd\ufffd"),
        ("&#1;gone", "gone"),
        ("a lone \ud83d half", "a lone \ufffd half"),
        ("\ud83d\ude00", "\ufffd\ufffd"),
        ("", ""),
        ("<br>", "\n"),
        ("<b></b>", ""),
    ],
)
def test_markup_becomes_plain_text(original: str, expected: str) -> None:
    assert plain_text(original).text == expected


@pytest.mark.parametrize(
    "original",
    [
        "I <3 it",
        "cost < value, value > cost",
        "x < y",
        "x <b",
        "<sigh> again",
        "<brilliant>",
        "&nosuch;",
        "AT&T",
        "salt & pepper; &",
        "<br" + " very long" * 40 + ">",
        "naïve café 😀 \u200b\x00\t\r\n",
    ],
)
def test_text_that_only_looks_like_markup_stays(original: str) -> None:
    assert plain_text(original).text == original


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<&")))
def test_text_without_markup_is_unchanged(original: str) -> None:
    text = plain_text(original)

    assert text.text == original
    assert plain_text(text.text) == text


def test_a_span_covers_the_markup_inside_it() -> None:
    original = "Not <b>un</b>pleasant.<br />Fish &amp; chips!"
    text = plain_text(original)
    start, end = text.text.index("unpleasant"), text.text.index(".")

    span = text.original_span(start, end)

    assert original[slice(*span)] == "un</b>pleasant"


def test_a_span_contains_the_whole_character_reference() -> None:
    original = "Fish &amp; chips!"
    text = plain_text(original)

    span = text.original_span(0, len("Fish &"))

    assert original[slice(*span)] == "Fish &amp;"


@given(texts_with_markup())
def test_every_character_maps_to_its_origin(original: str) -> None:
    text = plain_text(original)

    origins = [original[slice(*text.original_span(i, i + 1))] for i in range(len(text.text))]

    assert all(
        origin == character or REPLACED.fullmatch(origin)
        for origin, character in zip(origins, text.text, strict=True)
    )


@given(texts_with_markup())
def test_spans_are_in_order_with_only_markup_between_them(original: str) -> None:
    text = plain_text(original)

    spans = sorted({text.original_span(i, i + 1) for i in range(len(text.text))})

    assert spans == list(dict.fromkeys(text.original_span(i, i + 1) for i in range(len(text.text))))
    ends, starts = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(original)]
    between = "".join(original[end:start] for end, start in zip(ends, starts, strict=True))
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    assert not REPLACED.sub("", between)


@given(texts_with_markup(), st.data())
def test_a_span_reaches_from_its_first_character_to_its_last(original: str, data: st.DataObject) -> None:
    text = plain_text("x" + original)
    start = data.draw(st.integers(0, len(text.text) - 1))
    end = data.draw(st.integers(start + 1, len(text.text)))

    span = text.original_span(start, end)

    assert span == (text.original_span(start, start + 1)[0], text.original_span(end - 1, end)[1])


@given(texts_with_markup())
def test_plain_text_has_no_surrogates(original: str) -> None:
    plain_text(original).text.encode()


@pytest.mark.parametrize("text", ["a <b and c> d", "&copyright;", "1 <p 2", "<b href>"])
def test_incomplete_tags_and_references_stay(text: str) -> None:
    assert plain_text(text).text == text


def test_tags_with_attributes_are_removed() -> None:
    text = "<p class=\"review\" id='7'>Good <a href=http://example.com/?q=1>film</a></p>"

    assert plain_text(text).text == "\nGood film\n"
