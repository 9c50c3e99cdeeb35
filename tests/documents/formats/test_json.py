import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.reading import NAMES, document, problems, refusal, texts, written

from reviewbox.documents import ReadOptions
from reviewbox.errors import ErrorCode

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def loaded(text: str) -> list[dict[str, Any]]:
    """Parse a written table as JSON Lines."""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_an_object_is_one_review() -> None:
    read = document("a.json", '\n{\n  "stars": 5,\n  "text": "good"\n}\n')

    assert texts(read) == ["good"]
    assert read.table is None
    assert read.notes == {
        "encoding": "utf-8",
        "text_field": "text",
        "text_field_by": "score",
        "text_field_score": 2.5,
    }


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ('[{"text": "good"}, {"text": "bad"}]', [1, 1]),
        ('[\n  {\n    "text": "good"\n  },\n  {\n    "text": "bad"\n  }\n]\n', [2, 5]),
        ('\n\n[{"text": "good"}\n,\n{"text": "bad"}]', [3, 5]),
        ('{"text": "good"}\n{"text": "bad"}\n', [1, 2]),
        ('{"text": "good"}{"text": "bad"}', [1, 1]),
        ('{\n  "text": "good"\n}\n{\n  "text": "bad"\n}\n', [1, 4]),
        ('[{"text": "good"} {"text": "bad"},]', [1, 1]),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_several_objects_are_a_table_however_they_are_separated(
    data: str, lines: list[int], name: str
) -> None:
    if name == "a.jsonl" and data.startswith('{"text": "good"}{'):
        assert problems(document(name, data)) == [(1, ErrorCode.BROKEN_JSON)]
        return

    read = document(name, data)

    assert [(row.line, row.text) for row in read.rows] == list(zip(lines, ["good", "bad"], strict=True))
    assert read.table is not None
    assert read.table.extension == "jsonl"
    assert [row["text"] for row in loaded(written(read))] == ["good", "bad"]


def test_json_lines_in_a_json_file_are_decoded_line_by_line() -> None:
    """As in a file that is called JSON Lines, or is read in segments."""
    read = document("a.json", b'{"text": "good film"}\n{"text": "\x81\x8d"}\n{"text": "bad film"}\n')

    assert texts(read) == ["good film", "", "bad film"]
    assert problems(read) == [(2, ErrorCode.NOT_TEXT)]


def test_one_line_of_json_lines_is_a_table() -> None:
    assert document("a.jsonl", '{"text": "good"}\n').table is not None


def test_an_array_of_one_object_is_a_table() -> None:
    assert document("a.json", '[{"text": "good"}]').table is not None


