import codecs
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.reading import OPTIONS, ReadDocument, document, refusal

from reviewbox.documents import Row
from reviewbox.documents.formats import text as format_text
from reviewbox.errors import ErrorCode


def test_a_text_file_of_several_lines_is_one_review() -> None:
    read = document("a.txt", b"Slow start.\r\n\r\nSuperb end.\n")

    assert read == ReadDocument([Row(1, "Slow start.\r\n\r\nSuperb end.\n")], {"encoding": "utf-8"}, None)


def test_a_list_with_a_review_per_line_is_refused_with_a_remedy() -> None:
    lines = "".join(f"The stay in room {number} was lovely.\n" for number in range(60))

    problem = refusal("reviews.txt", lines)

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "a list of 60 reviews" in problem.message


def test_a_list_of_reviews_without_full_stops_is_refused() -> None:
    endings = [
        "fine",
        "loud, but we were out all day anyway and so did not mind",
        "a bit cold",
        "too small for the price",
    ]

    lines = "".join(f"Room {number} was {endings[number % 4]}\n" for number in range(50))

    assert "a list of 50 reviews" in refusal("reviews.txt", lines).message


def test_a_list_that_python_wrote_is_refused() -> None:
    problem = refusal("reviews.txt", str(["Ann Lee\n", "4 May 2026\n", "Works, but it's loud\n", "Bob\n"]))

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "4 texts" in problem.message


def test_records_of_labeled_lines_are_refused() -> None:
    records = [f"Guest: Ann {number}\nText: It was fine.\nLength: 12" for number in range(6)]

    assert refusal("reviews.txt", "\n\n".join(records)).code is ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "data", ['{"guest": "Ann", "review": "It was fine"}', '{\n "review": "It was fine"\n}\n']
)
def test_json_that_is_called_text_is_read_as_json(data: str) -> None:
    read = document("review.txt", data)

    assert [row.text for row in read.rows] == ["It was fine"]
    assert read.notes["detected_as"] == "JSON"


def test_counts_in_json_that_is_called_text_are_not_a_review() -> None:
    counts = {"pros": {"Good service by the desk": 7, "Clean rooms": 3}}

    assert refusal("summary.txt", json.dumps(counts)).code is ErrorCode.NO_TEXT_FIELD


@pytest.mark.parametrize(
    "text",
    [
        "Food: good\nRooms: small\nPrice: high\nPlace: fine\nStaff: kind\nPool: closed\n",  # one of each
        "The stay was lovely, and the view\nfrom the roof is worth the climb.\n" * 30,  # wrapped
        "The stay was lovely.\n\n" * 60,  # paragraphs
    ],
)
def test_a_long_review_in_lines_or_paragraphs_is_one_review(text: str) -> None:
    assert len(document("review.txt", text).rows) == 1


def test_a_list_of_dated_reviews_is_refused() -> None:
    lines = [f"Ann rated the kettle on 2026-03-{day:02} 10:15: works well" for day in range(1, 8)]

    assert "a list of 7 reviews" in refusal("reviews.txt", "\n\n".join(lines)).message


def test_a_list_with_some_blank_lines_is_refused() -> None:
    lines = [f"Review {number} says that it is fine." + "\n" * (number % 10 == 0) for number in range(50)]

    assert "a list of 50 reviews" in refusal("reviews.txt", "\n".join(lines)).message


def test_a_list_with_a_bullet_before_each_answer_is_refused() -> None:
    answers = "\n\n\n".join(f"-- It made me think about lesson {number}" for number in range(25))

    assert "25 reviews" in refusal("answers.txt", f"What did you like?\n\n{answers}\n").message


def test_a_review_may_list_its_points() -> None:
    points = "\n".join(f"- the {thing} is fine" for thing in ("pump", "tap", "hose", "lid", "plug"))

    assert len(document("review.txt", f"I have had it for a year.\n{points}\n").rows) == 1


