"""JSON Lines: one JSON object a line, one of its fields the review."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from reviewbox.documents.document import Document, ReadOptions
from reviewbox.documents.json_table import json_table
from reviewbox.documents.lines import Line, encoding_notes, read_lines, refuse_binary_lines


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a table of reviews. Blank lines are no rows.

    Raises:
        SourceError: there is not one row, or too many, or no row has a field that could be the review.
    """
    refuse_binary_lines(data, options)
    notes = encoding_notes(data, _values(data, options), options)
    return json_table(partial(_values, data, options), notes, options)


def _values(data: bytes, options: ReadOptions) -> Iterator[Line]:
    for line in read_lines(data, options):
        text = line.text.strip()
        if text:
            yield replace(line, text=text)
