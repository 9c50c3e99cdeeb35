"""Header rows, titles, notes and delimiters of the tables that people export."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.formats.test_csv import loaded
from tests.documents.reading import NAMES, ReadDocument, document, refusal, texts, written, written_rows

from reviewbox.documents import ReadOptions
from reviewbox.documents.formats.csv.dialect import DOUBLED, ESCAPED, Dialect
from reviewbox.documents.formats.csv.layout import plain_delimiter
from reviewbox.documents.formats.csv.records import read_records
from reviewbox.documents.lines import Line
from reviewbox.errors import ErrorCode

GOOD = "The pump is quiet and the water stays clear"
BAD = "It leaked on the second day, and nobody called back"
REVIEWS = [GOOD, BAD]


def row(*cells: str) -> str:
    return ",".join(f'"{cell}"' if "," in cell else cell for cell in cells) + "\n"


@pytest.mark.parametrize(
    "header",
    [
        "Submitted,Mail,Is there anything that you would like to tell the people who installed your pump?",
        "Submitted,Mail,Please tell us in a few words how the installation of your new pump went.",
        'Submitted,Mail,"What went well, what went badly, and what should we do about it?"',
        'Submitted,Mail,"Your opinion\n(at most 500 characters)"',
        "Submitted,Mail,",
        "Submitted,,Opinion",
        "Submitted,Opinion,Opinion",
        "Submitted,2,3",
    ],
)
def test_a_header_is_what_differs_from_the_rows_below_it(header: str) -> None:
    rows = row("2026-03-01 10:00", "ann@example.com", GOOD) + row("2026-03-02 11:00", "bob@example.com", BAD)

    read = document("a.csv", f"{header}\n{rows}")

    assert texts(read) == REVIEWS
    assert read.notes["header"] is True
    assert loaded(written(read))[0][3:] == NAMES


@pytest.mark.parametrize(
    "data",
    [
        row("17", "2026-03-01", GOOD) + row("18", "2026-03-02", BAD),
        row("review", "1", GOOD) + row("review", "5", BAD),
        row("I", "ann@example.com", GOOD) + row("U", "bob@example.com", BAD),
        row("3", "", GOOD) + row("", "", BAD),
    ],
)
def test_the_first_row_of_a_table_without_a_header_is_a_review(data: str) -> None:
    read = document("a.csv", data)

    assert texts(read) == REVIEWS
    assert read.notes["header"] is False
    assert read.notes["text_field"] == "3"
    assert loaded(written(read))[0] == ["1", "2", "3", *NAMES]


@pytest.mark.parametrize(
    ("header", "cells"),
    [("Nr,1,2,3,4", ["4", "yes", "5"]), ("2024,2025,2026,Voice", ["3.9", "4.1", "4.4"])],
    ids=["questions", "years"],
)
def test_numbers_that_count_up_are_names(header: str, cells: list[str]) -> None:
    """Some programs number the questions, or have a column for each year."""
    if header.startswith("Nr"):
        rows = row("1", *cells, GOOD) + row("2", "2", "no", "1", BAD)
    else:
        rows = row(*cells, GOOD) + row("4.0", "3.2", "2.8", BAD)

    assert texts(document("a.csv", f"{header}\n{rows}")) == REVIEWS


@pytest.mark.parametrize("first", ["1,2,3", "2024,12,7", "2025,1999,350"])
def test_numbers_above_numbers_are_a_row(first: str) -> None:
    rows = f'{first},"{GOOD}"\n4,2,5,"{BAD}"\n3,350,17,"{BAD}"\n'

    assert len(texts(document("a.csv", rows))) == 3


def test_the_points_of_a_scale_are_names() -> None:
    read = document("a.csv", f"Year,Answer,1,2,3\n2025,{GOOD},3,0,2\n2026,{BAD.replace(',', '')},1,1,4\n")

    assert read.notes["text_field"] == "Answer"
    assert len(read.rows) == 2


def test_a_name_in_the_setting_tells_where_the_header_is() -> None:
    data = f"what,where\n{GOOD},A street in the middle of the town\n{BAD.replace(',', '')},The other end\n"

    read = document(
        "a.csv", data.replace("what", "A text that one of us wrote"), ReadOptions(text_field="where")
    )

    assert texts(read) == ["A street in the middle of the town", "The other end"]


def test_a_row_that_sums_up_the_others_is_carried_through() -> None:
    read = document("a.csv", "id,stars,comment\n" + row("1", "5", GOOD) + row("2", "1", BAD) + "Total,3.0,\n")

    assert texts(read) == REVIEWS
    assert written_rows(read)[-1] == "Total,3.0,,,,,,,\n"


@pytest.mark.parametrize(
    "summary",
    [
        "Average,3.0,,",
        "Mean,3.0,,",
        "Moyenne générale,,,3",
        ",Durchschnitt,,3",
        "Grand total,,,2",
        ",Total,,2",
        ",,Total:,2",
        "Итого,2,,2",
    ],
)
def test_a_word_before_nothing_but_numbers_is_not_a_review(summary: str) -> None:
    """A report ends with it. It comes back as it was."""
    rows = row("1", "5", GOOD, "x7") + row("2", "1", BAD, "x8")

    read = document("a.csv", f"id,stars,comment,code\n{rows}{summary}\n")

    assert texts(read) == REVIEWS
    assert written_rows(read)[-1].startswith(summary)
    assert read.notes["footer_lines"] == 1


@pytest.mark.parametrize("review", ["Average", "Mean", "Total waste of money", "Summe: viel zu teuer"])
def test_a_review_may_start_like_the_sum_of_a_report(review: str) -> None:
    rows = row("1", "5", GOOD) + row("2", "1", BAD)

    assert (
        texts(document("a.csv", f"id,stars,comment\n{rows}3,2,{review}\n,2,{review}\n"))[2:] == [review] * 2
    )


def test_a_header_of_questions_without_ids_below_is_recognized() -> None:
    headers = "StartDate,Progress,Q1,Q2\nStart Date,Progress in percent,How many pumps?,Why?\n"
    rows = row("2026-01-02 10:00:00", "100", "9", GOOD) + row("2026-01-02 11:00:00", "90", "2", BAD)

    assert texts(document("a.csv", headers + rows)) == REVIEWS


MANY = [f"{review} after {week} weeks" for week in range(2, 14) for review in REVIEWS]


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("mood;yazi", [("happy", text) for text in MANY[::2]] + [("angry", text) for text in MANY[1::2]]),
        ("yazi;mood", [(text, "angry") for text in MANY]),
        ("Desk Case Text Body;Desk Case Why", [(text, f"It is case {text[-8:]}") for text in MANY]),
        ("Yazi;;", [(text, "", "") for text in MANY]),
        ("Improve;;", [(text, "", "") for text in [*MANY, "Nothing"]]),
        ("Yazi", [(text,) for text in MANY]),
        (";Yazi;Yer", [(str(3 * n), text, f"house {n}") for n, text in enumerate([*MANY, "Fine"])]),
    ],
    ids=[
        "categories",
        "one category",
        "same start",
        "empty columns",
        "short answers",
        "one column",
        "row numbers",
    ],
)
def test_words_that_no_row_below_resembles_are_a_header(header: str, cells: list[tuple[str, ...]]) -> None:
    """The names are in a language that Reviewbox does not know."""
    rows = [";".join(row) for row in cells]

    read = document("a.csv", "\n".join([header, *rows, ""]))

    assert read.notes["header"] is True
    assert len(read.rows) == len(rows)


@pytest.mark.parametrize("first", ["Awesome", "Kaputt"])
def test_a_review_of_one_word_above_others_is_not_a_header(first: str) -> None:
    read = document("a.csv", "\n".join([first, *MANY, "Broken", ""]))

    assert texts(read)[0] == first


def test_a_word_above_many_texts_is_a_header_although_a_few_are_one_word() -> None:
    many = [f'"{text}, it was {number} weeks old"' for number, text in enumerate(MANY * 2)]

    read = document("a.csv", "\n".join(['"kommentti"', *many, '"Broken"', ""]))

    assert read.notes["text_field"] == "kommentti"
    assert len(read.rows) == len(many) + 1


@pytest.mark.parametrize("header", ["Please tell us about your pump", "What do you think of your pump?"])
def test_one_column_may_have_a_question_as_its_name(header: str) -> None:
    assert texts(document("a.csv", f'{header}\n"{GOOD}"\n"{BAD}"\n')) == REVIEWS


def test_numbers_may_be_names() -> None:
    years = "id,2024,2025,said\n" + row("1", "3", "5", GOOD) + row("2", "4", "1", BAD)
    frame = ",0,1\n" + row("0", "5", GOOD) + row("1", "1", BAD)

    assert texts(document("a.csv", years)) == REVIEWS
    assert texts(document("a.csv", frame)) == REVIEWS
    assert document("a.csv", frame).notes["text_field"] == "1"


TITLES = [
    "Pump report\n",
    "Pump report,2026-03-31 10:00\n",
    "Pump report,,,\nMarch,,,\n",
    "Report,Customer comments\nFrom,2026-03-01\nTo,2026-03-31\n\n",
    "Report,Customer comments,,\nFrom,2026-03-01,,\n,,,\n",
    "Pump report\n\nAll regions\n\n",
]


@pytest.mark.parametrize("titles", TITLES)
def test_titles_above_a_table_are_kept(titles: str) -> None:
    rows = "Id,Stars,Customer,Comment\n" + row("1", "5", "ann", GOOD) + row("2", "1", "bob", BAD)

    read = document("a.csv", titles + rows)

    assert texts(read) == REVIEWS
    assert read.rows[0].line == titles.count("\n") + 2
    assert written(read).startswith(f"{titles}Id,Stars,Customer,Comment,sentiment,")


def test_values_above_a_table_of_two_columns_are_kept() -> None:
    titles = "Period,March 2026\nRegion,North\n\n"

    read = document("a.csv", titles + "Id,Comment\n" + row("1", GOOD) + row("2", BAD))

    assert texts(read) == REVIEWS
    assert written(read).startswith(f"{titles}Id,Comment,sentiment,")


QUALTRICS = (
    "EndDate,RecordId,Q1,Q2\n"
    "End Date,Record ID,How many pumps do you own?,What would you change?\n"
    '"{""ImportId"":""endDate""}","{""ImportId"":""_recordId""}","{""ImportId"":""QID1""}","{""ImportId"":""QID2""}"\n'
)
SURVEYMONKEY = (
    "Respondent ID,Start Date,Which pumps do you own?,,What would you change?\n"
    ",,Large,Small,Open-Ended Response\n"
)


@pytest.mark.parametrize(
    ("headers", "rows", "field"),
    [
        (
            QUALTRICS,
            [["2026-03-01 10:00:00", "R_1x", "2", GOOD], ["2026-03-02 10:00:00", "R_2y", "1", BAD]],
            "Q2",
        ),
        (
            SURVEYMONKEY,
            [["118000001", "03/01/2026", "Large", "", GOOD], ["118000002", "03/02/2026", "", "Small", BAD]],
            "What would you change?",
        ),
    ],
)
def test_further_header_rows_of_survey_tools_are_carried_through(
    headers: str, rows: list[list[str]], field: str
) -> None:
    body = "".join(row(*cells) for cells in rows)

    read = document("a.csv", headers + body)

    first, *more = headers.splitlines()
    assert texts(read) == REVIEWS
    assert read.notes["text_field"] == field
    assert read.notes["header_rows"] == 1 + len(more)
    assert written(read).splitlines()[: 1 + len(more)] == [
        ",".join([first, *NAMES]),
        *(f"{line},,,,,," for line in more),
    ]
    loaded(written(read))


def test_answers_that_a_survey_tool_calls_chosen_are_not_the_review() -> None:
    headers = "Id,Datum,Wie fanden Sie das Essen?,Was noch?\n,,Antwort,Offene Antwort\n"
    rows = [["118", "2026-03-01", "Sehr gut", "Zu laut"], ["119", "2026-03-02", "Ganz gut", "Nichts"]]

    read = document("a.csv", headers + "".join(row(*cells) for cells in rows))

    assert texts(read) == ["Zu laut", "Nichts"]


def test_a_second_table_with_another_header_does_not_hide_the_first_header() -> None:
    """All but one of their columns have the same names."""
    first = "Lists of films\nDate,Name,Link,Description\n2026-01-02,Rain,https://a.example/1,What I love\n"
    second = (
        "\nPlace,Name,Link,Description\n1,The Pump,https://a.example/2,\n2,The Leak,https://a.example/3,\n"
    )

    problem = refusal("a.csv", first + second)

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "'Description'" in problem.message


def test_a_form_is_refused() -> None:
    """It has questions in its first column, and few answers, which are in any column."""
    questions = ["Was the room good for you?,,5,", "I liked the food very much:,,,4", "Were you happy?,,,"]
    questions += ["The chairs were comfortable:,5,,", "I was very tired:,,,", "What would be better,,,"]

    problem = refusal("a.csv", "Course in May,,,\n" + "\n".join(questions * 3) + "\n")

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "a form" in problem.message


def test_numbers_and_texts_in_one_column_are_refused_and_the_column_is_named() -> None:
    """Some survey tools write one answer per row, whatever the question is."""
    rows = row("1", "score", "9") + row("2", "score", "3") + row("3", "comment", GOOD)

    assert "'answer' (texts beside other values)" in refusal("a.csv", f"id,kind,answer\n{rows}").message


def test_a_repeated_header_is_carried_through() -> None:
    export = "id,comment\n" + row("1", GOOD) + row("2", BAD)

    read = document("a.csv", export + export)

    assert texts(read) == REVIEWS * 2
    assert read.notes["repeated_headers"] == 1
    assert written_rows(read)[2] == "id,comment,,,,,,\n"


def test_empty_rows_are_carried_through_and_counted() -> None:
    read = document(
        "a.csv", "name,stars,comment\n" + row("ann", "5", GOOD) + ",,\n" + row("bob", "1", BAD) + ",,\n,,,\n"
    )

    assert texts(read) == REVIEWS
    assert read.notes["empty_rows"] == 3
    assert written_rows(read)[1] == ",,,,,,,,\n"
    loaded(written(read))


def test_notes_below_a_table_are_carried_through() -> None:
    notes = "\nClosed cases of the north region\nCopyright (c) Example Ltd\nExample\n"

    read = document("a.csv", "id,stars,comment\n" + row("1", "5", GOOD) + row("2", "1", BAD) + notes)

    assert texts(read) == REVIEWS
    assert read.notes["footer_lines"] == 3
    assert loaded(written(read))[3][0] == "Closed cases of the north region"


def test_a_short_row_inside_a_table_is_an_error() -> None:
    read = document(
        "a.csv", "id,stars,comment\n" + row("1", "5", GOOD) + "a lone text\n" + row("2", "1", BAD)
    )

    assert [r.problem and r.problem.code for r in read.rows] == [None, ErrorCode.RAGGED_ROW, None]


def test_a_second_byte_order_mark_is_removed() -> None:
    read = document("a.csv", "\ufeff\ufeffReview,Stars\n" + row(GOOD, "5") + row(BAD, "1"))

    assert texts(read) == REVIEWS
    assert written(read).startswith("\ufeffReview,Stars,sentiment")


# --- delimiters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        (f"March 1, 2026;17;{GOOD}\nMarch 2, 2026;18;{BAD}\n", "semicolon"),
        (f"Mo, 1. März, 9:00;12,50;{GOOD}\nDi, 2. März, 9:30;9,90;{BAD}\n", "semicolon"),
        (f"1|{GOOD}|5\n2|{BAD}|1\n", "bar"),
        (f'"1"|"{GOOD}"\n"2"|"{BAD}"\n', "bar"),
        (f'id,tags,comment\n1,a|b,{GOOD}\n2,c|d,"{BAD}"\n', "comma"),
        (f"1\t2026-03-01\t{GOOD}\n2\t2026-03-02\t{BAD}\n", "tab"),
        (f'"stars" "said"\n"1" 5 "{GOOD}"\n"2" 1 "{BAD}"\n', "space"),
        (f'id, comment\n1, "{GOOD}"\n2, "{BAD}"\n', "comma"),
    ],
)
def test_the_delimiter_is_the_one_whose_cells_make_sense(data: str, delimiter: str) -> None:
    read = document("a.csv", data)

    assert read.notes["delimiter"] == delimiter
    assert texts(read) == REVIEWS


def test_spaces_before_quotes_are_kept_in_the_result() -> None:
    read = document("a.csv", f'id, comment\n1, "{BAD}"\n2, "{GOOD}"\n')

    assert written(read).splitlines()[1].startswith(f'1, "{BAD}",positive,')


@pytest.mark.parametrize("name", ["000000_0", "part.txt", "part.csv"])
def test_hive_separates_cells_with_a_control_character(name: str) -> None:
    read = document(name, f"7\x01web\x01{GOOD}\x015\n8\x01\\N\x01{BAD}\x01\\N\n")

    assert texts(read) == REVIEWS
    assert read.notes["delimiter"] == "control-a"
    assert loaded(written(read), "\x01")[2][:4] == ["8", "\\N", BAD, "\\N"]


def test_records_without_quotes_may_be_quoted_as_a_whole() -> None:
    read = document("a.csv", f'"nr;shop;said"\n"1;Bonn;{GOOD}"\n"2;Kiel;{BAD}"\n')

    assert texts(read) == REVIEWS
    assert loaded(written(read), ";")[0] == ["nr;shop;said", *NAMES]


def test_quoted_prose_with_numbers_after_commas_is_one_column() -> None:
    reviews = ["Worth it, 5 stars", "Too loud, 2 stars", "We left early, 1 star", "Fine, 4 stars"]
    quoted = "".join(f'"{review}"\n' for review in reviews)

    assert texts(document("a.csv", f'"review"\n{quoted}')) == reviews


def test_records_may_be_quoted_as_a_whole() -> None:
    """Excel writes this if a table was pasted into one column."""
    data = f'"id,comment"\n"1,""{BAD}"""\n"2,""He said """"go"""", then left us alone"""\n'

    read = document("a.csv", data)

    assert texts(read) == [BAD, 'He said "go", then left us alone']
    assert read.notes["quoted_lines"] is True
    assert loaded(written(read))[0] == ["id,comment", *NAMES]
    assert written(read).splitlines()[1].startswith(f'"1,""{BAD}""",positive,')


