import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbox.model.plain_text import plain_text

REPLACED = re.compile(r"<[^<>]+>|&[^;]+;|[\ud800-\udfff]")

MARKUP = (
    "<br />", "<br>", "</p>", "<b>", "</b>", '<a href="x">', "<sigh>", "<3", "x < y", "&", ";", "<", ">",
    "&amp;", "&lt;", "&#8212;", "&#x1f600;", "&#1;", "&nosuch;", "&notable;", "&NotEqualTilde;", "\n",
    "\ud83d",
)  # fmt: skip


def marked_up() -> st.SearchStrategy[str]:
    """Texts that are dense in what looks like markup."""
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
def test_markup_becomes_prose(original: str, expected: str) -> None:
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
def test_what_only_looks_like_markup_stays(original: str) -> None:
    assert plain_text(original).text == original


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<&")))
@settings(deadline=None)
def test_text_without_markup_stays_as_it_is(original: str) -> None:
    text = plain_text(original)

    assert text.text == original
    assert plain_text(text.text) == text


def test_a_span_covers_the_markup_inside_it() -> None:
    original = "Not <b>un</b>pleasant.<br />Fish &amp; chips!"
    text = plain_text(original)
    start, end = text.text.index("unpleasant"), text.text.index(".")

    span = text.original_span(start, end)

    assert original[slice(*span)] == "un</b>pleasant"


def test_a_span_takes_a_character_reference_whole() -> None:
    original = "Fish &amp; chips!"
    text = plain_text(original)

    span = text.original_span(0, len("Fish &"))

    assert original[slice(*span)] == "Fish &amp;"


@given(marked_up())
@settings(deadline=None)
def test_every_character_maps_back_to_where_it_came_from(original: str) -> None:
    text = plain_text(original)

    origins = [original[slice(*text.original_span(i, i + 1))] for i in range(len(text.text))]

    assert all(
        origin == character or REPLACED.fullmatch(origin)
        for origin, character in zip(origins, text.text, strict=True)
    )


@given(marked_up())
@settings(deadline=None)
def test_characters_keep_their_order_and_only_markup_lies_between_them(original: str) -> None:
    text = plain_text(original)

    spans = sorted({text.original_span(i, i + 1) for i in range(len(text.text))})

    assert spans == list(dict.fromkeys(text.original_span(i, i + 1) for i in range(len(text.text))))
    ends, starts = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(original)]
    between = "".join(original[end:start] for end, start in zip(ends, starts, strict=True))
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    assert not REPLACED.sub("", between)


@given(marked_up(), st.data())
@settings(deadline=None)
def test_a_span_runs_from_its_first_character_to_its_last(original: str, data: st.DataObject) -> None:
    text = plain_text("x" + original)
    start = data.draw(st.integers(0, len(text.text) - 1))
    end = data.draw(st.integers(start + 1, len(text.text)))

    span = text.original_span(start, end)

    assert span == (text.original_span(start, start + 1)[0], text.original_span(end - 1, end)[1])


@given(marked_up())
@settings(deadline=None)
def test_no_surrogate_is_left(original: str) -> None:
    plain_text(original).text.encode()


@pytest.mark.parametrize("text", ["a <b and c> d", "&copyright;", "1 <p 2", "<b href>"])
def test_what_only_resembles_markup_stays(text: str) -> None:
    assert plain_text(text).text == text


def test_tags_with_attributes_go() -> None:
    text = "<p class=\"review\" id='7'>Good <a href=http://example.com/?q=1>film</a></p>"

    assert plain_text(text).text == "\nGood film\n"
