import codecs
import csv
import re
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.documents.reading import ADDED, NAMES, OPTIONS, document, problems, refusal, texts, written

from reviewbox.documents import ReadOptions
from reviewbox.errors import ErrorCode

HEADER = ",".join(NAMES)
ADDED_CELLS = ",".join(ADDED)


def loaded(text: str, delimiter: str = ",") -> list[list[str]]:
    """Parse a written table with a strict reader; all rows must have the same width."""
    rows = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True))
    assert len({len(row) for row in rows}) == 1
    return rows


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")]
)
@pytest.mark.parametrize("file", ["a.csv", "a.tsv"])
def test_the_delimiter_is_inferred(file: str, delimiter: str, name: str) -> None:
    data = "id,review,price\n1,Good; very | good\t!,2.50\n2,bad,1\n".replace(",", delimiter)

    if delimiter != ",":
        data = data.replace("Good; very | good\t!", '"Good; very | good\t!"')
    else:
        data = data.replace("\t", " ")

    read = document(file, data)

    assert read.notes["delimiter"] == name
    assert texts(read)[1] == "bad"
    assert texts(read)[0].startswith("Good; very | good")


def test_a_record_is_written_back_unchanged() -> None:
    data = 'id, review ,"price"\n 1,"He said ""good"", twice\nand left", 1.10\n"2",fine,\n'

    read = document("a.csv", data)

    assert texts(read) == ['He said "good", twice\nand left', "fine"]
    assert [row.line for row in read.rows] == [2, 4]
    assert written(read) == (
        f'id, review ,"price",{HEADER}\n'
        f' 1,"He said ""good"", twice\nand left", 1.10,{ADDED_CELLS}\n'
        f'"2",fine,,{ADDED_CELLS}\n'
    )


def test_the_notes_contain_what_was_inferred() -> None:
    assert document("a.csv", "id;review\n1;good\n").notes == {
        "encoding": "utf-8",
        "delimiter": "semicolon",
        "quotes": "doubled",
        "header": True,
        "text_field": "review",
        "text_field_by": "score",
        "text_field_score": 4.0,
    }


def test_an_excel_export_from_europe_is_read_and_the_result_opens_in_excel() -> None:
    """It has semicolons, decimal commas and carriage returns, and is not UTF-8."""
    data = 'Datum;Preis;Kommentar\r\n01.02.2024;1,50;"Sehr schön; gerne wieder"\r\n'
    data += "02.02.2024;2,00;Das war wohl nichts\r\n"

    read = document("a.csv", data.encode("windows-1252"))

    assert texts(read) == ["Sehr schön; gerne wieder", "Das war wohl nichts"]
    assert read.notes["lines_in_fallback_encoding"] == 1
    assert written(read).startswith("\ufeffDatum;Preis;Kommentar;sentiment;")
    assert written(read).count("\r\n") == written(read).count("\n") == 3


TABLE = "id;review\r\n1;Käse\r\n"


