import codecs
import json
from itertools import cycle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.documents.reading import NAMES as NAMES_ADDED
from tests.documents.reading import OPTIONS, VERDICT, ReadDocument, read_all, texts, written_rows
from tests.documents.reading import document as read_file

from reviewbox.documents import ReadOptions, Table
from reviewbox.documents.document import MAX_LINE_LENGTH
from reviewbox.documents.formats.jsonl import LINE_FORMAT
from reviewbox.documents.line_tables import read_table
from reviewbox.errors import ErrorCode, Problem, SourceError
from reviewbox.model.verdicts import Verdict

PROBLEM = Problem(ErrorCode.EMPTY_REVIEW, "line 9: no words")

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text() | st.sampled_from(["sentiment", "reviewbox_sentiment", "error_code"])

# Fragments of lines that are almost JSON.
FRAGMENTS = [
    b"{", b"}", b"[", b"]", b'"text"', b'"good"', b":", b",", b"1", b"1e400", b"NaN", b"null", b"\\", b'"',
    b"\n", b"\r", b" ", b"\xe9", b"\x81", b"\x00", b"\x1c", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf",
    b"\xff\xfe", b'{"text": "fine"}', b'{"text": "\\ud800"}',
]  # fmt: skip


def read(data: bytes, options: ReadOptions = OPTIONS) -> ReadDocument:
    """Read lines without the checks that apply to every format."""
    return read_all(read_table(LINE_FORMAT, data, options))


def attempt(data: bytes, options: ReadOptions = OPTIONS) -> ReadDocument | Problem:
    try:
        return read(data, options)
    except SourceError as error:
        return error.problem


def refusal(data: bytes, options: ReadOptions = OPTIONS) -> Problem:
    outcome = attempt(data, options)
    assert isinstance(outcome, Problem)
    return outcome


def problems(document: ReadDocument) -> list[tuple[int, ErrorCode]]:
    return [(row.line, row.problem.code) for row in document.rows if row.problem]


def table(document: ReadDocument) -> Table:
    assert document.table is not None
    return document.table


def test_each_line_is_a_row() -> None:
    document = read(b'{"id": 1, "text": "good"}\n{"id": 2, "text": "bad"}\n', OPTIONS)

    assert texts(document) == ["good", "bad"]
    assert [row.line for row in document.rows] == [1, 2]
    assert problems(document) == []
    assert table(document).field_names == {"id", "text"}
    assert table(document).extension == "jsonl"
    assert document.notes == {
        "text_field": "text",
        "text_field_by": "score",
        "text_field_score": 2.5,
        "encoding": "utf-8",
    }


@pytest.mark.parametrize(
    "data",
    [
        b'{"text":"good"}\n\n{"text":"bad"}\n',
        b'{"text":"good"}\n  \t\n{"text":"bad"}',
        b'{"text":"good"}\r\n\r\n{"text":"bad"}\r\n',
        b'  {"text":"good"}\t\n\n \x20{"text":"bad"}  \n\n\n',
    ],
)
def test_blank_lines_are_not_rows_but_are_counted(data: bytes) -> None:
    document = read(data, OPTIONS)

    assert [(row.line, row.text, row.raw) for row in document.rows] == [
        (1, "good", '{"text":"good"}'),
        (3, "bad", '{"text":"bad"}'),
    ]