@pytest.mark.parametrize("quote", ["", '"'])
def test_prose_with_commas_is_one_column(quote: str) -> None:
    reviews = ["Small, but loud", "Cheap, and it shows", "Fine, so far"]

    read = document("a.csv", "".join(f"{quote}{review}{quote}\n" for review in ["Opinion", *reviews]))

    assert texts(read) == reviews


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        (f"1|{GOOD}|5\n2|{BAD}|1\n", "|"),
        ("id,review\n1,good\n", ","),
        (f"id\tcomment\n1\t{GOOD}\n2\t{BAD}\n", "\t"),
        (f"{GOOD}\t1\n{BAD}\t0\n" * 2, "\t"),
        (f"ham\t{GOOD}\nspam\t{BAD}\n" * 2, "\t"),
        ("\tGood pump, quiet and cheap.\n" * 4, None),
        ("Food\t5\nService\t4\nPrice\t3\nAmbience\t5\n", None),
        ("Good pump, quiet.\nI would buy it again, and again.\n", None),
        ("Dear team,\nthe pump is fine, thank you.\nBest regards,\nAnn\n", None),
        ("First line, second part\nNext line, other part\nLast line, and so on\n", None),
        ("", None),
    ],
)
def test_a_text_that_is_plainly_a_table_is_recognized(head: str, delimiter: str | None) -> None:
    assert plain_delimiter(head) == delimiter


