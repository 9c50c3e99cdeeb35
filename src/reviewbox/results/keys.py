"""Keys of result objects. Pure."""

import hashlib
import re

_MAX_KEY_BYTES = 1024  # of UTF-8, S3's limit
_MAX_PART_NAME_LENGTH = 40
# The file name in a key that `part_key` returns.
PART_NAME = re.compile(r"part-\d{5,}\.(?:csv|tsv|jsonl)(?:\.gz|\.zst)?")


def receipt_key(results_prefix: str, source_key: str) -> str:
    """Return the key of a source's receipt."""
    return _result_key(results_prefix, source_key, ".json")


def table_key(results_prefix: str, source_key: str, extension: str) -> str:
    """Return the key of a source's classified table, if it is a single object."""
    return _result_key(results_prefix, source_key, f".classified.{extension}")


def part_key(results_prefix: str, source_key: str, number: int, extension: str) -> str:
    """Return the key of one part of a source's classified table; parts are numbered from 0."""
    return f"{parts_prefix(results_prefix, source_key)}part-{number:05}.{extension}"


def parts_prefix(results_prefix: str, source_key: str) -> str:
    """Return the common prefix of the keys of all parts of a source's classified table."""
    return _result_key(results_prefix, source_key, ".classified/", reserved=_MAX_PART_NAME_LENGTH)


def is_part_key(key: str, results_prefix: str, source_key: str) -> bool:
    """Return whether `key` belongs to a part of the source's classified table.

    A prefix is not enough: a user's folder may have the same name as a folder of parts.
    """
    return bool(PART_NAME.fullmatch(key.removeprefix(parts_prefix(results_prefix, source_key))))


def _result_key(prefix: str, source_key: str, suffix: str, reserved: int = 0) -> str:
    key = f"{prefix}{source_key}{suffix}"
    if len(key.encode()) + reserved <= _MAX_KEY_BYTES:
        return key
    return f"{prefix}{hashlib.sha256(source_key.encode()).hexdigest()}{suffix}"
