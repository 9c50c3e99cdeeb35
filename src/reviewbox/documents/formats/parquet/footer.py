"""Parses the part of a Parquet file's footer that the library does not show.

The footer is a struct in Thrift's compact protocol. Its definition is parquet.thrift in
apache/parquet-format, and the protocol is described in apache/thrift, doc/specs/thrift-compact-protocol.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import SEEK_END
from typing import IO, Any, TypeVar

from reviewbox.documents.pacing import Pace
from reviewbox.errors import ErrorCode, SourceError

_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"
_TRAILER_BYTES = 8  # the size of the footer in four bytes, and the magic
_MAX_DEPTH = 16

# Numbers of the fields in parquet.thrift.
_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4  # of FileMetaData
_COLUMNS, _GROUP_ROWS = 1, 3  # of RowGroup
_COLUMN_METADATA = 3  # of ColumnChunk
_CODEC, _UNCOMPRESSED_SIZE, _SIZE = 4, 6, 7  # of ColumnMetaData
_DATA_OFFSET, _DICTIONARY_OFFSET = 9, 11

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT, _UUID = 1, 2, 3, 7, 8, 9, 10, 12, 13
_INTEGERS = (4, 5, 6)

# The codecs in the order of parquet.thrift: uncompressed, Snappy, gzip, LZO, Brotli, LZ4, zstd, LZ4 raw.
# arro3 uses these names, some with a level. It cannot write LZO, and readers disagree on what LZ4 is.
_CODECS = ("uncompressed", "snappy", "gzip(6)", "snappy", "brotli(4)", "lz4_raw", "zstd(3)", "lz4_raw")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Footer:
    """What the footer says about the size of a file."""

    rows: int
    max_group_rows: int  # the number of rows in the largest row group; 0 without row groups
    uncompressed_bytes: int  # the size of all column chunks after decompression
    codec: str  # the compression of the first column chunk, as arro3 names it; "snappy" without column chunks


def read_footer(data: bytes, check_time: Callable[[], None] = lambda: None) -> Footer:
    """Return the footer of a Parquet file. `check_time` is called repeatedly.

    Raises:
        SourceError: the file is incomplete, damaged or encrypted.
    """
    return _read_metadata(data, check_time, _footer)


def read_row_count(data: bytes, check_time: Callable[[], None] = lambda: None) -> int:
    """Return the number of rows of a Parquet file. The rest of the footer, which may be long, is not parsed.

    Raises:
        SourceError: the file is incomplete, damaged or encrypted.
    """
    return _read_metadata(data, check_time, lambda metadata: int(metadata[_NUM_ROWS]), last=_NUM_ROWS)


def _read_metadata(
    data: bytes, check_time: Callable[[], None], convert: Callable[[dict[int, Any]], _T], last: int = -1
) -> _T:
    if data[-4:] == _ENCRYPTED_MAGIC:
        raise SourceError(
            ErrorCode.UNSUPPORTED_FORMAT, "the Parquet file is encrypted; upload it without encryption"
        )
    size = int.from_bytes(data[-_TRAILER_BYTES:-4], "little")
    end = len(data) - _TRAILER_BYTES
    if not data.startswith(_MAGIC) or data[-4:] != _MAGIC or not 0 < size <= end - len(_MAGIC):
        raise SourceError(
            ErrorCode.CORRUPT_FILE, "the Parquet file has no valid end or start; upload it again"
        )
    try:
        return convert(_Reader(data[end - size : end], Pace(check_time)).struct(last=last))
    except (IndexError, KeyError, TypeError, AttributeError, ValueError) as error:
        message = "the footer of the Parquet file is damaged; upload it again"
        raise SourceError(ErrorCode.CORRUPT_FILE, message) from error


def read_tail(file: IO[bytes], max_bytes: int) -> bytes:
    """Return the start and the end of a file: what `read_footer` needs.

    Raises:
        SourceError: the end alone is larger than `max_bytes`.
    """
    file.seek(0)
    start = file.read(len(_MAGIC))
    length = file.seek(0, SEEK_END)
    file.seek(max(0, length - _TRAILER_BYTES))
    trailer = file.read()
    size = int.from_bytes(trailer[:4], "little") + _TRAILER_BYTES
    if not trailer.endswith(_MAGIC) or size > length:
        return start + trailer  # `read_footer` says what is wrong
    if size > max_bytes:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the footer of the Parquet file has {size:,} bytes, but MAX_OBJECT_BYTES allows {max_bytes:,}; "
            "split the file, or raise MAX_OBJECT_BYTES",
        )
    file.seek(length - size)
    return start + file.read()


def _footer(metadata: dict[int, Any]) -> Footer:
    groups = metadata.get(_ROW_GROUPS, [])
    columns = [column[_COLUMN_METADATA] for group in groups for column in group[_COLUMNS]]
    for column in columns:
        # The library does not refuse a negative position, but ends the process.
        if min(column.get(_DICTIONARY_OFFSET, 0), column[_DATA_OFFSET], column[_SIZE]) < 0:
            raise ValueError("a column chunk has a negative position or size")
    return Footer(
        rows=int(metadata[_NUM_ROWS]),
        max_group_rows=max((int(group[_GROUP_ROWS]) for group in groups), default=0),
        uncompressed_bytes=sum(int(column[_UNCOMPRESSED_SIZE]) for column in columns),
        codec=_CODECS[columns[0][_CODEC]] if columns else "snappy",
    )


class _Reader:
    """Reads values in Thrift's compact protocol. Damaged data raises IndexError or ValueError."""

    def __init__(self, data: bytes, pace: Pace) -> None:
        self._data = data
        self._pace = pace
        self._position = 0

    def struct(self, depth: int = 0, last: int = -1) -> dict[int, Any]:
        """Return the fields of a struct by their number, up to the field `last` if there is one."""
        fields: dict[int, Any] = {}
        number = 0
        while number != last and (header := self._byte()):
            delta, kind = divmod(header, 16)
            number = number + delta if delta else self._integer()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:  # noqa: PLR0911 - one for each type
        self._pace.step()
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        if kind in _INTEGERS:
            return self._integer()
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _BINARY:
            return self._bytes(self._unsigned())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            size, item = divmod(self._byte(), 16)
            size = self._unsigned() if size == 15 else size  # noqa: PLR2004 - stands for a longer list
            return [self._value(item, depth + 1) for _ in range(size)]
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _UUID:
            return self._bytes(16)
        raise ValueError(f"unexpected type {kind}")  # maps do not occur in a footer

    def _byte(self) -> int:
        value = self._data[self._position]
        self._position += 1
        return value

    def _bytes(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise IndexError("the data ends early")
        value = self._data[self._position : end]
        self._position = end
        return value

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the highest bit says that another byte follows
                return value
            shift += 7
            if shift > 63:  # noqa: PLR2004 - bits
                raise ValueError("the number is too long")

    def _integer(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
