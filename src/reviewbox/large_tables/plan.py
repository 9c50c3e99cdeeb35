"""How a large table is split, and which segments were sent. Pure."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from reviewbox.documents.compression import COMPRESSIONS, Compression
from reviewbox.documents.detection import with_compression
from reviewbox.documents.document import Document, ReadOptions, Table, Value
from reviewbox.documents.formats.parquet.segments import SegmentedParquet
from reviewbox.documents.segments import SegmentedTable
from reviewbox.objects import ObjectRef, Revision, SegmentRef
from reviewbox.results.receipt import Provenance

_T = TypeVar("_T")

_SEALED = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "content": (.*)\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Plan:
    """How one revision of a table is classified in segments."""

    id: str  # the table's (`ReceiptStore.table_id`)
    provenance: Provenance
    segmented: SegmentedTable | SegmentedParquet
    compression: Compression | None  # the table's
    inputs: tuple[str, ...] = ()  # the ETags of stored segments; empty if they are bytes of the source

    @property
    def source(self) -> ObjectRef:
        """The table."""
        return self.provenance.source

    @property
    def revision(self) -> Revision:
        """The table's revision."""
        if self.provenance.revision is None:
            raise ValueError("a plan needs a known revision")
        return self.provenance.revision

    @property
    def output(self) -> Table | SegmentedParquet:
        """The object that knows the extension and the content type of the parts."""
        if isinstance(self.segmented, SegmentedParquet):
            return self.segmented
        return self._table(self.segmented)

    @property
    def notes(self) -> Mapping[str, Value]:
        """What the reader found out about the table, for the receipt."""
        note = {"compression": self.compression.name} if self.compression else {}
        return {**note, **self.segmented.notes}

    @property
    def segments(self) -> Iterator[SegmentRef]:
        """Every segment, in order."""
        return (SegmentRef(self.source, self.id, index) for index in range(len(self)))

    def __len__(self) -> int:
        return len(self.segmented)

    def document(self, index: int, data: bytes, options: ReadOptions) -> Document:
        """Return one segment, whose bytes are `data`, as a document of its own."""
        if isinstance(self.segmented, SegmentedParquet):
            return self.segmented.document(index, data, options)
        rows = self.segmented.rows(index, data, options)
        return Document(rows, dict, self._table(self.segmented), len(data))

    def _table(self, segmented: SegmentedTable) -> Table:
        table = segmented.schema.table
        return with_compression(table, self.compression) if self.compression else table

    @classmethod
    def decode(cls, body: bytes | None) -> Self | None:
        """Return the plan that `encode` turned into `body`; None if `body` is anything else."""
        return unseal(body, cls._from_dict)

    @classmethod
    def _from_dict(cls, data: Mapping[str, Any]) -> Self:
        is_parquet = data["segmented"]["format"] == SegmentedParquet.extension
        segmented = SegmentedParquet if is_parquet else SegmentedTable
        return cls(
            data["id"],
            Provenance.from_dict(data["provenance"]),
            segmented.from_dict(data["segmented"]),
            next((c for c in COMPRESSIONS if c.name == data["compression"]), None),
            tuple(data["inputs"]),
        )

    def encode(self) -> bytes:
        """Return the plan as it is stored."""
        return seal(
            {
                "id": self.id,
                "provenance": self.provenance.to_dict(),
                "segmented": self.segmented.to_dict(),
                "compression": self.compression.name if self.compression else None,
                "inputs": self.inputs,
            }
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """Which segments of a table were sent to the queue: all that were not done, by one worker at a time."""

    sender: str  # what the worker that sent them was working on
    lost: frozenset[int] = frozenset()  # segments that were done, but whose parts have been lost since
    # Whether the worker has sent them all. If it died, its own message is delivered again.
    complete: bool = False

    def is_interrupted(self, sender: str) -> bool:
        """Return whether this worker has begun to send and has not finished, because it died."""
        return self.sender == sender and not self.complete

    @classmethod
    def decode(cls, body: bytes | None) -> Self | None:
        """Return the record that `encode` turned into `body`; None if `body` is anything else."""
        return unseal(body, lambda data: cls(data["sender"], frozenset(data["lost"]), data["complete"]))

    def encode(self) -> bytes:
        """Return the record as it is stored."""
        return seal({"sender": self.sender, "lost": sorted(self.lost), "complete": self.complete})


def seal(content: Mapping[str, Any]) -> bytes:
    """Return content as JSON, with its digest."""
    text = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return b'{"sha256": "%b", "content": %b}' % (hashlib.sha256(text).hexdigest().encode(), text)


def unseal(body: bytes | None, convert: Callable[[Mapping[str, Any]], _T]) -> _T | None:
    """Return the content that `seal` turned into `body`, passed through `convert`.

    Returns None if any byte has changed, or if another version of Reviewbox wrote other content.
    """
    match = _SEALED.fullmatch(body or b"")
    if match is None or hashlib.sha256(match[2]).hexdigest().encode() != match[1]:
        return None
    try:
        return convert(json.loads(match[2].decode("utf-8", "surrogatepass")))
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