@pytest.mark.parametrize("data", [b"\n", b" \r\n\t\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE + b"\n\x00"])
def test_a_file_of_blank_lines_is_an_empty_table(data: bytes) -> None:
    assert refusal(data).code is ErrorCode.EMPTY_TABLE


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_encodings_and_line_ends_make_no_difference(mark: bytes, encoding: str, end: str) -> None:
    lines = '{"text": "café 😀 \u2028\u0085"}', "{broken", '{"text": "bad"}'

    document = read(mark + end.join(lines).encode(encoding), OPTIONS)

    assert texts(document) == ["café 😀 \u2028\u0085", "", "bad"]
    assert problems(document) == [(2, ErrorCode.BROKEN_JSON)]
    assert document.notes["encoding"] == encoding
    assert written_rows(document)[0].startswith('{"text": "café 😀 \u2028\u0085","sentiment":')


def test_a_line_in_the_fallback_encoding_does_not_affect_others() -> None:
    lines = '{"text": "café"}\n{"text": "Un café"}\n'.encode() + b'{"text": "caf\xe9"}\n'
    document = read(lines, OPTIONS)

    assert texts(document) == ["café", "Un café", "café"]
    assert document.notes["encoding"] == "utf-8"
    assert document.notes["lines_in_fallback_encoding"] == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"text": "good"', ErrorCode.BROKEN_JSON),
        (b'{"text": "good", oops}', ErrorCode.BROKEN_JSON),
        (b'{"text": "good"} {"text": "bad"}', ErrorCode.BROKEN_JSON),
        (b"text: good", ErrorCode.BROKEN_JSON),
        (b'{"text": NaN}', ErrorCode.MISSING_FIELD),
        (b'{"text": "good", "stars": 1e400}', ErrorCode.INVALID_NUMBER),
        (b'{"text": "good", "stars": ' + b"9" * 10_000 + b"}", ErrorCode.INVALID_NUMBER),
        (b'{"text": ' + b"[" * 100_000, ErrorCode.NESTED_TOO_DEEP),
        (b'{"text": "good", "deep": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", ErrorCode.NESTED_TOO_DEEP),
        (b'{"text": "good", "pad": "' + b"x" * MAX_LINE_LENGTH + b'"}', ErrorCode.LINE_TOO_LONG),
        (b'"good"', ErrorCode.NOT_AN_OBJECT),
        (b"[]", ErrorCode.NOT_AN_OBJECT),
        (b"5", ErrorCode.NOT_AN_OBJECT),
        (b"null", ErrorCode.NOT_AN_OBJECT),
        (b'{"stars": 5}', ErrorCode.MISSING_FIELD),
        (b"{}", ErrorCode.MISSING_FIELD),
        (b'{"text": null}', ErrorCode.MISSING_FIELD),
        (b'{"text": 5}', ErrorCode.MISSING_FIELD),
        (b'{"text": ["good"]}', ErrorCode.MISSING_FIELD),
        (b'{"text": "caf\xe9 \x81"}', ErrorCode.NOT_TEXT),
        (b"\x00\x01\x02\x03", ErrorCode.BINARY_FILE),
    ],
)
def test_a_bad_line_has_an_error_and_does_not_affect_others(line: bytes, code: ErrorCode) -> None:
    options = ReadOptions("text", fallback_encoding="windows-1252")
    document = read(b'{"text": "good"}\n\n' + line + b'\n{"text": "bad"}\n', options)

    assert texts(document) == ["good", "", "bad"]
    assert problems(document) == [(3, code)]
    problem = list(document.rows)[1].problem
    assert problem is not None
    assert problem.message.startswith("line 3: ")


@pytest.mark.parametrize(
    "line",
    [b'{"text": "my secret"', b'{"text": "my secret" oops}', b'"my secret"', b'{"text": ["my secret"]}'],
)
def test_no_message_repeats_a_review(line: bytes) -> None:
    (_, row) = read(b'{"text": "good"}\n' + line, OPTIONS).rows

    assert row.problem is not None
    assert "secret" not in row.problem.message


@pytest.mark.parametrize("line", ["{broken \t", '"good"', "[1.10]", 'caf\u00e9, "quoted" \\n'])
def test_a_line_that_is_not_an_object_is_returned_as_text(line: str) -> None:
    document = read(f'{{"text": "good"}}\n{line}\n'.encode(), OPTIONS)

    row = json.loads(written_rows(document)[1])

    assert row["reviewbox_raw"] == line.strip()
    assert row["sentiment"] is row["score"] is row["needs_review"] is None
    assert (row["error_code"], row["error_message"][:8]) != (None, None)


def test_undecodable_bytes_are_written_back_escaped() -> None:
    document = read(b'{"text": "good"}\ncaf\xe9 \x81\n', OPTIONS)

    assert json.loads(written_rows(document)[1])["reviewbox_raw"] == "caf\\xe9 \\x81"


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "good", "price": 1.10}',
        '{"text": "good", "votes": 1e300, "id": 12345678901234567890123}',
        '{"text": "good", "n": 1E5, "m": -0, "o": 0.1000}',
        '{"text": "good", "same": 1, "same": 2}',
        '{"text": "good", "nested": {"deep": {"deeper": {}}}}',
        '{"z": 1, "text": "good", "a": 2}',
        '{ "text" :\t"good" , "a":[ 1,2 ] , "b" : { } }',
        '{"text": "caf\\u00e9 café \\/ \\ud83d\\ude00 \\ud800"}',
        '{"text": "\u2028 \u0085 \u00a0"}',
    ],
)
def test_a_row_is_written_back_unchanged(line: str) -> None:
    document = read(f"{line}\n".encode(), ReadOptions("text"))

    (rendered,) = written_rows(document)

    assert rendered == (
        line[:-1].rstrip() + ',"sentiment":"positive","score":0.8765,"needs_review":false,'
        '"other_language":false,"error_code":null,"error_message":null}\n'
    )


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 5000])
def test_an_invalid_number_is_returned_as_text(number: str) -> None:
    """The result is valid JSON in any case."""
    line = '{"text": "good", "number": ' + number + "}"

    (rendered,) = written_rows(read(line.encode(), ReadOptions("text")))

    assert json.loads(rendered)["reviewbox_raw"] == line
    assert json.loads(rendered)["error_code"] == "invalid_number"


