"""Counts work instead of measuring time, so that a busy machine makes no difference."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def lines_executed(call: Callable[[], object]) -> int:
    """Return how many lines of Python are executed in a call.

    This shows whether values are read repeatedly. It does not show what a compiled function does, such as a
    single regular expression.
    """
    with counted_lines() as lines:
        call()
    return lines()


def lines_between_checks(call: Callable[[Callable[[], None]], object]) -> list[int]:
    """Return how many lines of Python are executed between calls of the argument of `call`, and outside."""
    last = 0
    between: list[int] = []

    def check() -> None:
        nonlocal last
        number = lines()
        between.append(number - last)
        last = number

    with counted_lines() as lines:
        call(check)
    check()
    return between


@contextmanager
def counted_lines() -> Iterator[Callable[[], int]]:
    """Count the lines that are executed while the context lasts; yield a function that returns the number."""
    number = 0

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        # Most of the time of these tests is spent here, and a variable is faster than an attribute.
        nonlocal number
        if event == "line":
            number += 1
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lambda: number
    finally:
        sys.settrace(previous)
