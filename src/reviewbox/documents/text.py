"""A text file: one review."""

from reviewbox.documents.document import Document, ReadOptions, Row
from reviewbox.documents.encodings import decode


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a file as one review.

    Raises:
        SourceError: it is not text.
    """
    decoded = decode(data, options.fallback_encoding)
    notes = {"encoding": decoded.encoding} | ({"fallback_encoding_used": 1} if decoded.fallback else {})
    return Document(rows=[Row(line=1, text=decoded.text)], notes=notes)