# --- the choice of the column ----------------------------------------------------------------------------


def test_the_setting_may_be_the_number_of_a_named_column() -> None:
    read = document("a.csv", "id,good,bad\n" + row("1", GOOD, BAD), ReadOptions(text_field="3"))

    assert texts(read) == [BAD]
    assert read.notes["text_field"] == "bad"


def test_several_columns_are_joined_as_paragraphs() -> None:
    data = (
        "id,pros,cons\n" + row("1", GOOD, BAD) + row("2", "", BAD) + row("3", "", "") + row("4", GOOD, "NULL")
    )

    read = document("a.csv", data, ReadOptions(text_field="pros, cons"))

    assert texts(read) == [f"{GOOD}\n\n{BAD}", BAD, "", GOOD]
    assert read.notes["text_field"] == "pros,cons"


def test_a_name_in_the_setting_may_contain_a_comma() -> None:
    data = '"What was good, and why?",bad\n' + row(GOOD, BAD)

    assert texts(document("a.csv", data, ReadOptions(text_field="What was good, and why?"))) == [GOOD]
    assert texts(document("a.csv", data, ReadOptions(text_field="What was good, and why?,bad"))) == [
        f"{GOOD}\n\n{BAD}"
    ]


def test_a_column_that_does_not_exist_is_refused_with_the_names() -> None:
    problem = refusal("a.csv", "id,comment\n" + row("1", GOOD), ReadOptions(text_field="comments"))

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "'comments'" in problem.message
    assert "'id', 'comment'" in problem.message


