import pytest
from rich.console import Console

from reviewbox.cli.render import (
    number_of,
    print_line,
    printable,
    receipt_line,
    rounded_bytes,
    rounded_dollars,
    rounded_seconds,
    verdict_cells,
)

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
