"""The inbox: where the console puts the files that it receives."""

import threading
import unicodedata
from dataclasses import dataclass, field

from reviewbox.errors import ConflictError, ReviewboxError
from reviewbox.objects import ObjectRef
from reviewbox.storage import ObjectStore
from reviewbox.tool_files import is_tool_file

# The names of the results are longer, and most file systems allow 255 bytes.
_MAX_NAME_BYTES = 200


class NameTakenError(ReviewboxError):
    """A file with this name already exists."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """A prefix of a bucket, or a folder, that takes files."""

    store: ObjectStore  # the storage that holds it
    bucket: str  # its bucket
    prefix: str = ""  # what the key of each file starts with, before its name
    # A `FolderStorage` writes one file at a time.
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def add(self, name: str, body: bytes, *, replace: bool = False) -> None:
        """Write a file under a name that `check_name` accepts.

        Raises:
            NameTakenError: a file with this name exists, and `replace` is not set.
        """
        ref = ObjectRef(self.bucket, f"{self.prefix}{name}")
        with self._lock:
            try:
                revision = self.store.revision(ref) if replace else None
                self.store.write(ref, body, "", replaces=revision.etag if revision else None)
            except ConflictError:
                raise NameTakenError(f"there is already a file {name!r}") from None


def check_name(name: str) -> None:
    """Raise an error unless a file with this name can be put into an inbox, directly and not hidden.

    Raises:
        ReviewboxError: it cannot.
    """
    if "/" in name or "\\" in name or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ReviewboxError("a name must not contain slashes or control characters; rename the file")
    if not name or name.startswith("."):
        raise ReviewboxError("a name must not be empty or start with a dot; rename the file")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise ReviewboxError(f"the name is longer than {_MAX_NAME_BYTES} bytes; rename the file")
    if is_tool_file(name):
        raise ReviewboxError("a tool made this file for itself; it holds no reviews")