def test_an_ambiguous_name_in_the_setting_is_refused_with_the_numbers() -> None:
    data = "id,note,note\n" + row("1", GOOD, BAD)

    problem = refusal("a.csv", data, ReadOptions(text_field="note"))

    assert problem.code is ErrorCode.DUPLICATE_FIELD
    assert problem.message.endswith(": 2, 3")
    assert texts(document("a.csv", data, ReadOptions(text_field="3"))) == [BAD]


def test_the_title_is_judged_where_the_review_is_empty() -> None:
    data = "id,title,review\n" + row("1", "Nice", GOOD) + row("2", "Bad pump", "") + row("3", "", "")

    read = document("a.csv", data)

    assert texts(read) == [GOOD, "Bad pump", ""]
    assert [bool(r.note) for r in read.rows] == [False, True, False]
    assert read.notes["title_field"] == "title"
    assert read.notes["titles_classified"] == 1
    result = loaded(written(read))
    assert result[0][3:] == [*NAMES, "note"]
    assert [cells[-1] for cells in result[1:]] == ["", "the review is empty; its title was classified", ""]


# --- properties ------------------------------------------------------------------------------------------

PHRASES = [
    "The bed was hard and the room too warm",
    "Lovely people, we will come back",
    "Never again",
    "Quiet at night, clean, and close to the lake",
    "I waited for an hour and got nothing",
    "Good value for what we paid",
    "They lost my booking but were kind about it",
    "Breakfast was the best part of the stay",
    "Fine",
    "The lift was out of order, all week long",
]
COLUMNS: dict[str, Callable[[random.Random, int], str]] = {
    "no": lambda _, n: str(n),
    "arrived": lambda r, _: f"2026-03-{r.randint(1, 28):02}",
    "who": lambda r, _: r.choice(["Ann Lee", "Bob Ray", "Cy Poe"]),
    "mail": lambda r, _: f"guest{r.randint(1, 99)}@example.com",
    "room": lambda r, _: r.choice(["single", "double", "suite"]),
    "stars": lambda r, _: str(r.randint(1, 5)),
    "page": lambda r, _: f"https://example.com/{r.randint(1, 999)}",
    "token": lambda r, _: f"{r.getrandbits(64):016x}",
    "paid": lambda r, _: f"{r.uniform(20, 300):.2f}",
    "verified": lambda r, _: r.choice(["true", "false"]),
}
COLUMN_NAMES = st.permutations(sorted(COLUMNS)).flatmap(
    lambda names: st.integers(1, len(names)).map(lambda size: names[:size])
)


