"""Markdown. A file is one review. Markup is replaced by spaces, so that offsets in the file stay valid."""

import re

from reviewbox.documents.document import Document, ReadOptions
from reviewbox.documents.format import Format
from reviewbox.documents.formats import text

_MARKUP = re.compile(
    # Front matter in YAML or TOML. A file that was concatenated from several may have a second byte-order
    # mark. There is one way to match a line end. With two, each line would double the number of ways to match
    # all.
    r"\A\ufeff?(?P<fence>---|\+\+\+)[ \t]*(?:\r\n?+|\n)"
    r"(?:[^\r\n]*+(?:\r\n?+|\n)){0,200}?(?:(?P=fence)|\.\.\.)[ \t]*(?=[\r\n]|\Z)"
    r"|^[ ]{0,3}(?:```|~~~)[^\n]*$"  # code fence
    r"|^[ ]{0,3}\#{1,6}(?=[ ])"  # heading
    r"|^(?:[ ]{0,3}>){1,99}"  # quotation
    r"|^[ ]*(?:[-*+]|\d{1,9}[.)])(?=[ ])"  # list item
    r"|^[ ]{0,3}(?:={3,}|-{3,}|\*{3,}|_{3,})[ ]*\r?$"  # rule, or underline of a heading
    r"|!?\[(?=[^\[\]\n]{0,999}\]\([^()\n]{0,999}\))|\]\([^()\n]{0,999}\)"  # link, without its text
    # Emphasis, but not the stars of a rating, and not the stars in a censored word.
    r"|(?<![\w*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w*])"
    r"|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)"
    r"|~~|`",
    re.MULTILINE,
)


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a file as one review; raises what `text.read` does."""
    return text.read(data, options, _MARKUP, lambda match: text.blank(match[0]))


FORMAT = Format("Markdown", frozenset({".md", ".markdown"}), frozenset({"text/markdown"}), read)
