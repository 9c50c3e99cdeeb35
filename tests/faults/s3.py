"""A fake S3 in memory: the operations, parameters and errors that Reviewbox uses.

An operation is one atomic step, as in S3. An unknown parameter is a TypeError. `test_fakes.py` compares this
fake with moto.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.response import StreamingBody
from tests.faults.clients import Service, client_error

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object."""

    body: bytes
    etag: str
    content_type: str
    modified: float
    version: str | None  # None if the bucket has no versions
    is_archived: bool = False


@dataclass(slots=True)
class Bucket:
    """The current objects of a bucket. Earlier versions are not kept, because nothing reads them.

    `uses_kms` is whether the same bytes get a new ETag each time, as in objects encrypted with KMS.
    """

    is_versioned: bool = False
    uses_kms: bool = False
    objects: dict[str, StoredObject] = field(default_factory=dict)


@dataclass(slots=True)
class S3(Service):
    """The state of S3, which all clients share.

    `on_change` is called with the bucket and the key of each object that is written or deleted.
    """

    page_size: int = _PAGE_SIZE
    on_change: Callable[[str, str], object] = lambda _bucket, _key: None
    buckets: dict[str, Bucket] = field(default_factory=dict)
    _versions: int = 0

    def expire(self, bucket: str, prefix: str, seconds: float) -> None:
        """Delete what a lifecycle rule deletes: objects under a prefix that are older than this."""
        objects = self.buckets[bucket].objects
        for key in [key for key in objects if key.startswith(prefix)]:
            if objects[key].modified < self.clock.now - seconds:
                del objects[key]

    def get_object(self, Bucket: str, Key: str, IfMatch: str | None = None, Range: str = "") -> Any:
        """Return an object, or a range of its bytes."""
        found = self._find("GetObject", "NoSuchKey", Bucket, Key)
        if found.is_archived:
            raise client_error("GetObject", "InvalidObjectState", 403)
        if IfMatch not in (None, found.etag):
            raise client_error("GetObject", "PreconditionFailed", 412)
        body, response = found.body, _describe(found)
        if Range:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            if int(first) >= len(body):
                raise client_error("GetObject", "InvalidRange", 416)
            end = min(int(last) + 1, len(body)) if last else len(body)
            response["ContentRange"] = f"bytes {first}-{end - 1}/{len(body)}"
            body = body[int(first) : end]
        return {**response, "ContentLength": len(body), "Body": StreamingBody(io.BytesIO(body), len(body))}

    def head_object(self, Bucket: str, Key: str, IfMatch: str | None = None) -> Any:
        """Return an object's description."""
        found = self._find("HeadObject", "404", Bucket, Key)
        if IfMatch not in (None, found.etag):
            raise client_error("HeadObject", "412", 412)
        return _describe(found)

    def put_object(
        self,
        Bucket: str,
        Key: str,
        Body: bytes = b"",
        ContentType: str = "binary/octet-stream",
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
        StorageClass: str = "STANDARD",
    ) -> Any:
        """Write an object."""
        bucket = self._bucket("PutObject", Bucket)
        self._check_replaced("PutObject", bucket.objects.get(Key), IfMatch)
        if IfNoneMatch and Key in bucket.objects:
            raise client_error("PutObject", "PreconditionFailed", 412)
        self._versions += 1
        stored = Body + b"%d" % self._versions if bucket.uses_kms else Body
        etag = f'"{hashlib.md5(stored, usedforsecurity=False).hexdigest()}"'
        version = f"v{self._versions}" if bucket.is_versioned else None
        is_archived = StorageClass == "GLACIER"
        bucket.objects[Key] = StoredObject(Body, etag, ContentType, self.clock.now, version, is_archived)
        self.on_change(Bucket, Key)
        return {"ETag": etag} | ({"VersionId": version} if version else {})

    def delete_object(self, Bucket: str, Key: str, IfMatch: str | None = None) -> Any:
        """Delete an object."""
        bucket = self._bucket("DeleteObject", Bucket)
        self._check_replaced("DeleteObject", bucket.objects.get(Key), IfMatch)
        if bucket.objects.pop(Key, None):
            self.on_change(Bucket, Key)
        return {}

    def list_objects_v2(
        self,
        Bucket: str,
        Prefix: str = "",
        StartAfter: str = "",
        MaxKeys: int = _PAGE_SIZE,
        ContinuationToken: str = "",
    ) -> Any:
        """Return one page of a listing. A continuation token is the last key of the previous page."""
        objects = self._bucket("ListObjectsV2", Bucket).objects
        after = ContinuationToken or StartAfter
        keys = sorted((key for key in objects if key.startswith(Prefix) and key > after), key=str.encode)
        page = keys[: min(MaxKeys, self.page_size)]
        contents = [
            {
                "Key": key,
                "ETag": objects[key].etag,
                "Size": len(objects[key].body),
                "LastModified": time_of(objects[key].modified),
            }
            for key in page
        ]
        response: dict[str, Any] = {"KeyCount": len(page), "IsTruncated": len(page) < len(keys)}
        if page:
            response["Contents"] = contents
        if len(page) < len(keys):
            response["NextContinuationToken"] = page[-1]
        return response

    def _bucket(self, operation: str, name: str) -> Bucket:
        if name not in self.buckets:
            raise client_error(operation, "404" if operation == "HeadObject" else "NoSuchBucket", 404)
        return self.buckets[name]

    def _find(self, operation: str, code: str, bucket: str, key: str) -> StoredObject:
        try:
            return self._bucket(operation, bucket).objects[key]
        except KeyError:
            raise client_error(operation, code, 404) from None

    def _check_replaced(self, operation: str, found: StoredObject | None, etag: str | None) -> None:
        if etag is None:
            return
        if found is None:
            raise client_error(operation, "NoSuchKey", 404)
        if found.etag != etag:
            raise client_error(operation, "PreconditionFailed", 412)


def _describe(found: StoredObject) -> dict[str, Any]:
    return {
        "ETag": found.etag,
        "ContentLength": len(found.body),
        "ContentType": found.content_type,
        "LastModified": time_of(found.modified),
    } | ({"VersionId": found.version} if found.version else {})


def time_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
