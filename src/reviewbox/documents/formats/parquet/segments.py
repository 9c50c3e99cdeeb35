"""Splits a Parquet file that is too large to be read as a whole into small Parquet files.

The file is read once, page by page. Each segment has the columns and the compression of the file, so it is
read and written back as a file of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Self

from reviewbox.documents.checks import check_rows
from reviewbox.documents.document import Document, ReadOptions, Step, Value
from reviewbox.documents.formats.parquet import table
from reviewbox.documents.formats.parquet.footer import Footer
from reviewbox.documents.review_field import ReviewField

if TYPE_CHECKING:
    from arro3.core import RecordBatch, Schema


@dataclass(frozen=True, slots=True)
class SegmentedParquet:
    """A Parquet file that is split into segments."""

    field: ReviewField  # the column that holds the review in all segments
    first_rows: tuple[int, ...]  # the number of the first row of each segment; rows are numbered from 1
    notes: Mapping[str, Value]  # what was inferred about the file, for the receipt

    extension = table.EXTENSION
    content_type = table.CONTENT_TYPE

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the file for the data that `to_dict` returned."""
        field = ReviewField(tuple(data["paths"]), data["reason"], title=data["title"])
        return cls(field, tuple(data["first_rows"]), data["notes"])

    def to_dict(self) -> dict[str, Any]:
        """Return the file as JSON data."""
        return {
            "format": table.EXTENSION,
            "paths": list(self.field.paths),
            "reason": self.field.reason,
            "title": self.field.title,
            "first_rows": list(self.first_rows),
            "notes": dict(self.notes),
        }

    def document(self, index: int, data: bytes, options: ReadOptions) -> Document:
        """Return the segment with this index, whose bytes are `data`, as a document of its own."""
        document = table.read_segment(data, self.field, options, self.first_rows[index])
        return replace(document, rows=check_rows(document.rows, are_lines=False), notes=dict)

    def __len__(self) -> int:
        return len(self.first_rows)


def split_parquet(
    file: IO[bytes], options: ReadOptions, on_segment: Callable[[int, bytes], None]
) -> SegmentedParquet:
    """Split a Parquet file. A segment is full once its values take `options.segment_bytes` in memory.

    The file is seekable. `on_segment` is called with the index of each segment, from 0, and its bytes.

    Raises:
        SourceError: the file is damaged, there is no row, or no column can be the review.
    """
    opened = table.open_table(file, table.footer_of(file, options), options)
    first_rows: list[int] = []
    row = 1
    for segment in _segments(opened.batches, options.segment_bytes):
        options.on_step(Step("Splitting (rows)", row - 1, opened.footer.rows))
        on_segment(len(first_rows), _render(opened.schema, segment, opened.footer))
        first_rows.append(row)
        row += sum(batch.num_rows for batch in segment)
    return SegmentedParquet(opened.field, tuple(first_rows), opened.field.notes)


def _segments(batches: "Iterable[RecordBatch]", segment_bytes: int) -> "Iterator[list[RecordBatch]]":
    segment: list[RecordBatch] = []
    size = 0
    for batch in batches:
        segment.append(batch)
        size += batch.nbytes
        if size >= segment_bytes:
            yield segment
            segment, size = [], 0
    if segment:
        yield segment


def _render(schema: "Schema", batches: "list[RecordBatch]", footer: Footer) -> bytes:
    from arro3.core import RecordBatchReader
    from arro3.io import write_parquet

    content = BytesIO()
    write_parquet(RecordBatchReader.from_batches(schema, batches), content, compression=footer.codec)
    return content.getvalue()
