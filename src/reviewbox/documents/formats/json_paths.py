r"""Paths to values in JSON, such as `data.reviews[].text`.

`[]` stands for any element of an array and `*` for any value of an object whose keys are ids. In a key, a
backslash escapes each of `\ . , [ ] *`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Each(Enum):
    """A step to every value of a container."""

    ELEMENT = "[]"
    VALUE = "*"


Step = str | Each
Path = tuple[Step, ...]

_SPECIAL = re.compile(r"([\\.,\[\]*])")
_PART = re.compile(
    r"(?P<element>\[\])|(?P<value>(?<![^.])\*(?![^.\[]))|(?P<key>(?:[^\\.\[]|\\.)+)|(?P<dot>\.)|.", re.DOTALL
)
_NAME_SEPARATOR = re.compile(r"(?<!\\)((?:\\\\)*),")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*+")
_DECODER = json.JSONDecoder(parse_int=float)  # Python limits the digits of an int


@dataclass(frozen=True, slots=True)
class Span:
    """The position of a value in a text."""

    pointer: str  # its JSON pointer (RFC 6901)
    start: int  # the offset of its first character
    end: int  # the offset after its last character


def format_path(path: Path) -> str:
    """Return a path as text."""
    parts = []
    for index, step in enumerate(path):
        if step is not Each.ELEMENT and index > 0:
            parts.append(".")
        parts.append(step.value if isinstance(step, Each) else _SPECIAL.sub(r"\\\1", step))
    return "".join(parts)


def parse_path(text: str) -> Path:
    """Return the path that a text describes."""
    steps: list[Step] = []
    for match in _PART.finditer(text):
        if match["element"]:
            steps.append(Each.ELEMENT)
        elif match["value"]:
            steps.append(Each.VALUE)
        elif not match["dot"]:
            steps.append(_ESCAPED.sub(r"\1", match[0]))
    return tuple(steps)


def split_names(text: str) -> list[str]:
    """Split a list of paths at its commas."""
    parts = _NAME_SEPARATOR.split(text)
    names = ["".join(parts[index : index + 2]) for index in range(0, len(parts), 2)]
    return [name.strip() for name in names]


def list_of(path: Path) -> Path:
    """Return the path of the records that a field belongs to: up to the last `[]` or `*`."""
    return path[: max((index + 1 for index, step in enumerate(path) if isinstance(step, Each)), default=0)]


def value_at(value: Any, path: Path) -> Any:
    """Return the value at a path of keys; None if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def find_spans(text: str, path: Path, pointer: str = "") -> Iterator[Span]:
    """Yield the positions of the values at a path in the text of a valid JSON value."""
    start = _skip(text, 0)
    return _spans_in(text, path, Span(pointer, start, _end(text, start)))


def members(text: str, position: int = 0) -> list[Span]:
    """Return the members of an object in a text; each pointer is the key itself."""
    return list(_members(text, _skip(text, position)))


def elements(text: str) -> list[str]:
    """Return the texts of the elements of an array."""
    return [text[element.start : element.end] for element in _elements(text, _skip(text, 0))]


def escape_key(key: str) -> str:
    """Return a key as it is written in a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _spans_in(text: str, path: Path, value: Span) -> Iterator[Span]:
    if not path:
        yield value
        return
    children: Iterable[Span] = ()
    step, bracket = path[0], text[value.start]
    if bracket == "[" and step is Each.ELEMENT:
        children = _elements(text, value.start)
    elif bracket == "{" and step is Each.VALUE:
        children = _members(text, value.start)
    elif bracket == "{":
        children = [member for member in _members(text, value.start) if member.pointer == step][-1:]
    for child in children:
        pointer = f"{value.pointer}/{escape_key(child.pointer)}"
        yield from _spans_in(text, path[1:], Span(pointer, child.start, child.end))


def _elements(text: str, position: int) -> Iterator[Span]:
    position = _skip(text, position + 1)
    index = 0
    while text[position] != "]":
        end = _end(text, position)
        yield Span(str(index), position, end)
        position, index = _after(text, end), index + 1


def _members(text: str, position: int) -> Iterator[Span]:
    position = _skip(text, position + 1)
    while text[position] != "}":
        key, position = _DECODER.raw_decode(text, position)
        start = _skip(text, _skip(text, position) + 1)
        end = _end(text, start)
        yield Span(key, start, end)
        position = _after(text, end)


def _after(text: str, position: int) -> int:
    """Return where the next element starts after the one that ends at `position`."""
    position = _skip(text, position)
    return _skip(text, position + 1) if text[position] == "," else position


def _end(text: str, position: int) -> int:
    return _DECODER.raw_decode(text, position)[1]


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
