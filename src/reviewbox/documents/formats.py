"""Which format a source is in. A new format is one module and one line here."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from reviewbox.documents import json_lines, text
from reviewbox.documents.document import Document, ReadOptions
from reviewbox.errors import ErrorCode, SourceError

_EXTENSION = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{0,9}$")


@dataclass(frozen=True, slots=True)
class Format:
    """A format, what it goes by, and its reader."""

    name: str
    extensions: frozenset[str]
    content_types: frozenset[str]
    read: Callable[[bytes, ReadOptions], Document]


FORMATS = (
    Format("text", frozenset({".txt", ".text"}), frozenset({"text/plain"}), text.read),
    Format(
        "JSON Lines",
        frozenset({".jsonl", ".ndjson", ".jsonlines"}),
        frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"}),
        json_lines.read,
    ),
)


def read_document(name: str, content_type: str, data: bytes, options: ReadOptions) -> Document:
    """Read `data` in the format that its file name says it is in, else its content type.

    Args:
        name: the source's key or file name.
        content_type: a MIME type, parameters allowed; "" if unknown.
        data: the source's bytes.
        options: what the bytes do not say.

    Raises:
        SourceError: it is empty, in no known format, or not what its format asks for.
    """
    if not data:
        raise SourceError(ErrorCode.EMPTY_FILE, "the file has no content")
    return _find_format(name, content_type).read(data, options)


def _find_format(name: str, content_type: str) -> Format:
    # "report.v2.1" and "Mr. Smith" hold dots, not extensions.
    found = _EXTENSION.search(name)
    extension = found[0].lower() if found else ""
    mime_type = content_type.partition(";")[0].strip().lower()
    for candidate in FORMATS:
        if extension in candidate.extensions:
            return candidate
    for candidate in FORMATS:
        if mime_type in candidate.content_types:
            return candidate
    if not extension:
        return FORMATS[0]
    known = ", ".join(f"{f.name} ({' '.join(sorted(f.extensions))})" for f in FORMATS)
    raise SourceError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"no known format goes by the extension {extension!r} or the type {mime_type!r}; known are {known}",
    )