@pytest.mark.parametrize(
    ("data", "mark"),
    [
        (TABLE.encode(), ""),
        (codecs.BOM_UTF8 + TABLE.encode(), "\ufeff"),
        (codecs.BOM_UTF16_LE + TABLE.encode("utf-16-le"), "\ufeff"),
        (codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"), "\ufeff"),
        (TABLE.encode("windows-1252"), "\ufeff"),
    ],
)
def test_a_result_gets_a_byte_order_mark_unless_the_source_was_plain_utf8(data: bytes, mark: str) -> None:
    read = document("a.csv", data)

    assert texts(read) == ["Käse"]
    assert written(read).startswith(mark + "id;review;sentiment")


def test_the_sep_line_of_excel_names_the_delimiter_and_is_kept() -> None:
    read = document("a.csv", "sep=;\r\nid;review\r\n1;good, really, good\r\n")

    assert [(row.line, row.text) for row in read.rows] == [(3, "good, really, good")]
    assert written(read).startswith("sep=;\r\nid;review;sentiment;")


@pytest.mark.parametrize("titles", ["Table 1\n", "Reviews of May\n\n", '"Export",,\nby Ann\n'])
def test_titles_before_a_table_are_kept(titles: str) -> None:
    rows = "id,review,price\n1,It was a very good film,2\n2,It was a very bad film,1\n"

    read = document("a.csv", titles + rows)

    assert texts(read) == ["It was a very good film", "It was a very bad film"]
    assert next(iter(read.rows)).line == titles.count("\n") + 2
    assert written(read).startswith(f"{titles}id,review,price,{HEADER}\n1,")


def test_a_row_with_a_usual_name_in_a_cell_is_not_a_header() -> None:
    read = document("a.csv", "1,letter,It was a very good film\n2,comment,It was a very bad film\n")

    assert len(texts(read)) == 2


def test_carriage_returns_of_old_macintosh_files_end_lines() -> None:
    assert texts(document("a.csv", "id,review\r1,good\r2,bad\r")) == ["good", "bad"]


def test_a_lone_carriage_return_is_quoted_in_the_result() -> None:
    read = document("a.csv", 'id,review\n1,go\rod\n2,"a"\rb\n3,"ba\rd"\n')

    assert texts(read) == ["go\rod", "a b", "ba\rd"]
    assert [row[1] for row in loaded(written(read))[1:]] == ["go\rod", "a b", "ba\rd"]


SPARK = 'id,review\n1,"he said \\"good\\", twice"\n2,"c:\\\\temp\\\\"\n3,bad\n'


def test_spark_escapes_quotes_with_a_backslash() -> None:
    read = document("a.csv", SPARK)

    assert texts(read) == ['he said "good", twice', "c:\\temp\\", "bad"]
    assert read.notes["quotes"] == "backslash"
    assert written(read) == SPARK.replace("\n", f",{ADDED_CELLS}\n").replace(
        f"review,{ADDED_CELLS}", f"review,{HEADER}"
    )


@pytest.mark.parametrize("quote", ['\\"', "'"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_mysql_writes_a_backslash_before_a_line_break_in_quotes(quote: str, line_end: str) -> None:
    """So does its CSV. The backslash is not part of the review, and comes back as it was."""
    lines = ['1,\\N,"Warm rooms,\\', 'and a kind host"', f'2,"","It was {quote}fine{quote}"', ""]

    read = document("a.csv", line_end.join(lines))

    quoted = quote.removeprefix("\\")
    assert texts(read) == [f"Warm rooms,{line_end}and a kind host", f"It was {quoted}fine{quoted}"]
    assert line_end.join(lines[:2]) in written(read)


def test_a_backslash_at_the_end_of_a_line_in_csv_may_be_part_of_a_review() -> None:
    assert texts(document("a.csv", "id,review\n1,It was clean /\\\n2,It was loud\n")) == [
        "It was clean /\\",
        "It was loud",
    ]


def test_a_backslash_is_an_ordinary_character_if_quotes_are_doubled() -> None:
    read = document("a.csv", 'id,review\n1,"see c:\\"\n2,"he ""said"""\n')

    assert texts(read) == ["see c:\\", 'he "said"']


POSTGRES = 'id\treview\n1\tgood\\nfilm, "really"\\tgood c:\\\\temp\n2\t\\N\n3\tbad\n'


def test_the_text_format_of_databases_is_read_and_written() -> None:
    read = document("a.tsv", POSTGRES)

    assert texts(read) == ['good\nfilm, "really"\tgood c:\\temp', "", "bad"]
    assert problems(read) == [(3, ErrorCode.MISSING_FIELD)]
    assert written(read).splitlines() == [
        "\t".join(["id\treview", *NAMES]),
        POSTGRES.splitlines()[1] + "\tpositive\t0.8765\tfalse\tfalse\t\\N\t\\N",
        "2\t\\N\t\\N\t\\N\t\\N\t\\N\tmissing_field\tline 3: the review field holds \\\\N, not a review",
        "3\tbad\tpositive\t0.8765\tfalse\tfalse\t\\N\t\\N",
    ]


def test_mysql_escapes_tabs_and_line_ends_with_a_backslash() -> None:
    read = document("a.tsv", "id\treview\n1\tgood\\\nfilm\\\tit was\\\\\n2\tbad\n")

    assert [(row.line, row.text) for row in read.rows] == [(2, "good\nfilm\tit was\\"), (4, "bad")]
    assert written(read).splitlines()[1] == "1\tgood\\"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "id\tcity\treview\n1\tBern\tIt was clean and quiet \\\n2\t\t\n3\tRome\tIt was loud\n",
            ["It was clean and quiet \\", "", "It was loud"],
        ),
        ("id\treview\n1\tIt was clean /\\\n2\t\n", ["It was clean /\\", ""]),
        ("id\treview\n1\tIt was loud /\\\n2\tIt was clean /\\\n", ["It was loud /\\", "It was clean /\\"]),
        ("id\tdrive\treview\n1\tC:\\\tIt was fast\n2\tD:\\\tIt was slow\n", ["It was fast", "It was slow"]),
        ('id\tsize\treview\n1\t5"\t"good\n2\t\t\\\n3\t7\t\n', ['"good', "\\", ""]),
        ("review\nIt was clean /\\\nIt was loud and cold\n", ["It was clean /\\", "It was loud and cold"]),
    ],
)
def test_a_backslash_may_be_the_last_character_of_a_cell(data: str, expected: list[str]) -> None:
    read = document("a.tsv", data)

    assert texts(read) == expected
    assert problems(read) == []
    assert len(written(read).splitlines()) == 1 + len(expected)


