"""Interrupts long reading from time to time, so that the caller can stop it."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")

# The work between two interruptions takes milliseconds.
_INTERVAL = 64 * 1024  # characters
_CHARACTERS_PER_STEP = 100  # the work for a step without its characters, such as a short line


class Pace:
    """Calls a function after each interval of work."""

    def __init__(self, check_time: Callable[[], None]) -> None:
        self._check_time = check_time
        self._left = 0

    def step(self, characters: int = 0) -> None:
        """Count the next step; call the function first if the interval is over, and let its error pass."""
        if self._left <= 0:
            self._left = _INTERVAL
            self._check_time()
        self._left -= characters + _CHARACTERS_PER_STEP


def paced(
    items: Iterable[_T], check_time: Callable[[], None], size_of: Callable[[_T], int] = lambda _: 0
) -> Iterator[_T]:
    """Yield the items; call `check_time` after each interval of work. `size_of` returns characters."""
    pace = Pace(check_time)
    for item in items:
        pace.step(size_of(item))
        yield item