def test_a_value_is_written_back_unchanged_on_one_line() -> None:
    data = '[{"id": 1.10,\n  "text": "a\\nb\\u00e9é", "n": [1,\r\n\t2]},\n'
    data += '{"text":"bad","big":12345678901234567890123}]'

    first, second = written(document("a.json", data)).splitlines()

    assert first.startswith('{"id": 1.10, "text": "a\\nb\\u00e9é", "n": [1, 2],"sentiment":')
    assert second.startswith('{"text":"bad","big":12345678901234567890123,"sentiment":')


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ('{"text": "secret" "x"}', ErrorCode.BROKEN_JSON),
        ('{"text": "secret", oops}', ErrorCode.BROKEN_JSON),
        ("{'text': 'secret' 'x'}", ErrorCode.BROKEN_JSON),
        ("{'text': 'secret}", ErrorCode.BROKEN_JSON),
        ('{"text": "sec\nret"}', ErrorCode.BROKEN_JSON),
        ('{"text": "secret", "n": 1e999}', ErrorCode.INVALID_NUMBER),
        ('{"text": "secret", "n": ' + "9" * 5000 + "}", ErrorCode.INVALID_NUMBER),
        ('{"text": "secret", "n": ' + "[" * 501 + "]" * 501 + "}", ErrorCode.NESTED_TOO_DEEP),
        ('{"text": "secret", "n": ' + "[" * 10_000 + "]" * 10_000 + "}", ErrorCode.NESTED_TOO_DEEP),
        ('{"text": "secret", "n": ' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}", ErrorCode.NESTED_TOO_DEEP),
        ("5", ErrorCode.NOT_AN_OBJECT),
        ("[]", ErrorCode.NOT_AN_OBJECT),
        ("null", ErrorCode.NOT_AN_OBJECT),
        ("{}", ErrorCode.MISSING_FIELD),
        ('{"text": null}', ErrorCode.MISSING_FIELD),
        ('{"text": ["secret"]}', ErrorCode.MISSING_FIELD),
    ],
)
def test_a_bad_value_is_returned_with_its_error_and_does_not_affect_others(
    value: str, code: ErrorCode
) -> None:
    read = document("a.json", f'[\n{{"text": "good"}},\n{value},\n{{"text": "bad"}}\n]', ReadOptions("text"))

    assert texts(read) == ["good", "", "bad"]
    (problem,) = problems(read)
    assert problem[1] is code
    assert problem[0] == 3
    returned = loaded(written(read))[1]
    if code is not ErrorCode.MISSING_FIELD:
        assert returned["reviewbox_raw"] == value
    assert returned["error_code"] == code


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('[{"text": "good"}, {"text": "bad"', [(1, ErrorCode.BROKEN_JSON)]),
        ('[{"text": "good"},\n', [(2, ErrorCode.BROKEN_JSON)]),
        ('[{"text": "good"}] and more', [(1, ErrorCode.TRAILING_GARBAGE)]),
        ('[{"text": "good"}]\n\n[{"text": "bad"}]', [(3, ErrorCode.TRAILING_GARBAGE)]),
        ('[{"text": "good"}]]', [(1, ErrorCode.TRAILING_GARBAGE)]),
    ],
)
def test_a_damaged_end_of_an_array_adds_a_row_with_an_error(
    data: str, expected: list[tuple[int, ErrorCode]]
) -> None:
    read = document("a.json", data)

    assert texts(read) == ["good", ""]
    assert problems(read) == expected


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("[]", ErrorCode.EMPTY_TABLE),
        (" [ ] ", ErrorCode.EMPTY_TABLE),
        ('"secret"', ErrorCode.NOT_AN_OBJECT),
        ("5", ErrorCode.NOT_AN_OBJECT),
        ("secret", ErrorCode.BROKEN_JSON),
        (" \n ", ErrorCode.EMPTY_TABLE),
        ('{"text": "secret"', ErrorCode.BROKEN_JSON),
        ('{"text": "secret", "n": -1e999}', ErrorCode.INVALID_NUMBER),
        ('{"text": "secret", "n": ' + "[" * 10_000 + "]" * 10_000 + "}", ErrorCode.NESTED_TOO_DEEP),
        ('{"text": "secret", "n": ' + "[" * 10_000, ErrorCode.NESTED_TOO_DEEP),
        ('{"stars": 5}', ErrorCode.NO_TEXT_FIELD),
        ('[{"stars": 5}]', ErrorCode.NO_TEXT_FIELD),
        ('{"text": null}', ErrorCode.NO_TEXT_FIELD),
        ("{}", ErrorCode.MISSING_FIELD),
    ],
)
def test_a_file_without_a_review_is_refused(data: str, code: ErrorCode) -> None:
    problem = refusal("a.json", data)

    assert problem.code is code
    assert "secret" not in problem.message


def test_an_array_of_nothing_but_brackets_is_a_row_with_an_error() -> None:
    assert problems(document("a.json", "[" * 10_000)) == [(1, ErrorCode.NESTED_TOO_DEEP)]


def test_nesting_up_to_the_limit_is_allowed() -> None:
    data = '{"text": "good", "n": ' + "[" * 499 + "]" * 499 + ', "s": "' + "[" * 1000 + '"}'

    assert texts(document("a.json", data)) == ["good"]
    assert texts(document("a.json", f"[{data}]")) == ["good"]


