"""What `reviewbox classify` reads in S3. It is a module of its own because boto3 takes long to import."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from reviewbox.cli.progress import track
from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef, Source
from reviewbox.stack import aws
from reviewbox.stack.listing import list_objects, parse_uri
from reviewbox.storage import S3Storage


def connect() -> S3Storage:
    """Return S3 as the environment configures it."""
    return S3Storage(aws.connect("s3"))


def find_objects(storage: S3Storage, uri: str) -> dict[ObjectRef, int]:
    """Return the object that a URI names, or the objects under a prefix with their sizes in bytes.

    Raises:
        ReviewboxError: there is no such object.
    """
    ref = parse_uri(uri)
    with aws.errors_at(uri):
        if ref.key and not ref.key.endswith("/"):
            found = {ref: 0} if storage.revision(ref) else {}  # its size is known once it is read
        else:
            listed = track(list_objects(storage.client, ref), "Listing")
            found = {ObjectRef(ref.bucket, item.key): item.size for item in listed}
    if not found:
        raise ReviewboxError(f"{uri}: no such object; a prefix must end with a slash")
    return found


def read_object(storage: S3Storage, ref: ObjectRef, max_bytes: int) -> Source:
    """Read an object. The body is None if it is larger than `max_bytes`.

    Raises:
        ReviewboxError: the object cannot be read.
    """
    with aws.errors_at(str(ref)):
        source = storage.read(ref, max_bytes)
    if source is None:
        raise ReviewboxError(f"{ref}: the object was deleted")
    return source


@contextmanager
def open_object(storage: S3Storage, source: Source) -> Iterator[IO[bytes]]:
    """Open an object as a file.

    Raises:
        ReviewboxError: the object cannot be read.
    """
    with aws.errors_at(str(source.ref)), storage.open(source) as file:
        yield file
