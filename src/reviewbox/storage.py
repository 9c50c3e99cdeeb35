"""Reads objects and writes them conditionally. The only core module that accesses S3."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import BufferedReader
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

from reviewbox.errors import ArchivedError, ConflictError, ReviewboxError
from reviewbox.object_file import open_object
from reviewbox.objects import Listed, ObjectRef, Revision, Source

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchVersion"})
_IMPOSSIBLE = frozenset({"NoSuchBucket", "InvalidBucketName", "KeyTooLongError"})
_DENIED = frozenset({"403", "AccessDenied"})
# S3 returns this if it is busy with another request for the object. It has done nothing.
_BUSY = frozenset({"409", "ConditionalRequestConflict"})
# A conditional write gets 404 if the object that it should replace has been deleted.
_CHANGED = frozenset({"412", "PreconditionFailed"}) | _ABSENT
_CONFLICT = _CHANGED | _BUSY
# Errors that are temporary although their status is 4xx. A new invocation gets new credentials.
_TRANSIENT = frozenset({"RequestTimeout", "SlowDown", "TooManyRequestsException", "ExpiredToken"}) | _BUSY
# Finds the action that a role lacks. It may differ from the operation: GetObject may need kms:Decrypt.
_NOT_ALLOWED = re.compile(r" is not authorized to perform: ([a-z0-9-]{1,50}:[A-Za-z]{1,50})\b")
_SERVER_ERROR = 500
# There was no answer, or it was cut off or damaged.
_BROKEN_ANSWERS = (
    NoConnectionError,
    HTTPClientError,
    IncompleteReadError,
    FlexibleChecksumError,
    ResponseParserError,
)

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    # The default is a minute each. A connection that has died is noticed by its silence only.
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=100,  # no fewer than the objects that are processed at once
    # By default, botocore assembles this string again for every request.
    user_agent=f"reviewbox Botocore/{botocore.__version__}",
)
_PARALLEL_DELETES = 10
_READ_AHEAD = 1024 * 1024  # bytes
_DOWNLOAD_CHUNK = 64 * 1024  # bytes


class ObjectStore(Protocol):
    """Where objects are read and written; `S3Storage` documents each method."""

    def read(self, ref: ObjectRef, max_bytes: int) -> Source | None:
        """Return an object as it is now."""

    def stream(
        self, ref: ObjectRef, revision: Revision, start: int = 0, end: int | None = None
    ) -> BufferedReader:
        """Open one revision of an object, or a range of its bytes."""

    def open(self, source: Source) -> AbstractContextManager[IO[bytes]]:
        """Open an object as a file with random access."""

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return an object's current revision."""

    def pages(self, bucket: str, prefix: str, after: str = "") -> Iterator[Sequence[Listed]]:
        """List the objects whose keys start with `prefix` and come after `after`."""

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
        """Write an object if it has the expected ETag, and return its new ETag."""

    def remove(self, ref: ObjectRef, etag: str) -> None:
        """Delete an object if it has the expected ETag."""


