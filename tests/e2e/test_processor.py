"""The shipped model on a processor with AVX2 but not AVX-512, which is the minimum on Lambda."""

import json
import shutil
import subprocess
import sys

import pytest
from processes import ROOT

SCRIPT = """
import json, sys
from reviewbox.model.classifier import Classifier
texts = [json.loads(line)["text"] for line in sys.stdin]
verdicts = Classifier.load("model").classify_each(texts, explain=False)
print(json.dumps([verdict.scores["positive"] for verdict in verdicts]))
"""
PAIRS = ROOT / "model" / "recipe" / "minimal_pairs.jsonl"
TOLERANCE = 1e-3


def scores(*emulator: str) -> list[float]:
    """Return the scores of our minimal pairs from another process, which `emulator` runs if given."""
    lines = PAIRS.read_text(encoding="utf-8").splitlines(keepends=True)
    process = subprocess.run(  # noqa: S603 - no input from outside
        [*emulator, sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        input="".join(lines[:120]),
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(score) for score in json.loads(process.stdout)]


@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="needs qemu-x86_64 (package qemu-user)")
def test_a_processor_without_avx512_gives_the_same_scores() -> None:
    native, haswell = scores(), scores("qemu-x86_64", "-cpu", "Haswell")

    assert haswell == pytest.approx(native, abs=TOLERANCE)
    assert [score > 0.5 for score in haswell] == [score > 0.5 for score in native]