def test_a_row_is_not_lost_behind_a_backslash_in_the_text_format() -> None:
    """The escapes of the other rows make it the end of a line, which gives its row too many cells."""
    rows = [f"{n}\tIt was good\\nand quiet\n" for n in range(300)]

    read = document(
        "a.tsv", "".join(["id\treview\n", *rows, "300\tIt was loud\\\n301\t\n", "302\tIt was fine\n"])
    )

    assert texts(read)[299:] == ["It was good\nand quiet", "", "It was fine"]
    assert problems(read) == [(302, ErrorCode.RAGGED_ROW)]


def test_quotes_in_a_tsv_may_be_ordinary_characters() -> None:
    """The Amazon reviews data set is written like this."""
    data = 'id\treview_body\n1\t"Best" film\n2\t"never closed\n3\t5" screen\n4\tgood\n'

    read = document("a.tsv", data)

    assert texts(read) == ['"Best" film', '"never closed', '5" screen', "good"]
    assert written(read).splitlines()[2] == '2\t"never closed\tpositive\t0.8765\tfalse\tfalse\t\t'


def test_a_tsv_may_be_quoted() -> None:
    assert texts(document("a.tsv", 'id\treview\n1\t"good\tand\nfine"\n2\t"bad"\n')) == [
        "good\tand\nfine",
        "bad",
    ]


def test_r_omits_the_name_of_the_column_of_row_names() -> None:
    read = document("a.tsv", '"id"\t"review"\n"1"\t5\t"good"\n"2"\t6\t"bad"\n')

    assert texts(read) == ["good", "bad"]
    assert written(read).startswith('"id"\t"review"\tsentiment')


def test_a_column_without_a_name_is_kept() -> None:
    read = document("a.csv", ",stars,review\n0,5,good\n1,,bad\n")

    assert texts(read) == ["good", "bad"]
    assert loaded(written(read))[1] == ["0", "5", "good", *ADDED]


@pytest.mark.parametrize("missing", ["NaN", "nan", "NULL", "null", "None", "NA", "N/A", "<NA>", "\\N"])
def test_a_missing_value_is_not_a_review(missing: str) -> None:
    read = document("a.csv", f"id,review\n1,good\n2,{missing}\n3,bad\n")

    assert texts(read) == ["good", "", "bad"]
    assert problems(read) == [(3, ErrorCode.MISSING_FIELD)]


def test_an_empty_cell_is_left_to_the_classifier() -> None:
    read = document("a.csv", "id,review\n1,\n2,good\n")

    assert texts(read) == ["", "good"]
    assert problems(read) == []


