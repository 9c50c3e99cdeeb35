"""Results in S3."""

import json
from typing import Any


def receipt_of(key: str) -> str:
    """Return the key of a source's receipt."""
    return f"results/{key}.json"


def keys(s3: Any, bucket: str) -> list[str]:
    """Return the keys of all results."""
    page = s3.list_objects_v2(Bucket=bucket, Prefix="results/")
    return [entry["Key"] for entry in page.get("Contents", [])]


def read(s3: Any, bucket: str, key: str) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def read_json(s3: Any, bucket: str, key: str) -> Any:
    return json.loads(read(s3, bucket, key))
