import datetime as dt
import gzip
import io
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import openpyxl
import pandas as pd
import pytest
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet
from tests.documents.formats.binary_tables import refusal, write_back
from tests.documents.reading import NAMES

from reviewbox.documents import ReadOptions
from reviewbox.errors import ErrorCode

REVIEWS = [
    "The room was clean and the staff was very friendly.",
    "Never again: it was loud, and the <b>bed</b> & the chair were broken.",
    "It was okay, but the breakfast could have been better.",
    "Lovely and quiet, and we will certainly be back! \N{SMILING FACE WITH SMILING EYES}",
]
HEADER = ["id", "visited", "stars", "paid", "price", "comment"]
DAY = dt.datetime(2024, 5, 6)  # noqa: DTZ001 - Excel has no time zones
ROWS = [[n, DAY, 5 - n, n % 2 == 0, 19.9, review] for n, review in enumerate(REVIEWS)]


def workbook(*sheets: Sequence[Sequence[Any]], change: Callable[[Worksheet], None] = lambda _: None) -> bytes:
    """Return a workbook whose sheets have these rows, the first one changed by `change`."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Sheet {number}")
        for row in rows:
            sheet.append(row)
    change(book.worksheets[0])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def opened(data: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(data))


def cells(data: bytes, sheet: int = 0) -> list[list[Any]]:
    return [list(row) for row in opened(data).worksheets[sheet].iter_rows(values_only=True)]


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_sheet_xml(sheet_data: str, before: str = "", prefix: str = "") -> bytes:
    """Return a workbook with one sheet that has this XML."""
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    xmlns = f"xmlns:{prefix}" if prefix else "xmlns"
    p = f"{prefix}:" if prefix else ""
    data_xml = f"<{p}sheetData>{sheet_data}</{p}sheetData>"
    xml = f'<{p}worksheet {xmlns}="{namespace}">{before}{data_xml}</{p}worksheet>'
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members(workbook([["a"]])).items():
            archive.writestr(name, xml if name == "xl/worksheets/sheet1.xml" else data)
    return content.getvalue()


def text_cell(text: str, attributes: str = "") -> str:
    return f'<c {attributes} t="inlineStr"><is><t>{text}</t></is></c>'


@pytest.mark.parametrize("engine", ["openpyxl", "calamine"])
@pytest.mark.parametrize("count", [1, 4])
def test_pandas_loads_the_same_frame_with_more_columns(engine: Any, count: int) -> None:
    source = workbook([HEADER, *ROWS[:count]])

    result = write_back("a.xlsx", source)

    before = pd.read_excel(io.BytesIO(source), engine=engine)
    after = pd.read_excel(io.BytesIO(result.body), engine=engine)
    pd.testing.assert_frame_equal(after[HEADER], before)
    assert list(after) == HEADER + NAMES
    assert after["sentiment"].tolist() == ["positive"] * count
    assert after["score"].tolist() == [0.8765] * count
    assert after["needs_review"].tolist() == [False] * count
    assert after["visited"].dtype.kind == "M"
    assert result.extension == "xlsx"


def test_reviews_are_read_in_order_and_numbered_as_in_excel() -> None:
    result = write_back("a.xlsx", workbook([HEADER, *ROWS]))

    assert result.texts == REVIEWS
    assert [row.line for row in result.rows] == [2, 3, 4, 5]
    assert result.notes["text_field"] == "comment"
    assert result.notes["sheet"] == "Sheet 1"


def test_only_the_sheet_with_the_reviews_changes() -> None:
    """Formats, formulas, comments, widths and everything else stay as they are."""

    def change(sheet: Worksheet) -> None:
        sheet["G1"], sheet["G2"] = "sum", "=C2+1"
        sheet["A1"].font = Font(bold=True)
        sheet["B2"].fill = PatternFill("solid", fgColor="00FF00")
        sheet.column_dimensions["F"].width = 60
        sheet.freeze_panes = "A2"
        sheet.auto_filter.ref = "A1:G5"
        sheet.merge_cells("A8:C8")

    source = workbook([HEADER, *ROWS], [["hotel", "city"], ["Grand Hotel", "Paris"]], change=change)

    result = write_back("a.xlsx", source).body

    before, after = members(source), members(result)
    assert list(after) == list(before)
    changed = [name for name in before if after[name] != before[name]]
    assert changed == ["xl/worksheets/sheet1.xml"]
    added = re.compile(rb'<c r="[H-M]\d"(?: s="\d")?(?: t="\w+")?>.*?</c>')
    dimension = re.compile(rb"<dimension[^>]*>")
    without = [dimension.sub(b"", added.sub(b"", xml[changed[0]])) for xml in (before, after)]
    assert without[0].replace(b" ", b"") == without[1].replace(b" ", b"")


def test_titles_above_the_header_stay_and_are_not_reviews() -> None:
    titles: list[list[Any]] = [["Reviews of our hotel, exported in May"], [], ["From", DAY], []]

    result = write_back("a.xlsx", workbook([*titles, HEADER, *ROWS]))

    assert result.texts == REVIEWS
    assert [row.line for row in result.rows] == [6, 7, 8, 9]
    after = cells(result.body)
    assert after[4] == HEADER + NAMES
    assert after[0][6:] == [None] * 6


def test_empty_rows_are_not_reviews() -> None:
    result = write_back("a.xlsx", workbook([HEADER, ROWS[0], [], [None] * 6, ROWS[1], [], []]))

    assert result.texts == REVIEWS[:2]
    assert [row.line for row in result.rows] == [2, 5]
    assert cells(result.body)[2] == [None] * 12


def test_empty_cells_count_against_a_column_as_they_do_in_a_csv_file() -> None:
    note = "The taps are old, and they drip all night."
    rows = [[text, note if number == 0 else None] for number, text in enumerate(REVIEWS * 3)]

    result = write_back("a.xlsx", workbook([["text", "message"], *rows]))

    assert result.texts == REVIEWS * 3


def test_a_sheet_without_a_header_row_gets_no_header() -> None:
    result = write_back("a.xlsx", workbook(ROWS))

    assert result.texts == REVIEWS
    assert result.notes["header"] is False
    assert result.notes["text_field"] == "6"
    assert cells(result.body)[0][6:] == ["positive", 0.8765, False, False]


def test_a_row_without_a_review_gets_an_error_in_place() -> None:
    rows: list[list[Any]] = [
        *ROWS,
        [5, DAY, 1, True, 1.5, "NULL"],
        [6, DAY, 1, True, 1.5, 12],
        [7, DAY, 1, True, 1.5, None],
    ]

    result = write_back("a.xlsx", workbook([HEADER, *rows]))

    assert [row.problem and row.problem.code for row in result.rows[4:6]] == [ErrorCode.MISSING_FIELD] * 2
    after = cells(result.body)
    message = "row 6: the review field holds NULL, not a review"
    assert after[5][6:] == [None, None, None, None, "missing_field", message]
    assert result.texts[-1] == ""


def test_the_sheets_compete_for_the_review() -> None:
    hotels = [["name", "city", "country"], *[[f"Grand Hotel {n}", "Paris", "France"] for n in range(30)]]

    result = write_back("a.xlsx", workbook(hotels, [], [HEADER, *ROWS]))

    assert result.notes["sheet"] == "Sheet 3"
    assert result.notes["text_field"] == "Sheet 3!comment"
    assert result.texts == REVIEWS
    assert cells(result.body, 0) == hotels
    assert cells(result.body, 2)[0] == HEADER + NAMES


def test_a_cover_sheet_is_never_the_review() -> None:
    """Its sentences are not read either where the answers repeat so much that they may be options."""
    cover = [["Hotel Lakeside – our guests about their summer"], ["It was exported by the front desk."]]
    question = "Anything else you would like to tell us?"
    answers = ["The breakfast was wonderful.", "The room was too loud for us."]
    table: list[list[Any]] = [["no", question, "from"], *[[n, answers[n % 2], "AT"] for n in range(200)]]

    problem = refusal("a.xlsx", workbook(cover, table))
    named = write_back("a.xlsx", workbook(cover, table), ReadOptions(text_field=question))

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert f"Sheet 2!{question}" in problem.message
    assert named.texts == answers * 100


def test_two_sheets_with_reviews_are_refused_and_listed() -> None:
    source = workbook([HEADER, *ROWS], [HEADER, *ROWS])

    problem = refusal("a.xlsx", source)

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "Sheet 1!comment" in problem.message
    assert "Sheet 2!comment" in problem.message
    assert "staff" not in problem.message
    problem = refusal("a.xlsx", source, ReadOptions(text_field="comment"))
    assert problem.code is ErrorCode.DUPLICATE_FIELD
    assert "'Sheet 1!comment', 'Sheet 2!comment'" in problem.message
    chosen = write_back("a.xlsx", source, ReadOptions(text_field="Sheet 2!comment"))
    assert chosen.notes["sheet"] == "Sheet 2"


@pytest.mark.parametrize("setting", ["comment", "6", "Sheet 1!comment", "Sheet 1!6"])
def test_the_setting_names_a_column(setting: str) -> None:
    result = write_back("a.xlsx", workbook([HEADER, *ROWS]), ReadOptions(text_field=setting))

    assert result.texts == REVIEWS
    assert result.notes["text_field_by"] == "setting"


def test_the_setting_joins_columns_of_one_sheet() -> None:
    rows: list[list[Any]] = [["title", "body"], ["Great", REVIEWS[0]], ["", REVIEWS[1]], ["Meh", None]]

    result = write_back("a.xlsx", workbook(rows), ReadOptions(text_field="title,body"))

    assert result.texts == [f"Great\n\n{REVIEWS[0]}", REVIEWS[1], "Meh"]
    two_sheets = workbook(rows, rows)
    problem = refusal("a.xlsx", two_sheets, ReadOptions(text_field="Sheet 1!title,Sheet 2!body"))
    assert problem.code is ErrorCode.NO_TEXT_FIELD


def test_an_added_column_never_replaces_the_users() -> None:
    header = ["comment", "score", "sentiment"]

    result = write_back("a.xlsx", workbook([header, *[[review, 3, "x"] for review in REVIEWS]]))

    assert cells(result.body)[0] == [
        *header,
        *("reviewbox_sentiment", "reviewbox_score"),
        *("needs_review", "other_language", "error_code", "error_message"),
    ]


def test_columns_with_the_same_name_or_none_are_known_by_their_number() -> None:
    header = ["id", "text", "text", None, "4"]
    rows = [[n, "x", review, "y", "z"] for n, review in enumerate(REVIEWS)]
    source = workbook([header, *rows])

    assert write_back("a.xlsx", source).notes["text_field"] == "3"
    assert write_back("a.xlsx", source, ReadOptions(text_field="3")).texts == REVIEWS
    assert write_back("a.xlsx", source, ReadOptions(text_field="4")).texts == ["z"] * 4
    assert write_back("a.xlsx", source, ReadOptions(text_field="#4")).texts == ["y"] * 4
    assert refusal("a.xlsx", source, ReadOptions(text_field="text")).code is ErrorCode.DUPLICATE_FIELD


def test_the_further_header_rows_of_survey_tools_are_not_judged() -> None:
    rows: list[list[Any]] = [
        ["StartDate", "Duration", "Q1"],
        ["Start Date", "Duration (in seconds)", "What did you like about your stay with us?"],
        ['{"ImportId":"startDate"}', '{"ImportId":"duration"}', '{"ImportId":"QID1_TEXT"}'],
        *[[DAY, 12, review] for review in REVIEWS],
    ]

    result = write_back("a.xlsx", workbook(rows))

    assert result.texts == REVIEWS
    assert [row.line for row in result.rows] == [4, 5, 6, 7]
    assert cells(result.body)[2][3:] == [None] * 6


def test_repeated_headers_and_notes_below_the_table_are_not_reviews() -> None:
    rows: list[list[Any]] = [
        HEADER,
        *ROWS[:2],
        HEADER,
        *ROWS[2:],
        [],
        ["Exported by our hotel software on Monday"],
    ]

    result = write_back("a.xlsx", workbook(rows))

    assert result.texts == REVIEWS
    assert [row.line for row in result.rows] == [2, 3, 5, 6]


@pytest.mark.parametrize("label", ["Average", "Total:", "Moyenne"])
def test_a_row_that_sums_up_the_others_is_not_a_review(label: str) -> None:
    """The note below it is not read either."""
    rows: list[list[Any]] = [
        ["Guests of the week"],
        [],
        ["No.", "Covers", "Comments", "Score"],
        *([number, 2, review, 4] for number, review in enumerate(REVIEWS, 1)),
        [],
        [label, None, None, 4.0],
        ["Note: the cards were typed in by hand"],
    ]

    result = write_back("a.xlsx", workbook(rows))

    assert result.texts == REVIEWS
    assert [cell[0] for cell in cells(result.body)[-2:]] == [label, rows[-1][0]]


def test_the_title_is_judged_where_the_review_is_empty() -> None:
    rows: list[list[Any]] = [
        ["Review title", "Review"],
        *[["A title", review] for review in REVIEWS],
        ["Terrible hotel", None],
    ]

    result = write_back("a.xlsx", workbook(rows))

    assert result.texts == [*REVIEWS, "Terrible hotel"]
    after = cells(result.body)
    assert after[0][8] == "note"
    assert after[5][8] == "the review is empty; its title was classified"


def test_hidden_sheets_are_not_read() -> None:
    def change(sheet: Worksheet) -> None:
        sheet.sheet_state = "hidden"

    result = write_back("a.xlsx", workbook([HEADER, *ROWS], [HEADER, *ROWS], change=change))

    assert result.notes["sheet"] == "Sheet 2"


def test_cells_that_only_have_a_format_do_not_move_the_added_columns() -> None:
    """Programs format whole rows, up to column Z and beyond."""

    def change(sheet: Worksheet) -> None:
        for row in range(1, 6):
            for column in (7, 9, 14):
                sheet.cell(row, column).font = Font(bold=True)

    result = write_back("a.xlsx", workbook([HEADER, *ROWS], change=change)).body

    assert cells(result)[0][:12] == HEADER + NAMES
    assert opened(result).worksheets[0]["N2"].font.b


def test_the_header_of_added_columns_has_the_format_of_the_users() -> None:
    def change(sheet: Worksheet) -> None:
        for cell in sheet[1]:
            cell.font = Font(bold=True)

    sheet = opened(write_back("a.xlsx", workbook([HEADER, *ROWS], change=change)).body).worksheets[0]

    assert sheet["G1"].font.b
    assert not sheet["G2"].font.b


def test_a_sheet_may_omit_the_numbers_of_rows_and_cells() -> None:
    reviews = [text_cell(f"It was good and the room was clean, number {n}.") for n in range(3)]
    rows = f"<row>{text_cell('id')}{text_cell('comment')}</row>" + "".join(
        f"<row><c><v>{n}</v></c>{review}</row>" for n, review in enumerate(reviews)
    )

    result = write_back("a.xlsx", with_sheet_xml(rows))

    assert [row.line for row in result.rows] == [2, 3, 4]
    assert cells(result.body)[1][:3] == [0, "It was good and the room was clean, number 0.", "positive"]


def test_a_sheet_may_have_a_namespace_prefix_and_stale_hints() -> None:
    def row(number: int, *texts: str) -> str:
        row_cells = "".join(
            f'<x:c r="{letter}{number}" t="inlineStr"><x:is><x:t>{text}</x:t></x:is></x:c>'
            for letter, text in zip("AB", texts, strict=False)
        )
        return f'<x:row r="{number}" spans="1:2" ht="15">{row_cells}</x:row>'

    rows = row(1, "name", "comment") + '<x:row r="2" ht="9"/>' + row(3, "Ann", "It was good and clean.")
    source = with_sheet_xml(rows + row(4, "Bob", "It was bad &amp; loud."), '<x:dimension ref="A1:B4"/>', "x")

    result = write_back("a.xlsx", source).body

    xml = members(result)["xl/worksheets/sheet1.xml"].decode()
    assert '<x:row r="3" ht="15">' in xml
    assert '<x:dimension ref="A1:H4"/>' in xml
    assert '<x:c r="C4" t="inlineStr"><x:is><x:t>positive</x:t></x:is></x:c>' in xml
    assert '<x:row r="2" ht="9"/>' in xml


def test_a_workbook_with_macros_keeps_them() -> None:
    content = io.BytesIO(workbook([HEADER, *ROWS]))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"macros")

    result = write_back("a.xlsm", content.getvalue())

    assert result.extension == "xlsm"
    assert members(result.body)["xl/vbaProject.bin"] == b"macros"


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.txt", "a"])
def test_the_content_decides_whatever_the_name(name: str) -> None:
    assert write_back(name, workbook([HEADER, *ROWS])).texts == REVIEWS


def test_a_compressed_workbook_comes_back_compressed() -> None:
    result = write_back("a.xlsx.gz", gzip.compress(workbook([HEADER, *ROWS])))

    assert result.extension == "xlsx.gz"
    assert cells(gzip.decompress(result.body))[0] == HEADER + NAMES


def test_the_result_is_the_same_every_time() -> None:
    source = workbook([HEADER, *ROWS])

    assert write_back("a.xlsx", source).body == write_back("a.xlsx", source).body


def test_a_workbook_without_rows_is_refused() -> None:
    assert refusal("a.xlsx", workbook([])).code is ErrorCode.EMPTY_TABLE
    assert refusal("a.xlsx", workbook([HEADER])).code is ErrorCode.HEADER_ONLY


def test_a_workbook_without_reviews_is_refused_and_its_columns_are_listed() -> None:
    problem = refusal("a.xlsx", workbook([["id", "stars"], [1, 5], [2, 4]]))

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "'stars'" in problem.message


def test_a_workbook_with_too_many_rows_is_refused() -> None:
    assert refusal("a.xlsx", workbook([HEADER, *ROWS]), ReadOptions(max_rows=3)).code is ErrorCode.TOO_LARGE


def test_a_workbook_that_is_too_large_without_compression_is_refused() -> None:
    source = workbook([HEADER, *ROWS])

    assert refusal("a.xlsx", source, ReadOptions(max_bytes=len(source))).code is ErrorCode.TOO_LARGE


def test_a_decompression_bomb_is_refused_before_it_is_read() -> None:
    content = io.BytesIO(workbook([HEADER, *ROWS]))
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb.bin", bytes(20_000_000))

    problem = refusal("a.xlsx", content.getvalue())

    assert problem.code is ErrorCode.DECOMPRESSION_BOMB


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members(workbook([HEADER, *ROWS])).items():
            archive.writestr(name, data)
        archive.writestr("xl/media/bomb.bin", bytes(20_000_000))
    data = content.getvalue().replace(struct.pack("<I", 20_000_000), struct.pack("<I", 20))

    assert refusal("a.xlsx", data).code is ErrorCode.CORRUPT_FILE


def test_a_stray_cell_far_away_does_not_fill_the_memory() -> None:
    def change(sheet: Worksheet) -> None:
        sheet["XFD1048576"] = "x"

    problem = refusal("a.xlsx", workbook([HEADER, *ROWS], change=change))

    assert problem.code is ErrorCode.TOO_LARGE
    assert "row 1,048,576 and column 16,384" in problem.message


def test_a_sheet_without_room_for_more_columns_is_refused() -> None:
    def change(sheet: Worksheet) -> None:
        sheet["XFB1"] = "x"

    with pytest.raises(Exception, match="no room for 6 more columns"):
        write_back("a.xlsx", workbook([HEADER, *ROWS], change=change))


def test_an_entity_cannot_be_defined() -> None:
    source = with_sheet_xml(f"<row>{text_cell('comment')}</row><row>{text_cell('It was good.')}</row>")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members(source).items():
            is_sheet = name == "xl/worksheets/sheet1.xml"
            archive.writestr(name, b'<!DOCTYPE x [<!ENTITY a "b">]>' + data if is_sheet else data)

    assert refusal("a.xlsx", content.getvalue()).code is ErrorCode.CORRUPT_FILE


def test_a_damaged_workbook_is_refused() -> None:
    source = workbook([HEADER, *ROWS])
    middle = source.index(b"xl/worksheets/sheet1.xml") + 100
    damaged = [
        source[:-30],
        source[: len(source) // 2] + b"xl/workbook.xml",
        source[:middle] + b"\xff" * 40 + source[middle + 40 :],
        with_sheet_xml("<row><c></row>"),
    ]

    assert {refusal("a.xlsx", data).code for data in damaged} == {ErrorCode.CORRUPT_FILE}


@pytest.mark.parametrize("data", [b"id,comment\n1,good\n", b"just text"])
def test_a_file_that_is_only_called_xlsx_is_refused(data: bytes) -> None:
    problem = refusal("a.xlsx", data)

    assert problem.code is ErrorCode.CORRUPT_FILE
    assert "not an Excel workbook" in problem.message
