"""Objects in S3, their revisions and their segments. Pure values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The bucket and key of an object. The key is decoded, as `GetObject` expects it."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def source(self) -> "ObjectRef":
        """The object itself; the source of a segment is its table."""
        return self


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of an object's content.

    Two uploads of the same bytes have the same ETag. The version tells them apart.
    """

    etag: str  # as S3 returns it, with its quotes
    version: str  # the VersionId, or the upload time in ISO 8601 if the bucket is not versioned


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it."""

    key: str
    etag: str
    modified: float  # in seconds since 1970
    size: int  # in bytes
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """One segment of a large table."""

    source: ObjectRef  # the table
    plan: str  # the id of the plan, which depends on the table's revision
    index: int  # from 0

    def __str__(self) -> str:
        return f"segment {self.index} of {self.source}"


@dataclass(frozen=True, slots=True)
class Source:
    """An object as it was read."""

    ref: ObjectRef
    revision: Revision
    size: int  # in bytes
    content_type: str  # as the uploader set it; may be empty
    body: bytes | None  # None if there were too many bytes to read
