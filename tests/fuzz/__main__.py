"""Fuzzes every kind of input, guided by coverage, and prints what was tried."""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import CORPUS, GROWN_CORPUS, TARGETS

# Logs, and the cases that failed.
FOLDER = Path("build/fuzz")
# The tests' settings require more coverage than a single kind of test reaches.
_COVERAGE_SETTINGS = """\
[run]
branch = true
source = reviewbox, handlers
omit = */cli/*, */local/*, */report/*, */stack/*, */folder_storage.py
"""
# A case that takes longer hangs. Even on a busy machine, none takes nearly as long.
_HANG_SECONDS = 120
_MAX_MEMORY_MB = 1_500  # the functions have 1,769
_MAX_CASE_BYTES = 8_192

_STATUS = re.compile(r"^#(?P<cases>\d+)\s.*?(?:cov: (?P<edges>\d+).*?)?corp: (?P<corpus>\d+)/", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """What libFuzzer reported about a target.

    Attributes:
        target: its name.
        cases: how many inputs were tried.
        edges: how many branches of the code they reached.
        corpus: how many inputs it takes to reach them.
        has_failed: whether an input failed the check, hung, or took too much memory.
    """

    target: str
    cases: int
    edges: int
    corpus: int
    has_failed: bool

    def __str__(self) -> str:
        result = "FAILED" if self.has_failed else "ok"
        return f"{self.target:15}{self.cases:>12,}{self.edges:>10,}{self.corpus:>10,}  {result}"


def fuzz(target: str, seconds: int) -> Run:
    """Fuzz a target in a process of its own. It starts from the kept corpus and from that of earlier runs."""
    grown, kept, log = GROWN_CORPUS / target, CORPUS / target, FOLDER / f"{target}.log"
    for path in (grown, kept):
        path.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "timeout": _HANG_SECONDS,
        "rss_limit_mb": _MAX_MEMORY_MB,
        "max_len": _MAX_CASE_BYTES,
        "artifact_prefix": f"{FOLDER}/{target}-",
    }
    command = [sys.executable, "-m", "tests.fuzz.one_target", target]
    command += [f"-{name}={value}" for name, value in options.items()]
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - our own module
            [*command, str(grown), str(kept)], stdout=output, stderr=subprocess.STDOUT, check=False
        )
    status = list(_STATUS.finditer(log.read_text(encoding="utf-8", errors="replace")))
    counts = {name: int(value or 0) for name, value in status[-1].groupdict().items()} if status else {}
    return Run(target, **{"cases": 0, "edges": 0, "corpus": 0} | counts, has_failed=done.returncode != 0)


def coverage() -> str:
    """Return the share of the lines and branches of the service that all corpora reach, in percent."""
    settings, data = FOLDER / "coveragerc", f"--data-file={FOLDER / 'coverage'}"
    settings.write_text(_COVERAGE_SETTINGS, encoding="utf-8")
    python = [sys.executable, "-m", "coverage"]
    replay = [*python, "run", f"--rcfile={settings}", data, "-m", "tests.fuzz.replay"]
    subprocess.run(replay, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    report = [*python, "report", f"--rcfile={settings}", data, "--format=total"]
    return subprocess.run(report, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the targets that the arguments name, and return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=600, help="the time for all targets together")
    options = parser.parse_args(arguments)
    targets = options.targets or list(TARGETS)
    print(f"{'target':15}{'inputs':>12}{'branches':>10}{'corpus':>10}")
    runs = []
    for target in targets:
        runs.append(fuzz(target, max(1, options.seconds // len(targets))))
        print(runs[-1], flush=True)
    failed = [run.target for run in runs if run.has_failed]
    for target in failed:
        print(f"see {FOLDER}/{target}.log; python -m tests.fuzz.replay {target} {FOLDER}/{target}-*")
    inputs = f"{sum(run.cases for run in runs):,} inputs"
    print(f"make fuzz: {inputs}, {len(failed)} failed targets, {coverage()}% of the code reached")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
