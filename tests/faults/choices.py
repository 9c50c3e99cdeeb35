"""Random choices that can be replayed and shortened."""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_CERTAIN = 100


class Choices:
    """A source of choices. Choice 0 is always the simplest outcome.

    Args:
        seed: what random choices depend on.
        tape: choices to repeat instead; after its end, every choice is 0.
    """

    def __init__(self, seed: int, tape: Sequence[int] | None = None) -> None:
        self.made: list[int] = []
        self._random = random.Random(seed)
        self._tape = tape

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` (exclusive)."""
        if self._tape is None:
            made = self._random.randrange(limit)
        else:
            made = self._tape[len(self.made)] % limit if len(self.made) < len(self._tape) else 0
        self.made.append(made)
        return made

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        """Return True with this probability."""
        return self.below(_CERTAIN) >= _CERTAIN - percent

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in a different order."""
        remaining = list(items)
        return [remaining.pop(self.below(len(remaining))) for _ in items]


def shorten(tape: Sequence[int], fails: Callable[[Sequence[int]], bool], max_tries: int = 200) -> list[int]:
    """Return a shorter and simpler tape that still fails: without blocks of choices, and with zeros."""
    best, tries, size = list(tape), 0, max(1, len(tape) // 2)
    while size:
        start = 0
        while start < len(best) and tries < max_tries:
            for candidate in (
                [*best[:start], *best[start + size :]],
                [*best[:start], *[0] * len(best[start : start + size]), *best[start + size :]],
            ):
                tries += 1
                if candidate != best and fails(candidate):
                    best = candidate
                    break
            else:
                start += size
        size //= 2
    return best