def test_a_list_with_a_banner_and_titles_is_refused() -> None:
    reviews = [f"works well\nI bought lamp {n} .\nIt is bright .\nIt was cheap .\n" for n in range(20)]

    assert "a list of 82 reviews" in refusal("lamps.txt", "*****\n* Lamps\n" + "\n".join(reviews)).message


def test_a_list_below_titles_that_are_made_from_the_reviews_is_refused() -> None:
    reviews = ["Great service. They called back within the hour.", "Never again, and I mean it."]
    reviews += ["The best lamp that we have had in the shop so far."]
    blocks = [f"{' '.join(review.split()[:4])}…\n{review}\n\n\n" for review in reviews]

    assert "a list of 3 reviews" in refusal("reviews.txt", "".join(blocks)).message


@pytest.mark.parametrize(
    "record",
    [
        "Name: Ann\nStars: 5\nReview: it is bright and warm\n\n",
        "lamp/id: 12\nreview/text: it is bright and warm\n\n",
        "Lamp - basics: Name: Sol; Maker: Lux Ltd; Colour: red, blue\n",
        "Ann: is it bright?\nShop: yes, very\n",
    ],
)
def test_records_are_refused(record: str) -> None:
    assert "a list of 3 records" in refusal("lamps.txt", record * 3).message


RULES = """Guests must present a valid document. Smoking is prohibited in all rooms, and a fee applies.
Guests are liable for any damage to the property. The operator is not responsible for valuables,
to the extent permitted by law. Personal data is processed in accordance with the privacy policy
and disclosed to third parties with consent only. These terms and conditions are governed by the
law of the place of jurisdiction."""
HAFTUNG = """Diese Bedingungen gelten für alle Verträge mit dem Vermieter. Die Haftung für leichte
Fahrlässigkeit ist ausgeschlossen, sofern keine wesentlichen Pflichten verletzt werden.
Personenbezogene Daten werden nur mit Einwilligung verarbeitet. Verantwortlich für die
Verarbeitung ist der Vermieter. Im Übrigen gilt das Gesetz, und die gesetzlichen Bestimmungen
zum Datenschutz und zur Gewährleistung bleiben unberührt, gemäß Absatz 2."""


ANGRY = """They say that their policy is their policy, and that the terms apply. I said that the law
applies, too, and that they are liable under the contract. I got my money back in the end. Well done!"""


README = """Lampctl
=======

Controls a lamp from the command line.

Install it with pip and run it:

    pip install lampctl
    lampctl --dim 40 --host lamp.example

The settings are in ~/.config/lampctl/settings.toml. See docs/usage.md for the names of all colours, or call
set_colour() from your own program.
"""
MANUAL = """Release 2.4.1

* parse_colour() accepts names.
* The option --verbose replaces --debug.
* settings.ini moved to etc/lampctl/settings.ini.
* See https://lamp.example/changes for older ones.
"""
TECHNICAL = """I installed version 2.4.1 with pip, and the lamp did nothing at all.
I then edited settings.toml as docs/usage.md says, and it still did nothing.
I called lampctl --dim 40, too, and set_colour() from my program.
I even read https://lamp.example/help, which was a waste of my time.
I love the idea, but I am really disappointed, and their support was rude to me.
"""


@pytest.mark.parametrize("text", [README, MANUAL])
@pytest.mark.parametrize("name", ["readme.txt", "README"])
def test_documentation_is_refused(name: str, text: str) -> None:
    assert "the documentation of a program" in refusal(name, text).message


def test_a_review_with_commands_and_file_names_is_one_review() -> None:
    assert len(document("review.txt", TECHNICAL).rows) == 1


def test_a_list_of_long_reviews_is_refused() -> None:
    review = "The film is long, and I did not mind, because every scene has something to tell. " * 20

    assert "a list of 6 reviews" in refusal("reviews.txt", f"{review}\n" * 6).message
    assert len(document("review.txt", f"{review}\n\n" * 3).rows) == 1


