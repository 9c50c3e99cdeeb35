"""Bytes as they are stored -> the bytes that were compressed."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from reviewbox.errors import ErrorCode, Problem, SourceError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CHUNK = 8 * 1024  # compressed; small, as the ratio of a bomb is known no finer
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


def decompress(data: bytes, max_bytes: int) -> Opened:
    """Return what `data` holds, decompressed if it begins as a compressed file does.

    Raises:
        SourceError: it comes to more than `max_bytes`, or is damaged so that nothing of it is sure.
    """
    compression = next((c for c in COMPRESSIONS if data.startswith(c.magic)), None)
    if compression is None:
        return Opened(data)
    pieces: list[bytes] = []
    size, position, ended = 0, 0, True
    while ended and data.startswith(compression.magic, position):
        stream = compression.open()
        while not stream.eof and position < len(data):
            chunk = data[position : position + _CHUNK]
            position += len(chunk)
            for piece in _decompressed(stream, chunk, size, compression):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    raise _too_large(compression, size / position, max_bytes)
        position -= len(stream.unused_data)
        ended = stream.eof
    if not ended:
        message = f"the {compression.name} data end in the middle: upload the file again"
        return Opened(b"".join(pieces), compression, Problem(ErrorCode.TRUNCATED_FILE, message))
    # Some programs fill the last block up with zeros.
    garbage = len(data[position:].lstrip(b"\0"))
    if not garbage:
        return Opened(b"".join(pieces), compression)
    message = f"behind the {compression.name} data stand {garbage:,} bytes that are none"
    return Opened(b"".join(pieces), compression, Problem(ErrorCode.TRAILING_GARBAGE, message))


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
