"""Keys of result objects. Pure."""

import hashlib
import re

_MAX_KEY_BYTES = 1024  # of UTF-8, S3's limit
_MAX_PART_NAME_LENGTH = 40
_COMPRESSION = r"(?:\.gz|\.zst)?"
# The file name in a key that `part_key` returns. Workbooks are not split.
PART_NAME = re.compile(rf"part-\d{{5,}}\.(?:(?:csv|tsv|jsonl){_COMPRESSION}|parquet)")
# The end of a key that `table_key` returns.
_TABLE_SUFFIX = re.compile(rf"\.classified\.((?:csv|tsv|jsonl|xlsx|xlsm|parquet){_COMPRESSION})\Z")


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


def is_table_key(key: str, results_prefix: str, source_key: str) -> bool:
    """Return whether `key` belongs to the source's classified table, as a single object or as a part."""
    match = _TABLE_SUFFIX.search(key)
    is_single = match is not None and key == table_key(results_prefix, source_key, match[1])
    return is_single or is_part_key(key, results_prefix, source_key)


def table_prefixes(results_prefix: str, source_key: str) -> set[str]:
    """Return prefixes that together cover all keys of a source's classified tables; usually one."""
    # Only for a very long source key does one of the two contain its digest instead.
    single = _result_key(results_prefix, source_key, ".classified")
    return {single, parts_prefix(results_prefix, source_key).removesuffix("/")}


def _result_key(prefix: str, source_key: str, suffix: str, reserved: int = 0) -> str:
    key = f"{prefix}{source_key}{suffix}"
    if len(key.encode()) + reserved <= _MAX_KEY_BYTES:
        return key
    return f"{prefix}{hashlib.sha256(source_key.encode()).hexdigest()}{suffix}"
