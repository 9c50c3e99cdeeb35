"""Counts work instead of measuring time, so that a busy machine makes no difference."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


def lines_executed(call: Callable[[], object]) -> int:
    """Return how many lines of Python are executed in a call.

    This shows if values are read again and again. It does not show what a compiled function does, such as a
    single regular expression.
    """
    with _counted_lines() as lines:
        call()
    return lines.number


def longest_without_check(call: Callable[[Callable[[], None]], object]) -> int:
    """Return the most lines of Python that are executed between two calls of the argument of `call`."""
    last = longest = 0

    def check() -> None:
        nonlocal last, longest
        longest, last = max(longest, lines.number - last), lines.number

    with _counted_lines() as lines:
        call(check)
    check()
    return longest


@dataclass(slots=True)
class _Lines:
    number: int = 0


@contextmanager
def _counted_lines() -> Iterator[_Lines]:
    """Count the lines that are executed while the context lasts."""
    lines = _Lines()

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        lines.number += event == "line"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(previous)