@pytest.mark.parametrize("data", ["1,5,Good film it was\n2,1,It was a bad film\n", "1,5,It was a bad film\n"])
def test_a_table_without_a_header_gets_one_with_column_numbers(data: str) -> None:
    read = document("a.csv", data)

    assert texts(read)[-1] == "It was a bad film"
    assert read.notes["header"] is False
    assert read.notes["text_field"] == "3"
    assert written(read) == f"1,2,3,{HEADER}\n" + data.replace("\n", f",{ADDED_CELLS}\n")


def test_the_setting_may_be_a_column_number_if_there_is_no_header() -> None:
    read = document("a.csv", "3,Good film it was,x\n2,Bad film it was,y\n", ReadOptions(text_field="3"))

    assert texts(read) == ["x", "y"]
    assert read.notes["text_field_by"] == "setting"


@pytest.mark.parametrize(
    "header",
    [
        "Timestamp,Email,How was your stay with us?",
        "#,Contact,What did you like?",
        "id,who,opinion",
        '"id","who","Tell us more."',
    ],
)
def test_a_header_is_recognized_by_the_cells_below_it(header: str) -> None:
    rows = "2024/01/01 10:00 AM GMT,ann@example.com,It was very good indeed\n"
    rows += "2024/01/02 10:00 AM GMT,bob@example.com,We did not sleep at all\n"

    read = document("a.csv", f"{header}\n{rows}")

    assert len(texts(read)) == 2
    assert read.notes["header"] is True
    assert written(read).startswith(f"{header},{HEADER}\n")


@pytest.mark.parametrize("header", ["", "review\n", "Opinion\n"])
def test_one_column_of_prose_may_be_unquoted(header: str) -> None:
    reviews = ["Good, very good film", "Bad, bad, bad, really bad it was", "Fine it was, so to say, fine"]

    read = document("a.csv", header + "\n".join(reviews))

    assert texts(read) == reviews
    assert [row[0] for row in loaded(written(read))][-3:] == reviews


def test_the_first_review_is_not_taken_as_a_header() -> None:
    reviews = [
        "It was a good film.",
        *(f"It was a good film and I would see {n} more like it." for n in "abc"),
    ]

    assert texts(document("a.csv", "\n".join(reviews))) == reviews


def test_a_table_none_of_whose_rows_fits_its_header_is_refused_with_the_reason() -> None:
    """Naming the field with the reviews would not help."""
    rows = "".join(f"{number},Ann,I liked it very much.\n" for number in range(9))

    problem = refusal("visits.csv", f"id,name,review,day,city\n{rows}")

    assert problem.code is ErrorCode.RAGGED_ROW
    assert "3 fields, but the header has 5" in problem.message


def test_ragged_rows_are_written_back_so_that_the_table_loads() -> None:
    data = 'id,review,stars\n1,good,5\n2,well, not so secret,1\n3\n4,"a\nb",c,d\n5,bad,1\n'

    read = document("a.csv", data)

    assert texts(read) == ["good", "", "", "", "bad"]
    assert problems(read) == [(line, ErrorCode.RAGGED_ROW) for line in (3, 4, 5)]
    rows = loaded(written(read))
    assert [row[:3] for row in rows[1:]] == [
        ["1", "good", "5"],
        ["2", "well", " not so secret,1"],
        ["3", "", ""],
        ["4", "a\nb", "c,d"],
        ["5", "bad", "1"],
    ]
    assert rows[2][7] == "ragged_row"
    assert rows[2][8] == "line 3: 4 fields, but the header has 3; check for a missing delimiter or quote"


def test_empty_surplus_cells_are_dropped() -> None:
    read = document("a.csv", "id,review\n1,good,,\n2,bad\n")

    assert texts(read) == ["good", "bad"]
    assert [row[:2] for row in loaded(written(read))[1:]] == [["1", "good"], ["2", "bad"]]


def test_a_quote_that_does_not_close_affects_only_its_line() -> None:
    read = document("a.csv", 'id,review\n1,"secret\n2,"fine, ""really"""\n3,bad\n')

    assert texts(read) == ["", 'fine, "really"', "bad"]
    assert problems(read) == [(2, ErrorCode.UNCLOSED_QUOTE)]
    assert [row[:2] for row in loaded(written(read))[1:]] == [
        ["1", '"secret'],
        ["2", 'fine, "really"'],
        ["3", "bad"],
    ]


