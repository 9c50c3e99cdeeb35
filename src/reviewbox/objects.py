"""Which object, and which state of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object in S3. The key is decoded: as `GetObject` takes it."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of an object's content.

    Two uploads of the same bytes share an ETag, so it takes the version, or in a bucket without
    versions the time of the upload, to tell one from the other.

    Attributes:
        etag: as S3 gives it, quotes included.
        version: the VersionId, or the upload's time in ISO 8601 where there are no versions.
    """

    etag: str
    version: str


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A segment of a table that is classified in segments.

    Attributes:
        source: the table.
        plan: names how it was cut, and from which state of the table.
        index: which segment, from 0.
    """

    source: ObjectRef
    plan: str
    index: int

    def __str__(self) -> str:
        return f"segment {self.index} of {self.source}"


@dataclass(frozen=True, slots=True)
class Source:
    """An object as it was read.

    Attributes:
        ref: which object.
        revision: which state of it.
        size: in bytes.
        content_type: what the uploader said it is; "" if nothing.
        body: all its bytes; None if they were too many to be read.
    """

    ref: ObjectRef
    revision: Revision
    size: int
    content_type: str
    body: bytes | None


class ObjectStore(Protocol):
    """Where objects are read and written as `Storage` does it in S3, which says what each is to do."""

    def read(self, ref: ObjectRef, max_bytes: int) -> Source | None:
        """Return an object as it is now."""

    def stream(
        self, ref: ObjectRef, revision: Revision, start: int = 0, end: int | None = None
    ) -> BufferedReader:
        """Open an object, or some bytes of it, in a certain state."""

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return an object's present state."""

    def etags(self, bucket: str, prefix: str) -> Mapping[str, str]:
        """Return the keys that start so, each with its ETag."""

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
        """Write an object if it is in the state that is expected, and return its new ETag."""

    def remove(self, ref: ObjectRef, etag: str) -> None:
        """Remove an object if it is in the state that is expected."""
