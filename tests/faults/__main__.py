"""Attacks the real handlers with faults, on fakes of S3 and SQS, and checks what is left at rest.

    make faults                                  for ten minutes, from seed 0
    make faults SECONDS=60 SEED=17               for a minute, from another seed
    make faults REPEAT=calls:17                  one sequence again

There are three kinds of attacks; each gets a third of the time.

- scripts: an upload, or one after another to the same key; at each of its requests to S3 and SQS, one
  disturbance: each fault of `workers.Fault` and each interference of `attacks.Interference`. Which of them
  are tried first depends on the seed.
- calls: random sequences of uploads, deletions, deployments, sweeps and deliveries on up to four workers, one
  of which performs a request at a time. The seed determines the order of all requests, and their faults. In
  some sequences, someone else changes results.
- threads: the same, but the workers are threads that run at once. The seed determines what happens, and the
operating system in which order.

In half of them, results are also announced to an event bus, or copied into a catalog.

Then everything is delivered without more faults. Dead letters are delivered again, or are lost, and a sweep
comes. `checks` says what must hold.
A failure is printed with what happened; a sequence of calls is first made as short as possible.
"""

import argparse
import logging
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count, product
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import tiny
from tests.faults.attacks import DISTURBANCES, SCRIPTS, RandomAttack, ScriptedAttack, count_requests
from tests.faults.choices import Choices, shorten
from tests.faults.policy import Policy
from tests.faults.stack import BrokenPromiseError, Stack, Totals, inline_pools
from tests.faults.uploads import Deployment
from tests.faults.workers import Fault

from reviewbox.model.classifier import Classifier
from reviewbox.settings import Settings

Attack = RandomAttack | ScriptedAttack

KINDS = ("scripts", "calls", "threads")


def deployments(folder: Path) -> list[Deployment]:
    """Return deployments with two models, and with different settings."""
    contrary = {word: -weight for word, weight in tiny.WORDS.items()}
    first = Classifier.load(tiny.write_model(folder / "first"))
    second = Classifier.load(tiny.write_model(folder / "second", words=contrary))
    base = Settings(segment_bytes=300, max_object_bytes=4000, objects_at_once=4)
    strict = replace(base, segment_bytes=200, needs_review_below=1.0)
    return [
        Deployment("model 1", first, base),
        Deployment("model 2", second, base),
        Deployment("model 1 and other settings", first, strict),
    ]


class Runner:
    """Makes attacks by their names, and runs them."""

    def __init__(self, folder: Path) -> None:
        self._deployments = deployments(folder)
        self._policy = Policy.of_uploads()
        self._lengths: dict[int, int] = {}  # how many requests the scripts make

    def new_stack(self, *, has_followers: bool = False) -> Stack:
        """Return a new stack; with followers, it has a catalog and an event bus."""
        copying = Policy.of_results() if has_followers else None
        return Stack(self._deployments[0], self._policy, copying, has_followers)

    def names(self, kind: str, seed: int) -> Iterator[str]:
        """Yield the names of attacks of one kind."""
        if kind == "scripts":
            yield from self._names_of_scripts(random.Random(seed))
        else:
            yield from (f"{kind}:{number}" for number in count(seed))

    def _names_of_scripts(self, chance: random.Random) -> Iterator[str]:
        """Yield each request of each script once with each disturbance.

        The number of requests of a script is counted when its turn comes, because that takes a long time.
        """
        pairs = list(product(range(len(SCRIPTS)), range(len(DISTURBANCES))))
        chance.shuffle(pairs)
        starts = [chance.random() for _ in pairs]
        for turn in count():
            is_over = True
            for (script, disturbance), start in zip(pairs, starts, strict=True):
                length = self._count_requests(script)
                if turn < length:
                    is_over = False
                    yield f"scripts:{script}:{disturbance}:{(int(start * length) + turn) % length}"
            if is_over:
                return

    def _count_requests(self, script: int) -> int:
        if script not in self._lengths:
            with inline_pools():
                self._lengths[script] = count_requests(SCRIPTS[script], self._deployments, self._policy)
        return self._lengths[script]

    def make(self, name: str, tape: Sequence[int] | None = None) -> Attack:
        """Return the attack with this name. `tape` has other choices for it."""
        kind, *numbers = name.split(":")
        first, *rest = map(int, numbers)
        if kind == "scripts":
            disturbance, request = rest
            script = SCRIPTS[first]
            return ScriptedAttack(script, DISTURBANCES[disturbance], request, self._deployments, self._policy)
        choices = Choices(first, tape)
        return RandomAttack(choices, self._deployments, self._policy, threads=kind == "threads")

    def shortened(self, name: str, attack: Attack, promise: str) -> Attack:
        """Return a shorter attack that breaks the same promise, if one is found."""
        if not isinstance(attack, RandomAttack) or attack.stack.threads:
            return attack

        def fails(tape: Sequence[int]) -> bool:
            error = broken_promise(self.make(name, tape))
            return error is not None and error.promise == promise

        shorter = self.make(name, shorten(attack.choices.made, fails))
        broken_promise(shorter)
        return shorter


def broken_promise(attack: Attack) -> BrokenPromiseError | None:
    """Run an attack and return what it found, or None."""
    with nullcontext() if attack.stack.threads else inline_pools():
        try:
            attack.run()
        except BrokenPromiseError as error:
            return error
    return None


def main() -> int:
    """Run attacks, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to attack")
    parser.add_argument(
        "--sequences", type=int, help="how often to attack in each way, however long it takes"
    )
    parser.add_argument("--repeat", metavar="ATTACK", help="run one attack only, by its name")
    parser.add_argument("--only", choices=KINDS, help="attack in one way only")
    parser.add_argument("--keep-going", action="store_true", help="only count failures")
    options = parser.parse_args()
    logging.disable()
    print(f"seed {options.seed}", flush=True)
    totals = Totals()
    met: set[Fault] = set()
    broken: dict[str, list[str]] = {}
    with TemporaryDirectory() as folder:
        runner = Runner(Path(folder))
        kinds = [options.only] if options.only else KINDS
        for kind in [options.repeat] if options.repeat else kinds:
            names = iter([kind]) if options.repeat else runner.names(kind, options.seed)
            end = time.monotonic() + options.seconds / len(kinds)
            for number, name in enumerate(names):
                if number >= options.sequences if options.sequences else time.monotonic() > end:
                    break
                attack = runner.make(name)
                if error := broken_promise(attack):
                    if not options.keep_going:
                        return report(runner.shortened(name, attack, error.promise), name, error)
                    broken.setdefault(error.promise, []).append(name)
                    print(name, error, flush=True)
                totals.sequences += 1
                totals.add(attack.stack.totals)
                met |= faults_in(attack.stack.log)
    for promise, found in broken.items():
        print(f"{len(found)} attacks broke: {promise} ({', '.join(found[:5])})")
    print(
        f"{totals.sequences:,} sequences, {totals.faults:,} faults of {len(met)} kinds, "
        f"{totals.requests / totals.uploads:.1f} S3 requests per object, "
        f"{totals.messages / totals.uploads:.2f} messages per object"
    )
    return bool(broken)


def faults_in(log: Sequence[str]) -> set[Fault]:
    """Return the kinds of faults that requests in a log have met."""
    return {fault for fault in Fault if fault and any(line.endswith(fault) for line in log)}


def report(attack: Attack, name: str, error: BrokenPromiseError) -> int:
    """Print what broke a promise and how to repeat it, and return the exit status."""
    print(*attack.stack.log, sep="\n")
    print(f"\nBroken: {error}\nRepeat: make faults REPEAT={name}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
