"""What a check found, and how to fix what is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    check: str  # what was checked
    state: State  # how it ended
    detail: str  # what was found, or why it was skipped
    remedy: str = ""  # what to do; "" if nothing is wrong


def judge(check: str, detail: str, remedy: str, state: State = State.WARNING) -> Finding:
    """Return a finding in this state, or that the check is OK if there is nothing to do."""
    return Finding(check, state if remedy else State.OK, detail, remedy)


def conclude(
    check: str, problems: Mapping[str, str], healthy: str, state: State = State.FAILED
) -> Iterator[Finding]:
    """Yield a finding for each problem or, if there is none, one that the check is OK.

    `problems` maps each problem to its remedy. `healthy` is the detail if there is no problem.
    """
    for detail, remedy in problems.items():
        yield Finding(check, state, detail, remedy)
    if not problems:
        yield Finding(check, State.OK, healthy)
