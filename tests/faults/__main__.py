"""Attacks the real handlers with random faults on models of S3 and SQS, and checks what is left at rest."""

import argparse
import logging
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests import tiny
from tests.faults.choices import Choices, shorten
from tests.faults.policy import Policy
from tests.faults.uploads import Deployment
from tests.faults.world import Totals, World, inline_pools

from reviewbox.model.classifier import Classifier
from reviewbox.settings import Settings


def deployments(folder: Path) -> list[Deployment]:
    """Return deployments with two models, and with different settings."""
    contrary = {word: -weight for word, weight in tiny.WORDS.items()}
    models = [
        Classifier.load(tiny.write_model(folder / "first")),
        Classifier.load(tiny.write_model(folder / "second", words=contrary)),
    ]
    base = Settings(segment_bytes=300, objects_at_once=4)
    strict = Settings(segment_bytes=200, objects_at_once=4, needs_review_below=1.0)
    return [
        Deployment("model 1", models[0], base),
        Deployment("model 2", models[1], base),
        Deployment("model 1 with other settings", models[0], strict),
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sequences", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", action="store_true")
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.CRITICAL)
    logging.disable()
    totals, began = Totals(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = deployments(Path(folder))
        policy = Policy()
        seed = options.seed

        def run(seed: int, tape: Sequence[int] | None = None) -> tuple[World, BaseException | None]:
            world = World(Choices(seed, tape), made, policy, threads=options.threads)
            try:
                if options.threads:
                    world.run()
                else:
                    with inline_pools():
                        world.run()
            except Exception as error:
                return world, error
            return world, None

        while (options.sequences and totals.sequences < options.sequences) or (
            not options.sequences and time.monotonic() - began < options.seconds
        ):
            world, error = run(seed)
            if error:
                print(f"seed {seed}: {error}")
                traceback.print_exception(error)
                if not options.threads:
                    tape = shorten(world.choices.made, lambda t: type(run(seed, t)[1]) is type(error))
                    world, error = run(seed, tape)
                print("\n".join(world.log))
                print(error)
                return 1
            totals.add(world.totals)
            seed += 1
    print(totals, time.monotonic() - began)
    return 0


sys.exit(main())
