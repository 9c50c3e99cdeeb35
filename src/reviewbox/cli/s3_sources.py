"""Objects in S3 as inputs of commands. It is a separate module because importing boto3 takes a long time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO

from reviewbox.cli.inputs import Input
from reviewbox.cli.progress import track
from reviewbox.documents import Step
from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef, Source
from reviewbox.stack import aws
from reviewbox.stack.listing import list_objects, parse_uri
from reviewbox.stack.prices import CPU_SECONDS_PER_KILOBYTE
from reviewbox.storage import S3Storage

_SECONDS_PER_OBJECT = 0.05  # until its first byte has come; assumed, not measured
_OVERHEAD = round(1000 * _SECONDS_PER_OBJECT / CPU_SECONDS_PER_KILOBYTE)


def object_inputs(uri: str) -> Iterator[Input]:
    """Yield the object that a URI names, or the objects under a prefix.

    Raises:
        ReviewboxError: there is no such object.
    """
    storage = S3Storage(aws.connect("s3"))
    for ref, size in _find_objects(storage, uri).items():
        yield object_input(storage, ref, size)


def object_input(storage: S3Storage, ref: ObjectRef, size: int) -> Input:
    """Return an object as an input, which may turn out to be unreadable when it is read."""
    read, open_ = partial(_read_object, storage, ref), partial(_open_object, storage)
    return Input(str(ref), read, open_, size, _OVERHEAD)


def _find_objects(storage: S3Storage, uri: str) -> dict[ObjectRef, int]:
    ref = parse_uri(uri)
    with aws.errors_at(uri):
        if ref.key and not ref.key.endswith("/"):
            found = {ref: 0} if storage.revision(ref) else {}  # its size is known once it is read
        else:
            listed = track(list_objects(storage, ref), "Listing")
            found = {ObjectRef(ref.bucket, item.key): item.size for item in listed}
    if not found:
        raise ReviewboxError(f"{uri}: no such object; a prefix must end with a slash")
    return found


def _read_object(
    storage: S3Storage, ref: ObjectRef, max_bytes: int, on_step: Callable[[Step], object]
) -> Source:
    def on_bytes(done: int, total: int) -> None:
        on_step(Step("Downloading (kB)", done / 1000, total / 1000))

    with aws.errors_at(str(ref)):
        source = storage.read(ref, max_bytes, on_bytes)
    if source is None:
        raise ReviewboxError(f"{ref}: the object was deleted")
    return source


@contextmanager
def _open_object(storage: S3Storage, source: Source) -> Iterator[IO[bytes]]:
    with aws.errors_at(str(source.ref)), storage.open(source) as file:
        yield file
