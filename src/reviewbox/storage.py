"""Reading objects, and writing them on condition. The only module of the core that knows boto3."""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import BufferedReader
from typing import TYPE_CHECKING, Any, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.utils import parse_timestamp

from reviewbox.errors import ArchivedError, ConflictError, ReviewboxError
from reviewbox.objects import ObjectRef, Revision, Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchVersion"})
# 404 on a conditional write: what it was to replace has been deleted.
_CONFLICT = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}) | _ABSENT
# What passes though its status (4xx) says otherwise. A new invocation brings new credentials.
_TRANSIENT = frozenset({"RequestTimeout", "SlowDown", "TooManyRequestsException", "ExpiredToken"})
_SERVER_ERROR = 500

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=100,  # as many as any number of objects at once will need
    # botocore else puts its own together anew for each request.
    user_agent=f"reviewbox Botocore/{botocore.__version__}",
)
_READ_AHEAD = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Storage:
    """Objects in S3. botocore's errors pass through, but for those that mean "absent" or "changed"."""

    client: "S3Client"

    @classmethod
    def connect(cls) -> Self:
        """Connect as the environment says, with botocore's standard retries."""
        session = botocore.session.get_session()
        parsers = session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=_timestamp)
        client = boto3.Session(botocore_session=session).client("s3", config=_CONFIG)
        client.meta.events.register_last("before-call.s3", _send_body_at_once)
        return cls(client)

    def read(self, ref: ObjectRef, max_bytes: int) -> Source | None:
        """Return an object as it is now, its body only if it is no larger than `max_bytes`.

        Returns None if there is no such object.

        Raises:
            ArchivedError: it cannot be read until it is restored.
        """
        try:
            response = self.client.get_object(Bucket=ref.bucket, Key=ref.key)
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            if _code(error) == "InvalidObjectState":
                raise ArchivedError(ref) from None
            raise
        with response["Body"] as body:
            return Source(
                ref=ref,
                revision=_revision(response),
                size=response["ContentLength"],
                content_type=response.get("ContentType", ""),
                body=body.read() if response["ContentLength"] <= max_bytes else None,
            )

    def stream(
        self, ref: ObjectRef, revision: Revision, start: int = 0, end: int | None = None
    ) -> BufferedReader:
        """Open an object that is not empty, in the state `revision`: its bytes from `start` to before `end`.

        Raises:
            ConflictError: it is in another state, or gone.
        """
        span = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            response = self.client.get_object(
                Bucket=ref.bucket, Key=ref.key, IfMatch=revision.etag, Range=span
            )
        except ClientError as error:
            if _code(error) in _CONFLICT:
                raise ConflictError(ref) from None
            raise
        body: Any = response["Body"]
        if _revision(response) != revision:
            body.close()
            raise ConflictError(ref)
        return BufferedReader(body, _READ_AHEAD)

    def etags(self, bucket: str, prefix: str) -> dict[str, str]:
        """Return the keys that start so, each with its ETag."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}

    def revision(self, ref: ObjectRef) -> Revision | None:
        """Return an object's present state, or None if there is no such object."""
        try:
            return _revision(self.client.head_object(Bucket=ref.bucket, Key=ref.key))
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            raise

    def write(self, ref: ObjectRef, body: bytes, content_type: str, *, replaces: str | None) -> str:
        """Write an object if its ETag is `replaces`, or if it does not exist where that is None.

        Returns the new ETag.

        Raises:
            ConflictError: the object is in another state; nothing was written.
        """
        try:
            if replaces is None:
                response = self.client.put_object(
                    Bucket=ref.bucket, Key=ref.key, Body=body, ContentType=content_type, IfNoneMatch="*"
                )
            else:
                response = self.client.put_object(
                    Bucket=ref.bucket, Key=ref.key, Body=body, ContentType=content_type, IfMatch=replaces
                )
        except ClientError as error:
            if _code(error) in _CONFLICT:
                raise ConflictError(ref) from None
            raise
        return response["ETag"]

    def remove(self, ref: ObjectRef, etag: str) -> None:
        """Remove an object if its ETag is `etag`; else it stays."""
        try:
            self.client.delete_object(Bucket=ref.bucket, Key=ref.key, IfMatch=etag)
        except ClientError as error:
            if _code(error) not in _CONFLICT:
                raise


def _send_body_at_once(params: Any, **_: Any) -> None:
    # botocore would ask S3 first whether it wants the body, which takes a round trip for each write.
    params["headers"].pop("Expect", None)


def _timestamp(value: Any) -> Any:
    # What HTTP has in its headers; botocore's own parser, for any format, takes longer.
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return parse_timestamp(value)


def _revision(response: Any) -> Revision:
    version = response.get("VersionId", "null")
    if version == "null":  # what every upload has while versioning is suspended
        version = response["LastModified"].isoformat()
    return Revision(response["ETag"], version)


def describe(error: Exception) -> str:
    """Name an error without repeating what it was raised about, which may be anything."""
    if isinstance(error, ClientError):
        return f"AWS answered {_code(error)} to {error.operation_name}"
    return str(error) if isinstance(error, ReviewboxError) else type(error).__name__


def is_transient(error: Exception) -> bool:
    """Return whether AWS was busy or out of reach, so that the same request may succeed later."""
    if not isinstance(error, ClientError):
        return isinstance(error, (NoConnectionError, HTTPClientError, IncompleteReadError))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = _code(error)
    return status >= _SERVER_ERROR or code in _TRANSIENT or "Throttl" in code


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
