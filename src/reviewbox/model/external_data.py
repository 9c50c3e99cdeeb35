"""Finds the files that hold weights of an ONNX model, without the `onnx` package.

A model of more than 2 GB, and many smaller ones, keep their weights in files beside `model.onnx`. Their names
are in the tensors of the graph. Only the fields on the way to them are decoded, in the wire format of
protocol buffers (https://protobuf.dev/programming-guides/encoding).
"""

import mmap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reviewbox.errors import ModelError

# Field numbers in onnx.proto.
_GRAPH, _INITIALIZER, _NODE, _FUNCTION_NODE, _ATTRIBUTE = 7, 5, 1, 7, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_FUNCTION, _EXTERNAL_DATA, _KEY, _VALUE = 25, 13, 1, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_DEPTH = 100  # of graphs in graphs
_MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a message that is itself a message or bytes."""

    number: int
    start: int
    end: int


def external_data_names(path: Path) -> list[str]:
    """Return the locations of a model's external data, relative to its folder, sorted; usually none.

    If the file is not a valid model, the locations before the fault are returned.

    Raises:
        ModelError: the file is empty, or a location is outside the folder.
    """
    if not path.stat().st_size:
        raise ModelError(f"{path} is empty; copy or export the model again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        names = set[str]()
        with suppress(IndexError, ValueError):  # the runtime says what is wrong with the file
            names.update(_locations_in_model(data))
    for name in names:
        location = Path(name)
        if location.is_absolute() or ".." in location.parts or "\\" in name or not location.parts:
            raise ModelError(
                f"{path} has weights in {name!r}, which is not in its folder; save the model again with its "
                "weights beside it"
            )
    return sorted(names)


def _locations_in_model(data: mmap.mmap) -> Iterator[str]:
    for field in _fields(data, 0, len(data)):
        if field.number == _GRAPH:
            yield from _locations_in_graph(data, field, 0)
        if field.number == _FUNCTION:
            for node in _fields(data, field.start, field.end):
                if node.number == _FUNCTION_NODE:
                    yield from _locations_in_node(data, node, 0)


def _locations_in_graph(data: mmap.mmap, graph: _Field, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ValueError("too many nested graphs")
    for field in _fields(data, graph.start, graph.end):
        if field.number == _INITIALIZER:
            yield from _locations_in_tensor(data, field)
        if field.number == _NODE:
            yield from _locations_in_node(data, field, depth)


def _locations_in_node(data: mmap.mmap, node: _Field, depth: int) -> Iterator[str]:
    for attribute in _fields(data, node.start, node.end):
        if attribute.number != _ATTRIBUTE:
            continue
        for field in _fields(data, attribute.start, attribute.end):
            if field.number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                yield from _locations_in_tensor(data, field)
            if field.number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                yield from _locations_in_graph(data, field, depth + 1)


def _locations_in_tensor(data: mmap.mmap, tensor: _Field) -> Iterator[str]:
    for field in _fields(data, tensor.start, tensor.end):
        if field.number != _EXTERNAL_DATA:
            continue
        entry = {item.number: data[item.start : item.end] for item in _fields(data, field.start, field.end)}
        if entry.get(_KEY) == b"location":
            yield entry.get(_VALUE, b"").decode()


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[_Field]:
    """Yield the fields of a message that have a length. Fields of other kinds are skipped."""
    position = start
    while position < end:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            length, position = _varint(data, position)
            if position + length > end:
                raise ValueError("a field is longer than its message")
            yield _Field(number, position, position + length)
            position += length
        elif kind == _VARINT:
            _, position = _varint(data, position)
        elif kind in _FIXED_SIZES:
            position += _FIXED_SIZES[kind]
        else:
            raise ValueError("not a message")


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    """Return the number at a position and the position after it."""
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no continuation bit
            return value, position + index + 1
    raise ValueError("a number is too long")