@dataclass(frozen=True, slots=True)
class S3Storage:
    """Objects in S3.

    botocore's errors pass through, except those that mean "absent" or "changed".
    """

    client: "S3Client"

    @classmethod
    def connect(cls) -> Self:
        """Connect as the environment says, with botocore's standard retries."""
        session = botocore.session.get_session()
        parsers = session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=_parse_timestamp)
        client = boto3.Session(botocore_session=session).client("s3", config=_CONFIG)
        client.meta.events.register_last("before-call.s3", _send_body_at_once)
        return cls(client)

    def read(
        self, ref: ObjectRef, max_bytes: int, on_bytes: Callable[[int, int], object] | None = None
    ) -> Source | None:
        """Return an object as it is now, or None if it does not exist.

        The body is None if it is larger than `max_bytes`. `on_bytes` is called repeatedly with the number of
        bytes that have been downloaded, and of all.

        Raises:
            ArchivedError: the object cannot be read until it is restored.
        """
        try:
            response = self.client.get_object(Bucket=ref.bucket, Key=ref.key)
        except ClientError as error:
            if _code(error) == "InvalidObjectState":
                raise ArchivedError(ref) from None
            if _is_absent(self.client, ref, error):
                return None
            raise
        # A body's own context manager would return the stream without botocore's check of its length.
        with closing(response["Body"]) as body:
            size = response["ContentLength"]
            return Source(
                ref=ref,
                revision=_revision(response),
                size=size,
                content_type=response.get("ContentType", ""),
                body=_download(body, size, on_bytes) if size <= max_bytes else None,
            )

    def stream(
        self, ref: ObjectRef, revision: Revision, start: int = 0, end: int | None = None
    ) -> BufferedReader:
        """Open the bytes of a non-empty object from `start` up to `end` (exclusive).

        Raises:
            ConflictError: the object now has a different revision, or is gone.
        """
        byte_range = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            response = self.client.get_object(
                Bucket=ref.bucket, Key=ref.key, IfMatch=revision.etag, Range=byte_range
            )
        except ClientError as error:
            if _code(error) in _CONFLICT or _is_absent(self.client, ref, error):
                raise ConflictError(ref) from None
            raise
        body: Any = response["Body"]
        if _revision(response) != revision:
            body.close()
            raise ConflictError(ref)
        return BufferedReader(body, _READ_AHEAD)

    def open(self, source: Source) -> AbstractContextManager[IO[bytes]]:
        """Open an object as a file with random access.

        Raises:
            ConflictError: the object now has a different revision, or is gone.
        """
        return open_object(self, source)

    def pages(self, bucket: str, prefix: str, after: str = "") -> Iterator[list[Listed]]:
        """Yield the objects whose keys start with `prefix` and come after `after`, by key, in pages."""
        start: Any = {"StartAfter": after} if after else {}
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **start)
        for page in pages:
            yield [
                Listed(
                    item["Key"],
                    item["ETag"],
                    item["LastModified"].timestamp(),
                    item["Size"],
                    item.get("StorageClass", "STANDARD"),
                )
                for item in page.get("Contents", [])
            ]

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return an object's current revision, or None if the object does not exist."""
        try:
            return _revision(self.client.head_object(Bucket=ref.bucket, Key=ref.key))
        except ClientError as error:
            if _is_absent(self.client, ref, error):
                return None
            raise

    def written_on(self, ref: ObjectRef) -> str | None:
        """Return the date on which an object was written, as YYYY-MM-DD in UTC.

        That needs permission to list the object, but not to read it. Returns None if it does not exist, or
        cannot be listed.
        """
        try:
            item = _listed(self.client, ref)
        except ParamValidationError:
            return None
        except ClientError as error:
            if names_nothing(error) or _code(error) in _DENIED:
                return None
            raise
        return item["LastModified"].date().isoformat() if item else None

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
        """Write an object if its ETag is `replaces`, or if it does not exist and `replaces` is None.

        Returns:
            The new ETag.

        Raises:
            ConflictError: the object has a different ETag; nothing was written.
        """
        condition: Any = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        try:
            response = self.client.put_object(
                Bucket=ref.bucket, Key=ref.key, Body=body, ContentType=content_type, **condition
            )
        except ClientError as error:
            if _code(error) in _CONFLICT:
                raise ConflictError(ref) from None
            raise
        return response["ETag"]

    def remove(self, ref: ObjectRef, etag: str) -> None:
        """Delete an object if its ETag is `etag`; otherwise leave it."""
        try:
            self.client.delete_object(Bucket=ref.bucket, Key=ref.key, IfMatch=etag)
        except ClientError as error:
            if _code(error) not in _CHANGED:
                raise


