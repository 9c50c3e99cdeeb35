"""A text file: one review."""

from reviewbox.documents.document import Document, Format, ReadOptions, Row, Value
from reviewbox.documents.encodings import decode


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a file as one review.

    Raises:
        SourceError: it is not text.
    """
    decoded = decode(data, options.fallback_encoding)
    notes: dict[str, Value] = {"encoding": decoded.encoding}
    if decoded.fallback:
        notes["fallback_encoding_used"] = True
    return Document(rows=[Row(line=1, text=decoded.text)], notes=notes)


FORMAT = Format("text", frozenset({".txt", ".text"}), frozenset({"text/plain"}), read)