def table(
    names: Sequence[str], position: int, header: str, seed: int, broken: float
) -> tuple[str, list[str]]:
    """Return a table with a column of reviews among others, and its reviews."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    reviews = rng.sample(PHRASES, len(PHRASES))
    lines = [[*names[:position], header, *names[position:]]]
    expected = []
    for number, review in enumerate(reviews, 1):
        text = "" if rng.random() < broken else review
        cells = [COLUMNS[name](rng, number) for name in names]
        lines.append([*cells[:position], text, *cells[position:]])
        expected.append(text)
    data = "".join(row(*cells) for cells in lines)
    if broken:
        data += "broken\n" + row(*lines[1])
        expected += ["", expected[0]]
    return data, expected


@given(
    names=COLUMN_NAMES,
    position=st.integers(0, 10),
    header=st.sampled_from(
        ["comment", "Gästemeinung", "What could we do better?", "q7_open", "review_text", "said"]
    ),
    seed=st.integers(0, 10_000),
    broken=st.sampled_from([0, 0.1]),
)
def test_other_columns_names_and_empty_rows_do_not_change_the_choice(
    names: list[str], position: int, header: str, seed: int, broken: float
) -> None:
    data, expected = table(names, min(position, len(names)), header, seed, broken)

    read = document("a.csv", data)

    assert read.notes["text_field"] == header
    assert texts(read) == expected


# --- linear work -----------------------------------------------------------------------------------------


class CountedLine(Line):
    """A line that counts how many characters were read from it."""

    characters = 0

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "text":
            CountedLine.characters += len(value)
        return value


def characters_read(data: str, dialect: Dialect) -> int:
    CountedLine.characters = 0
    lines = data.splitlines(keepends=True)
    for _ in read_records((CountedLine(number, line) for number, line in enumerate(lines, 1)), dialect):
        pass
    return CountedLine.characters


@pytest.mark.parametrize("quotes", [DOUBLED, ESCAPED])
@pytest.mark.parametrize(
    "line",
    [
        'x","y"\n',
        'x","y\n',
        '"x\n',
        'a,"b\n',
        '"\\\n',
        "a\\\n",
        '"a ""\n',
        '"a" b\n',
        'a,"b\n"c" d\n',
        '"\n\n',
    ],
)
def test_quotes_that_never_close_take_linear_work(line: str, quotes: str) -> None:
    size, double, quadruple = (characters_read(line * n, Dialect(",", quotes)) for n in (500, 1000, 2000))

    assert double <= 2.1 * size
    assert quadruple <= 2.1 * double


def test_a_result_row_has_as_many_cells_as_the_header() -> None:
    read: ReadDocument = document(
        "a.csv", SURVEYMONKEY + row("118", "03/01/2026", "Large", "", GOOD) + ",,,,\n"
    )

    loaded(written(read))


@pytest.mark.parametrize(
    "first",
    [
        "Great",
        "terrible",
        "Price",
        "alice,Great",
        "Great,alice",
        "Location,bob",
        "5,Great",
        "NULL,Great film it was",
        "2026-03-01,Wonderful",
    ],
)
def test_a_first_review_of_one_word_is_not_taken_for_a_header(first: str) -> None:
    """A header that is classified does less harm than a lost review, and the receipt mentions it."""
    long = "this is a much longer review of a film"
    others = {
        "alice": "bob",
        "bob": "carol",
        "5": "3",
        "NULL": "4",
        "2026-03-01": "2026-03-02",
    }
    rows = [",".join(others.get(cell, long) for cell in first.split(",")) for _ in range(3)]

    read = document("a.csv", "\n".join([first, *rows]) + "\n")

    assert len(read.rows) == 4
    assert not any(str(note) in first.split(",") for note in read.notes.values() if note != "5")


def test_a_label_of_the_cells_below_it_is_a_header() -> None:
    read = document("a.csv", "Upsides\nUpsides: quiet pump\nUpsides: clear water\nUpsides: kind\n")

    assert texts(read) == ["Upsides: quiet pump", "Upsides: clear water", "Upsides: kind"]


@pytest.mark.parametrize("header", ["comment", "review_2", "q7", "openText", "sentence", "Feedback", "Pros"])
def test_a_name_above_one_column_of_texts_is_a_header(header: str) -> None:
    read = document("a.csv", f"{header}\nthis is a longer review of a film\nand this is another one, too\n")

    assert read.notes["text_field"] == header


@pytest.mark.parametrize("surplus", [1, 5, 50])
def test_cells_beyond_the_header_do_not_hide_it(surplus: int) -> None:
    data = "id,review\n" + "x," * (2 + surplus) + "\n" + "1,good\n" * 3

    assert "good" in texts(document("reviews.csv", data))
    assert "review" not in texts(document("reviews.csv", data))


def test_names_that_end_with_a_colon_are_a_header() -> None:
    """No cell below ends with one."""
    people = f"Ann Lee\t{GOOD}\tThe old boats of my town\nBob Orr\t{BAD}\tTea from the far north\n"
    problem = refusal("people.tsv", f"Full Name\tShort bio:\tTalk to me about:\n{people}")

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "'Short bio:'" in problem.message


def test_a_word_of_programs_above_sentences_is_a_header() -> None:
    assert texts(document("a.csv", f'response\n{GOOD}\n"{BAD}"\n')) == REVIEWS
    assert texts(document("a.csv", f'Lovely\n{GOOD}\n"{BAD}"\n')) == ["Lovely", *REVIEWS]


def test_stray_line_feeds_do_not_end_the_rows_of_a_file_with_carriage_returns() -> None:
    rows = [f'{number},"It was fine,\n{GOOD}"' for number in range(2)]
    rows += [f"{number},{GOOD}" for number in range(2, 30)]
    read = document("a.csv", "\r".join(["id,review", *rows, ""]))

    assert texts(read) == [f"It was fine,\n{GOOD}"] * 2 + [GOOD] * 28


@pytest.mark.parametrize("header", ["artist,song,impression", "Singer,Song,Impression"])
def test_unknown_words_above_columns_that_repeat_one_value_are_a_header(header: str) -> None:
    rows = [f'Lee,Rain,"I was there on day {day}, and it was so loud."' for day in range(6)]

    read = document("songs.csv", "\n".join([header, *rows]))

    assert read.notes["header"] is True
    assert len(read.rows) == len(rows)


def test_names_in_lower_case_are_a_header() -> None:
    lines = (
        "I love the rain in it.",
        "Bad from start to end.",
        "Very loud, but good.",
        "My song of the year!",
    )
    rows = [f'{name},Rain,"{line}"' for name, line in zip(("Ann", "Bo", "Cy", "Di"), lines, strict=True)]

    assert document("songs.csv", "\n".join(["artist,song,impression", *rows])).notes["header"] is True
    assert document("songs.csv", "\n".join([*rows, "eve,snow,so so"])).notes["header"] is False


@pytest.mark.parametrize("header", ["Magasin;Ressenti", "Şube;İzlenim", "Cabang;Kesan"])
def test_an_unknown_word_above_nothing_but_sentences_is_a_name(header: str) -> None:
    rows = [f"{'Nord' if number % 2 else 'Sud'};{text}." for number, text in enumerate(MANY[:8])]

    assert document("a.csv", "\n".join([header, *rows, ""])).notes["header"] is True
    assert document("a.csv", "\n".join(["Nord;Terrible", *rows, ""])).notes["header"] is False
