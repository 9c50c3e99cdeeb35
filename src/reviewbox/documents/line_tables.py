"""Reads tables whose rows are lines: whole, or as a stream of any size."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any, Protocol

from reviewbox.documents.checks import check_rows, is_truncated
from reviewbox.documents.compression import Compression, DecompressedStream, detect_compression
from reviewbox.documents.document import Document, ReadOptions, Row, Table, Value
from reviewbox.documents.lines import Line, Lines, at_line, read_lines, stream_lines
from reviewbox.errors import ErrorCode, Problem, SourceError

_READ_AHEAD = 1024 * 1024  # bytes, decompressed


class Schema(Protocol):
    """What is inferred from the first lines of a table: enough to read any of its rows."""

    @property
    def notes(self) -> Mapping[str, Value]:
        """What was inferred, for the receipt."""

    @property
    def table(self) -> Table:
        """How rows are written back."""

    def rows(self, lines: Iterable[Line]) -> Iterator[Row]:
        """Yield the rows of a whole table, or of lines of it that start with a row.

        Raises:
            SourceError: there is no row.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as JSON data, for `LineFormat.from_dict`."""


@dataclass(frozen=True, slots=True)
class LineFormat:
    """A format in which each row of a table is one or more lines."""

    name: str  # identifies the format
    # Infers the schema from a sample of the lines, without consuming them; raises SourceError.
    infer: Callable[[Lines, ReadOptions], Schema]
    # Returns the schema for the data that `Schema.to_dict` returned.
    from_dict: Callable[[Mapping[str, Any]], Schema]
    notes: Mapping[str, Value] = field(default_factory=dict)  # how the format was recognized, for the receipt


class Content:
    """The content of a stored table, decompressed as it is read."""

    def __init__(self, stored: BufferedReader, options: ReadOptions) -> None:
        self.stream = stored  # the content
        # How it is stored; None if it is not compressed.
        self.compression: Compression | None = detect_compression(stored.peek())
        self._decompressed: DecompressedStream | None = None
        if self.compression:
            # The size is limited by the ratio alone: a table of lines may have any size.
            self._decompressed = DecompressedStream(
                stored, self.compression, options.max_bytes, is_limit=False, check_time=options.check_time
            )
            self.stream = BufferedReader(self._decompressed, _READ_AHEAD)

    @property
    def problem(self) -> Problem | None:
        """Why content is missing or left over at the end; known after the stream has been read to its end."""
        return self._decompressed.problem if self._decompressed else None


class ContentLines:
    """Iterates over the lines of a table's content.

    An incomplete last line of truncated content is not returned: it is not a row.
    """

    def __init__(self, content: Content, options: ReadOptions) -> None:
        self.count = 0  # the number of lines that were read and have a line end
        self.incomplete = b""  # the last line of truncated content, without a line end
        self._content = content
        self._max_bytes = options.max_bytes

    def __iter__(self) -> Iterator[bytes]:
        blank_bytes = 0  # in the blank lines just before, which are held until a row follows
        while line := self._content.stream.readline(self._max_bytes + 1):
            if len(line) + blank_bytes > self._max_bytes:
                raise self._too_long(is_blank=len(line) <= self._max_bytes)
            blank_bytes = blank_bytes + len(line) if is_blank(line) else 0
            is_ended = line.endswith(b"\n")
            if not is_ended and is_truncated(self._content.problem):
                self.incomplete = line
                return
            self.count += is_ended
            yield line

    def end_row(self, table: Table) -> Row | None:
        """Return the row for what is missing or left over at the end; None if the content is intact."""
        if self._content.problem is None:
            return None
        line = self.count + 1
        raw = table.render_raw(self.incomplete.decode("utf-8", "backslashreplace"))
        return Row(line, problem=at_line(line, self._content.problem), raw=raw)

    def _too_long(self, *, is_blank: bool) -> SourceError:
        subject = "the line and the blank lines before it have" if is_blank else "the line has"
        return SourceError(
            ErrorCode.LINE_TOO_LONG,
            f"line {self.count + 1}: {subject} more than the {self._max_bytes:,} bytes that MAX_OBJECT_BYTES "
            "allows; check for missing line ends",
        )


def is_blank(line: bytes) -> bool:
    """Return whether no format reads a row from the line."""
    return not line.strip(b"\r\n ")


def infer_schema(lines: Lines, line_format: LineFormat, content: Content, options: ReadOptions) -> Schema:
    """Infer the schema of a stored table.

    Raises:
        SourceError: there is no row, or no field that can be the review.
    """
    try:
        return line_format.infer(lines, options)
    except SourceError as error:
        raise at_end(error, content.problem) from None


def at_end(error: SourceError, problem: Problem | None) -> SourceError:
    """Return the error of a table; if it has no row, the problem at its end, if any, is the reason."""
    has_no_rows = error.problem.code in (ErrorCode.EMPTY_TABLE, ErrorCode.HEADER_ONLY)
    return SourceError(problem.code, problem.message) if problem and has_no_rows else error


def read_content(content: Content, line_format: LineFormat, options: ReadOptions) -> Document:
    """Read a stored table of any size without holding it.

    Raises:
        SourceError: there is no row, or no field that can be the review.
    """
    encoded = ContentLines(content, options)
    lines = stream_lines(encoded, options)
    schema = infer_schema(lines, line_format, content, options)
    rows = check_rows(
        schema.rows(lines), lambda: encoded.end_row(schema.table), check_time=options.check_time
    )
    return Document(rows, lambda: {**line_format.notes, **lines.notes(options), **schema.notes}, schema.table)


def read_table(line_format: LineFormat, data: bytes, options: ReadOptions) -> Document:
    """Read a table that is held in memory, in any encoding.

    Raises:
        SourceError: there is no row, or no field that can be the review.
    """
    lines = read_lines(data, options)
    schema = line_format.infer(lines, options)
    rows = limited(schema.rows(lines), options.max_rows)
    return Document(rows, lambda: {**line_format.notes, **lines.notes(options), **schema.notes}, schema.table)


def limited(rows: Iterable[Row], max_rows: int) -> Iterator[Row]:
    """Yield rows; raise SourceError if there are more than `max_rows`."""
    for count, row in enumerate(rows, 1):
        check_row_count(count, max_rows)
        yield row


def check_row_count(count: int, max_rows: int) -> None:
    """Raise SourceError if a table has too many rows."""
    if count > max_rows:
        raise SourceError(
            ErrorCode.TOO_LARGE, f"the table has more than {max_rows:,} rows; split it into smaller files"
        )
