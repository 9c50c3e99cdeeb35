import codecs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reviewbox.documents.encoding import Decoded, bom_encoding, decode
from reviewbox.errors import ErrorCode, Problem, SourceError

TEXT = "Très bon café – 😀 \u201cmagnifique\u201d\r\n"

MARKED = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
]


@pytest.mark.parametrize(("mark", "encoding"), MARKED)
def test_a_byte_order_mark_names_the_encoding(mark: bytes, encoding: str) -> None:
    data = mark + TEXT.encode(encoding)

    assert decode(data, "windows-1252") == Decoded(TEXT, encoding)
    assert bom_encoding(data) == encoding


def test_text_without_a_byte_order_mark_is_utf8() -> None:
    assert decode(TEXT.encode(), "windows-1252") == Decoded(TEXT, "utf-8")
    assert bom_encoding(TEXT.encode()) is None


@pytest.mark.parametrize(
    ("fallback", "encoded"), [("windows-1252", b"caf\xe9 \x96 \x9330 \x80"), ("cp437", b"caf\x82 \xc4 \xae")]
)
def test_data_that_is_not_utf8_is_decoded_in_the_fallback_encoding(fallback: str, encoded: bytes) -> None:
    assert decode(encoded, fallback) == Decoded(encoded.decode(fallback), fallback, in_fallback=True)


def test_the_fallback_is_not_used_for_valid_utf8() -> None:
    assert not decode(b"cafe", "windows-1252").in_fallback


def test_without_a_fallback_only_utf8_is_decoded() -> None:
    with pytest.raises(SourceError, match="not valid utf-8; save the file as UTF-8") as raised:
        decode(b"caf\xe9", "")

    assert raised.value.problem.code is ErrorCode.NOT_TEXT


def test_data_that_no_encoding_decodes_is_refused() -> None:
    """0x81 is undefined in windows-1252."""
    with pytest.raises(SourceError, match="not valid utf-8 or windows-1252") as raised:
        decode(b"caf\xe9 \x81", "windows-1252")

    assert raised.value.problem.code is ErrorCode.NOT_TEXT


@pytest.mark.parametrize("fallback", ["punycode", "undefined"])
def test_fallback_encodings_with_other_exceptions_refuse_too(fallback: str) -> None:
    """These encodings raise another exception than most."""
    with pytest.raises(SourceError) as raised:
        decode(b"-x+\xe9", fallback)

    assert raised.value.problem.code is ErrorCode.NOT_TEXT


@pytest.mark.parametrize(
    "data",
    [codecs.BOM_UTF16_LE + b"odd", codecs.BOM_UTF16_BE + b"\x20\xac\x20", codecs.BOM_UTF8 + b"\xff"],
)
def test_data_that_contradicts_its_byte_order_mark_is_refused(data: bytes) -> None:
    """The fallback encoding is not tried."""
    with pytest.raises(SourceError) as raised:
        decode(data, "latin-1")

    assert raised.value.problem.code is ErrorCode.NOT_TEXT


@pytest.mark.parametrize(
    "data",
    [codecs.BOM_UTF16_BE + b"\x00a\xd8\x00", codecs.BOM_UTF8 + b"a\xed\xa0\x80", b"a\xed\xa0\x80"],
)
def test_half_a_surrogate_pair_is_decoded_as_a_lone_surrogate(data: bytes) -> None:
    """So only the row that contains it gets the error."""
    assert decode(data, "").text == "a\ud800"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xf3\x48\xcd\xc9\xc9\x07\x00",
        b"PK\x03\x04\x14\x00\x00\x00\x08\x00",
        "UTF-16 without a mark".encode("utf-16-le"),
        b"\x00" * 100,
    ],
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(SourceError) as raised:
        decode(data, "latin-1")

    assert raised.value.problem.code is ErrorCode.BINARY_FILE


@pytest.mark.parametrize(
    "text", ["a\0b", "a stray \x00 in a longer text, as some exports have it", "\tA tab\f\n", "\x1a"]
)
def test_a_stray_control_character_is_allowed(text: str) -> None:
    assert decode(text.encode(), "").text == text


@pytest.mark.parametrize("data", [b"", *(mark for mark, _ in MARKED)])
def test_empty_data_is_decoded_as_empty_text(data: bytes) -> None:
    assert decode(data, "").text == ""


@given(text=st.text(), marked=st.sampled_from(MARKED), fallback=st.sampled_from(["", "latin-1"]))
def test_text_with_a_byte_order_mark_is_decoded(text: str, marked: tuple[bytes, str], fallback: str) -> None:
    assume(not any(ord(character) < 32 for character in text))
    assume(not text.startswith(("\ufeff", "\0")))
    mark, encoding = marked

    assert decode(mark + text.encode(encoding), fallback) == Decoded(text, encoding)


@given(data=st.binary(), fallback=st.sampled_from(["", "windows-1252", "latin-1", "shift_jis", "utf-16"]))
def test_any_bytes_are_decoded_or_refused(data: bytes, fallback: str) -> None:
    outcome = attempt(data, fallback)

    if isinstance(outcome, Decoded):
        assert outcome.text == data.decode(outcome.encoding, "surrogatepass").removeprefix("\ufeff")
        assert outcome.in_fallback == (outcome.encoding == fallback)
    else:
        assert outcome.code in (ErrorCode.NOT_TEXT, ErrorCode.BINARY_FILE)


def attempt(data: bytes, fallback: str) -> Decoded | Problem:
    try:
        return decode(data, fallback)
    except SourceError as error:
        return error.problem


RUSSIAN = "Отличный отель, очень понравился завтрак и вид из окна."
CHINESE = "房间很干净，服务态度也很好，下次还会再来。早餐一般。"


@pytest.mark.parametrize(
    ("text", "encoding"), [(RUSSIAN, "windows-1251"), (CHINESE, "gb18030"), (RUSSIAN, "koi8-r")]
)
def test_a_text_that_makes_no_sense_in_the_fallback_encoding_is_refused(text: str, encoding: str) -> None:
    """Otherwise it would come back as other letters."""
    outcome = attempt(text.encode(encoding), "windows-1252")

    assert isinstance(outcome, Problem)
    assert outcome.code is ErrorCode.NOT_TEXT
    assert "set FallbackEncoding to its encoding" in outcome.message
    assert attempt(text.encode(encoding), encoding) == Decoded(text, encoding, in_fallback=True)


@pytest.mark.parametrize("text", ["ÉTÉ à la plage, très bien", "Größe paßt, schöne Qualität", "¡¡¡Óóó!!! ñ"])
def test_western_text_is_decoded_in_the_fallback_encoding(text: str) -> None:
    assert attempt(text.encode("windows-1252"), "windows-1252") == Decoded(
        text, "windows-1252", in_fallback=True
    )
