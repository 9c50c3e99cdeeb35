"""Decodes bytes whose encoding is not declared."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reviewbox.errors import ErrorCode, SourceError

# The UTF-32 marks come first: the little-endian one starts with the mark of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Control characters that do not occur in text. Some stray ones are tolerated. Hive separates cells with \x01.
_CONTROL_CHARACTERS = dict.fromkeys(set(range(32)) - set(map(ord, "\x01\t\n\v\f\r\x1a\x1b")))
_MAX_CONTROL_SHARE = 1 / 32

# Words with letters of Western encodings that are not ASCII. Hardly any consists of such letters only, but
# all words of Russian or Chinese do if they are read as if they were Western.
_LETTER = r"A-Za-z\u00aa\u00b2-\u024f\u0192"
_WESTERN_WORD = re.compile(rf"(?<![{_LETTER}])[A-Za-z]*+[{_LETTER}]++")
_ALIEN_WORD = re.compile(r"[^A-Za-z]{3,}")
_MIN_ALIEN_WORDS = 3
_MAX_ALIEN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Decoded:
    """Decoded text."""

    text: str  # the text without a byte-order mark
    encoding: str  # Python's name of the encoding
    in_fallback: bool = False  # whether the encoding is the fallback


def bom_encoding(data: bytes) -> str | None:
    """Return the encoding that the byte-order mark at the start of `data` names; None if there is none."""
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), None)


def decode(data: bytes, fallback_encoding: str) -> Decoded:
    """Decode as the byte-order mark says, or else as UTF-8, or else in the fallback encoding ("" for none).

    Half of a surrogate pair is decoded as a lone surrogate.

    Raises:
        SourceError: no encoding fits, or the data is binary.
    """
    bom = bom_encoding(data)
    return _decode_first([bom], data) if bom else decode_without_bom(data, fallback_encoding)


def decode_without_bom(data: bytes, fallback_encoding: str) -> Decoded:
    """Decode part of a text as UTF-8, or else in the fallback encoding; raises what `decode` raises."""
    return _decode_first(["utf-8", fallback_encoding] if fallback_encoding else ["utf-8"], data)


def decode_start(data: bytes, size: int) -> str:
    """Return about the first `size` bytes of `data` as text; undecodable bytes are replaced."""
    return data[:size].decode(bom_encoding(data) or "utf-8", "replace").lstrip("\ufeff")


def is_encoding(name: str) -> bool:
    """Return whether Python has a text encoding with that name."""
    try:
        b"?".decode(name)
    except UnicodeError:  # a known encoding in which one byte is not a character
        return True
    except (LookupError, ValueError):  # unknown, not a text encoding ("base64"), or an invalid name (a NUL)
        return False
    return True


def is_misread(text: str) -> bool:
    """Return whether a text that was decoded with a Western encoding is really in a different one."""
    words = _WESTERN_WORD.findall(text)
    aliens = sum(map(bool, map(_ALIEN_WORD.fullmatch, words)))
    return aliens >= _MIN_ALIEN_WORDS and aliens > _MAX_ALIEN_SHARE * len(words)


def misread(encoding: str) -> SourceError:
    """Return the error for a text that makes no sense in the fallback encoding."""
    return SourceError(
        ErrorCode.NOT_TEXT,
        f"not valid utf-8, and it makes no sense in {encoding}; save the file as UTF-8, or set "
        "FallbackEncoding to its encoding, such as windows-1251 or gb18030",
    )


def _decode_first(encodings: Sequence[str], data: bytes) -> Decoded:
    for encoding in encodings:
        try:
            # Only UTF codecs know surrogates. For the others "surrogatepass" is the same as "strict".
            text = data.decode(encoding, "surrogatepass").lstrip("\N{ZERO WIDTH NO-BREAK SPACE}")
        except UnicodeError:
            continue
        _refuse_binary(text)
        in_fallback = encoding != encodings[0]
        if in_fallback and is_misread(text):
            raise misread(encoding)
        return Decoded(text, encoding, in_fallback)
    _refuse_binary(data.decode("latin-1"))
    raise SourceError(
        ErrorCode.NOT_TEXT,
        f"not valid {' or '.join(encodings)}; save the file as UTF-8 or set FallbackEncoding",
    )


def _refuse_binary(text: str) -> None:
    """Raise SourceError if too many characters are control characters."""
    if len(text) - len(text.translate(_CONTROL_CHARACTERS)) > 1 + len(text) * _MAX_CONTROL_SHARE:
        raise SourceError(
            ErrorCode.BINARY_FILE,
            "binary data, or UTF-16 without a byte-order mark; export it as CSV, JSON Lines or text in UTF-8",
        )