def test_brackets_in_a_text_are_not_nested() -> None:
    review = '[{\\"' * 1000
    nested = "[" * 499 + "]" * 499

    document = read(f'{{"text": "{review}", "deep": {nested}}}'.encode(), ReadOptions("text"))

    assert problems(document) == []


@pytest.mark.parametrize("line", ["{}", "{ }"])
def test_fields_are_added_to_an_empty_object(line: str) -> None:
    (rendered,) = written_rows(read(line.encode(), ReadOptions("text")))

    assert json.loads(rendered)["error_code"] == "missing_field"


def test_the_last_of_repeated_fields_is_the_review() -> None:
    """Every JSON parser does the same."""
    assert texts(read(b'{"text": "first", "text": "last"}', OPTIONS)) == ["last"]


def test_an_added_name_that_any_sampled_row_has_is_prefixed_in_all_rows() -> None:
    data = b'{"text": "good"}\n{"text": "bad", "score": 5, "sentiment": null, "reviewbox_sentiment": 1}\n'

    first, second = (json.loads(line) for line in written_rows(read(data, OPTIONS)))

    added = {"reviewbox_reviewbox_sentiment": "positive", "reviewbox_score": 0.8765, "needs_review": False}
    nothing_wrong = {"other_language": False, "error_code": None, "error_message": None}
    assert first == {"text": "good"} | added | nothing_wrong
    taken = {"text": "bad", "score": 5, "sentiment": None, "reviewbox_sentiment": 1}
    assert second == taken | added | nothing_wrong


@pytest.mark.parametrize(
    ("line", "renamed"),
    [
        ('{"text": "good", "sentiment": null}', ["sentiment"]),
        ('{"text": "good", "score": 1, "reviewbox_score": 2}', ["score"]),
        (r'{"text": "good", "\u0073entiment": 1}', ["sentiment"]),
        (r'{"text": "a \"sentiment\"", "tags": ["score"], "more": {"score": 1}}', []),
    ],
)
def test_a_name_that_only_a_later_row_has_is_prefixed_in_that_row(line: str, renamed: list[str]) -> None:
    """Added names are chosen from the first thousand lines."""
    data = b'{"text": "bad"}\n' * 1500 + line.encode() + b"\n"
    document = read(data, ReadOptions("text"))

    rendered = written_rows(document)

    original = json.loads(line)
    returned = json.loads(rendered[-1])
    assert {name: returned[name] for name in original} == original
    assert rendered[-1].startswith(line[:-1])
    names = [name for name in returned if name not in original]
    expected = [f"reviewbox_{name}" if name in renamed else name for name in NAMES_ADDED]
    if "reviewbox_score" in original:
        expected[1] = "reviewbox_reviewbox_score"
    assert names == expected
    assert json.loads(rendered[0])["sentiment"] == "positive"


@pytest.mark.parametrize(
    "field", ["review", "Review_Text", "reviewText", "review text", "BODY", "content", "comment"]
)
def test_the_review_field_may_have_any_usual_name(field: str) -> None:
    document = read(json.dumps({"id": 1, field: "good"}).encode(), OPTIONS)

    assert texts(document) == ["good"]
    assert document.notes["text_field"] == field


def test_the_setting_names_the_review_field() -> None:
    data = b'{"text": "not this", "note": "good"}\n{"text": "nor this"}\n'

    document = read(data, ReadOptions(text_field="note"))

    assert texts(document) == ["good", ""]
    assert problems(document) == [(2, ErrorCode.MISSING_FIELD)]


@pytest.mark.parametrize("options", [OPTIONS, ReadOptions(text_field="Note")])
def test_a_table_without_a_review_field_is_refused_with_its_field_names(options: ReadOptions) -> None:
    problem = refusal(b'{"stars": 5, "note": "5"}\n', options)

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "TextField" in problem.message
    assert "'note'" in problem.message
    assert "5" not in problem.message


