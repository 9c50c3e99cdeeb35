"""Folders in the place of buckets, so that files go the way that objects go."""

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

from reviewbox.errors import ConflictError
from reviewbox.objects import ObjectRef, Revision, Source


@dataclass(frozen=True, slots=True)
class FolderStorage:
    """Objects in folders: what `Storage` is for S3. Errors of the file system pass through.

    A file's ETag is the SHA-256 of its content, so that a result stays current where a file is
    copied or touched. A conditional write looks first and then writes, which another process may
    come between; two of them that watch one folder write the same results.

    Attributes:
        folders: the folder that each bucket is.
    """

    folders: Mapping[str, Path]

    def read(self, ref: ObjectRef, max_bytes: int) -> Source | None:
        """Return a file as it is now, its body only if it is no larger than `max_bytes`.

        Returns None if there is no such file.
        """
        # A result may name a bucket that was there before the folder got another name.
        if ref.bucket not in self.folders:
            return None
        try:
            return read_file(self.folders[ref.bucket] / ref.key, ref, max_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def stream(
        self, ref: ObjectRef, revision: Revision, start: int = 0, end: int | None = None
    ) -> BufferedReader:
        """Open a file in the state `revision`, or its bytes from `start` to before `end`.

        Raises:
            ConflictError: it is in another state, or gone.
        """
        if self.revision(ref) != revision:
            raise ConflictError(ref)
        file = (self.folders[ref.bucket] / ref.key).open("rb")
        if not start and end is None:
            return file
        with file:
            file.seek(start)
            content: Any = BytesIO(file.read(-1 if end is None else end - start))
            return BufferedReader(content)

    def etags(self, bucket: str, prefix: str) -> dict[str, str]:
        """Return the files whose paths in a folder start so, each with its ETag."""
        folder = self.folders[bucket]
        paths = (path for path in (folder / prefix).parent.rglob("*") if path.is_file())
        keys = {path.relative_to(folder).as_posix(): path for path in paths}
        return {key: _etag(path.read_bytes()) for key, path in keys.items() if key.startswith(prefix)}

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return a file's present state, or None if there is no such file."""
        source = self.read(ref, 0)
        return source.revision if source else None

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:  # noqa: ARG002 - files have no content type
        """Write a file whole or not at all if its ETag is `replaces`, or if there is none where that is None.

        Returns the new ETag.

        Raises:
            ConflictError: the file is in another state; nothing was written.
        """
        present = self.revision(ref)
        if (present.etag if present else None) != replaces:
            raise ConflictError(ref)
        path = self.folders[ref.bucket] / ref.key
        path.parent.mkdir(parents=True, exist_ok=True)
        # Hidden, and so never taken for a result. The name is not the file's, which may be as long
        # as names can be; one process writes one file at a time.
        temporary = path.with_name(f".reviewbox-{os.getpid()}")
        try:
            temporary.write_bytes(body)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return _etag(body)

    def remove(self, ref: ObjectRef, etag: str) -> None:
        """Remove a file if its ETag is `etag`; else it stays."""
        present = self.revision(ref)
        if present and present.etag == etag:
            (self.folders[ref.bucket] / ref.key).unlink(missing_ok=True)


def read_file(path: Path, ref: ObjectRef, max_bytes: int) -> Source:
    """Return a file as the source `ref`, its body only if it is no larger than `max_bytes`.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        body = file.read(max_bytes + 1 if max_bytes < sys.maxsize else -1)
        if len(body) <= max_bytes:
            return Source(ref, Revision(_etag(body), ""), len(body), "", body)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Source(ref, Revision(_quoted(digest), ""), file.tell(), "", None)


def _etag(body: bytes) -> str:
    return _quoted(hashlib.sha256(body).hexdigest())


def _quoted(digest: str) -> str:
    return f'"{digest}"'  # as S3 gives it
