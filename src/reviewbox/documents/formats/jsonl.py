"""JSON Lines: one JSON object a line, one of its fields the review."""

from dataclasses import replace
from itertools import chain

from reviewbox.documents.document import AtRow, LineReader, Lines, ReadOptions
from reviewbox.documents.formats.json_objects import JsonTable
from reviewbox.documents.lines import refuse_binary_lines


def learn(lines: Lines, options: ReadOptions, at_row: AtRow) -> JsonTable:
    """Look at all lines of a table. Blank ones are no rows.

    Raises:
        SourceError: there is not one row, or no row has a field that could be the review.
    """
    sample = lines.sample()
    refuse_binary_lines(sample)
    table = JsonTable.learn(chain(sample, lines), options, at_row)
    return replace(table, notes={**lines.notes(options), **table.notes})


READER = LineReader("JSON Lines", learn, JsonTable.restore)
