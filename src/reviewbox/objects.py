"""Objects in S3, their revisions and their segments. Pure values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The bucket and key of an object. The key is decoded, as `GetObject` expects it."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of an object's content.

    Two uploads of the same bytes have the same ETag. The version tells them apart.

    Attributes:
        etag: as S3 returns it, with its quotes.
        version: the VersionId, or the upload time in ISO 8601 if the bucket is not versioned.
    """

    etag: str
    version: str


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """One segment of a large table.

    Attributes:
        source: the table.
        plan: the id of the plan, which depends on the table's revision.
        index: the segment's number, from 0.
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
        ref: its bucket and key.
        revision: the revision that was read.
        size: in bytes.
        content_type: as the uploader set it; may be empty.
        body: all its bytes; None if there were too many to read.
    """

    ref: ObjectRef
    revision: Revision
    size: int
    content_type: str
    body: bytes | None
