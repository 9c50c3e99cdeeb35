"""Detects the format of a file. To add a format, add a module and a line in `FORMATS`."""

import re
import sys
from dataclasses import replace
from io import BufferedReader, BytesIO
from itertools import chain
from typing import TypeVar

from reviewbox.documents.checks import check_rows, is_truncated
from reviewbox.documents.compression import (
    Compression,
    Decompressed,
    DecompressedStream,
    decompress,
    detect_compression,
    stem,
)
from reviewbox.documents.document import BinaryTable, Document, ReadOptions, Row, Table
from reviewbox.documents.encoding import bom_encoding, decode_start
from reviewbox.documents.format import Format
from reviewbox.documents.formats import html, json, jsonl, markdown, text
from reviewbox.documents.formats.csv import table as csv_table
from reviewbox.documents.formats.parquet import table as parquet
from reviewbox.documents.formats.xlsx import table as xlsx
from reviewbox.documents.line_tables import Content, LineFormat, at_end, read_content
from reviewbox.documents.lines import at_line
from reviewbox.documents.unsupported import describe_code, describe_unsupported, is_parquet
from reviewbox.errors import ErrorCode, Problem, SourceError

# The order in which formats are tried if neither the name nor the content type names one. Text fits always.
FORMATS: tuple[Format, ...] = (
    html.FORMAT,
    json.JSON,
    json.JSON_LINES,
    csv_table.TSV,
    csv_table.CSV,
    markdown.FORMAT,
    xlsx.FORMAT,
    parquet.FORMAT,
    text.FORMAT,
)

LINE_FORMATS = {
    line_format.name: line_format
    for line_format in (csv_table.CSV_LINES, csv_table.TSV_LINES, jsonl.LINE_FORMAT)
}

_Table = TypeVar("_Table", bound=Table | BinaryTable)

# Formats of data that may have a name of text, or none.
_DATA = (csv_table.TSV, csv_table.CSV, json.JSON)

# How much of the start of a file is enough to detect its format.
SNIFF_BYTES = 64 * 1024

_EXTENSION = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{0,9}$")


def read_document(name: str, content_type: str, data: bytes, options: ReadOptions) -> Document:
    """Parse a whole file.

    The file name determines the format, then the content type, then the first bytes. A table that is called
    text is recognized by its first bytes, and so are formats that are not supported. Compressed data is
    decompressed first, and its table is written back with the same compression.

    `name` is the key or file name of the source. `content_type` is a MIME type, which may have parameters, or
    "".

    Raises:
        SourceError: the file is empty or damaged, or its format is unsupported or violated.
    """
    decompressed = decompress(data, options.max_bytes, options.check_time)
    content, incomplete_line = _split_incomplete_line(decompressed)
    problem = decompressed.problem
    if not content:
        problem = problem or Problem(ErrorCode.EMPTY_FILE, "the file is empty")
        raise SourceError(problem.code, problem.message)
    detected = _detect_format(name, content_type, content)
    if problem and detected.is_binary:
        raise SourceError(problem.code, problem.message)
    document = _read(detected, content, options, problem)
    end_row: Row | None = None
    if problem:
        if not isinstance(document.table, Table):  # part of a review is not classified
            raise SourceError(problem.code, problem.message)
        line = content.count(b"\n") + 1
        raw = document.table.render_raw(incomplete_line)
        end_row = Row(line, problem=at_line(line, problem), raw=raw)
    are_lines = not isinstance(document.table, BinaryTable)
    rows = check_rows(document.rows, lambda: end_row, are_lines=are_lines, check_time=options.check_time)
    size = document.size
    if isinstance(document.table, Table):
        # Two bytes of UTF-16 are mostly one of UTF-8.
        size = len(content) if bom_encoding(content) in (None, "utf-8") else len(content) // 2
    return _compressed(replace(document, rows=rows, size=size), decompressed.compression)


def read_stream(
    name: str, content_type: str, stored: BufferedReader, options: ReadOptions
) -> Document | None:
    """Parse a table of any size while its rows are read; return None if that is impossible.

    It is possible for tables of lines, and for Parquet files that are not compressed as a whole.

    `name` and `content_type` are those of `read_document`. `stored` has a buffer of at least `SNIFF_BYTES`;
    for a Parquet file, it is seekable.

    Raises:
        SourceError: the table has no row, or no field that can be the review.
    """
    head = stored.peek(SNIFF_BYTES)
    if is_parquet(head):
        document = parquet.stream(stored, options)
        rows = check_rows(document.rows, are_lines=False, check_time=options.check_time)
        return replace(document, rows=rows)
    detected = line_format(name, content_type, head)
    if detected is None:
        return None
    content = Content(stored, options)
    return _compressed(read_content(content, detected, options), content.compression)


