"""What is uploaded, and what its result must be."""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.clients import Client, Clock
from tests.faults.s3 import S3, Bucket

from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.results import keys
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

BUCKET = "shop"
VARIANTS = 4
_WORDS = ("good", "bad", "great", "awful")
_LARGE, _SMALL = 45, 4  # rows
_PARQUET_BATCH = 250  # rows that are read at once; a segment has at least this many


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """A model and the settings that it is deployed with."""

    name: str
    classifier: Classifier
    settings: Settings

    @property
    def digests(self) -> tuple[str, str]:
        """The digests of the model and of the settings, as receipts record them."""
        return self.classifier.bundle.digest, self.settings.digest


@dataclass(frozen=True, slots=True)
class Expected:
    """The result of an upload.

    Attributes:
        content: the receipt, without its parts and provenance.
        table: the classified table in one piece, decompressed; None if there is none.
    """

    content: Mapping[str, Any]
    table: bytes | None


def _csv(variant: int, rows: int) -> bytes:
    lines = (f"{number},{_review(variant, number)}\n" for number in range(rows + variant))
    return f"id,review\n{''.join(lines)}".encode()


def _jsonl(variant: int, rows: int) -> bytes:
    lines = (json.dumps({"id": n, "review": _review(variant, n)}) for n in range(rows + variant))
    return "".join(f"{line}\n" for line in lines).encode()


def _parquet(variant: int, rows: int) -> bytes:
    # The ids do not compress, so that the file exceeds `max_object_bytes`.
    numbers = range(rows + variant)
    columns = {
        "id": [hashlib.sha256(b"%d" % number).hexdigest()[:16] for number in numbers],
        "review": [_review(variant, number) for number in numbers],
    }
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def _review(variant: int, number: int) -> str:
    # Every seventh review is missing, so that some rows have errors.
    return "" if number % 7 == 5 else f"the {_WORDS[(variant + number) % 4]} film"


KINDS: Mapping[str, Callable[[int], bytes]] = {
    "review": lambda v: f"the {_WORDS[v]} film is about {v}".encode(),
    "small csv": lambda v: _csv(v, _SMALL),
    "large csv": lambda v: _csv(v, _LARGE),
    "large gzip": lambda v: gzip.compress(_csv(v, _LARGE), mtime=0),
    "large jsonl": lambda v: _jsonl(v, _LARGE // 2),
    "empty": lambda _: b"",
    "small parquet": lambda v: _parquet(v, _SMALL),
    "large parquet": lambda v: _parquet(v, 2 * _PARQUET_BATCH),
    "long review": lambda v: f"the {_WORDS[v]} film is about {v} . ".encode() * 30,
    "small gzip": lambda v: gzip.compress(_csv(v, _SMALL), mtime=0),
    "array": lambda v: json.dumps([{"id": n, "review": _review(v, n)} for n in range(_SMALL + v)]).encode(),
    "one object": lambda v: json.dumps({"review": _review(v, 0)}).encode(),
    "broken gzip": lambda v: gzip.compress(_csv(v, _LARGE), mtime=0)[:-20],
    "binary": lambda v: bytes(range(256)) * (v + 1),
}

_BROKEN = [KINDS["broken gzip"](variant) for variant in range(VARIANTS)]
# The first bytes of a table whose content is what its name says.
_FIRST_BYTES = {
    ".csv": b"id,",
    ".csv.gz": b"id,",
    ".jsonl": b'{"id"',
    ".parquet": b'{"id"',
    ".json": b'[{"id"',
}


@cache
def body_of(kind: str, variant: int) -> bytes:
    """Return the bytes of an upload."""
    return KINDS[kind](variant)


@cache
def expected(key: str, body: bytes, deployment: Deployment) -> Expected:
    """Return the result of a source, found in one piece, alone and without faults."""
    s3 = S3(Clock(), buckets={BUCKET: Bucket()})
    client: Any = Client(s3)
    client.put_object(Bucket=BUCKET, Key=key, Body=body)
    settings = replace(deployment.settings, segment_bytes=10**9, max_object_bytes=10**9, results_bucket="")
    Pipeline(S3Storage(client), deployment.classifier, settings).process(
        ObjectRef(BUCKET, key), lambda: 900.0
    )
    stored = s3.buckets[BUCKET].objects
    receipt = json.loads(stored[receipt_key(key)].body)
    parts = [decompressed(stored[part["key"]].body) for part in receipt.get("parts", [])]
    table = parts[0] if parts else None
    is_named_so = any(
        key.endswith(name) and decompressed(body).startswith(first) for name, first in _FIRST_BYTES.items()
    )
    if table is not None and is_named_so and body not in _BROKEN:
        check_rows(body, table)
    return Expected(without_provenance(receipt), table)


@cache
def segments_of(body: bytes, segment_bytes: int) -> int:
    """Return the maximum number of segments of an upload."""
    if body.startswith(b"PAR1"):
        return int(pq.read_metadata(io.BytesIO(body)).num_rows) // _PARQUET_BATCH + 1
    return len(decompressed(body)) // segment_bytes + 1


def receipt_key(key: str) -> str:
    """Return the key of a source's receipt."""
    return keys.receipt_key("results/", key)


def tables_prefix(key: str) -> str:
    """Return the prefix of the parts of a source's tables."""
    return keys.parts_prefix("results/", key)


def check_rows(body: bytes, table: bytes) -> None:
    """Fail unless a classified table has the ids of the uploaded rows, in the same order."""
    uploaded, returned = _ids(decompressed(body)), _ids(table)
    assert uploaded == returned, f"rows {uploaded} came back as {returned}"


def without_provenance(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a receipt says about the content of its source."""
    ignored = ("source", "model", "settings", "format", "parts", "replaces")
    return {name: value for name, value in receipt.items() if name not in ignored}


def decompressed(body: bytes) -> bytes:
    """Return the bytes of an upload or a part, as far as they can be decompressed; Parquet as JSON Lines."""
    if body.startswith(b"PAR1"):
        rows = pq.read_table(io.BytesIO(body)).to_pylist()
        return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body) if body.startswith(b"\x1f\x8b") else body


def joined(parts: list[bytes]) -> bytes:
    """Return a table in one piece: CSV parts repeat the header, lines of JSON have none."""
    if not parts or parts[0].startswith(b"{"):
        return b"".join(parts)
    header = parts[0].splitlines(keepends=True)[0]
    assert all(part.startswith(header) for part in parts)
    return header + b"".join(part.removeprefix(header) for part in parts)


def _ids(table: bytes) -> list[str]:
    text = table.decode()
    if text.startswith("["):
        return [str(row["id"]) for row in json.loads(text)]
    if text.startswith("{"):
        return [str(json.loads(line)["id"]) for line in text.splitlines()]
    return [line.partition(",")[0] for line in text.splitlines()]
