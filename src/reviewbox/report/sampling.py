"""Chooses items from a stream: at random, or those with the highest keys."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_SEED = 0  # the same results give the same page


class Reservoir(Generic[T]):
    """A uniform random sample of items that are offered one by one (Vitter 1985, algorithm R)."""

    def __init__(self, size: int) -> None:
        self.items: list[T] = []
        self.offered = 0
        self._size = size
        self._random = random.Random(_SEED)  # noqa: S311 - a sample, not a secret

    def offer(self, make: Callable[[], T]) -> None:
        """Offer an item, which the sample may keep; `make` is called only if it does."""
        self.offered += 1
        if len(self.items) < self._size:
            self.items.append(make())
        elif (place := self._random.randrange(self.offered)) < self._size:
            self.items[place] = make()


class Top(Generic[T]):
    """The items with the highest keys. It keeps one of several with the same text."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[Ranked[T]] = []
        self._texts: set[str] = set()  # the texts of the items
        self._offered = 0

    def offer(self, key: float, item: T, text: str = "") -> None:
        """Keep an item if its key is high enough. Items without a text all differ."""
        self._offered += 1
        if text in self._texts:
            return
        ranked = Ranked(key, -self._offered, item, text)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, ranked)
        elif key > self._heap[0].key:
            self._texts.discard(heapq.heapreplace(self._heap, ranked).text)
        else:
            return
        if text:
            self._texts.add(text)

    def ranked(self) -> "list[Ranked[T]]":
        """Return the items with their keys, the highest first."""
        return sorted(self._heap, reverse=True)


@dataclass(frozen=True, slots=True, order=True)
class Ranked(Generic[T]):
    """An item and its key. If two keys are equal, the item that was offered first comes first."""

    key: float
    order: int
    item: T = field(compare=False)
    text: str = field(default="", compare=False)
