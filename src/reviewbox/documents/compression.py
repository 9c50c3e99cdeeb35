"""Decompresses gzip and zstd."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from io import BytesIO, RawIOBase
from typing import Any, BinaryIO, Protocol

from reviewbox.errors import ErrorCode, Problem, SourceError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# The compression ratio is checked after each chunk, so chunks are small.
_CHUNK_BYTES = 8 * 1024  # compressed
_PIECE_BYTES = 1024 * 1024  # decompressed
_MAGIC_BYTES = 8  # enough to recognize the start of a member
# Text usually compresses to a tenth of its size, and rarely to less than a hundredth.
_BOMB_RATIO = 100


class _Decompressor(Protocol):
    """One member (gzip) or frame (zstd) of a compressed file."""

    def decompress(self, data: bytes, size: int) -> bytes:
        """Return up to `size` more bytes."""

    @property
    def eof(self) -> bool:
        """Whether the end was reached."""

    @property
    def unused_data(self) -> bytes:
        """The bytes after the end."""


@dataclass(frozen=True, slots=True)
class Compression:
    """A compression method."""

    name: str  # its name in messages and receipts
    magic: bytes  # the first bytes of a member
    extensions: tuple[str, ...]  # file name extensions, the most common one first
    content_type: str  # the MIME type of a compressed file
    compress: Callable[[bytes], bytes]  # compresses bytes; equal input gives equal output
    decompressor: Callable[[], _Decompressor]  # returns a decompressor for one member
    skippable: tuple[bytes, ...] = ()  # the first bytes of members that hold no data

    def starts(self, data: bytes) -> bool:
        """Return whether a member starts at the start of `data`."""
        return data.startswith((self.magic, *self.skippable))


@dataclass(frozen=True, slots=True)
class Decompressed:
    """Decompressed data."""

    data: bytes  # the data; if it is truncated, the part that could be decompressed
    compression: Compression | None = None  # how it was compressed; None if it was not
    problem: Problem | None = None  # why data is missing or left over at the end


class _Gzip:
    """Gives zlib the interface of zstd."""

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
        # RFC 8878, 3.1.2: pzstd, for example, stores the size of each frame in such a frame before it.
        tuple(bytes([number, 0x2A, 0x4D, 0x18]) for number in range(0x50, 0x60)),
    ),
)


def stem(name: str) -> str:
    """Return a file name without the extension of a compression."""
    extensions = (extension for compression in COMPRESSIONS for extension in compression.extensions)
    extension = next((extension for extension in extensions if name.lower().endswith(extension)), "")
    return name[: len(name) - len(extension)]


@dataclass(eq=False)
class DecompressedStream(RawIOBase):
    """Reads the content of a compressed stream.

    Reading raises SourceError if the data is damaged, or if the content has more than `max_bytes` and either
    `is_limit` is true or the compression ratio is too high for text.

    `check_time` is called before each piece of at most `piece_bytes`; if it raises, reading stops.

    Attributes:
        problem: why data is missing or left over at the end; None until everything is read.
    """

    stored: BinaryIO
    compression: Compression
    max_bytes: int
    _: KW_ONLY
    is_limit: bool = True
    check_time: Callable[[], None] = lambda: None
    chunk_bytes: int = _CHUNK_BYTES
    piece_bytes: int = _PIECE_BYTES
    problem: Problem | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._size = 0  # bytes decompressed so far
        self._pieces = self._decompress()
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Copy content into a buffer and return the number of bytes; 0 at the end."""
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        return size

    def _decompress(self) -> Iterator[bytes]:
        """Decompress member by member; what is not a member after the first one is trailing data."""
        name, stored_size = self.compression.name, 0
        chunk = self.stored.read(_MAGIC_BYTES)
        is_complete = True
        while is_complete and self.compression.starts(chunk):
            member = self.compression.decompressor()
            while not member.eof and chunk:
                stored_size += len(chunk)
                for piece in self._pieces_of(member, chunk):
                    self._size += len(piece)
                    self._check_size(self._size / stored_size)
                    yield piece
                chunk = b"" if member.eof else self.stored.read(self.chunk_bytes)
            is_complete = member.eof
            stored_size -= len(member.unused_data)
            chunk = member.unused_data + self.stored.read(_MAGIC_BYTES)
        if not is_complete:
            message = f"the {name} data ends early; upload the file again"
            self.problem = Problem(ErrorCode.TRUNCATED_FILE, message)
            return
        # Some programs pad the last block with zeros.
        trailing_bytes = 0
        while chunk:
            self.check_time()
            trailing_bytes += len(chunk if trailing_bytes else chunk.lstrip(b"\0"))
            chunk = self.stored.read(self.chunk_bytes)
        if trailing_bytes:
            message = f"{trailing_bytes:,} bytes follow the {name} data; check whether the file is complete"
            self.problem = Problem(ErrorCode.TRAILING_GARBAGE, message)

    def _pieces_of(self, member: _Decompressor, chunk: bytes) -> Iterator[bytes]:
        try:
            while not member.eof:
                self.check_time()
                piece = member.decompress(chunk, self.piece_bytes)
                if not piece:
                    return
                chunk = b""
                yield piece
        except (zlib.error, zstd.ZstdError) as error:
            raise SourceError(
                ErrorCode.CORRUPT_FILE,
                f"the {self.compression.name} data is damaged after {self._size:,} decompressed bytes; "
                "upload the file again",
            ) from error

    def _check_size(self, ratio: float) -> None:
        if self._size <= self.max_bytes:
            return
        limit = f"the {self.max_bytes:,} bytes that MAX_OBJECT_BYTES allows"
        if ratio > _BOMB_RATIO:
            raise SourceError(
                ErrorCode.DECOMPRESSION_BOMB,
                f"the {self.compression.name} data expands to {ratio:,.0f} times its size, far more than "
                f"text does, and to more than {limit}",
            )
        if self.is_limit:
            raise SourceError(
                ErrorCode.TOO_LARGE,
                f"the file decompresses to more than {limit}; split it or raise MAX_OBJECT_BYTES",
            )


def detect_compression(start: bytes) -> Compression | None:
    """Return the compression of data that starts with `start`; None if it is not compressed."""
    return next((c for c in COMPRESSIONS if c.starts(start)), None)


def exceeds(data: bytes, size: int) -> bool:
    """Return whether `data` has more than `size` bytes once it is decompressed."""
    if detect_compression(data) is None:
        return len(data) > size
    try:
        decompress(data, size)
    except SourceError as error:
        return error.problem.code is not ErrorCode.CORRUPT_FILE
    return False


def decompress(data: bytes, max_bytes: int, check_time: Callable[[], None] = lambda: None) -> Decompressed:
    """Return `data`, decompressed if it is compressed. `check_time` is called repeatedly.

    Raises:
        SourceError: there is more than `max_bytes`, or the data is damaged.
    """
    compression = detect_compression(data)
    if compression is None:
        return Decompressed(data)
    stream = DecompressedStream(BytesIO(data), compression, max_bytes, check_time=check_time)
    return Decompressed(stream.readall(), compression, stream.problem)
