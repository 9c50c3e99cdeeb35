"""An encoding whose decoder has a fault: the only way to make a real reader fail."""

import codecs
from typing import Any

ENCODING = "reviewboxfaulty"
# Not valid in UTF-8, so that the fallback encoding is tried.
TRIGGER = b"\xfe\xfe"
PANIC = b"\xfe\xfd"
SECRET = "my secret review"


class PanicException(BaseException):
    """A panic of a library in Rust."""


def _decode(data: Any, errors: str = "strict", /) -> tuple[str, int]:
    if TRIGGER in bytes(data):
        raise RuntimeError(SECRET)
    if PANIC in bytes(data):
        raise PanicException(SECRET)
    return codecs.latin_1_decode(data, errors)


def register() -> None:
    """Make Python know the encoding."""
    codecs.register(
        lambda name: codecs.CodecInfo(codecs.latin_1_encode, _decode, name=name) if name == ENCODING else None
    )
