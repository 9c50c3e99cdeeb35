"""Markdown: one review. Its marks are blanked out, so that offsets stay those of the file."""

import re
from functools import partial

from reviewbox.documents.document import Document, Format, ReadOptions
from reviewbox.documents.formats import text

_MARKS = re.compile(
    r"\A---\n(?:[^\n]*\n){0,200}?---(?=\n)"  # front matter
    r"|^[ ]{0,3}(?:```|~~~)[^\n]*$"  # a fence of code
    r"|^[ ]{0,3}\#{1,6}(?=[ ])"  # of a heading
    r"|^(?:[ ]{0,3}>){1,99}"  # of a quotation
    r"|^[ ]*(?:[-*+]|\d{1,9}[.)])(?=[ ])"  # of a list
    r"|^[ ]{0,3}(?:={3,}|-{3,}|\*{3,}|_{3,})[ ]*$"  # a rule, or a line under a heading
    r"|!?\[(?=[^\[\]\n]{0,999}\]\([^()\n]{0,999}\))|\]\([^()\n]{0,999}\)"  # around a link's text
    # Emphasis, but not the stars of a rating or inside a word that is better not spelt out.
    r"|(?<![\w*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w*])"
    r"|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)"
    r"|~~|`",
    re.MULTILINE,
)


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a file as one review; raises what `text.read` does."""
    return text.read(data, options, partial(_MARKS.sub, lambda match: text.blank(match[0])))


FORMAT = Format("Markdown", frozenset({".md", ".markdown"}), frozenset({"text/markdown"}), read)