def line_format(name: str, content_type: str, head: bytes) -> LineFormat | None:
    """Return how to read a source line by line; None if it is not a table of lines in UTF-8.

    `name` and `content_type` are those of `read_document`. `head` is the first `SNIFF_BYTES` of the source as
    it is stored.

    Raises:
        SourceError: the format is not supported.
    """
    content = _decompressed_head(head[:SNIFF_BYTES])
    has_macintosh_lines = b"\r" in content and b"\n" not in content
    if not content or has_macintosh_lines or bom_encoding(content) not in (None, "utf-8"):
        return None
    detected = _detect_format(name, content_type, content)
    return detected.line_format(decode_start(content, SNIFF_BYTES))


def is_called_text(name: str) -> bool:
    """Return whether the name of a source says that it is a text, and so probably one review."""
    texts = text.FORMAT.extensions | markdown.FORMAT.extensions | html.FORMAT.extensions
    return stem(name).lower().endswith(tuple(texts))


def with_compression(table: _Table, compression: Compression) -> _Table:
    """Return the table, which is compressed again when it is written back."""
    return replace(
        table,
        extension=table.extension + compression.extensions[0],
        content_type=compression.content_type,
        compress=compression.compress,
    )


def _compressed(document: Document, compression: Compression | None) -> Document:
    if compression is None:
        return document
    return replace(
        document,
        notes=lambda: {"compression": compression.name, **document.notes()},
        table=with_compression(document.table, compression) if document.table else None,
    )


def _decompressed_head(head: bytes) -> bytes:
    compression = detect_compression(head)
    if compression is None:
        return head
    decompressed = DecompressedStream(BytesIO(head), compression, sys.maxsize)
    with BufferedReader(decompressed) as stream:
        try:
            content = stream.read(SNIFF_BYTES)
        except SourceError:
            return b""
    # What comes after the head is not missing.
    is_whole = len(head) < SNIFF_BYTES and is_truncated(decompressed.problem)
    return content[: content.rfind(b"\n") + 1] if is_whole else content


def _read(format_: Format, content: bytes, options: ReadOptions, problem: Problem | None) -> Document:
    """Read content; if there is no row because the content is damaged, raise SourceError that says so."""
    try:
        return format_.read(content, options)
    except SourceError as error:
        raise at_end(error, problem) from None


def _split_incomplete_line(decompressed: Decompressed) -> tuple[bytes, str]:
    """Return the complete lines, and the start of the line in which truncated data ends."""
    data = decompressed.data
    if not is_truncated(decompressed.problem):
        return data, ""
    if bom_encoding(data) not in (None, "utf-8"):
        # The last character may also be incomplete. The case is too rare to be handled.
        return b"", ""
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:].decode("utf-8", "backslashreplace")


def _detect_format(name: str, content_type: str, content: bytes) -> Format:
    # "report.v2.1" and "Mr. Smith" contain dots, but no extension.
    match = _EXTENSION.search(stem(name))
    extension = match[0].lower() if match else ""
    mime_type = content_type.partition(";")[0].strip().lower()
    binary = next((format_ for format_ in FORMATS if format_.is_binary and format_.is_binary(content)), None)
    if binary:
        return binary
    _refuse_unsupported(content, extension)
    named = chain(
        (format_ for format_ in FORMATS if extension in format_.extensions),
        (format_ for format_ in FORMATS if mime_type in format_.content_types),
    )
    format_ = next(named, None)
    if format_ not in (None, text.FORMAT):
        return format_
    head = decode_start(content, SNIFF_BYTES)
    sniffed = next((format_ for format_ in FORMATS if format_.looks_like(head)), text.FORMAT)
    # A file that is called text is one review, unless it is a delimited table or JSON.
    if sniffed in _DATA:
        return _noted(sniffed)
    if sniffed is text.FORMAT and (message := describe_code(extension)):
        raise SourceError(ErrorCode.UNSUPPORTED_FORMAT, message)
    return format_ or sniffed


def _noted(format_: Format) -> Format:
    """Return a format whose documents note that it was detected by the content, and not by the name."""
    notes = {"detected_as": format_.name}

    def read(data: bytes, options: ReadOptions) -> Document:
        document = format_.read(data, options)
        return replace(document, notes=lambda: {**notes, **document.notes()})

    def line_format(head: str) -> LineFormat | None:
        detected = format_.line_format(head)
        return replace(detected, notes=notes) if detected else None

    return replace(format_, read=read, line_format=line_format)


def _refuse_unsupported(content: bytes, extension: str) -> None:
    """Raise SourceError if the content is in a format that is not supported, whatever its name is."""
    message = describe_unsupported(content, extension)
    if compression := detect_compression(content):
        message = f"the file is compressed twice, the second time with {compression.name}; decompress it once"
    if message:
        raise SourceError(ErrorCode.UNSUPPORTED_FORMAT, message)
