"""Object storage on local folders: each folder is a bucket, each file an object."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, Self

from reviewbox.errors import ConflictError
from reviewbox.objects import Listed, ObjectRef, Revision, Source

# Hashing a smaller file again takes no noticeable time.
_LARGE = 2**24  # bytes
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class FileState:
    """The size and times of a file, which change when it is written."""

    size: int  # in bytes
    modified: int  # when its content changed, in nanoseconds
    changed: int  # when anything about it changed, in nanoseconds

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the state of a file; raise OSError if there is none."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class FolderStorage:
    """Objects in folders: an `ObjectStore` that lets errors of the file system through.

    A file's ETag is the SHA-256 of its content, so a result stays current if a file is copied or touched.
    A large file is hashed again only if its size or its times have changed.
    A conditional write is not atomic: another process can write between the check and the write. That is
    harmless, because two processes that watch the same folder write the same results.
    """

    folders: Mapping[str, Path]  # by bucket
    on_hash: Callable[[int, int], object] = lambda *_: None  # see `read_file`
    _hashed: dict[Path, tuple[FileState, Revision]] = field(default_factory=dict)

    def read(self, ref: ObjectRef, max_bytes: int) -> Source | None:
        """Return a file, with its body unless it is larger than `max_bytes`; None if there is no file."""
        # A result may name a bucket that no longer exists, because the folder has been renamed.
        if ref.bucket not in self.folders:
            return None
        path = self.folders[ref.bucket] / ref.key
        try:
            state = FileState.of(path)
            known, revision = self._hashed.get(path, (None, None))
            if revision and known == state and state.size > max_bytes:
                return Source(ref, revision, state.size, "", None)
            source = read_file(path, ref, max_bytes, self.on_hash)
            if source.size >= _LARGE and state == FileState.of(path):
                self._hashed[path] = state, source.revision
        except (FileNotFoundError, NotADirectoryError):
            return None
        return source

    def stream(
        self, ref: ObjectRef, revision: Revision, start: int = 0, end: int | None = None
    ) -> BufferedReader:
        """Open a file's bytes from `start` to `end`; raise ConflictError if `revision` is not current."""
        if self.revision(ref) != revision:
            raise ConflictError(ref)
        file = (self.folders[ref.bucket] / ref.key).open("rb")
        if not start and end is None:
            return file
        with file:
            file.seek(start)
            content: Any = BytesIO(file.read(-1 if end is None else end - start))
            return BufferedReader(content)

    @contextmanager
    def open(self, source: Source) -> Iterator[IO[bytes]]:
        """Open a file; raise ConflictError if it has changed since it was read as `source`."""
        if self.revision(source.ref) != source.revision:
            raise ConflictError(source.ref)
        with (self.folders[source.ref.bucket] / source.ref.key).open("rb") as file:
            yield file

    def pages(self, bucket: str, prefix: str, after: str = "") -> Iterator[list[Listed]]:
        """Yield the files whose keys start with `prefix` and come after `after`, all in one page."""
        folder = self.folders[bucket]
        # A prefix that ends with a slash is a folder.
        parent = folder / prefix if prefix.endswith("/") else (folder / prefix).parent
        paths = (path for path in parent.rglob("*") if path.is_file())
        keys = {path.relative_to(folder).as_posix(): path for path in paths}
        yield [
            Listed(key, _etag(keys[key].read_bytes()), keys[key].stat().st_mtime, keys[key].stat().st_size)
            for key in sorted(keys)
            if key.startswith(prefix) and key > after
        ]

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return a file's current revision, or None if the file does not exist."""
        source = self.read(ref, 0)
        return source.revision if source else None

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:  # noqa: ARG002 - files have no content type
        """Write a file atomically and return its ETag.

        Raises:
            ConflictError: the file's ETag is not `replaces` (None for no file); nothing was written.
        """
        current = self.revision(ref)
        if (current.etag if current else None) != replaces:
            raise ConflictError(ref)
        path = self.folders[ref.bucket] / ref.key
        path.parent.mkdir(parents=True, exist_ok=True)
        # The file is hidden, so that nobody mistakes it for a result. Its name does not contain the target's,
        # which may already have the maximum length. A process writes one file at a time.
        temporary = path.with_name(f".reviewbox-{os.getpid()}")
        try:
            temporary.write_bytes(body)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return _etag(body)

    def remove(self, ref: ObjectRef, etag: str) -> None:
        """Remove a file, and any folders that this leaves empty, if its ETag is `etag`; else do nothing."""
        current = self.revision(ref)
        if not current or current.etag != etag:
            return
        folder = self.folders[ref.bucket]
        path = folder / ref.key
        path.unlink(missing_ok=True)
        with suppress(OSError):  # a folder that is not empty
            while (path := path.parent) != folder:
                path.rmdir()


def read_file(
    path: Path, ref: ObjectRef, max_bytes: int, on_hash: Callable[[int, int], object] = lambda *_: None
) -> Source:
    """Return a file as the source `ref`, with its body unless it is larger than `max_bytes`.

    `on_hash` is called repeatedly while a larger file is hashed, with the bytes that are done and its size.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        body = file.read(max_bytes + 1 if max_bytes < sys.maxsize else -1)
        if len(body) <= max_bytes:
            return Source(ref, Revision(_etag(body), ""), len(body), "", body)
        file.seek(0)
        size, digest = os.fstat(file.fileno()).st_size, hashlib.sha256()
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            on_hash(file.tell(), size)
        return Source(ref, Revision(f'"{digest.hexdigest()}"', ""), file.tell(), "", None)


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()}"'  # S3 quotes ETags, too
