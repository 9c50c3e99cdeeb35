"""An encoding whose decoder has a fault: the only way to make a real reader fail."""

import codecs
from typing import Any

ENCODING = "reviewboxfaulty"
# Not valid in UTF-8, so that the fallback encoding is tried.
TRIGGER = b"\xfe\xfe"
SECRET = "my secret review"


def _decode(data: Any, errors: str = "strict", /) -> tuple[str, int]:
    if TRIGGER in bytes(data):
        raise RuntimeError(SECRET)
    return codecs.latin_1_decode(data, errors)


def register() -> None:
    """Make Python know the encoding."""
    codecs.register(
        lambda name: codecs.CodecInfo(codecs.latin_1_encode, _decode, name=name) if name == ENCODING else None
    )
