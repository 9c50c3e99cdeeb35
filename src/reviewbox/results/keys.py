"""Keys of result objects. Pure.

results/<source key>.json                                  the receipt
results/<source key>.classified/<table id>/part-00000.csv  a part of a classified table
"""

import hashlib
import re

_MAX_KEY_BYTES = 1024  # S3's limit, in UTF-8
_MAX_PART_NAME_LENGTH = 73  # characters from the table's id to the extension
_TABLE = ".classified"  # the mark in the keys of classified tables
_EXTENSION = r"(?:csv|tsv|jsonl|xlsx|xlsm|parquet)(?:\.gz|\.zst)?"
_TABLE_NAME = re.compile(rf"\.{_EXTENSION}\Z")
# The end of a key that `part_key` returns.
_PART_NAME = re.compile(rf"([0-9a-f]{{32}})/part-\d{{5,}}\.{_EXTENSION}")
# The ends of the keys of parts and of small tables before format 4 of results. Such objects are only removed.
_OLD_PART_NAME = re.compile(rf"part-\d{{5,}}\.{_EXTENSION}")
_OLD_MAX_PART_NAME_LENGTH = 40
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OLD_TABLE_SUFFIX = re.compile(rf"\{_TABLE}\.{_EXTENSION}\Z")


def receipt_key(results_prefix: str, source_key: str) -> str:
    """Return the key of a source's receipt."""
    return _result_key(results_prefix, source_key, ".json")


def may_be_receipt_of(key: str, source_key: str) -> bool:
    """Return whether a source can have the receipt with this key, whatever the prefix of its results is."""
    prefix = results_prefix_of(key, source_key)
    return prefix is not None and prefix[-1:] in ("", "/")


def results_prefix_of(key: str, source_key: str) -> str | None:
    """Return what precedes the source in the key of its receipt; None if it cannot have this key."""
    for name in (f"{source_key}.json", f"{_digest(source_key)}.json"):
        if key.endswith(name):
            return key.removesuffix(name)
    return None


def part_key(results_prefix: str, source_key: str, table_id: str, number: int, extension: str) -> str:
    """Return the key of one part of a classified table; parts are numbered from 0."""
    return f"{parts_prefix(results_prefix, source_key)}{table_id}/part-{number:05}.{extension}"


def parts_prefix(results_prefix: str, source_key: str) -> str:
    """Return the common prefix of the keys of all parts of a source's classified tables."""
    return _result_key(results_prefix, source_key, f"{_TABLE}/", _MAX_PART_NAME_LENGTH)


def table_id_of(key: str, results_prefix: str, source_key: str) -> str | None:
    """Return the id of the source's classified table that has a part with this key; None if none can.

    A prefix is not enough: a user's folder may have the same name as a folder of parts.
    """
    match = _PART_NAME.fullmatch(key.removeprefix(parts_prefix(results_prefix, source_key)))
    return match[1] if match else None


def is_table_key(key: str, results_prefix: str, source_key: str) -> bool:
    """Return whether `key` can belong to a classified table of the source, of this or an older version."""
    if table_id_of(key, results_prefix, source_key):
        return True
    if suffix := _OLD_TABLE_SUFFIX.search(key):
        return key == _result_key(results_prefix, source_key, suffix[0])
    return bool(_OLD_PART_NAME.fullmatch(key.removeprefix(_old_parts_prefix(results_prefix, source_key))))


def table_prefixes(results_prefix: str, source_key: str) -> set[str]:
    """Return prefixes that together cover all keys of a source's classified tables; usually one."""
    # If the source key is very long, some of them contain its digest instead.
    return {
        _result_key(results_prefix, source_key, _TABLE),
        parts_prefix(results_prefix, source_key).removesuffix("/"),
        _old_parts_prefix(results_prefix, source_key).removesuffix("/"),
    }


def is_table(key: str) -> bool:
    """Return whether a key has the extension of a classified table."""
    return _TABLE_NAME.search(key) is not None


def source_of_table(key: str) -> str:
    """Return the key of the source of a classified table, without looking at its receipt."""
    return key.partition(_TABLE)[0]


def receipt_key_of_part(key: str) -> str | None:
    """Return the key of the receipt of the table that has a part with this key; None if no part can have it.

    The parts of a source with a very long key may contain its digest although its receipt does not. Then the
    key that is returned does not belong to a receipt.
    """
    source, _, name = key.rpartition(f"{_TABLE}/")
    if not (_PART_NAME.fullmatch(name) or _OLD_PART_NAME.fullmatch(name)):
        source = _OLD_TABLE_SUFFIX.sub("", key) if _OLD_TABLE_SUFFIX.search(key) else ""
    return receipt_key(source, "") if source else None


def source_key_of_receipt(key: str, results_prefix: str) -> str | None:
    """Return the key of the source that has a receipt with this key; None if the key may hold a digest."""
    source_key = key.removeprefix(results_prefix).removesuffix(receipt_key("", ""))
    return None if _DIGEST.fullmatch(source_key) else source_key


def _old_parts_prefix(results_prefix: str, source_key: str) -> str:
    return _result_key(results_prefix, source_key, f"{_TABLE}/", _OLD_MAX_PART_NAME_LENGTH)


def _result_key(prefix: str, source_key: str, suffix: str, reserved: int = 0) -> str:
    key = f"{prefix}{source_key}{suffix}"
    if len(key.encode()) + reserved <= _MAX_KEY_BYTES:
        return key
    return f"{prefix}{_digest(source_key)}{suffix}"


def _digest(source_key: str) -> str:
    return hashlib.sha256(source_key.encode("utf-8", "surrogatepass")).hexdigest()
