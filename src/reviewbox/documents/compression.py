"""Bytes as they are stored -> the bytes that were compressed."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO, RawIOBase
from typing import Any, BinaryIO, Protocol

from reviewbox.errors import ErrorCode, Problem, SourceError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CHUNK = 8 * 1024  # compressed; small, as the ratio of a bomb is known no finer
_ENOUGH = 8  # to tell a member by its magic
_PIECE = 1024 * 1024  # decompressed
# Text shrinks to a tenth, and rarely to less than a hundredth.
_RATIO_OF_A_BOMB = 100


class _Stream(Protocol):
    """One member (gzip) or frame (zstd) of a compressed file."""

    def decompress(self, data: bytes, size: int) -> bytes:
        """Return up to `size` more bytes."""

    @property
    def eof(self) -> bool:
        """Whether it has ended."""

    @property
    def unused_data(self) -> bytes:
        """What stands behind its end."""


@dataclass(frozen=True, slots=True)
class Compression:
    """A way to compress.

    Attributes:
        name: for people.
        magic: what files begin with.
        extensions: of file names, the usual one first.
        content_type: of what is written.
        compress: bytes -> compressed, the same each time.
        open: begins to decompress a member.
    """

    name: str
    magic: bytes
    extensions: tuple[str, ...]
    content_type: str
    compress: Callable[[bytes], bytes]
    open: Callable[[], _Stream]


@dataclass(frozen=True, slots=True)
class Opened:
    """What was compressed.

    Attributes:
        data: as much as can be had.
        compression: how it was compressed; None if it was not.
        problem: why `data` is not all, or not all there was.
    """

    data: bytes
    compression: Compression | None = None
    problem: Problem | None = None


class _Gzip:
    """zlib's interface made that of zstd."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def decompress(self, data: bytes, size: int) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail + data, size)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data


COMPRESSIONS = (
    Compression(
        "gzip", b"\x1f\x8b", (".gz", ".gzip"), "application/gzip", partial(gzip.compress, mtime=0), _Gzip
    ),
    Compression(
        "zstd",
        b"\x28\xb5\x2f\xfd",
        (".zst", ".zstd"),
        "application/zstd",
        zstd.compress,
        zstd.ZstdDecompressor,
    ),
)


def stem(name: str) -> str:
    """Return a file's name without the extension of a compression, if it has one."""
    extensions = (extension for compression in COMPRESSIONS for extension in compression.extensions)
    ending = next((extension for extension in extensions if name.lower().endswith(extension)), "")
    return name[: len(name) - len(ending)]


class Decompressed(RawIOBase):
    """The content of a compressed stream.

    Reading raises SourceError where it comes to more than `max_bytes`, if that is a limit, or else to more
    than any text does for its compressed size; or where it is damaged so that nothing of it is sure.

    Attributes:
        problem: why the content is not all, or not all there was; None until all is read.
    """

    def __init__(
        self, stream: BinaryIO, compression: Compression, max_bytes: int, *, is_limit: bool = True
    ) -> None:
        self.problem: Problem | None = None
        self._stream = stream
        self._compression = compression
        self._max_bytes = max_bytes
        self._is_limit = is_limit
        self._pieces = self._decompress()
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        """Say so."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there is content."""
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        return size

    def _decompress(self) -> Iterator[bytes]:
        compression = self._compression
        size = taken = 0
        chunk = self._stream.read(_ENOUGH)
        ended = True
        while ended and chunk.startswith(compression.magic):
            member = compression.open()
            while not member.eof and chunk:
                taken += len(chunk)
                for piece in _decompressed(member, chunk, size, compression):
                    size += len(piece)
                    ratio = size / taken
                    if size > self._max_bytes and (self._is_limit or ratio > _RATIO_OF_A_BOMB):
                        raise _too_large(compression, ratio, self._max_bytes)
                    yield piece
                chunk = b"" if member.eof else self._stream.read(_CHUNK)
            ended = member.eof
            taken -= len(member.unused_data)
            chunk = member.unused_data + self._stream.read(_ENOUGH)
        if not ended:
            message = f"the {compression.name} data end in the middle: upload the file again"
            self.problem = Problem(ErrorCode.TRUNCATED_FILE, message)
            return
        # Some programs fill the last block up with zeros.
        garbage = 0
        while chunk:
            garbage += len(chunk if garbage else chunk.lstrip(b"\0"))
            chunk = self._stream.read(_CHUNK)
        if garbage:
            message = f"behind the {compression.name} data stand {garbage:,} bytes that are none"
            self.problem = Problem(ErrorCode.TRAILING_GARBAGE, message)


def compression_of(beginning: bytes) -> Compression | None:
    """Return how data are compressed that begin so; None if they are not."""
    return next((c for c in COMPRESSIONS if beginning.startswith(c.magic)), None)


def exceeds(data: bytes, size: int) -> bool:
    """Return whether `data`, decompressed if they are compressed, come to more than `size` bytes."""
    compression = compression_of(data)
    if compression is None:
        return len(data) > size
    try:
        decompress(data, size)
    except SourceError as error:
        return error.problem.code is not ErrorCode.CORRUPT_FILE
    return False


def decompress(data: bytes, max_bytes: int) -> Opened:
    """Return what `data` holds, decompressed if it begins as a compressed file does.

    Raises:
        SourceError: it comes to more than `max_bytes`, or is damaged so that nothing of it is sure.
    """
    compression = compression_of(data)
    if compression is None:
        return Opened(data)
    stream = Decompressed(BytesIO(data), compression, max_bytes)
    return Opened(stream.readall(), compression, stream.problem)


def _decompressed(stream: _Stream, chunk: bytes, size: int, compression: Compression) -> Iterator[bytes]:
    """Yield all that a chunk comes to, no piece larger than what is held in memory anyway."""
    given = chunk
    try:
        while not stream.eof and (piece := stream.decompress(given, _PIECE)):
            given = b""
            size += len(piece)
            yield piece
    except (zlib.error, zstd.ZstdError) as error:
        raise SourceError(
            ErrorCode.CORRUPT_FILE,
            f"the {compression.name} data are damaged after {size:,} decompressed bytes: upload it again",
        ) from error


def _too_large(compression: Compression, ratio: float, max_bytes: int) -> SourceError:
    if ratio > _RATIO_OF_A_BOMB:
        return SourceError(
            ErrorCode.DECOMPRESSION_BOMB,
            f"the {compression.name} data come to {ratio:,.0f} times their size, as no text does, and to "
            f"more than the {max_bytes:,} bytes that the setting MAX_OBJECT_BYTES allows",
        )
    return SourceError(
        ErrorCode.TOO_LARGE,
        f"it decompresses to more than the {max_bytes:,} bytes that the setting MAX_OBJECT_BYTES allows: "
        "split it, or raise the setting",
    )
