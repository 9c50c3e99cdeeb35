"""`reviewbox doctor`: checks the installation and a stack, and says how to fix what is wrong."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from reviewbox.cli.output import Format, print_report
from reviewbox.cli.progress import track
from reviewbox.cli.render import cell, new_table, new_terminal
from reviewbox.stack.aws import connect
from reviewbox.stack.deployment import Connect
from reviewbox.stack.doctor import examine_installation, examine_stack
from reviewbox.stack.finding import Finding, State
from reviewbox.stack.resource_checks import CHECKS

_CHECKS = 3 + len(CHECKS)  # Python, the model and the credentials, and the checks of the stack
_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.SKIPPED: "dim"}


def run_doctor(stack: str, model: Path | None, format_: Format, connect_to: Connect = connect) -> bool:
    """Print the findings of all checks; return whether nothing failed."""
    examined = chain(examine_installation(model), examine_stack(stack, connect_to, time.time))
    findings = list(track(examined, "Checking", _CHECKS))
    print_findings(findings, format_)
    return not any(finding.state is State.FAILED for finding in findings)


def print_findings(findings: Sequence[Finding], format_: Format) -> None:
    """Print findings as a table, as one JSON object, or as rows."""
    if format_ is not Format.TABLE:
        rows = [asdict(finding) for finding in findings]
        print_report({"findings": rows}, rows, format_, indent=2)
        return
    table = new_table("check", "", "found", "what to do")
    for finding in findings:
        state = cell(finding.state, _STYLES[finding.state])
        table.add_row(finding.check, state, cell(finding.detail), cell(finding.remedy))
    new_terminal().print(table)