def test_a_value_over_the_limit_affects_only_its_row() -> None:
    data = [{"text": "good"}, {"text": "secret " * 200}, {"text": "bad"}]

    read = document("a.json", json.dumps(data, indent=1), ReadOptions(max_line_length=1000))

    assert texts(read) == ["good", "", "bad"]
    assert problems(read) == [(5, ErrorCode.LINE_TOO_LONG)]


def test_a_long_array_is_read_to_its_end_in_linear_time() -> None:
    """Parsed text is dropped from time to time, and whitespace takes linear time."""
    pad = " " * 10_000
    rows = [
        f'{{"text": "good {number}",{pad}"n": 1}}' if number % 3 else '{"text" 5}' for number in range(100)
    ]

    read = document("a.json", "[" + ",\n".join(rows) + "]")

    assert texts(read) == [f"good {number}" if number % 3 else "" for number in range(100)]
    assert problems(read) == [(number + 1, ErrorCode.BROKEN_JSON) for number in range(0, 100, 3)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_an_array_may_be_in_any_encoding(encoding: str) -> None:
    read = document("a.json", '[{"text": "café"},\n{"text": "bad"}]'.encode(encoding))

    assert texts(read) == ["café", "bad"]


@given(
    objects=st.lists(
        st.dictionaries(st.text() | st.sampled_from(NAMES), VALUES, max_size=4), min_size=2, max_size=4
    ),
    reviews=st.lists(SCALARS, min_size=4, max_size=4),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    ascii_only=st.booleans(),
    strung=st.sampled_from(["[%s]", "[\n%s\n]", "%s"]),
)
def test_tables_written_by_python_are_returned_unchanged(
    objects: list[dict[str, Any]],
    reviews: list[Any],
    indent: int | str | None,
    ascii_only: bool,  # noqa: FBT001
    strung: str,
) -> None:
    originals = [{"text": review, **fields} for fields, review in zip(objects, reviews, strict=False)]
    dumped = [json.dumps(fields, indent=indent, ensure_ascii=ascii_only) for fields in originals]
    data = strung % ("," if "[" in strung else "\n").join(dumped)

    read = document("a.json", data.encode("utf-8", "surrogatepass"), ReadOptions("text"))

    for row, original in zip(read.rows, originals, strict=True):
        if row.problem:
            fit = isinstance(original["text"], str) and "\0" not in original["text"]
            assert not fit or row.problem.code is ErrorCode.LONE_SURROGATE
        else:
            assert row.text == original["text"]
    returned = loaded(written(read))
    assert [
        {name: row[name] for name in original} for row, original in zip(returned, originals, strict=True)
    ] == (originals)
    assert {len(row) - len(original) for row, original in zip(returned, originals, strict=True)} == {6}


def test_an_array_of_texts_is_a_table() -> None:
    read = document("a.json", '["good film",\n "bad \\"film\\""]')

    assert texts(read) == ["good film", 'bad "film"']
    assert [json.loads(row.raw) for row in read.rows] == [{"text": "good film"}, {"text": 'bad "film"'}]


def test_an_object_with_a_review_and_other_lists_is_one_review() -> None:
    photos = '"photos": [{"url": "https://img.example/1.jpg"}], "replies": [{"text": "Thank you so much!"}]'

    read = document("a.json", f'{{"review": "Good!", {photos}}}')

    assert texts(read) == ["Good!"]
    assert read.table is None


def test_a_list_of_records_is_read_rather_than_the_strings_around_it() -> None:
    history = '"history": [{"note": "it was sent very late"}, {"note": "I was happy with the letter"}]'

    for beside in '"verdict": "The film is good and never too long"', '"page": "1"':
        read = document("a.json", f"{{{beside}, {history}}}")

        assert texts(read) == ["it was sent very late", "I was happy with the letter"]


def test_an_object_with_a_review_and_a_list_that_looks_like_reviews_is_refused() -> None:
    problem = refusal("a.json", '{"review": "We liked it a lot.", "notes": [{"note": "It was good, too."}]}')

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "'notes[].note'" in problem.message
    assert "'review'" in problem.message
