"""Which format a source is in. A new format is one module and one line here."""

import re
import sys
from dataclasses import replace
from io import BufferedReader, BytesIO
from itertools import chain

from reviewbox.documents.checked import Checked
from reviewbox.documents.compression import (
    Compression,
    Decompressed,
    Opened,
    compression_of,
    decompress,
    stem,
)
from reviewbox.documents.document import Document, Format, LineReader, ReadOptions, Row, Table
from reviewbox.documents.encoding import beginning, marked_encoding
from reviewbox.documents.formats import html, json, jsonl, markdown, text
from reviewbox.documents.formats.csv import table as delimited
from reviewbox.documents.lines import at_line
from reviewbox.errors import ErrorCode, SourceError

# Looked for in this order where neither name nor type tells; what looks like none of them is text.
FORMATS: tuple[Format, ...] = (
    html.FORMAT,
    json.JSON,
    json.JSON_LINES,
    delimited.TSV,
    delimited.CSV,
    markdown.FORMAT,
    text.FORMAT,
)

# By their names, to restore what they have learnt.
LINE_READERS = {reader.name: reader for reader in (delimited.CSV_READER, delimited.TSV_READER, jsonl.READER)}

_EXTENSION = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{0,9}$")
ENOUGH_TO_LOOK_AT = 64 * 1024  # bytes

# What says what a file is not.
_NOT_TEXT = (
    (b"PK\x03\x04", "a ZIP archive or an Office document: export it as CSV or text"),
    (b"%PDF-", "a PDF: export it as text"),
    (b"\xd0\xcf\x11\xe0", "an old Office document: export it as CSV or text"),
    (b"PAR1", "Parquet: export it as CSV or JSON Lines"),
)


def read_document(name: str, content_type: str, data: bytes, options: ReadOptions) -> Document:
    """Read `data` in the format that its file name says it is in, else its content type, else its looks.

    What is compressed is decompressed first, and a table of it goes back compressed the same way.

    Args:
        name: the source's key or file name.
        content_type: a MIME type, parameters allowed; "" if unknown.
        data: the source's bytes.
        options: what the bytes do not say.

    Raises:
        SourceError: it is empty, in no known format, or not what its format asks for.
    """
    opened = decompress(data, options.max_bytes)
    content, left = _without_cut_line(opened)
    if not content:
        if opened.problem:
            raise SourceError(opened.problem.code, opened.problem.message)
        raise SourceError(ErrorCode.EMPTY_FILE, "the file has no content")
    document = _find_format(name, content_type, content).read(content, options)
    last = doubtful_after = None
    if opened.problem and document.table is None:
        # A review is not worth having in part.
        raise SourceError(opened.problem.code, opened.problem.message)
    if opened.problem and document.table:
        line = content.count(b"\n") + 1
        last = Row(line, problem=at_line(line, opened.problem), raw=document.table.keep(left))
        if opened.problem.code is ErrorCode.TRUNCATED_FILE:
            doubtful_after = next((row.line for row in document.rows if _is_unclosed(row)), None)
    document = replace(document, rows=Checked(document.rows, last, doubtful_after))
    if opened.compression:
        document = replace(document, notes={"compression": opened.compression.name, **document.notes})
    if opened.compression and document.table:
        document = replace(document, table=compressed(document.table, opened.compression))
    return document


def compressed(table: Table, compression: Compression) -> Table:
    """Have a table written back compressed."""
    return replace(
        table,
        extension=table.extension + compression.extensions[0],
        content_type=compression.content_type,
        compress=compression.compress,
    )


def _is_unclosed(row: Row) -> bool:
    return row.problem is not None and row.problem.code is ErrorCode.UNCLOSED_QUOTE


def line_reader(name: str, content_type: str, head: bytes) -> LineReader | None:
    """Return how a source is read line by line; None if it is no table of lines in UTF-8.

    Args:
        name: the source's key or file name.
        content_type: as for `read_document`.
        head: what it begins with, compressed if it is.
    """
    content = _content(head)
    is_macintosh = b"\r" in content and b"\n" not in content  # which ends lines by carriage returns
    if not content or is_macintosh or marked_encoding(content) not in (None, "utf-8"):
        return None
    try:
        found = _find_format(name, content_type, content)
    except SourceError:
        return None
    return found.line_reader(beginning(content, ENOUGH_TO_LOOK_AT))


def _content(head: bytes) -> bytes:
    compression = compression_of(head)
    if compression is None:
        return head
    with BufferedReader(Decompressed(BytesIO(head), compression, sys.maxsize)) as stream:
        try:
            return stream.read(ENOUGH_TO_LOOK_AT)
        except SourceError:
            return b""


def _without_cut_line(opened: Opened) -> tuple[bytes, str]:
    """Return the lines that are whole, and what there is of the one in which the data end early."""
    if opened.problem is None or opened.problem.code is not ErrorCode.TRUNCATED_FILE:
        return opened.data, ""
    if marked_encoding(opened.data) not in (None, "utf-8"):
        return b"", ""  # a character may be cut as well; too rare to be worth more
    whole = opened.data.rfind(b"\n") + 1
    return opened.data[:whole], opened.data[whole:].decode("utf-8", "backslashreplace")


def _find_format(name: str, content_type: str, content: bytes) -> Format:
    # "report.v2.1" and "Mr. Smith" hold dots, not extensions.
    found = _EXTENSION.search(stem(name))
    extension = found[0].lower() if found else ""
    mime_type = content_type.partition(";")[0].strip().lower()
    claimants = chain(
        (f for f in FORMATS if extension in f.extensions),
        (f for f in FORMATS if mime_type in f.content_types),
    )
    return next(claimants, None) or _look(content)


def _look(content: bytes) -> Format:
    for magic, what in _NOT_TEXT:
        if content.startswith(magic):
            raise SourceError(ErrorCode.UNSUPPORTED_FORMAT, f"it is {what}")
    text_beginning = beginning(content, ENOUGH_TO_LOOK_AT)
    return next((f for f in FORMATS if f.looks_like(text_beginning)), text.FORMAT)
