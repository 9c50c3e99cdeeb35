import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbox.documents import ReadOptions
from reviewbox.documents.lines import Line, read_lines
from reviewbox.errors import ErrorCode

OPTIONS = ReadOptions(fallback_encoding="windows-1252")


def problems(data: bytes, options: ReadOptions = OPTIONS) -> list[tuple[int, ErrorCode]]:
    found = [(line.number, line.problem) for line in read_lines(data, options) if line.problem]
    assert all(problem.message.startswith(f"line {number}: ") for number, problem in found)
    return [(number, problem.code) for number, problem in found]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\nb\n", ["a\n", "b\n"]),
        (b"a\r\nb", ["a\r\n", "b"]),
        (b"a\rb\r", ["a\r", "b\r"]),
        (b"a\rb\nc", ["a\rb\n", "c"]),
        ("a\u2028b\u0085c\x0cd\n".encode(), ["a\u2028b\u0085c\x0cd\n"]),
        (codecs.BOM_UTF8 + b"a\nb", ["a\n", "b"]),
        (codecs.BOM_UTF16_LE + "a\r\né\n".encode("utf-16-le"), ["a\r\n", "é\n"]),
        (codecs.BOM_UTF16_BE + "aĊb\n".encode("utf-16-be"), ["aĊb\n"]),
        (codecs.BOM_UTF32_LE + "a\nb".encode("utf-32-le"), ["a\n", "b"]),
    ],
)
def test_lines_are_numbered_and_keep_their_line_ends(data: bytes, expected: list[str]) -> None:
    assert list(read_lines(data, OPTIONS)) == [Line(number, text) for number, text in enumerate(expected, 1)]


def test_each_line_is_decoded_on_its_own() -> None:
    found = list(read_lines("é\n".encode() + b"\xe9\n" + "é\n".encode(), OPTIONS))

    assert [line.text for line in found] == ["é\n"] * 3
    assert [line.in_fallback for line in found] == [False, True, False]


def test_undecodable_bytes_are_escaped() -> None:
    data = b"a\n\xe9\x81\nb\n"

    assert problems(data) == [(2, ErrorCode.NOT_TEXT)]
    assert [line.text for line in read_lines(data, OPTIONS)] == ["a\n", "\\xe9\\x81\n", "b\n"]


def test_utf_16_that_ends_in_half_a_character_affects_only_its_line() -> None:
    data = codecs.BOM_UTF16_LE + "a\nb\nc".encode("utf-16-le")[:-1]

    assert problems(data) == [(3, ErrorCode.NOT_TEXT)]
    assert [line.text for line in read_lines(data, OPTIONS)][:2] == ["a\n", "b\n"]


def test_a_line_of_control_characters_is_binary_but_a_single_one_is_allowed() -> None:
    assert problems(b"good\n\0\1\2\3\4\nfi\0lm\n") == [(2, ErrorCode.BINARY_FILE)]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF16_LE])
def test_a_line_longer_than_the_limit_has_a_problem(mark: bytes) -> None:
    text = "x" * 99 + "\n" + "x" * 100 + "\n" + "x"

    data = mark + text.encode("utf-16-le" if mark else "utf-8")

    assert problems(data, ReadOptions(max_line_length=100)) == [(2, ErrorCode.LINE_TOO_LONG)]


@given(st.binary() | st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\xe9", b"\x81", b"\0"])).map(b"".join))
def test_no_line_is_lost(data: bytes) -> None:
    found = list(read_lines(data, OPTIONS))

    assert [line.number for line in found] == list(range(1, len(found) + 1))
    assert all(line.text or line.number == 1 for line in found)
