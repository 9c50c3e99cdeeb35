"""Random uploads, deletions, duplicates, competing and dying workers: at rest, each result has one copy."""

import random
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

import pytest
from tests.catalog.service import Service
from tests.catalog.test_catalog import WorkerDiedError, die
from tests.conftest import BUCKET
from tests.faults.clients import Client

from reviewbox.model.classifier import Classifier

KEYS = ("incoming/a.csv", "incoming/b.csv")
STEPS = 10
WORDS = ("good", "great", "bad", "awful")


@dataclass(slots=True)
class World:
    """Sources that change, on days that pass, and the workers that copy their results."""

    service: Service
    random: random.Random
    day: int = 1
    expected: dict[str, list[str]] = field(default_factory=dict)

    def step(self) -> None:
        """Change a result, deliver an event of one, or both, with faults."""
        key = self.random.choice(KEYS)
        if self.random.random() < 0.6:
            self.change(key)
        self.deliver(key)

    def change(self, key: str) -> None:
        """Upload a file again, on the same day or on a later one, or delete its result."""
        self.day += self.random.choice((0, 0, 1))
        other = self.service.other_worker()
        if self.random.random() < 0.2:
            other.s3.delete_object(Bucket=BUCKET, Key=f"results/{key}.json")
            self.expected.pop(key, None)
            return
        texts = [f"{self.random.choice(WORDS)} film {self.random.random()}" for _ in range(2)]
        other.upload(key, "\n".join(["id,comment", *(f"1,{text}" for text in texts), ""]).encode())
        self.expected[key] = sorted(texts)

    def deliver(self, key: str, *, in_peace: bool = False) -> None:
        """Have a worker copy a result; it may die, or be overtaken by changes and by other workers."""
        worker = self.service.other_worker()
        with ExitStack() as faults:
            faults.enter_context(suppress(WorkerDiedError))
            if not in_peace:
                for fault in (partial(self.change, key), partial(self.deliver, key), die):
                    if self.random.random() < 0.35:
                        number = self.random.randrange(9)
                        faults.enter_context(worker.before_request(number, fault))
            worker.copy(key, f"2026-11-{self.day:02}")


@pytest.mark.parametrize("seed", range(12))
def test_at_rest_there_is_one_copy_of_each_result(s3: Client, classifier: Classifier, seed: int) -> None:
    world = World(Service(s3, classifier), random.Random(seed))  # noqa: S311 - no secret
    for _ in range(STEPS):
        world.step()

    for key in KEYS:  # the messages of workers that died, and of the last changes
        world.deliver(key, in_peace=True)

    rows = (
        world.service.query("SELECT source_key, review FROM results ORDER BY ALL") if world.expected else []
    )
    assert rows == [(key, text) for key in sorted(world.expected) for text in world.expected[key]]
    assert len(world.service.files()) == len(world.expected)
