"""What a format provides to be detected and read."""

from collections.abc import Callable
from dataclasses import dataclass

from reviewbox.documents.document import Document, ReadOptions
from reviewbox.documents.line_tables import LineFormat


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    Attributes:
        name: its name in messages.
        extensions: file name extensions, in lower case, with the leading dot.
        content_types: MIME types, in lower case, without parameters.
        read: parses the bytes of a whole file; raises SourceError.
        looks_like: returns whether a text that starts with the argument is in this format. It is asked if
            neither the name nor the content type names a format.
        line_format: returns how to read a text that starts with the argument line by line; None if that is
            impossible.
        is_binary: returns whether a file that starts with these bytes, 64 KiB or all, is in this format,
            which is not text. It is asked before the name and the content type are considered. None for
            formats of text.
    """

    name: str
    extensions: frozenset[str]
    content_types: frozenset[str]
    read: Callable[[bytes, ReadOptions], Document]
    looks_like: Callable[[str], bool] = lambda _: False
    line_format: Callable[[str], LineFormat | None] = lambda _: None
    is_binary: Callable[[bytes], bool] | None = None