def test_a_quote_that_never_closes_does_not_swallow_the_rest() -> None:
    read = document("a.csv", 'id,review\n1,"good\n' + "2,bad\n" * 3000)

    assert texts(read) == ["", *["bad"] * 3000]
    assert problems(read) == [(2, ErrorCode.UNCLOSED_QUOTE)]


def test_a_quote_that_is_not_doubled_is_corrected_in_the_result() -> None:
    read = document("a.csv", 'id,review\n1,"the "best" film"\n2,fine\n')

    assert problems(read) == []
    assert texts(read)[0].startswith("the best")
    assert loaded(written(read))[1][1] == texts(read)[0]


def test_a_header_may_span_several_lines() -> None:
    read = document("a.csv", '"id\n(ours)",review\n1,good\n')

    assert [(row.line, row.text) for row in read.rows] == [(3, "good")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("\n \r\n", ErrorCode.EMPTY_TABLE),
        ("\ufeff", ErrorCode.EMPTY_TABLE),
        ("sep=;\n", ErrorCode.EMPTY_TABLE),
        ("id,review\n", ErrorCode.HEADER_ONLY),
        ("id,review", ErrorCode.HEADER_ONLY),
        ("\n\nreview\n\n", ErrorCode.HEADER_ONLY),
        ("id,stars\n1,5\n2,4\n", ErrorCode.NO_TEXT_FIELD),
        ("id,review,review\n1,good,bad\n", ErrorCode.NO_TEXT_FIELD),
    ],
)
def test_a_table_without_rows_or_review_column_is_refused(data: str, code: ErrorCode) -> None:
    assert refusal("a.csv", data).code is code
    assert refusal("a.tsv", data.replace(",", "\t")).code is code


def test_a_header_whose_quote_does_not_close_is_refused() -> None:
    problem = refusal("a.csv", 'id,"review\n1,good\n2,bad\n')

    assert problem.code is ErrorCode.UNCLOSED_QUOTE
    assert problem.message.startswith("line 1: ")


def test_duplicate_names_of_other_columns_are_allowed() -> None:
    assert texts(document("a.csv", "id,id,review\n1,2,good\n")) == ["good"]


def test_a_duplicate_name_in_the_setting_is_refused() -> None:
    problem = refusal("a.csv", "note,note,review\na,b,good\n", ReadOptions(text_field="note"))

    assert problem.code is ErrorCode.DUPLICATE_FIELD
    assert "2 columns are called 'note'" in problem.message


def test_a_table_with_too_many_rows_is_refused() -> None:
    options = ReadOptions(max_rows=3)

    assert len(texts(document("a.csv", "review\n" + "good\n" * 3, options))) == 3
    assert refusal("a.csv", "review\n" + "good\n" * 4, options).code is ErrorCode.TOO_LARGE


def test_a_line_over_the_limit_affects_only_its_row() -> None:
    data = "id,review\n1,good\n2," + "secret " * 200 + "\n3,bad\n"

    read = document("a.csv", data, ReadOptions(max_line_length=1000))

    assert texts(read) == ["good", "", "bad"]
    assert problems(read) == [(3, ErrorCode.LINE_TOO_LONG)]
    assert loaded(written(read))[2][:2] == ["2", "secret " * 200]


def test_a_line_of_five_million_characters_affects_only_its_row() -> None:
    read = document("a.csv", "id,review\n1,good\n2," + "x" * 5_000_000 + '\n3,"bad"\n')

    assert texts(read) == ["good", "", "bad"]
    assert problems(read) == [(3, ErrorCode.LINE_TOO_LONG)]


def test_an_undecodable_line_affects_only_its_row() -> None:
    read = document("a.csv", b'id,review\n1,good\n2,"caf\xe9 \x81"\n3,caf\xe9\n')

    assert texts(read) == ["good", "", "café"]
    assert problems(read) == [(3, ErrorCode.NOT_TEXT)]
    assert loaded(written(read))[2][1] == '"caf\\xe9 \\x81"'


