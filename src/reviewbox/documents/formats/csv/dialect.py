"""How the fields of a delimited table are separated and quoted."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from reviewbox.documents.value_kinds import MISSING

# How quotes inside quoted fields are written: doubled, as in RFC 4180; or after a backslash, as Spark does.
DOUBLED, ESCAPED = "doubled", "backslash"
# There are no quoted fields: a quote is an ordinary character. In the text format of PostgreSQL and MySQL,
# backslashes also escape tabs and line breaks.
NONE, TEXT = "none", "text"

_TEXT_CELL = re.compile(r"(?:\A|\t)((?:[^\t\\]++|\\.|\\\Z)*+)", re.DOTALL)
_TEXT_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TEXT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A delimiter and a quoting style."""

    delimiter: str  # the character between two fields
    quotes: str = DOUBLED  # the quoting style
    # Whether spaces after a delimiter are not part of the field, so that `a, "b"` is quoted.
    skips_space: bool = False
    # Whether a record may be one quoted field that contains the actual record, as Excel writes a table that
    # was pasted into one column.
    is_wrapped: bool = False

    def reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        """Return Python's CSV reader for this dialect."""
        return csv.reader(lines, skipinitialspace=self.skips_space, strict=strict, **self._options)

    def closes_quotes_at_cell_ends(self, record: str) -> bool:
        """Return whether no cell of a record continues after its closing quote.

        Python's strict reader refuses such a cell only if quotes are doubled.
        """
        if self.quotes != ESCAPED:
            return True
        cell = rf'(?:"(?:[^"\\]++|\\.)*+"|(?!")(?:[^{re.escape(self.delimiter)}\\]++|\\.)*+)'
        return bool(re.fullmatch(rf"{cell}(?:{re.escape(self.delimiter)}{cell})*+", record, re.DOTALL))

    def split(self, record: str) -> list[str]:
        """Return the cells of a record that has no quoted field."""
        cells = record.split(self.delimiter)
        return [cell.lstrip(" ") for cell in cells] if self.skips_space else cells

    def split_text(self, record: str) -> list[str]:
        """Return the cells of a record in the text format."""
        return _TEXT_CELL.findall(record)

    def unwrap(self, cell: str) -> list[str]:
        """Return the cells of a record that was read as one quoted cell."""
        try:
            rows = list(self.reader(StringIO(cell, newline=""), strict=True))
        except csv.Error:
            return [cell]
        return rows[0] if len(rows) == 1 else [cell]

    def join(self, cells: Sequence[str]) -> str:
        """Return cells as a record without its line end."""
        if self.quotes in (NONE, TEXT):
            return self.delimiter.join(re.sub(r"\\?\t", r"\\t", cell) for cell in cells)
        text = StringIO()
        # Programs that separate fields with spaces treat several spaces as one.
        quoting: Any = csv.QUOTE_ALL if self.delimiter == " " else csv.QUOTE_MINIMAL
        csv.writer(text, quoting=quoting, **self._options).writerow(cells)
        return text.getvalue().removesuffix("\r\n")

    @property
    def _options(self) -> dict[str, Any]:
        escape = "\\" if self.quotes == ESCAPED else None
        return {"delimiter": self.delimiter, "doublequote": self.quotes == DOUBLED, "escapechar": escape}

    def escape(self, value: str) -> str:
        """Return a value as a cell for `join`."""
        if self.quotes != TEXT:
            return value
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")

    def unescape(self, cell: str) -> str:
        """Return the value of a cell."""
        if self.quotes != TEXT or "\\" not in cell or cell in MISSING:
            return cell
        return _TEXT_ESCAPE.sub(lambda match: _TEXT_ESCAPES.get(match[1], match[1]), cell)
