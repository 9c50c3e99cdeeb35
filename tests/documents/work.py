"""Counts work instead of measuring time, so that a busy machine makes no difference."""

import sys
from collections.abc import Callable
from typing import Any


def lines_executed(call: Callable[[], object]) -> int:
    """Return how many lines of Python are executed in a call.

    This shows if values are read again and again. It does not show what a compiled function does, such as a
    single regular expression.
    """
    lines = 0

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(previous)
    return lines


def longest_without_check(call: Callable[[Callable[[], None]], object]) -> int:
    """Return the most lines of Python that are executed between two calls of the argument of `call`."""
    lines = last = longest = 0

    def check() -> None:
        nonlocal last, longest
        longest, last = max(longest, lines - last), lines

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        call(check)
    finally:
        sys.settrace(previous)
    check()
    return longest
