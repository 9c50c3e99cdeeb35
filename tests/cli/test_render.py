import pytest

from reviewbox.cli.render import number_of, rounded_bytes, rounded_dollars, rounded_seconds


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