def _is_absent(client: "S3Client", ref: ObjectRef, error: ClientError) -> bool:
    """Return whether a request for an object failed because there is no such object.

    S3 returns 403 for a missing object to a role that is not allowed to list the whole bucket. Listing the
    key shows whether it is missing, if the role may list the keys under its prefix.
    """
    if _code(error) not in _DENIED:
        return _code(error) in _ABSENT
    try:
        return _listed(client, ref) is None
    except ClientError as second:
        if _code(second) in _DENIED:
            return False
        raise


def _listed(client: "S3Client", ref: ObjectRef) -> "ObjectTypeDef | None":
    """Return what a list of keys says about an object; None if it is not there."""
    # The key itself sorts before all longer keys that start with it.
    response = client.list_objects_v2(Bucket=ref.bucket, Prefix=ref.key, MaxKeys=1)
    return next((item for item in response.get("Contents", []) if item["Key"] == ref.key), None)


def write_once(store: ObjectStore, ref: ObjectRef, body: bytes, content_type: str) -> str:
    """Write an object whose content is the same whoever writes it, and return its ETag.

    An object that has this content is left as it is. Any other content was not written by a worker, and is
    replaced.

    Raises:
        ConflictError: another worker is writing it.
    """
    try:
        return store.write(ref, body, content_type, replaces=None)
    except ConflictError:
        existing = store.read(ref, len(body))
        if existing and existing.body == body:
            return existing.revision.etag
        etag = existing.revision.etag if existing else None
        return store.write(ref, body, content_type, replaces=etag)


def list_etags(store: ObjectStore, bucket: str, prefix: str) -> dict[str, str]:
    """Return the ETag of every object whose key starts with `prefix`."""
    return {item.key: item.etag for page in store.pages(bucket, prefix) for item in page}


def remove_all(store: ObjectStore, objects: Mapping[ObjectRef, str]) -> None:
    """Remove the objects that still have the ETag given for them, several at a time."""
    with ThreadPoolExecutor(_PARALLEL_DELETES) as pool:
        list(pool.map(lambda ref: store.remove(ref, objects[ref]), objects))


def names_nothing(error: ClientError | ParamValidationError) -> bool:
    """Return whether a request failed because its bucket does not exist, or its bucket or key is invalid."""
    return isinstance(error, ParamValidationError) or _code(error) in _IMPOSSIBLE


def describe(error: Exception) -> str:
    """Return what went wrong, without quoting content that the error may contain."""
    if isinstance(error, ClientError):
        answer = f"AWS returned {_code(error)} for {error.operation_name}"
        denied = _NOT_ALLOWED.search(str(error.response.get("Error", {}).get("Message")))
        return f"{answer}: {denied[1]} is not allowed" if denied else answer
    return str(error) if isinstance(error, ReviewboxError) else type(error).__name__


def is_transient(error: Exception) -> bool:
    """Return whether AWS was busy or unreachable, so that the same request may succeed later."""
    if not isinstance(error, ClientError):
        return isinstance(error, _BROKEN_ANSWERS)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = _code(error)
    return status >= _SERVER_ERROR or code in _TRANSIENT or "Throttl" in code


def _download(body: "StreamingBody", size: int, on_bytes: Callable[[int, int], object] | None) -> bytes:
    if on_bytes is None:
        return body.read()
    content = bytearray()
    for chunk in body.iter_chunks(_DOWNLOAD_CHUNK):
        content += chunk
        on_bytes(len(content), size)
    return bytes(content)


def _send_body_at_once(params: Any, **_: Any) -> None:
    # By default, botocore first asks S3 whether it accepts the body, which costs a round trip per write.
    params["headers"].pop("Expect", None)


def _parse_timestamp(value: Any) -> Any:
    # HTTP headers have one date format. botocore's own parser accepts any format, and is slower.
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return parse_timestamp(value)


def _revision(response: Any) -> Revision:
    version = response.get("VersionId", "null")
    if version == "null":  # every upload has this VersionId while versioning is suspended
        version = response["LastModified"].isoformat()
    return Revision(response["ETag"], version)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
