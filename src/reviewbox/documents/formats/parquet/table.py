"""Parquet. Each row is a record, and one of its columns is the review.

Rows are read in batches, and read again to write the result, so that only the compressed file and the
results are held in memory. The libraries are imported when the first Parquet file is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any

from reviewbox.documents.document import BinaryTable, Cells, Document, ReadOptions, Row, Value
from reviewbox.documents.format import Format
from reviewbox.documents.formats.columns import MAX_SAMPLE_ROWS, call_library, column_keys, read_row
from reviewbox.documents.formats.parquet.footer import Footer, read_footer
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
_MAX_DEPTH = 8  # of structs in which a review is looked for
# Pages rarely compress to less than a hundredth.
_BOMB_RATIO = 100
_DESCRIPTION = "the Parquet file"


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a file as a table.

    Raises:
        SourceError: the file is damaged or too large, there is no row, or no column can be the review.
    """
    footer = read_footer(data)
    _check_size(footer, len(data), options)
    schema, batches = _open(data)
    sampled = list(islice(batches, max(1, MAX_SAMPLE_ROWS // _BATCH_ROWS)))
    if not any(batch.num_rows for batch in sampled):
        raise SourceError(ErrorCode.HEADER_ONLY, "the table has columns and no rows")
    paths = _text_paths(schema)
    field = _select(schema, paths, sampled, options)
    del sampled  # the rows are read from the start
    table = BinaryTable(
        "parquet",
        "application/vnd.apache.parquet",
        frozenset(schema.names),
        partial(_Writer, data, footer),
        has_notes=bool(field.title),
    )
    return Document(_rows(data, paths, field), lambda: field.notes, table)


def read_cells(data: bytes) -> Iterator[Cells]:
    """Yield the values of each row by column.

    Raises:
        SourceError: the file is damaged.
    """
    schema, batches = _open(data)
    keys = column_keys(schema.names)
    number = 0
    for batch in batches:
        columns = [_values(batch, [index]) for index in range(len(keys))]
        for values in zip(*columns, strict=True):
            number += 1
            yield Cells(number, 1, dict(zip(keys, values, strict=True)))


def _check_size(footer: Footer, size: int, options: ReadOptions) -> None:
    check_row_count(footer.rows, options.max_rows)
    ratio = footer.uncompressed_bytes / size
    if footer.uncompressed_bytes > options.max_bytes and ratio > _BOMB_RATIO:
        raise SourceError(
            ErrorCode.DECOMPRESSION_BOMB,
            f"the Parquet file expands to {ratio:,.0f} times its size, and to more than the "
            f"{options.max_bytes:,} bytes that MAX_OBJECT_BYTES allows",
        )


def _open(data: bytes) -> "tuple[Schema, Iterator[RecordBatch]]":
    from arro3.io import read_parquet

    reader = call_library(_DESCRIPTION, partial(read_parquet, batch_size=_BATCH_ROWS), data)

    def batches() -> "Iterator[RecordBatch]":
        # A default, because `next` would raise StopIteration inside a generator.
        while (batch := call_library(_DESCRIPTION, next, reader, None)) is not None:
            yield batch

    return reader.schema, batches()


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
    return any(_is(kind, name) for name in ("string", "large_string", "string_view"))


def _is(kind: "DataType", name: str) -> bool:
    from arro3.core import DataType

    return bool(getattr(DataType, f"is_{name}")(kind))


def _select(
    schema: "Schema",
    paths: Mapping[str, list[int]],
    batches: Sequence["RecordBatch"],
    options: ReadOptions,
) -> ReviewField:
    sample = FieldSample()
    for path, position in paths.items():
        for batch in batches:
            for value in _values(batch, position):
                sample.add(path, value)
    for name in schema.names:
        sample.add(name, None)  # which is not text, but can be listed and named
    field = select_review_field(sample, options)
    for path in field.paths:
        if (count := schema.names.count(path)) > 1:
            message = f"{count} columns are called {path!r}; rename all but the one that holds the reviews"
            raise SourceError(ErrorCode.DUPLICATE_FIELD, message)
    return field


def _values(batch: "RecordBatch", position: Sequence[int]) -> list[Any]:
    from arro3.core import struct_field

    def decode() -> list[Any]:
        column: Array = batch.column(position[0])
        if len(position) > 1:
            column = struct_field(column, list(position[1:]))
        return list(column.to_pylist())

    return call_library(_DESCRIPTION, decode)


def _rows(data: bytes, paths: Mapping[str, list[int]], field: ReviewField) -> Iterator[Row]:
    number = 0
    wanted = {path: paths[path] for path in (*field.paths, field.title) if path in paths}
    for batch in _open(data)[1]:
        columns = {path: _values(batch, position) for path, position in wanted.items()}
        for index in range(batch.num_rows):
            number += 1
            values = {path: column[index] for path, column in columns.items()}
            yield read_row(number, field, values.get)


class _Writer:
    """Adds columns to a Parquet file."""

    def __init__(self, data: bytes, footer: Footer, names: Sequence[str]) -> None:
        from arro3.core import DataType, Field

        text = DataType.string()
        # The last is for notes.
        types = (text, DataType.float64(), DataType.bool(), DataType.bool(), text, text, text)
        self._data = data
        self._footer = footer
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
        from arro3.io import write_parquet

        self._flush()
        schema, batches = _open(self._data)
        for field in self._fields:
            schema = schema.append(field)
        content = BytesIO()
        group_rows = min(_MAX_GROUP_ROWS, max(_MIN_GROUP_ROWS, self._footer.max_group_rows))
        write_parquet(
            RecordBatchReader.from_batches(schema, self._widened(batches)),
            content,
            compression=self._footer.codec,
            max_row_group_size=group_rows,
        )
        return content.getvalue()

    def _widened(self, batches: "Iterator[RecordBatch]") -> "Iterator[RecordBatch]":
        for batch, columns in zip(batches, self._batches, strict=True):
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
    frozenset({"application/vnd.apache.parquet", "application/x-parquet", "application/parquet"}),
    read,
    is_binary=is_parquet,
)
