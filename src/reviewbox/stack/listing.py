"""S3 URIs, and listings of the objects under a prefix."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reviewbox.errors import ReviewboxError
from reviewbox.objects import Listed, ObjectRef
from reviewbox.results.keys import receipt_key
from reviewbox.tool_files import is_tool_file

if TYPE_CHECKING:
    from reviewbox.storage import ObjectStore

_SCHEME = "s3://"
_RECEIPT_SUFFIX = receipt_key("", "")


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


def list_objects(store: "ObjectStore", prefix: ObjectRef) -> Iterator[Listed]:
    """Yield the objects whose keys start with `prefix.key`, except folder markers and files of tools.

    A folder marker is an empty object whose key ends with a slash.
    """
    for page in store.pages(prefix.bucket, prefix.key):
        for item in page:
            is_folder_marker = not item.size and item.key.endswith("/")
            if not is_folder_marker and not is_tool_file(item.key):
                yield item


def is_receipt(key: str) -> bool:
    """Return whether an object under the results prefix is a receipt, by its key."""
    return key.endswith(_RECEIPT_SUFFIX)
