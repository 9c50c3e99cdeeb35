"""Writes rows of the catalog as Parquet. The libraries are imported when the first file is written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from io import BytesIO
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from reviewbox.catalog.rows import CatalogRow

if TYPE_CHECKING:
    from arro3.core import Array, DataType

CONTENT_TYPE = "application/vnd.apache.parquet"
_BATCH_ROWS = 1000
# The types of the columns that are not text, as the template declares them.
_TYPES = {
    "source_line": "bigint",
    "score": "double",
    "scores": "map<string,double>",
    "needs_review": "boolean",
    "other_language": "boolean",
    "fields": "map<string,string>",
}
COLUMNS = {field.name: _TYPES.get(field.name, "string") for field in fields(CatalogRow)}


def encode_rows(rows: Iterable[CatalogRow], check_time: Callable[[], None]) -> bytes:
    """Return a Parquet file with some rows; `check_time` is called before each batch.

    All rows are in memory, in a compact form. If the library read them, it would replace the errors that
    reading raises.
    """
    from arro3.core import Field, RecordBatch, RecordBatchReader, Schema
    from arro3.io import write_parquet

    schema = Schema([Field(name, _data_type(kind), nullable=True) for name, kind in COLUMNS.items()])
    remaining, batches = iter(rows), []
    while batch := list(islice(remaining, _BATCH_ROWS)):
        check_time()
        arrays = [_array(kind, list(map(attrgetter(name), batch))) for name, kind in COLUMNS.items()]
        batches.append(RecordBatch.from_arrays(arrays, schema=schema))
    file = BytesIO()
    write_parquet(RecordBatchReader.from_batches(schema, batches), file, compression="zstd(3)")
    return file.getvalue()


def _data_type(kind: str) -> "DataType":
    from arro3.core import DataType

    types = {
        "string": DataType.string,
        "bigint": DataType.int64,
        "double": DataType.float64,
        "boolean": DataType.bool,
    }
    if kind not in types:
        key, value = kind.removeprefix("map<").removesuffix(">").split(",")
        return DataType.map(_data_type(key), _data_type(value), keys_sorted=False)
    return types[kind]()


def _array(kind: str, values: Sequence[Any]) -> "Array":
    from arro3.core import Array

    if kind.startswith("map<"):
        return _map_array(kind, values)
    return Array([encodable(value) for value in values], _data_type(kind))


def _map_array(kind: str, maps: Sequence[Mapping[str, Any]]) -> "Array":
    """Return a column of maps.

    The library cannot make one. But in Arrow's C data interface, a map is a list of structs of a key and a
    value, with a different type: https://arrow.apache.org/docs/format/CDataInterface.html
    """
    from arro3.core import Array, DataType, Field, list_array, struct_array

    key, value = kind.removeprefix("map<").removesuffix(">").split(",")
    offsets = [0]
    for item in maps:
        offsets.append(offsets[-1] + len(item))
    entries = struct_array(
        [
            _array(key, [name for item in maps for name in item]),
            _array(value, [content for item in maps for content in item.values()]),
        ],
        fields=[
            Field("key", _data_type(key), nullable=False),
            Field("value", _data_type(value), nullable=True),
        ],
    )
    lists = list_array(Array(offsets, DataType.int32()), entries)
    return Array.from_arrow_pycapsule(_data_type(kind).__arrow_c_schema__(), lists.__arrow_c_array__()[1])


def encodable(value: Any) -> Any:
    """Return a value that UTF-8 can encode: a text from JSON may contain half of a character."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
