"""An object in a store as a file with random access."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from typing import IO, TYPE_CHECKING, cast

from reviewbox.objects import Source

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from reviewbox.storage import ObjectStore

# The cache: 32 MiB in all, enough for a hundred columns.
_BLOCK_BYTES, _KEPT_BLOCKS = 256 * 1024, 128


@contextmanager
def open_object(store: "ObjectStore", source: Source) -> Iterator[IO[bytes]]:
    """Open one revision of an object as a file with random access.

    Raises:
        ConflictError: the object now has a different revision, or is gone.
    """
    with _ObjectFile(store, source) as file:
        yield cast("IO[bytes]", file)


class _ObjectFile(RawIOBase):
    """An object as a file. Blocks are kept for a while: a reader of Parquet goes from column to column."""

    def __init__(self, store: "ObjectStore", source: Source) -> None:
        self._store = store
        self._source = source
        self._size = source.size
        self._position = 0
        self._block = lru_cache(_KEPT_BLOCKS)(self._read_block)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self._position = offset + {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, or all until the end."""
        end = self._size if size < 0 else min(self._size, self._position + size)
        content = bytearray()
        while self._position + len(content) < end:
            index, start = divmod(self._position + len(content), _BLOCK_BYTES)
            content += self._block(index)[start : start + end - self._position - len(content)]
        self._position += len(content)
        return bytes(content)

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer with the next bytes, and return how many there are, for a `BufferedReader`."""
        view = memoryview(buffer)
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def _read_block(self, index: int) -> bytes:
        start = index * _BLOCK_BYTES
        end = min(self._size, start + _BLOCK_BYTES)
        with self._store.stream(self._source.ref, self._source.revision, start, end) as stream:
            return stream.read()
