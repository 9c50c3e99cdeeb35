"""A text file: one review."""

import re
from collections.abc import Callable

from reviewbox.documents.document import Document, Format, ReadOptions, Row, Value
from reviewbox.documents.encoding import decode

_NO_BREAK = re.compile(r"[^\n]")


def read(data: bytes, options: ReadOptions, clean: Callable[[str], str] = str) -> Document:
    """Read a file as one review, its text as `clean` leaves it.

    Raises:
        SourceError: it is not text.
    """
    decoded = decode(data, options.fallback_encoding)
    notes: dict[str, Value] = {"encoding": decoded.encoding}
    if decoded.fallback:
        notes["fallback_encoding_used"] = True
    return Document(rows=[Row(line=1, text=clean(decoded.text))], notes=notes)


def blank(text: str) -> str:
    """Return spaces in the place of a text, and its line breaks: what stands behind keeps its offset."""
    return _NO_BREAK.sub(" ", text)


FORMAT = Format("text", frozenset({".txt", ".text"}), frozenset({"text/plain"}), read)
