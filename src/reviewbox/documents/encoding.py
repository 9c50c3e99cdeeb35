"""Bytes -> text, when nobody says how they are encoded."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

from reviewbox.errors import ErrorCode, SourceError

# The longer marks first: UTF-32's little-endian one begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Control characters that no text holds; one more than one in thirty-two is no accident.
_CONTROLS = dict.fromkeys(set(range(32)) - set(map(ord, "\t\n\v\f\r\x1a\x1b")))
_MOST_CONTROLS = 1 / 32


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, and how its bytes were read.

    Attributes:
        text: without a byte-order mark.
        encoding: the name Python has for it.
        fallback: whether it is only the fallback, for want of a better one.
    """

    text: str
    encoding: str
    fallback: bool = False


def marked_encoding(data: bytes) -> str | None:
    """Return the encoding that `data`'s byte-order mark names, if it begins with one."""
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), None)


def decode(data: bytes, fallback_encoding: str) -> Decoded:
    """Decode by byte-order mark, else as UTF-8, else by the fallback ("" for none).

    Half of a surrogate pair is decoded as the lone surrogate that it is.

    Raises:
        SourceError: none of them reads it, or what comes out is no text.
    """
    marked = marked_encoding(data)
    return _first([marked], data) if marked else decode_unmarked(data, fallback_encoding)


def decode_unmarked(data: bytes, fallback_encoding: str) -> Decoded:
    """Decode a piece of a text as UTF-8, else by the fallback; raises what `decode` does."""
    return _first(["utf-8", fallback_encoding] if fallback_encoding else ["utf-8"], data)


def beginning(data: bytes, size: int) -> str:
    """Return about the first `size` bytes of `data` as text, however damaged."""
    return data[:size].decode(marked_encoding(data) or "utf-8", "replace").lstrip("\ufeff")


def is_encoding(name: str) -> bool:
    """Return whether Python knows an encoding of text by that name."""
    try:
        b"?".decode(name)
    except LookupError:  # unknown, or no encoding of text ("base64")
        return False
    except UnicodeError:  # a known one in which one byte is no character
        return True
    return True


def _first(candidates: Sequence[str], data: bytes) -> Decoded:
    for encoding in candidates:
        try:
            # Only UTF's codecs know surrogates; to the others "surrogatepass" is as good as "strict".
            text = data.decode(encoding, "surrogatepass").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
        except UnicodeError:
            continue
        _refuse_binary(text)
        return Decoded(text, encoding, fallback=encoding != candidates[0])
    _refuse_binary(data.decode("latin-1"))
    raise SourceError(
        ErrorCode.NOT_TEXT,
        f"its bytes are no {' and no '.join(candidates)}: save it as UTF-8 and drop it again",
    )


def _refuse_binary(text: str) -> None:
    """Raise SourceError if a text has more control characters than any has."""
    if len(text) - len(text.translate(_CONTROLS)) > 1 + len(text) * _MOST_CONTROLS:
        raise SourceError(
            ErrorCode.BINARY_FILE,
            "binary data, or UTF-16 without its mark: export it as CSV, JSON Lines or text, in UTF-8",
        )