def test_an_added_name_that_the_table_has_is_prefixed() -> None:
    read = document("a.csv", "review,sentiment\ngood,1\n")

    assert loaded(written(read))[0][:3] == ["review", "sentiment", "reviewbox_sentiment"]


CELLS = st.text(
    st.sampled_from("ab 1é\"'\\,;\t|\n\r😀.")
    | st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))),
    max_size=12,
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example([["1", '"good"']], "\t", csv.QUOTE_ALL, "\n", "utf-8")
@example([["1", '\\"']], ",", csv.QUOTE_ALL, "\n", "utf-8")
@example([["", "A"], ["", "A\\"], ["", ""]], ",", csv.QUOTE_ALL, "\n", "utf-8")
@example([["", "\\"], ["", ""]], "\t", csv.QUOTE_MINIMAL, "\n", "utf-8")
@example([["|", "é\\"], ["\\", '"|'], ["\t", ""]], "\t", csv.QUOTE_MINIMAL, "\n", "utf-8")
def test_tables_written_by_python_are_returned_unchanged(
    rows: list[list[str]], delimiter: str, quoting: int, end: str, encoding: str
) -> None:
    text = StringIO(newline="")
    # Python before 3.13 does not quote a lone "\r", which readers take as a line end.
    table = [[f"{number}", *(cell.replace("\r", " ") for cell in row)] for number, row in enumerate(rows)]
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(  # type: ignore[arg-type]
        [["id", "city", "text"], *table]
    )
    # In a table with tabs, these are escapes of a database.
    assume(delimiter != "\t" or not re.search(r"\\[bfnrtv\\]", text.getvalue()))

    # The cells may be anything, so the choice is not inferred.
    read = document("a.csv", text.getvalue().encode(encoding), replace(OPTIONS, text_field="text"))

    assert read.notes["text_field"] == "text"
    assert len(texts(read)) == len(table)
    for row, cells in zip(read.rows, table, strict=True):
        if row.problem:
            assert row.problem.code is ErrorCode.MISSING_FIELD
        elif "\0" not in cells[2]:
            assert row.text == cells[2]
    returned = loaded(written(read).removeprefix("\ufeff"), delimiter)
    assert [row[:3] for row in returned] == [["id", "city", "text"], *table]
    assert returned[0][3:] == NAMES


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("header", [["review"], ["Kommentar"], []])
def test_one_column_may_hold_delimiters_quotes_and_line_breaks(
    header: list[str], quoting: int, name: str
) -> None:
    reviews = [
        "A good film, truly; really.",
        "Bad.\n\nVery bad, awful film.",
        'She said "fine" to all of it.',
    ]
    delimiter = "," if name == "a.csv" else "\t"
    file = StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
    writer.writerows([cell] for cell in [*header, *reviews])

    read = document(name, file.getvalue())

    assert texts(read) == reviews
    assert [row[0] for row in loaded(written(read), delimiter)] == [*(header or ["1"]), *reviews]


def test_backslashes_may_escape_quotes_in_a_tsv() -> None:
    reviews = ['He said "good, film" to me', 'She said "bad\nfilm" today']
    file = StringIO()
    writer = csv.writer(file, delimiter="\t", doublequote=False, escapechar="\\", lineterminator="\n")
    writer.writerows([["id", "text"], [1, reviews[0]], [2, reviews[1]]])

    read = document("a.tsv", file.getvalue())

    assert texts(read) == reviews
    assert read.notes["quotes"] == "backslash"


def test_titles_are_recognized_above_unusual_column_names() -> None:
    file = (
        "Rapport mensuel\n\nid;avis\n1;Le film est vraiment tr\u00e8s bon\n2;Un film long et assez mauvais\n"
    )

    read = document("a.csv", file)

    assert texts(read) == ["Le film est vraiment tr\u00e8s bon", "Un film long et assez mauvais"]
    assert [row.line for row in read.rows] == [4, 5]
    assert written(read).startswith("Rapport mensuel\n\nid;avis;")


def test_many_escaped_line_ends_are_one_record() -> None:
    read = document("a.tsv", "id\ttext\n1\tfine\n2\tgood" + "\\\nfilm" * 1000 + "\n")

    assert texts(read) == ["fine", "good" + "\nfilm" * 1000]
