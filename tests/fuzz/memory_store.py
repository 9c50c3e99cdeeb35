"""Objects in memory."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from threading import Lock
from typing import IO, Any

from reviewbox.errors import ConflictError
from reviewbox.objects import Listed, ObjectRef, Revision, Source


class MemoryStore:
    """Objects in memory: an `ObjectStore` with the conditions of S3, which any key may name.

    Attributes:
        objects: the content of each object.
    """

    def __init__(self, objects: Mapping[ObjectRef, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self._lock = Lock()

    def read(self, ref: ObjectRef, max_bytes: int) -> Source | None:
        """Return an object as it is now, or None if it does not exist."""
        body = self.objects.get(ref)
        if body is None:
            return None
        return Source(ref, _revision(body), len(body), "", body if len(body) <= max_bytes else None)

    def stream(
        self, ref: ObjectRef, revision: Revision, start: int = 0, end: int | None = None
    ) -> BufferedReader:
        """Open one revision of an object, or a range of its bytes."""
        body = self.objects.get(ref)
        if body is None or _revision(body) != revision:
            raise ConflictError(ref)
        content: Any = BytesIO(body[start:end])
        return BufferedReader(content, 1024 * 1024)

    @contextmanager
    def open(self, source: Source) -> Iterator[IO[bytes]]:
        """Open an object as a file that can be read from any position."""
        with self.stream(source.ref, source.revision) as file:
            yield file

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return an object's current revision, or None if the object does not exist."""
        body = self.objects.get(ref)
        return None if body is None else _revision(body)

    def pages(self, bucket: str, prefix: str, after: str = "") -> Iterator[list[Listed]]:
        """Yield the objects whose keys start with `prefix` and come after `after`, all in one page."""
        with self._lock:
            found = {
                ref.key: body
                for ref, body in self.objects.items()
                if ref.bucket == bucket and ref.key.startswith(prefix) and ref.key > after
            }
        yield [Listed(key, _revision(body).etag, 0.0, len(body)) for key, body in sorted(found.items())]

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:  # noqa: ARG002
        """Write an object if its ETag is `replaces`, or if it does not exist and `replaces` is None."""
        assert len(ref.key.encode()) <= 1024, "S3 refuses such a key"
        with self._lock:
            current = self.revision(ref)
            if (current.etag if current else None) != replaces:
                raise ConflictError(ref)
            self.objects[ref] = bytes(body)
            return _revision(body).etag

    def remove(self, ref: ObjectRef, etag: str) -> None:
        """Delete an object if its ETag is `etag`; otherwise leave it."""
        with self._lock:
            current = self.revision(ref)
            if current and current.etag == etag:
                del self.objects[ref]


def _revision(body: bytes) -> Revision:
    return Revision(f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"', "1")
