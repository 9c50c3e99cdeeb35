import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.reading import document

FRAGMENTS = [
    "good", " ", "\n", "*", "**", "_", "`", "```", "~~", "#", "# ", "> ", "- ", "1. ", "---", "[", "]", "(",
    ")",
]  # fmt: skip


def review(text: str) -> str:
    (row,) = document("a.md", text).rows
    return row.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Good film #5\n\nTruly", "Good film #5 Truly"),
        ("Good film\n=========\nTruly\n-----\n", "Good film Truly"),
        ("> Good\n> > film", "Good film"),
        ("- Good\n* film\n+ it\n1. was\n2) indeed", "Good film it was indeed"),
        ("**Good** film, *really* ***so*** __it__ _was_", "Good film, really so it was"),
        ("~~bad~~ `good`", "bad good"),
        ("see [the film](http://example.com/a_b) and ![a poster](x.png 'y')", "see the film and a poster"),
        ("---\ntitle: bad\n---\nGood", "Good"),
        ("Good\r\n-----\r\nfilm\r\n\r\n***\r\n", "Good film"),
        ("```python\ngood\n```\nfilm", "good film"),
        ("Good\n\n***\n\nfilm", "Good film"),
    ],
)
def test_markup_is_replaced_by_spaces(text: str, words: str) -> None:
    assert review(text).split() == words.split()


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff", "\ufeff\ufeff"])
@pytest.mark.parametrize("rest", ["", "\nGood film\n\nTruly\n"])
def test_front_matter_is_not_part_of_the_review(line_end: str, bom: str, rest: str) -> None:
    text = f"{bom}---\ntitle: awful\ntags: [bad]\n\nnote: |\n  worst\n--- {rest}"

    assert review(text.replace("\n", line_end)).split() == rest.split()


def test_front_matter_may_be_in_toml() -> None:
    assert review('+++\ntitle = "awful"\n+++\n\nGood film').split() == ["Good", "film"]
    assert review("+++\nGood film").split() == ["+++", "Good", "film"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("count", [1, 150, 1000])
def test_a_rule_at_the_start_is_not_front_matter_unless_it_is_closed(count: int, line_end: str) -> None:
    text = f"---{line_end}" + f"Good film{line_end}" * count

    assert review(text).split() == ["Good", "film"] * count


@pytest.mark.parametrize(
    "text",
    [
        "***** out of five",
        "5 * 4 * 3",
        "snake_case_name",
        "- 5 degrees is -5",
        "#1 film",
        "[sic] (really)",
        "good... --- said he",
        "not---bad",
    ],
)
def test_characters_that_only_look_like_markup_are_kept(text: str) -> None:
    assert review(text).lstrip("- ") == text.lstrip("- ")


def test_every_character_keeps_its_offset() -> None:
    text = "# Good\n\n- **film** [here](x)\n"

    assert len(review(text)) == len(text)
    assert review(text).index("film") == text.index("film")


def test_markdown_is_recognized_by_its_name_only() -> None:
    assert document("a.markdown", "*good*").table is None
    assert next(iter(document("a", "*good*").rows)).text == "*good*"


@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=30).map("".join))
def test_markup_is_replaced_by_spaces_of_the_same_length(text: str) -> None:
    blanked = review(text)

    assert len(blanked) == len(text)
    assert all(kept in (" ", original) for kept, original in zip(blanked, text, strict=True))
    assert blanked.count("good") <= text.count("good")
