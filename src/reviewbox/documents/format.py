"""What a format provides to be detected and read."""

from collections.abc import Callable
from dataclasses import dataclass

from reviewbox.documents.document import Document, ReadOptions
from reviewbox.documents.line_tables import LineFormat


@dataclass(frozen=True, slots=True)
class Format:
    """A file format."""

    name: str  # its name in messages
    extensions: frozenset[str]  # file name extensions, in lower case, with the leading dot
    content_types: frozenset[str]  # MIME types, in lower case, without parameters
    read: Callable[[bytes, ReadOptions], Document]  # parses the bytes of a whole file; raises SourceError
    # Returns whether a text that starts with the argument is in this format. Called if neither the name nor
    # the content type names a format.
    looks_like: Callable[[str], bool] = lambda _: False
    # Returns how to read a text that starts with the argument line by line; None if that is impossible.
    line_format: Callable[[str], LineFormat | None] = lambda _: None
    # Returns whether a file is in this binary format, given its first 64 KiB, or all of it. Called before the
    # name and the content type are considered. None for text formats.
    is_binary: Callable[[bytes], bool] | None = None
