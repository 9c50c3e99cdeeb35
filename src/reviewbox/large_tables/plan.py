"""How a large table is split, and what became of its segments. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from reviewbox.documents.compression import COMPRESSIONS, Compression
from reviewbox.documents.detection import with_compression
from reviewbox.documents.document import Document, ReadOptions, Table, Value
from reviewbox.documents.formats.parquet.segments import SegmentedParquet
from reviewbox.documents.segments import SegmentedTable
from reviewbox.objects import ObjectRef, Revision, SegmentRef
from reviewbox.results.receipt import Counts, Provenance

# Raised whenever plans change their format, or a reader splits tables in other places.
_FORMAT = 2


def plan_id(provenance: Provenance) -> str:
    """Return the id of the plan for a result with this provenance."""
    identity = {**provenance.to_dict(), "plan_format": _FORMAT}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Plan:
    """How one revision of a table is classified in segments."""

    provenance: Provenance
    segmented: SegmentedTable | SegmentedParquet
    compression: Compression | None  # of the table

    @property
    def id(self) -> str:
        """The plan's id."""
        return plan_id(self.provenance)

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
        """What knows the extension and the content type of the parts."""
        if isinstance(self.segmented, SegmentedParquet):
            return self.segmented
        return self._table(self.segmented)

    @property
    def has_inputs(self) -> bool:
        """Whether segments are stored, because they are not consecutive bytes of the source."""
        return self.compression is not None or isinstance(self.segmented, SegmentedParquet)

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
        return Document(self.segmented.rows(index, data, options), dict, self._table(self.segmented))

    def _table(self, segmented: SegmentedTable) -> Table:
        table = segmented.schema.table
        return with_compression(table, self.compression) if self.compression else table

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return the plan that `encode` returned as `body`."""
        data = json.loads(body.decode("utf-8", "surrogatepass"))
        is_parquet = data["segmented"]["format"] == SegmentedParquet.extension
        segmented = SegmentedParquet if is_parquet else SegmentedTable
        return cls(
            Provenance.from_dict(data["provenance"]),
            segmented.from_dict(data["segmented"]),
            next((c for c in COMPRESSIONS if c.name == data["compression"]), None),
        )

    def encode(self) -> bytes:
        """Return the plan as it is stored."""
        return _encode(
            {
                "provenance": self.provenance.to_dict(),
                "segmented": self.segmented.to_dict(),
                "compression": self.compression.name if self.compression else None,
            }
        )


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """The result of a segment: the ETag of the part that was written, and the counts of its rows."""

    etag: str
    counts: Counts

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return the result that `encode` returned as `body`."""
        data = json.loads(body)
        return cls(data["etag"], Counts.from_dict(data["counts"]))

    def encode(self) -> bytes:
        """Return the result as it is stored."""
        return _encode({"etag": self.etag, "counts": self.counts.to_dict()})


def _encode(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
