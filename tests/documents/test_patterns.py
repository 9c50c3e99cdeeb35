"""Regular expressions of readers take linear work, which the lines of Python that they run do not show.

A search tries each place in the text. If a pattern can begin with any number of characters, a long run of
them is scanned again from each of its characters, and the time grows with the square of the run.
"""

import ast
import re
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import reviewbox
from reviewbox.documents.formats.one_review import refuse_other_texts
from reviewbox.report.values import parse_rating

ROOT = Path(reviewbox.__file__).parents[1]
# What reads or shows the content of files.
FOLDERS = ("documents", "model", "report", "results")
MODULES = {
    path: ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in FOLDERS
    for path in sorted((ROOT / "reviewbox" / folder).rglob("*.py"))
}
SEARCHES = {"search", "sub", "subn", "split", "findall", "finditer"}
ASSERTIONS = {_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT}
REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}


def is_slow(items: Any, *, is_followed: bool = False) -> bool:
    """Return whether a parsed pattern can begin with a long run that is scanned in vain.

    `is_followed` is whether more has to match after it. A run with nothing after it always matches, and one
    after a lookbehind begins in one place only.
    """
    for index, (operation, argument) in enumerate(items):
        rest = items[index + 1 :]
        has_rest = is_followed or rest.getwidth()[0] > 0 or any(each in ASSERTIONS for each, _ in rest)
        if operation in REPEATS:
            least, most, repeated = argument
            if (most == _constants.MAXREPEAT and has_rest) or is_slow(repeated, is_followed=has_rest):
                return True
            if least:
                return False
        else:
            return any(is_slow(each, is_followed=has_rest) for each in alternatives(operation, argument))
    return False


def alternatives(operation: Any, argument: Any) -> Sequence[Any]:
    """Return the patterns in a group, one of which has to match; none if it is not a group."""
    if operation is _constants.BRANCH:
        return list(argument[1])
    if operation is _constants.SUBPATTERN:
        return [argument[-1]]
    return [argument] if operation is _constants.ATOMIC_GROUP else []


def searched() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield the patterns with which the readers search, and where they do so."""
    for path, name in MODULES.items():
        module = import_module(name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=holder), attr=method)) if (
                    method in SEARCHES
                ):
                    pattern = getattr(module, holder, None)
                    if holder == "re" and isinstance(node.args[0], ast.Constant):
                        pattern = re.compile(node.args[0].value)
                    if isinstance(pattern, re.Pattern):
                        yield f"{name}:{node.lineno} {holder}", pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\s*[\r\n]\s*", True),
        (r"(?:a|b*+)c", True),
        (r"(\w+?)y", True),
        (r"\s+$", True),
        (r"x?\s+y", True),
        (r"[\r\n]\s*+", False),
        (r"a{1,9}b*", False),
        (r"\w+(?:'\w+)?", False),
        (r"(?<!\w)\w+,", False),
    ],
)
def test_a_pattern_that_can_begin_with_a_long_run_is_recognized(pattern: str, *, expected: bool) -> None:
    assert is_slow(_parser.parse(pattern)) == expected


def test_no_reader_searches_for_a_pattern_that_can_begin_with_a_long_run() -> None:
    found = dict(searched())

    assert len(found) > 10
    assert not [
        f"{place}: {pattern.pattern!r}"
        for place, pattern in found.items()
        if is_slow(_parser.parse(pattern.pattern, pattern.flags))
    ]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (refuse_other_texts, f"name ={' ' * 20_000}two words\n"),
        (parse_rating, f"5{' ' * 20_000}points"),
    ],
)
def test_a_run_of_spaces_is_not_divided_in_every_possible_way(
    read: Callable[[Any], object], text: str
) -> None:
    """Two patterns for spaces may follow each other, if only one of them gives characters back."""
    start = time.process_time()

    read(text)

    assert time.process_time() - start < 0.5
