"""Parquet. Each row is a record, and one of its columns is the review.

Rows are read in batches, and read again to write the result, so that only the compressed file and the
results are held in memory. The libraries are imported when the first Parquet file is read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import SEEK_END, BytesIO
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, NoReturn

from reviewbox.documents.document import (
    BinaryTable,
    Cells,
    Document,
    ReadOptions,
    Row,
    RowWriter,
    Step,
    Value,
)
from reviewbox.documents.format import Format
from reviewbox.documents.formats.columns import MAX_SAMPLE_ROWS, call_library, column_keys, read_row
from reviewbox.documents.formats.parquet.decoding import DESCRIPTION, decode
from reviewbox.documents.formats.parquet.footer import Footer, read_footer, read_row_count, read_tail
from reviewbox.documents.line_tables import check_row_count
from reviewbox.documents.review_field import FieldSample, ReviewField, select_review_field
from reviewbox.documents.unsupported import is_parquet
from reviewbox.errors import ErrorCode, SourceError

if TYPE_CHECKING:
    from arro3.core import Array, DataType, RecordBatch, Schema

# A file may repeat a long text in a few bytes, so batches are small.
_BATCH_ROWS = 250
# Readers hold a row group in memory, or skip it as a whole.
_MAX_GROUP_ROWS = 100_000
_MIN_GROUP_ROWS = 1000
_MAX_DEPTH = 8  # how deeply structs may be nested in which a review is looked for
# Pages rarely compress to less than a hundredth.
_BOMB_RATIO = 100
# The review field is selected from this many.
_SAMPLED_BATCHES = max(1, MAX_SAMPLE_ROWS // _BATCH_ROWS)

EXTENSION = "parquet"
CONTENT_TYPE = "application/vnd.apache.parquet"
# Impala, Hive and old Spark do not say which of their binary columns are text.
_TEXT_TYPES = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A file whose rows can be read."""

    footer: Footer
    schema: "Schema"
    field: ReviewField  # the column that holds the review
    batches: "Iterator[RecordBatch]"  # all rows


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a file as a table.

    Raises:
        SourceError: the file is damaged or too large, there is no row, or no column can be the review.
    """
    footer = read_footer(data, options.check_time)
    check_row_count(footer.rows, options.max_rows)
    opened = open_table(BytesIO(data), footer, options)
    return _document(opened, partial(_Writer, data, footer, options))


def read_segment(data: bytes, field: ReviewField, options: ReadOptions, first_row: int) -> Document:
    """Read a file whose review field is known; its rows are numbered from `first_row`.

    Raises:
        SourceError: the file is damaged.
    """
    footer = read_footer(data, options.check_time)
    schema, batches = _open_batches(BytesIO(data), options)
    opened = OpenTable(footer, schema, field, batches)
    return _document(opened, partial(_Writer, data, footer, options), first_row)


def stream(file: IO[bytes], options: ReadOptions) -> Document:
    """Parse a file of any size while its rows are read. Only some of its pages are in memory.

    The result cannot be written as one file.

    Raises:
        SourceError: the file is damaged, there is no row, or no column can be the review.
    """
    return _document(open_table(file, footer_of(file, options), options), _refuse_to_write)


def open_table(file: IO[bytes], footer: Footer, options: ReadOptions) -> OpenTable:
    """Open a file with this footer. The column of the review is chosen from its first rows.

    Raises:
        SourceError: the file is damaged, expands to suspiciously many bytes, or has no row, or no column can
            be the review. Reading the rows may also raise it.
    """
    _check_ratio(footer, file.seek(0, SEEK_END), options)
    schema, batches = _open_batches(file, options)
    sampled = list(islice(batches, _SAMPLED_BATCHES))
    return OpenTable(footer, schema, _select_field(schema, sampled, options), chain(sampled, batches))


def footer_of(file: IO[bytes], options: ReadOptions) -> Footer:
    """Return the footer of a file; only the end of the file is read.

    Raises:
        SourceError: the file is damaged.
    """
    return read_footer(read_tail(file, options.max_bytes), options.check_time)


def row_count_of(file: IO[bytes], options: ReadOptions) -> int:
    """Return the number of rows of a file; only the end of the file is read.

    Raises:
        SourceError: the file is damaged.
    """
    return read_row_count(read_tail(file, options.max_bytes), options.check_time)


def read_cells(data: bytes, options: ReadOptions) -> Iterator[Cells]:
    """Yield the values of each row by column; raise SourceError if the file is damaged."""
    read_footer(data, options.check_time)  # which checks it
    schema, batches = _open_batches(BytesIO(data), options)
    keys = column_keys(schema.names)
    number = 0
    for batch in batches:
        opened = _Columns(batch)
        columns = [opened.values([index]) for index in range(len(keys))]
        for values in zip(*columns, strict=True):
            number += 1
            yield Cells(number, 1, dict(zip(keys, values, strict=True)))


def _check_ratio(footer: Footer, size: int, options: ReadOptions) -> None:
    """Raise SourceError if a file of `size` bytes expands to suspiciously many."""
    ratio = footer.uncompressed_bytes / size
    if footer.uncompressed_bytes > options.max_bytes and ratio > _BOMB_RATIO:
        raise SourceError(
            ErrorCode.DECOMPRESSION_BOMB,
            f"the Parquet file expands to {ratio:,.0f} times its size, and to more than the "
            f"{options.max_bytes:,} bytes that MAX_OBJECT_BYTES allows",
        )


def _open_batches(file: IO[bytes], options: ReadOptions) -> "tuple[Schema, Iterator[RecordBatch]]":
    """Return the schema of a file and its rows, in small batches. Only the pages are read.

    Raises:
        SourceError: the file is damaged. Reading the batches may also raise it.
    """
    readers = decode(file, _BATCH_ROWS)
    schema = next(readers).schema

    def batches() -> "Iterator[RecordBatch]":
        for reader in readers:
            yield from reader
            options.check_time()

    return schema, batches()


def _text_paths(schema: "Schema") -> dict[str, list[int]]:
    """Return the position of each column of text, nested in structs or not, by its path."""
    paths: dict[str, list[int]] = {}

    def add(path: str, kind: "DataType", position: list[int]) -> None:
        if _is_text(kind):
            paths.setdefault(path, position)
        elif _is(kind, "struct") and len(position) < _MAX_DEPTH:
            for index, field in enumerate(kind.fields):
                add(f"{path}.{field.name}", field.type, [*position, index])

    for index, name in enumerate(schema.names):
        add(name, schema.field(index).type, [index])
    return paths


def _is_text(kind: "DataType") -> bool:
    if _is(kind, "dictionary"):
        return kind.value_type is not None and _is_text(kind.value_type)
    return any(_is(kind, name) for name in _TEXT_TYPES)


def _is(kind: "DataType", name: str) -> bool:
    from arro3.core import DataType

    return bool(getattr(DataType, f"is_{name}")(kind))


def _select_field(schema: "Schema", batches: Sequence["RecordBatch"], options: ReadOptions) -> ReviewField:
    """Return the field that holds the review, given the first batches.

    Raises:
        SourceError: there is no row, or no column can be the review.
    """
    if not any(batch.num_rows for batch in batches):
        raise SourceError(ErrorCode.HEADER_ONLY, "the table has columns and no rows")
    sample = FieldSample()
    opened = [_Columns(batch) for batch in batches]
    for path, position in _text_paths(schema).items():
        options.check_time()
        for columns in opened:
            for value in columns.values(position):
                sample.add(path, "" if value is None else value)
    for name in schema.names:
        sample.add(name, None)  # it is not text, but can be listed and named
    field = select_review_field(sample, options)
    for path in field.paths:
        if (count := schema.names.count(path)) > 1:
            message = f"{count} columns are called {path!r}; rename all but the one that holds the reviews"
            raise SourceError(ErrorCode.DUPLICATE_FIELD, message)
    return field


class _Columns:
    """The columns of a batch, including those in structs. Opening a struct of many fields is slow."""

    def __init__(self, batch: "RecordBatch") -> None:
        self._structs: dict[tuple[int, ...], RecordBatch] = {(): batch}  # by their position

    def values(self, position: Sequence[int]) -> list[Any]:
        """Return the values of the column at a position."""
        return call_library(DESCRIPTION, self._decode, tuple(position))

    def _decode(self, position: tuple[int, ...]) -> list[Any]:
        return [_decode(value) for value in self._struct(position[:-1]).column(position[-1]).to_pylist()]

    def _struct(self, position: tuple[int, ...]) -> "RecordBatch":
        from arro3.core import RecordBatch

        if position not in self._structs:
            column = self._struct(position[:-1]).column(position[-1])
            self._structs[position] = RecordBatch.from_struct_array(column)
        return self._structs[position]


def _decode(value: Any) -> Any:
    """Return the text that a binary value holds; other values, and bytes that are not text, as they are."""
    if not isinstance(value, bytes):
        return value
    with suppress(UnicodeDecodeError):
        return value.decode("utf-8")
    return value


def _refuse_to_write(_names: Sequence[str]) -> NoReturn:
    raise SourceError(ErrorCode.TOO_LARGE, "a Parquet file that is streamed is not written back as one file")


def _document(
    opened: OpenTable, open_writer: Callable[[Sequence[str]], RowWriter], first_row: int = 1
) -> Document:
    names, notes = frozenset(opened.schema.names), opened.field.notes
    table = BinaryTable(EXTENSION, CONTENT_TYPE, names, open_writer, has_notes=bool(opened.field.title))
    return Document(_rows(opened, first_row), lambda: notes, table, opened.footer.rows)


def _rows(opened: OpenTable, first_row: int) -> Iterator[Row]:
    number, field, paths = first_row, opened.field, _text_paths(opened.schema)
    wanted = {path: paths[path] for path in (*field.paths, field.title) if path in paths}
    for batch in opened.batches:
        read = _Columns(batch)
        columns = {path: read.values(position) for path, position in wanted.items()}
        for index in range(batch.num_rows):
            values = {path: column[index] for path, column in columns.items()}
            yield read_row(number, field, values.get)
            number += 1


class _Writer:
    """Adds columns to a Parquet file."""

    def __init__(self, data: bytes, footer: Footer, options: ReadOptions, names: Sequence[str]) -> None:
        from arro3.core import DataType, Field

        text = DataType.string()
        # The last is for notes.
        types = (text, DataType.float64(), DataType.bool(), DataType.bool(), text, text, text)
        self._data = data
        self._footer = footer
        self._options = options
        self._fields = [Field(name, kind, nullable=True) for name, kind in zip(names, types, strict=False)]
        self._batches: list[list[Array]] = []
        self._rows: list[tuple[Value, ...]] = []

    def write(self, row: Row, added: Mapping[str, Value]) -> None:  # noqa: ARG002 - rows come in order
        """Take the values to add to the next row."""
        self._rows.append(tuple(added.values()))
        if len(self._rows) == _BATCH_ROWS:
            self._flush()

    def finish(self) -> bytes:
        """Return the file with the added columns, in the compression of the source."""
        from arro3.core import RecordBatchReader
        from arro3.io import read_parquet, write_parquet

        self._flush()
        # These pages have been decoded before, so they do not end the process.
        source = read_parquet(self._data, batch_size=_BATCH_ROWS)
        schema = source.schema
        for field in self._fields:
            schema = schema.append(field)
        content = BytesIO()
        group_rows = min(_MAX_GROUP_ROWS, max(_MIN_GROUP_ROWS, self._footer.max_group_rows))
        try:
            write_parquet(
                RecordBatchReader.from_batches(schema, self._widened(source)),
                content,
                compression=self._footer.codec,
                max_row_group_size=group_rows,
            )
        except Exception:
            # The library raises its own error instead of the one that `check_time` raised.
            self._options.check_time()
            raise
        return content.getvalue()

    def _widened(self, batches: "Iterable[RecordBatch]") -> "Iterator[RecordBatch]":
        done = 0
        for batch, columns in zip(batches, self._batches, strict=True):
            self._options.check_time()
            self._options.on_step(Step("Writing (rows)", done, self._footer.rows))
            done += batch.num_rows
            for field, column in zip(self._fields, columns, strict=True):
                batch = batch.append_column(field, column)  # noqa: PLW2901
            yield batch

    def _flush(self) -> None:
        """Move the collected values into compact columns."""
        from arro3.core import Array

        if self._rows:
            columns = zip(*self._rows, strict=True)
            self._batches.append([Array(list(c), f.type) for f, c in zip(self._fields, columns, strict=True)])
            self._rows = []


FORMAT = Format(
    "Parquet",
    frozenset({".parquet", ".pq"}),
    frozenset({CONTENT_TYPE, "application/x-parquet", "application/parquet"}),
    read,
    is_binary=is_parquet,
)
