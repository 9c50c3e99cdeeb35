"""Text files. A file is one review."""

import re
from collections.abc import Callable
from functools import partial

from reviewbox.documents.document import Document, ReadOptions, Row, Value
from reviewbox.documents.encoding import Decoded, decode
from reviewbox.documents.format import Format
from reviewbox.documents.formats.one_review import refuse_other_texts
from reviewbox.documents.pacing import Pace

_NOT_A_LINE_BREAK = re.compile(r"[^\n]")


def read(
    data: bytes,
    options: ReadOptions,
    markup: re.Pattern[str] | None = None,
    replacement: Callable[[re.Match[str]], str] = str,
    check: Callable[[str, str], None] = lambda _text, _review: None,
) -> Document:
    """Read a file as one review, in which each match of `markup` is replaced by its `replacement`.

    `check` gets the text before and after that, and raises SourceError if it is not one review.

    Raises:
        SourceError: the file is not text, or not one review.
    """
    decoded = decode(data, options.fallback_encoding)
    pace = Pace(options.check_time)

    def replaced(match: re.Match[str]) -> str:
        pace.step(match.end() - match.start())
        return replacement(match)

    review = markup.sub(replaced, decoded.text) if markup else decoded.text
    check(decoded.text, review)
    return Document(iter([Row(line=1, text=review)]), lambda: encoding_notes(decoded))


def encoding_notes(decoded: Decoded) -> dict[str, Value]:
    """Return the receipt's notes on the encoding of a file that was decoded as a whole."""
    notes: dict[str, Value] = {"encoding": decoded.encoding}
    if decoded.in_fallback:
        notes["fallback_encoding_used"] = True
    return notes


def blank(text: str) -> str:
    """Replace each character except line breaks with a space, so that the text after it keeps its offset."""
    return _NOT_A_LINE_BREAK.sub(" ", text)


FORMAT = Format(
    "text",
    frozenset({".txt", ".text"}),
    frozenset({"text/plain"}),
    partial(read, check=lambda text, _: refuse_other_texts(text)),
)
