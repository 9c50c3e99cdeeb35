"""S3 URIs, and listings of the objects under a prefix."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef
from reviewbox.results.keys import receipt_key
from reviewbox.tool_files import is_tool_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SCHEME = "s3://"
_RECEIPT_SUFFIX = receipt_key("", "")


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in an S3 listing. `size` is in bytes."""

    key: str
    size: int
    last_modified: datetime
    storage_class: str = "STANDARD"


def is_uri(text: str) -> bool:
    """Return whether a text starts with `s3://`."""
    return text.startswith(_SCHEME)


def parse_uri(uri: str) -> ObjectRef:
    """Return the bucket, and the key or prefix, of an S3 URI.

    Raises:
        ReviewboxError: the text is not an S3 URI, or it has no bucket.
    """
    bucket, _, key = uri.removeprefix(_SCHEME).partition("/")
    if not is_uri(uri) or not bucket:
        raise ReviewboxError(f"{uri}: expected s3://bucket/prefix")
    return ObjectRef(bucket, key)


def list_objects(client: "S3Client", prefix: ObjectRef) -> Iterator[ListedObject]:
    """Yield the objects whose keys start with `prefix.key`, except folder markers and files of tools.

    A folder marker is an empty object whose key ends with a slash.
    """
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key):
        for item in page.get("Contents", []):
            is_folder_marker = not item["Size"] and item["Key"].endswith("/")
            if not is_folder_marker and not is_tool_file(item["Key"]):
                storage_class = item.get("StorageClass", "STANDARD")
                yield ListedObject(item["Key"], item["Size"], item["LastModified"], storage_class)


def is_receipt(key: str) -> bool:
    """Return whether an object under the results prefix is a receipt, by its key."""
    return key.endswith(_RECEIPT_SUFFIX)
