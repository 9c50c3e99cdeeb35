"""Words that commands and pages share."""


def number_of(count: int, noun: str) -> str:
    """Return a count and its noun, in the plural if the count is not 1."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
