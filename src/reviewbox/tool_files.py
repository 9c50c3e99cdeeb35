"""Recognizes files that tools leave beside data, by their keys. Pure."""

import re

# Each pattern matches a whole name. None of these files holds a review, whatever its size is: some
# committers of Spark, for example, write a report in JSON into `_SUCCESS`.
_NAME = re.compile(
    r"_SUCCESS|_(?:committed|started)_.*|_(?:common_)?metadata"  # Hadoop, Databricks, Parquet
    r"|.*_\$folder\$|.*\.crc"  # Hadoop
    r"|\.DS_Store|\._.*"  # macOS
    r"|~\$.*\.(?:doc|xls|ppt)[a-z]?|\.~lock\..*#"  # Office and LibreOffice, while a document is open
    r"|Thumbs\.db|desktop\.ini"  # Windows
    r"|\.(?:git)?keep|\.gitignore|\.gitattributes",
    re.IGNORECASE | re.DOTALL,
)
# Folders whose files are not data: Spark, Delta Lake, and macOS in ZIP archives.
_FOLDERS = frozenset({"_temporary", "_delta_log", "__MACOSX"})


def is_tool_file(key: str) -> bool:
    """Return whether a key, or a path with slashes, names what a tool left behind, and not a source."""
    *folders, name = key.split("/")
    return bool(_NAME.fullmatch(name)) or not _FOLDERS.isdisjoint(folders)