@pytest.mark.parametrize("text", [RULES, HAFTUNG])
@pytest.mark.parametrize("name", ["rules.txt", "rules", "rules.html"])
def test_a_legal_text_or_policy_is_refused(name: str, text: str) -> None:
    problem = refusal(name, f"<html><p>{text}</p></html>" if name.endswith("html") else text)

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "a legal text or a policy" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "User-agent: *\nDisallow: /cart/\n\nSitemap: https://shop.example/sitemap.xml\n",
        "# keep out\nUser-agent: *\nDisallow:\n",
        "[server]\nhost=db.example\nport=5432\nuser=reviews\n",
        "home: /srv/app\nlog: /var/log/app.log\nlevel: debug\n",
    ],
)
def test_settings_of_programs_are_refused(text: str) -> None:
    assert "settings of a program" in refusal("robots.txt", text).message


@pytest.mark.parametrize(
    "review",
    [
        "Taste: great\nSmell: awful\nPackaging: okay\n",
        "Day 1: late bus.\nDay 2: late bus.\nDay 3: no bus at all.\n",
        "The contract was clear, and the party we had was great. " * 5,
        ANGRY,
        "Bad.\nBad service.\nBad service.\nBad service and a bad room.\n",
    ],
)
def test_a_review_may_look_a_little_like_a_list_or_a_contract(review: str) -> None:
    assert [row.text for row in document("review.txt", review).rows] == [review]


def test_a_review_keeps_its_markup() -> None:
    """Evidence refers to offsets in the original."""
    (row,) = document("a.txt", " Slow.<br /><br />Superb &amp; kind ").rows

    assert row.text == " Slow.<br /><br />Superb &amp; kind "


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_byte_order_mark_is_not_part_of_the_review(mark: bytes, encoding: str) -> None:
    read = document("a.txt", mark + "caf\u00e9".encode(encoding))

    assert read == ReadDocument([Row(1, "caf\u00e9")], {"encoding": encoding}, None)


def test_the_fallback_encoding_is_noted() -> None:
    read = document("a.txt", b"caf\xe9")

    assert read.rows == [Row(1, "caf\u00e9")]
    assert read.notes == {"encoding": "windows-1252", "fallback_encoding_used": True}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfea", ErrorCode.NOT_TEXT),
        (b"caf\xe9 \x81", ErrorCode.NOT_TEXT),
        (b"\x00\x01\x02\x03", ErrorCode.BINARY_FILE),
    ],
)
def test_binary_or_undecodable_data_is_refused(data: bytes, code: ErrorCode) -> None:
    assert refusal("a.txt", data).code is code


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\ufeff")))
def test_a_text_is_read_unchanged(text: str) -> None:
    assert [row.text for row in format_text.read(text.encode(), OPTIONS).rows] == [text]


def test_a_list_of_reviews_with_blank_lines_between_them_is_refused() -> None:
    """Paragraphs of one review end as sentences do."""
    reviews = [f"Number {number} never worked as I had hoped it would" for number in range(50)]
    essay = [f"{review}." for review in reviews]

    assert "a list of 50 reviews" in refusal("reviews.txt", "\n\n".join(reviews)).message
    assert len(document("essay.txt", "\n\n".join(essay)).rows) == 1


def test_a_short_list_of_sentences_is_refused() -> None:
    """A single review has fewer lines, longer paragraphs, or lines that a program wrapped."""
    reviews = [f"I used number {number} for a week, and it broke." for number in range(10)]
    paragraphs = [review * 5 for review in reviews]

    assert "a list of 10 reviews" in refusal("reviews.txt", "\n".join(reviews)).message
    assert len(document("review.txt", "\n".join(reviews[:9])).rows) == 1
    assert len(document("essay.txt", "\n".join(paragraphs)).rows) == 1


def test_a_text_with_numbered_reviews_is_refused() -> None:
    blocks = [f"{number}. Review: {'Good soup, slow waiter. ' * number}\n\nBob" for number in range(1, 13)]
    points = [f"{number}. The soup was cold" for number in range(1, 6)]

    assert "a list of 12 reviews" in refusal("reviews.txt", "\n\n".join(blocks)).message
    assert len(document("review.txt", "What I did not like:\n" + "\n".join(points)).rows) == 1