def test_a_table_of_broken_rows_is_returned() -> None:
    assert problems(read(b"{\n[]\n", OPTIONS)) == [(1, ErrorCode.BROKEN_JSON), (2, ErrorCode.NOT_AN_OBJECT)]


@given(
    objects=st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=4),
    reviews=st.lists(SCALARS, min_size=1, max_size=4),
    outcome=st.sampled_from([VERDICT, PROBLEM]),
    ascii_only=st.booleans(),
)
def test_objects_are_returned_with_added_fields(
    objects: list[dict[str, Any]],
    reviews: list[Any],
    outcome: Verdict | Problem,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    originals = [{"text": review, **fields} for fields, review in zip(objects, cycle(reviews), strict=False)]
    data = "\n".join(json.dumps(fields, ensure_ascii=ascii_only) for fields in originals).encode()

    document = read(data, ReadOptions("text"))

    names = {name for fields in originals for name in fields}
    rendered = written_rows(document, outcome)
    assert [row.text for row in document.rows] == [
        fields["text"] if isinstance(fields["text"], str) else "" for fields in originals
    ]
    for line, original in zip(rendered, originals, strict=True):
        assert line.endswith("\n")
        assert "\n" not in line[:-1]
        returned = json.loads(line)
        assert {name: returned.pop(name) for name in original} == original
        assert len(returned) == 6
        assert not names & set(returned)


@given(
    data=st.binary() | st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join),
    options=st.builds(ReadOptions, st.sampled_from(["", "text"]), st.sampled_from(["", "windows-1252"])),
)
@example(data=b"\xed\xa0\x80", options=ReadOptions())
def test_any_bytes_are_refused_or_every_line_is_accounted_for(data: bytes, options: ReadOptions) -> None:
    document = attempt(data, options)

    if isinstance(document, Problem):
        assert document.message
        return
    lines = [row.line for row in document.rows]
    assert lines == sorted(set(lines))
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        assert [row.line for row in document.rows] == lines
        end = b"\n" if b"\n" in data else b"\r"
        holding = {number for number, line in enumerate(data.split(end), 1) if is_visible(line)}
        assert holding <= set(lines)
        assert not [number for number in lines if not data.split(end)[number - 1].strip(b" \t\r")]
    for line in written_rows(document):
        assert isinstance(json.loads(line), dict)
        assert line.count("\n") == 1
        # Half of a surrogate pair, which UTF-8 cannot encode, is written as an escape of JSON.
        assert json.loads(line.encode("utf-8", "backslashreplace")) == json.loads(line)


def is_visible(line: bytes) -> bool:
    """Return whether a line has visible text in UTF-8."""
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    text = line.decode("utf-8", "replace").lstrip("\ufeff")
    return bool("".join(text.split()))


def test_a_byte_order_mark_within_a_file_does_not_hide_a_row() -> None:
    data = b'{"text": "good"}\n\xff\xfe\n{"text": "bad"}\n'

    document = read(data, ReadOptions(fallback_encoding="windows-1252"))

    assert [row.line for row in document.rows] == [1, 2, 3]


def test_only_a_field_that_holds_text_is_selected() -> None:
    document = read(b'{"review": 5, "text": "good"}\n{"review": {"id": 1}, "text": "bad"}\n', OPTIONS)

    assert texts(document) == ["good", "bad"]


def test_a_broken_character_in_utf_16_affects_only_its_row() -> None:
    data = '{"text": "good"}\n{"text": "X"}\n{"text": "bad"}\n'.encode("utf-16-le").replace(b"X\0", b"\0\xd8")

    document = read_file("a.jsonl", codecs.BOM_UTF16_LE + data, ReadOptions("text"))

    assert texts(document) == ["good", "", "bad"]
    assert problems(document) == [(2, ErrorCode.LONE_SURROGATE)]


def test_long_names_are_shortened_in_messages() -> None:
    problem = refusal(b'{"' + b"x" * 100_000 + b'": "good"}\n')

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert len(problem.message) < 1000


def test_concatenated_files_may_each_have_a_byte_order_mark() -> None:
    document = read(b'\xef\xbb\xbf{"text": "good"}\n\xef\xbb\xbf{"text": "bad"}\n', ReadOptions())

    assert [row.text for row in document.rows] == ["good", "bad"]
