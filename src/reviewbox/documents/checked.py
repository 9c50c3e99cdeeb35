"""A document's rows, looked at for what no format should let through."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reviewbox.documents.document import Row
from reviewbox.documents.lines import at_line
from reviewbox.errors import ErrorCode, Problem

# NUL, which databases refuse, and halves of characters, which UTF-8 cannot hold.
_UNFIT = re.compile(r"[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows, each checked for what no review may hold, and one more behind them.

    Attributes:
        rows: as a format gives them.
        last: stands for what is missing at the end, or is too much there.
        doubtful_after: the line of a quote that does not close, in a source whose end is missing.
    """

    rows: Iterable[Row]
    last: Row | None = None
    doubtful_after: int | None = None

    def __iter__(self) -> Iterator[Row]:
        for row in map(_checked, self.rows):
            if row.problem is None and self.doubtful_after is not None and row.line > self.doubtful_after:
                problem = Problem(ErrorCode.TRUNCATED_FILE, "it may belong to a review whose end is missing")
                yield replace(row, text="", problem=at_line(row.line, problem))
            else:
                yield row
        if self.last:
            yield self.last


def _checked(row: Row) -> Row:
    found = _UNFIT.search(row.text)
    if found is None:
        return row
    line = row.line + row.text.count("\n", 0, found.start())
    if found[0] == "\0":
        problem = Problem(ErrorCode.NUL_CHARACTER, "the review holds a NUL character: take it out")
    else:
        message = f"the review holds half a character (U+{ord(found[0]):04X}), as text cut in the middle does"
        problem = Problem(ErrorCode.LONE_SURROGATE, message)
    return replace(row, text="", problem=at_line(line, problem))
