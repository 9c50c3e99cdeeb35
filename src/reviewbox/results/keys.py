"""Keys of results. Pure."""

import hashlib
import re

_LONGEST_KEY = 1024  # bytes of UTF-8, S3's limit
_LONGEST_PART_NAME = 40
# What `part_key` ends with.
PART_NAME = re.compile(r"part-\d{5,}\.(?:csv|tsv|jsonl)(?:\.gz|\.zst)?")


def receipt_key(results_prefix: str, source_key: str) -> str:
    """Return the key of the receipt of the source `source_key`."""
    return _result_key(results_prefix, source_key, ".json")


def table_key(results_prefix: str, source_key: str, extension: str) -> str:
    """Return the key of a source's classified table."""
    return _result_key(results_prefix, source_key, f".classified.{extension}")


def _result_key(prefix: str, source_key: str, suffix: str, reserved: int = 0) -> str:
    key = f"{prefix}{source_key}{suffix}"
    if len(key.encode()) + reserved <= _LONGEST_KEY:
        return key
    return f"{prefix}{hashlib.sha256(source_key.encode()).hexdigest()}{suffix}"


def part_key(results_prefix: str, source_key: str, number: int, extension: str) -> str:
    """Return the key of a part of a source's classified table, the first of which has the number 0."""
    return f"{parts_prefix(results_prefix, source_key)}part-{number:05}.{extension}"


def parts_prefix(results_prefix: str, source_key: str) -> str:
    """Return what the keys of all parts of a source's classified table begin with."""
    return _result_key(results_prefix, source_key, ".classified/", reserved=_LONGEST_PART_NAME)


def is_part_key(key: str, results_prefix: str, source_key: str) -> bool:
    """Return whether `key` is that of a part: a source could lie in a folder that is called as ours are."""
    return bool(PART_NAME.fullmatch(key.removeprefix(parts_prefix(results_prefix, source_key))))
