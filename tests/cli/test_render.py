import ast
import json
from pathlib import Path

import pytest
from rich.console import Console

from reviewbox import cli
from reviewbox.cli.render import (
    print_json,
    print_line,
    print_plain,
    printable,
    receipt_line,
    rounded_bytes,
    rounded_dollars,
    rounded_seconds,
    verdict_cells,
)
from reviewbox.cli.status import print_reasons
from reviewbox.stack.status import FailureReason
from reviewbox.wording import number_of

ESCAPE = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 👍\ttab\nline", "plain é 👍\ttab\nline"),
        (ESCAPE, r"\x1b]0;owned\x07\x1b[31m\x9b2J\u202e"),
        ("\ud800", "?"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_text_of_a_user_reaches_the_terminal_raw() -> None:
    verdict = {"sentiment": "positive", "score": 1.0, "needs_review": False}
    evidence = [{"start": 0, "end": len(ESCAPE), "support": 1.0}]
    problem = {"error_code": "not_text", "error_message": ESCAPE}
    terminal = Console(width=500)

    with terminal.capture() as capture:
        terminal.print(*verdict_cells({**verdict, "evidence": evidence}, ESCAPE))
        terminal.print(*verdict_cells(problem, ""))
        terminal.print(receipt_line({"error": {"code": "not_text", "message": ESCAPE}}))
        print_line(terminal, ESCAPE)

    assert capture.get().count("owned") == 4
    assert not {"\x07", "\x1b", "\x9b", "\u202e"} & set(capture.get())


@pytest.mark.parametrize(
    ("dollars", "text"), [(0, "$0.00"), (0.004, "< $0.01"), (0.01, "$0.01"), (1234.5, "$1,234.50")]
)
def test_dollars_are_rounded_to_cents(dollars: float, text: str) -> None:
    assert rounded_dollars(dollars) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (16_777_216, "16.8 MB"), (10**16, "10,000.0 TB")],
)
def test_sizes_have_one_decimal_and_a_unit(size: int, text: str) -> None:
    assert rounded_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (1.7, "2 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (200_000, "2 days"),
    ],
)
def test_durations_are_whole_numbers_of_a_unit(seconds: float, text: str) -> None:
    assert rounded_seconds(seconds) == text


def test_counts_have_singular_or_plural_nouns() -> None:
    assert [number_of(n, "object") for n in (0, 1, 5000)] == ["0 objects", "1 object", "5,000 objects"]


def test_json_for_a_terminal_has_no_control_characters_and_the_same_meaning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {ESCAPE: [ESCAPE, "é 👍", "\ud800"]}

    print_json(value)

    printed = capsys.readouterr().out
    assert not {"\x07", "\x1b", "\x9b", "\u202e", "\ud800"} & set(printed)
    assert json.loads(printed) == value


def test_lines_and_names_in_a_receipt_do_not_reach_the_terminal_raw(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = {"labels": {ESCAPE: 1}, "total": 2, "needs_review": 0, "failed": 1, "errors": {ESCAPE: 1}}
    terminal = Console(width=500)

    with terminal.capture() as capture:
        terminal.print(receipt_line({"counts": counts}))
        print_reasons("failed", [FailureReason(ESCAPE, ESCAPE, ESCAPE)], terminal)
    print_plain(ESCAPE)
    print_plain(ESCAPE, to_stderr=True)

    printed = capsys.readouterr()
    shown = capture.get() + printed.out + printed.err
    assert shown.count("owned") == 7
    assert not {"\x07", "\x1b", "\x9b", "\u202e"} & set(shown)


@pytest.mark.parametrize("path", sorted(Path(cli.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_commands_print_only_through_functions_that_escape(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    raw = [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func) in ("print", "typer.echo", "Text", "sys.stdout.write")
        and not all(isinstance(argument, ast.Constant) for argument in call.args)
    ]

    assert raw == [] or path.name == "render.py" or raw == ["print(f'reviewbox {__version__}')"]


def test_one_row_is_not_one_rows() -> None:
    counts = {"labels": {"mixed": 1}, "total": 1, "needs_review": 1, "failed": 0, "errors": {}}

    assert receipt_line({"counts": counts}).plain == "1 mixed (1 row, 1 needs review, 0 failed)"
