"""Checks that apply to the rows of every format."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from reviewbox.documents.document import Row
from reviewbox.documents.lines import at_line, at_row
from reviewbox.documents.pacing import paced
from reviewbox.errors import ErrorCode, Problem

# NUL is refused by databases. Lone surrogates cannot be encoded as UTF-8.
_INVALID_CHARACTER = re.compile(r"[\0\ud800-\udfff]")


def check_rows(
    rows: Iterable[Row],
    end_row: Callable[[], Row | None] = lambda: None,
    doubtful_after: int | None = None,
    *,
    are_lines: bool = True,
    check_time: Callable[[], None] = lambda: None,
) -> Iterator[Row]:
    """Yield rows, with a problem instead of each review that cannot be used.

    Args:
        rows: the rows that a format returned.
        end_row: returns the row for what is missing or left over at the end of a damaged source; None if
            the source is intact. It is called only after the source has been read to its end.
        doubtful_after: the line of a quote that a truncated source leaves open. The lines after it may
            belong to the review in which that quote opens. None to find it.
        are_lines: whether the rows are lines of text, and not rows of a binary table.
        check_time: called repeatedly; if it raises, reading stops.
    """
    rows = paced(rows, check_time, lambda row: len(row.text))
    for row in map(partial(_check_characters, are_lines=are_lines), rows):
        if (
            doubtful_after is not None
            and row.line > doubtful_after
            and not (row.problem or row.is_passthrough)
        ):
            problem = Problem(
                ErrorCode.TRUNCATED_FILE,
                "the row may be part of a review whose end is missing; upload the file again",
            )
            yield replace(row, text="", problem=at_line(row.line, problem))
            continue
        if row.open_at_end and doubtful_after is None and (end := end_row()) and is_truncated(end.problem):
            doubtful_after = row.line
        yield row
    if end := end_row():
        yield end


def is_truncated(problem: Problem | None) -> bool:
    """Return whether the problem is that a source ends early."""
    return problem is not None and problem.code is ErrorCode.TRUNCATED_FILE


def _check_characters(row: Row, *, are_lines: bool) -> Row:
    match = _INVALID_CHARACTER.search(row.text)
    if match is None:
        return row
    if match[0] == "\0":
        problem = Problem(ErrorCode.NUL_CHARACTER, "the review contains a NUL character; remove it")
    else:
        problem = Problem(
            ErrorCode.LONE_SURROGATE,
            f"the review contains half of a character (U+{ord(match[0]):04X}), as in text that was cut in "
            "the middle of an emoji; remove it",
        )
    if are_lines:
        line = row.line + row.text.count("\n", 0, match.start())
        return replace(row, text="", problem=at_line(line, problem))
    return replace(row, text="", problem=at_row(row.line, problem))
