"""Which object, and which state of it."""

from dataclasses import dataclass


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
