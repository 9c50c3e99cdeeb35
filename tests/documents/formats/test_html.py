import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.reading import document, refusal

from reviewbox.documents import ReadOptions
from reviewbox.errors import ErrorCode
from reviewbox.model.plain_text import plain_text

# Fragments of pages, valid and broken.
FRAGMENTS = [
    "good", " ", "\n", "<", ">", "/", "<p>", "</p>", "<b>", "</b>", "<a href='x'>", "<br/>", "<!--", "-->",
    "&amp;", "&", "<script>", "</script", "<style", "<title>", "</title>", "<!", "<?", "=", '"', "'",
    '<a b="', "é", "x<3",
]  # fmt: skip


def review(page: str) -> str:
    (row,) = document("a.html", page).rows
    return row.text


def words(page: str) -> list[str]:
    """Return the words of a page that the model reads."""
    return plain_text(review(page)).text.split()


PAGE = """<!doctype html>
<html><head><title>Shop</title><style>p { color: red }</style><script>if (a<b) "</p>"</script></head>
<body class="x"><!-- secret <p>secret</p> -->
<nav><a href="/">Home</a></nav>
<p>Great film<br>truly<p title="a > b">wonder<b>ful</b> &amp; kind</p><svg><text>logo</text></svg>
<select><option>5</select><textarea>Say</textarea><noscript>Enable</noscript>
<img alt="x>y" src='z'>Bye, x < y &lt;3</body></html>
"""


def test_a_page_is_one_review_without_its_markup() -> None:
    assert words(PAGE) == "Home Great film truly wonderful & kind Bye, x < y <3".split()


def test_every_character_keeps_its_offset() -> None:
    """Evidence refers to offsets in the file."""
    text = review(PAGE)

    assert len(text) == len(PAGE)
    assert text.index("Great film") == PAGE.index("Great film")
    assert text.index("kind") == PAGE.index("kind")
    assert [i for i, character in enumerate(PAGE) if character == "\n" and text[i] != "\n"] == []


@pytest.mark.parametrize("tag", ["br", "p", "div", "li", "td", "h1", "blockquote", "custom-tag"])
def test_a_block_tag_ends_a_line(tag: str) -> None:
    assert "\n" in review(f"Good film<{tag}>bad end")
    assert "\n" in review(f"Good film</{tag}>bad end")


@pytest.mark.parametrize("tag", ["span", "a", "em", "mark", "time"])
def test_an_inline_tag_does_not_end_a_line(tag: str) -> None:
    page = f'Good <{tag} class="x" data-y5>film</{tag}> indeed'

    assert "\n" not in review(page)
    assert words(page) == ["Good", "film", "indeed"]


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ("good <!-- bad", ["good"]),
        ("good <script> bad", ["good"]),
        ("good <STYLE>bad</Style >film", ["good", "film"]),
        ("good <p title='bad", ["good"]),
        ('good <p title="it\'s > bad">film', ["good", "film"]),
        ("good <p title = 'a>b'>film", ["good", "film"]),
        ("good <script src='x'/>film", ["good", "film"]),
        ("<title>bad</title>good", ["good"]),
        ("<head><body>good", ["good"]),
        ("5 < 6 and 7 > 6", ["5", "<", "6", "and", "7", ">", "6"]),
        ("<![CDATA[x]]>good", ["good"]),
        ("<?xml version='1.0'?>good", ["good"]),
    ],
)
def test_broken_markup_is_read_as_browsers_do(page: str, kept: list[str]) -> None:
    assert words(page) == kept


@pytest.mark.parametrize(
    ("declaration", "data", "encoding"),
    [
        ('<meta charset="latin-1">', b"caf\xe9", "latin-1"),
        (
            '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-15">',
            b"caf\xe9",
            "iso-8859-15",
        ),
        ("<meta charset=shift_jis>", "良い".encode("shift_jis"), "shift_jis"),
        ("<meta charset=no-such-encoding>", b"caf\xe9", "windows-1252"),
        ("<meta charset=latin-1>", "café".encode(), "utf-8"),
    ],
)
def test_a_page_may_declare_its_encoding_if_it_is_not_utf8(
    declaration: str, data: bytes, encoding: str
) -> None:
    read = document("a.html", declaration.encode() + b"<p>" + data)

    assert read.notes["encoding"] == encoding
    assert next(iter(read.rows)).text.split() == [data.decode(encoding)]


def test_a_byte_order_mark_takes_precedence_over_a_declared_charset() -> None:
    read = document("a.html", "\ufeff<meta charset=latin-1>café".encode("utf-16-le"))

    assert next(iter(read.rows)).text.strip() == "café"


def test_a_page_is_not_a_table() -> None:
    assert len(document("a.htm", PAGE).rows) == 1
    assert document("a.htm", PAGE).table is None


def test_binary_or_undecodable_data_is_refused() -> None:
    assert refusal("a.html", b"caf\xe9 \x81", ReadOptions()).code is ErrorCode.NOT_TEXT


@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=30).map("".join))
def test_markup_is_replaced_by_spaces_of_the_same_length(page: str) -> None:
    text = review(page)

    assert len(text) == len(page)
    assert all(kept in (" ", "\n", original) for kept, original in zip(text, page, strict=True))


ROWS = "".join(
    f"<tr><td>{number}</td><td>The stay in room {number} was lovely.</td></tr>" for number in range(5)
)


def test_a_table_of_reviews_is_refused_with_a_remedy() -> None:
    page = f"<html><title>Export</title><body><h1>Reviews</h1><table>{ROWS}</table></body></html>"

    problem = refusal("a.html", page)

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "export the table as CSV" in problem.message


@pytest.mark.parametrize(
    "page",
    [
        f"<p>{'We stayed for a week, and the lake was lovely every day. ' * 9}</p><table>{ROWS}</table>",
        "<table>" + "<tr><td>The stay was lovely.</td></tr>" * 9 + "</table>",  # lays out a page
        "<table><tr><th>Stars</th><td>5</td></tr><tr><th>Review</th><td>Lovely.</td></tr></table>",
    ],
)
def test_a_review_with_a_small_table_is_one_review(page: str) -> None:
    assert "lovely" in review(page).lower()
